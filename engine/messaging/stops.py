"""Stopping by itself: a channel or a gate closes when the provider says that going on is of no use."""

from uuid import UUID

from sqlalchemy import select

from engine.core.db import Work
from engine.core.errors import ProviderError
from engine.core.events import Fact, emit
from engine.messaging.connections import revise
from engine.messaging.ledger import set_gate
from engine.messaging.models import Channel, ChannelStatus


def stop_channel(work: Work, channel_id: UUID, error: ProviderError) -> None:
    """Close a channel until a person has mended it; its messages stay queued."""
    with work.session() as session:
        channel = session.scalars(select(Channel).where(Channel.id == channel_id).with_for_update()).one()
        set_gate(session, channel.gate_id, is_open=False, reason=error.code)
        channel.status = ChannelStatus.ATTENTION
        channel.status_code = error.code
        channel.status_detail = error.detail[:500] or None
        revise(session, channel)


def stop_gate(work: Work, gate_id: UUID, error: ProviderError) -> None:
    """Close a campaign's gate, because its template can't be sent now; whoever owns the gate hears of it."""
    with work.session() as session:
        set_gate(session, gate_id, is_open=False, reason=error.code)
        emit(session, Fact("gate.closed", {"gate_id": str(gate_id), "code": error.code}))
