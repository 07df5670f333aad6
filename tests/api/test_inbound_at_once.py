"""From the door to the screens: many copies of one webhook at once, and two messages that come all but together."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import orjson
import pytest
import redis

from engine.core.bootstrap import DatabaseUrls
from engine.messaging import intake
from engine.scheduler.relay import relay_due
from tests.api.served import PATIENCE, Served, serving, wait_for
from tests.messaging.receiving import Stage, facts, journal_rows, set_stage, sign, text_body

COPIES = 50
APART = 0.005  # seconds


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


@pytest.fixture
def doors(stage: Stage) -> Iterator[Sequence[Served]]:
    """Two of them, each with batches of its own."""
    with serving() as one, serving() as other:
        yield one, other


@contextmanager
def workers() -> Iterator[None]:
    """Four that understand webhooks for as long as the block lasts; what breaks in one is told at its end."""
    end = threading.Event()
    faults: list[Exception] = []

    def understand() -> None:
        while not end.wait(0.005):
            try:
                intake.understand_due()
            except Exception as error:  # noqa: BLE001 - asserted below
                faults.append(error)

    threads = [threading.Thread(target=understand) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert faults == []


async def post(doors: Sequence[Served], stage: Stage, bodies: Sequence[bytes], apart: float) -> set[int]:
    """Post the bodies to the doors in turn, each so long after the one before; the statuses of the answers."""

    async def post_one(client: httpx.AsyncClient, n: int, body: bytes) -> int:
        await asyncio.sleep(n * apart)
        answer = await client.post(
            f"http://127.0.0.1:{doors[n % len(doors)].port}/hooks/whatsapp_cloud/{stage.channel_id}",
            content=body,
            headers={"X-Hub-Signature-256": sign(body)},
        )
        return answer.status_code

    async with httpx.AsyncClient(timeout=30) as client:
        return set(await asyncio.gather(*(post_one(client, n, body) for n, body in enumerate(bodies))))


def take_all(
    doors: Sequence[Served], stage: Stage, bodies: Sequence[bytes], *, apart: float = 0.0
) -> set[int]:
    """Post the bodies while workers understand what has come; done when nothing waits any more."""
    with workers():
        statuses = asyncio.run(post(doors, stage, bodies, apart))
        wait_for(lambda: all(row.status == "applied" for row in journal_rows(stage)))
    return statuses


def shown(stage: Stage, valkey_url: str) -> Counter[str]:
    """What screens hear when all facts are passed on, by kind."""
    with redis.Redis.from_url(valkey_url) as client, client.pubsub() as screen:
        screen.subscribe(f"tenant:{stage.tenant_id}")
        screen.get_message(timeout=PATIENCE)  # that it listens
        while relay_due():
            continue
        client.publish(f"tenant:{stage.tenant_id}", b'{"kind": "the end"}')
        heard: Counter[str] = Counter()
        while "the end" not in heard:
            told = screen.get_message(timeout=PATIENCE)
            assert told is not None, "nothing is heard"
            heard[orjson.loads(told["data"])["kind"]] += 1
    return heard


def test_fifty_copies_of_a_webhook_at_once_are_one_message_and_are_told_once(
    doors: Sequence[Served], stage: Stage, valkey_url: str
) -> None:
    body = text_body(stage, provider_id="wamid.same")
    copies = [
        body + b" " * (n // 2) for n in range(COPIES)
    ]  # each twice; of other bytes the journal keeps each

    statuses = take_all(doors, stage, copies)

    assert statuses == {200}
    assert len(journal_rows(stage)) == COPIES // 2
    assert (stage.count("messages"), stage.count("conversations"), stage.count("contacts")) == (1, 1, 1)
    assert stage.one("select unread from conversations") == 1
    assert stage.rows("select measure, n from activity") == [("received", 1)]
    assert len(facts(stage, "message.received")) == 1
    heard = shown(stage, valkey_url)
    assert (heard["conversation.changed"], heard["messages.changed"]) == (1, 1)
    assert stage.rows("select reaction from reactions") == [("campaigns.credit_reply",)]


def test_two_messages_five_milliseconds_apart_are_two_in_one_thread(
    doors: Sequence[Served], stage: Stage, valkey_url: str
) -> None:
    bodies = [text_body(stage, words, provider_id=f"wamid.{words}") for words in ("um", "dois")]

    statuses = take_all(doors, stage, bodies, apart=APART)

    assert statuses == {200}
    assert (stage.count("messages"), stage.count("conversations"), stage.count("contacts")) == (2, 1, 1)
    assert stage.one("select unread from conversations") == 2
    received = facts(stage, "message.received")
    assert sorted(fact["text"] for fact in received) == ["dois", "um"]
    assert len({fact["message_id"] for fact in received}) == 2
    assert len({fact["conversation_id"] for fact in received}) == 1
    # Each message is told; of the thread itself only the newest state, if both are passed on together.
    assert shown(stage, valkey_url)["messages.changed"] == 2
    assert stage.rows("select reaction from reactions") == [("campaigns.credit_reply",)] * 2
