"""Stopping by itself: a channel or a gate closes when the provider says that going on is of no use."""

from uuid import UUID

from sqlalchemy import select

from engine.core.db import Work
from engine.core.errors import NotFound, ProviderError
from engine.core.events import Fact, emit
from engine.core.log import logger
from engine.messaging.channel_health import attention
from engine.messaging.connections import locked_channel, revise
from engine.messaging.ledger import set_gate
from engine.messaging.models import Gate

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


def stop_gate(work: Work, gate_id: UUID, error: ProviderError) -> None:
    """Close a campaign's gate, because its template can't be sent now; whoever owns the gate hears of it.

    The fact says at which closing: one that comes late finds out that a person has opened the gate since.
    """
    with work.session() as session:
        set_gate(session, gate_id, is_open=False, reason=error.code)
        generation = session.scalars(select(Gate.generation).where(Gate.id == gate_id)).one()
        emit(
            session,
            Fact("gate.closed", {"gate_id": str(gate_id), "code": error.code, "generation": generation}),
        )
