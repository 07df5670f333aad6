"""CPU and memory of a running product, by part: what its processes used between two readings."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from tests.walks.stack import Stack

PARTS = (
    ("postgres", "PostgreSQL"),
    ("valkey", "Valkey"),
    ("-Q send", "worker-send"),
    ("-Q events", "worker-events"),
    ("-Q audiences", "worker-audiences"),
    ("-Q jobs", "worker-jobs"),
    ("engine.api", "api"),
    ("console.main", "console"),
    ("engine.simulator", "simulator"),
    ("beat", "beat"),
)
PEERS = "peers"  # the peers' database, whose backends are not the product's


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds (user and system) and resident bytes by part, since the processes began."""

    cpu: Mapping[str, float]
    memory: Mapping[str, int]


def read(stack: Stack, besides: Iterable[psutil.Process] = ()) -> Reading:
    """A reading of all processes of a product, those of PostgreSQL included, and of those that have ended under them.

    `besides`: processes that belong to it and were not started by its supervisor.
    """
    cpu: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    assert stack.process is not None
    for process in [*psutil.Process(stack.process.pid).children(recursive=True), *besides]:
        try:
            command = " ".join(process.cmdline())
            times, used = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            continue
        part = next((name for words, name in PARTS if words in command), "other")
        if part == "PostgreSQL":
            part = database_part(command)
        cpu[part] += times.user + times.system + times.children_user + times.children_system
        memory[part] += used
    return Reading(cpu, memory)


def database_part(command: str) -> str:
    """Whose a process of PostgreSQL is, by its title: the peers' backends apart, all else the server's."""
    return "PostgreSQL for peers" if f" {PEERS} 127.0.0.1(" in command else "PostgreSQL"


def of_product(used: Mapping[str, float]) -> float:
    """CPU seconds of everything that is ours: not the simulator, which plays the provider, nor what serves the peers."""
    return sum(value for part, value in used.items() if part not in ("simulator", "PostgreSQL for peers"))


def of_peer(servers: "Stack", roots: Iterable[psutil.Process]) -> dict[str, float]:
    """CPU seconds of a peer since its start: its own processes, Valkey, and PostgreSQL but for the product's backends."""
    assert servers.process is not None
    used: Counter[str] = Counter()
    for process in psutil.Process(servers.process.pid).children(recursive=True):
        try:
            command, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        if "valkey" in command:
            used["Valkey"] += times.user + times.system
        elif "postgres" in command and " masteria 127.0.0.1(" not in command:
            # What has ended under the server counts as well: it cleans up in processes of their own.
            used["PostgreSQL"] += times.user + times.system + times.children_user + times.children_system
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            times = process.cpu_times()
            used["Node"] += times.user + times.system
    return dict(used)


def spent(before: Reading, after: Reading) -> dict[str, float]:
    """CPU seconds by part between two readings."""
    return {part: round(used - before.cpu.get(part, 0.0), 3) for part, used in after.cpu.items()}
