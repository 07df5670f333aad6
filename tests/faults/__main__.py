"""The long class of chaos: many people, many faults, several seeds; one line for each run.

make chaos
make chaos ARGS="--seeds 17 --people 20000 --faults 40"
"""

import argparse
import random
import sys

from tests.faults.chaos import Chaos, drawn, tally
from tests.walks.stack import running_apart


def run(seed: int, people: int, faults: int) -> bool:
    """One seed on a product of its own; True when every invariant holds."""
    with running_apart() as stack:
        chaos = Chaos(
            stack, stack.company(), seed, people, drawn(seed, faults, long=True), pauses=faults // 5
        )
        broken = chaos.run()
    print(f"seed {seed}: {dict(tally(chaos.deeds))}", flush=True)
    print(chaos.said("\n".join(broken)) if broken else f"seed {seed}: every invariant holds", flush=True)
    return not broken


def main() -> int:
    """Run the seeds; 1 when an invariant broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, random.randrange(10**6)])
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=24)
    given = parser.parse_args()
    results = [
        run(seed, given.people, given.faults) for seed in given.seeds
    ]  # all of them, whatever one finds
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
