"""What follows facts: who is credited with a reply, a gate that closed late, people who are one or gone, silence."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.orm import Session

from engine.campaigns import freezing, progress, queries, service, standing
from engine.campaigns.models import TRANSITIONS, Campaign, CampaignRecipient, CampaignStatus
from engine.campaigns.states import move
from engine.core.clock import now
from engine.core.db import app_engine
from engine.core.errors import NotTaken, WrongState
from engine.messaging.models import Message, MessageState
from engine.messaging.stops import stop_gate
from engine.scheduler.reactions import react_due
from engine.scheduler.relay import relay_due
from tests.campaigns.test_campaigns import begin, end_calls, look, make
from tests.workshop import Shop, add_people, messages_of


def reply(
    shop: Shop, contact_id: UUID, *, after: float = 0.0, kind: str = "text", quoted: Any = None
) -> None:
    fact = {
        "contact_id": str(contact_id),
        "at": (now() + timedelta(seconds=after)).isoformat(),
        "kind": kind,
        "quoted_message_id": str(quoted) if quoted else None,
    }
    with shop.work.session() as session:
        progress.credit_reply(session, fact)


def replied(shop: Shop, campaign_id: UUID) -> int:
    return look(shop, campaign_id)[1]["replied"]


def move_calls(shop: Shop, campaign_id: UUID, seconds: float) -> None:
    with shop.work.session() as session:
        session.execute(
            update(Message)
            .where(Message.origin_id == campaign_id)
            .values(called_at=func.now() + timedelta(seconds=seconds))
        )


def test_a_reply_counts_for_whom_was_called_last_and_not_for_what_was_frozen_last(shop: Shop) -> None:
    [contact_id] = add_people(shop, 1)
    frozen_first, frozen_last = begin(shop), begin(shop)
    for _ in range(2):
        end_calls(shop, MessageState.ACCEPTED, 1)
    move_calls(shop, frozen_last, -60)
    move_calls(shop, frozen_first, -30)

    reply(shop, contact_id)

    assert (replied(shop, frozen_first), replied(shop, frozen_last)) == (1, 0)


def test_a_reply_does_not_count_for_a_campaign_that_was_called_after_it(shop: Shop) -> None:
    [contact_id] = add_people(shop, 1)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)

    reply(shop, contact_id, after=-60)

    assert replied(shop, campaign_id) == 0


def test_a_campaign_that_skipped_a_person_is_not_credited_with_their_reply(shop: Shop) -> None:
    [contact_id] = add_people(shop, 1)
    campaign_id = begin(shop)
    with shop.work.session() as session:
        session.execute(update(Message).values(state="skipped", called_at=func.now(), attempt=1))
        session.execute(text("update message_tallies set state = 'skipped'"))

    reply(shop, contact_id)

    assert replied(shop, campaign_id) == 0


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke"])
def test_a_remark_is_no_reply(shop: Shop, kind: str) -> None:
    [contact_id] = add_people(shop, 1)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)

    reply(shop, contact_id, kind=kind)

    assert replied(shop, campaign_id) == 0


def test_a_reply_that_quotes_a_message_which_a_retry_replaced_counts_for_its_campaign(shop: Shop) -> None:
    [contact_id] = add_people(shop, 1)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.FAILED, 1)
    [quoted] = messages_of(shop)
    look(shop, campaign_id)
    with shop.work.session() as session:
        service.retry_failed(session, campaign_id)
    freezing.freeze(shop.work, campaign_id)

    reply(shop, contact_id, quoted=quoted.id)

    assert replied(shop, campaign_id) == 1


def stop(shop: Shop, campaign_id: UUID) -> None:
    with shop.work.session() as session:
        gate_id = queries.get_campaign(session, campaign_id).gate_id
    stop_gate(shop.work, gate_id, NotTaken("template_paused"))


def react() -> None:
    while relay_due():
        pass
    while react_due():
        pass


def test_a_gate_that_closed_by_itself_pauses_its_campaign_with_the_reason(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)

    stop(shop, campaign_id)
    for _ in range(2):
        react()

    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
    assert (campaign.status, campaign.pause_reason) == ("paused", "template_paused")


def test_a_gate_that_a_person_opened_again_since_pauses_nothing(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)
    stop(shop, campaign_id)
    with shop.work.session() as session:
        service.pause(session, campaign_id)
    with shop.work.session() as session:
        service.resume(session, campaign_id)

    for _ in range(2):
        react()

    assert look(shop, campaign_id)[0] == "running"


def test_people_who_turn_out_to_be_one_stay_in_their_campaigns_under_the_id_that_is_kept(shop: Shop) -> None:
    kept, gone = add_people(shop, 2)
    both = begin(shop)
    with shop.work.session() as session:
        session.execute(
            update(CampaignRecipient).where(CampaignRecipient.contact_id == kept).values(contact_id=uuid4())
        )
        progress.follow_merge(session, {"kept": str(kept), "gone": str(gone)})
    as_both = begin(shop)
    with shop.work.session() as session:
        progress.follow_merge(session, {"kept": str(kept), "gone": str(gone)})
        ids = {
            one: set(
                session.scalars(
                    select(CampaignRecipient.contact_id).where(CampaignRecipient.campaign_id == one)
                )
            )
            for one in (both, as_both)
        }

    assert kept in ids[both]
    assert gone not in ids[both]
    assert ids[as_both] == {kept, gone}, "two rows of one campaign can't have one id"


def test_a_campaign_in_which_nothing_moves_states_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)
    moment = now()
    revisions, speeds = [], []

    def at(seconds: float) -> None:
        for module in (progress, standing):
            monkeypatch.setattr(module, "now", lambda: moment + timedelta(seconds=seconds))
        look(shop, campaign_id)
        with shop.work.session() as session:
            campaign = queries.get_campaign(session, campaign_id)
            revisions.append(campaign.revision)
            speeds.append(standing.standing_of(session, campaign).rate_per_second)

    at(0)
    end_calls(shop, MessageState.ACCEPTED, 1)
    for seconds in (2, 6, 12, 30, 60):
        at(seconds)
    end_calls(shop, MessageState.ACCEPTED, 1)
    at(62)

    assert speeds[2] > 0
    assert revisions[3] > revisions[2] > revisions[1] > revisions[0], "until its speed is nought"
    assert speeds[3] == 0
    assert revisions[3] == revisions[4] == revisions[5]
    assert revisions[6] > revisions[5]


def test_a_list_of_many_campaigns_asks_no_more_than_a_list_of_one(shop: Shop) -> None:
    asked: list[str] = []

    def hear(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    def list_them() -> int:
        asked.clear()
        with shop.work.session() as session:
            entries = queries.list_campaigns(session).items
            assert all(entry.standing.counts["total"] == 1 for entry in entries)
        return len(asked)

    add_people(shop, 1)
    begin(shop)
    event.listen(app_engine(), "before_cursor_execute", hear)
    try:
        of_one = list_them()
        for _ in range(4):
            begin(shop)
        of_five = list_them()
    finally:
        event.remove(app_engine(), "before_cursor_execute", hear)

    assert of_five == of_one


@pytest.mark.parametrize("before", list(CampaignStatus))
def test_a_state_changes_only_as_the_table_allows(shop: Shop, before: CampaignStatus) -> None:
    campaign_id = make(shop)

    def may(session: Session, after: CampaignStatus) -> bool:
        campaign = queries.get_campaign(session, campaign_id, lock=True)
        campaign.status = before
        try:
            move(session, campaign, after)
        except WrongState:
            return False
        return True

    allowed = set()
    for after in CampaignStatus:
        with shop.work.session() as session:
            if may(session, after):
                allowed.add(after)
            session.rollback()

    assert allowed == TRANSITIONS[before]
    with shop.work.session() as session:
        assert session.scalars(select(Campaign.status)).one() == "draft"


def test_counts_add_up_while_a_page_of_the_audience_is_written(shop: Shop) -> None:
    add_people(shop, 2)
    campaign_id = make(shop)
    with shop.work.session() as session:
        service.start(session, campaign_id)

    with shop.work.session() as reading:
        campaign = queries.get_campaign(reading, campaign_id)
        freezing.freeze(shop.work, campaign_id)
        counts = standing.counts_of(reading, campaign)

    assert counts["total"] == counts["queued"] == 2
