"""One supervisor (supervisord) over all processes: its configuration, its life, and what it knows of them."""

import os
import pwd
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from signal import SIGTERM
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from engine.cli.programs import Group, Program
from engine.embedded import die_with_parent

SUPERVISED = "MASTERIA_SUPERVISED"  # in the environment of every process of ours: the home it serves
LONGEST_SOCKET_PATH = 100  # the system's limit is 104 to 108 bytes, by platform
POLL_SECONDS = 0.1
UNLIMITED_RETRIES = 1_000_000  # supervisord waits a second longer after each

STOPPED_STATES = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})


class SupervisorError(Exception):
    """The supervisor did not do what it was asked; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the supervisor knows of one process."""

    name: str
    group: Group
    state: str
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A running supervisord of one home, asked over its Unix socket."""

    home: Path
    child: subprocess.Popen[bytes]

    def is_alive(self) -> bool:
        """Whether supervisord itself runs."""
        return self.child.poll() is None

    def start(self, group: Group) -> None:
        """Start every program of a group; does not wait for them to be healthy."""
        _call(self.home).supervisor.startProcessGroup(group.value, False)

    def start_one(self, state: ProcessState) -> None:
        """Start a program that the supervisor had given up."""
        try:
            _call(self.home).supervisor.startProcess(f"{state.group}:{state.name}", False)
        except Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise

    def states(self) -> list[ProcessState]:
        """The state of every program."""
        return [_read_state(item) for item in cast(list[dict[str, Any]], _ask_states(self.home))]

    def stop(self, group: Group, *, seconds: float) -> None:
        """Ask a group to end and wait until it has; supervisord kills what takes too long."""
        _call(self.home).supervisor.stopProcessGroup(group.value, False)
        deadline = time.monotonic() + seconds
        while any(state.group == group and state.state not in STOPPED_STATES for state in self.states()):
            if time.monotonic() > deadline:
                raise SupervisorError(
                    f"The processes of the group {group} did not end in {seconds:.0f} seconds."
                )
            time.sleep(POLL_SECONDS)

    def shut_down(self) -> None:
        """Stop the groups from the last to the first, then supervisord itself."""
        present = {state.group for state in self.states()}
        for group in reversed(Group):
            if group in present:
                self.stop(group, seconds=15)
        self.child.kill()  # it has no children left and nothing to write: asking would only take longer
        self.child.wait()


def start_supervisor(home: Path, programs: Sequence[Program], environment: Mapping[str, str]) -> Supervisor:
    """Run supervisord over these programs, none started yet; it ends when we are killed."""
    run = home / "run"
    logs = home / "logs"
    for folder in (run, logs):
        folder.mkdir(parents=True, exist_ok=True)
    conf = run / "supervisord.conf"
    conf.write_text(supervisor_conf(home, programs))
    socket = socket_path(home)
    socket.unlink(missing_ok=True)
    with (logs / "supervisor.stderr.log").open("wb") as output:
        child = subprocess.Popen(
            (sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(conf)),
            env={**os.environ, **environment, SUPERVISED: str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,  # Ctrl-C in a terminal reaches us alone: the order of stopping is ours
            preexec_fn=lambda: die_with_parent(SIGTERM),  # noqa: PLW1509 (before any thread)
        )
    deadline = time.monotonic() + 10
    while not _answers(home):
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            raise SupervisorError(f"The supervisor did not start: see {logs / 'supervisor.log'}.")
        time.sleep(0.02)
    return Supervisor(home, child)


def supervisor_conf(home: Path, programs: Sequence[Program]) -> str:
    """The configuration of supervisord; secrets travel in its environment, not here."""
    logs = home / "logs"
    as_root = "user = root" if os.geteuid() == 0 else ""
    head = f"""
        [unix_http_server]
        file = {_plain(socket_path(home))}
        chmod = 0700

        [rpcinterface:supervisor]
        supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

        [supervisord]
        {as_root}
        logfile = {_plain(logs / "supervisor.log")}
        logfile_maxbytes = 5MB
        logfile_backups = 2
        pidfile = {_plain(home / "run" / "supervisord.pid")}
        silent = true
        nocleanup = true
    """
    sections = [head, *(_program_section(logs, program) for program in programs)]
    for place, group in enumerate(Group, start=1):
        names = [program.name for program in programs if program.group is group]
        if names:
            sections.append(f"[group:{group}]\nprograms = {','.join(names)}\npriority = {place * 10}\n")
    lines = (line.strip() for section in sections for line in section.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _program_section(logs: Path, program: Program) -> str:
    as_user = f"user = {program.user}" if program.user else ""
    told = ",".join(f'{name}="{_plain(value)}"' for name, value in program.environment.items())
    return f"""
        [program:{program.name}]
        command = {_plain(shlex.join(program.command))}
        directory = {_plain(program.directory or Path.cwd())}
        {as_user}
        {f"environment = {told}" if told else ""}
        autostart = false
        autorestart = true
        startsecs = {program.steady_seconds}
        startretries = {UNLIMITED_RETRIES if program.group in (Group.POSTGRES, Group.VALKEY) else 3}
        stopsignal = {program.stop_signal.name.removeprefix("SIG")}
        stopwaitsecs = {program.stop_seconds}
        killasgroup = true
        redirect_stderr = true
        stdout_logfile = {_plain(logs / f"{program.name}.log")}
        stdout_logfile_maxbytes = 10MB
        stdout_logfile_backups = 3
    """


def _plain(text: str | Path) -> str:
    """Text as supervisord reads it back unchanged: it expands `%(…)s`."""
    return str(text).replace("%", "%%")


def socket_path(home: Path) -> Path:
    """Where supervisord listens: in home, or in the temporary folder when that path would be too long."""
    path = home / "run" / "supervisor.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    mark = sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"masteria-{mark}.sock"


def sweep(home: Path, *, seconds: float = 20.0) -> list[str]:
    """End every process of ours that an earlier, killed run left behind; answers with what they were.

    A supervisor that is still ending in good order is given its time: killing it would orphan its children.
    """
    left = [process for process in _own_processes() if _serves(process, home)]
    supervisors = [process for process in left if _is_supervisor(process)]
    names = [_describe(process) for process in left]
    _end(supervisors, seconds)
    _end([process for process in left if process not in supervisors], seconds)
    return names


def _end(processes: Iterable[psutil.Process], seconds: float) -> None:
    asked = list(processes)
    for process in asked:
        _signal(process, kill=False)
    _, slow = psutil.wait_procs(asked, timeout=seconds)
    for process in slow:
        _signal(process, kill=True)
    psutil.wait_procs(slow, timeout=5)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return  # it ended meanwhile, which is what we want


def _own_processes() -> list[psutil.Process]:
    me = pwd.getpwuid(os.geteuid()).pw_name
    return [item for item in psutil.process_iter(["username"]) if item.info["username"] == me]


def _serves(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(SUPERVISED) == str(home) and process.pid != os.getpid()
    except psutil.Error:
        return False


def _is_supervisor(process: psutil.Process) -> bool:
    return "supervisor.supervisord" in _command(process)


def _describe(process: psutil.Process) -> str:
    return f"{' '.join(_command(process)[1:4])} ({process.pid})"


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _call(home: Path) -> ServerProxy:
    transport = SupervisorTransport(None, None, f"unix://{socket_path(home)}")
    return ServerProxy("http://127.0.0.1", transport=transport)


def _answers(home: Path) -> bool:
    try:
        _call(home).supervisor.getState()
    except (OSError, HTTPException):
        return False
    return True


def _ask_states(home: Path) -> object:
    return _call(home).supervisor.getAllProcessInfo()


def _read_state(item: Mapping[str, Any]) -> ProcessState:
    return ProcessState(
        name=str(item["name"]),
        group=Group(item["group"]),
        state=str(item["statename"]),
        pid=int(item["pid"]),
        reason=str(item["spawnerr"] or item["description"]),
    )
