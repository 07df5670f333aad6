"""Delivers updates: batched, signed, in parallel, again after growing gaps until the receiver says 200."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx

from engine.simulator.payloads import Notice, StatusUpdate, Update, encode, envelope, sign
from engine.simulator.phones import STATUS_WORDS, Event
from engine.simulator.store import Store
from engine.simulator.world import World

BATCH = 1000  # updates in one POST at most (Meta)
PARALLEL = 4  # POSTs under way to one endpoint
TIMEOUT = 20.0  # seconds a receiver has to answer
FIRST_GAP, LONGEST_GAP = 0.5, 600.0  # seconds between tries
GIVE_UP_AFTER = 7 * 24 * 3600.0  # seconds (Meta: up to seven days)

logger = logging.getLogger("masteria.simulator")


@dataclass(slots=True)
class Endpoint:
    """One receiver: its address, the key its bodies are signed with, and what waits for it."""

    url: str
    secret: str
    waiting: deque[Update] = field(default_factory=deque)
    under_way: int = 0


@dataclass(slots=True)
class Tally:
    """How many updates of one kind were posted, taken with 200, had nowhere to go, or were given up."""

    emitted: int = 0
    acknowledged: int = 0
    unrouted: int = 0
    given_up: int = 0


def kind_of(update: Update) -> str:
    """The word under which an update is counted."""
    if isinstance(update, Notice):
        return update.field
    return "reply" if update.event is Event.REPLY else STATUS_WORDS[update.event]


class Courier:
    """Carries updates to the addresses that the businesses gave."""

    def __init__(self, world: World, store: Store, retry: Callable[[float, Update], None]) -> None:
        self._world = world
        self._store = store
        self._retry = retry
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT,
            trust_env=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        )
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._uncounted: set[tuple[str, str]] = set()
        self.tallies: dict[tuple[str, str], Tally] = {}
        for number_id, kind, *counts in store.connection.execute("select * from tallies"):
            self.tallies[number_id, kind] = Tally(*counts)

    @property
    def waiting(self) -> int:
        """Updates whose POST has not begun."""
        return sum(len(endpoint.waiting) for endpoint in self._endpoints.values())

    @property
    def under_way(self) -> int:
        """POSTs not yet answered."""
        return len(self._tasks)

    async def forget(self) -> None:
        """Drops all that waits or is under way, and the counts."""
        self._endpoints.clear()
        await self._cut()
        self.tallies.clear()

    async def close(self) -> None:
        """Stops; what was not acknowledged goes out again after the next start."""
        await self._cut()
        self._save_tallies()
        await self._client.aclose()

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def routes(self, waba_id: str, number_id: str | None, kind: str) -> list[tuple[str, str]]:
        """(address, secret) for each subscribed app: the number's own address, else the account's, else the app's."""
        waba = self._world.wabas.get(waba_id)
        number = self._world.numbers.get(number_id or "")
        found = []
        for app_id, override in waba.subscriptions.items() if waba else ():
            app = self._world.apps[app_id]
            url = (number.override_url if number else "") or override or app.callback_url
            if url and (not app.fields or kind in app.fields):
                found.append((url, app.secret))
        return found

    def deliver(self, updates: list[Update]) -> None:
        """Queues updates that are due, and starts as many POSTs as may be under way."""
        routes: dict[tuple[str, str | None, str], list[tuple[str, str]]] = {}
        touched: dict[tuple[str, str], Endpoint] = {}
        for update in updates:
            place = self._place(update)
            if place not in routes:
                routes[place] = self.routes(*place)
            if not routes[place]:
                self._drop(update, unrouted=True)
            for route in routes[place]:
                endpoint = self._endpoints.get(route)
                if endpoint is None:
                    endpoint = self._endpoints[route] = Endpoint(*route)
                endpoint.waiting.append(update)
                touched[route] = endpoint
        self._save_tallies()
        for endpoint in touched.values():
            self._pump(endpoint)

    def _place(self, update: Update) -> tuple[str, str | None, str]:
        if isinstance(update, Notice):
            return update.waba_id, update.number_id, update.field
        number = self._world.numbers.get(update.sent.number_id)
        return (number.waba_id if number else ""), update.sent.number_id, "messages"

    def _pump(self, endpoint: Endpoint) -> None:
        while endpoint.waiting and endpoint.under_way < PARALLEL:
            batch = self._take(endpoint.waiting)
            endpoint.under_way += 1
            task = asyncio.get_running_loop().create_task(self._post(endpoint, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _take(waiting: deque[Update]) -> list[Update]:
        """The next batch; a raw payload travels alone, as it was given."""
        batch = [waiting.popleft()]
        if isinstance(batch[0], Notice) and batch[0].raw:
            return batch
        while waiting and len(batch) < BATCH:
            following = waiting[0]
            if isinstance(following, Notice) and following.raw:
                break
            batch.append(waiting.popleft())
        return batch

    async def _post(self, endpoint: Endpoint, batch: list[Update]) -> None:
        for update in batch:
            if update.attempt == 0:
                self._count(update, "emitted")
        try:
            body = encode(envelope(self._world, batch))
            response = await self._client.post(
                endpoint.url,
                content=body,
                headers={
                    "content-type": "application/json",
                    "user-agent": "facebookexternalua",
                    "x-hub-signature-256": sign(endpoint.secret, body),
                },
            )
            taken = response.status_code == 200
            if not taken:
                logger.info("webhook of %d updates answered %d", len(batch), response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            logger.info("webhook of %d updates failed: %s", len(batch), type(error).__name__)
            taken = False
        finally:
            endpoint.under_way -= 1
        for update in batch:
            self._settle(update, taken)
        self._save_tallies()
        self._pump(endpoint)

    def _settle(self, update: Update, taken: bool) -> None:
        if not taken:
            self._try_again(update)
            return
        self._count(update, "acknowledged")
        if isinstance(update, StatusUpdate):
            self._store.note_progress(update.sent.sequence, acked=int(update.event))
        else:
            self._store.write_later("delete from notices where id = ?", (update.id,))

    def _try_again(self, update: Update) -> None:
        now = time.time()
        began = update.created_at if isinstance(update, Notice) else update.at
        if now - began > GIVE_UP_AFTER:
            self._drop(update, unrouted=False)
            return
        gap = min(FIRST_GAP * 2**update.attempt, LONGEST_GAP)
        self._retry(now + gap, replace(update, attempt=update.attempt + 1))

    def _drop(self, update: Update, *, unrouted: bool) -> None:
        self._count(update, "unrouted" if unrouted else "given_up")
        if isinstance(update, StatusUpdate):
            self._store.note_progress(update.sent.sequence, dropped=int(update.event))
        else:
            self._store.write_later("delete from notices where id = ?", (update.id,))

    def _count(self, update: Update, field: str) -> None:
        number_id = update.sent.number_id if isinstance(update, StatusUpdate) else update.number_id or ""
        key = (number_id, kind_of(update))
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally()
        setattr(tally, field, getattr(tally, field) + 1)
        self._uncounted.add(key)

    def _save_tallies(self) -> None:
        """Stores the figures that changed."""
        for key in self._uncounted & self.tallies.keys():
            tally = self.tallies[key]
            self._store.write_later(
                "insert or replace into tallies values (?, ?, ?, ?, ?, ?)",
                (*key, tally.emitted, tally.acknowledged, tally.unrouted, tally.given_up),
            )
        self._uncounted.clear()
