"""The sweeper: one task for a bell however often it rings, work done directly without Redis, bells held back in a stream."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from sqlalchemy.orm import Session

from engine.core import redis as core_redis
from engine.core.bells import ring
from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import settings
from engine.scheduler import sweeper as module
from engine.scheduler.job import Job
from engine.scheduler.queues import EVENTS, SEND
from engine.scheduler.sweeper import Sweeper, forget_bell
from tests.faults.proxy import Proxy

LONG = 3600.0


class Worker:
    """A sweeper on a thread, with jobs of the tests' own; notes the tasks it sends and the work it does itself."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.worked: list[str] = []
        self.due: set[str] = set()
        self.is_busy = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def job(
        self,
        name: str,
        *,
        queue: str = EVENTS,
        look_every: float = LONG,
        pause: float = 0.0,
        is_of_here: bool = False,
    ) -> Job:
        """A job that is due while its name stands in `due`."""

        def is_due(_session: Session) -> bool:
            return name in self.due

        def work() -> bool:
            self.worked.append(name)
            self.due.discard(name)
            return False

        return Job(name, queue, is_due, work, look_every=look_every, pause=pause, is_of_here=is_of_here)

    def start(self, *, queues: frozenset[str] = frozenset({EVENTS})) -> None:
        """Begin to sweep; returns when it listens to the bells, if there are any to hear."""
        sweeper = Sweeper(queues, self.tasks.append, lambda: self.is_busy)
        self._thread = threading.Thread(target=sweeper.run, args=(self._stop,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the sweep."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)


@pytest.fixture
def worker(database: DatabaseUrls) -> Iterator[Worker]:
    running = Worker()
    yield running
    running.stop()


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts jobs of the tests' in the place of the product's."""

    def put(*wanted: Job) -> None:
        monkeypatch.setattr(module, "JOBS", {job.name: job for job in wanted})

    return put


def eventually(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not is_so() and time.monotonic() < until:
        time.sleep(0.01)
    return is_so()


def wait_until_heard() -> None:
    assert eventually(lambda: core_redis.client().pubsub_numsub("bells")[0][1] == 1)


def test_a_bell_that_rings_often_makes_one_task_until_it_is_heard(
    worker: Worker, jobs: Callable[..., None]
) -> None:
    jobs(worker.job("a"), worker.job("b"))
    worker.start()
    wait_until_heard()

    for _ in range(30):
        ring("a")
    ring("b")
    assert eventually(lambda: {"a", "b"} <= set(worker.tasks))
    before = sorted(worker.tasks)
    forget_bell("a")
    ring("a")

    assert before == ["a", "b"]
    assert eventually(lambda: sorted(worker.tasks) == ["a", "a", "b"])


def test_a_bell_of_another_workers_queue_or_of_no_job_is_let_pass(
    worker: Worker, jobs: Callable[..., None]
) -> None:
    jobs(worker.job("ours"), worker.job("theirs", queue=SEND))
    worker.start()
    wait_until_heard()

    for name in ("theirs", "unheard-of", "ours"):
        ring(name)

    assert eventually(lambda: worker.tasks == ["ours"])


def test_work_that_no_bell_told_of_is_found(worker: Worker, jobs: Callable[..., None]) -> None:
    jobs(worker.job("silent", look_every=0.0), worker.job("idle", look_every=0.0))
    worker.due.add("silent")

    worker.start()

    assert eventually(lambda: worker.tasks == ["silent"])
    assert worker.worked == []


def test_work_that_only_this_machine_can_do_is_done_here_and_rung_for_nobody(
    worker: Worker, jobs: Callable[..., None]
) -> None:
    jobs(
        worker.job("here", look_every=0.0, is_of_here=True),
        worker.job("theirs", queue=SEND, look_every=0.0, is_of_here=True),
    )
    worker.due |= {"here", "theirs"}

    worker.start()

    assert eventually(lambda: worker.worked == ["here"])
    assert worker.tasks == []
    assert worker.due == {"theirs"}


def test_without_redis_the_work_is_done_directly(
    worker: Worker, jobs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(worker.job("a", look_every=0.0), worker.job("other", queue=SEND, look_every=0.0))
    worker.due |= {"a", "other"}
    with monkeypatch.context() as away:
        away.setenv("MASTERIA_REDIS_URL", "redis://127.0.0.1:1/0")
        settings.cache_clear()
        core_redis.client.cache_clear()
        worker.start()
        done = eventually(lambda: worker.worked == ["a"])
        worker.stop()
    settings.cache_clear()
    core_redis.client.cache_clear()

    assert done
    assert (worker.tasks, worker.due) == ([], {"other"})


def test_a_broker_that_refuses_the_task_has_the_work_done_directly(
    worker: Worker, jobs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(worker.job("a", look_every=0.0))
    worker.due.add("a")
    monkeypatch.setattr(worker, "tasks", RefusingList())

    worker.start()

    assert eventually(lambda: worker.worked == ["a"])


def test_a_job_that_stays_due_while_nobody_takes_its_bells_is_worked_on_directly(
    worker: Worker, jobs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNHEARD_SECONDS", 0.3)
    jobs(worker.job("a", look_every=0.0))
    worker.due.add("a")

    worker.start()

    assert eventually(lambda: worker.worked == ["a"])
    assert worker.tasks == ["a"], "and its bell was rung all the same"


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_job_that_waits_behind_another_or_was_heard_elsewhere_is_left_to_its_bell(
    worker: Worker, jobs: Callable[..., None], monkeypatch: pytest.MonkeyPatch, *, is_busy: bool
) -> None:
    monkeypatch.setattr(module, "TICK", 0.05)
    jobs(worker.job("a", look_every=0.0), worker.job("b", look_every=0.0))
    worker.due |= {"a", "b"}
    worker.is_busy = is_busy
    if not is_busy:
        forget_bell("a")
        forget_bell("b")
    monkeypatch.setattr(module, "UNHEARD_SECONDS", 0.1)

    worker.start()
    time.sleep(0.6)

    assert worker.worked == []


def test_after_a_redis_that_was_away_the_work_goes_on_directly_until_a_bell_is_heard(
    worker: Worker, jobs: Callable[..., None], valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(worker.job("a", look_every=0.0))
    worker.is_busy = True  # so it says while it is not connected, whatever its children do
    with Proxy.before(valkey_url) as network, monkeypatch.context() as by_the_proxy:
        by_the_proxy.setenv("MASTERIA_REDIS_URL", network.address_of(valkey_url))
        settings.cache_clear()
        core_redis.client.cache_clear()
        network.refuse()
        worker.due.add("a")
        worker.start()
        assert eventually(lambda: worker.worked == ["a"])

        network.pass_on()
        worker.due.add("a")
        assert eventually(lambda: worker.worked == ["a", "a"])
        rung = worker.tasks.copy()
        forget_bell("a")
        worker.due.add("a")
        assert eventually(lambda: len(worker.tasks) > len(rung))
        time.sleep(0.3)
        worker.stop()
    settings.cache_clear()
    core_redis.client.cache_clear()

    assert worker.worked == ["a", "a"], "somebody hears the bells again"


def test_a_connection_that_has_gone_silent_is_given_up_and_bells_are_heard_again(
    worker: Worker, jobs: Callable[..., None], valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 0.2)
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.4)
    monkeypatch.setattr(module, "TICK", 0.1)
    jobs(worker.job("a"))
    with Proxy.before(valkey_url) as network:
        monkeypatch.setattr(
            module, "subscriber", lambda: redis.Redis.from_url(network.address_of(valkey_url))
        )
        worker.start()
        wait_until_heard()
        ring("a")
        assert eventually(lambda: worker.tasks == ["a"])
        time.sleep(1.0)
        assert network.taken == 1, "one that is only quiet answers when it is asked"

        with network.hanging():
            forget_bell("a")
        assert eventually(lambda: network.taken == 2)
        assert eventually(lambda: bool(ring("a") or len(worker.tasks) == 2))
        worker.stop()


class RefusingList(list[str]):
    """A broker that is away."""

    def append(self, name: str) -> None:
        raise ConnectionError(name)


def test_a_stream_of_bells_is_gathered_and_its_last_is_not_lost(
    worker: Worker, jobs: Callable[..., None]
) -> None:
    jobs(worker.job("stream", pause=0.3))
    worker.start()
    wait_until_heard()
    until = time.monotonic() + 0.8

    while time.monotonic() < until:
        ring("stream")
        forget_bell("stream")  # each task is heard at once
        time.sleep(0.01)

    passed_on = len(worker.tasks)
    forget_bell("stream")
    assert 1 <= passed_on <= 4, "some eighty rang"
    assert eventually(lambda: len(worker.tasks) >= 2)


def test_a_bell_held_back_rings_once_its_pause_is_over(worker: Worker, jobs: Callable[..., None]) -> None:
    jobs(worker.job("stream", pause=0.3))
    worker.start()
    wait_until_heard()
    ring("stream")
    assert eventually(lambda: worker.tasks == ["stream"])
    forget_bell("stream")

    ring("stream")
    ring("stream")

    assert eventually(lambda: worker.tasks == ["stream", "stream"])


def test_a_job_that_fails_each_time_keeps_no_other_from_being_found(
    worker: Worker, jobs: Callable[..., None]
) -> None:
    broken = Job("broken", EVENTS, lambda session: 1 // 0 > 0, lambda: False, look_every=0.0)
    jobs(broken, worker.job("sound", look_every=0.0))
    worker.due.add("sound")

    worker.start()

    assert eventually(lambda: worker.tasks == ["sound"])
