"""Campaigns over a real database: what each verb does, who is left out, and counts that always add up."""

import csv
import io
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from engine.api.recipients_csv import recipients_csv
from engine.campaigns import audience, freezing, progress, queries, service, standing
from engine.campaigns.models import Campaign, CampaignRecipient
from engine.contacts.models import Contact, ContactTag
from engine.core.clock import now
from engine.core.errors import Invalid, WrongState
from engine.core.system import system_session
from engine.messaging import ledger
from engine.messaging.counters import Steps
from engine.messaging.models import DueSend, Message, MessageState, Template
from engine.messaging.settlement import Verdict, cancel_queued, settle
from tests.workshop import Shop, add_people, messages_of

EVERYONE: dict[str, Any] = {"all": True}
NAMED: dict[str, Any] = {"body.1": "contact.name"}


def make(shop: Shop, **changes: Any) -> UUID:
    plan = {
        "name": "Natal",
        "channel_id": shop.channel_id,
        "template_id": shop.template_id,
        "audience": EVERYONE,
        "variables": NAMED,
    }
    with shop.work.session() as session:
        return service.create_campaign(session, **{**plan, **changes}).id


def begin(shop: Shop, **changes: Any) -> UUID:
    """A campaign that is running, its audience frozen to the end."""
    campaign_id = make(shop, **changes)
    with shop.work.session() as session:
        service.start(session, campaign_id)
    freezing.freeze(shop.work, campaign_id)
    return campaign_id


def look(shop: Shop, campaign_id: UUID) -> tuple[str, dict[str, int]]:
    """Let the campaign follow its sends; answers with its status and counts, which must add up."""
    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        progress.follow_sends(session, [str(campaign.gate_id)])
    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        counts = standing.counts_of(session, campaign)
        assert counts["total"] == sum(counts[state] for state in standing.STATES)
        assert counts_by_rows(shop, campaign_id) == {
            name: n for name, n in counts.items() if n and name in standing.STATES
        }
        return campaign.status, counts


def counts_by_rows(shop: Shop, campaign_id: UUID) -> dict[str, int]:
    """The same counts, from the rows themselves."""
    with shop.work.session() as session:
        people = queries.list_recipients(session, queries.get_campaign(session, campaign_id), limit=200).items
        counts: dict[str, int] = {}
        for person in people:
            counts[person.state] = counts.get(person.state, 0) + 1
        return counts


def end_calls(shop: Shop, state: MessageState, amount: int) -> None:
    """Mark `amount` queued messages and settle them in a state, as the dispatcher does."""
    with system_session() as session:
        [lease] = ledger.claim(session, holder="test", wanted=1)
    waiting = [message.id for message in messages_of(shop) if message.state == MessageState.QUEUED][:amount]
    with shop.work.session() as session:
        steps = Steps()
        assert ledger.hold(session, [lease])
        marked = ledger.mark(session, [(str(one), 0, lease.id) for one in waiting], steps)
        settle(
            session,
            [(lease, Verdict(one, 1, state, f"wamid.{one}")) for one in marked],
            steps,
        )
        ledger.let_go(session, lease)
        steps.write(session)


def test_a_start_freezes_everyone_and_queues_a_message_each(shop: Shop) -> None:
    add_people(shop, 12)

    campaign_id = begin(shop)

    status, counts = look(shop, campaign_id)
    assert (status, counts["queued"], counts["total"]) == ("running", 12, 12)
    assert {message.params["body.1"] for message in messages_of(shop) if message.params} == {
        f"Pessoa {number}" for number in range(12)
    }


def test_each_person_left_out_is_named_with_the_reason(shop: Shop) -> None:
    people = add_people(shop, 4)
    with shop.work.session() as session:
        session.execute(update(Template).values(category="MARKETING"))
        session.execute(update(Contact).where(Contact.id == people[0]).values(marketing_consent="withdrawn"))
        session.execute(update(Contact).where(Contact.id == people[1]).values(marketing_consent="none"))
        session.execute(update(Contact).where(Contact.id == people[2]).values(name="  "))
        session.add(Contact(name="Sem número", marketing_consent="granted"))

    campaign_id = begin(shop)

    _, counts = look(shop, campaign_id)
    assert (counts["total"], counts["skipped"], counts["queued"]) == (5, 4, 1)
    with shop.work.session() as session:
        excluded = session.scalars(select(Campaign.excluded)).one()
    assert excluded == {"opted_out": 1, "no_consent": 1, "missing_variable": 1, "no_identity": 1}


def test_the_preview_says_what_the_start_then_does(shop: Shop) -> None:
    people = add_people(shop, 6)
    with shop.work.session() as session:
        session.execute(update(Contact).where(Contact.id.in_(people[:2])).values(name=""))
        _, waterfall = service.preview_audience(
            session,
            channel_id=shop.channel_id,
            template_id=shop.template_id,
            audience=EVERYONE,
            variables=NAMED,
        )

    campaign_id = begin(shop)

    _, counts = look(shop, campaign_id)
    assert (waterfall.matched, waterfall.will_send) == (counts["total"], counts["queued"]) == (6, 4)
    assert waterfall.excluded == {audience.Exclusion.MISSING_VARIABLE: 2}
    assert waterfall.samples[0].params == {"body.1": "Pessoa 2"}


def test_an_audience_of_many_pages_is_frozen_whole_and_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "FIRST_PAGE", 3)
    monkeypatch.setattr(audience, "PAGE", 4)
    monkeypatch.setattr(ledger, "RANGE_SIZE", 2)
    add_people(shop, 17)

    campaign_id = begin(shop)
    freezing.freeze(shop.work, campaign_id)

    _, counts = look(shop, campaign_id)
    assert counts["queued"] == 17
    with shop.work.session() as session:
        assert sum(session.scalars(select(DueSend.amount))) == 17
        assert len(set(session.scalars(select(CampaignRecipient.contact_id)))) == 17


def test_a_pause_and_a_cancel_never_wait_for_a_page_and_the_cancelled_page_is_nobodys(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_people(shop, 5)
    write = audience.freeze_page

    def write_and_be_cancelled(*given: Any) -> audience.FrozenPage:
        page = write(*given)
        with shop.work.session() as other:
            other.connection().exec_driver_sql("set local lock_timeout = '2s'")
            service.pause(other, campaign_id)
            service.cancel(other, campaign_id)
        return page

    with shop.work.session() as session:
        campaign_id = service.start(session, make(shop)).id
    monkeypatch.setattr(freezing, "freeze_page", write_and_be_cancelled)

    freezing.freeze(shop.work, campaign_id)

    status, counts = look(shop, campaign_id)
    assert (status, counts["total"], counts["cancelled"]) == ("cancelled", 0, 0)
    with shop.work.session() as session:
        assert session.scalars(select(CampaignRecipient.id)).all() == []


def test_only_people_with_any_of_the_tags_are_taken(shop: Shop) -> None:
    people = add_people(shop, 5)
    with shop.work.session() as session:
        session.add_all(
            [ContactTag(tag="vip", contact_id=people[0]), ContactTag(tag="novo", contact_id=people[1])]
        )
        session.add(ContactTag(tag="novo", contact_id=people[0]))

    campaign_id = begin(shop, audience={"tags": ["vip", "novo"]})

    assert look(shop, campaign_id)[1]["total"] == 2


@pytest.mark.parametrize(
    "wrong",
    [{}, {"all": False}, {"tags": []}, {"tags": ["nobody"]}, {"import_id": str(UUID(int=7))}, {"x": 1}],
)
def test_an_audience_that_does_not_exist_is_refused_in_words(shop: Shop, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        make(shop, audience=wrong)

    assert refusal.value.fields[0].field.startswith("audience")


def test_a_campaign_with_nothing_left_is_completed(shop: Shop) -> None:
    add_people(shop, 3)
    campaign_id = begin(shop)

    end_calls(shop, MessageState.ACCEPTED, 3)

    status, counts = look(shop, campaign_id)
    assert (status, counts["accepted"]) == ("completed", 3)


def test_an_empty_audience_completes_at_once(shop: Shop) -> None:
    assert look(shop, begin(shop))[0] == "completed"


def test_pausing_becomes_paused_when_no_call_is_under_way_and_resuming_goes_on(shop: Shop) -> None:
    add_people(shop, 5)
    campaign_id = begin(shop)
    with system_session() as session:
        [lease] = ledger.claim(session, holder="test", wanted=1)
    first = messages_of(shop)[0].id
    with shop.work.session() as session:
        steps = Steps()
        ledger.mark(session, [(str(first), 0, lease.id)], steps)
        steps.write(session)

    with shop.work.session() as session:
        service.pause(session, campaign_id)
    under_way = look(shop, campaign_id)[0]
    with shop.work.session() as session:
        is_held = bool(ledger.hold(session, [lease]))
        steps = Steps()
        settle(session, [(lease, Verdict(str(first), 1, MessageState.ACCEPTED, "wamid.1"))], steps)
        ledger.let_go(session, lease)
        steps.write(session)
    ended = look(shop, campaign_id)[0]
    with shop.work.session() as session:
        service.resume(session, campaign_id)
    end_calls(shop, MessageState.ACCEPTED, 4)

    assert (under_way, is_held, ended) == ("pausing", False, "paused")
    assert look(shop, campaign_id) == ("completed", look(shop, campaign_id)[1])


@pytest.mark.parametrize("status", ["paused", "rejected"])
def test_what_can_not_be_sent_now_is_not_resumed(shop: Shop, status: str) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)
    with shop.work.session() as session:
        service.pause(session, campaign_id)
        session.execute(update(Template).values(status=status))
    look(shop, campaign_id)

    with shop.work.session() as session, pytest.raises(Invalid) as refused:
        service.resume(session, campaign_id)

    assert refused.value.fields[0].code == "template_not_approved"
    assert look(shop, campaign_id)[0] == "paused"


def test_cancelling_goes_from_range_to_range_and_misses_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "RANGE_SIZE", 2)
    add_people(shop, 5)
    campaign_id = begin(shop)
    with shop.work.session() as session:
        gate_id = queries.get_campaign(session, campaign_id).gate_id

    taken = []
    for _ in range(3):
        with shop.work.session() as session:
            taken.append(cancel_queued(session, gate_id, most=2))

    assert taken == [4, 1, 0]
    assert look(shop, campaign_id)[1]["cancelled"] == 5
    with shop.work.session() as session:
        assert session.scalars(select(DueSend)).all() == []


def test_the_file_of_recipients_runs_nothing_in_a_spreadsheet(shop: Shop) -> None:
    names = ["=1+1", "＝HYPERLINK(1)", "\n@SUM(1)", "Ana; Bia"]
    people = add_people(shop, len(names))
    with shop.work.session() as session:
        for person, name in zip(people, names, strict=True):
            session.execute(update(Contact).where(Contact.id == person).values(name=name))
    campaign_id = begin(shop)

    sent = "".join(recipients_csv(shop.work, campaign_id, state=None, locale="en"))

    rows = list(csv.reader(io.StringIO(sent.removeprefix("\ufeff"), newline="")))
    assert rows[0][:3] == ["Name", "Phone", "State"]
    assert {row[0] for row in rows[1:]} == {"'=1+1", "'＝HYPERLINK(1)", "'\n@SUM(1)", "Ana; Bia"}
    assert all(row[1].startswith("+55") for row in rows[1:])


def test_cancelling_is_final_and_takes_what_has_not_left(shop: Shop) -> None:
    add_people(shop, 4)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)

    with shop.work.session() as session:
        service.cancel(session, campaign_id)

    status, counts = look(shop, campaign_id)
    assert (status, counts["cancelled"], counts["accepted"]) == ("cancelled", 3, 1)
    with shop.work.session() as session, pytest.raises(WrongState):
        service.resume(session, campaign_id)


def test_only_the_failed_get_a_new_message_and_are_counted_once(shop: Shop) -> None:
    add_people(shop, 5)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.FAILED, 2)
    end_calls(shop, MessageState.ACCEPTED, 3)
    assert look(shop, campaign_id)[0] == "completed"

    with shop.work.session() as session:
        service.retry_failed(session, campaign_id)
    freezing.freeze(shop.work, campaign_id)
    queued_again = look(shop, campaign_id)
    end_calls(shop, MessageState.ACCEPTED, 2)

    assert (queued_again[0], queued_again[1]["queued"], queued_again[1]["failed"]) == ("running", 2, 0)
    status, counts = look(shop, campaign_id)
    assert (status, counts["accepted"], counts["total"]) == ("completed", 5, 5)
    assert len(messages_of(shop)) == 7


def test_a_retry_with_nothing_failed_says_so(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)
    look(shop, campaign_id)

    with shop.work.session() as session, pytest.raises(Invalid) as refusal:
        service.retry_failed(session, campaign_id)

    assert refusal.value.code == "nothing_failed"


def test_a_scheduled_campaign_begins_in_its_time(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = make(shop, scheduled_at=now() + timedelta(hours=2))
    with shop.work.session() as session:
        service.start(session, campaign_id)
        session.flush()
        service.begin_if_due(session, campaign_id)
    early = look(shop, campaign_id)[0]
    with shop.work.session() as session:
        session.execute(update(Campaign).values(scheduled_at=now() - timedelta(seconds=1)))
        service.begin_if_due(session, campaign_id)
    freezing.freeze(shop.work, campaign_id)

    assert early == "scheduled"
    assert look(shop, campaign_id)[0] == "running"


@pytest.mark.parametrize(
    ("wanted", "code"), [(None, "no_time"), (now() - timedelta(minutes=1), "past_time")], ids=["none", "past"]
)
def test_a_scheduled_campaign_keeps_a_time_to_begin_at(
    shop: Shop, wanted: datetime | None, code: str
) -> None:
    planned = now() + timedelta(hours=2)
    campaign_id = make(shop, scheduled_at=planned)
    with shop.work.session() as session:
        service.start(session, campaign_id)

    with shop.work.session() as session, pytest.raises(Invalid) as refusal:
        service.change_campaign(session, campaign_id, {"scheduled_at": wanted})

    assert [problem.code for problem in refusal.value.fields] == [code]
    with shop.work.session() as session:
        assert queries.get_campaign(session, campaign_id).scheduled_at == planned


def test_a_scheduled_campaign_may_begin_at_another_time(shop: Shop) -> None:
    campaign_id = make(shop, scheduled_at=now() + timedelta(hours=2))
    later = now() + timedelta(hours=3)
    with shop.work.session() as session:
        service.start(session, campaign_id)

    with shop.work.session() as session:
        service.change_campaign(session, campaign_id, {"scheduled_at": later, "name": "Ano novo"})

    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
    assert (campaign.status, campaign.scheduled_at) == ("scheduled", later)


def test_a_start_that_was_missed_by_hours_waits_for_a_person(shop: Shop) -> None:
    campaign_id = make(shop, scheduled_at=now() + timedelta(hours=2))
    with shop.work.session() as session:
        service.start(session, campaign_id)
        session.flush()
        session.execute(update(Campaign).values(scheduled_at=now() - timedelta(hours=3)))
        session.expire_all()
        service.begin_if_due(session, campaign_id)

    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
    assert (campaign.status, campaign.pause_reason) == ("draft", "missed_start")


def test_a_template_that_is_not_approved_keeps_a_campaign_from_starting(shop: Shop) -> None:
    campaign_id = make(shop)
    with shop.work.session() as session:
        session.execute(update(Template).values(status="pending"))

    with shop.work.session() as session, pytest.raises(Invalid) as refusal:
        service.start(session, campaign_id)

    assert refusal.value.fields[0].code == "template_not_approved"


@pytest.mark.parametrize("verb", [service.pause, service.resume, service.retry_failed])
def test_a_verb_that_does_not_fit_the_state_says_which_state_it_is(shop: Shop, verb: Any) -> None:
    campaign_id = make(shop)

    with shop.work.session() as session, pytest.raises(WrongState) as refusal:
        verb(session, campaign_id)

    assert refusal.value.extra["state"] == "draft"
    assert "draft" not in refusal.value.extra["states"]
    assert refusal.value.extra["states"]


def test_a_reply_counts_once_for_the_last_campaign_that_wrote(shop: Shop) -> None:
    [contact_id] = add_people(shop, 1)
    older, newer = begin(shop), begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)
    end_calls(shop, MessageState.ACCEPTED, 1)
    fact = {"contact_id": str(contact_id), "at": now().isoformat(), "kind": "text"}

    for _ in range(2):
        with shop.work.session() as session:
            progress.credit_reply(session, fact)

    assert look(shop, newer)[1]["replied"] == 1
    assert look(shop, older)[1]["replied"] == 0


def test_a_reply_that_quotes_counts_for_the_campaign_it_quotes(shop: Shop) -> None:
    [contact_id] = add_people(shop, 1)
    older, newer = begin(shop), begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)
    end_calls(shop, MessageState.ACCEPTED, 1)
    with shop.work.session() as session:
        quoted = session.scalars(select(Message.id).where(Message.origin_id == older)).one()
        progress.credit_reply(
            session,
            {
                "contact_id": str(contact_id),
                "at": now().isoformat(),
                "quoted_message_id": str(quoted),
                "kind": "text",
            },
        )

    assert look(shop, older)[1]["replied"] == 1
    assert look(shop, newer)[1]["replied"] == 0


def test_a_test_send_goes_to_the_number_and_counts_nowhere(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = make(shop)

    with shop.work.session() as session:
        message = service.send_test(session, campaign_id, to="(11) 98765-4321")

    assert message.address == "+5511987654321"
    assert message.params == {"body.1": "Ana"}
    assert look(shop, campaign_id)[1]["total"] == 0


def test_two_people_with_one_address_get_one_message_whatever_page_they_are_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "FIRST_PAGE", 2)
    monkeypatch.setattr(audience, "PAGE", 2)
    people = add_people(shop, 4)
    with shop.work.session() as session:
        session.execute(update(Contact).where(Contact.id == people[3]).values(phone="+5511900000000"))

    campaign_id = begin(shop)

    _, counts = look(shop, campaign_id)
    assert (counts["queued"], counts["skipped"], counts["total"]) == (3, 1, 4)
    with shop.work.session() as session:
        assert session.scalars(select(Campaign.excluded)).one() == {"duplicate": 1}
