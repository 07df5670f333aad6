"""The dispatcher against a provider on a socket: what each answer leads to, and what a crash leaves."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from engine.core.bootstrap import DatabaseUrls
from engine.core.db import run, tenant_session
from engine.core.ids import uuid7
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging import ledger, settlement
from engine.messaging.counters import Steps, tally_of
from engine.messaging.dispatch import Dispatcher
from engine.messaging.models import Channel, DueSend, Gate, Lane, Message, MessageState, Origin
from engine.messaging.settlement import Verdict
from tests.provider import Answer, Provider, accepted, graph_error, running_provider
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
        return tally_of(session, gate_id)


def test_every_queued_message_is_called_once_and_accepted(provider: Provider, shop: Shop) -> None:
    gate_id = queue_blast(shop, 60)

    calls = send()

    assert calls == 60
    assert len({request["biz_opaque_callback_data"] for request in provider.taken}) == 60
    assert states(shop) == {"accepted": 60}
    assert tally(shop, gate_id) == {MessageState.ACCEPTED: 60}
    assert due(shop) == []


def test_what_leaves_carries_the_person_and_our_key(provider: Provider, shop: Shop) -> None:
    queue_blast(shop, 1)

    send()

    [message], [request] = messages_of(shop), provider.taken
    assert request["to"] == "+5511900000000"
    assert request["biz_opaque_callback_data"] == str(message.id)
    assert request["template"]["components"][0]["parameters"][0]["text"] == "Pessoa 0"
    assert message.provider_id is not None


def test_a_throttled_channel_rests_and_its_message_goes_later(provider: Provider, shop: Shop) -> None:
    provider.behave = lambda request: (
        graph_error(130429, 429) if len(provider.taken) == 1 else accepted(request)
    )
    gate_id = queue_blast(shop, 1)

    send(0.5)
    waiting = tally(shop, gate_id)
    send_when_due(shop)

    assert waiting == {MessageState.QUEUED: 1}
    assert tally(shop, gate_id) == {MessageState.ACCEPTED: 1}
    assert len(provider.taken) == 2


def send_when_due(shop: Shop) -> None:
    """Bring the next try forward instead of waiting for it."""
    with shop.work.session() as session:
        run(session, "update due_sends set due_at = now()")
    send()


def test_a_refusal_is_final_and_kept_with_its_code(provider: Provider, shop: Shop) -> None:
    provider.behave = lambda _request: graph_error(131026)
    gate_id = queue_blast(shop, 1)

    send()

    [message] = messages_of(shop)
    assert message.state == MessageState.FAILED
    assert message.reason is not None
    assert message.reason["provider_code"] == "131026"
    assert tally(shop, gate_id) == {MessageState.FAILED: 1}


@pytest.mark.parametrize("silence", [Answer(None), Answer(500, {"error": {"code": 2, "message": "x"}})])
def test_an_answer_that_says_nothing_leaves_the_message_unknown_and_unsent(
    provider: Provider, shop: Shop, silence: Answer
) -> None:
    provider.behave = lambda _request: silence
    gate_id = queue_blast(shop, 1)

    send()
    send_when_due(shop)

    assert tally(shop, gate_id) == {MessageState.UNKNOWN: 1}
    assert len(provider.taken) == 1


def test_a_dead_token_stops_the_channel_and_keeps_the_messages(provider: Provider, shop: Shop) -> None:
    provider.behave = lambda _request: graph_error(190, 401)
    gate_id = queue_blast(shop, 40)

    send(2.0, width=4)
    taken = len(provider.taken)
    send(1.0)

    with shop.work.session() as session:
        channel = session.query(Channel).one()
    assert channel.status == "attention"
    assert taken <= 8
    assert len(provider.taken) == taken
    assert tally(shop, gate_id) == {MessageState.QUEUED: 40}


def test_a_person_who_opted_out_after_the_start_gets_nothing(provider: Provider, shop: Shop) -> None:
    gate_id = queue_blast(shop, 3, category="MARKETING", consent="withdrawn")

    send()

    assert provider.taken == []
    assert tally(shop, gate_id) == {MessageState.SKIPPED: 3}
    assert {message.reason_code for message in messages_of(shop)} == {"opted_out"}


def test_no_call_starts_behind_a_closed_gate(provider: Provider, shop: Shop) -> None:
    gate_id = queue_blast(shop, 5)
    with shop.work.session() as session:
        ledger.set_gate(session, gate_id, is_open=False)

    send(0.5)

    assert provider.taken == []
    assert tally(shop, gate_id) == {MessageState.QUEUED: 5}


def test_a_gate_that_closes_under_way_stops_what_is_not_marked_yet(provider: Provider, shop: Shop) -> None:
    gate_id = queue_blast(shop, 200)

    def close_after_ten(request: dict[str, Any]) -> Answer:
        if len(provider.taken) == 10:
            with tenant_session(shop.tenant_id) as session:
                ledger.set_gate(session, gate_id, is_open=False)
        return accepted(request)

    provider.behave = close_after_ten
    send(5.0, width=4)

    counts = tally(shop, gate_id)
    assert counts[MessageState.ACCEPTED] == len(provider.taken)
    assert counts[MessageState.ACCEPTED] + counts[MessageState.QUEUED] == 200
    assert counts[MessageState.QUEUED] > 100


def test_what_a_lost_worker_had_marked_is_unknown_and_the_rest_is_sent(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 10)
    with system_session() as session:
        [lease] = ledger.claim(session, holder="lost", wanted=1)
    ids = [message.id for message in messages_of(shop)]
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, lease, ids[:3], steps)
        steps.write(session)
        session.execute(update(DueSend).values(lease_until=DueSend.due_at))

    with system_session() as session:
        lost = settlement.expired(session)
    with shop.work.session() as session:
        settlement.recover(session, lost[shop.tenant_id])
    send()

    assert tally(shop, gate_id) == {MessageState.UNKNOWN: 3, MessageState.ACCEPTED: 7}
    assert len(provider.taken) == 7
    assert due(shop) == []


def test_an_answer_that_comes_after_the_lease_was_lost_settles_its_own_call_only(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 1)
    with system_session() as session:
        [lease] = ledger.claim(session, holder="slow", wanted=1)
    [message] = messages_of(shop)
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, lease, [message.id], steps)
        steps.write(session)
        session.execute(update(DueSend).values(lease_until=DueSend.due_at))
    with shop.work.session() as session:
        settlement.recover(session, [lease.id])

    for attempt in (2, 1):
        with shop.work.session() as session:
            steps = Steps()
            late = Verdict(message.id, attempt, MessageState.ACCEPTED, provider_id=f"wamid.{attempt}")
            settlement.settle(session, lease, [late], steps)
            steps.write(session)

    assert tally(shop, gate_id) == {MessageState.ACCEPTED: 1}
    assert messages_of(shop)[0].provider_id == "wamid.1"


def test_a_reply_does_not_wait_behind_a_blast(provider: Provider, shop: Shop) -> None:
    queue_blast(shop, 300)
    provider.behave = lambda request: Answer(**{**accepted(request).__dict__, "after": 0.02})
    with shop.work.session() as session:
        session.execute(update(Channel).values(rate_per_second=200))

    def reply_after_twenty(request: dict[str, Any]) -> Answer:
        if len(provider.taken) == 20:
            with tenant_session(shop.tenant_id) as session:
                ledger.enqueue(
                    session,
                    channel_id=shop.channel_id,
                    contact_id=None,
                    address="+5511999999999",
                    kind="template",
                    origin=Origin.TEST,
                    snapshot_id=messages_of(shop)[0].snapshot_id,
                    params={"body.1": "Ana"},
                    lane=Lane.REPLY,
                )
        return Answer(200, accepted(request).body, after=0.02)

    provider.behave = reply_after_twenty
    send(20.0, width=8)

    order = [request["to"] for request in provider.taken]
    assert len(order) == 301
    assert order.index("+5511999999999") < 150
