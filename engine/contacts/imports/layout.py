"""Recognises a file of people: CSV or XLSX, its encoding, its separator, its heading."""

import codecs
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from engine.contacts.imports.lines import CsvRecords, decoded_lines
from engine.contacts.imports.problems import BadFile
from engine.contacts.imports.sheet import open_sheet
from engine.contacts.wording import clean
from engine.core.phone import parse_phone

SAMPLE_BYTES = 1024 * 1024
SAMPLE_ROWS = 200
MAX_COLUMNS = 200
SEPARATORS = (";", ",", "\t", "|")
COLUMN_LENGTH = 100

ZIP = b"PK\x03\x04"
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # also an .xlsx behind a password
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SEPARATOR_HINT = re.compile(r"sep=([^\"\r\n])\s*")
# A name, one sign that no name or phone has, and a phone; or the other way round.
_UNPARTED = re.compile(
    r"[^\W\d][^\d]*?(?P<after>[^\w\s()+.'’-])[+\d\s().-]{8,}"
    r"|[+\d\s().-]{8,}?(?P<before>[^\w\s()+.'’-])\s*[^\W\d][^\d]*"
)
UNPARTED_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read. `columns` are unique: the heading's names, or letters as in a spreadsheet."""

    kind: str
    encoding: str
    separator: str | None
    has_header: bool
    columns: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The layout as it is stored with an import."""
        return {
            "kind": self.kind,
            "encoding": self.encoding,
            "separator": self.separator,
            "has_header": self.has_header,
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Layout":
        """The layout that was stored with an import."""
        return cls(
            data["kind"], data["encoding"], data["separator"], data["has_header"], tuple(data["columns"])
        )


@dataclass(frozen=True, slots=True)
class Recognised:
    """A file's layout and its first rows, without the heading."""

    layout: Layout
    rows: Sequence[Sequence[str]]


def recognise(file: BinaryIO, *, whole: bool = True, region: str = "BR") -> Recognised:
    """How a file is to be read, and its first rows; BadFile when it can't be. `whole` is False for a first part."""
    file.seek(0)
    sample = file.read(SAMPLE_BYTES)
    if not sample.strip():
        raise BadFile("empty_file")
    if sample.startswith(OLD_OFFICE):
        raise BadFile("old_excel")
    if sample.startswith(ZIP):
        return _recognise_sheet(file, whole=whole, region=region)
    return _recognise_csv(file, sample, region=region)


def _recognise_sheet(file: BinaryIO, *, whole: bool, region: str) -> Recognised:
    try:
        with open_sheet(file) as sheet:
            rows = [cells for _, cells in sheet.first_rows(SAMPLE_ROWS)]
    except BadFile as error:
        if whole or error.code != "corrupt_spreadsheet":
            raise
        raise BadFile("whole_file_needed") from error
    return _with_heading(rows, kind="xlsx", encoding="", separator=None, region=region)


def _recognise_csv(file: BinaryIO, sample: bytes, *, region: str) -> Recognised:
    encoding = _marked_encoding(sample)
    if encoding is None:
        if _is_binary(sample[:65536]):
            raise BadFile("not_a_table")
        encoding = _unmarked_encoding(file)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    if not text.strip():
        raise BadFile("empty_file")
    # Read from the sample as the whole file is read later: long lines cut, and quotes left open put up with.
    lines = list(decoded_lines(io.BytesIO(sample), encoding))
    if len(sample) == SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # cut in its middle
    hint = _SEPARATOR_HINT.fullmatch(lines[0])
    separator = hint[1] if hint else _separator_of(lines)
    rows = []
    for _, cells in CsvRecords(decoded_lines(file, encoding), separator):
        if any(cells):
            rows.append([cell.strip() for cell in cells])
        if len(rows) > SAMPLE_ROWS:
            break
    if not hint:
        _must_be_parted(rows)
    return _with_heading(rows, kind="csv", encoding=encoding, separator=separator, region=region)


def _is_binary(head: bytes) -> bool:
    """Whether this is no text: one control character in a hundred, or a known beginning."""
    return head.startswith((b"%PDF", b"{\\rtf")) or len(_CONTROLS.findall(head)) * 100 > len(head)


def _marked_encoding(sample: bytes) -> str | None:
    """The Unicode encoding that a byte order mark, or the zeros of a text in UTF-16, give away."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return encoding
    head = sample[:4096]
    even, odd = head[0::2], head[1::2]
    zeros_even, zeros_odd = even.count(0) / max(len(even), 1), odd.count(0) / max(len(odd), 1)
    if zeros_odd > 0.5 and zeros_even < 0.1:
        return "utf-16-le"
    if zeros_even > 0.5 and zeros_odd < 0.1:
        return "utf-16-be"
    return None


def _unmarked_encoding(file: BinaryIO) -> str:
    """UTF-8 when the whole file is, for the first accent may stand in its last row; else Windows-1252 (or Latin-1)."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, is_windows = True, True
    while piece := file.read(SAMPLE_BYTES):
        if is_utf8:
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                is_utf8 = False
        is_windows = is_windows and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", piece)
    if is_utf8:
        return "utf-8"
    return "cp1252" if is_windows else "latin-1"


def _separator_of(lines: Sequence[str]) -> str:
    """The separator that parts most rows into the same number of cells, and into most of them."""
    best, best_score = ",", 0.0
    for separator in SEPARATORS:
        widths = Counter(
            len(cells)
            for _, cells in itertools.islice(CsvRecords(iter(lines), separator), SAMPLE_ROWS)
            if any(cells)
        )
        if not widths:
            continue
        width, agreeing = widths.most_common(1)[0]
        score = (agreeing / widths.total()) * min(width - 1, 5)
        if score > best_score:
            best, best_score = separator, score
    return best


def _must_be_parted(rows: Sequence[Sequence[str]]) -> None:
    """Raise BadFile when each row is one cell of a name, a sign and a phone: the sign is the separator, not one of ours.

    Names must differ: in `Tel: 71…` the sign parts nothing. The hint `sep=` of Excel says that it is meant so.
    """
    if any(len(row) > 1 for row in rows):
        return
    short = (row[0] for row in rows if len(row[0]) <= UNPARTED_LENGTH)
    found = [match for cell in short if (match := _UNPARTED.fullmatch(cell))]
    signs = Counter(match["after"] or match["before"] for match in found)
    if not signs or signs.most_common(1)[0][1] * 2 < len(rows) - 1:
        return
    sign = signs.most_common(1)[0][0]
    words = {re.sub(r"[\W\d]", "", match[0]) for match in found}
    if len(words) == 1 and not (sign in rows[0][0] and rows[0][0] != found[0][0]):
        return
    raise BadFile("wrong_separator", sign=sign)


def _with_heading(
    rows: Sequence[Sequence[str]], *, kind: str, encoding: str, separator: str | None, region: str
) -> Recognised:
    if not rows:
        raise BadFile("empty_file")
    has_header = not any(_is_value(cell, region) for cell in rows[0])
    below = rows[1:] if has_header else rows
    if not below:
        raise BadFile("no_rows")
    names = rows[0] if has_header else [""] * max(len(row) for row in below)
    width = max((place for place, name in enumerate(names, start=1) if name), default=0)
    if max(width, 0 if has_header else len(names)) > MAX_COLUMNS:
        raise BadFile("too_many_columns", limit=MAX_COLUMNS)
    columns = _column_names(names[:MAX_COLUMNS])
    return Recognised(Layout(kind, encoding, separator, has_header, columns), below)


def _is_value(cell: str, region: str) -> bool:
    """Whether a cell is what a heading never is: a phone number or an e-mail address."""
    digits = sum(sign.isdigit() for sign in cell)
    return ("@" in cell and "." in cell) or (digits >= 8 and parse_phone(cell, region=region) is not None)


def _column_names(cells: Sequence[str]) -> tuple[str, ...]:
    """The heading with each name once: an empty one becomes its column's letters, a second one gets a number."""
    names: list[str] = []
    for index, cell in enumerate(cells):
        name = plain = clean(cell, COLUMN_LENGTH) or letters_of(index)
        number = 2
        while name in names:
            name = f"{plain} ({number})"
            number += 1
        names.append(name)
    return tuple(names)


def letters_of(index: int) -> str:
    """The letters of a spreadsheet's column: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
