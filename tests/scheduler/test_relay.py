"""The relay: each company hears its own facts, merged so that the newest and the sum count; reactions happen once."""

import ast
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core import redis as core_redis
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import tenant_session
from engine.core.events import Fact, emit
from engine.core.ids import uuid7
from engine.core.settings import project_root, settings
from engine.core.system import system_session
from engine.messaging.counters import Steps
from engine.scheduler import reactions, relay
from engine.scheduler.reactions import REACTIONS, react_due, reactions_wait
from engine.scheduler.relay import SHOWN, facts_wait, relay_due

# Stated for who may ask for it later; neither a screen nor a reaction does today.
STATED_ONLY = {"contact.opted_out"}
# Put together by the relay and shown as `activity.changed`.
MERGED = {"activity.moved"}

type Heard = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def heard_by(database: DatabaseUrls, valkey_url: str) -> Iterator[Callable[[UUID], Heard]]:
    """Subscribes as a company; the answer tells what it heard since the last look."""
    client = redis.Redis.from_url(valkey_url)
    listeners = []

    def subscribe(tenant_id: UUID) -> Heard:
        listener = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        listeners.append(listener)
        listener.subscribe(f"tenant:{tenant_id}")
        listener.get_message(timeout=1)  # the word that we are subscribed

        def heard() -> list[dict[str, Any]]:
            client.publish(f"tenant:{tenant_id}", b"null")
            facts = []
            while (message := listener.get_message(timeout=2)) is not None and message["data"] != b"null":
                facts.append(orjson.loads(message["data"]))
            return facts

        return heard

    yield subscribe
    for listener in listeners:
        listener.close()
    client.close()


def state(tenant_id: UUID, *facts: Fact) -> None:
    with tenant_session(tenant_id) as session:
        for fact in facts:
            emit(session, fact)


def changed(revision: int, **data: Any) -> Fact:
    return Fact("campaign.changed", {"id": "c-1", "revision": revision, **data})


def pending(tenant_id: UUID) -> list[Any]:
    with tenant_session(tenant_id) as session:
        return list(
            session.execute(
                text(
                    "select reaction, payload, attempts, last_error, due_at > now() as waits from reactions order by id"
                )
            )
        )


def test_a_company_hears_its_own_facts_and_nobody_elses(heard_by: Callable[[UUID], Heard]) -> None:
    ours, theirs = uuid4(), uuid4()
    we_heard, they_heard = heard_by(ours), heard_by(theirs)

    state(theirs, Fact("contact.changed", {"id": "b", "revision": 1}))
    relay_due()
    silence = we_heard()
    state(ours, Fact("contact.changed", {"id": "a", "revision": 1}))
    state(theirs, Fact("messages.changed", {"items": []}))
    relay_due()

    assert silence == []
    assert [fact["data"]["id"] for fact in we_heard()] == ["a"]
    assert [fact["kind"] for fact in they_heard()] == ["contact.changed", "messages.changed"]


def test_equal_ids_of_two_companies_are_not_merged(heard_by: Callable[[UUID], Heard]) -> None:
    ours, theirs = uuid4(), uuid4()
    we_heard, they_heard = heard_by(ours), heard_by(theirs)
    state(ours, changed(1))
    state(theirs, changed(9))

    relay_due()

    assert [fact["data"]["revision"] for fact in we_heard()] == [1]
    assert [fact["data"]["revision"] for fact in they_heard()] == [9]


def test_a_fact_on_the_wire_says_what_it_is_and_when(heard_by: Callable[[UUID], Heard]) -> None:
    tenant_id = uuid4()
    heard = heard_by(tenant_id)
    state(tenant_id, changed(3, status="running"))

    relay_due()

    [fact] = heard()
    assert fact.keys() == {"kind", "id", "at", "data"}
    assert (fact["kind"], fact["data"]) == (
        "campaign.changed",
        {"id": "c-1", "revision": 3, "status": "running"},
    )


def test_of_several_revisions_the_newest_is_shown_whatever_their_order(
    heard_by: Callable[[UUID], Heard],
) -> None:
    tenant_id = uuid4()
    heard = heard_by(tenant_id)
    state(tenant_id, changed(2), changed(3, status="paused"), changed(1))

    relay_due()

    assert [fact["data"] for fact in heard()] == [{"id": "c-1", "revision": 3, "status": "paused"}]


def test_gates_that_moved_are_put_together_into_one_reaction(database: DatabaseUrls) -> None:
    tenant_id = uuid4()
    state(tenant_id, *(Fact("sends.moved", {"gates": gates}) for gates in (["b", "a"], ["a"], ["c"])))

    relay_due()

    assert [(row.reaction, row.payload) for row in pending(tenant_id)] == [
        ("campaigns.follow_sends", {"gates": ["a", "b", "c"]})
    ]


def test_activity_is_shown_as_it_stands_and_not_as_it_moved(heard_by: Callable[[UUID], Heard]) -> None:
    tenant_id, channel_id = uuid4(), uuid7()
    heard = heard_by(tenant_id)
    at = "2026-11-20T12:15:00+00:00"
    bucket = datetime.fromisoformat(at)
    with tenant_session(tenant_id) as session:
        happenings = Counter({(bucket, channel_id, "sent"): 7, (bucket, channel_id, "read"): 2})
        Steps(happenings=happenings).write(session)
    relay_due()
    heard()
    moved = [at, str(channel_id)]
    state(tenant_id, *(Fact("activity.moved", {"cells": [cell]}) for cell in (moved, moved)))

    relay_due()

    [fact] = heard()
    assert fact["kind"] == "activity.changed"
    assert fact["data"]["buckets"] == [
        {"at": at, "channel_id": str(channel_id), "sent": 7, "read": 2, "revision": 2}
    ]


def test_activity_that_moved_to_another_quarter_is_shown_as_the_newer(
    heard_by: Callable[[UUID], Heard],
) -> None:
    tenant_id, channel_id = uuid4(), uuid7()
    heard = heard_by(tenant_id)
    noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    for bucket, n in ((noon, 5), (noon, -2)):
        with tenant_session(tenant_id) as session:
            Steps(happenings=Counter({(bucket, channel_id, "sent"): n})).write(session)
        relay_due()

    told = [bucket for fact in heard() for bucket in fact["data"]["buckets"]]
    assert [bucket["sent"] for bucket in told] == [5, 3]
    assert told[0]["revision"] < told[1]["revision"]


def test_what_nobody_shows_is_not_shown(heard_by: Callable[[UUID], Heard]) -> None:
    tenant_id = uuid4()
    heard = heard_by(tenant_id)
    state(
        tenant_id, Fact("contact.opted_out", {"id": "a"}), Fact("gate.closed", {"gate_id": "g", "code": "x"})
    )

    relay_due()

    assert heard() == []


def test_without_redis_the_reactions_are_written_all_the_same(
    database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = uuid4()
    state(tenant_id, changed(1), Fact("sends.moved", {"gates": ["a"]}))

    with monkeypatch.context() as away:
        away.setenv("MASTERIA_REDIS_URL", "redis://127.0.0.1:1/0")
        settings.cache_clear()
        core_redis.client.cache_clear()
        relay_due()
    settings.cache_clear()
    core_redis.client.cache_clear()

    assert len(pending(tenant_id)) == 1
    with system_session() as session:
        assert not facts_wait(session)


def test_relays_that_run_at_once_pass_each_fact_on_once(
    heard_by: Callable[[UUID], Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = uuid4()
    heard = heard_by(tenant_id)
    state(tenant_id, *(Fact("contact.changed", {"id": str(n), "revision": 1}) for n in range(60)))
    monkeypatch.setattr(relay, "BATCH", 5)

    def pass_on() -> None:
        with system_session() as session:
            waits = facts_wait(session)
        while waits:
            relay_due()
            with system_session() as session:
                waits = facts_wait(session)

    run_at_once(pass_on, 4)

    assert Counter(fact["data"]["id"] for fact in heard()) == Counter(str(n) for n in range(60))


def run_at_once(work: Callable[[], object], copies: int) -> None:
    start = threading.Barrier(copies)

    def begin() -> None:
        start.wait()
        work()

    threads = [threading.Thread(target=begin) for _ in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def count_gate(session: Session, fact: Mapping[str, Any]) -> None:
    """A reaction whose effect can be counted."""
    session.execute(text("insert into gates (id, reason) values (uuidv7(), :n)"), {"n": str(fact["n"])})


def gates_of(tenant_id: UUID) -> list[str]:
    with tenant_session(tenant_id) as session:
        return list(session.scalars(text("select reason from gates order by reason::int")))


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Wires reactions to a fact of the tests'."""

    def wire(**by_name: Callable[[Session, Mapping[str, Any]], None]) -> None:
        wiring = {**REACTIONS, "test.happened": by_name}
        monkeypatch.setattr(reactions, "REACTIONS", wiring)
        monkeypatch.setattr(relay, "REACTIONS", wiring)

    return wire


def test_a_reaction_has_its_effect_once_however_many_run_it(
    database: DatabaseUrls, wired: Callable[..., None]
) -> None:
    wired(count=count_gate)
    tenant_id = uuid4()
    state(tenant_id, *(Fact("test.happened", {"n": n}) for n in range(30)))
    relay_due()

    run_at_once(react_due, 4)

    assert gates_of(tenant_id) == [str(n) for n in range(30)]
    assert pending(tenant_id) == []


def test_a_reaction_that_fails_is_kept_with_its_error_and_keeps_nobody_waiting(
    database: DatabaseUrls, wired: Callable[..., None]
) -> None:
    tenant_id, other = uuid4(), uuid4()
    mended: list[bool] = []

    def fail(session: Session, fact: Mapping[str, Any]) -> None:
        count_gate(session, fact)
        if fact["n"] == 1 and not mended:
            session.execute(text("select 1 / 0"))

    wired(fail=fail)
    state(tenant_id, *(Fact("test.happened", {"n": n}) for n in range(3)))
    state(other, Fact("test.happened", {"n": 7}))
    relay_due()

    react_due()
    kept = pending(tenant_id)
    react_due()
    neighbours = gates_of(tenant_id)
    mended.append(True)
    with tenant_session(tenant_id) as session:
        session.execute(text("update reactions set due_at = now()"))
    react_due()

    assert [(row.payload, row.attempts, row.waits) for row in kept] == [({"n": 1}, 1, True)]
    assert "division by zero" in kept[0].last_error
    assert (neighbours, gates_of(other)) == (["0", "2"], ["7"]), "its own half-done effect is undone"
    assert gates_of(tenant_id) == ["0", "1", "2"]
    with system_session() as session:
        assert not reactions_wait(session)


def test_a_reaction_that_no_code_knows_any_more_is_kept(
    database: DatabaseUrls, wired: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wired(gone=count_gate)
    tenant_id = uuid4()
    state(tenant_id, Fact("test.happened", {"n": 1}))
    relay_due()
    monkeypatch.setattr(reactions, "REACTIONS", REACTIONS)

    react_due()

    assert [(row.attempts, gates_of(tenant_id)) for row in pending(tenant_id)] == [(1, [])]


def kinds_stated() -> dict[str, str]:
    """Every kind of fact that the engine states, and a file where it does."""
    found: dict[str, str] = {}
    root = project_root()
    for file in sorted((root / "engine").rglob("*.py")):
        if file.is_relative_to(root / "engine/client"):
            continue  # there a fact is what comes over the wire
        tree = ast.parse(file.read_text())
        named = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fact":
                kind = node.args[0]
                name = kind.value if isinstance(kind, ast.Constant) else named[ast.unparse(kind)]
                found[str(name)] = str(file.relative_to(root))
    return found


def test_every_fact_is_shown_or_reacted_to_or_listed_as_stated_only() -> None:
    stated = kinds_stated()

    assert {"campaign.changed", "session.revoked", "message.received"} <= stated.keys()
    assert stated.keys() - SHOWN - REACTIONS.keys() - MERGED - STATED_ONLY == set()
    assert (SHOWN | REACTIONS.keys()) - stated.keys() == {"activity.changed"}, (
        "nothing waits for what is never stated"
    )
