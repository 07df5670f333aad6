"""A company's channel, made without asking a provider, and what a provider would say to it."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core.crypto import encrypt
from engine.core.db import tenant_session
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.messaging.channels.base import InboundMessage, SenderIdentity, StatusReceipt
from engine.messaging.counters import Steps
from engine.messaging.inbound import receive
from engine.messaging.ledger import Lease
from engine.messaging.models import (
    Channel,
    ChannelRoute,
    DueHook,
    Gate,
    JournalEntry,
    Lane,
    Message,
    MessageState,
    ProviderMessage,
)

APP_SECRET = "a-secret-of-the-app"
VERIFY_TOKEN = "a-word-for-the-handshake"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stage:
    """A tenant with one connected channel."""

    tenant_id: UUID = field(default_factory=uuid4)
    channel_id: UUID = field(default_factory=uuid7)
    gate_id: UUID = field(default_factory=uuid7)
    account: str = field(default_factory=lambda: str(uuid4().int)[:15])
    portfolio: str = field(default_factory=lambda: str(uuid4().int)[:15])
    secret: str = APP_SECRET

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction of this tenant."""
        with tenant_session(self.tenant_id) as session:
            yield session

    def channel(self, session: Session) -> Channel:
        """The channel's row."""
        return session.get_one(Channel, (self.tenant_id, self.channel_id))

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """Rows of a statement in this tenant's eyes."""
        with self.session() as session:
            return list(session.execute(text(statement), values).all())

    def one(self, statement: str, **values: Any) -> Any:
        """The only value of the only row."""
        with self.session() as session:
            return session.execute(text(statement), values).scalar_one()

    def count(self, table: str) -> int:
        """How many rows this tenant has in a table."""
        found: int = self.one(f"select count(*) from {table}")  # noqa: S608 - the tests' own words
        return found


def lease_of(stage: Stage, first: UUID, last: UUID) -> Lease:
    """A dispatcher's lease of these messages of the stage's channel."""
    return Lease(
        tenant_id=stage.tenant_id,
        id=uuid7(),
        channel_id=stage.channel_id,
        gate_id=stage.gate_id,
        channel_gate_id=stage.gate_id,
        rate_per_second=80,
        lane=Lane.BULK,
        first_id=first,
        last_id=last,
        epoch=1,
    )


def set_stage(**given: Any) -> Stage:
    """Make a tenant's channel, its gate and its route."""
    stage = Stage(**given)
    with stage.session() as session:
        session.add(Gate(id=stage.gate_id))
        session.flush()
        secret = orjson.dumps({"access_token": "a-token", "app_secret": stage.secret})
        session.add(
            Channel(
                id=stage.channel_id,
                kind="whatsapp_cloud",
                name="Test",
                environment="sandbox",
                status="connected",
                account=stage.account,
                portfolio=stage.portfolio,
                gate_id=stage.gate_id,
                credentials=encrypt(
                    session, secret, table="channels", column="credentials", row=stage.channel_id
                ),
                verify_token=encrypt(
                    session,
                    VERIFY_TOKEN.encode(),
                    table="channels",
                    column="verify_token",
                    row=stage.channel_id,
                ),
            )
        )
    with system_session() as session:
        session.add(
            ChannelRoute(
                channel_id=stage.channel_id,
                tenant_id=stage.tenant_id,
                kind="whatsapp_cloud",
                environment="sandbox",
                account=stage.account,
                portfolio=stage.portfolio,
            )
        )
    return stage


def called(stage: Stage, session: Session, **given: Any) -> Message:
    """A message that was called and not heard back of, unless `given` says otherwise."""
    values: dict[str, Any] = {
        "id": uuid7(),
        "direction": "out",
        "kind": "template",
        "channel_id": stage.channel_id,
        "gate_id": stage.gate_id,
        "origin": "campaign",
        "address": "+5571980000102",
        "state": MessageState.DISPATCHING,
        "attempt": 1,
        "called_at": NOON,
    } | given
    message = Message(**values)
    session.add(message)
    session.flush()
    if message.provider_id is not None:
        session.add(
            ProviderMessage(
                channel_id=stage.channel_id, provider_id=message.provider_id, message_id=message.id
            )
        )
        session.flush()
    return message


def receipt(stage: Stage, status: str, seconds: float = 1, **given: Any) -> StatusReceipt:
    """A word of the provider, so many seconds after noon."""
    values: dict[str, Any] = {
        "account": stage.account,
        "provider_id": "wamid.1",
        "status": status,
        "occurred_at": NOON + timedelta(seconds=seconds),
    } | given
    return StatusReceipt(**values)


def written(stage: Stage, **given: Any) -> InboundMessage:
    """A text that somebody wrote."""
    values: dict[str, Any] = {
        "account": stage.account,
        "provider_id": f"wamid.{uuid4().hex}",
        "sender": SenderIdentity(phone="+5571980000102", bsuid="BR.1502576394655843", name="Ana Exemplo"),
        "kind": "text",
        "occurred_at": datetime.now(UTC).replace(microsecond=0),
        "text": "Oi",
    } | given
    return InboundMessage(**values)


def change(stage: Stage, value: dict[str, Any], *, field_name: str = "messages", **given: Any) -> bytes:
    """A webhook's body with one change of this stage's number."""
    metadata = {
        "display_phone_number": "5511900000010",
        "phone_number_id": given.get("account", stage.account),
    }
    return json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": stage.portfolio,
                    "changes": [{"field": field_name, "value": {"metadata": metadata} | value}],
                }
            ],
        }
    ).encode()


def text_body(
    stage: Stage, text: str = "Oi", *, provider_id: str = "", wa_id: str = "5571980000102", **given: Any
) -> bytes:
    """A webhook's body in which somebody writes."""
    at = int(given.pop("at", datetime.now(UTC)).timestamp())
    message = {
        "from": wa_id,
        "id": provider_id or f"wamid.{uuid4().hex}",
        "timestamp": str(at),
        "type": "text",
        "text": {"body": text},
    } | given.pop("extra", {})
    people = [{"profile": {"name": "Ana Exemplo"}, "wa_id": wa_id}]
    return change(stage, {"contacts": people, "messages": [message]}, **given)


def status_body(stage: Stage, send_key: UUID, status: str, *, provider_id: str = "wamid.1") -> bytes:
    """A webhook's body with a word on a message of ours."""
    item = {
        "id": provider_id,
        "status": status,
        "timestamp": str(int(NOON.timestamp()) + 1),
        "recipient_id": "5571980000102",
        "biz_opaque_callback_data": str(send_key),
    }
    return change(stage, {"statuses": [item]})


def sign(body: bytes, secret: str = APP_SECRET) -> str:
    """The signature header of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def journal(stage: Stage, *bodies: bytes) -> list[UUID]:
    """Put bodies into the journal, as intake does."""
    entries = [
        JournalEntry(
            id=uuid7(),
            channel_id=stage.channel_id,
            tenant_id=stage.tenant_id,
            body=body,
            digest=hashlib.sha256(body).digest(),
        )
        for body in bodies
    ]
    with system_session() as session:
        session.add_all(entries)
        session.add_all(DueHook(channel_id=stage.channel_id, id=entry.id) for entry in entries)
    return [entry.id for entry in entries]


def journal_rows(stage: Stage) -> list[Any]:
    """The journal of a channel, oldest first: status, tries, error."""
    with system_session() as session:
        found = session.execute(
            text(
                """select j.id, coalesce(d.tries, 0) as tries, j.error, j.body,
                     case when d.id is not null then 'pending' when j.status = 'taken' then 'applied'
                          else j.status end as status
                   from webhook_journal j left join webhook_due d on d.channel_id = j.channel_id and d.id = j.id
                   where j.channel_id = :c order by j.id"""
            ),
            {"c": stage.channel_id},
        )
        return list(found.all())


def take_in(stage: Stage, message: InboundMessage) -> UUID | None:
    """Let a message come in; its id, or None for a copy."""
    with stage.session() as session:
        steps = Steps()
        message_id = receive(session, stage.channel(session), message, steps)
        steps.write(session)
        return message_id


def at_once(*works: Callable[[], object]) -> None:
    """Run all of these on threads, begun at the same moment; the first fault is raised."""
    start = threading.Barrier(len(works))
    faults: list[Exception] = []

    def run_one(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised below, on the test's own thread
            faults.append(error)

    threads = [threading.Thread(target=run_one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def facts(stage: Stage, kind: str) -> list[dict[str, Any]]:
    """What was stated of this kind, oldest first."""
    rows = stage.rows("select payload from outbox where kind = :kind order by id", kind=kind)
    return [row.payload for row in rows]
