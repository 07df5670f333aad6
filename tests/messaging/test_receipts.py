"""Statuses: any order, any number of copies, before or after our own record of the send; one and the same row."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from itertools import batched, permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from engine.contacts.models import Contact
from engine.core.bootstrap import DatabaseUrls
from engine.core.ids import uuid7
from engine.messaging.channels.base import Pricing, StatusReceipt
from engine.messaging.counters import Steps
from engine.messaging.models import MessageState
from engine.messaging.receipts import (
    Applied,
    apply_receipts,
    claim_parked,
    merge,
    retry_parked,
    state_of,
)
from engine.messaging.settlement import Verdict, settle
from tests.messaging.receiving import NOON, Stage, called, lease_of, receipt, set_stage

ROW = """select state, provider_id, accepted_at, sent_at, delivered_at, read_at, failed_at, reason_code
         from messages where id = :id"""


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


def tell(stage: Stage, *receipts: StatusReceipt) -> Applied:
    with stage.session() as session:
        return apply_receipts(session, stage.channel_id, receipts)


def send(stage: Stage, **given_: Any) -> UUID:
    with stage.session() as session:
        return called(stage, session, **given_).id


def row_of(stage: Stage, message_id: UUID) -> Any:
    return stage.rows(ROW, id=message_id)[0]


def activity(stage: Stage) -> dict[str, int]:
    return dict(stage.rows("select measure, sum(n)::int from activity group by 1 having sum(n) <> 0"))


def tallies(stage: Stage) -> dict[str, int]:
    return dict(stage.rows("select state, n from message_tallies where n <> 0"))


def test_each_status_has_its_time_and_the_furthest_is_the_state(stage: Stage) -> None:
    key = send(stage)

    tell(stage, receipt(stage, "sent", 1, send_key=key), receipt(stage, "read", 9, send_key=key))

    row = row_of(stage, key)
    assert row.state == "read"
    assert (row.sent_at, row.read_at) == (NOON + timedelta(seconds=1), NOON + timedelta(seconds=9))
    assert row.delivered_at == row.read_at, "who read it has it"


def test_a_status_proves_that_a_call_nobody_heard_back_of_was_taken(stage: Stage) -> None:
    key = send(stage, state=MessageState.UNKNOWN, reason_code="ambiguous")

    tell(stage, receipt(stage, "sent", send_key=key, provider_id="wamid.X"))

    row = row_of(stage, key)
    assert (row.state, row.provider_id, row.accepted_at, row.reason_code) == ("sent", "wamid.X", NOON, None)
    assert stage.one("select message_id from provider_messages where provider_id = 'wamid.X'") == key
    assert activity(stage) == {"accepted": 1, "sent": 1}


def test_a_message_that_was_never_called_is_not_believed_to_be_sent(stage: Stage) -> None:
    key = send(stage, state=MessageState.QUEUED, attempt=0, called_at=None)

    outcome = tell(stage, receipt(stage, "delivered", send_key=key))

    assert outcome == Applied(changed=0, parked=0)
    assert row_of(stage, key).state == "queued"


def test_a_message_queued_again_that_was_taken_after_all_is_not_called_twice(stage: Stage) -> None:
    key = send(stage, state=MessageState.QUEUED, attempt=1)

    tell(stage, receipt(stage, "delivered", send_key=key))

    assert row_of(stage, key).state == "delivered"


def test_a_receipt_without_our_key_finds_its_message_by_the_providers_id(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, provider_id="wamid.7")

    tell(stage, receipt(stage, "delivered", provider_id="wamid.7"))

    assert row_of(stage, key).state == "delivered"


def test_a_key_that_only_looks_like_ours_does_not_hide_the_providers_id(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, provider_id="wamid.7")

    tell(stage, receipt(stage, "delivered", provider_id="wamid.7", send_key=uuid4()))

    assert row_of(stage, key).state == "delivered"


def test_receipts_with_and_without_our_key_in_one_batch_make_one_row(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, provider_id="wamid.7")

    tell(
        stage,
        receipt(stage, "sent", 1, provider_id="wamid.7", send_key=key),
        receipt(stage, "read", 3, provider_id="wamid.7"),
    )

    row = row_of(stage, key)
    assert (row.state, row.sent_at) == ("read", NOON + timedelta(seconds=1))


def test_a_failure_keeps_its_code_and_the_providers_words(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)
    error = {"code": 131026, "title": "Message undeliverable"}

    tell(stage, receipt(stage, "failed", send_key=key, error_code="undeliverable", error=error))

    assert row_of(stage, key).state == "failed"
    assert stage.rows("select reason_code, reason from messages")[0] == ("undeliverable", error)
    assert activity(stage) == {"failed": 1}


def test_a_delivery_after_a_failure_is_believed_and_takes_the_reason_away(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)
    tell(stage, receipt(stage, "failed", 2, send_key=key, error_code="undeliverable"))

    tell(stage, receipt(stage, "delivered", 3, send_key=key))

    row = row_of(stage, key)
    assert (row.state, row.reason_code) == ("delivered", None)
    assert activity(stage) == {"delivered": 1}


def test_a_replay_changes_no_row_and_counts_nothing(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)
    words = [
        receipt(stage, status, n, send_key=key) for n, status in enumerate(("sent", "delivered", "read"))
    ]
    tell(stage, *words)
    counted, facts = activity(stage), stage.count("outbox")

    outcomes = [tell(stage, *words), tell(stage, words[0]), tell(stage, *words[::-1], *words)]

    assert [outcome.changed for outcome in outcomes] == [0, 0, 0]
    assert (activity(stage), stage.count("outbox")) == (counted, facts)


def test_counted_messages_move_the_tally_and_replaced_ones_do_not(stage: Stage) -> None:
    counted = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)
    replaced = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, counted=False)

    tell(stage, *(receipt(stage, "read", send_key=key) for key in (counted, replaced)))

    assert tallies(stage) == {"accepted": -1, "read": 1}
    assert activity(stage)["read"] == 2


def test_an_event_counts_in_the_quarter_of_an_hour_in_which_it_happened(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)

    tell(stage, receipt(stage, "delivered", 3 * 3600, send_key=key))

    bucket = stage.one("select bucket from activity where measure = 'delivered'")
    assert bucket == NOON + timedelta(hours=3)


def test_screens_hear_only_of_messages_that_stand_in_a_thread(stage: Stage) -> None:
    thread = uuid7()
    shown = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, conversation_id=thread)
    hidden = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)

    tell(stage, *(receipt(stage, "delivered", send_key=key) for key in (shown, hidden)))

    facts = stage.rows("select payload from outbox where kind = 'messages.changed'")
    assert [(item["id"], item["state"]) for fact in facts for item in fact.payload["items"]] == [
        (str(shown), "delivered")
    ]


def test_the_providers_word_that_a_person_stopped_marketing_withdraws_their_consent(stage: Stage) -> None:
    person = uuid7()
    with stage.session() as session:
        session.add(Contact(id=person, name="Ana", phone="+5571980000102"))
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, contact_id=person)

    tell(stage, receipt(stage, "failed", send_key=key, error_code="opted_out"))

    assert stage.one("select marketing_consent from contacts") == "withdrawn"


def test_a_message_keeps_what_the_provider_first_said_it_costs(stage: Stage) -> None:
    price = Pricing("marketing", "regular", billable=True)
    key = send(stage, provider_id="wamid.1")

    tell(stage, receipt(stage, "sent", 1, pricing=price))
    tell(stage, receipt(stage, "read", 2), receipt(stage, "delivered", 2, pricing=Pricing("utility")))

    costs = stage.rows("select price_category, price_type, billable from messages where id = :id", id=key)
    assert costs == [("marketing", "regular", True)]


def test_a_parked_receipt_keeps_what_its_message_costs(stage: Stage) -> None:
    tell(stage, receipt(stage, "sent", pricing=Pricing("utility", "free_customer_service", billable=False)))

    with stage.session() as session:
        [waited] = claim_parked(session, [(stage.channel_id, "wamid.1")])[stage.channel_id]

    assert waited.pricing == Pricing("utility", "free_customer_service", billable=False)


def test_a_receipt_that_comes_before_its_message_waits_and_is_applied_once(stage: Stage) -> None:
    word = receipt(stage, "delivered", provider_id="wamid.early")
    first, copy = tell(stage, word), tell(stage, word)
    parked = stage.count("parked_receipts")
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, provider_id="wamid.early")
    due(stage)

    with stage.session() as session:
        retry_parked(session)

    assert (first.parked, copy.parked, parked) == (1, 1, 1)
    assert row_of(stage, key).state == "delivered"
    assert stage.count("parked_receipts") == 0


def test_whoever_settles_a_send_takes_the_receipts_that_wait_for_it(stage: Stage) -> None:
    word = receipt(stage, "read", provider_id="wamid.early", error=None)
    tell(stage, word)

    with stage.session() as session:
        taken = claim_parked(session, [(stage.channel_id, "wamid.early"), (stage.channel_id, "wamid.other")])

    assert taken == {stage.channel_id: [word]}
    assert stage.count("parked_receipts") == 0


def test_a_receipt_that_nobody_can_place_waits_longer_each_time_and_a_month_at_most(stage: Stage) -> None:
    tell(stage, receipt(stage, "delivered", provider_id="wamid.never"))
    gaps = []
    for _ in range(4):
        due(stage)
        with stage.session() as session:
            retry_parked(session)
        gaps.append(stage.one("select extract(epoch from due_at - now())::float from parked_receipts"))
    with stage.session() as session:
        session.execute(
            text("update parked_receipts set created_at = now() - interval '31 days', due_at = now()")
        )

    with stage.session() as session:
        retry_parked(session)

    assert gaps == sorted(gaps)
    assert gaps[-1] > 10
    assert stage.count("parked_receipts") == 0


def due(stage: Stage) -> None:
    """Let what is parked fall due now."""
    with stage.session() as session:
        session.execute(text("update parked_receipts set due_at = now()"))


def test_another_companys_receipt_reaches_no_message_of_ours(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON, provider_id="wamid.7")
    stranger = set_stage()

    outcome = tell(stranger, receipt(stranger, "failed", provider_id="wamid.7", send_key=key))

    assert outcome == Applied(changed=0, parked=1)
    assert row_of(stage, key).state == "accepted"


def test_another_channels_receipt_reaches_no_message_of_this_one(stage: Stage) -> None:
    key = send(stage, state=MessageState.ACCEPTED, accepted_at=NOON)

    with stage.session() as session:
        outcome = apply_receipts(session, uuid7(), [receipt(stage, "failed", send_key=key)])

    assert (outcome.changed, row_of(stage, key).state) == (0, "accepted")


def test_two_appliers_of_the_same_messages_in_opposite_orders_do_not_deadlock(stage: Stage) -> None:
    keys = [send(stage, state=MessageState.ACCEPTED, accepted_at=NOON) for _ in range(40)]
    start = threading.Barrier(4)
    faults: list[BaseException] = []

    def apply(order: list[UUID], status: str) -> None:
        start.wait()
        try:
            tell(stage, *(receipt(stage, status, send_key=key) for key in order))
        except BaseException as error:
            faults.append(error)
            raise

    threads = [
        threading.Thread(target=apply, args=(order, status))
        for order in (keys, keys[::-1])
        for status in ("delivered", "read")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not faults
    assert stage.one("select count(*) from messages where state = 'read'") == 40


WORDS = st.tuples(
    st.sampled_from(("sent", "delivered", "read", "failed")),
    st.integers(1, 2400),
    st.sampled_from((None, "undeliverable", "marketing_limit")),
)


@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    words=st.lists(WORDS, min_size=1, max_size=5), order=st.permutations(range(10)), size=st.integers(1, 4)
)
def test_every_order_and_batching_of_the_same_words_ends_in_the_same_row(
    stage: Stage, words: list[tuple[str, int, str | None]], order: list[int], size: int
) -> None:
    straight, shuffled = (send(stage, state=MessageState.DISPATCHING) for _ in range(2))
    tell(stage, *_receipts(stage, words, straight))
    told = [words[place % len(words)] for place in order]  # each at least once, most of them twice

    for batch in batched(told, size):
        tell(stage, *_receipts(stage, batch, shuffled))

    assert row_of(stage, straight)[0] == state_of(merge(_receipts(stage, words, straight)))
    assert [*row_of(stage, straight)] == [*row_of(stage, shuffled)]
    counts = stage.rows("select bucket, measure, n from activity where n <> 0")
    assert all(n % 2 == 0 for _, _, n in counts), "both messages count alike, in the same quarter of an hour"


def _receipts(stage: Stage, words: Sequence[tuple[str, int, str | None]], key: UUID) -> list[StatusReceipt]:
    return [
        receipt(stage, status, seconds, send_key=key, error_code=code if status == "failed" else None)
        for status, seconds, code in words
    ]


@pytest.mark.parametrize("order", list(permutations(("sent", "delivered", "read", "failed"))))
def test_no_order_of_statuses_moves_a_message_back(stage: Stage, order: tuple[str, ...]) -> None:
    key = send(stage)

    seen = []
    for status in order:
        tell(stage, receipt(stage, status, send_key=key))
        seen.append(row_of(stage, key).state)

    ranks = {"sent": 0, "failed": 1, "delivered": 2, "read": 3}
    assert [ranks[state] for state in seen] == sorted(ranks[state] for state in seen)
    assert seen[-1] == "read"


def settle_as_accepted(stage: Stage, message_id: UUID, provider_id: str) -> None:
    """What the dispatcher writes down when its call is answered."""
    lease = lease_of(stage, message_id, message_id)
    with stage.session() as session:
        steps = Steps()
        verdict = Verdict(str(message_id), 1, MessageState.ACCEPTED, provider_id=provider_id)
        settle(session, [(lease, verdict)], steps)
        steps.write(session)


def test_a_status_that_came_before_its_send_was_settled_is_applied_with_the_settling(stage: Stage) -> None:
    key, other = send(stage), send(stage)
    tell(stage, *(receipt(stage, status, provider_id="wamid.early") for status in ("sent", "read")))
    tell(stage, receipt(stage, "sent", provider_id="wamid.other"))

    settle_as_accepted(stage, key, "wamid.early")

    row = row_of(stage, key)
    assert (row.state, row.provider_id, row.read_at) == ("read", "wamid.early", NOON + timedelta(seconds=1))
    assert row_of(stage, other).state == "dispatching"
    assert stage.rows("select provider_id from parked_receipts") == [("wamid.other",)]
    assert tallies(stage) == {"dispatching": -1, "read": 1}
    assert activity(stage) == {"accepted": 1, "sent": 1, "delivered": 1, "read": 1}


def test_an_id_that_the_provider_gives_twice_settles_both_and_is_known_as_the_firsts(stage: Stage) -> None:
    first, second, third = send(stage), send(stage), send(stage)

    settle_as_accepted(stage, first, "wamid.twice")
    lease = lease_of(stage, second, third)
    with stage.session() as session:
        steps = Steps()
        verdicts = [
            Verdict(str(second), 1, MessageState.ACCEPTED, provider_id="wamid.twice"),
            Verdict(str(third), 1, MessageState.ACCEPTED, provider_id="wamid.once"),
        ]
        settle(session, [(lease, verdict) for verdict in verdicts], steps)
        steps.write(session)
    tell(stage, *(receipt(stage, "read", provider_id=f"wamid.{which}") for which in ("twice", "once")))

    assert [row_of(stage, one).state for one in (first, second, third)] == ["read", "accepted", "read"]
    assert activity(stage)["accepted"] == 3


def test_settling_does_not_wait_for_whoever_tries_parked_receipts_again(stage: Stage) -> None:
    key = send(stage)
    tell(stage, receipt(stage, "delivered", provider_id="wamid.early"))

    with stage.session() as retrying:
        retrying.execute(text("select id from parked_receipts for update"))
        settle_as_accepted(stage, key, "wamid.early")
    due(stage)
    with stage.session() as session:
        retry_parked(session)

    assert row_of(stage, key).state == "delivered"
    assert stage.count("parked_receipts") == 0
