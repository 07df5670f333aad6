"""A provider that fails is left alone before it has cost many messages, and is tried with little before all goes on (F12)."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from engine.core import ratelimit
from engine.core.errors import Ambiguous, NotTaken, Refused, Throttled
from engine.core.redis import client
from engine.messaging import breaker
from engine.messaging.breaker import ON_TRIAL, TOO_MANY, Breaker, Phase
from engine.messaging.channels.registry import adapter_for
from engine.messaging.dispatch import Dispatcher
from engine.messaging.models import Channel, ChannelKind
from tests.messaging.sending import provider, queue_blast, send, shop, states
from tests.provider import Answer, Provider, accepted, graph_error
from tests.workshop import Shop, messages_of, open_shop

__all__ = ["provider", "shop"]


def open_breaker() -> Breaker:
    subject = Breaker()
    for _ in range(TOO_MANY):
        subject.note(Ambiguous())
    return subject


def keep_sending(dispatcher: Dispatcher, enough: Callable[[], object]) -> None:
    """As its job does: again and again, until it is enough."""
    until = time.monotonic() + 30
    while not enough():
        assert time.monotonic() < until, "it never came"
        dispatcher.run(0.3)
        time.sleep(0.05)


def condition(shop: Shop) -> tuple[str, str | None]:
    with shop.work.session() as session:
        channel = session.get_one(Channel, (shop.tenant_id, shop.channel_id))
        return channel.status, channel.status_code


def test_it_opens_at_the_failure_that_is_one_too_many_and_says_so_once() -> None:
    subject = Breaker()
    said = [subject.note(NotTaken()) for _ in range(TOO_MANY + 5)]

    assert said == [False] * (TOO_MANY - 1) + [True] + [False] * 5
    assert subject.stands_still
    assert subject.allows(10) == 0


@pytest.mark.parametrize("error", [None, Refused(), Throttled()], ids=["taken", "refused", "throttled"])
def test_a_provider_that_says_no_is_not_one_that_fails(error: Any) -> None:
    subject = Breaker()
    for _ in range(100):
        subject.note(error)

    assert subject.phase is Phase.CLOSED


def test_failures_among_many_that_are_taken_do_not_open_it() -> None:
    subject = Breaker()
    for number in range(400):
        subject.note(Ambiguous() if number % 2 else None)

    assert subject.phase is Phase.CLOSED


def test_a_few_are_tried_after_a_good_answer_and_all_goes_on_when_they_are_taken() -> None:
    subject = open_breaker()
    subject.ask()
    subject.answered(well=True)

    assert subject.allows(100) == ON_TRIAL
    assert subject.allows(100) == 0
    for _ in range(ON_TRIAL):
        subject.note(None)
    assert subject.allows(100) == 100


def test_a_trial_that_was_not_begun_is_given_back() -> None:
    subject = open_breaker()
    subject.ask()
    subject.answered(well=True)
    subject.allows(ON_TRIAL)

    subject.unused(ON_TRIAL)

    assert subject.allows(100) == ON_TRIAL


def test_each_rest_after_a_trial_that_failed_is_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(breaker.time, "monotonic", lambda: now)
    subject = open_breaker()
    rests = [subject.until - now]
    for _ in range(7):
        subject.ask()
        subject.answered(well=True)
        subject.note(Ambiguous())
        rests.append(subject.until - now)

    assert rests == [2, 4, 8, 16, 32, 60, 60, 60]


def test_the_longer_a_provider_is_away_the_less_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(breaker.time, "monotonic", lambda: now)
    subject = open_breaker()
    rests = []
    for away in (10, 60, 120, 400, 3600):
        now = 1000.0 + away
        subject.ask()
        subject.answered(well=False)
        rests.append(subject.until - now)

    assert rests == [2, 2, 3, 10, 60]


def test_a_provider_that_has_fallen_over_costs_few_messages_and_then_gets_the_rest_once(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_REST", 0.3)
    monkeypatch.setattr(ratelimit, "LEAST_SHARE", 1 / 4)
    queue_blast(shop, 200)
    provider.behave = lambda _: Answer(500)
    provider.account = Answer(500)

    with closing(Dispatcher(width=8)) as dispatcher:
        # It is asked with a question, which risks nobody's message.
        keep_sending(dispatcher, lambda: provider.questions >= 2)
        lost = states(shop)

        assert TOO_MANY <= lost["unknown"] <= TOO_MANY + 8, "what was under way when it opened, and no more"
        assert lost["queued"] == 200 - lost["unknown"]
        assert condition(shop) == ("connected", "provider_failing")

        provider.behave, provider.account = accepted, Answer(200, {"id": "1", "status": "CONNECTED"})
        keep_sending(dispatcher, lambda: not states(shop)["queued"])

    assert condition(shop) == ("connected", None)
    assert states(shop) == {"accepted": 200 - lost["unknown"], "unknown": lost["unknown"]}
    assert len({request["biz_opaque_callback_data"] for request in provider.taken}) == len(provider.taken)


def test_a_channel_whose_provider_hangs_keeps_no_other_waiting(provider: Provider, shop: Shop) -> None:
    """All of one channel's calls stay without an answer until everything of the other has been taken (F11)."""
    other = open_shop()
    queue_blast(shop, 300)
    queue_blast(other, 300)
    hanging = {str(message.id) for message in messages_of(shop)}
    others_done = threading.Event()

    def behave(request: dict[str, Any]) -> Answer:
        if request["biz_opaque_callback_data"] in hanging:
            others_done.wait(8)
        elif sum(taken["biz_opaque_callback_data"] not in hanging for taken in provider.taken) == 300:
            others_done.set()
        return accepted(request)

    provider.behave = behave
    send(seconds=6.0)

    assert others_done.is_set()
    assert states(other) == {"accepted": 300}
    assert set(states(shop)) <= {"accepted", "queued"}, "and none of the slow one's was taken for lost"


def test_when_the_time_is_over_nobody_waits_for_a_channel_that_is_silent(provider: Provider) -> None:
    """The slice of a dispatcher ends; what has no answer yet is waited for, and the other channel sends meanwhile."""
    silent, other = open_shop(), open_shop(rate=50)
    queue_blast(silent, 8)
    queue_blast(other, 200)
    hanging = {str(message.id) for message in messages_of(silent)}
    others_done = threading.Event()

    def behave(request: dict[str, Any]) -> Answer:
        if request["biz_opaque_callback_data"] in hanging:
            others_done.wait(8)
        elif sum(taken["biz_opaque_callback_data"] not in hanging for taken in provider.taken) == 200:
            others_done.set()
        return accepted(request)

    provider.behave = behave
    send(seconds=2.0)

    assert others_done.is_set()
    assert states(silent) == {"accepted": 8}


def test_after_a_brake_all_processes_go_slower(provider: Provider) -> None:
    shop = open_shop(rate=100)
    queue_blast(shop, 60)
    refusals = iter(range(1))
    provider.behave = lambda request: (
        graph_error(130429) if next(refusals, None) is not None else accepted(request)
    )

    with closing(Dispatcher(width=8)) as dispatcher:
        keep_sending(dispatcher, lambda: not states(shop)["queued"])

    assert states(shop) == {"accepted": 60}
    assert float(client().hget(f"pace:channel:{shop.channel_id}", "share")) == 0.5


def test_a_person_whom_the_provider_spares_is_spared_by_all_that_goes_to_them(
    provider: Provider, shop: Shop
) -> None:
    queue_blast(shop, 1)
    provider.behave = lambda _: graph_error(131056)

    send(seconds=0.5)

    [message] = messages_of(shop)
    assert message.state == "queued"
    limits = adapter_for(ChannelKind.WHATSAPP_CLOUD).capabilities
    [wait] = ratelimit.pass_each(
        [f"pair:{shop.channel_id}:{message.address}"],
        interval=limits.pair_interval,
        burst=limits.pair_burst - 1,
    )
    assert 1 < wait <= 4
