"""F35, the soak: hours at an even pace, faults in the first third, and how the memory of each process grows in the last.

    make soak                                  # two hours at 20 a second
    make soak ARGS="--minutes 30 --seed 7"

At the end the invariants are asked. Memory is what a process has for itself alone (USS), looked at every few seconds
once all have been warm for a while after the last fault; its slope is that of the straight line that fits best. A process
that was started later is not judged.
"""

import argparse
import random
import statistics
import sys
import threading
import time
from collections import defaultdict

import psutil

from benchmarks.meter import PARTS
from tests.faults.blasts import planned_blast
from tests.faults.deeds import DEEDS
from tests.faults.invariants import IN_FLIGHT
from tests.walks.stack import Stack, running_apart

RATE = 20
CATCHES_UP = 500
FAULTS = ("F1 senders killed", "F5 PostgreSQL stopped at once", "F7 Valkey emptied")
BETWEEN = (60.0, 180.0)  # seconds from one fault to the next
WARM_UP = 600.0
LOOK_EVERY = 5.0
GOAL = 1.0  # MB an hour


class Memory(threading.Thread):
    """Looks at the memory of every process of a product until it is told to stop."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._ended = threading.Event()
        self._began = time.monotonic()
        self.seen: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)

    def run(self) -> None:
        """Look."""
        assert self._stack.process is not None
        while not self._ended.wait(LOOK_EVERY):
            hours = (time.monotonic() - self._began) / 3600
            for process in psutil.Process(self._stack.process.pid).children(recursive=True):
                try:
                    command, used = " ".join(process.cmdline()), process.memory_full_info().uss
                except psutil.Error:
                    continue
                part = next((name for words, name in PARTS if words in command), "other")
                if part not in ("PostgreSQL", "simulator"):  # what the server caches is as it should be
                    self.seen[part, process.pid].append((hours, used / 1e6))

    def slopes(self) -> list[tuple[str, int, float, float]]:
        """Part, process, MB at the end and MB an hour, of those that were there from the first look to the last."""
        self._ended.set()
        self.join()
        longest = max(len(looks) for looks in self.seen.values())
        found = []
        for (part, pid), looks in sorted(self.seen.items()):
            if len(looks) >= longest - 2:
                line = statistics.linear_regression([at for at, _ in looks], [used for _, used in looks])
                found.append((part, pid, looks[-1][1], line.slope))
        return found


def soak(stack: Stack, minutes: float, seed: int) -> list[str]:
    """The whole of it; answers the invariants that do not hold."""
    chance = random.Random(seed)
    api = stack.company()
    blast = planned_blast(stack, api, int(RATE * 60 * minutes), rate=RATE)
    blast.behave("faulty", seed=seed)
    blast.start()
    began = time.monotonic()
    calm, end = began + minutes * 20, began + minutes * 60
    kills = 0
    while time.monotonic() < calm:
        time.sleep(chance.uniform(*BETWEEN) * min(minutes / 60, 1))
        deed = DEEDS[chance.choice(FAULTS)]
        kills += deed.kills_senders
        print(f"{(time.monotonic() - began) / 60:6.1f} min {deed.name}", flush=True)
        deed.do(stack)
    time.sleep(min(WARM_UP, minutes * 15))
    memory = Memory(stack)
    memory.start()
    time.sleep(max(end - time.monotonic(), LOOK_EVERY * 3))
    grows = []
    for part, pid, used, slope in memory.slopes():
        print(f"{part:18} {pid:7} {used:7.1f} MB {slope:+7.2f} MB/h", flush=True)
        if slope > GOAL:
            grows.append(f"memory: {part} ({pid}) grows by {slope:.2f} MB an hour")
    blast.behave()  # a provider that brakes now and then keeps a number slow, however fast it may be
    blast.set_rate(CATCHES_UP)  # what the faults cost
    blast.wait_for_calm()
    assert blast.accepted(), "nothing was sent at all"
    return blast.broken(unknown=kills * IN_FLIGHT) + grows


def main() -> int:
    """Soak; 1 when an invariant broke or memory grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with running_apart() as stack:
        broken = soak(stack, given.minutes, given.seed)
    print("\n".join(broken) if broken else "every invariant holds, and no memory grows", flush=True)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
