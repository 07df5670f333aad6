"""The dispatcher against a provider on a socket: what each answer leads to, and what a crash leaves."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from engine.core.db import run, tenant_session
from engine.core.errors import DatabaseAway
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.messaging import dispatch, ledger, recovery, settlement
from engine.messaging.channels.whatsapp_cloud import WhatsAppCloud
from engine.messaging.counters import Steps
from engine.messaging.dispatch import Dispatcher
from engine.messaging.ledger import Lease
from engine.messaging.lines import Line
from engine.messaging.models import Channel, Lane, MessageState, Origin
from engine.messaging.settlement import Verdict
from engine.messaging.wirebook import WireBook
from tests.messaging.sending import due, provider, queue_blast, send, shop, states, tally
from tests.provider import Answer, Provider, accepted, graph_error
from tests.workshop import Shop, add_snapshot, messages_of

__all__ = ["provider", "shop"]


def assert_each_was_called_once(provider: Provider, shop: Shop, gate_id: UUID, amount: int) -> None:
    assert len({request["biz_opaque_callback_data"] for request in provider.taken}) == amount
    assert len(provider.taken) == amount
    assert tally(shop, gate_id) == {MessageState.ACCEPTED: amount}
    assert due(shop) == []


def queue_reply(shop: Shop, snapshot_id: UUID) -> None:
    """One message that overtakes bulk, to a number of its own."""
    with tenant_session(shop.tenant_id) as session:
        ledger.enqueue(
            session,
            channel_id=shop.channel_id,
            contact_id=None,
            address="+5511999999999",
            kind="template",
            origin=Origin.TEST,
            snapshot_id=snapshot_id,
            params={"body.1": "Ana"},
            lane=Lane.REPLY,
        )


def test_every_queued_message_is_called_once_and_accepted(provider: Provider, shop: Shop) -> None:
    gate_id = queue_blast(shop, 60)

    calls = send()

    assert calls == 60
    assert states(shop) == {"accepted": 60}
    assert_each_was_called_once(provider, shop, gate_id, 60)
    with shop.work.session() as session:
        assert session.query(Channel).one().last_sent_at is not None


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


def lose(
    shop: Shop, *, holder: str, marked: int, ends: timedelta = timedelta(seconds=-1)
) -> tuple[Lease, list[UUID]]:
    """A worker that has marked some of a range and whose lease then ends; answers the lease and all the messages."""
    with system_session() as session:
        [lease] = ledger.claim(session, holder=holder, wanted=1)
    ids = [message.id for message in messages_of(shop)]
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, [(str(one), 0, lease.id) for one in ids[:marked]], steps)
        steps.write(session)
        run(session, "update due_sends set lease_until = now() + %(ends)s", ends=ends)
    return lease, ids


def recover(shop: Shop) -> None:
    """What the job does."""
    with system_session() as session:
        lost = recovery.expired(session)
    with shop.work.session() as session:
        recovery.recover(session, lost.get(shop.tenant_id, ()))


def test_what_a_killed_worker_had_called_is_unknown_and_the_rest_is_sent(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 10)
    book = WireBook()
    _, ids = lose(shop, holder=book.name, marked=6)
    answered = Verdict(str(ids[2]), 1, MessageState.ACCEPTED, provider_id="wamid.heard")
    for number in range(3):
        slot = book.begin(str(ids[number]), 1)
    book.answer(slot, recovery.answer_of(answered))
    book.begin(str(uuid7()), 1)  # of another campaign

    recover(shop)
    send()

    assert tally(shop, gate_id) == {MessageState.UNKNOWN: 2, MessageState.ACCEPTED: 8}
    assert [message.state for message in messages_of(shop)][:3] == ["unknown", "unknown", "accepted"]
    assert messages_of(shop)[2].provider_id == "wamid.heard"
    assert len(provider.taken) == 7
    assert due(shop) == []


def test_the_lease_of_who_died_on_this_machine_is_not_waited_for_and_that_of_others_is(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 4)
    book = WireBook()
    _, ids = lose(shop, holder=book.name, marked=2, ends=timedelta(seconds=30))
    book.begin(str(ids[0]), 1)

    recover(shop)
    while_it_lived = tally(shop, gate_id)
    book._pages.close()  # as the kernel does for a process that is killed
    os.close(book._file)
    with system_session() as session:
        is_seen = recovery.is_left_here(session)
    recover(shop)
    send()

    assert while_it_lived == {MessageState.DISPATCHING: 2, MessageState.QUEUED: 2}
    assert is_seen
    assert tally(shop, gate_id) == {MessageState.UNKNOWN: 1, MessageState.ACCEPTED: 3}
    assert len(provider.taken) == 3


def test_a_worker_whose_book_nobody_can_read_is_waited_for_and_then_all_it_marked_is_unknown(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 10)
    lose(shop, holder="another-boot.17.abcd", marked=3)

    recover(shop)
    meanwhile = tally(shop, gate_id)
    with shop.work.session() as session:
        run(session, "update due_sends set lease_until = now() - interval '2 minutes'")
    recover(shop)
    send()

    assert meanwhile == {MessageState.DISPATCHING: 3, MessageState.QUEUED: 7}
    assert tally(shop, gate_id) == {MessageState.UNKNOWN: 3, MessageState.ACCEPTED: 7}
    assert len(provider.taken) == 7
    assert due(shop) == []


def test_a_range_that_was_taken_over_is_no_longer_its_old_holders(provider: Provider, shop: Shop) -> None:
    queue_blast(shop, 2)
    book = WireBook()
    lease, _ = lose(shop, holder=book.name, marked=1)

    recover(shop)
    with shop.work.session() as session:
        is_held = bool(ledger.hold(session, [lease]))
        ledger.let_go(session, lease)

    assert not is_held
    assert len(due(shop)) == 1
    send()
    assert len(provider.taken) == 2


def test_a_mark_whose_commit_was_not_heard_of_is_no_call_and_is_made_again(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 4)
    book = WireBook()
    with system_session() as session:
        [lease] = ledger.claim(session, holder=book.name, wanted=1)
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, [(str(messages_of(shop)[0].id), 0, lease.id)], steps)
        steps.write(session)

    with shop.work.session() as session:
        ledger.let_go(session, lease)
    recover(shop)
    send()

    assert_each_was_called_once(provider, shop, gate_id, 4)


def test_outcomes_outlive_a_database_that_refuses_to_write_them(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_id = queue_blast(shop, 3)
    refusals = iter([DatabaseAway(), ZeroDivisionError()])

    def refuse_twice(*given: Any) -> None:
        for error in refusals:
            raise error
        settlement.settle(*given)

    monkeypatch.setattr(dispatch, "settle", refuse_twice)
    dispatcher = Dispatcher(width=16)
    with pytest.raises(ZeroDivisionError):
        dispatcher.run(5.0)
    dispatcher.run(5.0)
    dispatcher.close()

    assert_each_was_called_once(provider, shop, gate_id, 3)


def test_a_message_that_cannot_be_written_fails_alone(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_id = queue_blast(shop, 3)
    poisoned = str(messages_of(shop)[1].id)
    ask = Line.ask

    def stumble(line: Line, row: Any) -> Any:
        if row.id == poisoned:
            raise KeyError("gap")
        return ask(line, row)

    monkeypatch.setattr(Line, "ask", stumble)
    send()

    assert tally(shop, gate_id) == {MessageState.ACCEPTED: 2, MessageState.FAILED: 1}
    assert messages_of(shop)[1].reason_code == "not_written"


def test_one_person_gets_no_more_than_the_pair_limit_at_once(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        WhatsAppCloud, "capabilities", replace(WhatsAppCloud.capabilities, pair_interval=0.4, pair_burst=3)
    )
    gate_id = queue_blast(shop, 8)
    with shop.work.session() as session:
        run(session, "update messages set address = '+5511900000000' where state = 'queued'")

    send(0.3)
    at_once = len(provider.taken)
    send_until_all(provider, 8)

    assert at_once == 3
    assert tally(shop, gate_id) == {MessageState.ACCEPTED: 8}
    assert due(shop) == []


def send_until_all(provider: Provider, amount: int) -> None:
    """Send for as long as it takes, ten seconds at most."""
    for _ in range(40):
        if len(provider.taken) >= amount:
            return
        send(0.2)
        time.sleep(0.05)


def test_a_brake_on_one_template_holds_its_campaign_back_and_nobody_else(
    provider: Provider, shop: Shop
) -> None:
    provider.behave = lambda request: (
        graph_error(132069, 400) if request["type"] == "template" else accepted(request)
    )
    gate_id = queue_blast(shop, 3)

    send(1.0)
    provider.behave = accepted
    queue_reply(shop, add_snapshot(shop))
    send(1.0)

    assert tally(shop, gate_id) == {MessageState.QUEUED: 3}
    assert [request["to"] for request in provider.taken][-1] == "+5511999999999"
    with shop.work.session() as session:
        waits = run(session, "select due_at - now() > interval '5 min' as later from due_sends")
    assert waits
    assert all(row.later for row in waits)


def test_an_answer_that_comes_after_the_lease_was_lost_settles_its_own_call_only(
    provider: Provider, shop: Shop
) -> None:
    gate_id = queue_blast(shop, 1)
    with system_session() as session:
        [lease] = ledger.claim(session, holder="slow", wanted=1)
    [message] = messages_of(shop)
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, [(str(message.id), 0, lease.id)], steps)
        steps.write(session)
        run(session, "update due_sends set lease_until = now() - interval '2 minutes'")
    with shop.work.session() as session:
        recovery.recover(session, [lease.id])

    for attempt in (2, 1):
        with shop.work.session() as session:
            steps = Steps()
            late = Verdict(str(message.id), attempt, MessageState.ACCEPTED, provider_id=f"wamid.{attempt}")
            settlement.settle(session, [(lease, late)], steps)
            steps.write(session)

    assert tally(shop, gate_id) == {MessageState.ACCEPTED: 1}
    assert messages_of(shop)[0].provider_id == "wamid.1"


def test_a_reply_does_not_wait_behind_a_blast(provider: Provider, shop: Shop) -> None:
    queue_blast(shop, 700)
    snapshot_id = add_snapshot(shop)
    provider.behave = lambda request: Answer(**{**accepted(request).__dict__, "after": 0.02})
    with shop.work.session() as session:
        session.execute(update(Channel).values(rate_per_second=200))

    def reply_after_twenty(request: dict[str, Any]) -> Answer:
        if len(provider.taken) == 20:
            queue_reply(shop, snapshot_id)
        return Answer(200, accepted(request).body, after=0.02)

    provider.behave = reply_after_twenty
    send(20.0, width=8)

    order = [request["to"] for request in provider.taken]
    assert len(order) == 701
    assert order.index("+5511999999999") < 200
