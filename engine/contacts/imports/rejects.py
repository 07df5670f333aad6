"""The rows that were not taken, as a CSV that a spreadsheet opens without running anything.

A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection); a phone number
in E.164 stays as it is, and our own import takes the apostrophe off again, so the mended file comes back whole.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import select

from engine.contacts.imports.problems import Problem
from engine.contacts.models import ContactImport, ImportReject
from engine.core.db import Work
from engine.core.errors import NotFound

PAGE = 1000
BYTE_ORDER_MARK = "\ufeff"  # Excel takes a file without it for Windows-1252
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

# Machines read them too, and a mended file that comes back has them skipped: the same in every language.
OUR_COLUMNS = ("line", "reason")


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if cell.startswith(FORMULA_SIGNS) and not _E164.fullmatch(cell):
        return "'" + cell
    return cell


def without_guard(cell: str) -> str:
    """A cell without the apostrophe that `guarded` put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_SIGNS) else cell


def rejects_csv(work: Work, import_id: UUID, *, locale: str) -> Iterator[bytes]:
    """The CSV of an import's rejected rows, piece by piece: the file's own columns, the line, the reason.

    Opens short sessions of its own, because a body streams after the request's has ended.
    """
    with work.session() as session:
        found = session.scalar(select(ContactImport).where(ContactImport.id == import_id))
        if found is None:
            raise NotFound()
        layout = found.layout or {}
    columns: Sequence[str] = layout.get("columns", ())
    separator = layout.get("separator") or ","
    heading = [*columns, *OUR_COLUMNS]
    yield (BYTE_ORDER_MARK + _lines([heading], separator)).encode()
    after: UUID | None = None
    while True:
        rows = _page(work, import_id, after)
        if not rows:
            return
        after = rows[-1].id
        yield _lines([_cells(row, len(columns), locale) for row in rows], separator).encode()


def _page(work: Work, import_id: UUID, after: UUID | None) -> Sequence[ImportReject]:
    statement = select(ImportReject).where(ImportReject.import_id == import_id)
    if after is not None:
        statement = statement.where(ImportReject.id > after)
    with work.session() as session:
        return session.scalars(statement.order_by(ImportReject.id).limit(PAGE)).all()


def _cells(row: ImportReject, width: int, locale: str) -> list[str]:
    own = [str(cell) for cell in row.cells]
    own += [""] * (width - len(own))
    # Cells beyond the heading would push line and reason out of their columns: they stay together in the last one.
    if len(own) > width:
        own = [*own[: width - 1], " ".join(own[width - 1 :])]
    reason = Problem(row.reason["code"], row.reason.get("values", {})).text(locale)
    return [*own, str(row.line), reason]


def _lines(rows: Sequence[Sequence[str]], separator: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()
