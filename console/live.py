"""Live facts: one Redis listener per process, fanned out to the open tabs.

A tab subscribes to its company. What comes within one window of 15 ms is handed over at once, so a burst costs
one document lock and one frame on the wire. Nothing here waits for a slow tab: its queue is bounded, and a tab
that overflows is told to fetch afresh. After Redis was lost, every tab fetches afresh: what was published in
between is gone.
"""

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from engine.client import Fact, channel_of, read_fact

log = logging.getLogger("console.live")

FACTS_PATTERN = "tenant:*"
# Sign-ins that ended or moved to another company, told by the console process that saw it to all others.
SIGN_INS_CHANNEL = "console:sign-ins"

WINDOW_SECONDS = 0.015
QUEUE_LIMIT = 2_000
PING_SECONDS = 5.0
SILENCE_SECONDS = 15.0
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
# Past this the pill no longer promises that it comes back by itself soon.
PATIENCE_SECONDS = 30.0
# A whole process of tabs fetching at the same instant would knock the API over.
RESYNC_SPREAD_SECONDS = 2.0


class LiveState(StrEnum):
    """What the pill in the top bar says."""

    LIVE = "live"
    RECONNECTING = "reconnecting"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class SignInMoved:
    """A sign-in ended (`tenant_id` empty) or is now for another company."""

    sign_in: str
    tenant_id: str = ""


@dataclass(eq=False, slots=True)
class Subscription:
    """One open tab: what to call when something comes. All calls happen on the loop."""

    tenant_id: str
    sign_in: str
    deliver: Callable[[list[Fact]], None]
    resync: Callable[[], None]
    show_state: Callable[[LiveState], None]
    sign_in_moved: Callable[[SignInMoved], None]
    queue: list[Fact] = field(default_factory=list)
    scheduled: bool = False
    overflowed: bool = False


class LiveFigures:
    """What `/metrics` tells of the listener."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.facts = Counter("console_facts_total", "Facts heard on Redis.", registry=registry)
        self.deliveries = Counter("console_deliveries_total", "Batches handed to tabs.", registry=registry)
        self.overflows = Counter("console_overflows_total", "Tabs told to fetch afresh.", registry=registry)
        self.failures = Counter(
            "console_delivery_failures_total", "Tabs that failed to draw.", registry=registry
        )
        self.reconnects = Counter(
            "console_redis_reconnects_total", "Redis lost and found.", registry=registry
        )
        self.tabs = Gauge("console_tabs", "Open tabs.", registry=registry)
        self.connected = Gauge("console_redis_connected", "1 while facts are heard.", registry=registry)


class Live:
    """The listener and the registry of open tabs. `subscribe` and `drop` may be called from any thread."""

    def __init__(self, redis: Redis, figures: LiveFigures) -> None:
        self._redis = redis
        self._figures = figures
        self._lock = threading.Lock()
        self._tabs: dict[str, tuple[Subscription, ...]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.state = LiveState.RECONNECTING

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listens for as long as the block runs."""
        self._loop = asyncio.get_running_loop()
        task = self._task = asyncio.create_task(self._listen(), name="live")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def subscribe(self, subscription: Subscription) -> None:
        """Opens a tab's ear: from now on facts of its company reach it."""
        with self._lock:
            held = self._tabs.get(subscription.tenant_id, ())
            self._tabs[subscription.tenant_id] = (*held, subscription)
            self._figures.tabs.inc()

    def drop(self, subscription: Subscription) -> None:
        """Forgets a tab; doing it twice is fine."""
        with self._lock:
            held = self._tabs.get(subscription.tenant_id, ())
            left = tuple(one for one in held if one is not subscription)
            if len(left) == len(held):
                return
            if left:
                self._tabs[subscription.tenant_id] = left
            else:
                self._tabs.pop(subscription.tenant_id, None)
            self._figures.tabs.dec()

    @property
    def tabs(self) -> list[Subscription]:
        """Every open tab of this process."""
        with self._lock:
            return [tab for held in self._tabs.values() for tab in held]

    @property
    def is_listening(self) -> bool:
        """Whether somebody listens, be it to a Redis that is away at the moment."""
        return self._task is not None and not self._task.done()

    async def announce(self, moved: SignInMoved) -> None:
        """Tells every console process, this one too, that a sign-in ended or changed company."""
        told = json.dumps({"sign_in": moved.sign_in, "tenant_id": moved.tenant_id})
        await self._redis.publish(SIGN_INS_CHANNEL, told)

    async def _listen(self) -> None:
        attempt = 0
        lost_at: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.psubscribe(FACTS_PATTERN)
                    await pubsub.subscribe(SIGN_INS_CHANNEL)
                    self._show(LiveState.LIVE)
                    if lost_at is not None:
                        self._figures.reconnects.inc()
                        self._resync_all()
                    attempt, lost_at = 0, None
                    await self._hear(pubsub)
            except (RedisError, OSError, TimeoutError) as error:
                lost_at = lost_at if lost_at is not None else loop.time()
                log.warning("live facts are away: %s", error)
            except Exception:  # whatever it is: screens that stand still for good would be worse
                lost_at = lost_at if lost_at is not None else loop.time()
                log.exception("the listener broke and begins anew")
            patience_ended = lost_at is not None and loop.time() - lost_at > PATIENCE_SECONDS
            self._show(LiveState.PAUSED if patience_ended else LiveState.RECONNECTING)
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    async def _hear(self, pubsub: PubSub) -> None:
        """Reads until the connection fails or is silent for too long (a half-open one never errs)."""
        loop = asyncio.get_running_loop()
        heard_at = asked_at = loop.time()
        while True:
            message = await pubsub.get_message(timeout=PING_SECONDS)
            now = loop.time()
            if message is not None:
                heard_at = now
                self._take_guarded(message)
            elif now - heard_at > SILENCE_SECONDS:
                raise TimeoutError("Redis is silent")
            if now - asked_at >= PING_SECONDS:
                asked_at = now
                await pubsub.ping()

    def _take_guarded(self, message: Mapping[str, Any]) -> None:
        try:
            self._take(message["type"], message["channel"], message["data"])
        except Exception:  # one message that nobody understands must not end the listening
            self._figures.failures.inc()
            log.exception("a message on %s could not be taken", message.get("channel"))

    def _take(self, kind: str, channel: bytes, data: bytes) -> None:
        if kind == "pmessage":
            self._figures.facts.inc()
            self._spread(channel.decode(), data)
        elif kind == "message":
            told = json.loads(data)
            self._move(SignInMoved(str(told.get("sign_in")), str(told.get("tenant_id") or "")))

    def _spread(self, channel: str, data: bytes) -> None:
        tenant_id = channel.removeprefix(channel_of(""))
        tabs = self._tabs.get(tenant_id)
        if not tabs:
            return
        fact = read_fact(data)
        if fact is None:
            log.warning("unreadable fact on %s", channel)
            return
        for tab in tabs:
            self._queue(tab, fact)

    def _queue(self, tab: Subscription, fact: Fact) -> None:
        if len(tab.queue) >= QUEUE_LIMIT:
            tab.overflowed = True
            tab.queue.clear()
        if not tab.overflowed:
            tab.queue.append(fact)
        if not tab.scheduled:
            tab.scheduled = True
            asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._flush, tab)

    def _flush(self, tab: Subscription) -> None:
        facts, tab.queue = tab.queue, []
        overflowed, tab.overflowed, tab.scheduled = tab.overflowed, False, False
        if overflowed:
            self._figures.overflows.inc()
            self._call(tab, tab.resync)
        elif facts:
            self._figures.deliveries.inc()
            self._call(tab, lambda: tab.deliver(facts))

    def _call(self, tab: Subscription, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # a tab that fails to draw must not silence the others
            self._figures.failures.inc()
            log.exception("a tab could not take facts; it is told to fetch afresh")
            self._drop_if_broken(tab)

    def _drop_if_broken(self, tab: Subscription) -> None:
        try:
            tab.resync()
        except Exception:  # noqa: BLE001 - its document is gone
            self.drop(tab)

    def _move(self, moved: SignInMoved) -> None:
        for tab in self.tabs:
            if tab.sign_in == moved.sign_in and tab.tenant_id != moved.tenant_id:
                self._call(tab, lambda tab=tab: tab.sign_in_moved(moved))  # type: ignore[misc]

    def _show(self, state: LiveState) -> None:
        self._figures.connected.set(state is LiveState.LIVE)
        if state is self.state:
            return
        self.state = state
        for tab in self.tabs:
            self._call(tab, lambda tab=tab: tab.show_state(state))  # type: ignore[misc]

    def _resync_all(self) -> None:
        tabs = self.tabs
        loop = asyncio.get_running_loop()
        for place, tab in enumerate(tabs):
            delay = RESYNC_SPREAD_SECONDS * place / max(len(tabs), 20)
            loop.call_later(delay, self._call, tab, tab.resync)


def of_kinds(facts: Iterable[Fact], *kinds: str) -> list[Fact]:
    """The facts of these kinds, in the order they came."""
    return [fact for fact in facts if fact.kind in kinds]
