"""The short class of chaos: a fixed seed and one of this run's own. The long one is `make chaos`."""

import random

import httpx
import pytest

from tests.faults.chaos import Chaos, drawn
from tests.walks.stack import Stack

FIXED = 20261126
PEOPLE = 1_500
FAULTS = 5


@pytest.mark.timeout(420)
@pytest.mark.parametrize("seed", [FIXED, random.randrange(10**6)], ids=["fixed", "random"])
def test_nothing_is_sent_twice_and_nothing_is_lost(stack: Stack, api: httpx.Client, seed: int) -> None:
    chaos = Chaos(stack, api, seed, PEOPLE, drawn(seed, FAULTS))

    broken = chaos.run()

    assert not broken, chaos.said("\n".join(broken))
