"""Conversations over HTTP: the inbox, a thread, a reply, a file."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.accounts.models import Role
from engine.core.ids import uuid7
from engine.core.settings import settings
from engine.messaging.counters import Steps
from engine.messaging.inbound import receive
from engine.messaging.models import MediaFile
from engine.messaging.storage.local import LocalStore
from tests.messaging.receiving import Stage, set_stage, written


@pytest.fixture
def caller(world: Any) -> Any:
    return world.caller(Role.AGENT)


@pytest.fixture
def stage(caller: Any) -> Stage:
    return set_stage(tenant_id=caller.tenant_id)


def hear(stage: Stage, **given: Any) -> UUID:
    """Somebody writes; the message's id."""
    with stage.session() as session:
        steps = Steps()
        message_id = receive(session, stage.channel(session), written(stage, **given), steps)
        steps.write(session)
    assert message_id is not None
    return message_id


def test_the_inbox_shows_what_the_facts_told(caller: Any, stage: Stage) -> None:
    hear(stage, text="Oi, quero saber o preço")

    item = caller.http.get("/v1/conversations").json()["items"][0]

    fact = stage.one("select payload from outbox where kind = 'conversation.changed'")
    told_at = datetime.fromisoformat(fact["last_message"].pop("at"))
    shown_at = datetime.fromisoformat(item["last_message"].pop("at"))
    assert datetime.fromisoformat(fact.pop("window_expires_at")) == datetime.fromisoformat(
        item.pop("window_expires_at")
    )
    assert (item, shown_at) == (fact, told_at)


def test_a_reply_under_one_key_is_sent_once(caller: Any, stage: Stage) -> None:
    hear(stage)
    thread = caller.http.get("/v1/conversations").json()["items"][0]["id"]

    answers = [
        caller.http.post(
            f"/v1/conversations/{thread}/messages", json={"text": "Olá!"}, headers={"Idempotency-Key": "k1"}
        )
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert stage.one("select count(*) from messages where direction = 'out'") == 1
    shown = caller.http.get(f"/v1/conversations/{thread}/messages").json()["items"]
    assert [(item["direction"], item["text"], item["state"]) for item in shown] == [
        ("out", "Olá!", "queued"),
        ("in", "Oi", "received"),
    ]


def test_a_reply_after_the_window_is_422_in_the_readers_language(caller: Any, stage: Stage) -> None:
    hear(stage, occurred_at=datetime.now(UTC) - timedelta(hours=30))
    thread = caller.http.get("/v1/conversations").json()["items"][0]["id"]

    answer = caller.http.post(f"/v1/conversations/{thread}/messages", json={"text": "Olá!"})

    assert (answer.status_code, answer.json()["code"]) == (422, "window_closed")


def test_reading_clears_the_unread(caller: Any, stage: Stage) -> None:
    hear(stage)
    thread = caller.http.get("/v1/conversations?unread=true").json()["items"][0]["id"]

    answer = caller.http.post(f"/v1/conversations/{thread}/read")

    assert (answer.status_code, answer.json()["unread"]) == (200, 0)
    assert caller.http.get("/v1/conversations?unread=true").json() == {"items": [], "next": None}


def test_a_file_comes_as_something_to_save_and_to_nobody_else(
    caller: Any, stage: Stage, world: Any, tmp_path: Any
) -> None:
    message_id = hear(stage, kind="image", text=None)
    key, content = f"{stage.tenant_id}/202611/{'0' * 32}", b"\xff\xd8\xff-a-picture"
    (tmp_path / "draft").write_bytes(content)
    LocalStore(settings().media_dir).put(key, tmp_path / "draft")
    file = MediaFile(
        id=uuid7(),
        channel_id=stage.channel_id,
        message_id=message_id,
        provider_media_id="1",
        status="stored",
        path=key,
        mime_type="image/jpeg",
        filename='ação".jpg',
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    with stage.session() as session:
        session.add(file)
    thread = caller.http.get("/v1/conversations").json()["items"][0]["id"]

    shown = caller.http.get(f"/v1/conversations/{thread}/messages").json()["items"][0]["media"]
    answer = caller.http.get(shown["url"])
    foreign = world.caller(Role.OWNER, email="other@example.com").http.get(shown["url"])

    assert (answer.status_code, answer.content, foreign.status_code) == (200, content, 404)
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_an_analyst_reads_and_does_not_write(world: Any) -> None:
    caller = world.caller(Role.ANALYST)
    stage = set_stage(tenant_id=caller.tenant_id)
    hear(stage)
    thread = caller.http.get("/v1/conversations").json()["items"][0]["id"]

    answer = caller.http.post(f"/v1/conversations/{thread}/messages", json={"text": "x"})

    assert answer.status_code == 403
