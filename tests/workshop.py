"""What tests of sending begin with: a company's channel, template and people, made by the product's own code."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.models import Contact, ContactIdentity
from engine.core.crypto import encrypt
from engine.core.db import Work, tenant_session
from engine.core.ids import TenantId, uuid7
from engine.messaging.models import Channel, Gate, Message, Template, TemplateSnapshot

BODY = [{"type": "BODY", "text": "Oi {{1}}, tudo bem?", "example": {"body_text": [["Ana"]]}}]


@dataclass(frozen=True)
class Shop:
    """One company with a channel and an approved template."""

    tenant_id: TenantId
    channel_id: UUID
    template_id: UUID

    @property
    def work(self) -> Work:
        """Short sessions of this company."""
        return Work(self.tenant_id)


def open_shop(*, rate: int = 1000, category: str = "UTILITY", tenant_id: TenantId | None = None) -> Shop:
    """A company with a live channel (where MASTERIA_GRAPH_URL says) and an approved template of one variable."""
    tenant_id = tenant_id or TenantId(uuid4())
    with tenant_session(tenant_id) as session:
        channel_id = add_channel(session, rate)
        template = Template(
            id=uuid7(),
            channel_id=channel_id,
            name="saudacao",
            language="pt_BR",
            category=category,
            status="approved",
            provider_id="900",
            components=BODY,
        )
        session.add(template)
        session.flush()
        return Shop(tenant_id, channel_id, template.id)


def add_channel(session: Session, rate: int) -> UUID:
    """A live channel of the company whose session this is."""
    gate, channel_id = Gate(id=uuid7()), uuid7()
    session.add(gate)
    session.flush()
    secret = orjson.dumps({"access_token": "EAAG-test", "app_secret": "shh"})
    session.add(
        Channel(
            id=channel_id,
            kind="whatsapp_cloud",
            name="Loja",
            environment="live",
            status="connected",
            account="1029",
            portfolio="1030",
            rate_per_second=rate,
            gate_id=gate.id,
            credentials=encrypt(session, secret, table="channels", column="credentials", row=channel_id),
            verify_token=encrypt(session, b"hello", table="channels", column="verify_token", row=channel_id),
        )
    )
    session.flush()
    return channel_id


def add_people(shop: Shop, amount: int, *, consent: str = "granted") -> list[UUID]:
    """Contacts with a name and a phone each."""
    people = [uuid7() for _ in range(amount)]
    with shop.work.session() as session:
        for number, contact_id in enumerate(people):
            phone = f"+55119{number:08d}"
            session.add(
                Contact(id=contact_id, name=f"Pessoa {number}", phone=phone, marketing_consent=consent)
            )
        session.flush()
        for number, contact_id in enumerate(people):
            session.add(
                ContactIdentity(id=uuid7(), contact_id=contact_id, kind="phone", value=f"+55119{number:08d}")
            )
    return people


def add_snapshot(shop: Shop, *, category: str = "UTILITY") -> UUID:
    """The template as it is sent."""
    with shop.work.session() as session:
        snapshot = TemplateSnapshot(
            id=uuid7(),
            template_id=shop.template_id,
            channel_id=shop.channel_id,
            name="saudacao",
            language="pt_BR",
            category=category,
            parameter_format="POSITIONAL",
            components=BODY,
            variables={"body.1": "contact.name"},
        )
        session.add(snapshot)
        session.flush()
        return snapshot.id


def messages_of(shop: Shop) -> list[Message]:
    """The shop's outgoing messages, oldest first."""
    with shop.work.session() as session:
        return list(session.scalars(select(Message).where(Message.direction == "out").order_by(Message.id)))
