"""What is due, measured: what may go by lane, what the channels' rates let go, what waits to be understood."""

from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from sqlalchemy import update

from engine.core import db
from engine.core.clock import now
from engine.core.errors import DatabaseAway
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.messaging import depth, ledger
from engine.messaging.depth import MINUTE
from engine.messaging.models import DueHook, DueSend, Gate, Lane
from tests.messaging.sending import provider, queue_blast, shop
from tests.provider import Provider
from tests.workshop import Shop, open_shop

__all__ = ["provider", "shop"]


def test_nothing_is_due_in_an_empty_deployment(shop: Shop) -> None:
    found = depth.measure()

    assert {lane: (of.messages, of.sendable) for lane, of in found.lanes.items()} == dict.fromkeys(
        Lane, (0, 0)
    )
    assert (found.webhooks, found.parked) == (0, 0)


def test_what_is_due_is_counted_by_lane_over_all_companies(shop: Shop) -> None:
    queue_blast(shop, 3)
    other = open_shop()
    queue_blast(other, 2)
    with other.work.session() as session:
        one = uuid7()
        ledger.add_due(
            session, channel_id=other.channel_id, gate_id=None, lane=Lane.REPLY, spans=[(one, one, 1)]
        )
        session.execute(update(DueSend).values(due_at=now() - timedelta(seconds=40)))

    found = depth.measure().lanes

    assert (found[Lane.BULK].messages, found[Lane.REPLY].messages, found[Lane.TEST].messages) == (5, 1, 0)
    assert found[Lane.REPLY].oldest >= 40


@pytest.mark.parametrize("held", ["campaign", "channel"])
def test_what_is_paused_is_not_due(shop: Shop, held: str) -> None:
    gate_id = queue_blast(shop, 3)
    with shop.work.session() as session:
        other = [gate.id for gate in session.query(Gate).all() if gate.id != gate_id]
        chosen = gate_id if held == "campaign" else other[0]
        session.execute(update(Gate).where(Gate.id == chosen).values(is_open=False))

    assert depth.measure().lanes[Lane.BULK].messages == 0


def test_what_is_for_later_is_not_due(shop: Shop) -> None:
    queue_blast(shop, 3)
    with shop.work.session() as session:
        session.execute(update(DueSend).values(due_at=now() + timedelta(minutes=1)))

    assert depth.measure().lanes[Lane.BULK].messages == 0


def test_more_than_a_channels_rate_is_no_reason_for_more_workers(provider: Provider) -> None:
    slow, quick = open_shop(rate=2), open_shop(rate=80)
    for one, amount in ((slow, 10_000), (quick, 300)):
        with one.work.session() as session:
            spans = [(uuid7(), uuid7(), amount)]
            ledger.add_due(session, channel_id=one.channel_id, gate_id=None, lane=Lane.BULK, spans=spans)

    found = depth.measure().lanes[Lane.BULK]

    assert (found.messages, found.sendable) == (10_300, 2 * MINUTE + 300)


def test_webhooks_that_wait_are_counted(shop: Shop) -> None:
    with system_session() as session:
        for minutes in (-2, -1, 5):
            session.add(
                DueHook(channel_id=shop.channel_id, id=uuid7(), due_at=now() + timedelta(minutes=minutes))
            )

    found = depth.measure()

    assert found.webhooks == 2
    assert found.webhooks_oldest >= 120


def test_prometheus_is_shown_what_is_due_and_nothing_old(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    queue_blast(shop, 3)

    depth.show()
    present = generate_latest().decode()

    def away(*_: object) -> None:
        raise DatabaseAway()

    monkeypatch.setattr(db, "_opened", away)
    with pytest.raises(DatabaseAway):
        depth.show()
    afterwards = generate_latest().decode()

    assert 'masteria_due_messages{lane="bulk"} 3.0' in present
    assert "masteria_webhooks_waiting 0.0" in present
    assert "masteria_due_messages" not in afterwards
