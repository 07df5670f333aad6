"""After a restore nothing that may have been sent is sent by itself, and all of it is counted as unknown."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from engine.campaigns import audience, freezing, queries, restoring, retrying, service
from engine.campaigns.models import Campaign
from engine.core.clock import now
from engine.core.events import OutboxEntry
from engine.core.system import system_session
from engine.messaging import ledger
from engine.messaging.channels.base import StatusReceipt
from engine.messaging.counters import Steps
from engine.messaging.models import DueSend, Gate, Lane, Message, MessageState, Origin
from engine.messaging.receipts import apply_receipts
from engine.messaging.restoring import RESTORED
from engine.scheduler.jobs import JOBS
from tests.campaigns.test_campaigns import begin, end_calls, look, make
from tests.workshop import Shop, add_people, messages_of


def states(shop: Shop) -> Counter[tuple[str, str | None]]:
    return Counter((message.state, message.reason_code) for message in messages_of(shop))


def campaign_of(shop: Shop, campaign_id: UUID) -> Campaign:
    with shop.work.session() as session:
        return queries.get_campaign(session, campaign_id)


def due_of(shop: Shop) -> list[DueSend]:
    with shop.work.session() as session:
        return list(session.scalars(select(DueSend)))


def mark_some(shop: Shop, amount: int) -> None:
    """As a sender that was on its way when the backup was made."""
    with system_session() as session:
        [lease] = ledger.claim(session, holder="boot.1.lost", wanted=1)
    waiting = [str(one.id) for one in messages_of(shop) if one.state == MessageState.QUEUED][:amount]
    with shop.work.session() as session:
        steps = Steps()
        ledger.hold(session, [lease])
        ledger.mark(session, [(one, 0, lease.id) for one in waiting], steps)
        steps.write(session)


def test_what_was_queued_or_under_way_is_unknown_and_the_campaign_waits_for_a_person(shop: Shop) -> None:
    add_people(shop, 6)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 2)
    mark_some(shop, 1)

    held = restoring.hold_back(shop.work)

    status, counts = look(shop, campaign_id)
    assert (held.campaigns, held.messages, held.rest) == (1, 4, 0)
    assert status == "paused"
    assert campaign_of(shop, campaign_id).pause_reason == "restored"
    assert (counts["accepted"], counts["unknown"], counts["queued"]) == (2, 4, 0)
    assert states(shop) == {("accepted", None): 2, ("unknown", RESTORED): 4}
    assert due_of(shop) == []


def test_a_second_time_there_is_nothing_to_do(shop: Shop) -> None:
    add_people(shop, 3)
    campaign_id = begin(shop)
    restoring.hold_back(shop.work)
    with shop.work.session() as session:
        facts = len(session.scalars(select(OutboxEntry)).all())

    again = restoring.hold_back(shop.work)

    assert again == restoring.HeldBack(0, 0, 0, 0)
    assert look(shop, campaign_id)[0] == "paused"
    with shop.work.session() as session:
        assert len(session.scalars(select(OutboxEntry)).all()) == facts


def test_resuming_sends_nothing_to_who_is_unknown(shop: Shop) -> None:
    add_people(shop, 3)
    campaign_id = begin(shop)
    restoring.hold_back(shop.work)

    with shop.work.session() as session:
        service.resume(session, campaign_id)
    JOBS["freeze"].work()

    with system_session() as session:
        assert not ledger.is_due(session)
        assert ledger.claim(session, holder="test", wanted=1) == []
    status, counts = look(shop, campaign_id)
    assert (status, counts["unknown"]) == ("completed", 3)


def test_a_status_that_comes_later_settles_what_was_only_queued_in_the_backup(shop: Shop) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)
    restoring.hold_back(shop.work)
    sent = messages_of(shop)[0]

    with shop.work.session() as session:
        receipt = StatusReceipt(
            account="1029", provider_id="wamid.1", status="delivered", occurred_at=now(), send_key=sent.id
        )
        applied = apply_receipts(session, shop.channel_id, [receipt])

    assert (applied.changed, applied.parked) == (1, 0)
    _, counts = look(shop, campaign_id)
    assert (counts["delivered"], counts["unknown"]) == (1, 1)


def test_a_campaign_that_a_person_had_paused_may_have_been_resumed_since(shop: Shop) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)
    with shop.work.session() as session:
        service.pause(session, campaign_id)
    look(shop, campaign_id)

    restoring.hold_back(shop.work)

    assert campaign_of(shop, campaign_id).pause_reason == "restored"
    assert states(shop) == {("unknown", RESTORED): 2}


def test_an_audience_that_was_being_written_down_is_unknown_to_its_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "FIRST_PAGE", 2)
    monkeypatch.setattr(audience, "PAGE", 2)
    add_people(shop, 5)
    campaign_id = make(shop)
    with shop.work.session() as session:
        service.start(session, campaign_id)
    freezing.freeze(shop.work, campaign_id, pages=1)

    held = restoring.hold_back(shop.work)

    status, counts = look(shop, campaign_id)
    assert (held.messages, held.rest) == (5, 3)
    assert (status, counts["total"], counts["unknown"]) == ("paused", 5, 5)
    assert not campaign_of(shop, campaign_id).unfinished
    with shop.work.session() as session:
        service.resume(session, campaign_id)
    JOBS["freeze"].work()
    assert look(shop, campaign_id)[0] == "completed"
    assert due_of(shop) == []


def test_an_operator_who_knows_that_the_rest_was_not_sent_leaves_it_to_a_person(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "FIRST_PAGE", 2)
    monkeypatch.setattr(audience, "PAGE", 2)
    add_people(shop, 5)
    campaign_id = make(shop)
    with shop.work.session() as session:
        service.start(session, campaign_id)
    freezing.freeze(shop.work, campaign_id, pages=1)

    restoring.hold_back(shop.work, rest_was_not_sent=True)
    JOBS["freeze"].work()

    assert campaign_of(shop, campaign_id).pause_reason == "restored_rest"
    assert states(shop) == {("unknown", RESTORED): 2}
    with shop.work.session() as session:
        service.resume(session, campaign_id)
    JOBS["freeze"].work()
    assert states(shop) == {("unknown", RESTORED): 2, ("queued", None): 3}


def test_a_retry_that_was_under_way_is_unknown_to_its_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "PAGE", 2)
    add_people(shop, 4)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.FAILED, 4)
    look(shop, campaign_id)
    with shop.work.session() as session:
        service.retry_failed(session, campaign_id)
    freezing.freeze(shop.work, campaign_id, pages=1)

    restoring.hold_back(shop.work)

    status, counts = look(shop, campaign_id)
    assert (status, counts["unknown"], counts["failed"]) == ("paused", 4, 0)
    assert due_of(shop) == []


def test_a_scheduled_campaign_begins_only_by_a_person(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = make(shop, scheduled_at=now() + timedelta(hours=2))
    with shop.work.session() as session:
        service.start(session, campaign_id)

    held = restoring.hold_back(shop.work)

    campaign = campaign_of(shop, campaign_id)
    assert held.drafts == 1
    assert (campaign.status, campaign.pause_reason) == ("draft", "restored_start")
    assert messages_of(shop) == []


def test_what_a_cancelled_campaign_had_left_is_cancelled_and_its_calls_are_unknown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CANCEL_AT_ONCE", 0)
    add_people(shop, 4)
    campaign_id = begin(shop)
    mark_some(shop, 1)
    with shop.work.session() as session:
        service.cancel(session, campaign_id)

    held = restoring.hold_back(shop.work)
    JOBS["freeze"].work()

    status, counts = look(shop, campaign_id)
    assert (held.campaigns, held.messages) == (0, 1)
    assert (status, counts["unknown"], counts["cancelled"]) == ("cancelled", 1, 3)
    assert due_of(shop) == []


def test_a_reply_that_was_queued_is_unknown_too(shop: Shop) -> None:
    with shop.work.session() as session:
        message_id = ledger.enqueue(
            session,
            channel_id=shop.channel_id,
            contact_id=None,
            address="+5571980000102",
            kind="text",
            origin=Origin.AGENT,
            body="Oi",
            lane=Lane.REPLY,
        ).id

    restoring.hold_back(shop.work)

    with shop.work.session() as session:
        message = session.get_one(Message, (shop.tenant_id, message_id))
    assert (message.state, message.reason_code) == ("unknown", RESTORED)
    assert due_of(shop) == []


def test_a_lease_of_a_sender_that_is_lost_with_the_database_is_taken_over_by_nobody(shop: Shop) -> None:
    """Its wire book may be on this machine, and says nothing of what was called and settled after the backup."""
    add_people(shop, 3)
    begin(shop)
    mark_some(shop, 2)
    with system_session() as session:
        session.execute(text("update due_sends set lease_until = now() - interval '1 hour'"))

    restoring.hold_back(shop.work)
    JOBS["recover"].work()

    assert states(shop) == {("unknown", RESTORED): 3}


def test_companies_with_nothing_under_way_are_not_asked(shop: Shop) -> None:
    add_people(shop, 1)
    make(shop)
    with system_session() as session:
        assert restoring.tenants_with_work(session) == []

    begin(shop)

    with system_session() as session:
        assert restoring.tenants_with_work(session) == [shop.tenant_id]


def test_a_campaign_that_was_being_changed_is_held_back_and_goes_on_when_resumed(shop: Shop) -> None:
    add_people(shop, 4)
    campaign_id = begin(shop)
    with shop.work.session() as session:
        service.change_campaign(session, campaign_id, {"variables": {"body.1": {"text": "gente"}}})

    restoring.hold_back(shop.work)
    look(shop, campaign_id)
    with shop.work.session() as session:
        service.resume(session, campaign_id)
        gate_id = queries.get_campaign(session, campaign_id).gate_id

    assert states(shop) == {("unknown", RESTORED): 4}
    assert campaign_of(shop, campaign_id).change_after is None
    with shop.work.session() as session:
        assert session.scalar(select(Gate.is_open).where(Gate.id == gate_id)), (
            "nothing keeps it closed for ever"
        )
