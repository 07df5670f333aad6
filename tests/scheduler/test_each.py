"""A job over many companies: one that breaks keeps no other waiting, and without a database nothing goes on."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core import metrics
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import tenant_of
from engine.core.errors import DatabaseAway
from engine.messaging import receipts
from engine.scheduler import queues
from engine.scheduler.job import Job, counted, each
from engine.scheduler.jobs import JOBS
from tests.workshop import open_shop


def counts_of(name: str) -> dict[str, float]:
    found = {"done": 0.0, "failed": 0.0}
    for family in metrics.JOBS.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.labels["name"] == name:
                found[sample.labels["result"]] = sample.value
    return found


def test_turns_of_a_job_and_what_fails_in_them_are_counted() -> None:
    def job(work: Callable[[], bool]) -> Job:
        return Job("counted", queues.EVENTS, lambda _: True, work)

    more = [counted(job(lambda: True)), counted(job(lambda: False))]
    with pytest.raises(ZeroDivisionError):
        counted(job(lambda: bool(1 / 0)))
    each("counted", [1, 2], lambda one: 1 / (one - 1))

    assert more == [True, False]
    assert counts_of("counted") == {"done": 2, "failed": 2}


def test_one_that_breaks_keeps_no_other_waiting() -> None:
    done: list[int] = []

    def deed(one: int) -> bool:
        if one == 2:
            raise ZeroDivisionError
        done.append(one)
        return one == 1

    more = each("test", [1, 2, 3], deed)

    assert (done, more) == ([1, 3], True)


def test_without_a_database_nothing_goes_on() -> None:
    done: list[int] = []

    def deed(one: int) -> None:
        done.append(one)
        raise DatabaseAway()

    with pytest.raises(DatabaseAway):
        each("test", [1, 2], deed)

    assert done == [1]


def test_parked_receipts_of_one_company_wait_for_no_others_fault(
    database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [open_shop(), open_shop()]
    for shop in shops:
        with shop.work.session() as session:
            session.execute(
                text(
                    "insert into parked_receipts (id, channel_id, provider_id, receipt)"
                    " values (uuidv7(), uuidv7(), 'wamid.1', '{}')"
                )
            )
    reached: list[UUID] = []

    def break_for_each(session: Session) -> Any:
        reached.append(tenant_of(session))
        raise ZeroDivisionError

    monkeypatch.setattr(receipts, "retry_parked", break_for_each)

    JOBS["parked"].work()

    assert set(reached) == {shop.tenant_id for shop in shops}
