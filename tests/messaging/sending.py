"""What tests of the dispatcher share: a provider on a socket, a shop, a blast, and how it all stands."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from engine.core.bootstrap import DatabaseUrls
from engine.core.ids import uuid7
from engine.core.settings import settings
from engine.messaging import ledger
from engine.messaging.counters import MessageTally, Steps
from engine.messaging.dispatch import Dispatcher
from engine.messaging.models import DueSend, Gate, Lane, Message, MessageState, Origin
from tests.provider import Provider, running_provider
from tests.workshop import Shop, add_people, add_snapshot, messages_of, open_shop


@pytest.fixture
def provider(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with running_provider() as running:
        monkeypatch.setenv("MASTERIA_GRAPH_URL", running.url)
        settings.cache_clear()
        yield running
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def shop(provider: Provider) -> Shop:
    return open_shop()


def queue_blast(shop: Shop, amount: int, *, category: str = "UTILITY", consent: str = "granted") -> UUID:
    """A gate with `amount` queued template messages behind it, in one range."""
    people = add_people(shop, amount, consent=consent)
    snapshot_id = add_snapshot(shop, category=category)
    with shop.work.session() as session:
        gate = Gate(id=uuid7())
        session.add(gate)
        session.flush()
        ids = []
        for number, contact_id in enumerate(people):
            ids.append(uuid7())
            session.add(
                Message(
                    id=ids[-1],
                    direction="out",
                    kind="template",
                    channel_id=shop.channel_id,
                    contact_id=contact_id,
                    gate_id=gate.id,
                    origin=Origin.CAMPAIGN,
                    snapshot_id=snapshot_id,
                    address=f"+55119{number:08d}",
                    params={"body.1": f"Pessoa {number}"},
                    state=MessageState.QUEUED,
                )
            )
        ledger.add_due(
            session,
            channel_id=shop.channel_id,
            gate_id=gate.id,
            lane=Lane.BULK,
            spans=[(ids[0], ids[-1], amount)],
        )
        steps = Steps()
        steps.tallies[gate.id, MessageState.QUEUED] = amount
        session.flush()
        steps.write(session)
        return gate.id


def send(seconds: float = 5.0, *, width: int = 16) -> int:
    dispatcher = Dispatcher(width=width)
    try:
        return dispatcher.run(seconds)
    finally:
        dispatcher.close()


def states(shop: Shop) -> Counter[str]:
    return Counter(message.state for message in messages_of(shop))


def due(shop: Shop) -> list[Any]:
    with shop.work.session() as session:
        return list(session.query(DueSend).all())


def tally(shop: Shop, gate_id: UUID) -> dict[MessageState, int]:
    with shop.work.session() as session:
        rows = session.execute(
            select(MessageTally.state, MessageTally.n).where(
                MessageTally.gate_id == gate_id, MessageTally.n != 0
            )
        )
        return {MessageState(state): n for state, n in rows}
