"""One product for the walks of a module: started as its users start it, stopped by Ctrl-C at the end."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.walks.stack import Stack, free_ports_in_a_row, running

WORKERS = 4  # each tells its counts at a port of its own


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """An empty product (no demo company)."""
    home = Path(tempfile.mkdtemp(prefix="masteria-walk-"))
    home.chmod(0o711)
    first = free_ports_in_a_row(WORKERS)
    with running(Stack(home, settings={"MASTERIA_METRICS_LISTEN": f"127.0.0.1:{first}"})) as product:
        yield product
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def api(stack: Stack) -> httpx.Client:
    """The API, as the owner of a new company."""
    return stack.company()
