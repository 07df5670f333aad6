"""Every order of statuses, five copies of each, any part of them before the send is settled, the rest hours later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from engine.core.bootstrap import DatabaseUrls
from engine.messaging.channels.base import StatusReceipt
from engine.messaging.counters import Steps
from engine.messaging.models import MessageState
from engine.messaging.receipts import Applied, apply_receipts, retry_parked
from engine.messaging.settlement import Verdict, settle
from tests.messaging.receiving import NOON, Stage, called, lease_of, receipt, set_stage

SAID = {"sent": 1, "failed": 2 * 3600, "delivered": 3 * 3600, "read": 3 * 3600 + 60}  # seconds after noon
COPIES = 5


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was called; of the words on it, in their order, so many come before its call is settled."""

    key: UUID
    order: Sequence[str]
    early: int

    @property
    def provider_id(self) -> str:
        """What the provider calls it."""
        return f"wamid.{self.key}"


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


@pytest.fixture
def sent(stage: Stage) -> list[Sent]:
    """A message for every order and every part of it that is early: one hundred and twenty."""
    with stage.session() as session:
        return [
            Sent(called(stage, session).id, order, early)
            for order in permutations(SAID)
            for early in range(len(SAID) + 1)
        ]


def words(stage: Stage, status: str, one: Sent, *, named: bool) -> list[StatusReceipt]:
    """All copies of one word."""
    given: dict[str, Any] = {"provider_id": one.provider_id, "send_key": one.key if named else None}
    if status == "failed":
        given["error_code"] = "undeliverable"
    return [receipt(stage, status, SAID[status], **given) for _ in range(COPIES)]


def tell(stage: Stage, said: Sequence[StatusReceipt]) -> Applied:
    with stage.session() as session:
        return apply_receipts(session, stage.channel_id, said)


def three_hours_pass(stage: Stage) -> None:
    """What waits for its message has waited three hours, and is tried again in vain."""
    with stage.session() as session:
        session.execute(
            text(
                "update parked_receipts set created_at = created_at - interval '3 hours',"
                " due_at = due_at - interval '3 hours'"
            )
        )
        retry_parked(session)


def settle_all(stage: Stage, sent: Sequence[Sent], outcome: MessageState) -> None:
    """The calls are answered, or nobody hears what became of them."""
    lease = lease_of(stage, sent[0].key, sent[-1].key)
    is_heard = outcome is MessageState.ACCEPTED
    verdicts = [
        Verdict(str(one.key), 1, outcome, provider_id=one.provider_id if is_heard else None) for one in sent
    ]
    with stage.session() as session:
        steps = Steps()
        settle(session, [(lease, verdict) for verdict in verdicts], steps)
        steps.write(session)


@pytest.mark.parametrize(
    ("named", "outcome"),
    [(True, MessageState.ACCEPTED), (True, MessageState.UNKNOWN), (False, MessageState.ACCEPTED)],
    ids=["named by our key", "named by our key, its answer lost", "named by the provider's id alone"],
)
def test_every_order_of_statuses_around_the_settling_ends_in_one_row_and_one_count(
    stage: Stage, sent: list[Sent], named: bool, outcome: MessageState
) -> None:
    rounds = range(len(SAID))

    for n in rounds:
        tell(
            stage,
            [w for one in sent if n < one.early for w in words(stage, one.order[n], one, named=named)],
        )
    three_hours_pass(stage)
    waiting = stage.count("parked_receipts")
    settle_all(stage, sent, outcome)
    for n in rounds:
        tell(
            stage,
            [w for one in sent if n >= one.early for w in words(stage, one.order[n], one, named=named)],
        )

    amount = len(sent)
    assert waiting == (0 if named else sum(one.early for one in sent)), "each word once, and none is lost"
    assert stage.count("parked_receipts") == 0
    assert ends(stage) == [("read", moment("sent"), moment("delivered"), moment("read"), None, amount)]
    assert stage.rows("select count(*), count(distinct message_id) from provider_messages") == [
        (amount, amount)
    ]
    assert dict(stage.rows("select state, n from message_tallies where n <> 0")) == {
        "dispatching": -amount,
        "read": amount,
    }
    assert by_the_hour(stage) == {(12, "sent"): amount, (15, "delivered"): amount, (15, "read"): amount}
    assert stage.one("select sum(n) from activity where measure = 'accepted'") == amount


def test_all_words_once_more_change_nothing(stage: Stage, sent: list[Sent]) -> None:
    said = [w for one in sent for status in one.order for w in words(stage, status, one, named=True)]
    tell(stage, said)
    before = (ends(stage), by_the_hour(stage), stage.count("outbox"))

    again = [tell(stage, said), tell(stage, said[::-1])]

    assert again == [Applied(changed=0, parked=0)] * 2
    assert (ends(stage), by_the_hour(stage), stage.count("outbox")) == before


def ends(stage: Stage) -> list[Any]:
    """How messages stand, and how many stand so."""
    return stage.rows(
        """select state, sent_at, delivered_at, read_at, reason_code, count(*)::int from messages
           where failed_at is not null group by 1, 2, 3, 4, 5 order by 1"""
    )


def by_the_hour(stage: Stage) -> dict[tuple[int, str], int]:
    """What is counted in each hour of that day, but for the moment of taking: it is the call's, or the answer's."""
    rows = stage.rows(
        """select extract(hour from bucket at time zone 'UTC')::int, measure, sum(n)::int from activity
           where measure <> 'accepted' group by 1, 2 having sum(n) <> 0"""
    )
    return {(hour, measure): n for hour, measure, n in rows}


def moment(status: str) -> datetime:
    """When the provider says that it happened."""
    return NOON + timedelta(seconds=SAID[status])
