"""Webhooks from the journal to rows: once, in order, each item on its own, and nothing across companies."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core.bootstrap import DatabaseUrls
from engine.core.db import Limits
from engine.core.errors import DatabaseAway
from engine.core.settings import project_root, settings
from engine.core.system import system_session
from engine.messaging import intake
from tests.messaging.receiving import (
    Stage,
    at_once,
    called,
    change,
    facts,
    journal,
    journal_rows,
    set_stage,
    status_body,
    text_body,
)

PAYLOADS = project_root() / "tests" / "payloads" / "whatsapp_cloud"


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


def understand(stage: Stage, *bodies: bytes) -> list[Any]:
    """Journal these bodies, understand all that is due, and answer with the journal."""
    journal(stage, *bodies)
    intake.understand_due()
    return journal_rows(stage)


def test_a_message_makes_person_thread_message_and_facts(stage: Stage) -> None:
    wrote_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)

    rows = understand(stage, text_body(stage, "Oi, quero saber o preço", at=wrote_at))

    assert [row.status for row in rows] == ["applied"]
    thread = stage.rows("select * from conversations")[0]
    message = stage.rows("select * from messages")[0]
    assert (thread.unread, thread.last_message_text, thread.window_expires_at) == (
        1,
        "Oi, quero saber o preço",
        wrote_at + timedelta(hours=24),
    )
    assert (message.direction, message.state, message.conversation_id, message.occurred_at) == (
        "in",
        "received",
        thread.id,
        wrote_at,
    )
    assert stage.one("select phone from contacts") == "+5571980000102"
    assert stage.one("select last_inbound_at from contacts") == wrote_at
    assert facts(stage, "message.received")[0]["message_id"] == str(message.id)
    assert facts(stage, "messages.changed")[0]["items"][0]["state"] == "received"
    told = facts(stage, "conversation.changed")[0]
    assert (told["unread"], told["revision"], told["contact"]["phone"]) == (1, 1, "+5571980000102")
    assert stage.rows("select measure, n from activity") == [("received", 1)]


def test_the_same_body_a_thousand_times_is_one_message(stage: Stage) -> None:
    body = text_body(stage, provider_id="wamid.same")
    padded = [body + b" " * n for n in range(200)]  # other bytes, the same message: the journal keeps each

    understand(stage, *padded)

    assert (stage.count("messages"), stage.count("conversations"), stage.count("contacts")) == (1, 1, 1)
    assert len(facts(stage, "message.received")) == 1
    assert stage.one("select unread from conversations") == 1


def test_a_thread_holds_messages_in_the_order_in_which_they_came(stage: Stage) -> None:
    said = [f"mensagem {n}" for n in range(60)]

    understand(stage, *(text_body(stage, words) for words in said))

    assert [row.body for row in stage.rows("select body from messages order by id")] == said
    assert stage.one("select last_message_text from conversations") == said[-1]


def preference(stage: Stage, value: str, at: datetime) -> bytes:
    item = {
        "wa_id": "5571980000102",
        "category": "marketing_messages",
        "value": value,
        "detail": "User requested",
        "timestamp": int(at.timestamp()),
    }
    return change(stage, {"user_preferences": [item]}, field_name="user_preferences")


def test_the_providers_notice_of_a_stop_counts_and_an_old_one_undoes_nothing(stage: Stage) -> None:
    now = datetime.now(UTC)
    stop = preference(stage, "stop", now)

    states = []
    for body in (stop, preference(stage, "resume", now + timedelta(seconds=30)), stop + b" "):
        understand(stage, body)
        states.append(stage.one("select marketing_consent from contacts"))

    assert states == ["withdrawn", "granted", "granted"]


def test_one_body_may_hold_messages_and_statuses_of_several_numbers(stage: Stage) -> None:
    with stage.session() as session:
        key = called(stage, session).id
    body = json.loads(text_body(stage))
    body["entry"] += json.loads(status_body(stage, key, "delivered"))["entry"]

    rows = understand(stage, json.dumps(body).encode())

    assert rows[0].status == "applied"
    assert dict(stage.rows("select direction, state from messages")) == {"in": "received", "out": "delivered"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"null", b'{"object": "page", "entry": []}']
)
def test_a_signed_body_that_nobody_can_read_stands_apart_and_stops_nobody(stage: Stage, body: bytes) -> None:
    rows = understand(stage, body, text_body(stage))

    assert [row.status for row in rows] == ["quarantined", "applied"]
    assert rows[0].error.startswith("unreadable")
    assert bytes(rows[0].body) == body
    assert stage.count("messages") == 1


def test_a_number_of_nobody_or_of_another_company_is_set_apart_and_touches_no_tenant(stage: Stage) -> None:
    other = set_stage()

    rows = understand(stage, text_body(stage, account=other.account), text_body(stage, account="999"))

    assert [(row.status, row.error) for row in rows] == [("quarantined", "of an unknown account")] * 2
    for company in (stage, other):
        assert company.count("messages") + company.count("contacts") + company.count("outbox") == 0


def test_another_number_of_the_same_company_gets_what_is_its_own(stage: Stage) -> None:
    second = set_stage(tenant_id=stage.tenant_id, portfolio=stage.portfolio)

    rows = understand(stage, text_body(stage, account=second.account))

    assert rows[0].status == "applied"
    assert stage.one("select channel_id from messages") == second.channel_id


def test_a_number_spoken_of_at_its_neighbours_address_was_heard_of(stage: Stage) -> None:
    second = set_stage(tenant_id=stage.tenant_id, portfolio=stage.portfolio)
    stranger = set_stage(portfolio=stage.portfolio)

    understand(stage, text_body(stage, account=second.account))

    heard = "select last_webhook_at from channels where id = :id"
    with system_session() as session:
        received = session.execute(text("select received_at from webhook_journal")).scalar_one()
    assert stage.one(heard, id=second.channel_id) == received
    assert stage.one(heard, id=stage.channel_id) is None  # the door itself notes this one
    assert stranger.one(heard, id=stranger.channel_id) is None


def test_a_deleted_channels_webhooks_stand_apart(stage: Stage) -> None:
    with stage.session() as session:
        session.execute(text("update channels set deleted_at = now()"))

    rows = understand(stage, text_body(stage))

    assert [(row.status, row.error) for row in rows] == [("quarantined", "no such channel")]


def test_a_broken_item_is_tried_again_with_growing_gaps_and_then_stands_as_failed(
    stage: Stage, superuser_url: str
) -> None:
    with planted_fault():
        rows = understand(stage, text_body(stage, "boom"), text_body(stage, "fine"))
        first = rows[0]
        gaps = []
        for _ in range(intake.TRIES - 1):
            gaps.append(_gap(stage))
            _fall_due(stage)
            intake.understand_due()
        last = journal_rows(stage)[0]

    assert (first.status, first.tries, first.error) == ("pending", 1, "DataError 22012")
    assert rows[1].status == "applied", "its neighbour is none the worse"
    assert [round(gap) for gap in gaps] == sorted(round(gap) for gap in gaps)
    assert gaps[-1] > 3600
    assert (last.status, last.error) == ("failed", "DataError 22012")
    assert [row.body for row in stage.rows("select body from messages")] == ["fine"]


def test_what_failed_can_be_understood_again_once_the_fault_is_mended(stage: Stage) -> None:
    with planted_fault():
        understand(stage, text_body(stage, "boom"))
        for _ in range(intake.TRIES - 1):
            _fall_due(stage)
            intake.understand_due()

    replayed = intake.replay("failed")
    intake.understand_due()

    assert replayed == 1
    assert journal_rows(stage)[0].status == "applied"
    assert stage.count("messages") == 1


class planted_fault:  # noqa: N801 - reads as what it does
    """While it lasts, the database refuses to keep a message that says boom."""

    def __enter__(self) -> None:
        self._run(
            """create function boom() returns trigger language plpgsql as
               $$ begin if new.body = 'boom' then perform 1 / 0; end if; return new; end $$""",
            "create trigger boom before insert on messages for each row execute function boom()",
        )

    def __exit__(self, *_: object) -> None:
        self._run("drop trigger boom on messages", "drop function boom")

    @staticmethod
    def _run(*statements: str) -> None:
        with owner_connection() as connection:
            for statement in statements:
                connection.execute(statement)


def owner_connection() -> "psycopg.Connection[Any]":
    return psycopg.connect(settings().database_owner_url, autocommit=True)


def _gap(stage: Stage) -> float:
    with system_session() as session:
        found = session.execute(text("select extract(epoch from due_at - now())::float from webhook_due"))
        seconds: float = found.scalar_one()
        return seconds


def _fall_due(stage: Stage) -> None:
    with system_session() as session:
        session.execute(text("update webhook_due set due_at = now()"))


def _let_leases_end() -> None:
    with system_session() as session:
        session.execute(text("update webhook_leases set lease_until = now() - interval '1 s'"))


def test_a_worker_killed_between_effect_and_mark_neither_loses_nor_doubles(stage: Stage) -> None:
    """SIGKILL by the worker's own hand, in the moment between the two commits."""
    with stage.session() as session:
        key = called(stage, session).id
    bodies = [text_body(stage, "um"), status_body(stage, key, "delivered"), text_body(stage, "dois")]
    journal(stage, *bodies)
    script = """
import os, signal
from engine.messaging import intake
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
intake._mark = die
intake.understand_due()
"""

    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=project_root(), check=False, timeout=60, env=dict(os.environ)
    )
    left = [row.status for row in journal_rows(stage)]
    nothing_due = intake.understand_next()
    _let_leases_end()
    intake.understand_due()

    assert killed.returncode == -9
    assert left == ["pending"] * 3
    assert nothing_due == 0, "a living worker's lease is not broken"
    assert [row.status for row in journal_rows(stage)] == ["applied"] * 3
    assert [
        row.body for row in stage.rows("select body from messages where direction = 'in' order by id")
    ] == [
        "um",
        "dois",
    ]
    assert stage.one("select unread from conversations") == 2
    assert dict(stage.rows("select measure, n from activity")) == {
        "accepted": 1,
        "delivered": 1,
        "received": 2,
    }


def test_an_entry_that_kills_each_worker_stands_as_failed_in_the_end(stage: Stage) -> None:
    entry_id = journal(stage, text_body(stage))[0]
    with system_session() as session:
        session.execute(
            text("update webhook_due set tries = :tries where id = :id"),
            {"tries": intake.TRIES + 1, "id": entry_id},
        )

    intake.understand_due()

    row = journal_rows(stage)[0]
    assert (row.status, row.error) == ("failed", "never understood to its end")
    assert stage.count("messages") == 0


def test_several_workers_share_channels_and_keep_each_in_order(stage: Stage) -> None:
    stages = [stage, set_stage(), set_stage()]
    said = [str(n) for n in range(20)]
    for one in stages:
        journal(one, *(text_body(one, words) for words in said))

    at_once(*(intake.understand_due for _ in range(4)))
    intake.understand_due()

    for one in stages:
        assert [row.body for row in one.rows("select body from messages order by id")] == said
        assert {row.status for row in journal_rows(one)} == {"applied"}


def test_intake_is_due_only_while_something_waits_that_nobody_works_on(stage: Stage) -> None:
    seen = []
    for step in (lambda: None, lambda: journal(stage, text_body(stage)), intake.understand_due):
        step()
        with system_session() as session:
            seen.append(intake.is_due(session))

    assert seen == [False, True, False]


@pytest.mark.parametrize("payload", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_no_captured_webhook_stands_as_broken(stage: Stage, payload: Path) -> None:
    body = payload.read_bytes()
    known = stage_of(body, stage)

    rows = understand(known, body)

    assert rows[0].status in {"applied", "quarantined"}, rows[0].error


def stage_of(body: bytes, stage: Stage) -> Stage:
    """A company that has the number a captured webhook is about."""
    found = {"account": "440011220055667", "portfolio": "330011220044556"}
    return set_stage(tenant_id=stage.tenant_id, **found) if found["account"].encode() in body else stage


def test_who_stood_still_does_not_give_another_workers_lease_back(stage: Stage) -> None:
    journal(stage, text_body(stage, "um"))
    with system_session() as session:
        frozen = intake._claim(session)
    _let_leases_end()
    journal(stage, text_body(stage, "dois"))
    with system_session() as session:
        other = intake._claim(session)

    assert frozen is not None
    with system_session() as session:
        intake._mark(session, frozen)

    assert other is not None
    assert intake.understand_next() == 0, "the other one still has the channel"
    with system_session() as session:
        intake._mark(session, other)
    assert [row.status for row in journal_rows(stage)] == ["applied"] * 2


def test_a_channel_waits_for_no_lease_when_the_database_was_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has its webhooks in hand gives the channel back as soon as that is possible."""
    events, sessions = intake._apply_events, intake.system_session
    away = iter([True])

    @contextmanager
    def system_session_that_comes_back(limits: Limits) -> Iterator[Session]:
        if next(away, False):
            raise DatabaseAway()
        with sessions(limits) as session:
            yield session

    def stumble_at_first(tenant_id: UUID, pieces: Any) -> None:
        monkeypatch.setattr(intake, "system_session", system_session_that_comes_back)
        monkeypatch.setattr(intake, "_apply_events", events)
        raise DatabaseAway()

    monkeypatch.setattr(intake, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(intake, "_apply_events", stumble_at_first)
    journal(stage, text_body(stage, "Oi"))

    with pytest.raises(DatabaseAway):
        intake.understand_due()
    understood = intake.understand_next()

    assert understood == 1
    assert [row.status for row in journal_rows(stage)] == ["applied"]
