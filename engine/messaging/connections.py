"""Channels: connect a number, change it, let it go; and its secrets, for the length of a call.

Whether a channel can send is asked of the provider in channel_health.py.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from engine.core.clock import now
from engine.core.crypto import decrypt, encrypt
from engine.core.db import run, tenant_of
from engine.core.errors import Conflict, NotFound
from engine.core.i18n import N_
from engine.core.ids import uuid7
from engine.core.settings import settings
from engine.messaging import ledger
from engine.messaging.channels.base import Credentials
from engine.messaging.connection_rules import CREDENTIAL_TEXTS, check_entered
from engine.messaging.events import channel_changed
from engine.messaging.gates import is_channel_held
from engine.messaging.models import (
    Channel,
    ChannelEnvironment,
    ChannelKind,
    ChannelRoute,
    ChannelStatus,
    DueSend,
    Gate,
    Template,
)

# Meta gives a number 80 messages per second (throughput page, September 2026).
DEFAULT_RATE = 80
OLDER_SECRETS = 2  # a webhook on its way may be signed with the secret before


@dataclass(frozen=True, slots=True)
class NewCredentials:
    """What a person enters to connect a number."""

    phone_number_id: str
    waba_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)


def base_url_of(environment: str) -> str:
    """Where channels of an environment talk, with the Graph API's version; tenants never set an address."""
    present = settings()
    root = present.simulator_url if environment == ChannelEnvironment.SANDBOX else present.graph_url
    return f"{root}/{present.graph_version}"


def webhook_url(channel: Channel) -> str:
    """The address that the provider calls for this channel."""
    return f"{settings().public_url}/hooks/{channel.kind}/{channel.id}"


def credentials_of(session: Session, channel: Channel) -> Credentials:
    """A channel's secrets in the clear; DecryptionFailed when they don't open with the present key."""
    blob = decrypt(session, channel.credentials, table="channels", column="credentials", row=channel.id)
    secret = orjson.loads(blob)
    return Credentials(
        base_url=base_url_of(channel.environment),
        account=channel.account,
        portfolio=channel.portfolio,
        access_token=secret["access_token"],
        app_secret=secret["app_secret"],
        older_app_secrets=tuple(secret.get("older_app_secrets", ())),
    )


def verify_token_of(session: Session, channel: Channel) -> str:
    """The word that the provider must know in the webhook's handshake."""
    return decrypt(
        session, channel.verify_token, table="channels", column="verify_token", row=channel.id
    ).decode()


def list_channels(session: Session) -> Sequence[Channel]:
    """The company's channels, the oldest first (a company has few)."""
    return session.scalars(select(Channel).where(Channel.deleted_at.is_(None)).order_by(Channel.id)).all()


def find_channel(session: Session, channel_id: UUID) -> Channel | None:
    """A channel of the company that is not deleted, or None."""
    return session.scalars(
        select(Channel).where(Channel.id == channel_id, Channel.deleted_at.is_(None))
    ).first()


def get_channel(session: Session, channel_id: UUID) -> Channel:
    """A channel of the company; NotFound when there is none, or no longer."""
    channel = find_channel(session, channel_id)
    if channel is None:
        raise NotFound()
    return channel


def locked_channel(session: Session, channel_id: UUID) -> Channel:
    """A channel to be changed, with its gate: the gate first, as everybody takes them; NotFound when it is gone."""
    gate_id = session.scalar(
        select(Channel.gate_id).where(Channel.id == channel_id, Channel.deleted_at.is_(None))
    )
    if gate_id is None:
        raise NotFound()
    run(session, "select pg_advisory_xact_lock(hashtextextended(%(gate)s, 0))", gate=str(gate_id))
    channel = session.scalars(
        select(Channel)
        .where(Channel.id == channel_id, Channel.deleted_at.is_(None))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).first()
    if channel is None:
        raise NotFound()
    return channel


def revise(session: Session, channel: Channel) -> None:
    """Count a change of a channel and tell the screens; the last step of every change."""
    channel.revision += 1
    session.flush()
    channel_changed(session, channel)


def connect_channel(
    session: Session,
    *,
    kind: ChannelKind,
    name: str,
    environment: ChannelEnvironment,
    credentials: NewCredentials,
    rate_per_second: int | None = None,
) -> Channel:
    """A new channel with its own gate, secrets and webhook address; it needs a check before it counts as connected.

    Conflict when the company has connected the number already.
    """
    given = {name: getattr(credentials, name) for name in CREDENTIAL_TEXTS}
    check_entered(name, rate_per_second, given)
    _must_be_new(session, kind, environment, credentials.phone_number_id)
    gate = Gate(id=uuid7())
    session.add(gate)
    session.flush()
    channel_id = uuid7()
    channel = Channel(
        id=channel_id,
        kind=kind,
        name=name.strip(),
        environment=environment,
        status=ChannelStatus.ATTENTION,
        status_code="not_checked",
        account=credentials.phone_number_id,
        portfolio=credentials.waba_id,
        rate_per_second=rate_per_second or DEFAULT_RATE,
        gate_id=gate.id,
        credentials=_sealed(session, channel_id, credentials.access_token, credentials.app_secret, ()),
        verify_token=encrypt(
            session,
            secrets.token_urlsafe(24).encode(),
            table="channels",
            column="verify_token",
            row=channel_id,
        ),
    )
    session.add(channel)
    session.add(
        ChannelRoute(
            channel_id=channel_id,
            tenant_id=tenant_of(session),
            kind=kind,
            environment=environment,
            account=credentials.phone_number_id,
            portfolio=credentials.waba_id,
        )
    )
    session.flush()
    session.refresh(channel)
    channel_changed(session, channel)
    return channel


def change_channel(
    session: Session,
    channel_id: UUID,
    *,
    name: str | None = None,
    rate_per_second: int | None = None,
    access_token: str | None = None,
    app_secret: str | None = None,
    is_paused: bool | None = None,
) -> Channel:
    """Rename a channel, set its rate, renew its secrets (the app secret before stays good), pause or resume it."""
    channel = locked_channel(session, channel_id)
    entered = {"access_token": access_token, "app_secret": app_secret}
    given = {secret: value for secret, value in entered.items() if value is not None}
    check_entered(channel.name if name is None else name, rate_per_second, given)
    if name is not None:
        channel.name = name.strip()
    if rate_per_second is not None:
        channel.rate_per_second = rate_per_second
    if access_token is not None or app_secret is not None:
        _renew(session, channel, access_token, app_secret)
    if is_paused is not None and is_paused != (channel.status == ChannelStatus.PAUSED):
        _pause(session, channel, is_paused)
    revise(session, channel)
    return channel


def delete_channel(session: Session, channel_id: UUID) -> Sequence[UUID]:
    """Let a channel go: its gate closes, its secrets and its webhook address end, what was sent with it stays.

    Conflict while messages still wait to leave by it, or a campaign is under way that may have none yet. Answers with
    the channels whose webhooks may have been sent to this one's address, as WhatsApp knows one address for all numbers
    of an account: they need a check now.
    """
    channel = locked_channel(session, channel_id)
    ledger.set_gate(session, channel.gate_id, is_open=False, reason="deleted")
    if is_channel_held(session, channel_id) or session.scalar(
        select(exists().where(DueSend.channel_id == channel_id))
    ):
        raise Conflict(
            "channel_in_use",
            N_(
                "Messages still wait to leave by this channel. Finish or cancel their campaigns, then delete it."
            ),
        )
    channel.deleted_at = now()
    channel.credentials = channel.verify_token = b""
    session.execute(delete(ChannelRoute).where(ChannelRoute.channel_id == channel_id))
    session.execute(
        update(Template)
        .where(Template.channel_id == channel_id, Template.deleted_at.is_(None))
        .values(deleted_at=now(), revision=Template.revision + 1)
    )
    revise(session, channel)
    siblings = select(Channel.id).where(
        Channel.kind == channel.kind,
        Channel.environment == channel.environment,
        Channel.portfolio == channel.portfolio,
        Channel.deleted_at.is_(None),
    )
    return session.scalars(siblings.order_by(Channel.id)).all()


def _renew(session: Session, channel: Channel, access_token: str | None, app_secret: str | None) -> None:
    held = credentials_of(session, channel)
    older = held.older_app_secrets
    if app_secret is not None and app_secret != held.app_secret:
        older = (held.app_secret, *older)[:OLDER_SECRETS]
    channel.credentials = _sealed(
        session, channel.id, access_token or held.access_token, app_secret or held.app_secret, older
    )


def _pause(session: Session, channel: Channel, is_paused: bool) -> None:
    channel.status = ChannelStatus.PAUSED if is_paused else ChannelStatus.ATTENTION
    channel.status_code = None if is_paused else "not_checked"
    channel.status_detail = None
    ledger.set_gate(session, channel.gate_id, is_open=not is_paused, reason="paused" if is_paused else None)


def _sealed(
    session: Session, channel_id: UUID, access_token: str, app_secret: str, older: Sequence[str]
) -> bytes:
    secret = {"access_token": access_token, "app_secret": app_secret, "older_app_secrets": list(older)}
    return encrypt(session, orjson.dumps(secret), table="channels", column="credentials", row=channel_id)


def _must_be_new(session: Session, kind: str, environment: str, account: str) -> None:
    """Conflict when the company has connected this number already: its webhooks would go to one of the two only."""
    run(
        session,
        "select pg_advisory_xact_lock(hashtextextended(%(key)s, 0))",
        key=f"connect:{tenant_of(session)}:{environment}:{account}",
    )
    same = session.scalars(
        select(Channel).where(
            Channel.kind == kind,
            Channel.environment == environment,
            Channel.account == account,
            Channel.deleted_at.is_(None),
        )
    ).first()
    if same is not None:
        raise Conflict(
            "number_connected",
            N_(
                "This number is connected already, as “%(name)s”. Change that connection, or delete it first."
            ),
            values={"name": same.name},
            extra={"channel_id": str(same.id)},
        )
