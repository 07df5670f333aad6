"""`masteria up` as people use it: a real start in an empty home, real processes, real signals."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from engine.cli.supervisor import SUPERVISED, sweep
from engine.core.settings import project_root
from engine.embedded.server import free_port

UP = (sys.executable, "-m", "engine.cli", "up")
READY = "Master IA is ready"


@dataclass(slots=True)
class Place:
    """A home of its own, with ports of its own."""

    home: Path
    ports: dict[str, int]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MASTERIA_")}
        ports = {f"MASTERIA_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return kept | ports | {"MASTERIA_HOME": str(self.home)}

    def start(self) -> subprocess.Popen[str]:
        """Start and wait for the word that it is ready."""
        run = subprocess.Popen(
            UP,
            env=self.environment(),
            cwd=project_root(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        assert run.stdout is not None
        for line in run.stdout:
            said.append(line)
            if line.startswith(READY):
                return run
        raise AssertionError(f"it ended instead: {''.join(said)}")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "engine.cli", *words),
            env=self.environment(),
            cwd=project_root(),
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """Every process that serves this home."""
        found = []
        for process in psutil.process_iter():
            try:
                serves = process.environ().get(SUPERVISED) == str(self.home)
                found += [process] if serves or str(self.home) in " ".join(process.cmdline()) else []
            except psutil.Error:
                continue  # another user's, or gone meanwhile
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="masteria-up-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve()
        home.chmod(0o711)
        yield Place(home, {name: free_port() for name in ("api", "console", "simulator")})
        sweep(home)


def test_a_taken_port_is_named_with_its_setting(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.ports["api"]))
        other.listen()

        refused = place.run("up")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"Port {place.ports['api']} is taken" in refused.stderr
    assert "MASTERIA_API_PORT" in refused.stderr
    assert place.processes() == []


def test_two_programs_at_one_port_are_named_with_their_settings(place: Place) -> None:
    shared = Place(place.home, place.ports | {"console": place.ports["api"]})

    refused = shared.run("up")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"port {place.ports['api']}" in refused.stderr
    assert "MASTERIA_API_PORT or MASTERIA_CONSOLE_PORT" in refused.stderr
    assert place.processes() == []


@pytest.mark.timeout(400)
def test_it_starts_answers_survives_a_kill_and_leaves_nothing(place: Place) -> None:
    first = place.start()
    health = httpx.get(f"http://127.0.0.1:{place.ports['api']}/readyz", timeout=10)
    made = place.run("company", "create", "Padaria do Teste")
    again = place.run("up")
    first.kill()  # not even its own signal handlers run
    first.wait()

    second = place.start()
    kept = place.run("company", "list")
    second.send_signal(signal.SIGTERM)
    said = second.communicate(timeout=60)[0]

    assert health.status_code == 200
    assert made.returncode == 0, made.stderr
    assert (again.returncode, "already running" in again.stderr) == (1, True)
    assert "Padaria do Teste" in kept.stdout
    assert (second.returncode, "The data is kept" in said) == (0, True)
    assert place.processes() == []
