"""A key claimed twice: one effect, one answer, whoever is first."""

import threading
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.core.bootstrap import DatabaseUrls
from engine.core.db import tenant_session
from engine.core.errors import Conflict, Invalid
from engine.core.idempotency import Replay, begin, complete

TENANT = uuid4()
ANSWER = b'{"id":"7","nested":{"n":1},"a":null}'


def do_it(
    key: str = "order-7", *, body: bytes = b"{}", tenant: object = TENANT, route: str = "POST /x"
) -> Replay | None:
    """A request that has its effect, or the answer that it was given before."""
    with tenant_session(tenant) as session:  # type: ignore[arg-type]
        replay = begin(session, user_id="ana", route=route, key=key, body=body)
        if replay is None:
            session.execute(text("insert into gates (id) values (uuidv7())"))
            complete(session, user_id="ana", route=route, key=key, status=201, answer=ANSWER)
        return replay


def effects() -> int:
    with tenant_session(TENANT) as session:
        return int(session.execute(text("select count(*) from gates")).scalar_one())


def test_the_same_request_again_gets_the_answer_that_was_kept(database: DatabaseUrls) -> None:
    assert do_it() is None
    assert do_it() == do_it() == Replay(201, ANSWER)
    assert effects() == 1


def test_another_body_another_route_and_another_company_are_not_the_same_request(
    database: DatabaseUrls,
) -> None:
    do_it()

    with pytest.raises(Invalid, match="key_reused"):
        do_it(body=b'{"a": 1}')
    assert do_it(route="POST /y") is None
    assert do_it(tenant=uuid4()) is None
    assert effects() == 2


def test_a_request_that_failed_leaves_its_key_free(database: DatabaseUrls) -> None:
    def break_off() -> None:
        with tenant_session(TENANT) as session:
            begin(session, user_id="ana", route="POST /x", key="order-7", body=b"{}")
            session.execute(text("select 1 / 0"))

    with pytest.raises(DBAPIError):
        break_off()

    assert do_it() is None
    assert effects() == 1


def test_a_second_request_does_not_wait_for_a_slow_first(database: DatabaseUrls) -> None:
    with tenant_session(TENANT) as slow:
        begin(slow, user_id="ana", route="POST /x", key="order-7", body=b"{}")
        with pytest.raises(Conflict) as refusal:
            do_it()
        complete(slow, user_id="ana", route="POST /x", key="order-7", status=201, answer=ANSWER)

    assert refusal.value.code == "still_running"
    assert do_it() == Replay(201, ANSWER)


def test_of_many_at_once_one_has_its_effect(database: DatabaseUrls) -> None:
    start = threading.Barrier(8)
    told: list[object] = []

    def ask() -> None:
        start.wait()
        try:
            told.append(do_it())
        except Conflict as conflict:
            told.append(conflict.code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(told), told.count(None), effects()) == (8, 1, 1)
    assert all(answer in (None, "still_running", Replay(201, ANSWER)) for answer in told)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_one_to_255_characters(database: DatabaseUrls, key: str) -> None:
    with pytest.raises(Invalid):
        do_it(key)


def test_the_wait_for_a_key_is_not_the_wait_for_other_locks(database: DatabaseUrls) -> None:
    with tenant_session(TENANT) as session:
        before = session.execute(text("show lock_timeout")).scalar_one()
        begin(session, user_id="ana", route="POST /x", key="order-7", body=b"{}")
        after = session.execute(text("show lock_timeout")).scalar_one()

    assert before == after
