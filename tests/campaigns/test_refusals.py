"""What a campaign may not be: each refusal names its field, in the user's words."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from engine.campaigns import service
from engine.campaigns.models import Campaign
from engine.campaigns.queries import entry_of, get_campaign
from engine.contacts.models import ContactImport
from engine.core.clock import now
from engine.core.errors import Invalid
from engine.core.ids import uuid7
from engine.messaging.models import Channel, Template
from tests.workshop import Shop


def make(shop: Shop, **changes: Any) -> UUID:
    plan: dict[str, Any] = {
        "name": "Natal",
        "channel_id": shop.channel_id,
        "template_id": shop.template_id,
        "audience": {"all": True},
        "variables": {"body.1": "contact.name"},
    }
    with shop.work.session() as session:
        return service.create_campaign(session, **plan | changes).id


@pytest.mark.parametrize(
    "wrong", [5, None, [1], [{"a": 1}], [["x"]], {"a": 1}, "vip", ["x" * 201], [str(n) for n in range(101)]]
)
def test_tags_that_are_no_list_of_words_are_refused_in_words(shop: Shop, wrong: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        make(shop, audience={"tags": wrong})

    assert refusal.value.fields[0].field == "audience.tags"


@pytest.mark.parametrize("wrong", ["x", None, 5, ["x"], {}])
def test_an_import_that_is_no_id_is_refused_in_words(shop: Shop, wrong: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        make(shop, audience={"import_id": wrong})

    assert refusal.value.fields[0].code == "unknown_import"


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (datetime(2020, 1, 1, tzinfo=UTC), "past_time"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "past_time"),
        (datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-14))), "far_time"),
    ],
)
def test_a_time_that_has_passed_or_never_comes_is_refused(shop: Shop, moment: datetime, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        make(shop, scheduled_at=moment)

    assert refusal.value.fields[0].code == code


def test_a_draft_whose_time_has_passed_meanwhile_does_not_start_by_surprise(shop: Shop) -> None:
    campaign_id = make(shop, scheduled_at=now() + timedelta(days=1))
    with shop.work.session() as session:
        session.execute(update(Campaign).values(scheduled_at=now() - timedelta(hours=3)))

    with shop.work.session() as session, pytest.raises(Invalid) as refusal:
        service.start(session, campaign_id)

    assert refusal.value.fields[0].code == "past_time"


def test_a_start_names_the_template_that_is_gone_or_the_connection_that_stands_still(shop: Shop) -> None:
    campaign_id = make(shop)
    with shop.work.session() as session:
        session.execute(update(Channel).values(status="attention"))
    with shop.work.session() as session, pytest.raises(Invalid) as still:
        service.start(session, campaign_id)
    with shop.work.session() as session:
        session.execute(update(Template).values(deleted_at=now()))
    with shop.work.session() as session, pytest.raises(Invalid) as gone:
        service.start(session, campaign_id)

    assert [refusal.value.fields[0].field for refusal in (still, gone)] == ["channel_id", "template_id"]


def test_a_campaign_to_an_import_waits_until_all_of_its_people_have_come_in(shop: Shop) -> None:
    with shop.work.session() as session:
        importing = ContactImport(
            id=uuid7(), filename="a.csv", path="a.csv", status="running", mapping={}, tags=[], layout={}
        )
        session.add(importing)
    campaign_id = make(shop, audience={"import_id": str(importing.id)})
    later = make(shop, audience={"import_id": str(importing.id)}, scheduled_at=now() + timedelta(minutes=9))

    with shop.work.session() as session, pytest.raises(Invalid) as refusal:
        service.start(session, campaign_id)
    with shop.work.session() as session:
        session.execute(
            update(Campaign).where(Campaign.id == later).values(status="scheduled", scheduled_at=now())
        )
        service.begin_if_due(session, later)
        waiting = session.get_one(Campaign, (shop.tenant_id, later)).status
    with shop.work.session() as session:
        session.execute(update(ContactImport).values(status="completed"))
        service.begin_if_due(session, later)
        begun = session.get_one(Campaign, (shop.tenant_id, later)).status

    assert (refusal.value.fields[0].field, refusal.value.fields[0].code) == (
        "audience.import_id",
        "import_running",
    )
    assert (waiting, begun) == ("scheduled", "running")


def test_a_running_campaign_says_why_its_connection_keeps_it_still(shop: Shop) -> None:
    campaign_id = make(shop)
    with shop.work.session() as session:
        service.start(session, campaign_id)

    reasons = []
    for status, code in (("connected", None), ("attention", "token_expired"), ("paused", None)):
        with shop.work.session() as session:
            session.execute(update(Channel).values(status=status, status_code=code))
        with shop.work.session() as session:
            reasons.append(entry_of(session, get_campaign(session, campaign_id)).stands_still)

    assert reasons == [None, "token_expired", "connection_paused"]
