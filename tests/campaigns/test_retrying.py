"""Sending again to those who failed: in pages, each once, and never to whom it turns out to have reached."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from engine.campaigns import freezing, retrying, service
from engine.campaigns.models import Campaign
from engine.messaging.channels.base import StatusReceipt
from engine.messaging.models import DueSend, MessageState
from engine.messaging.receipts import apply_receipts
from tests.campaigns.test_campaigns import begin, end_calls, look
from tests.workshop import Shop, add_people, messages_of


def fail_all(shop: Shop, amount: int) -> Any:
    add_people(shop, amount)
    campaign_id = begin(shop)
    end_calls(shop, MessageState.FAILED, amount)
    look(shop, campaign_id)
    return campaign_id


def press_retry(shop: Shop, campaign_id: Any) -> None:
    with shop.work.session() as session:
        service.retry_failed(session, campaign_id)


def test_a_retry_of_many_pages_writes_a_message_for_each_and_no_request_waits_for_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "PAGE", 3)
    campaign_id = fail_all(shop, 8)

    press_retry(shop, campaign_id)
    before = look(shop, campaign_id)
    more = freezing.freeze(shop.work, campaign_id, pages=1)
    between = look(shop, campaign_id)
    freezing.freeze(shop.work, campaign_id)

    status, counts = look(shop, campaign_id)
    assert (before[0], before[1]["failed"], more) == ("running", 8, True)
    assert (between[0], between[1]["queued"]) == ("running", 3)
    assert (status, counts["queued"], counts["failed"], counts["total"]) == ("running", 8, 0, 8)
    with shop.work.session() as session:
        assert sum(session.scalars(select(DueSend.amount))) == 8
        assert session.scalars(select(Campaign.unfinished)).one() is False


def test_whom_a_late_status_says_to_have_reached_gets_no_second_message(shop: Shop) -> None:
    campaign_id = fail_all(shop, 1)
    press_retry(shop, campaign_id)
    [message] = messages_of(shop)
    receipt = StatusReceipt(
        account="1029",
        provider_id=f"wamid.{message.id}",
        status="delivered",
        occurred_at=datetime.now(UTC),
        send_key=message.id,
    )

    with shop.work.session() as session:
        apply_receipts(session, shop.channel_id, [receipt])
        thread = threading.Thread(target=freezing.freeze, args=(shop.work, campaign_id))
        thread.start()
        thread.join(0.5)
        waits = thread.is_alive()
    thread.join()

    status, counts = look(shop, campaign_id)
    assert waits, "the page waits for the status"
    assert len(messages_of(shop)) == 1
    assert (status, counts["delivered"], counts["queued"], counts["failed"]) == ("completed", 1, 0, 0)


def test_a_cancel_in_the_middle_of_a_retry_leaves_nothing_queued(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "PAGE", 2)
    campaign_id = fail_all(shop, 5)
    press_retry(shop, campaign_id)
    freezing.freeze(shop.work, campaign_id, pages=1)

    with shop.work.session() as session:
        service.cancel(session, campaign_id)
    freezing.freeze(shop.work, campaign_id)

    status, counts = look(shop, campaign_id)
    assert (status, counts["cancelled"], counts["failed"], counts["queued"]) == ("cancelled", 2, 3, 0)
