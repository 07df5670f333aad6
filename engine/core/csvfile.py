"""CSV that a spreadsheet opens without running anything, and that our own import takes back whole.

A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection); a phone number
in E.164 stays as it is.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

BYTE_ORDER_MARK = "\ufeff"  # Excel takes a file without it for Windows-1252
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def csv_lines(rows: Iterable[Sequence[str]], separator: str = ",") -> str:
    """Rows as lines of a file, each cell harmless."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if cell.startswith(FORMULA_SIGNS) and not _E164.fullmatch(cell):
        return "'" + cell
    return cell


def without_guard(cell: str) -> str:
    """A cell without the apostrophe that `guarded` put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_SIGNS) else cell
