"""What a failed status stops: the channel, one campaign, or nothing but its own message."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.core.bootstrap import DatabaseUrls
from engine.core.ids import uuid7
from engine.messaging.models import Gate
from engine.messaging.receipts import apply_receipts
from engine.messaging.stops import follow_status
from tests.messaging.receiving import Stage, called, facts, receipt, set_stage


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


def stop(stage: Stage, **given: Any) -> list[dict[str, Any]]:
    """Let a message fail for good as `given` says, and whatever follows from it; answers what was stated."""
    moment = datetime.now(UTC).replace(microsecond=0)
    with stage.session() as session:
        gate = Gate(id=uuid7())
        session.add(gate)
        session.flush()
        key = called(stage, session, gate_id=gate.id).id
    values = {"send_key": key, "occurred_at": moment, "stops": "channel", "error_code": "payment_issue"}
    word = receipt(stage, "failed", **values | given)
    with stage.session() as session:
        apply_receipts(session, stage.channel_id, [word, word])
    stated = facts(stage, "send.stopped")
    for fact in stated:
        with stage.session() as session:
            follow_status(session, fact)
    return stated


def gates(stage: Stage) -> tuple[bool, bool]:
    """Whether the channel's gate is open, and whether every other is."""
    return (
        stage.one("select is_open from gates where id = :id", id=stage.gate_id),
        stage.one("select bool_and(is_open) from gates where id <> :id", id=stage.gate_id),
    )


def test_a_failure_of_the_account_stops_the_channel_once(stage: Stage) -> None:
    stated = stop(stage, error={"detail": "Payment method is missing"})

    assert len(stated) == 1
    assert gates(stage) == (False, True)
    row = stage.rows("select status, status_code, status_detail from channels")[0]
    assert row == ("attention", "payment_issue", "Payment method is missing")


def test_a_failure_of_the_template_stops_the_campaign_alone(stage: Stage) -> None:
    stop(stage, stops="template", error_code="template_paused")

    assert gates(stage) == (True, False)
    assert [fact["code"] for fact in facts(stage, "gate.closed")] == ["template_paused"]


def test_a_failure_of_one_message_stops_nothing(stage: Stage) -> None:
    assert stop(stage, stops=None, error_code="undeliverable") == []
    assert gates(stage) == (True, True)


def test_a_failure_of_long_ago_or_from_before_the_channel_was_mended_stops_nothing(stage: Stage) -> None:
    stop(stage, occurred_at=datetime.now(UTC) - timedelta(hours=1))
    stage.rows("update channels set checked_at = now() + interval '1 s' returning 1")
    stop(stage)

    assert gates(stage) == (True, True)


def test_a_channel_that_a_person_paused_stays_paused(stage: Stage) -> None:
    stage.rows("update channels set status = 'paused' returning 1")

    stop(stage)

    assert stage.one("select status from channels") == "paused"
    assert gates(stage)[0] is False
