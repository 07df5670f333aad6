"""What a gate's owner still means to send by a channel keeps that channel from being deleted, messages or not yet."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from engine.core.db import run
from engine.messaging.models import Channel, Gate


def hold_channel(session: Session, gate_id: UUID, channel_id: UUID) -> bool:
    """Keep a channel for as long as this gate's owner sends by it; False when it is deleted.

    Locked shared: a deletion that is under way is waited for, and one that comes later sees the hold.
    """
    found = session.scalar(
        select(Channel.id)
        .where(Channel.id == channel_id, Channel.deleted_at.is_(None))
        .with_for_update(read=True)
    )
    if found is not None:
        run(
            session,
            "update gates set holds_channel_id = %(channel)s where id = %(gate)s",
            channel=channel_id,
            gate=gate_id,
        )
    return found is not None


def free_channel(session: Session, gate_id: UUID) -> None:
    """This gate's owner has ended: the channel may go."""
    run(session, "update gates set holds_channel_id = null where id = %(gate)s", gate=gate_id)


def is_held(session: Session, channel_id: UUID) -> bool:
    """Whether somebody still means to send by a channel."""
    return bool(session.scalar(select(exists().where(Gate.holds_channel_id == channel_id))))
