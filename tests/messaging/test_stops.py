"""Stopping by itself: in everybody's order of locks, and never over what a person has decided."""

import threading
from typing import Any

import pytest
from sqlalchemy import select

from engine.core.bootstrap import DatabaseUrls
from engine.core.errors import Misconfigured
from engine.messaging.channel_health import attention
from engine.messaging.connections import change_channel, delete_channel, locked_channel
from engine.messaging.models import Channel, Gate
from engine.messaging.stops import stop_channel
from tests.workshop import Shop, open_shop

ERROR = Misconfigured("payment_issue", detail="131042")


@pytest.fixture
def shop(database: DatabaseUrls) -> Shop:
    return open_shop()


def stands(shop: Shop) -> tuple[Any, ...]:
    with shop.work.session() as session:
        channel = session.scalars(select(Channel)).one()
        gate = session.scalars(select(Gate).where(Gate.id == channel.gate_id)).one()
        return channel.status, channel.status_code, gate.is_open


def test_a_channel_that_stops_waits_for_a_person_with_the_reason(shop: Shop) -> None:
    stop_channel(shop.work, shop.channel_id, ERROR)

    assert stands(shop) == ("attention", "payment_issue", False)


def test_what_a_person_paused_stays_paused(shop: Shop) -> None:
    with shop.work.session() as session:
        change_channel(session, shop.channel_id, is_paused=True)

    stop_channel(shop.work, shop.channel_id, ERROR)

    assert stands(shop) == ("paused", "payment_issue", False)


def test_a_channel_that_was_deleted_meanwhile_is_left_alone(shop: Shop) -> None:
    with shop.work.session() as session:
        delete_channel(session, shop.channel_id)
    before = stands(shop)

    stop_channel(shop.work, shop.channel_id, ERROR)

    assert stands(shop) == before


def test_a_stop_and_a_check_at_once_wait_for_each_other_and_do_not_lock_each_other_out(shop: Shop) -> None:
    with shop.work.session() as session:
        channel = locked_channel(session, shop.channel_id)
        thread = threading.Thread(target=stop_channel, args=(shop.work, shop.channel_id, ERROR))
        thread.start()
        thread.join(0.5)
        waits = thread.is_alive()
        attention(session, channel, "number_not_ready", "", stops=True)  # takes the gate again
    thread.join(10)

    assert waits
    assert stands(shop) == ("attention", "payment_issue", False)
