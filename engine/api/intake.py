"""Webhooks of providers: checked over their raw bytes, made durable, answered. Understood later, by workers.

Raw ASGI, because a framework's routing would cost twice what all the rest does. Mounted by engine/api/app.py for
`/hooks/{kind}/{channel_id}`; `start` and `stop` belong to the application's lifespan.

    200  durable; also when nobody can read it, as a refusal would bring it back for a week
    401  not signed with this channel's secret, or no such channel (whose secret nobody knows)
    403  a handshake with another word than the channel's verify token
    408  the body did not come in time      413  more than 3 MB
    503  neither the database nor the disk took it: come again
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, cast
from urllib.parse import parse_qs
from uuid import UUID

from prometheus_client import Counter

from engine.api.hook_refusals import refusal
from engine.api.journal import Journal, NotDurable
from engine.api.spool import Hook, Spool
from engine.api.wire import Answer, Headers, PatientProtocol
from engine.core.bells import ring
from engine.core.clock import now
from engine.core.db import OF_REQUEST, tenant_session
from engine.core.errors import MasterIAError, Unauthenticated
from engine.core.ids import uuid7
from engine.core.log import logger
from engine.core.metrics import WEBHOOKS
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging.channels.base import Credentials, WebhookRequest
from engine.messaging.channels.registry import adapter_for
from engine.messaging.connections import credentials_of, verify_token_of
from engine.messaging.models import Channel, ChannelKind, ChannelRoute

PREFIX = "/hooks/"
MAX_BODY = 3 * 1024 * 1024  # Meta: payloads up to 3 MB (webhooks overview, September 2026)
BODY_SECONDS = 10.0
LOOK_SECONDS = 0.5  # between two looks at bodies that are on their way
FRESH_SECONDS = 10.0
LOOK_UP_SECONDS = 2.0
LOOK_UPS_AT_ONCE = 4
KEPT_DOORS = 10_000
LONGEST_PATH = 100  # of what can be a channel's address: what is longer is not worth remembering
RING_EVERY = 0.02  # seconds between two bells for the workers: what commits meanwhile shares the next

type Message = MutableMapping[str, Any]
type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """What it takes to check a channel's webhooks; `credentials` is None where there is no such channel."""

    tenant_id: UUID | None = None
    kind: str = ""
    credentials: Credentials | None = None
    verify_token: bytes = b""
    checked_at: float = 0.0


class Unanswerable(Exception):  # noqa: N818 - an answer
    """The request gets this status and nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Doors:
    """The doors of channels, held for some seconds; while the database is away the last known ones serve on."""

    def __init__(self) -> None:
        self._known: dict[UUID, Door] = {}
        self._asked: dict[UUID, asyncio.Task[Door]] = {}
        self._places = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

    def fresh(self, channel_id: UUID) -> Door | None:
        """The door of a channel, if it was looked up lately."""
        known = self._known.get(channel_id)
        return known if known is not None and time.monotonic() - known.checked_at < FRESH_SECONDS else None

    async def find(self, channel_id: UUID) -> Door:
        """The door of a channel; raises Unanswerable(503) when it was never known and nobody can be asked."""
        fresh = self.fresh(channel_id)
        if fresh is not None:
            return fresh
        known = self._known.get(channel_id)
        asked = self._asked.get(channel_id)
        if asked is None:
            asked = self._asked[channel_id] = asyncio.create_task(self._ask(channel_id))
            asked.add_done_callback(lambda _: self._asked.pop(channel_id, None))
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                return await asyncio.shield(asked)
        except (MasterIAError, TimeoutError) as error:
            if known is None:
                raise Unanswerable(503) from error
            self._known[channel_id] = replace(known, checked_at=time.monotonic())
            return known

    async def _ask(self, channel_id: UUID) -> Door:
        async with self._places:
            door = await asyncio.to_thread(look_up, channel_id)
        if len(self._known) >= KEPT_DOORS:
            self._known.pop(next(iter(self._known)))
        self._known.pop(channel_id, None)
        self._known[channel_id] = door
        return door


def look_up(channel_id: UUID) -> Door:
    """Read a channel's door from the database, whoever's the channel is."""
    with system_session(OF_REQUEST) as session:
        route = session.get(ChannelRoute, channel_id)
        if route is None:
            return Door(checked_at=time.monotonic())
        tenant_id, kind = route.tenant_id, route.kind
    with tenant_session(tenant_id, OF_REQUEST) as session:
        channel = session.get(Channel, (tenant_id, channel_id))
        if channel is None or channel.deleted_at is not None:
            return Door(checked_at=time.monotonic())
        return Door(
            tenant_id=tenant_id,
            kind=kind,
            credentials=credentials_of(session, channel),
            verify_token=verify_token_of(session, channel).encode(),
            checked_at=time.monotonic(),
        )


class Intake:
    """The ASGI application for `/hooks/…`, and the short way there of what comes whole (`engine.api.wire.Quick`)."""

    prefix = PREFIX.encode()

    def __init__(self) -> None:
        self._doors = Doors()
        self._readers = Readers()
        self._journal: Journal | None = None
        self._bell = asyncio.Event()
        self._ringer: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take webhooks; a database that is away does not stop the start."""
        present = settings()
        self._journal = Journal(
            present.database_system_url,
            Spool(present.spool_dir),
            committed=self._bell.set,
            pooled=present.database_pooled,
        )
        self._ringer = asyncio.create_task(self._ring(), name="webhook-bell")
        self._watch = asyncio.create_task(self._readers.watch(), name="webhook-watch")
        await self._journal.start()
        PatientProtocol.quick = self

    async def stop(self) -> None:
        """Make durable what was taken, then end."""
        if PatientProtocol.quick is self:
            PatientProtocol.quick = None
        if self._journal is not None:
            await self._journal.stop()
        for task in (self._ringer, self._watch):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def take(self, target: bytes, headers: Headers, body: bytes, answer: Answer) -> bool:
        """Take a webhook whose door is known and which is rightly signed; what is anything else goes the usual way."""
        if len(target) > LONGEST_PATH or self._journal is None or len(body) > MAX_BODY:
            return False
        kind, channel_id = place_of(target.decode("latin-1"))
        door = self._doors.fresh(channel_id) if channel_id is not None else None
        if door is None or kind is None or channel_id is None or door.kind != kind:
            return False
        if door.credentials is None or door.tenant_id is None:
            return False
        words = _words(headers)
        try:
            adapter_for(kind).verify(WebhookRequest("POST", words, {}, body), door.credentials)
        except Unauthenticated:
            return False

        def tell(is_durable: bool) -> None:
            status = 200 if is_durable else 503
            _counter(kind, status).inc()
            said = b"" if is_durable else refusal(status, words.get("accept-language"))
            answer(status, _head_of(status, said), said)

        try:
            self._journal.take(Hook(uuid7(), channel_id, door.tenant_id, now(), body), tell)
        except NotDurable:
            tell(False)
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        kind, channel_id = place_of(path) if len(path) <= LONGEST_PATH else (None, None)
        try:
            answer = await self._answer(scope, receive, kind, channel_id)
            status = 200
        except Unanswerable as refused:
            status = refused.status
            answer = refusal(status, _headers(scope).get("accept-language"))
        _counter(kind or "unknown", status).inc()
        await _send(send, status, answer)

    async def _answer(
        self, scope: Scope, receive: Receive, kind: ChannelKind | None, channel_id: UUID | None
    ) -> bytes:
        method = scope["method"]
        if kind is None or channel_id is None:
            raise Unanswerable(404)
        if method == "GET":
            return await self._shake_hands(scope, kind, channel_id)
        if method != "POST":
            raise Unanswerable(405)
        headers = _headers(scope)
        door = await self._doors.find(channel_id)
        if door.credentials is None or door.tenant_id is None or door.kind != kind:
            raise Unanswerable(401)
        body = await self._readers.read(receive, headers.get("content-length"))
        request = WebhookRequest("POST", headers, {}, body)
        try:
            adapter_for(kind).verify(request, door.credentials)
        except Unauthenticated as error:
            # The body may be anybody's words, or a person's: only its size and fingerprint are told.
            fingerprint = hashlib.sha256(body).hexdigest()[:16]
            log.warning("webhook.refused", channel_id=str(channel_id), size=len(body), sha256=fingerprint)
            raise Unanswerable(401) from error
        if self._journal is None:
            raise Unanswerable(503)
        try:
            await self._journal.write(Hook(uuid7(), channel_id, door.tenant_id, now(), body))
        except NotDurable as error:
            raise Unanswerable(503) from error
        return b""

    async def _shake_hands(self, scope: Scope, kind: ChannelKind, channel_id: UUID) -> bytes:
        """The provider asks whether this address is ours: the challenge, for whoever knows the channel's word."""
        query: dict[str, list[str]] = parse_qs(
            scope["query_string"].decode("latin-1"), keep_blank_values=True
        )
        token = query.get("hub.verify_token", [""])[0].encode("utf-8", "surrogateescape")
        challenge = query.get("hub.challenge", [""])[0].encode("utf-8", "surrogateescape")
        door = await self._doors.find(channel_id)
        known = (
            hmac.compare_digest(token, door.verify_token) and bool(door.verify_token) and door.kind == kind
        )
        if not known or query.get("hub.mode") != ["subscribe"]:
            raise Unanswerable(403)
        if not challenge:
            raise Unanswerable(400)
        return challenge

    async def _ring(self) -> None:
        """Ring for the workers after commits; what commits while one ring is under way shares the next."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            await asyncio.to_thread(ring, "intake")
            await asyncio.sleep(RING_EVERY)


class Readers:
    """Reads bodies, each within its time. One look at all of them now and then costs less than a timer for each."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def read(self, receive: Receive, declared: str | None) -> bytes:
        """The whole body, at most MAX_BODY however it comes and whatever its length is said to be."""
        if declared is not None and (not declared.isascii() or not declared.isdigit()):
            raise Unanswerable(400)
        if declared is not None and int(declared) > MAX_BODY:
            raise Unanswerable(413)
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # a server answers each request in one
        self._under_way[task] = time.monotonic()
        try:
            return await _whole(receive)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            task.uncancel()
            raise Unanswerable(408) from None
        finally:
            del self._under_way[task]

    async def watch(self) -> None:
        """End the reading of what does not come."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            since = time.monotonic() - BODY_SECONDS
            for task in [task for task, began in self._under_way.items() if began < since]:
                if task not in self._late:
                    self._late.add(task)
                    task.cancel()


async def _whole(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unanswerable(400)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise Unanswerable(413)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _headers(scope: Scope) -> dict[str, str]:
    return _words(scope["headers"])


def _words(headers: Headers) -> dict[str, str]:
    # Names come in lower case: ASGI says so.
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


@lru_cache(maxsize=KEPT_DOORS)
def place_of(path: str) -> tuple[ChannelKind | None, UUID | None]:
    """The kind and the channel that an address names; None for what is neither."""
    kind, _, channel = path.removeprefix(PREFIX).partition("/")
    try:
        return ChannelKind(kind) if kind in ChannelKind else None, UUID(channel)
    except ValueError:
        return ChannelKind(kind) if kind in ChannelKind else None, None


@cache
def _counter(kind: str, status: int) -> Counter:
    return WEBHOOKS.labels(channel_kind=kind, status=str(status))


_TAKEN = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"0"),
    (b"x-content-type-options", b"nosniff"),
)


def _head_of(status: int, body: bytes) -> Headers:
    """The headers of an answer."""
    if not body and status == 200:
        return _TAKEN
    kind = b"text/plain; charset=utf-8" if status == 200 else b"application/problem+json"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status in (400, 401, 408, 413):
        # What is left of the body is not worth reading.
        headers.append((b"connection", b"close"))
    if status == 405:
        headers.append((b"allow", b"GET, POST"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    return headers


async def _send(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*_head_of(status, body)]})
    await send({"type": "http.response.body", "body": body})
