"""The Celery application: four queues, one task that runs a job by name, and a sweeper thread in every worker.

Tasks carry a job's name and nothing else: a bell. Losing one costs a second, repeating one costs a query. Settings
and their reasons: docs/decisions (Celery is a bell).
"""

import threading
import time
from typing import Any

from celery import Celery
from celery.bootsteps import StartStopStep
from celery.signals import setup_logging, worker_process_init, worker_shutting_down
from celery.worker.state import active_requests

from engine.core import db, http, ratelimit, system
from engine.core import redis as core_redis
from engine.core.errors import DatabaseAway
from engine.core.log import configure_logging, logger
from engine.core.settings import settings
from engine.scheduler.counts import forget_door, tell_counts
from engine.scheduler.job import counted
from engine.scheduler.jobs import JOBS
from engine.scheduler.jobs.messaging import forget_dispatcher
from engine.scheduler.memory import collect_now_and_then, set_aside_what_is_loaded
from engine.scheduler.shutdown import stopping
from engine.scheduler.sweeper import Sweeper, forget_bell
from engine.scheduler.timetable import TIMETABLE

log = logger(__name__)

app = Celery("masteria", broker=settings().redis_url)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=None,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A Redis without memory refuses what a worker writes for each task: it connects again until that goes, and lives.
    broker_channel_error_retry=True,
    broker_transport_options={
        "visibility_timeout": 900,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "health_check_interval": 10,
        "socket_keepalive": True,
        "socket_connect_timeout": 2,
        # A Redis that hangs: without it the sweeper would wait for ever to put a bell down. Longer than a BRPOP (1 s).
        "socket_timeout": 5,
    },
    task_publish_retry=False,
    worker_soft_shutdown_timeout=10.0,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    beat_schedule=TIMETABLE,
    beat_schedule_filename=str(settings().home / "run" / "celerybeat-schedule"),
    timezone="UTC",
)


@app.task(name="job")  # type: ignore[untyped-decorator]
def job(name: str) -> None:
    """Run one job by name, again while it says that more is left, for its time at most."""
    work = JOBS[name]
    forget_bell(name)
    until = time.monotonic() + work.seconds_at_most
    try:
        while counted(work) and time.monotonic() < until and not stopping.is_set():
            continue
    except DatabaseAway:
        # Nobody's fault here: it is due again as soon as there is somebody to ask.
        log.warning("job.database_away", job=name)
    except Exception:
        log.exception("job.failed", job=name)
        raise
    finally:
        collect_now_and_then()


def send_bell(name: str) -> None:
    """Put a job's bell into its queue; raises when the broker is away. An old bell is of no use to anybody."""
    app.send_task("job", (name,), queue=JOBS[name].queue, expires=20, retry=False)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _our_logs(**_: Any) -> None:
    configure_logging("worker")


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _own_connections(**_: Any) -> None:
    """A forked child must not share its parent's sockets: it forgets them without closing them.

    What was loaded before the fork stays for good: the collector need not look at it, nor unshare its memory. What is
    made later goes by its own references, thousands at a time, so the collector comes less often.
    """
    forget_dispatcher()
    set_aside_what_is_loaded()
    for engine in (db.app_engine, system.system_engine):
        if engine.cache_info().currsize:
            engine().dispose(close=False)
        engine.cache_clear()
    core_redis.client.cache_clear()
    ratelimit.forget_connections()
    http.forget_connections()
    forget_door()


class Sweeping(StartStopStep):  # type: ignore[misc]
    """Starts the sweeper once the pool has forked. It waits for no broker: without one it is what works."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin to sweep."""
        set_aside_what_is_loaded()
        queues = frozenset(parent.app.amqp.queues.consume_from)
        sweeper = Sweeper(queues, send_bell, lambda: bool(active_requests))
        threading.Thread(target=sweeper.run, args=(stopping,), name="sweeper", daemon=True).start()


class Telling(StartStopStep):  # type: ignore[misc]
    """Tells Prometheus what was counted, where the settings name an address."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin to answer."""
        address = settings().metrics_address
        if address is not None:
            tell_counts(address, stopping)


app.steps["worker"].add(Sweeping)
app.steps["worker"].add(Telling)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: Any) -> None:
    stopping.set()
