"""Sign-ins of the console, kept on the server: the browser holds an opaque id, Redis the sealed tokens.

A sign-in outlives console restarts and is shared by all console processes, which have one key. Where Redis was
emptied people sign in again. Refresh tokens rotate, so a renewal happens once however many tabs, threads and
processes find the token stale at the same time.
"""

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from weakref import WeakValueDictionary

import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis

from engine.client import Api, ApiError, SignedOutError, Wire, read_as, refresh_tokens
from engine.client.answers import Me, Tokens

PREFIX = "console:sign-in:"
NONCE_BYTES = 12
# A token is renewed this long before it ends, so that no request meets the edge.
RENEW_BEFORE_SECONDS = 30
RENEWAL_LOCK_MS = 15_000
RENEWAL_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SignIn:
    """Who is signed in, for which company, with which tokens. `id` is safe to log; the cookie's value is not."""

    id: str
    me: Me
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_ends_at: float
    # Set while somebody of several companies has not chosen one: good for choosing and nothing else.
    choosing: bool = False

    @property
    def tenant_id(self) -> str:
        """The company this sign-in is for."""
        return self.me.company.id

    def with_tokens(self, tokens: Tokens) -> "SignIn":
        """The same sign-in with the next pair of tokens."""
        return replace(
            self,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            access_ends_at=time.time() + tokens.expires_in,
        )


def id_of(cookie: str) -> str:
    """The id a sign-in is kept under; from it nobody finds the cookie."""
    return hashlib.sha256(cookie.encode()).hexdigest()


class SignIns:
    """The sign-ins kept in Redis."""

    def __init__(self, redis: Redis, http: httpx.AsyncClient, *, key: bytes, lifetime_seconds: int) -> None:
        self._redis = redis
        self._http = http
        self._cipher = AESGCM(key)
        self._lifetime = lifetime_seconds
        self._renewing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self, tokens: Tokens, me: Me, *, choosing: bool = False) -> str:
        """Keeps a new sign-in; gives the value of its cookie."""
        cookie = secrets.token_urlsafe(32)
        ends_at = time.time() + tokens.expires_in
        sign_in = SignIn(id_of(cookie), me, tokens.access_token, tokens.refresh_token, ends_at, choosing)
        await self.keep(sign_in)
        return cookie

    async def find(self, cookie: str | None) -> SignIn | None:
        """The sign-in a cookie stands for; being asked for prolongs it."""
        if not cookie:
            return None
        sign_in = await self.read(id_of(cookie))
        if sign_in is not None:
            await self._redis.expire(PREFIX + sign_in.id, self._lifetime)
        return sign_in

    async def read(self, sign_in_id: str) -> SignIn | None:
        """The sign-in kept under an id; None where it ended, or was sealed with another key."""
        sealed = await self._redis.get(PREFIX + sign_in_id)
        if not isinstance(sealed, bytes):
            return None
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], sign_in_id.encode())
        except InvalidTag:
            return None
        told = json.loads(plain)
        return SignIn(**{**told, "id": sign_in_id, "me": read_as(Me, told["me"])})

    async def keep(self, sign_in: SignIn) -> None:
        """Writes a sign-in, sealed."""
        await self._write(sign_in, only_if_kept=False)

    async def _write(self, sign_in: SignIn, *, only_if_kept: bool) -> bool:
        nonce = os.urandom(NONCE_BYTES)
        plain = json.dumps(asdict(sign_in)).encode()
        sealed = nonce + self._cipher.encrypt(nonce, plain, sign_in.id.encode())
        return bool(await self._redis.set(PREFIX + sign_in.id, sealed, ex=self._lifetime, xx=only_if_kept))

    async def end(self, sign_in_id: str) -> None:
        """Forgets a sign-in."""
        await self._redis.delete(PREFIX + sign_in_id)

    async def renew(self, sign_in_id: str, stale: str) -> SignIn:
        """The sign-in with another access token than `stale`; SignedOutError where it is over."""
        async with self._alone_with(sign_in_id) as kept:
            return kept if kept.access_token != stale else await self._renewed(kept)

    async def learn(self, sign_in_id: str, me: Me) -> None:
        """Writes down what the API says of the person now (their language, name, role); nothing where it is over."""
        with suppress(SignedOutError):
            async with self._alone_with(sign_in_id) as kept:
                if kept.tenant_id == me.company.id:
                    await self._keep_on(replace(kept, me=me))

    async def move(self, sign_in_id: str, ask: Callable[[str], Awaitable[tuple[Tokens, Me]]]) -> SignIn:
        """Makes a sign-in one for another company: `ask` gets its access token, and gives the new pair and person.

        No tab renews meanwhile, else it would find the old session ended and end the sign-in with it.
        """
        async with self._alone_with(sign_in_id) as kept:
            tokens, me = await ask(kept.access_token)
            moved = replace(kept, me=me, choosing=False).with_tokens(tokens)
            await self._keep_on(moved)
            return moved

    @asynccontextmanager
    async def _alone_with(self, sign_in_id: str) -> AsyncIterator[SignIn]:
        """A sign-in as it is kept now, changed by nobody else meanwhile; SignedOutError where it is over."""
        key = f"{PREFIX}{sign_in_id}:renewing"
        async with self._renewing.setdefault(sign_in_id, asyncio.Lock()):
            deadline = time.monotonic() + RENEWAL_LOCK_MS / 1000
            while not await self._redis.set(key, "1", nx=True, px=RENEWAL_LOCK_MS):
                if time.monotonic() > deadline:
                    raise SignedOutError("the sign-in could not be renewed in time")
                await asyncio.sleep(RENEWAL_POLL_SECONDS)
            try:
                kept = await self.read(sign_in_id)
                if kept is None:
                    raise SignedOutError("the sign-in is no longer kept")
                yield kept
            finally:
                await self._redis.delete(key)

    async def _renewed(self, kept: SignIn) -> SignIn:
        try:
            tokens = await refresh_tokens(self._http, kept.refresh_token)
        except SignedOutError:
            await self.end(kept.id)
            raise
        fresh = kept.with_tokens(tokens)
        await self._keep_on(fresh)  # before anything else is asked: the pair before it is spent
        return await self._with_news(fresh)

    async def _with_news(self, fresh: SignIn) -> SignIn:
        """The sign-in with what the API says of the person now; not knowing is no reason to fail."""
        try:
            me = await owner_of(self._http, fresh.access_token)
        except ApiError:
            return fresh
        if me == fresh.me or me.company.id != fresh.tenant_id:
            return fresh
        told = replace(fresh, me=me)
        await self._keep_on(told)
        return told

    async def _keep_on(self, sign_in: SignIn) -> None:
        """Writes a sign-in that is kept already; one that ended meanwhile stays ended."""
        if not await self._write(sign_in, only_if_kept=True):
            raise SignedOutError("the sign-in ended meanwhile")


class GivenToken:
    """A token just handed out: to ask who it belongs to, or for what must not be renewed midway."""

    def __init__(self, access_token: str) -> None:
        self._access_token = access_token

    async def access_token(self) -> str:
        """The token in hand."""
        return self._access_token

    async def renew(self, stale: str) -> str:
        """There is none."""
        raise SignedOutError("a fresh token was refused")


async def owner_of(http: httpx.AsyncClient, access_token: str, language: str | None = None) -> Me:
    """Whom a token belongs to, and for which company."""
    return await Api(Wire(http, GivenToken(access_token), language=language)).accounts.me()


class TabCredentials:
    """The tokens one tab asks with; it stays with the company it was opened for."""

    def __init__(self, sign_ins: SignIns, sign_in: SignIn) -> None:
        self._sign_ins = sign_ins
        self._sign_in = sign_in

    async def access_token(self) -> str:
        """A token good for the next while."""
        if self._sign_in.access_ends_at - time.time() < RENEW_BEFORE_SECONDS:
            return await self.renew(self._sign_in.access_token)
        return self._sign_in.access_token

    async def renew(self, stale: str) -> str:
        """Another token; SignedOutError where the sign-in ended or is for another company by now."""
        fresh = await self._sign_ins.renew(self._sign_in.id, stale)
        if fresh.tenant_id != self._sign_in.tenant_id:
            raise SignedOutError("the sign-in is for another company now")
        self._sign_in = fresh
        return fresh.access_token
