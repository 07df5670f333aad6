"""What a worker's processes have counted, told to Prometheus by the first of them, at an address of its own.

Each process that a worker forks counts for itself. prometheus_client keeps such counts in files and adds them up when it
is asked (its multiprocess mode): in the folder that PROMETHEUS_MULTIPROC_DIR names as the worker starts.
"""

import os
import socket
import time
from threading import Thread

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from engine.core.log import logger
from engine.core.settings import COUNTS_VARIABLE, SettingsError
from engine.scheduler.shutdown import SharedFlag

AGAIN_SECONDS = 5.0

_doors: list[socket.socket] = []

log = logger(__name__)


def tell_counts(address: tuple[str, int], stopping: SharedFlag) -> None:
    """Answer Prometheus at an address until the process ends; SettingsError where counts are not put together."""
    if not os.environ.get(COUNTS_VARIABLE):
        raise SettingsError(
            f"MASTERIA_METRICS_LISTEN asks for {COUNTS_VARIABLE} as well: an empty folder of the worker's own, in which "
            "its processes put their counts together."
        )
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    Thread(target=_listen, args=(address, registry, stopping), name="metrics", daemon=True).start()


def forget_door() -> None:
    """For a child that was forked from a process that listens: with it the address would stay taken."""
    while _doors:
        _doors.pop().close()


def _listen(address: tuple[str, int], registry: CollectorRegistry, stopping: SharedFlag) -> None:
    """Take the address, again and again while a worker that is just ending has it: it works without one, too."""
    host, port = address
    while not stopping.is_set():
        try:
            server, _ = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            log.warning(
                "metrics.not_told", address=f"{host}:{port}", error=f"{type(error).__name__}: {error}"
            )
        else:
            _doors.append(server.socket)
            return
        time.sleep(AGAIN_SECONDS)
