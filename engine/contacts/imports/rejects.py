"""The rows that were not taken, as a CSV to be mended and sent again: it comes back whole."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import select

from engine.contacts.imports.problems import Problem
from engine.contacts.models import ContactImport, ImportReject
from engine.core.csvfile import BYTE_ORDER_MARK, csv_lines
from engine.core.db import Work
from engine.core.errors import NotFound

PAGE = 1000
# Machines read them too, and a mended file that comes back has them skipped: the same in every language.
OUR_COLUMNS = ("line", "reason")


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
    yield (BYTE_ORDER_MARK + csv_lines([heading], separator)).encode()
    after: UUID | None = None
    while True:
        rows = _page(work, import_id, after)
        if not rows:
            return
        after = rows[-1].id
        yield csv_lines([_cells(row, len(columns), locale) for row in rows], separator).encode()


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
