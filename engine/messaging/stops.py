"""Stopping by itself: a channel or a gate closes when the provider says that going on is of no use."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.core.clock import now
from engine.core.db import Work
from engine.core.errors import NotFound, ProviderError
from engine.core.events import Fact, emit
from engine.core.log import logger
from engine.messaging.channel_health import attention
from engine.messaging.connections import find_channel, locked_channel, revise
from engine.messaging.ledger import set_gate
from engine.messaging.models import ChannelStatus, Gate

STALE_AFTER = timedelta(minutes=15)
FAILING = "provider_failing"

log = logger(__name__)


def stop_channel(work: Work, channel_id: UUID, error: ProviderError) -> None:
    """Close a channel until a person has mended it; its messages stay queued. What a person paused stays paused."""
    with work.session() as session:
        try:
            channel = locked_channel(session, channel_id)
        except NotFound:
            log.info("channel.gone", channel_id=str(channel_id), code=error.code)
            return
        attention(session, channel, error.code, error.detail, stops=True)
        revise(session, channel)


def note_failing(work: Work, channel_id: UUID, error: ProviderError) -> None:
    """Say with a channel that its provider fails; it stays connected, and goes on by itself."""
    with work.session() as session:
        if find_channel(session, channel_id) is None:
            return
        channel = locked_channel(session, channel_id)
        if channel.status == ChannelStatus.CONNECTED and channel.status_code is None:
            channel.status_code, channel.status_detail = FAILING, error.detail[:500] or None
            revise(session, channel)


def note_well(session: Session, channel_id: UUID) -> None:
    """The provider takes messages again."""
    if find_channel(session, channel_id) is None:
        return
    channel = locked_channel(session, channel_id)
    if channel.status_code == FAILING:
        channel.status_code = channel.status_detail = None
        revise(session, channel)


def stop_gate(work: Work, gate_id: UUID, error: ProviderError) -> None:
    """Close a campaign's gate, because its template can't be sent now; whoever owns the gate hears of it.

    The fact says at which closing: one that comes late finds out that a person has opened the gate since.
    """
    with work.session() as session:
        close_gate(session, gate_id, error.code)


def close_gate(session: Session, gate_id: UUID, code: str) -> None:
    """The same in the caller's transaction."""
    set_gate(session, gate_id, is_open=False, reason=code)
    generation = session.scalars(select(Gate.generation).where(Gate.id == gate_id)).one()
    emit(session, Fact("gate.closed", {"gate_id": str(gate_id), "code": code, "generation": generation}))


def follow_status(session: Session, fact: Mapping[str, Any]) -> None:
    """A status said that going on is of no use: close the channel, or the gate whose template can't be sent.

    What was said long ago, or before the connection was last found well, says nothing of now.
    """
    at = datetime.fromisoformat(fact["at"])
    if now() - at > STALE_AFTER:
        return
    if fact["gate_id"] is not None:
        gate_id = UUID(fact["gate_id"])
        if _is_open(session, gate_id):
            close_gate(session, gate_id, fact["code"])
        return
    channel_id = UUID(fact["channel_id"])
    if find_channel(session, channel_id) is None:
        return
    channel = locked_channel(session, channel_id)
    was_well = channel.status_code is None and channel.checked_at is not None and channel.checked_at > at
    if _is_open(session, channel.gate_id) and not was_well:
        attention(session, channel, fact["code"], fact["detail"], stops=True)
        revise(session, channel)


def _is_open(session: Session, gate_id: UUID) -> bool:
    return bool(session.scalar(select(Gate.is_open).where(Gate.id == gate_id)))
