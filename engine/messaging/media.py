"""Files that people send: fetched at once, because the provider forgets them; checked, then kept under a random name.

A file is claimed under a lease, fetched with no transaction open, and written down in a second one. What it is, is said
by its content and not by its name or the sender; what is not on the list is not kept.
"""

import hashlib
import math
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.core.clock import now
from engine.core.db import Work, run
from engine.core.errors import DatabaseAway, MasterIAError, NotFound, NotTaken, Refused, TooLarge
from engine.core.http import Failure, HttpRequest, download
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging.channels.base import MediaPlace
from engine.messaging.channels.reach import reach
from engine.messaging.channels.registry import media_keeper_for
from engine.messaging.connections import credentials_of
from engine.messaging.filetypes import ENDINGS, type_of
from engine.messaging.models import Channel, ChannelKind, MediaFile, Message
from engine.messaging.storage import media_store
from engine.messaging.threads import messages_changed

MAX_BYTES = 100 * 1024 * 1024  # Meta: the largest document (media page, September 2026)
FETCH_SECONDS = 120.0
LEASE_SECONDS = 240
IN_TURN = 4  # files of one tenant, before the others get theirs
TENANTS = 50
SLICE_SECONDS = 30.0  # then whoever waits for the same worker has its turn
TRIES = 10
NAME_LENGTH = 100
GAPS = (2, 10, 60, 300, 1800, 6 * 3600, 12 * 3600)  # seconds between tries; Meta keeps a file for 7 days

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that this process fetches; `tries` fences what it writes down."""

    id: UUID
    channel_id: UUID
    provider_media_id: str
    mime_type: str | None
    sha256: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file as it lies in the store."""

    key: str
    mime_type: str
    sha256: str
    size: int


_DUE = "status = 'pending' and due_at <= now() and (lease_until is null or lease_until < now())"


def is_due(session: Session) -> bool:
    """Whether some tenant waits for a file; takes a system session."""
    return bool(run(session, f"select 1 from media_files where {_DUE} limit 1"))  # noqa: S608 - our own words


def fetch_due_media() -> bool:
    """Fetch some files of each tenant that waits for one, for a while; True when there may be more."""
    until = time.monotonic() + SLICE_SECONDS
    with system_session() as session:
        tenants = run(
            session,
            f"""select tenant_id from media_files where {_DUE}
                group by tenant_id order by min(due_at) limit {TENANTS}""",  # noqa: S608
        )
    tried = 0
    for row in tenants:
        if time.monotonic() >= until:
            return True
        tried += fetch_for(Work(TenantId(row.tenant_id)), until=until)
    return tried > 0


def fetch_for(work: Work, *, until: float = math.inf) -> int:
    """Fetch the next files of one tenant, one under lease at a time; answers how many were tried."""
    tried = 0
    while tried < IN_TURN and (tried == 0 or time.monotonic() < until):
        with work.session() as session:
            file = _claim(session)
        if file is None:
            break
        tried += 1
        _fetch_and_keep(work, file)
    return tried


def _fetch_and_keep(work: Work, file: Waiting) -> None:
    try:
        fetched = _fetch(work, file)
    except DatabaseAway:
        raise
    except Exception as error:  # noqa: BLE001 - a full disk counts as a try too, and keeps no other file waiting
        code = error.code if isinstance(error, MasterIAError) else "not_kept"
        log.warning(
            "media.not_fetched",
            media_id=str(file.id),
            error=code,
            cause=type(error).__name__,
            tries=file.tries,
        )
        with work.session() as session:
            _postpone(session, file, code, final=isinstance(error, Refused | TooLarge))
    else:
        with work.session() as session:
            _keep(session, file, fetched)


def _claim(session: Session) -> Waiting | None:
    rows = run(
        session,
        f"""update media_files set lease_until = now() + make_interval(secs => %(lease)s), tries = tries + 1
            where id = (select id from media_files where {_DUE} order by due_at limit 1 for update skip locked)
            returning id, channel_id, provider_media_id, mime_type, sha256, tries""",  # noqa: S608
        lease=LEASE_SECONDS,
    )
    return Waiting(*list(rows[0])) if rows else None


def _fetch(work: Work, file: Waiting) -> Fetched:
    """Ask where the file lies, get it, look at it, keep it. Raises a ProviderError, TooLarge, or Refused."""
    with work.session() as session:
        channel = session.scalars(select(Channel).where(Channel.id == file.channel_id)).one()
        keeper = media_keeper_for(ChannelKind(channel.kind))
        credentials = credentials_of(session, channel)
    # The address in the webhook is good for five minutes; this one is fresh.
    place = keeper.read_media(reach(keeper.ask_media(credentials, file.provider_media_id)))
    if place.size is not None and place.size > MAX_BYTES:
        raise TooLarge(values={"limit": f"{MAX_BYTES // 1024**2} MB"})
    drafts = settings().media_dir / "drafts"
    drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=drafts)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink:
            written = Counted(sink)
            _download(keeper.ask_file(credentials, place.url), written)
        digest = written.digest.digest()
        _compare(file, place, digest)
        mime_type = type_of(draft, file.mime_type or place.mime_type)
        if mime_type is None:
            raise Refused("media_not_allowed", detail="content of a type that is not kept")
        key = f"{work.tenant_id}/{now():%Y%m}/{uuid4().hex}"
        media_store().put(key, draft)
    finally:
        draft.unlink(missing_ok=True)
    return Fetched(key, mime_type, digest.hex(), written.size)


class Counted:
    """A file that is being written: how much so far, and its SHA-256."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.size = 0

    def take(self, piece: bytes) -> None:
        """Write the next piece."""
        self._sink.write(piece)
        self.digest.update(piece)
        self.size += len(piece)


def _download(request: HttpRequest, written: Counted) -> None:
    answer = download(request, written.take, most=MAX_BYTES, seconds=FETCH_SECONDS)
    if isinstance(answer, Failure):
        # A file may be asked for twice: nothing is ambiguous about it.
        raise NotTaken("provider_unreachable", detail=answer.detail)
    if answer.status != 200:
        raise NotTaken("provider_fault", detail=f"HTTP {answer.status} for the file")


def _compare(file: Waiting, place: MediaPlace, digest: bytes) -> None:
    """What came must be what was announced; webhooks spell the hash in base64, answers in hex, or the other way."""
    spellings = {digest.hex(), b64encode(digest).decode()}
    announced = {said for said in (file.sha256, place.sha256) if said}
    if announced and not any(said in spellings or said.lower() in spellings for said in announced):
        raise NotTaken("media_altered", detail="the file is not the one that was announced")


def _keep(session: Session, file: Waiting, fetched: Fetched) -> None:
    rows = run(
        session,
        """update media_files set status = 'stored', path = %(key)s, mime_type = %(type)s, sha256 = %(sha256)s,
             size = %(size)s, lease_until = null, error = null
           where id = %(id)s and status = 'pending' and tries = %(tries)s returning message_id""",
        id=file.id,
        tries=file.tries,
        key=fetched.key,
        type=fetched.mime_type,
        sha256=fetched.sha256,
        size=fetched.size,
    )
    if rows:
        _tell(session, rows[0].message_id)
    else:
        # Another process took it over meanwhile, and has it under a key of its own.
        media_store().delete(fetched.key)


def _postpone(session: Session, file: Waiting, code: str, *, final: bool) -> None:
    final = final or file.tries >= TRIES
    rows = run(
        session,
        """update media_files set status = %(status)s, error = %(error)s, lease_until = null,
             due_at = now() + make_interval(secs => %(gap)s)
           where id = %(id)s and status = 'pending' and tries = %(tries)s returning message_id""",
        id=file.id,
        tries=file.tries,
        status="failed" if final else "pending",
        error=code,
        gap=GAPS[min(file.tries, len(GAPS)) - 1],
    )
    if rows and final:
        _tell(session, rows[0].message_id)


def _tell(session: Session, message_id: UUID) -> None:
    """Screens that show this message ask for it again."""
    message = session.scalars(select(Message).where(Message.id == message_id)).one_or_none()
    if message is not None:
        messages_changed(session, [message])


def get_media(session: Session, media_id: UUID) -> MediaFile:
    """A file of this tenant that lies in the store; NotFound."""
    found = session.scalars(
        select(MediaFile).where(MediaFile.id == media_id, MediaFile.status == "stored")
    ).one_or_none()
    if found is None or found.path is None:
        raise NotFound()
    return found


def read_media(file: MediaFile) -> Iterator[bytes]:
    """The bytes of a stored file, piece by piece; NotFound when the store has lost it."""
    try:
        return media_store().read(file.path or "")
    except FileNotFoundError as error:
        raise NotFound() from error


def download_name(file: MediaFile) -> str:
    """A name that is safe on any disk, with the ending that the content has, whatever the sender called it."""
    stem = (file.filename or file.provider_media_id).replace("\\", "/").rpartition("/")[2]
    stem = "".join(sign for sign in stem.rpartition(".")[0] or stem if sign.isalnum() or sign in " -_.()")
    return (stem.strip(" .")[:NAME_LENGTH] or "file") + ENDINGS.get(file.mime_type or "", ".bin")
