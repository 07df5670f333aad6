"""WhatsApp's limit of people a day: each counts once, all numbers of an account together, and what is too much waits."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from engine.campaigns import queries, service
from engine.core.clock import now
from engine.core.db import run
from engine.core.ids import uuid7
from engine.messaging import dispatch, ledger
from engine.messaging.channel_health import belong_to
from engine.messaging.daily_limit import ReachedPerson, ReachSlot, budget_of, carry_over, limit_of, take
from engine.messaging.models import Channel, DueSend, Origin
from engine.scheduler import clearing
from tests.campaigns.test_campaigns import begin
from tests.messaging.sending import due, provider, queue_blast, send, shop, states
from tests.provider import Provider
from tests.workshop import Shop, add_channel, add_people, messages_of

__all__ = ["provider", "shop"]

ACCOUNT = "1030"


def limit_to(shop: Shop, word: str | None) -> None:
    with shop.work.session() as session:
        session.execute(update(Channel).values(messaging_limit=word))


def phones(first: int, amount: int) -> list[str]:
    return [f"+55119{number:08d}" for number in range(first, first + amount)]


def used(shop: Shop) -> int:
    with shop.work.session() as session:
        return budget_of(session, ACCOUNT, 10).used


@pytest.mark.parametrize(
    ("word", "limit"),
    [("TIER_250", 250), ("TIER_2K", 2000), ("TIER_UNLIMITED", None), ("TIER_NEW", None), (None, None)],
)
def test_metas_words_are_known_and_what_is_not_known_limits_nobody(word: str, limit: int | None) -> None:
    assert limit_of(word) == limit


def test_no_more_people_get_a_template_than_the_account_may_write_to(provider: Provider, shop: Shop) -> None:
    limit_to(shop, "TIER_50")
    queue_blast(shop, 70)

    send(seconds=2.0)

    assert states(shop) == {"accepted": 50, "queued": 20}
    assert len(provider.taken) == 50
    assert {one.due_at > now() for one in due(shop)} == {True}, "the rest is due again when room comes back"


def test_what_waited_goes_on_when_room_comes_back(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_to(shop, "TIER_50")
    queue_blast(shop, 70)
    send(seconds=2.0)
    with shop.work.session() as session:
        a_day_ago = now() - timedelta(hours=24, minutes=11)
        session.execute(update(ReachSlot).values(slot=a_day_ago))
        session.execute(update(ReachedPerson).values(at=a_day_ago))
        session.execute(update(DueSend).values(due_at=now()))

    send(seconds=2.0)

    assert states(shop) == {"accepted": 70}


def test_a_person_who_was_written_to_today_costs_nothing_more(shop: Shop) -> None:
    with shop.work.session() as session:
        first, _ = take(session, ACCOUNT, 10, phones(0, 10))
    with shop.work.session() as session:
        again, _ = take(session, ACCOUNT, 10, phones(0, 10))
        more, _ = take(session, ACCOUNT, 10, phones(5, 7))

    assert (first, again) == (set(), set())
    assert more == set(phones(10, 2)), "only those who are new to the day wait"
    assert used(shop) == 10


def test_those_who_come_first_are_taken_first(shop: Shop) -> None:
    with shop.work.session() as session:
        refused, _ = take(session, ACCOUNT, 10, phones(0, 14))

    assert refused == set(phones(10, 4))


def test_a_person_twice_among_those_asked_for_counts_once(shop: Shop) -> None:
    with shop.work.session() as session:
        refused, _ = take(session, ACCOUNT, 10, [*phones(0, 6), *phones(0, 6)])

    assert (refused, used(shop)) == (set(), 6)


def test_another_account_has_a_limit_of_its_own(shop: Shop) -> None:
    with shop.work.session() as session:
        take(session, "another", 10, phones(0, 10))
        refused, _ = take(session, ACCOUNT, 10, phones(0, 10))

    assert refused == set()


def test_what_an_account_did_today_counts_for_the_portfolio_that_it_belongs_to(shop: Shop) -> None:
    with shop.work.session() as session:
        take(session, ACCOUNT, 10, phones(0, 4))
        take(session, "portfolio", 10, phones(3, 2))
    for _ in range(2):
        with shop.work.session() as session:
            carry_over(session, ACCOUNT, "portfolio")

    with shop.work.session() as session:
        before = [budget_of(session, name, 10).used for name in (ACCOUNT, "portfolio")]
        refused, _ = take(session, "portfolio", 10, phones(0, 10))

    assert before == [0, 6], "who was written to by both counts twice for the rest of the day"
    assert refused == set(phones(9, 1))


def test_all_numbers_of_an_account_belong_to_its_portfolio_and_no_other_does(shop: Shop) -> None:
    with shop.work.session() as session:
        sister, sandbox, stranger = (add_channel(session, 80) for _ in range(3))
        session.execute(update(Channel).where(Channel.id == sandbox).values(environment="sandbox"))
        session.execute(update(Channel).where(Channel.id == stranger).values(portfolio="another"))
    with shop.work.session() as session:
        before = {channel.id: channel.revision for channel in session.scalars(select(Channel))}
        for _ in range(2):
            belong_to(session, session.get_one(Channel, (shop.tenant_id, sister)), "portfolio")

    with shop.work.session() as session:
        changed = {c.id: c.limited_as for c in session.scalars(select(Channel)) if c.revision != before[c.id]}
        revisions = {c.id: c.revision - before[c.id] for c in session.scalars(select(Channel))}
    assert changed == {shop.channel_id: "portfolio", sister: "portfolio"}
    assert set(revisions.values()) == {0, 1}, "what was known changes nothing"


def test_processes_that_take_at_once_do_not_take_too_much_together(shop: Shop) -> None:
    refused: list[int] = []

    def ask(first: int) -> None:
        with shop.work.session() as session:
            refused.append(len(take(session, ACCOUNT, 100, phones(first, 40))[0]))

    threads = [threading.Thread(target=ask, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (sum(refused), used(shop)) == (8 * 40 - 100, 100)


def test_what_was_not_marked_after_all_is_not_counted(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted in the transaction that marks."""
    limit_to(shop, "TIER_50")
    queue_blast(shop, 5)

    def fail(*_: object) -> set[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(dispatch.ledger, "mark", fail)
    with pytest.raises(ZeroDivisionError):
        send(seconds=1.0)

    assert used(shop) == 0


def test_a_reply_in_free_text_begins_no_conversation(provider: Provider, shop: Shop) -> None:
    limit_to(shop, "TIER_50")
    with shop.work.session() as session:
        take(session, ACCOUNT, 50, phones(500, 50))
        ledger.enqueue(
            session,
            channel_id=shop.channel_id,
            contact_id=None,
            address="+5511987654321",
            kind="text",
            origin=Origin.AGENT,
            origin_id=uuid7(),
            body="Oi",
        )

    send(seconds=1.0)

    [message] = messages_of(shop)
    assert message.reason_code == "window_closed", "policy was asked, so the limit did not hold it back"


def test_what_no_longer_counts_is_cleared_away(shop: Shop) -> None:
    with shop.work.session() as session:
        take(session, ACCOUNT, 10, phones(0, 3))
        session.execute(update(ReachedPerson).values(at=now() - timedelta(hours=26)))
        session.execute(update(ReachSlot).values(slot=now() - timedelta(hours=26)))
        take(session, ACCOUNT, 10, phones(5, 2))

    clearing.clear()

    with shop.work.session() as session:
        left = run(
            session, "select (select count(*) from reached_people) p, (select count(*) from reach_slots) s"
        )
    assert (left[0].p, left[0].s) == (2, 1)


def test_a_campaign_that_waits_for_the_next_day_says_so(provider: Provider, shop: Shop) -> None:
    limit_to(shop, "TIER_50")
    add_people(shop, 60)
    campaign_id = begin(shop)
    send(seconds=2.0)

    with shop.work.session() as session:
        entry = queries.entry_of(session, queries.get_campaign(session, campaign_id))
        budget = service.daily_budget(session, shop.channel_id)

    assert entry.stands_still == "daily_limit"
    assert budget is not None
    assert (budget.limit, budget.left) == (50, 0)
