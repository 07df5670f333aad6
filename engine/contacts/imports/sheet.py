"""Reads the first sheet of an Excel file row by row, after a look at what it would unpack to.

An XLSX is a zip: a small one may unpack to gigabytes. Sizes are read from its directory before anything is unpacked;
zipfile itself never gives more of a member than the directory says.
"""

import itertools
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from engine.contacts.imports.problems import BadFile

MAX_UNPACKED = 1_500_000_000
MAX_SHARED_STRINGS = 150_000_000  # openpyxl holds them all in memory
MAX_RATIO = 200  # sheets of people pack 5 to 20 times
SMALL_ENOUGH = 10_000_000
MAX_MEMBERS = 2_000
MAX_COLUMNS = 200  # one more is read, to tell that there are too many

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    InvalidFileException,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
    RuntimeError,  # also a compression that this Python does not know, and a password
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """An open sheet; `size` is the number of rows that it says it has, or None."""

    worksheet: Any
    size: int | None

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(number, cells as text) of each row that has any; BadFile when the file turns out to be damaged."""
        try:
            for number, values in enumerate(
                self.worksheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1), start=1
            ):
                cells = [_as_text(value) for value in values]
                while cells and not cells[-1]:
                    cells.pop()
                if cells:
                    yield number, cells
        except DAMAGE as error:
            raise BadFile("corrupt_spreadsheet") from error

    def first_rows(self, count: int) -> list[tuple[int, list[str]]]:
        """The first rows."""
        return list(itertools.islice(self.rows(), count + 1))


@contextmanager
def open_sheet(file: BinaryIO) -> Iterator[Sheet]:
    """The first visible sheet of an Excel file; BadFile when it is none, damaged, or unpacks to too much."""
    file.seek(0)
    _look_inside(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except DAMAGE as error:
        raise BadFile("corrupt_spreadsheet") from error
    try:
        visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        if not visible:
            raise BadFile("no_rows")
        sheet = visible[0]
        size = sheet.max_row
        sheet.reset_dimensions()  # some programs write wrong ones, and rows would be cut by them
        yield Sheet(sheet, size)
    finally:
        book.close()


def _look_inside(file: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except DAMAGE as error:
        raise BadFile("corrupt_spreadsheet") from error
    names = {member.filename for member in members}
    if "xl/workbook.xml" not in names:
        raise BadFile("other_spreadsheet" if "content.xml" in names else "not_a_table")
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    shared = sum(member.file_size for member in members if member.filename.endswith("sharedStrings.xml"))
    swollen = unpacked > SMALL_ENOUGH and unpacked > MAX_RATIO * max(packed, 1)
    if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED or shared > MAX_SHARED_STRINGS or swollen:
        raise BadFile("too_much_inside")


def _as_text(value: Any) -> str:
    """A cell as a person would type it: whole numbers without a point, days without midnight."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date | time) else str(value).strip()
