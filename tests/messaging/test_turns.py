"""Whose turn it is: companies share the senders, and so do a company's channels; replies wait for no place of bulk."""

import threading
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
import redis

from engine.core import ratelimit
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.messaging import dispatch, ledger, lines
from engine.messaging.connections import change_channel
from engine.messaging.dispatch import Dispatcher
from engine.messaging.ledger import Lease
from engine.messaging.lines import Line
from engine.messaging.models import Lane
from tests.messaging.sending import provider, queue_blast, send, shop, states
from tests.provider import Answer, Provider, accepted
from tests.workshop import Shop, add_channel, open_shop

__all__ = ["provider", "shop"]


def add_work(shop: Shop, channel_id: UUID, ranges: int, *, lane: Lane = Lane.BULK) -> None:
    with shop.work.session() as session:
        spans = [(one := uuid7(), one, 1) for _ in range(ranges)]
        ledger.add_due(session, channel_id=channel_id, gate_id=None, lane=lane, spans=spans)


def channels_of(shop: Shop, amount: int) -> list[UUID]:
    """The shop's first channel, and others beside it."""
    with shop.work.session() as session:
        return [shop.channel_id, *(add_channel(session, 1000) for _ in range(amount - 1))]


def claim(wanted: int, *, replies: int = 0, holder: str = "book") -> list[Lease]:
    with system_session() as session:
        return ledger.claim(session, holder=holder, wanted=wanted, replies=replies)


def test_a_company_with_one_channel_waits_for_none_with_many(provider: Provider, shop: Shop) -> None:
    """Its work came last, and behind far more than there are places."""
    for channel_id in channels_of(shop, 20):
        add_work(shop, channel_id, 5)
    small = open_shop()
    add_work(small, small.channel_id, 1)

    leases = claim(4)

    assert Counter(lease.tenant_id for lease in leases)[small.tenant_id] == 1
    assert len(leases) == 4


def test_who_holds_the_fewest_is_next(provider: Provider, shop: Shop) -> None:
    other = open_shop()
    add_work(shop, shop.channel_id, 10)
    claim(1), claim(1), claim(1)
    add_work(other, other.channel_id, 10)

    turns = [lease.tenant_id for _ in range(3) for lease in claim(1)]

    assert turns == [other.tenant_id] * 3


def test_a_companys_channels_take_turns(provider: Provider, shop: Shop) -> None:
    first, second = channels_of(shop, 2)
    add_work(shop, first, 10)
    claim(1), claim(1)
    add_work(shop, second, 10)

    turns = [lease.channel_id for _ in range(2) for lease in claim(1)]

    assert turns == [second, second]


def test_a_reply_needs_no_place_of_bulk(provider: Provider, shop: Shop) -> None:
    add_work(shop, shop.channel_id, 3)
    add_work(shop, shop.channel_id, 1, lane=Lane.REPLY)

    leases = claim(0, replies=8)

    assert [lease.lane for lease in leases] == [Lane.REPLY]


def test_what_rests_or_is_held_is_left_alone(provider: Provider, shop: Shop) -> None:
    first, second = channels_of(shop, 2)
    add_work(shop, first, 1)
    add_work(shop, second, 1)
    with system_session() as session:
        leases = ledger.claim(session, holder="book", wanted=10, resting=[first])

    assert [lease.channel_id for lease in leases] == [second]
    assert [lease.channel_id for lease in claim(10)] == [first]
    assert claim(10) == []


def test_many_slow_channels_make_room_for_another(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them could keep its place for minutes, and nobody else would get one."""
    monkeypatch.setattr(dispatch, "RANGES", 2)
    monkeypatch.setattr(dispatch, "ROTATE_AFTER", 0.3)
    slow = [open_shop(rate=1) for _ in range(3)]
    for one in slow:
        queue_blast(one, 40)
    queue_blast(shop, 20)

    send(seconds=4.0)

    assert states(shop) == {"accepted": 20}
    assert all(0 < states(one)["accepted"] < 40 for one in slow)


def test_a_channel_that_was_changed_while_it_sends_is_read_anew(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LOOKED_AT_EVERY", 0.0)
    queue_blast(shop, 40)
    slowed = threading.Event()

    def behave(request: dict[str, Any]) -> Answer:
        if not slowed.is_set():
            slowed.set()
            with shop.work.session() as session:
                change_channel(session, shop.channel_id, rate_per_second=1, access_token="EAAnew")
        return accepted(request)

    provider.behave = behave
    dispatcher = Dispatcher(width=2)
    dispatcher.run(3.0)
    [line] = dispatcher._lines.values()
    dispatcher.close()

    assert (line.rate, line._credentials.access_token) == (1.0, "EAAnew")
    assert states(shop)["queued"] > 0, "what was left went at the new rate"


def test_without_redis_those_who_hold_ranges_of_a_channel_part_its_rate(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def redis_is_away(*_: object, **__: object) -> ratelimit.Lease:
        raise redis.ConnectionError

    other = channels_of(shop, 2)[1]
    for channel_id, holder in [
        (shop.channel_id, "a"),
        (shop.channel_id, "b"),
        (other, "c"),
        (shop.channel_id, "d"),
    ]:
        add_work(shop, channel_id, 1)
        claim(1, holder=holder)
    monkeypatch.setattr(ratelimit, "lease", redis_is_away)
    line = Line(shop.channel_id)

    with shop.work.session() as session:
        line.read(session)
        before = line._bucket.processes
        line.share(session)
        knowing_no_better = line._bucket.processes
        line.tokens(10)
        line.share(session)

    assert (before, knowing_no_better, line._bucket.processes) == (2, 2, 3)
