"""What runs: every process of the product, its command, its place in the order, and how its health is asked."""

import sys
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from itertools import starmap
from pathlib import Path
from signal import Signals

from engine.core.settings import COUNTS_VARIABLE, Settings
from engine.embedded import Server

LOOPBACK = "127.0.0.1"
WORK_STOP_SECONDS = 9  # for calls in flight; all is down within fifteen, on a busy machine too
WORK_STEADY_SECONDS = 4  # nobody can ask these by HTTP; what is wrong in their code shows by then


class Group(StrEnum):
    """Programs that start and stop together; stopped from the last to the first."""

    POSTGRES = "postgres"
    VALKEY = "valkey"
    DOORS = "doors"
    WORK = "work"


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: str
    group: Group
    command: tuple[str, ...]
    stop_seconds: int  # after which it is killed
    stop_signal: Signals = Signals.SIGTERM
    steady_seconds: int = 1  # up for so long, it counts as started
    children: int = 0  # how many processes it has forked once its code is loaded
    health_url: str | None = None
    user: str | None = None
    directory: Path | None = None
    setting: str | None = None  # the setting that moves its port
    port: int | None = None
    host: str = LOOPBACK
    environment: dict[str, str] = field(default_factory=dict)


def of_server(server: Server) -> Program:
    """An embedded server as a program; ten seconds are plenty for its last checkpoint."""
    return Program(
        name=server.name,
        group=Group(server.name),
        command=server.command,
        directory=server.directory,
        user=server.user,
        stop_signal=server.stop_signal,
        stop_seconds=10,
    )


def doors(given: Settings) -> tuple[Program, ...]:
    """The processes that listen: API, console and simulator. Open streams get two seconds to end."""

    def door(name: str, app: str, port: int, setting: str, health: str, *more: str) -> Program:
        return Program(
            name=name,
            group=Group.DOORS,
            command=_python(
                *("uvicorn", app, "--host", LOOPBACK, "--port", str(port), "--no-access-log"),
                *("--no-server-header", "--timeout-graceful-shutdown", "1", "--log-level", "warning"),
                *more,
            ),
            stop_seconds=2,
            health_url=f"http://{LOOPBACK}:{port}{health}",
            setting=setting,
            port=port,
        )

    trust = ("--forwarded-allow-ips", given.trusted_proxies)
    # Strangers come to this one: whoever says a letter a minute is not waited for.
    care = ("--http", "engine.api.wire:PatientProtocol")
    # As a provider's front does: lines are kept open longer than a busy client forgets them.
    patience = ("--timeout-keep-alive", "75")
    return (
        door("api", "engine.api.app:app", given.api_port, "MASTERIA_API_PORT", "/readyz", *trust, *care),
        door("console", "console.main:app", given.console_port, "MASTERIA_CONSOLE_PORT", "/readyz", *trust),
        door(
            "simulator",
            "engine.simulator.app:app",
            given.simulator_port,
            "MASTERIA_SIMULATOR_PORT",
            "/healthz",
            *patience,
        ),
    )


def work(given: Settings) -> tuple[Program, ...]:
    """The processes that work by themselves; a call in flight gets its time to end."""

    def worker(queue: str, processes: int, pool: str = "prefork") -> Program:
        return Program(
            name=f"worker-{queue}",
            group=Group.WORK,
            command=_python(
                *("celery", "-A", "engine.scheduler.app", "worker", "-Q", queue, "-n", f"{queue}@%h"),
                *("--pool", pool, "--concurrency", str(processes), "--loglevel", given.log_level),
                *("--without-gossip", "--without-mingle"),
            ),
            stop_seconds=WORK_STOP_SECONDS,
            steady_seconds=WORK_STEADY_SECONDS,
            children=processes if pool == "prefork" else 0,
        )

    schedule = given.home / "run" / "beat-schedule"
    beat = Program(
        name="beat",
        group=Group.WORK,
        command=_python(
            *("celery", "-A", "engine.scheduler.app", "beat", "--loglevel", given.log_level),
            *("--schedule", str(schedule), "--pidfile="),
        ),
        stop_seconds=3,
        steady_seconds=WORK_STEADY_SECONDS,
    )
    workers = (
        worker("send", 2),
        worker("events", 2),
        # PostgreSQL does the work here; a thread of the worker's own process saves a child's memory.
        worker("audiences", 1, pool="threads"),
        worker("jobs", 1),
    )
    return (*starmap(partial(_telling_counts, given), enumerate(workers)), beat)


def _telling_counts(given: Settings, place: int, worker: Program) -> Program:
    """A worker that tells its counts, where the settings say so: the first at the port there, the others after it."""
    if given.metrics_address is None:
        return worker
    host, first = given.metrics_address
    port = first + place
    listen = f"{given.metrics_listen.rpartition(':')[0]}:{port}"
    folder = given.home / "run" / "counts" / worker.name
    return replace(
        worker, host=host, port=port, setting="MASTERIA_METRICS_LISTEN",
        environment={"MASTERIA_METRICS_LISTEN": listen, COUNTS_VARIABLE: str(folder)},
    )  # fmt: skip


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)
