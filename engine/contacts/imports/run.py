"""Runs an import: reads its file in batches and writes each with its checkpoint, so that it may be killed any time."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO
from uuid import UUID

import psycopg

from engine.contacts.events import contacts_changed
from engine.contacts.imports.batches import Batch, OvertakenError, write_batch
from engine.contacts.imports.claims import (
    Claim,
    LeaseLostError,
    claim_import,
    finish_import,
    write_checkpoint,
)
from engine.contacts.imports.lines import CsvRecords, decoded_lines
from engine.contacts.imports.people import RejectedRow, read_person
from engine.contacts.imports.problems import BadFile
from engine.contacts.imports.service import import_changed, place_of
from engine.contacts.imports.sheet import Sheet, open_sheet
from engine.contacts.models import ContactImport, ImportStatus
from engine.core.db import Work
from engine.core.errors import DatabaseAway

BATCH_ROWS = 2000
FACT_SECONDS = 0.5
TRIES = 5
# A file of which so many rows can't be taken, and more than can, is not what its sender thinks it is.
MANY_REJECTS = 50_000


def run_import(work: Work, import_id: UUID, *, is_stopping: Callable[[], bool] = lambda: False) -> bool:
    """Run one import to its end; False when it is not ours to run, or no longer.

    `is_stopping` is asked before each batch: when it says so, the import is given back, to go on at its next turn.
    """
    with work.session() as session:
        claim = claim_import(session, import_id)
    if claim is None:
        return False
    try:
        with open_rows(claim) as rows:
            if not _write_all(work, claim, rows, is_stopping):
                return False
    except LeaseLostError:
        return False
    except BadFile as error:
        return _finish(work, claim, ImportStatus.FAILED, error)
    except FileNotFoundError:
        return _finish(work, claim, ImportStatus.FAILED, BadFile("file_gone"))
    return _finish(work, claim, ImportStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an open file, without its heading, and how far reading has come."""

    cells: Iterator[tuple[int, list[str]]]
    bytes_read: Callable[[int], int]


@contextmanager
def open_rows(claim: Claim) -> Iterator[Rows]:
    """The rows that are still to be written."""
    with place_of(claim.path).open("rb") as file:
        if claim.layout.kind == "csv":
            # Closed before the file is: it gives the file back, which a closed one does not allow.
            with closing(decoded_lines(file, claim.layout.encoding)) as lines:
                records = CsvRecords(lines, claim.layout.separator or ",")
                yield Rows(_left_to_do(claim, records), lambda _line: file.tell())
            return
        with open_sheet(file) as sheet:
            yield Rows(_left_to_do(claim, sheet.rows()), partial(_read_of_sheet, claim, file, sheet))


def _read_of_sheet(claim: Claim, file: BinaryIO, sheet: Sheet, line: int) -> int:
    """How much of a spreadsheet is read: by its rows, or by the place in the file where it does not say how many."""
    return int(claim.bytes_total * line / sheet.size) if sheet.size else file.tell()


def _left_to_do(claim: Claim, records: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The records below the heading and the checkpoint that are not empty."""
    heading = claim.layout.has_header
    for line, cells in records:
        if not any(cells) or not any(cell.strip() for cell in cells):
            continue
        if heading:
            heading = False
        elif line > claim.after_line:
            yield line, cells


def _batches(claim: Claim, rows: Rows) -> Iterator[Batch]:
    batch = Batch()
    for line, cells in rows.cells:
        read = read_person(line, cells, claim.plan, region=claim.region)
        if isinstance(read, RejectedRow):
            batch.rejects.append(read)
        else:
            batch.people.append(read)
        batch.last_line = line
        if len(batch) == BATCH_ROWS:
            batch.bytes_read = rows.bytes_read(line)
            yield batch
            batch = Batch()
    if len(batch):
        batch.bytes_read = rows.bytes_read(batch.last_line)
        yield batch


def _read_ahead(batches: Iterator[Batch]) -> Generator[Batch, None, None]:
    """The same batches, the next one being read while PostgreSQL writes the one before."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch


def _write_all(work: Work, claim: Claim, rows: Rows, is_stopping: Callable[[], bool]) -> bool:
    """Write batch after batch; False when it was time to give the import back."""
    told_at = time.monotonic()
    # Closed before the file is: the reading thread must have ended by then, whatever went wrong here.
    with closing(_read_ahead(_batches(claim, rows))) as batches:
        for batch in batches:
            tells = time.monotonic() - told_at >= FACT_SECONDS
            stopping = is_stopping()
            row = _write_with_checkpoint(work, claim, batch, tells=tells, gives_back=stopping)
            if row.rejected >= MANY_REJECTS and row.rejected * 2 > row.total:
                raise BadFile("too_many_rejects", read=row.total, rejected=row.rejected)
            if stopping:
                return False
            if tells:
                told_at = time.monotonic()
    return True


def _write_with_checkpoint(
    work: Work, claim: Claim, batch: Batch, *, tells: bool, gives_back: bool
) -> ContactImport:
    """Write a batch, again when another writer came in between (a deadlock, or the same phone at once)."""
    attempt = 0
    while True:
        attempt += 1
        try:
            with work.session() as session:
                written = write_batch(session, batch, claim.marks)
                row = write_checkpoint(
                    session,
                    claim,
                    written,
                    last_line=batch.last_line,
                    bytes_read=batch.bytes_read,
                    gives_back=gives_back,
                )
                if tells:
                    import_changed(session, row)
                    contacts_changed(session, count=row.created + row.updated, import_id=claim.import_id)
                return row
        except (OvertakenError, psycopg.errors.DeadlockDetected):
            if attempt == TRIES:
                raise
        except psycopg.OperationalError as error:  # of the batch's own cursor, which SQLAlchemy does not see
            raise DatabaseAway() from error


def _finish(work: Work, claim: Claim, status: ImportStatus, error: BadFile | None = None) -> bool:
    with work.session() as session:
        return finish_import(session, claim, status, error)
