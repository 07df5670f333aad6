"""Pages that can't be written, a queue that comes back after a cancel, and the channel that a campaign holds."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from engine.campaigns import freezing, queries, service
from engine.campaigns.models import Campaign
from engine.core import db
from engine.core.clock import now
from engine.core.errors import Conflict, Invalid
from engine.core.system import system_session
from engine.messaging import ledger
from engine.messaging.connections import delete_channel
from engine.messaging.counters import Steps
from engine.messaging.gates import is_template_held
from engine.messaging.models import Channel, MessageState, Template
from engine.messaging.settlement import Verdict, settle
from engine.messaging.template_desk import delete_template
from engine.scheduler.jobs import JOBS
from engine.scheduler.jobs import campaigns as jobs
from tests.campaigns.test_campaigns import begin, end_calls, look, make
from tests.workshop import Shop, add_people, messages_of, open_shop


def start(shop: Shop) -> UUID:
    campaign_id = make(shop)
    with shop.work.session() as session:
        service.start(session, campaign_id)
    return campaign_id


def stands(shop: Shop, campaign_id: UUID) -> tuple[str, str | None]:
    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        return campaign.status, campaign.pause_reason


def test_a_campaign_that_can_not_be_frozen_pauses_with_a_reason_and_keeps_no_other_waiting(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [open_shop(), open_shop()]
    for one in shops:
        add_people(one, 2)
    broken, sound = (start(one) for one in shops)
    write = freezing.freeze_page

    def write_or_break(session: Any, campaign: Campaign, blast: Any) -> Any:
        if campaign.id == broken:
            raise ZeroDivisionError
        return write(session, campaign, blast)

    monkeypatch.setattr(freezing, "freeze_page", write_or_break)
    JOBS["freeze"].work()
    look(shops[0], broken)

    assert stands(shops[0], broken) == ("paused", "not_frozen")
    assert look(shops[1], sound)[1]["queued"] == 2
    with system_session() as session:
        assert not JOBS["freeze"].is_due(session), "until a person resumes it"

    monkeypatch.undo()
    with shops[0].work.session() as session:
        service.resume(session, broken)
    JOBS["freeze"].work()
    assert look(shops[0], broken)[1]["queued"] == 2


def test_a_campaign_of_a_deleted_channel_is_frozen_all_the_same(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = start(shop)
    with shop.work.session() as session:
        session.execute(update(Channel).values(deleted_at=now()))

    freezing.freeze(shop.work, campaign_id)

    assert look(shop, campaign_id)[1]["total"] == 1


def test_a_channel_can_not_be_deleted_while_a_campaign_is_under_way_that_has_no_message_yet(
    shop: Shop,
) -> None:
    campaign_id = start(shop)

    with shop.work.session() as session, pytest.raises(Conflict):
        delete_channel(session, shop.channel_id)
    freezing.freeze(shop.work, campaign_id)
    assert look(shop, campaign_id)[0] == "completed"
    with shop.work.session() as session:
        delete_channel(session, shop.channel_id)
        assert session.scalars(select(Channel.deleted_at)).one() is not None


def test_a_template_can_not_be_deleted_while_a_campaign_is_under_way_that_sends_it(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)

    with pytest.raises(Conflict) as refused:
        delete_template(shop.work, shop.template_id)
    end_calls(shop, MessageState.FAILED, 1)
    assert look(shop, campaign_id)[0] == "completed"
    with shop.work.session() as session:
        is_held = is_template_held(session, shop.template_id)

    assert (refused.value.code, is_held) == ("template_in_use", False)


def test_a_retry_by_a_channel_that_was_deleted_meanwhile_says_so(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.FAILED, 1)
    look(shop, campaign_id)
    with shop.work.session() as session:
        delete_channel(session, shop.channel_id)

    with shop.work.session() as session, pytest.raises(Invalid) as refusal:
        service.retry_failed(session, campaign_id)

    assert refusal.value.fields[0].code == "unknown_channel"


def test_what_a_call_puts_back_into_the_queue_of_a_cancelled_campaign_is_cancelled_too(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)
    with system_session() as session:
        [lease] = ledger.claim(session, holder="test", wanted=1)
    [message] = messages_of(shop)
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, [(str(message.id), 0, lease.id)], steps)
        steps.write(session)
    with shop.work.session() as session:
        service.cancel(session, campaign_id)
    with shop.work.session() as session:
        steps = Steps()
        settle(session, [(lease, Verdict(str(message.id), 1, MessageState.QUEUED, retry_in=60))], steps)
        steps.write(session)
    look(shop, campaign_id)

    JOBS["freeze"].work()

    assert look(shop, campaign_id)[1]["cancelled"] == 1
    with system_session() as session:
        assert freezing.to_freeze(session) == []


def test_many_queued_messages_are_cancelled_by_the_job(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CANCEL_AT_ONCE", 2)
    add_people(shop, 5)
    campaign_id = begin(shop)

    with shop.work.session() as session:
        at_once = service.cancel(session, campaign_id).unfinished
    JOBS["freeze"].work()

    assert at_once
    assert look(shop, campaign_id)[1]["cancelled"] == 5


def schedule(shop: Shop) -> UUID:
    campaign_id = make(shop)
    with shop.work.session() as session:
        session.execute(update(Campaign).values(status="scheduled", scheduled_at=func.now()))
    return campaign_id


def test_a_scheduled_start_waits_while_the_database_is_away_for_a_moment(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = schedule(shop)

    def blink(*_: Any) -> None:
        raise OperationalError("", {}, Exception())

    with monkeypatch.context() as moment:
        moment.setattr(jobs, "begin_if_due", blink)
        with pytest.raises(db.DatabaseAway):
            JOBS["begin"].work()
    kept = stands(shop, campaign_id)
    JOBS["begin"].work()

    assert kept == ("scheduled", None)
    assert stands(shop, campaign_id)[0] == "running"


def test_a_scheduled_start_that_is_not_possible_names_what_is_in_the_way(shop: Shop) -> None:
    campaign_id = schedule(shop)
    with shop.work.session() as session:
        session.execute(update(Template).values(status="paused"))

    JOBS["begin"].work()

    assert stands(shop, campaign_id) == ("draft", "template_not_approved")
