"""What both embedded servers share: how one is run, found again after a crash, and given a port."""

import ctypes
import importlib.util
import json
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from engine.core.settings import DATABASE_VARIABLES, REDIS_VARIABLE, read_env_file, write_env_file

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
PORTS = range(20_000, 32_000)
PASSWORDS_FILE = "servers.env"
PASSWORD_OWNERS = ("superuser", "owner", "app", "system", "valkey")
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class EmbeddedServerError(Exception):
    """An embedded server cannot run here; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Server:
    """How to run one server: the command, the user it runs as (None: ours), how it is asked to stop."""

    name: str
    command: tuple[str, ...]
    directory: Path
    port: int
    url: str = field(repr=False)
    user: str | None
    stop_signal: signal.Signals


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is our child."""

    server: Server
    child: subprocess.Popen[bytes]

    def stop(self, *, seconds: float = 10.0) -> None:
        """Ask it to end in good order; kill it when it has not within `seconds`."""
        if self.child.poll() is None:
            self.child.send_signal(self.server.stop_signal)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def spawn(server: Server, log: Path) -> subprocess.Popen[bytes]:
    """Start a server whose life is bound to ours (on Linux the kernel ends it when we are killed)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            server.command,
            cwd=server.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=server.user,
            group=group_of(server.user),
            extra_groups=None if server.user is None else [],
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(server.stop_signal),  # noqa: PLW1509 (before any thread)
        )


def die_with_parent(with_signal: signal.Signals) -> None:
    """Ask the kernel to signal this process when its parent ends; does nothing but on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(with_signal))


def stop_leftover(data: Path, pid_file: Path, *, with_signal: signal.Signals, seconds: float = 15.0) -> bool:
    """End a server that an earlier run left behind on the same data; True when there was one."""
    process = _find_leftover(data, pid_file)
    if process is None:
        return False
    process.send_signal(with_signal)
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(seconds)
    return True


def _find_leftover(data: Path, pid_file: Path) -> psutil.Process | None:
    """The running server on this data directory, told by its pid file and its working directory."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        ours = Path(process.cwd()) == data.resolve()
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None  # no file, a torn file, or the number now belongs to someone else's process


def wait_until(answers: Callable[[], bool], is_alive: Callable[[], bool], name: str) -> None:
    """Return once `answers`; raises EmbeddedServerError when the server ended or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if not is_alive():
            raise EmbeddedServerError(
                f"The embedded {name} ended while starting: see {name}.log in the logs folder."
            )
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The embedded {name} did not answer within {START_SECONDS:.0f} seconds."
            )
        time.sleep(0.05)


def kept_passwords(home: Path) -> Mapping[str, str]:
    """The passwords of the embedded servers, drawn once and kept in `{home}/servers.env` (mode 0600)."""
    path = home / PASSWORDS_FILE
    kept = read_env_file(path)
    missing = {who: secrets.token_urlsafe(18) for who in PASSWORD_OWNERS if not kept.get(who)}
    if missing:
        write_env_file(path, kept | missing)
    return kept | missing


def wheel_folder(package: str, *within: str) -> Path:
    """A folder inside an installed wheel, found without importing it (the import has side effects)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            f"The package {package} is not installed: install requirements/runtime.lock, or set "
            f"{', '.join(DATABASE_VARIABLES)} and {REDIS_VARIABLE} to use servers."
        )
    return Path(spec.origin).parent.joinpath(*within)


def remembered_port(home: Path, name: str) -> int:
    """The port this server had last time, or a free one when it is new or someone else took it."""
    path = home / "run" / "ports.json"
    ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    if name not in ports or not port_is_free(ports[name]):
        ports[name] = free_port()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(ports))
    return ports[name]


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on this port of a host's address now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):  # OverflowError: there is no such port
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on, out of those that no system gives to outgoing connections.

    One of those might be taken again before its server is there.
    """
    for _ in range(100):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        if port_is_free(port):
            return port
    raise EmbeddedServerError(f"No port between {PORTS.start} and {PORTS.stop} is free.")


def group_of(user: str | None) -> int | None:
    """The main group of a user, None for ourselves."""
    return None if user is None else pwd.getpwnam(user).pw_gid
