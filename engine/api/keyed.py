"""Idempotency keys on POST: the same request sent twice has one effect and one answer.

The claim is made when a route's session (or `Work`) opens, the answer is kept before that session commits: effect and
stored answer stand or fall together. Routes need to know nothing of it; `ApiRoute` sees to it for each of them.
"""

import hashlib
import re
from dataclasses import dataclass

from sqlalchemy import Delete, delete, func, text
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from engine.core import idempotency
from engine.core.db import Work
from engine.core.idempotency import IdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

# A request that waits on a provider claims its key in a transaction of its own. When its process dies midway, the key
# is free again after this time; no such request may run longer.
ABANDONED_SECONDS = 120


class Replayed(Exception):  # noqa: N818 - an answer, not an error
    """This request was answered before; here is that answer."""

    def __init__(self, replay: idempotency.Replay) -> None:
        super().__init__("answered before")
        self.replay = replay


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A POST that brought a key: who asked what, under which key, with which body."""

    user_id: str
    route: str
    key: str
    digest: bytes

    def claim(self, session: Session) -> None:
        """Claim the key in this transaction; raises Replayed when there is an answer already."""
        replay = idempotency.begin(
            session, user_id=self.user_id, route=self.route, key=self.key, body=self.digest
        )
        if replay is not None:
            raise Replayed(replay)

    def keep(self, session: Session, response: Response) -> None:
        """Keep the answer in this transaction."""
        idempotency.complete(
            session,
            user_id=self.user_id,
            route=self.route,
            key=self.key,
            status=response.status_code,
            answer=bytes(response.body),
        )

    def claim_apart(self, work: Work) -> None:
        """Claim the key in a short transaction of its own, for a route that opens several."""
        with work.session() as session:
            session.execute(
                self._row().where(
                    IdempotencyKey.status.is_(None),
                    IdempotencyKey.created_at < func.now() - text(f"interval '{ABANDONED_SECONDS} s'"),
                )
            )
            self.claim(session)

    def release(self, work: Work) -> None:
        """Give the key back: the route failed, so the same request may be tried again."""
        with work.session() as session:
            session.execute(self._row().where(IdempotencyKey.status.is_(None)))

    def keep_apart(self, work: Work, response: Response) -> None:
        """Keep the answer of a route that opened several transactions."""
        with work.session() as session:
            self.keep(session, response)

    def _row(self) -> Delete:
        return delete(IdempotencyKey).where(
            IdempotencyKey.user_id == self.user_id,
            IdempotencyKey.route == self.route,
            IdempotencyKey.key == self.key,
        )


class BodyDigest:
    """The SHA-256 of a request's raw body as it passes by, but for the boundary of a multipart form.

    Clients draw a new boundary each time they send the same form, so it must not count. Whatever pieces the body
    comes in, the digest is the same: the end of a piece that may be the start of a boundary waits for the next one.
    """

    def __init__(self, boundary: bytes = b"") -> None:
        self._boundary = boundary
        self._rest = b""
        self._digest = hashlib.sha256()

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        if not self._boundary:
            self._digest.update(piece)
            return
        parts = (self._rest + piece).split(self._boundary)
        kept = max(len(parts[-1]) - len(self._boundary) + 1, 0)
        self._rest = parts[-1][kept:]
        parts[-1] = parts[-1][:kept]
        for part in parts:
            self._digest.update(part)

    def finish(self) -> bytes:
        """The digest of what has come so far."""
        whole = self._digest.copy()
        whole.update(self._rest)
        return whole.digest()


def watch_body(scope: Scope, receive: Receive, content_type: str) -> Receive:
    """A `receive` that digests the body as the application reads it; the digest stands in the request's state."""
    found = re.search(r'boundary="?([^";,]{1,70})', content_type)
    digest = BodyDigest(found.group(1).strip().encode() if found else b"")
    scope.setdefault("state", {})["body_digest"] = digest

    async def watching() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            digest.feed(message.get("body", b""))
        return message

    return watching


def keyed_request(request: Request, user_id: object) -> KeyedRequest | None:
    """The key that a POST brought, with what it stands for; None when there is none."""
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None or getattr(request.state, "unkeyed", False):
        return None
    digest: BodyDigest = request.state.body_digest
    route = f"POST {request.url.path}?{request.url.query}".rstrip("?")
    return KeyedRequest(str(user_id), route, key, digest.finish())
