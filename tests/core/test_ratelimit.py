"""The rate of a channel is kept whoever asks, however many at once; and kept, stricter, without Redis."""

import threading
import time

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from engine.core import ratelimit
from engine.core import redis as core_redis
from engine.core.bootstrap import DatabaseUrls
from engine.core.ratelimit import RECOVERY_SECONDS, LocalBucket, hold, lease, pass_each, rest, slow
from engine.core.settings import settings


def ask_from_many(key: str, *, rate: float, wanted: int, burst: float, seconds: float) -> tuple[int, float]:
    """What twenty threads were granted between them, and how long it took by Redis's own clock."""
    granted: list[int] = []
    clock = core_redis.client()
    begun = clock.time()
    until = time.monotonic() + seconds

    def ask() -> None:
        while time.monotonic() < until:
            got = lease(key, rate=rate, wanted=wanted, burst=burst)
            granted.append(got.granted)
            time.sleep(min(got.wait, 0.01))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = clock.time()
    return sum(granted), (ended[0] - begun[0]) + (ended[1] - begun[1]) / 1e6


@pytest.mark.parametrize(
    ("rate", "wanted", "burst"), [(200.0, 1, 10.0), (1000.0, 50, 100.0), (7.0, 3, 1.0)], ids=str
)
def test_twenty_who_ask_at_once_never_get_more_than_the_rate(
    database: DatabaseUrls, rate: float, wanted: int, burst: float
) -> None:
    granted, seconds = ask_from_many("channel", rate=rate, wanted=wanted, burst=burst, seconds=0.6)

    assert granted <= burst + rate * seconds + 1
    assert granted >= burst, "and the burst is theirs"


def test_who_is_turned_away_is_told_when_to_come_back(database: DatabaseUrls) -> None:
    first = lease("slow", rate=0.5, wanted=5, burst=1)
    second = lease("slow", rate=0.5, wanted=5, burst=1)

    assert (first.granted, second.granted) == (1, 0)
    assert 1.5 < second.wait <= 2.0


def test_one_channels_rate_is_not_anothers(database: DatabaseUrls) -> None:
    lease("one", rate=1, wanted=1, burst=1)

    assert lease("other", rate=1, wanted=1, burst=1).granted == 1


def test_an_emptied_redis_costs_one_burst(database: DatabaseUrls) -> None:
    first = lease("channel", rate=10, wanted=100, burst=5)
    core_redis.client().flushall()
    again = lease("channel", rate=10, wanted=100, burst=5)

    assert (first.granted, again.granted) == (5, 5)
    assert lease("channel", rate=10, wanted=100, burst=5).granted == 0


def test_a_redis_that_is_away_is_said_to_be_away(
    database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("MASTERIA_REDIS_URL", "redis://127.0.0.1:1/0")
        settings.cache_clear()
        core_redis.client.cache_clear()
        ratelimit.forget_connections()
        with pytest.raises(redis.RedisError):
            lease("channel", rate=1, wanted=1)
    settings.cache_clear()
    core_redis.client.cache_clear()
    ratelimit.forget_connections()

    assert lease("channel", rate=1, wanted=1).granted == 1


@given(
    rate=st.floats(0.5, 1000),
    processes=st.integers(1, 20),
    asks=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 300)), min_size=1, max_size=30),
)
def test_a_process_without_redis_keeps_to_its_part_of_the_rate(
    rate: float, processes: int, asks: list[tuple[float, int]]
) -> None:
    now = 1000.0
    bucket = LocalBucket(rate, processes, at=now)
    granted = 0
    with pytest.MonkeyPatch.context() as moved:
        for wait, wanted in asks:
            now += wait
            moved.setattr(time, "monotonic", lambda at=now: at)
            granted += bucket.lease(wanted).granted

    assert granted <= (now - 1000.0) * rate / processes + 1e-6


@pytest.mark.parametrize("rate", [0.5, 1.0, 80.0])
def test_a_process_without_redis_goes_on_slowly(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bucket = LocalBucket(rate, at=now)
    granted = 0
    while now < 20:
        got = bucket.lease(10)
        granted += got.granted
        now += got.wait or 0.01

    assert granted >= 20 * rate / 2 - max(rate / 2, 1) - 1


def test_of_many_keys_each_passes_by_itself_and_waits_by_itself(database: DatabaseUrls) -> None:
    names = ["pair:a", "pair:b", "pair:a", "pair:a"]

    waits = pass_each(names, interval=6.0, burst=2)

    assert waits[:3] == [0.0, 0.0, 0.0]
    assert waits[3] == pytest.approx(6.0, abs=0.5)


def test_a_key_that_was_braked_goes_half_as_fast_for_everybody(database: DatabaseUrls) -> None:
    share = slow("braked", rate=400.0)
    granted, seconds = ask_from_many("braked", rate=400.0, wanted=5, burst=10, seconds=0.5)

    assert share == 0.5
    assert granted <= 10 + 400 * (0.5 + seconds / RECOVERY_SECONDS) * seconds + 1


def test_brakes_of_one_moment_are_one_brake(database: DatabaseUrls) -> None:
    shares = {slow("braked at once", rate=400.0) for _ in range(50)}

    assert shares <= {0.5, 0.501, 0.502, 0.503, 0.504, 0.505}, "fifty calls that were under way halve once"


def test_a_brake_leaves_one_a_second(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "BETWEEN_CUTS", 0.0)
    shares = [slow("braked often", rate=10.0) for _ in range(10)]

    assert shares[-1] == pytest.approx(0.1, abs=0.002)


def test_a_key_that_rests_grants_nothing_until_it_is_woken(database: DatabaseUrls) -> None:
    rest("resting", 30.0)
    asleep = lease("resting", rate=100.0, wanted=5)
    rest("resting", 0.0, then=0.25)
    awake = lease("resting", rate=100.0, wanted=1000, burst=20)

    assert (asleep.granted, asleep.wait) == (0, pytest.approx(30.0, abs=1.0))
    assert 1 <= awake.granted <= 6, "and it begins with a quarter"


def test_a_key_that_begins_with_less_than_its_burst_grants_one_at_once(database: DatabaseUrls) -> None:
    rest("begins slowly", 0.0, then=1 / 20)
    first, second = [lease("begins slowly", rate=20.0, wanted=5) for _ in range(2)]

    assert (first.granted, second.granted) == (1, 0)
    assert second.wait == pytest.approx(1.0, abs=0.1)


def test_a_pair_that_is_held_passes_nobody_until_then(database: DatabaseUrls) -> None:
    hold("pair of two", 2.0, interval=6.0, burst=44)
    [held] = pass_each(["pair of two"], interval=6.0, burst=44)

    assert held == pytest.approx(2.0, abs=0.5)


def test_nothing_is_saved_up_for_when_redis_goes() -> None:
    bucket = LocalBucket(80.0, 1, at=time.monotonic() - 60)

    bucket.begin()

    assert (bucket.lease(100).granted, bucket.processes) == (0, ratelimit.UNKNOWN_PROCESSES)


def test_without_redis_a_brake_halves_the_local_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 50.0
    monkeypatch.setattr(ratelimit.time, "monotonic", lambda: moment)
    bucket = LocalBucket(rate=80.0, at=moment)
    bucket.slow()
    moment += 0.5

    assert bucket.lease(100).granted == pytest.approx(80 / 2 * 0.5 * 0.5, abs=1)
