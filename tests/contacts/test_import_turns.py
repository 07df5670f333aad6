"""Imports take turns, a hopeless one is stopped, and a person may cancel one."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from openpyxl import Workbook
from sqlalchemy import func, select, update

from engine.contacts.imports import claims, run
from engine.contacts.imports.claims import MAX_TRIES, cancel_import, claim_import, due_imports
from engine.contacts.imports.run import BATCH_ROWS, run_import
from engine.contacts.imports.service import place_of, progress_of
from engine.contacts.models import Contact, ContactImport
from engine.core.db import tenant_session
from engine.core.errors import Conflict, NotFound
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.scheduler.jobs import JOBS
from engine.scheduler.jobs import contacts as jobs
from tests.contacts.conftest import Company

ONE = b"nome;fone\nAna;71980000102\n"


def many(rows: int) -> bytes:
    return ("nome;fone\n" + "".join(f"P{number};7198{number:07d}\n" for number in range(rows))).encode()


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns of one batch."""
    monkeypatch.setattr(jobs, "TURN_SECONDS", 0.0)


@pytest.mark.usefixtures("short_turns")
def test_a_large_file_lets_others_go_between_and_comes_in_whole(company: Company, stranger: Company) -> None:
    large = company.queue(many(BATCH_ROWS * 3))
    small = stranger.queue(ONE)

    JOBS["import"].work()
    after_one_round = (company.stand(large).created, stranger.stand(small).created)
    while JOBS["import"].work():
        continue

    assert after_one_round == (BATCH_ROWS, 1)
    row = company.stand(large)
    assert (row.status, row.total, row.created) == ("completed", BATCH_ROWS * 3, BATCH_ROWS * 3)


@pytest.mark.usefixtures("short_turns")
def test_a_file_that_nobody_waits_behind_is_read_once(company: Company) -> None:
    import_id = company.queue(many(BATCH_ROWS * 2 + 1))

    JOBS["import"].work()

    row = company.stand(import_id)
    assert (row.status, row.epoch) == ("completed", 1)


def test_the_files_of_one_company_are_one_turn(company: Company, stranger: Company) -> None:
    first, *_ = [company.queue(ONE) for _ in range(3)]
    theirs = stranger.queue(ONE)

    with system_session() as session:
        due = [waiting.import_id for waiting in due_imports(session)]

    assert due == [first, theirs]


def test_turns_are_not_tries(company: Company) -> None:
    import_id = company.queue(many(BATCH_ROWS * 2))
    with system_session() as session:
        session.execute(update(ContactImport).values(tries=MAX_TRIES - 1, epoch=500))

    given_back = run_import(company.work, import_id, is_stopping=lambda: True)

    assert (given_back, company.stand(import_id).tries) == (False, 0)
    assert run_import(company.work, import_id)


def test_a_file_that_takes_its_worker_down_each_time_is_given_up(company: Company) -> None:
    import_id = company.queue(ONE)

    for _ in range(MAX_TRIES + 1):
        with tenant_session(company.tenant_id) as session:
            claim_import(session, import_id)
            session.execute(update(ContactImport).values(lease_until=func.now() - timedelta(seconds=1)))

    row = company.stand(import_id)
    assert (row.status, row.error) == ("failed", {"code": "gave_up", "values": {}})


def test_a_file_of_which_hardly_a_row_can_be_taken_is_stopped(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MANY_REJECTS", BATCH_ROWS)

    row = company.bring_in('nome;fone\n"Ana;71980000102\n' + "x;y\n" * BATCH_ROWS * 5)

    assert row.status == "failed"
    assert row.error is not None
    assert row.error["code"] == "too_many_rejects"
    assert BATCH_ROWS <= row.rejected < BATCH_ROWS * 3
    assert len(list(csv.reader(io.StringIO(company.rejects(row.id)), delimiter=";"))) == row.rejected + 1


def test_a_file_with_many_bad_rows_among_good_ones_comes_in(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MANY_REJECTS", BATCH_ROWS)

    row = company.bring_in(many(BATCH_ROWS * 2).decode() + "x;y\n" * BATCH_ROWS)

    assert (row.status, row.created, row.rejected) == ("completed", BATCH_ROWS * 2, BATCH_ROWS)


def cancel(company: Company, import_id: object) -> ContactImport:
    with tenant_session(company.tenant_id) as session:
        return cancel_import(session, import_id)  # type: ignore[arg-type]


def test_a_cancelled_import_is_not_begun(company: Company) -> None:
    import_id = company.queue(ONE)
    place = place_of(company.stand(import_id).path)

    row = cancel(company, import_id)

    assert (row.status, row.error) == ("failed", {"code": "cancelled", "values": {}})
    assert not place.exists()
    assert not run_import(company.work, import_id)
    assert company.facts("import.changed")[-1]["status"] == "failed"


def test_a_running_import_stops_where_it_is_cancelled(company: Company) -> None:
    import_id = company.queue(many(BATCH_ROWS * 3))

    ended = run_import(company.work, import_id, is_stopping=_at(1, lambda: cancel(company, import_id)))

    row = company.stand(import_id)
    assert not ended
    assert (row.status, row.created) == ("failed", BATCH_ROWS)
    with tenant_session(company.tenant_id) as session:
        assert session.scalar(select(func.count()).select_from(Contact)) == BATCH_ROWS


def test_what_has_ended_is_not_cancelled(company: Company, stranger: Company) -> None:
    import_id = company.bring_in(ONE).id

    with pytest.raises(Conflict) as refused:
        cancel(company, import_id)
    with pytest.raises(NotFound):
        cancel(stranger, import_id)

    assert refused.value.code == "import_ended"
    assert company.stand(import_id).status == "completed"


def test_cancelling_does_not_wait_for_the_rows_being_written(company: Company) -> None:
    import_id = company.queue(ONE)
    with tenant_session(company.tenant_id) as session:
        assert claim_import(session, import_id) is not None
    with tenant_session(company.tenant_id) as writing:
        # As a batch holds it: by the foreign key of the rows that it writes.
        writing.execute(select(ContactImport.id).with_for_update(read=True, key_share=True))
        with tenant_session(company.tenant_id) as session:
            session.connection().exec_driver_sql("set local lock_timeout = '1s'")
            assert claims.cancel_import(session, import_id).status == "failed"


def _at(number: int, act: Callable[[], object]) -> Callable[[], bool]:
    """A question that is always answered no, and at whose n-th asking (from 0) something happens."""
    asked: Iterator[int] = iter(range(1000))

    def ask() -> bool:
        if next(asked) == number:
            act()
        return False

    return ask


@pytest.mark.parametrize("says_how_many", [True, False])
def test_a_sheet_tells_how_far_it_is_read_whether_or_not_it_says_how_many_rows_it_has(
    company: Company, says_how_many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "BATCH_ROWS", 300)
    book = Workbook(write_only=not says_how_many)
    sheet = book.active if says_how_many else book.create_sheet()
    assert sheet is not None
    for number in range(4000):
        sheet.append(["Nome", "Celular"] if not number else [f"Pessoa {uuid7()}", 71980000000 + number])
    file = io.BytesIO()
    book.save(file)
    import_id = company.queue(file.getvalue())

    progress = []
    for _ in range(3):
        run_import(company.work, import_id, is_stopping=lambda: True)
        progress.append(progress_of(company.stand(import_id)))

    assert 0 < progress[0] < progress[2] < 1
