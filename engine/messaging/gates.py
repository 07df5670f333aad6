"""What a gate's owner still means to send by, a channel and a template, is kept from being deleted."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from engine.core.db import run
from engine.messaging.models import Channel, Gate


def hold(session: Session, gate_id: UUID, *, channel_id: UUID, template_id: UUID) -> bool:
    """Keep a channel and a template for as long as this gate's owner sends by them; False when the channel is deleted.

    The channel is locked shared: a deletion that is under way is waited for, and one that comes later sees the hold. A
    template that goes in the same moment closes the gate when it is sent, with the reason.
    """
    found = session.scalar(
        select(Channel.id)
        .where(Channel.id == channel_id, Channel.deleted_at.is_(None))
        .with_for_update(read=True)
    )
    if found is not None:
        run(
            session,
            "update gates set holds_channel_id = %(channel)s, holds_template_id = %(template)s where id = %(gate)s",
            channel=channel_id,
            template=template_id,
            gate=gate_id,
        )
    return found is not None


def let_go(session: Session, gate_id: UUID) -> None:
    """This gate's owner has ended: channel and template may go."""
    run(
        session,
        "update gates set holds_channel_id = null, holds_template_id = null where id = %(gate)s",
        gate=gate_id,
    )


def is_channel_held(session: Session, channel_id: UUID) -> bool:
    """Whether somebody still means to send by a channel."""
    return bool(session.scalar(select(exists().where(Gate.holds_channel_id == channel_id))))


def is_template_held(session: Session, template_id: UUID) -> bool:
    """Whether somebody still means to send a template."""
    return bool(session.scalar(select(exists().where(Gate.holds_template_id == template_id))))
