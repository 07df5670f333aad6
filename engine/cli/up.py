"""`masteria up`: everything on one machine, from nothing to an address that answers, and down again in order."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx
import psutil
import typer

from engine.cli.database import migrate
from engine.cli.programs import Group, Program, doors, of_server, work
from engine.cli.supervisor import ProcessState, Supervisor, start_supervisor, sweep
from engine.core.settings import (
    COUNTS_VARIABLE,
    DATABASE_VARIABLES,
    REDIS_VARIABLE,
    Environment,
    Settings,
    settings,
)
from engine.embedded import (
    Server,
    bootstrap_embedded,
    port_is_free,
    postgres_data,
    prepare_postgres,
    prepare_valkey,
    remember_urls,
    wait_for_postgres,
    wait_for_valkey,
)
from engine.seed import seed_demo

DEMO_EMAIL = "owner@demo.example"
READY_SECONDS = 180.0  # far beyond the usual, for a machine that is busy with other things
WATCH_SECONDS = 1.0
RETRY_SECONDS = 10.0


class UpError(Exception):
    """`masteria up` cannot go on; the text is a sentence for the operator."""


class Stop(Exception):  # noqa: N818 (a wish, not an error)
    """Ctrl-C or SIGTERM: end in good order."""


@dataclass(slots=True)
class Watch:
    """What was last said of each process, so that it is said once."""

    pids: dict[str, int] = field(default_factory=dict)
    given_up_at: dict[str, float] = field(default_factory=dict)


def run_up() -> None:
    """Start everything, say where it answers, and stay until asked to stop."""
    given = settings()
    with only_one(given), _stop_on_signals():
        swept = sweep(given.home)
        if swept:
            typer.echo(f"An earlier run was killed; what it had left was ended ({len(swept)}).")
        _refuse_half_restored(given)
        ours = [*doors(given), *work(given)]
        _refuse_taken_ports(ours)
        _empty_counts(ours)
        embedded = _prepare_servers(given)
        programs = [*map(of_server, embedded.values()), *ours]
        supervisor = start_supervisor(given.home, programs, _environment(given))
        try:
            _start(given, supervisor, embedded, programs)
            _stay(given, supervisor)
        except Stop:
            typer.echo("\nStopping: no new call starts, those in flight may take ten seconds.")
        finally:
            _ignore_signals()
            _bring_down(given, supervisor)
        typer.echo("Stopped. The data is kept.")


def _start(
    given: Settings, supervisor: Supervisor, embedded: Mapping[Group, Server], programs: Sequence[Program]
) -> None:
    started = time.monotonic()
    typer.echo(f"Master IA is starting (data in {given.home}).")
    _start_servers(given, supervisor, embedded)
    migrate()
    supervisor.start(Group.DOORS)
    _wait_until_ready(supervisor, [program for program in programs if program.group is Group.DOORS])
    supervisor.start(Group.WORK)
    # Through the doors, while the workers load their code.
    if given.environment is Environment.DEVELOPMENT and seed_demo():
        typer.echo("  the demo company is in place")
    _wait_until_ready(supervisor, programs)
    typer.echo(_welcome(given, time.monotonic() - started))


def _prepare_servers(given: Settings) -> dict[Group, Server]:
    """The embedded servers to run: those whose address the operator has not given."""
    embedded: dict[Group, Server] = {}
    if not any(os.environ.get(name) for name in DATABASE_VARIABLES):
        embedded[Group.POSTGRES] = prepare_postgres(given.home)
    if not os.environ.get(REDIS_VARIABLE):
        embedded[Group.VALKEY] = prepare_valkey(given.home)
    return embedded


def _start_servers(given: Settings, supervisor: Supervisor, embedded: Mapping[Group, Server]) -> None:
    for group in embedded:
        supervisor.start(group)
    postgres, valkey = embedded.get(Group.POSTGRES), embedded.get(Group.VALKEY)
    if postgres is not None:
        wait_for_postgres(postgres, supervisor.is_alive)
        remember_urls(given.home, database=bootstrap_embedded(given.home, postgres), redis_url=None)
    if valkey is not None:
        wait_for_valkey(valkey, supervisor.is_alive)
        remember_urls(given.home, database=None, redis_url=valkey.url)
    settings.cache_clear()  # from here on the settings hold the servers' addresses


def _environment(given: Settings) -> dict[str, str]:
    """What every process inherits besides our own environment."""
    return {"MASTERIA_HOME": str(given.home), "PYTHONUNBUFFERED": "1"}


def _refuse_half_restored(given: Settings) -> None:
    """Who puts a backup back and forgets the rest would send again what that backup does not know of."""
    if not any(os.environ.get(name) for name in DATABASE_VARIABLES) and is_being_restored(given.home):
        raise UpError(
            "This database is being restored from a backup, and would send again what it has forgotten: run masteria "
            "restore to its end first (docs/operations.md)."
        )


def _refuse_taken_ports(listening: Sequence[Program]) -> None:
    shared = shared_ports(listening)
    if shared:
        raise UpError("\n".join(shared))
    taken = [
        program for program in listening if program.port and not port_is_free(program.port, program.host)
    ]
    if taken:
        raise UpError(
            "\n".join(
                f"Port {program.port} is taken by another program, or is not this machine's to give, and the "
                f"{program.name} needs it: name a free one with {program.setting}."
                for program in taken
            )
        )


def _empty_counts(programs: Sequence[Program]) -> None:
    """Folders for what processes count, without what those of an earlier run counted."""
    for program in programs:
        if COUNTS_VARIABLE in program.environment:
            folder = Path(program.environment[COUNTS_VARIABLE])
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for old in folder.iterdir():
                    old.unlink()
            except OSError as error:
                raise UpError(f"{folder} can't be emptied: {error.strerror}. Remove it.") from error


def shared_ports(listening: Sequence[Program]) -> list[str]:
    """A sentence for each port that two of our own programs would listen at."""
    return [
        f"The {other.name} and the {program.name} can't both have port {program.port}: "
        f"name another with {other.setting} or {program.setting}."
        for place, program in enumerate(listening)
        for other in listening[:place]
        if program.port is not None and program.port == other.port
    ]


def _wait_until_ready(supervisor: Supervisor, programs: Sequence[Program]) -> None:
    """Return once every program has shown that it works; raises UpError for those that do not come up."""
    client = httpx.Client(
        timeout=2.0, trust_env=False
    )  # one for all: each new one reads the certificates anew
    deadline = time.monotonic() + READY_SECONDS
    waiting = {program.name: program for program in programs}
    seen: dict[str, set[int]] = {}
    while waiting:
        states = {state.name: state for state in supervisor.states()}
        for state in states.values():
            if state.pid:
                seen.setdefault(state.name, set()).add(state.pid)
        broken = [
            name for name, state in states.items() if state.state == "FATAL" or len(seen.get(name, ())) > 3
        ]
        if broken or time.monotonic() > deadline:
            raise UpError("\n".join(_why(supervisor.home, name) for name in broken or waiting))
        waiting = {name: each for name, each in waiting.items() if not _works(each, states[name], client)}
        time.sleep(0.2)
    client.close()


def _works(program: Program, state: ProcessState, client: httpx.Client) -> bool:
    if state.state != "RUNNING" or not _is_healthy(program, client):
        return False
    try:
        return len(psutil.Process(state.pid).children()) >= program.children
    except psutil.NoSuchProcess:
        return False


def _is_healthy(program: Program, client: httpx.Client) -> bool:
    if program.health_url is None:
        return True
    try:
        return client.get(program.health_url).is_success
    except httpx.HTTPError:
        return False


def _why(home: Path, name: str) -> str:
    log = home / "logs" / f"{name}.log"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    last = f" Its last word: {lines[-1].strip()}" if lines else ""
    return f"The process {name} does not come up; see {log}.{last}"


def _welcome(given: Settings, seconds: float) -> str:
    lines = [
        f"Master IA is ready ({seconds:.0f} s).",
        "",
        f"  Console     http://127.0.0.1:{given.console_port}",
        f"  API         {given.api_url}/openapi.json",
        f"  Simulator   {given.simulator_url}",
    ]
    if not given.is_production:
        lines += ["", f"  Sign in     {DEMO_EMAIL}", f"  Password    {given.demo_password}"]
    return "\n".join(
        [*lines, "", f"Logs are in {given.home / 'logs'}. Ctrl-C stops everything and keeps the data."]
    )


def _stay(given: Settings, supervisor: Supervisor) -> None:
    """Watch until a signal comes: say what was restarted, and try again what the supervisor gave up."""
    watch = Watch()
    while True:
        time.sleep(WATCH_SECONDS)
        if not supervisor.is_alive():
            raise UpError(
                "The supervisor was killed, so everything was stopped; the data is kept. Start again."
            )
        for state in supervisor.states():
            before = watch.pids.get(state.name)
            if state.state == "RUNNING":
                if before not in (None, state.pid):
                    typer.echo(f"{state.name} had ended and was restarted.")
                watch.pids[state.name] = state.pid
                watch.given_up_at.pop(state.name, None)
            elif state.state == "FATAL":
                if state.name not in watch.given_up_at:
                    typer.echo(_why(given.home, state.name))
                    watch.given_up_at[state.name] = time.monotonic()
                elif time.monotonic() - watch.given_up_at[state.name] > RETRY_SECONDS:
                    watch.given_up_at[state.name] = time.monotonic()
                    supervisor.start_one(state)


def _bring_down(given: Settings, supervisor: Supervisor) -> None:
    if supervisor.is_alive():
        supervisor.shut_down()
    else:
        sweep(given.home)
        _prepare_servers(given)  # ends an embedded server that outlived its supervisor


def restore_mark(home: Path) -> Path:
    """The file that stands from the first moment of a restore to its last."""
    return home / "run" / "restore.begun"


def is_being_restored(home: Path) -> bool:
    """Whether a backup was put here that has not been replayed, or not been made safe to its end."""
    return restore_mark(home).exists() or (postgres_data(home) / "recovery.signal").exists()


@contextmanager
def only_one(given: Settings) -> Iterator[None]:
    """Hold this home for as long as we live: the kernel lets go of it even when we are killed."""
    path = given.home / "run" / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpError(_already_running(path)) from None
        lock.truncate(0)
        ports = {program.name: program.port for program in (*doors(given), *work(given)) if program.port}
        console = f"http://127.0.0.1:{given.console_port}"
        lock.write(json.dumps({"pid": os.getpid(), "console": console, "ports": ports}))
        lock.flush()
        yield


def _already_running(path: Path) -> str:
    try:
        other = json.loads(path.read_text())
    except json.JSONDecodeError:
        return "Master IA is already starting."
    return (
        f"Master IA is already running (process {other['pid']}): {other['console']}. Ctrl-C there stops it."
    )


def ports_in_use(home: Path) -> Mapping[str, int]:
    """Where the programs of the `masteria up` that holds this home listen, by name; another shell's settings may differ."""
    try:
        told = json.loads((home / "run" / "up.lock").read_text()) if is_running(home) else {}
    except json.JSONDecodeError:  # it has only just begun
        return {}
    ports: Mapping[str, int] = told.get("ports", {})
    return ports


def is_running(home: Path) -> bool:
    """Whether a `masteria up` holds this home."""
    path = home / "run" / "up.lock"
    if not path.exists():
        return False
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise Stop

    before = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    except Stop:
        typer.echo("Stopped.")
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
