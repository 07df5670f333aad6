"""The listener: facts from a real Redis to open tabs, bursts, overflow, a lost Redis, ended sign-ins."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from redis.asyncio import Redis

from console import live as listening
from console.live import Live, LiveFigures, LiveState, SignInMoved, Subscription
from engine.client import Fact, channel_of

ACME, GLOBEX = "acme", "globex"


@dataclass
class Ears:
    """A tab that writes down what it is told."""

    live: Live
    tenant_id: str = ACME
    sign_in: str = "s1"
    batches: list[list[Fact]] = field(default_factory=list)
    resyncs: int = 0
    states: list[LiveState] = field(default_factory=list)
    moved: list[SignInMoved] = field(default_factory=list)
    fails: bool = False

    def subscribe(self) -> Subscription:
        """Opens its ear."""
        subscription = Subscription(
            self.tenant_id, self.sign_in, self.deliver, self.resync, self.states.append, self.moved.append
        )
        self.live.subscribe(subscription)
        return subscription

    def deliver(self, facts: list[Fact]) -> None:
        """Takes a batch, or breaks."""
        if self.fails:
            raise RuntimeError("its document is gone")
        self.batches.append(facts)

    def resync(self) -> None:
        """Counts, or breaks."""
        if self.fails:
            raise RuntimeError("its document is gone")
        self.resyncs += 1

    @property
    def ids(self) -> list[str]:
        """The rows it heard of, in order."""
        return [str(one.data["id"]) for batch in self.batches for one in batch]


def told(row: str) -> str:
    """A published fact."""
    return json.dumps({"kind": "campaign.changed", "id": "f", "at": "now", "data": {"id": row}})


async def until(true: Callable[[], bool], *, seconds: float = 8.0) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is whatever the test says
            await asyncio.sleep(0.01)


def with_live(redis_url: str, story: Callable[[Live, Redis], Coroutine[Any, Any, None]]) -> str:
    """Runs a story with a listener; gives the figures it left."""
    registry = CollectorRegistry()

    async def run() -> None:
        redis = Redis.from_url(redis_url)
        live = Live(redis, LiveFigures(registry))
        async with live.listening():
            await until(lambda: live.state is LiveState.LIVE)
            await story(live, redis)
        await redis.aclose()

    asyncio.run(run())
    return generate_latest(registry).decode()


def test_facts_reach_the_tabs_of_their_company_and_no_other(redis_url: str) -> None:
    heard: dict[str, list[str]] = {}

    async def story(live: Live, redis: Redis) -> None:
        acme, globex = Ears(live), Ears(live, GLOBEX)
        acme.subscribe(), globex.subscribe()
        await redis.publish(channel_of(ACME), told("a"))
        await redis.publish(channel_of(GLOBEX), told("g"))
        await until(lambda: bool(acme.batches and globex.batches))
        heard.update(acme=acme.ids, globex=globex.ids)

    with_live(redis_url, story)

    assert heard == {"acme": ["a"], "globex": ["g"]}


def test_a_burst_is_handed_over_in_few_batches_and_in_order(redis_url: str) -> None:
    batches: list[list[Fact]] = []
    order: list[str] = []

    async def story(live: Live, redis: Redis) -> None:
        ears = Ears(live)
        ears.subscribe()
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(300):
                pipe.publish(channel_of(ACME), told(str(number)))
            await pipe.execute()
        await until(lambda: len(ears.ids) == 300)
        batches.extend(ears.batches)
        order.extend(ears.ids)

    with_live(redis_url, story)

    assert order == [str(number) for number in range(300)]
    assert len(batches) < 60


def test_a_tab_that_overflows_is_told_to_fetch_afresh(redis_url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(listening, "QUEUE_LIMIT", 10)
    monkeypatch.setattr(listening, "WINDOW_SECONDS", 0.3)
    seen: list[int] = []

    async def story(live: Live, redis: Redis) -> None:
        ears = Ears(live)
        ears.subscribe()
        for number in range(30):
            await redis.publish(channel_of(ACME), told(str(number)))
        await until(lambda: ears.resyncs > 0)
        seen.append(len(ears.ids))

    figures = with_live(redis_url, story)

    assert seen == [0]
    assert "console_overflows_total 1.0" in figures


def test_what_is_no_fact_is_passed_over(redis_url: str) -> None:
    heard: list[str] = []

    async def story(live: Live, redis: Redis) -> None:
        ears = Ears(live)
        ears.subscribe()
        await redis.publish(channel_of(ACME), "nonsense")
        await redis.publish(channel_of(ACME), told("a"))
        await until(lambda: bool(ears.batches))
        heard.extend(ears.ids)

    with_live(redis_url, story)

    assert heard == ["a"]


def test_a_message_that_nobody_understands_does_not_end_the_listening(redis_url: str) -> None:
    seen: list[object] = []

    async def story(live: Live, redis: Redis) -> None:
        ears = Ears(live)
        ears.subscribe()
        await redis.publish(listening.SIGN_INS_CHANNEL, "nonsense")
        await redis.publish(listening.SIGN_INS_CHANNEL, "[]")
        await redis.publish(channel_of(ACME), told("a"))
        await until(lambda: bool(ears.batches))
        seen.extend([ears.ids, ears.resyncs, live.is_listening])

    with_live(redis_url, story)

    assert seen == [["a"], 0, True]


def test_a_listener_that_breaks_begins_anew(redis_url: str, monkeypatch: Any) -> None:
    heard: list[str] = []

    async def story(live: Live, redis: Redis) -> None:
        ears = Ears(live)
        ears.subscribe()
        whole = live._hear

        async def broken(_: Any) -> None:
            live._hear = whole  # type: ignore[method-assign]
            raise KeyError("type")

        live._hear = broken  # type: ignore[method-assign]
        await redis.client_kill_filter(_type="pubsub")
        await until(lambda: ears.resyncs == 2)
        await redis.publish(channel_of(ACME), told("after"))
        await until(lambda: bool(ears.batches))
        heard.extend(ears.ids)

    with_live(redis_url, story)

    assert heard == ["after"]


def test_readiness_can_tell_that_nobody_listens_any_more(redis_url: str) -> None:
    seen: list[bool] = []

    async def run() -> None:
        redis = Redis.from_url(redis_url)
        live = Live(redis, LiveFigures(CollectorRegistry()))
        seen.append(live.is_listening)
        async with live.listening():
            seen.append(live.is_listening)
        seen.append(live.is_listening)
        await redis.aclose()

    asyncio.run(run())

    assert seen == [False, True, False]


def test_a_broken_tab_is_dropped_and_its_neighbours_hear_on(redis_url: str) -> None:
    left: list[int] = []

    async def story(live: Live, redis: Redis) -> None:
        broken, well = Ears(live, fails=True), Ears(live)
        broken.subscribe(), well.subscribe()
        await redis.publish(channel_of(ACME), told("a"))
        await until(lambda: well.ids == ["a"] and len(live.tabs) == 1)
        left.append(len(live.tabs))

    figures = with_live(redis_url, story)

    assert left == [1]
    assert "console_tabs 1.0" in figures


def test_dropping_twice_counts_once(redis_url: str) -> None:
    async def story(live: Live, redis: Redis) -> None:
        subscription = Ears(live).subscribe()
        live.drop(subscription)
        live.drop(subscription)

    assert "console_tabs 0.0" in with_live(redis_url, story)


def test_after_redis_was_lost_every_tab_fetches_afresh_and_hears_again(redis_url: str) -> None:
    ears_left: list[Ears] = []

    async def story(live: Live, redis: Redis) -> None:
        ears = Ears(live)
        ears.subscribe()
        await redis.client_kill_filter(_type="pubsub")
        await until(lambda: ears.resyncs == 1)
        await redis.publish(channel_of(ACME), told("after"))
        await until(lambda: ears.ids == ["after"])
        ears_left.append(ears)

    figures = with_live(redis_url, story)

    assert ears_left[0].states == [LiveState.RECONNECTING, LiveState.LIVE]
    assert "console_redis_reconnects_total 1.0" in figures


def test_an_ended_sign_in_reaches_its_tabs_in_every_process(redis_url: str) -> None:
    seen: dict[str, list[SignInMoved]] = {}

    async def story(live: Live, redis: Redis) -> None:
        mine, other = Ears(live), Ears(live, sign_in="s2")
        mine.subscribe(), other.subscribe()
        await live.announce(SignInMoved("s1"))
        await until(lambda: bool(mine.moved))
        seen.update(mine=mine.moved, other=other.moved)

    with_live(redis_url, story)

    assert seen == {"mine": [SignInMoved("s1")], "other": []}


def test_a_sign_in_that_changed_company_leaves_tabs_of_the_new_company_alone(redis_url: str) -> None:
    seen: dict[str, int] = {}

    async def story(live: Live, redis: Redis) -> None:
        old, new = Ears(live, ACME), Ears(live, GLOBEX)
        old.subscribe(), new.subscribe()
        await live.announce(SignInMoved("s1", GLOBEX))
        await until(lambda: bool(old.moved))
        seen.update(old=len(old.moved), new=len(new.moved))

    with_live(redis_url, story)

    assert seen == {"old": 1, "new": 0}
