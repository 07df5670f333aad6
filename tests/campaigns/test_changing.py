"""Changing a campaign under way: what is not marked goes out with the new version, what has left keeps its own."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from engine.campaigns import changing, freezing, queries, service
from engine.contacts.models import Contact
from engine.core.errors import Invalid, WrongState
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.messaging import ledger
from engine.messaging.counters import Steps
from engine.messaging.ledger import Lease
from engine.messaging.models import Gate, MessageState, Template
from engine.messaging.settlement import Verdict, settle
from tests.campaigns.test_campaigns import begin, end_calls, look, make
from tests.workshop import Shop, add_people, messages_of

PLACE = {"body.1": "field.city"}


def change(shop: Shop, campaign_id: UUID, **changes: Any) -> None:
    with shop.work.session() as session:
        service.change_campaign(session, campaign_id, changes)


def add_template(shop: Shop, *, category: str = "UTILITY", status: str = "approved") -> UUID:
    with shop.work.session() as session:
        template = Template(
            id=uuid7(),
            channel_id=shop.channel_id,
            name=f"outro_{category.lower()}_{status}",
            language="pt_BR",
            category=category,
            status=status,
            provider_id="901",
            components=[{"type": "BODY", "text": "Olá de {{1}}", "example": {"body_text": [["Recife"]]}}],
        )
        session.add(template)
        session.flush()
        return template.id


def live_in(shop: Shop, city: str, people: list[UUID]) -> None:
    with shop.work.session() as session:
        session.execute(update(Contact).where(Contact.id.in_(people)).values(fields={"city": city}))


def gate_is_open(shop: Shop, campaign_id: UUID) -> bool:
    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        return bool(session.scalar(select(Gate.is_open).where(Gate.id == campaign.gate_id)))


def values_by_state(shop: Shop) -> dict[tuple[str, str | None], int]:
    found = Counter(
        (message.state, (message.params or {}).get("body.1"))
        for message in messages_of(shop)
        if message.counted
    )
    return dict(found)


def hold_and_mark(shop: Shop, amount: int) -> tuple[Lease, list[str]]:
    """As a dispatcher that has marked some and has not heard how they ended."""
    with system_session() as session:
        [lease] = ledger.claim(session, holder="test", wanted=1)
    waiting = [str(one.id) for one in messages_of(shop) if one.state == MessageState.QUEUED][:amount]
    with shop.work.session() as session:
        steps = Steps()
        assert ledger.hold(session, [lease])
        marked = ledger.mark(session, [(one, 0, lease.id) for one in waiting], steps)
        steps.write(session)
    return lease, sorted(marked)


def test_what_waits_goes_out_with_the_new_template_and_what_left_does_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing, "PAGE", 3)
    live_in(shop, "Recife", add_people(shop, 10))
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 4)
    old = {message.snapshot_id for message in messages_of(shop)}

    change(shop, campaign_id, template_id=add_template(shop), variables=PLACE)
    assert not gate_is_open(shop, campaign_id), "nothing leaves before it is written anew"
    freezing.freeze(shop.work, campaign_id)

    assert gate_is_open(shop, campaign_id)
    assert values_by_state(shop) == {
        **{("accepted", f"Pessoa {number}"): 1 for number in range(4)},
        ("queued", "Recife"): 6,
    }
    new = {message.snapshot_id for message in messages_of(shop) if message.state == "queued"}
    assert len(new) == 1
    assert not new & old
    status, counts = look(shop, campaign_id)
    assert (status, counts["queued"], counts["accepted"]) == ("running", 6, 4)


def test_who_lacks_a_value_of_the_new_version_is_left_out_with_the_reason(shop: Shop) -> None:
    people = add_people(shop, 5)
    live_in(shop, "Recife", people[:3])
    campaign_id = begin(shop)

    change(shop, campaign_id, variables=PLACE)
    freezing.freeze(shop.work, campaign_id)

    _, counts = look(shop, campaign_id)
    assert (counts["queued"], counts["skipped"]) == (3, 2)
    assert {one.reason_code for one in messages_of(shop) if one.state == "skipped"} == {"missing_variable"}


def test_a_call_under_way_is_waited_for_because_it_may_come_back(shop: Shop) -> None:
    live_in(shop, "Recife", add_people(shop, 4))
    campaign_id = begin(shop)
    lease, marked = hold_and_mark(shop, 2)

    change(shop, campaign_id, variables=PLACE)
    freezing.freeze(shop.work, campaign_id)
    assert not gate_is_open(shop, campaign_id)
    with shop.work.session() as session:
        steps = Steps()
        verdicts = [
            Verdict(marked[0], 1, MessageState.QUEUED, reason_code="throttled"),
            Verdict(marked[1], 1, MessageState.ACCEPTED, "wamid.1"),
        ]
        settle(session, [(lease, verdict) for verdict in verdicts], steps)
        steps.write(session)
    freezing.freeze(shop.work, campaign_id)

    assert gate_is_open(shop, campaign_id)
    assert values_by_state(shop) == {("accepted", "Pessoa 1"): 1, ("queued", "Recife"): 3}


def test_nothing_can_be_marked_between_the_change_and_its_end(shop: Shop) -> None:
    live_in(shop, "Recife", add_people(shop, 4))
    campaign_id = begin(shop)
    with system_session() as session:
        [lease] = ledger.claim(session, holder="test", wanted=1)

    change(shop, campaign_id, variables=PLACE)

    with shop.work.session() as session:
        assert not ledger.hold(session, [lease])


def test_a_paused_campaign_stays_paused_and_goes_on_with_the_new_version(shop: Shop) -> None:
    live_in(shop, "Recife", add_people(shop, 3))
    campaign_id = begin(shop)
    with shop.work.session() as session:
        service.pause(session, campaign_id, reason="template_paused")
    look(shop, campaign_id)

    change(shop, campaign_id, variables=PLACE)
    freezing.freeze(shop.work, campaign_id)
    assert not gate_is_open(shop, campaign_id)
    with shop.work.session() as session:
        assert queries.get_campaign(session, campaign_id).pause_reason is None
        service.resume(session, campaign_id)

    assert gate_is_open(shop, campaign_id)
    assert values_by_state(shop) == {("queued", "Recife"): 3}


def test_a_resume_in_the_middle_opens_the_gate_only_when_all_is_written(shop: Shop) -> None:
    live_in(shop, "Recife", add_people(shop, 3))
    campaign_id = begin(shop)
    with shop.work.session() as session:
        service.pause(session, campaign_id)
    change(shop, campaign_id, variables=PLACE)
    with shop.work.session() as session:
        service.resume(session, campaign_id)
    between = gate_is_open(shop, campaign_id)

    freezing.freeze(shop.work, campaign_id)

    assert (between, gate_is_open(shop, campaign_id)) == (False, True)
    assert values_by_state(shop) == {("queued", "Recife"): 3}


def test_a_page_of_the_audience_that_was_written_meanwhile_is_written_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_in(shop, "Recife", add_people(shop, 6))
    campaign_id = make(shop)
    with shop.work.session() as session:
        service.start(session, campaign_id)
    write = freezing.freeze_page
    changed: list[bool] = []

    def write_while_it_changes(session: Any, campaign: Any, blast: Any) -> Any:
        page = write(session, campaign, blast)
        if not changed:
            changed.append(True)
            change(shop, campaign_id, variables=PLACE)
        return page

    monkeypatch.setattr(freezing, "freeze_page", write_while_it_changes)
    freezing.freeze(shop.work, campaign_id)

    assert gate_is_open(shop, campaign_id)
    assert values_by_state(shop) == {("queued", "Recife"): 6}


def test_a_retry_after_a_change_uses_the_new_version(shop: Shop) -> None:
    live_in(shop, "Recife", add_people(shop, 4))
    campaign_id = begin(shop)
    end_calls(shop, MessageState.FAILED, 2)
    change(shop, campaign_id, variables=PLACE)
    freezing.freeze(shop.work, campaign_id)
    with shop.work.session() as session:
        service.pause(session, campaign_id)
    look(shop, campaign_id)

    with shop.work.session() as session:
        service.retry_failed(session, campaign_id)
    before = gate_is_open(shop, campaign_id)
    freezing.freeze(shop.work, campaign_id)

    assert (before, gate_is_open(shop, campaign_id)) == (False, True)
    assert values_by_state(shop) == {("queued", "Recife"): 4}
    look(shop, campaign_id)


def test_a_cancel_in_the_middle_cancels_all(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "PAGE", 2)
    live_in(shop, "Recife", add_people(shop, 6))
    campaign_id = begin(shop)
    change(shop, campaign_id, variables=PLACE)
    freezing.freeze(shop.work, campaign_id, pages=1)
    with shop.work.session() as session:
        service.cancel(session, campaign_id)
    freezing.freeze(shop.work, campaign_id)

    status, counts = look(shop, campaign_id)
    assert (status, counts["cancelled"], counts["queued"]) == ("cancelled", 6, 0)


def test_the_same_template_and_variables_make_no_new_version(shop: Shop) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)

    change(shop, campaign_id, name="Ano novo", template_id=shop.template_id)

    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        assert (campaign.name, campaign.version, campaign.change_after) == ("Ano novo", 1, None)
    assert gate_is_open(shop, campaign_id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"audience": {"tags": ["vip"]}}, "fixed_after_start"),
        ({"channel_id": uuid7()}, "fixed_after_start"),
        ({"variables": {}}, "missing_source"),
        ({"name": "  "}, "no_name"),
    ],
    ids=["audience", "channel", "variables", "name"],
)
def test_what_a_campaign_was_built_on_stays(shop: Shop, changes: dict[str, Any], code: str) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)

    with pytest.raises(Invalid) as refused:
        change(shop, campaign_id, **changes)

    assert refused.value.fields[0].code == code


@pytest.mark.parametrize(
    ("template", "code"),
    [({"category": "MARKETING"}, "becomes_marketing"), ({"status": "paused"}, "template_not_approved")],
    ids=["marketing", "paused"],
)
def test_a_template_that_may_not_follow_is_refused(shop: Shop, template: dict[str, str], code: str) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)
    other = add_template(shop, **template)

    with pytest.raises(Invalid) as refused:
        change(shop, campaign_id, template_id=other)

    assert refused.value.fields[0].code == code


def test_a_campaign_that_has_ended_can_not_be_changed(shop: Shop) -> None:
    add_people(shop, 1)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.ACCEPTED, 1)
    look(shop, campaign_id)

    with pytest.raises(WrongState):
        change(shop, campaign_id, name="Tarde demais")
