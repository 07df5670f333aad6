"""The API's own process, with the command that users start, on the tests' database: its socket, memory and log."""

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psutil

from engine.cli.programs import doors
from engine.core.settings import settings
from engine.embedded.server import free_port
from tests.walks.stack import eventually

MEBIBYTE = 1024 * 1024


@dataclass
class DoorProcess:
    """A running API process."""

    port: int
    process: psutil.Process
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """What it holds, in bytes."""
        return int(self.process.memory_info().rss)

    def sockets(self) -> int:
        """Connections that people have to it."""
        connections = self.process.net_connections(kind="tcp")
        return sum(
            one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self.port for one in connections
        )

    def connections(self) -> int:
        """Connections that it has to servers of ours."""
        return sum(one.laddr.port != self.port for one in self.process.net_connections(kind="tcp"))

    def health_seconds(self, times: int) -> list[float]:
        """How long each of so many looks at its health takes, each on a connection of its own."""
        took = []
        for _ in range(times):
            began = time.monotonic()
            answer = httpx.get(f"{self.url}/healthz", timeout=10, trust_env=False)
            assert answer.status_code == 200
            took.append(time.monotonic() - began)
        return sorted(took)

    def raw(self, head: str, pieces: Iterator[bytes], *, seconds: float = 10.0) -> tuple[int, int]:
        """The status of a request written by hand, and how many bytes of its body were sent until it was answered."""
        return _talk(self.port, head, pieces, seconds)


def _talk(port: int, head: str, pieces: Iterator[bytes], seconds: float) -> tuple[int, int]:
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(head.encode())
        # A plain socket: what was answered before the line was closed under our words can still be read.
        sent = 0
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                left = memoryview(piece)
                while left and not _is_answered(connection, seconds):
                    left = left[(size := connection.send(left)) :]
                    sent += size
                if left:
                    break
        line = connection.makefile("rb").readline()
    return int(line.split()[1]), sent


def _is_answered(connection: socket.socket, seconds: float) -> bool:
    """True once there is something to read; waits until there is, or until something more can be written."""
    readable, writable, _ = select.select([connection], [connection], [], seconds)
    assert readable or writable, "neither an answer nor room for more"
    return bool(readable)


@contextmanager
def door_process(**environment: str) -> Iterator[DoorProcess]:
    """An API process for the length of a block; `environment` is added to that of the tests."""
    port = free_port()
    given = settings().model_copy(update={"api_port": port})
    [command] = [door.command for door in doors(given) if door.name == "api"]
    child = subprocess.Popen(
        command,
        env=os.environ | {"MASTERIA_API_PORT": str(port)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    door = DoorProcess(port, psutil.Process(child.pid))
    reading = threading.Thread(target=_keep, args=(child, door.log), daemon=True)
    reading.start()
    try:
        eventually(lambda: _listens(port) or child.poll() is not None, why="".join(door.log))
        assert child.poll() is None, "".join(door.log)
        yield door
    finally:
        child.terminate()
        child.wait(15)
        reading.join(5)


def _keep(child: subprocess.Popen[str], log: list[str]) -> None:
    assert child.stdout is not None
    log.extend(child.stdout)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
