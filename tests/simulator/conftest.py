"""A real simulator process, and a real receiver for its webhooks."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulator.harness import PATIENCE, Account, Receiver, Running, serve, start


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook endpoint of this test."""
    server = serve(lambda: made)
    made = Receiver(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One simulator for all tests that need nothing of its own process; each test opens its own account."""
    running = start(tmp_path_factory.mktemp("simulator") / "state.db", "quick")
    yield running
    running.process.terminate()
    assert running.process.wait(PATIENCE) in (0, -signal.SIGTERM)


@pytest.fixture
def account(simulator: Running) -> Account:
    """A business of this test."""
    return simulator.account()


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts simulators that a test may kill; a second start on the same state file goes on where it was."""
    started: list[Running] = []

    def begin(scenario: str = "quick", *, after: Running | None = None) -> Running:
        state = after.state if after else tmp_path / "state.db"
        started.append(start(state, scenario, after.port if after else 0))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.kill()
