"""What a file is, by its content: the types that are kept, and how each begins.

Pages, pictures made of text (SVG), scripts and playlists are not among them: they do things when they are opened.
"""

import re
from collections.abc import Mapping
from pathlib import Path

HEAD = 4096

ENDINGS: Mapping[str, str] = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "audio/mpeg": ".mp3",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/vcard": ".vcf",
}

# How a content begins, and the type it has.
BEGINNINGS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.S), "image/webp"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2\xfa]"), "audio/mpeg"),
    (re.compile(rb"\xff[\xf1\xf9]"), "audio/aac"),
    (re.compile(rb"#!AMR"), "audio/amr"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"....ftyp(?:3g|3G)", re.S), "video/3gpp"),
    (re.compile(rb"....ftypM4A", re.S), "audio/mp4"),
    (re.compile(rb"....ftyp", re.S), "video/mp4"),
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"PK\x03\x04"), "application/zip"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "application/msword"),
)
# Containers that hold one of several things: which one, the sender may say.
FAMILIES: Mapping[str, frozenset[str]] = {
    "application/zip": frozenset(type_ for type_ in ENDINGS if "openxmlformats" in type_),
    "application/msword": frozenset({"application/vnd.ms-excel", "application/vnd.ms-powerpoint"}),
    "video/mp4": frozenset({"audio/mp4", "video/3gpp"}),
    "audio/ogg": frozenset(),
}
TEXTS = frozenset({"text/plain", "text/csv", "text/vcard"})
_ACTIVE_TEXT = re.compile(rb"\s*(?:<|#EXTM3U|%!PS|\{\\rtf|#!)", re.I)


def type_of(path: Path, declared: str | None) -> str | None:
    """The type of a file's content, or None when it is none of those that are kept."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    said = (declared or "").partition(";")[0].strip().lower()
    for beginning, found in BEGINNINGS:
        if beginning.match(head):
            return said if said in FAMILIES.get(found, frozenset()) else found
    return said if said in TEXTS and _is_plain_text(head) else None


def _is_plain_text(head: bytes) -> bool:
    """Readable, and nothing that a program would act upon."""
    text = head.removeprefix(b"\xef\xbb\xbf")
    return bool(text) and b"\x00" not in text and _ACTIVE_TEXT.match(text) is None
