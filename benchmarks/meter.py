"""CPU and memory of a running product, by part: what its processes used between two readings."""

from collections import Counter
from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds (user and system) and resident bytes by part, since the processes began."""

    cpu: Mapping[str, float]
    memory: Mapping[str, int]


def read(stack: Stack) -> Reading:
    """A reading of all processes of a product, those of PostgreSQL included, and of those that have ended under them."""
    cpu: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    assert stack.process is not None
    for process in psutil.Process(stack.process.pid).children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            times, used = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            continue
        part = next((name for words, name in PARTS if words in command), "other")
        cpu[part] += times.user + times.system + times.children_user + times.children_system
        memory[part] += used
    return Reading(cpu, memory)


def spent(before: Reading, after: Reading) -> dict[str, float]:
    """CPU seconds by part between two readings."""
    return {part: round(used - before.cpu.get(part, 0.0), 3) for part, used in after.cpu.items()}
