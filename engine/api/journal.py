"""The journal of webhooks: many requests in one commit, on disk while the database is away.

One task owns the connection. While a batch commits, the next one gathers, so there is no timer and no waiting under
little load. When a batch can't be committed it goes to the spool, and so does everything after it until the spool has
been drained: webhooks reach the database in the order in which they came.
"""

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]

from engine.api.spool import Hook, Spool, SpoolDamaged
from engine.core.log import logger

MAX_ROWS = 1000
MAX_BYTES = 16 * 1024 * 1024  # of one batch
MAX_WAITING_BYTES = (
    128 * 1024 * 1024
)  # of all that waits in memory; beyond it we ask the provider to come again
TICK_SECONDS = 1.0
CONNECT_SECONDS = 2.0
COMMIT_SECONDS = 5.0
LOCK_SECONDS = 3.0
TOUCH_SECONDS = 10.0
DRAIN_FILES = 50  # per turn: new arrivals wait no longer than this takes

# What a database that is away, full, locked or not migrated yet may raise.
# The last one is asyncpg's word for a connection that the server closed while it was being prepared for use.
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_INSERT = """
with taken as (
  insert into webhook_journal (id, channel_id, tenant_id, received_at, body, digest)
  select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::bytea[], $6::bytea[])
  on conflict do nothing returning channel_id, id
)
insert into webhook_due (channel_id, id) select channel_id, id from taken
"""

# What a connection of our own is told once, and a pooled one in each transaction: a 200 promises that the webhook
# survives a crash, whatever the server's default is.
_PROMISES = {
    "synchronous_commit": "on",
    "statement_timeout": f"{COMMIT_SECONDS:.0f}s",
    "lock_timeout": f"{LOCK_SECONDS:.0f}s",
}
_PROMISE = "; ".join(f"set local {name} = '{value}'" for name, value in _PROMISES.items())

# Skips a channel that somebody is changing: the next webhook touches it again.
_TOUCH = """
with seen as (select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as s(tenant_id, id, at)),
free as (
  select c.tenant_id, c.id, seen.at from channels c join seen using (tenant_id, id) for no key update of c skip locked
)
update channels c set last_webhook_at = greatest(c.last_webhook_at, free.at)
from free where c.tenant_id = free.tenant_id and c.id = free.id
"""

log = logger(__name__)


# A webhook, and whom to tell whether it is durable.
type Waiting = tuple[Hook, Callable[[bool], None]]


class NotDurable(Exception):  # noqa: N818 - says what the webhook is
    """Neither the database nor the disk took it."""


class Journal:
    """Takes webhooks and answers once they are durable."""

    def __init__(
        self, url: str, spool: Spool, *, committed: Callable[[], None], pooled: bool = False
    ) -> None:
        """`pooled`: the address is that of a pooler, which gives each transaction a connection."""
        self._url = url
        self._pooled = pooled
        self._spool = spool
        self._committed = committed
        self._connection: asyncpg.Connection | None = None
        self._connecting: asyncio.Task[asyncpg.Connection] | None = None
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._next_try = 0.0
        self._touched: dict[UUID, tuple[UUID, datetime]] = {}
        self._touch_at = 0.0
        # True while older webhooks stand in the spool, or may: new ones must go behind them.
        self.behind = True

    async def start(self) -> None:
        """Begin; a database that is away does not stop the start."""
        self._is_connected()
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        await self._catch_up()
        self._task = asyncio.create_task(self._run(), name="webhook-journal")

    async def stop(self) -> None:
        """Make durable what still waits, then end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def write(self, hook: Hook) -> None:
        """Returns once the webhook is durable; raises NotDurable when nothing takes it."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def tell(is_durable: bool) -> None:
            if not written.done():  # else the caller went away; the webhook is kept all the same
                written.set_result(is_durable)

        self.take(hook, tell)
        if not await written:
            raise NotDurable

    def take(self, hook: Hook, tell: Callable[[bool], None]) -> None:
        """Have a webhook written; `tell` is called with whether it is durable. Raises NotDurable when too much waits."""
        if self._waiting_bytes > MAX_WAITING_BYTES or self._stopping:
            raise NotDurable
        self._waiting.append((hook, tell))
        self._waiting_bytes += len(hook.body)
        self._wake.set()

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._rest()
            try:
                await self._turn()
            except Exception:
                # Whatever it was, those who wait behind it must be answered: this task is the only one that does.
                log.exception("journal.broke")
                await self._lose_connection()

    async def _turn(self) -> None:
        """Make durable what waits, catch up with the spool, note who was heard of."""
        batch = self._take()
        if batch:
            await self._settle(batch)
        if self.behind and not self._stopping:
            await self._catch_up()
        if self._touched and not self.behind and self._now() >= self._touch_at:
            await self._touch()

    async def _rest(self) -> None:
        """Sleep until something waits, or for a tick."""
        if self._waiting or self._stopping:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < MAX_ROWS and size < MAX_BYTES:
            one = self._waiting.popleft()
            size += len(one[0].body)
            batch.append(one)
        self._waiting_bytes -= size
        return batch

    async def _settle(self, batch: list[Waiting]) -> None:
        hooks = [hook for hook, _ in batch]
        is_durable = False
        try:
            is_durable = await self._commit(hooks) or await self._keep(hooks)
        finally:
            for _, tell in batch:
                try:
                    tell(is_durable)
                except Exception:
                    log.exception("journal.not_told")  # the others wait for their answers all the same

    async def _commit(self, hooks: list[Hook]) -> bool:
        """Whether a batch is in the database."""
        if self.behind or self._connection is None:
            return False
        try:
            await self._insert(hooks)
        except AWAY as error:
            log.warning("journal.database_away", webhooks=len(hooks), error=type(error).__name__)
            await self._lose_connection()
            return False
        except Exception:
            log.exception("journal.not_committed", webhooks=len(hooks))  # the disk may take them all the same
            await self._lose_connection()
            return False
        self._note(hooks)
        return True

    async def _keep(self, hooks: list[Hook]) -> bool:
        """Whether a batch is in the spool."""
        try:
            await asyncio.to_thread(self._spool.keep, hooks)
        except OSError:
            log.exception("journal.spool_failed", webhooks=len(hooks))
            return False
        return True

    async def _insert(self, hooks: Iterable[Hook]) -> None:
        rows = [
            (
                hook.id,
                hook.channel_id,
                hook.tenant_id,
                hook.received_at,
                hook.body,
                hashlib.sha256(hook.body).digest(),
            )
            for hook in hooks
        ]
        await self._execute(_INSERT, *zip(*rows, strict=True))

    async def _execute(self, statement: str, *values: Iterable[object]) -> None:
        """One statement, committed when this returns."""
        if self._connection is None:
            raise ConnectionError
        if not self._pooled:
            await self._connection.execute(statement, *values, timeout=COMMIT_SECONDS)
            return
        async with asyncio.timeout(COMMIT_SECONDS), self._connection.transaction():
            await self._connection.execute(_PROMISE)
            await self._connection.execute(statement, *values)

    def _note(self, hooks: Iterable[Hook]) -> None:
        for hook in hooks:
            self._touched[hook.channel_id] = (hook.tenant_id, hook.received_at)
        self._committed()

    async def _catch_up(self) -> None:
        """Drain some of the spool; when nothing is left in it, webhooks go to the database directly again."""
        try:
            if not self._is_connected():
                return
            files = await asyncio.to_thread(self._spool.files)
            for path in files[:DRAIN_FILES]:
                try:
                    hooks = await asyncio.to_thread(self._spool.read, path)
                except SpoolDamaged:
                    log.exception("journal.spool_damaged", file=path.stem)
                    await asyncio.to_thread(self._spool.set_aside, path)
                    continue
                if hooks:
                    await self._insert(hooks)
                    self._note(hooks)
                await asyncio.to_thread(self._spool.drop, path)
            self.behind = len(files) > DRAIN_FILES
            if files and not self.behind:
                log.info("journal.caught_up")
        except AWAY as error:
            log.warning("journal.database_still_away", error=type(error).__name__)
            await self._lose_connection()

    async def _touch(self) -> None:
        """Write down when each channel was last heard of; seldom, and never waiting for anybody."""
        self._touch_at = self._now() + TOUCH_SECONDS
        touched, self._touched = self._touched, {}
        rows = [(tenant_id, channel_id, at) for channel_id, (tenant_id, at) in touched.items()]
        try:
            await self._execute(_TOUCH, *zip(*rows, strict=True))
        except AWAY as error:
            log.warning("journal.touch_failed", error=type(error).__name__)
            await self._lose_connection()

    def _is_connected(self) -> bool:
        """Whether there is a connection; begins to make one when it is time, and raises when that failed."""
        if self._connection is None and self._connecting is None and self._now() >= self._next_try:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(lambda _: self._wake.set())
        elif self._connecting is not None and self._connecting.done():
            made, self._connecting = self._connecting, None
            self._connection = made.result()
        return self._connection is not None

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._url,
            timeout=CONNECT_SECONDS,
            server_settings={"application_name": "masteria-intake", **({} if self._pooled else _PROMISES)},
            statement_cache_size=0 if self._pooled else 100,
        )

    async def _lose_connection(self) -> None:
        self.behind = True
        self._next_try = self._now() + TICK_SECONDS
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _disconnect(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                await connection.close(timeout=CONNECT_SECONDS)
            except AWAY as error:
                log.info("journal.close_failed", error=type(error).__name__)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
