"""The erasure ledger's files: one a month, a line of JSON an entry, only ever added to.

They belong on another disk than the database's, or they go with it. A line that a crash cut off was never let go of in
the database, so it stands again, whole, further down.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

PREFIX, SUFFIX = "erasures-", ".jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what happened to which contact of which company, and under which keyed hashes it is known."""

    tenant_id: UUID
    id: UUID
    kind: str
    contact_id: UUID
    at: datetime
    hashes: tuple[bytes, ...] = ()
    into: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in the files, each entry once and the oldest first; `cut_off` counts the lines that are no lines."""

    entries: tuple[Entry, ...]
    cut_off: int


def append(folder: Path, entries: Sequence[Entry]) -> None:
    """Add entries; once this returns they survive a power cut. Raises OSError when they can't be kept."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{PREFIX}{datetime.now(UTC):%Y-%m}{SUFFIX}"
    is_new = not path.exists()
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_cut_off(path):
            file.write(b"\n")
        file.writelines(map(_line_of, entries))
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _flush_folder(folder)


def read(folders: Iterable[Path]) -> Reading:
    """All that stands in these folders. Raises OSError when one can't be read."""
    entries: dict[UUID, Entry] = {}
    cut_off = 0
    for path in _files(folders):
        for line in path.read_bytes().splitlines():
            entry = _entry_of(line)
            if entry is None:
                cut_off += 1
            else:
                entries[entry.id] = entry
    return Reading(tuple(sorted(entries.values(), key=lambda entry: (entry.at, entry.id))), cut_off)


def is_kept_in(folder: Path) -> bool:
    """Whether files of a ledger lie there."""
    return any(_files([folder]))


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))


def _is_cut_off(path: Path) -> bool:
    """Whether the last line has no end: who wrote it died on the way."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _line_of(entry: Entry) -> bytes:
    said: dict[str, Any] = {
        "id": entry.id,
        "tenant": entry.tenant_id,
        "kind": entry.kind,
        "contact": entry.contact_id,
        "at": entry.at,
    }
    if entry.hashes:
        said["hashes"] = [digest.hex() for digest in entry.hashes]
    if entry.into is not None:
        said["into"] = entry.into
    return orjson.dumps(said) + b"\n"


def _entry_of(line: bytes) -> Entry | None:
    try:
        said = orjson.loads(line)
        return Entry(
            tenant_id=UUID(said["tenant"]),
            id=UUID(said["id"]),
            kind=str(said["kind"]),
            contact_id=UUID(said["contact"]),
            at=datetime.fromisoformat(said["at"]),
            hashes=tuple(bytes.fromhex(digest) for digest in said.get("hashes", ())),
            into=UUID(said["into"]) if "into" in said else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _flush_folder(folder: Path) -> None:
    """Make a new file in this folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
