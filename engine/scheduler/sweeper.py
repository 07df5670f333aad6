"""The sweeper: in every worker process, a thread that looks for due work and hears the bells.

A bell that rings becomes one Celery task (one at a time waits, whoever hears it). Every second the sweeper asks the
database itself, so a bell that was never heard costs a second. When Redis is away it does the work of its own
worker's queues directly: campaigns go on. So it does when a worker that is connected takes no task any more.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

import redis

from engine.core.bells import CHANNEL
from engine.core.errors import DatabaseAway
from engine.core.log import logger
from engine.core.redis import client, subscriber
from engine.core.system import system_session
from engine.scheduler.job import Job, counted
from engine.scheduler.jobs import JOBS
from engine.scheduler.memory import collect_now_and_then

TICK = 1.0
WAITING_MS = 3000  # a bell that waits longer than this in its queue may be rung again
PING_SECONDS = 5.0  # between two questions whether bells can still be heard
SILENCE_SECONDS = 10.0  # without a word after one: the connection is half-open
UNHEARD_SECONDS = 15.0  # a job that is due for so long without anybody hearing its bell is worked on here

log = logger(__name__)


class Flag(Protocol):
    """What tells the sweeper to stop."""

    def is_set(self) -> bool:
        """True once the worker shuts down."""


def forget_bell(name: str) -> None:
    """The bell has been heard: from here another may wait behind it."""
    try:
        pipeline = client().pipeline(transaction=False)
        pipeline.delete(f"bell:{name}")
        pipeline.set(f"heard:{name}", 1, px=round(UNHEARD_SECONDS * 1000))
        pipeline.execute()
    except redis.RedisError as error:
        log.debug("sweeper.redis_away", error=type(error).__name__)


def _was_heard(name: str) -> bool:
    """Whether some worker took this job's bell a short while ago; without Redis the ringing has done the work."""
    try:
        return bool(client().exists(f"heard:{name}"))
    except redis.RedisError:
        return True


class Sweeper:
    """Looks for due work on behalf of one worker; `queues` are those that the worker serves.

    `is_busy` says whether the worker has a task in hand: then the next one waits behind it, and all is well.
    """

    def __init__(
        self,
        queues: frozenset[str],
        send_bell: Callable[[str], None],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queues = queues
        self._send_bell = send_bell
        self._is_busy = is_busy
        self._due_since: dict[str, float] = {}
        self._unheard: set[str] = set()
        self._alone: set[str] = set()  # worked on here without Redis; nobody has heard their bell since
        self._asked_at: dict[str, float] = {}
        self._rung_at: dict[str, float] = {}
        self._held_back: set[str] = set()
        self._bells: Any = None
        self._asked_bells_at = 0.0
        self._answers = True

    def run(self, stopping: Flag) -> None:
        """Sweep until the worker stops."""
        while not stopping.is_set():
            try:
                for name in self._listen() | self._held_back:
                    self._pass_on(JOBS[name])
                self._look()
                collect_now_and_then()
            except DatabaseAway:
                log.warning("sweeper.database_away")
                time.sleep(TICK)
            except Exception:  # the thread is the last line of defence: it says what happened and goes on
                log.exception("sweeper.failed")
                time.sleep(TICK)

    def _listen(self) -> set[str]:
        """Names of the bells that rang within a tick; returns at the first, with those that came along."""
        try:
            if self._bells is None:
                self._bells = subscriber().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                self._bells.subscribe(CHANNEL)
                self._asked_bells_at, self._answers = time.monotonic(), True
            heard: set[str] = set()
            wait = self._seconds_until_due()
            while (message := self._bells.get_message(timeout=wait)) is not None:
                heard.add(message["data"].decode())
                wait = 0.0
            self._ask_whether_bells_ring(has_heard=bool(heard))
            return heard & JOBS.keys()
        except redis.RedisError as error:
            log.debug("sweeper.redis_away", error=type(error).__name__)
            self._bells = None
            time.sleep(TICK)
            return set()

    def _ask_whether_bells_ring(self, *, has_heard: bool) -> None:
        """Ask now and then, and give the connection up when no word comes: one that is half-open never errs."""
        silent = time.monotonic() - self._asked_bells_at
        self._answers = self._answers or has_heard
        if not self._answers and silent > SILENCE_SECONDS:
            raise redis.TimeoutError("no bell can be heard")
        if self._answers and silent > PING_SECONDS:
            self._asked_bells_at, self._answers = time.monotonic(), False
            self._bells.ping()

    def _seconds_until_due(self) -> float:
        """How long to listen: until the first bell that is held back may ring, a tick at most."""
        now = time.monotonic()
        waits = (self._rung_at[name] + JOBS[name].pause - now for name in self._held_back)
        return max(min(waits, default=TICK), 0.001)

    def _pass_on(self, job: Job) -> None:
        """Ring a bell that was heard, or hold it back for the rest of the job's pause."""
        now = time.monotonic()
        if now - self._rung_at.get(job.name, 0.0) < job.pause:
            self._held_back.add(job.name)
            return
        self._held_back.discard(job.name)
        self._rung_at[job.name] = now
        self._ring(job)

    def _look(self) -> None:
        """Ask the database what is due, each job at its own pace."""
        now = time.monotonic()
        for job in JOBS.values():
            if job.queue in self._queues and now - self._asked_at.get(job.name, 0.0) >= job.look_every:
                self._asked_at[job.name] = now
                self._look_for(job)

    def _look_for(self, job: Job) -> None:
        """Ring for a job if it is due; one that breaks keeps those after it from nothing."""
        try:
            with system_session() as session:
                due = job.is_due(session)
            if due and job.is_of_here:
                counted(job)
            elif due:
                if self._ring(job):
                    self._see_to(job)
            else:
                self._due_since.pop(job.name, None)
        except DatabaseAway:
            raise
        except Exception:
            log.exception("sweeper.job_failed", job=job.name)

    def _see_to(self, job: Job) -> None:
        """Work on a job ourselves when it stays due and nobody takes its bells; other bells wait meanwhile.

        A Redis that is back is heard again up to half a minute later, as workers connect anew ever more seldom: until
        then we go on at once.
        """
        now = time.monotonic()
        is_early = now - self._due_since.setdefault(job.name, now) < UNHEARD_SECONDS
        is_patient = job.name not in self._alone and (is_early or self._is_busy())
        if is_patient or _was_heard(job.name):
            self._unheard.discard(job.name)
            if not is_patient:
                self._alone.discard(job.name)
            return
        if job.name not in self._unheard:
            log.warning("sweeper.nobody_takes_tasks", job=job.name)
            self._unheard.add(job.name)
        counted(job)

    def _ring(self, job: Job) -> bool:
        """Put a job's bell down, and say that it was; when that is not possible, do the work."""
        if job.queue not in self._queues:
            return True  # a worker of that queue hears the same bell
        try:
            if client().set(f"bell:{job.name}", 1, nx=True, px=WAITING_MS):
                self._send_bell(job.name)
        except Exception as error:  # noqa: BLE001 - kombu raises errors of several libraries when the broker is away
            log.debug("sweeper.working_directly", job=job.name, error=type(error).__name__)
            self._alone.add(job.name)
            counted(job)
            return False
        return True
