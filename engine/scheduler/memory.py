"""Memory that stays level for as long as a process runs.

Python looks for objects that hold each other when many new ones have been made, and for those that have lived a while far
more seldom still: a process that has little to do keeps what it no longer needs for hours. So what was loaded at the
start is set aside for good, and the rest, which is little, is looked through once a minute.
"""

import gc
import time

EVERY = 60.0  # seconds; a look takes some ten milliseconds
# New objects, then rounds, between two collections: a worker makes thousands for each batch, hardly one in a cycle.
COLLECT_AT = (20_000, 10, 10)

_looked_at = 0.0


def set_aside_what_is_loaded() -> None:
    """What is there now stays: it need not be looked at again, nor its pages be copied from a parent's."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)


def collect_now_and_then() -> None:
    """Give back what nobody needs any more, once a minute at most."""
    global _looked_at  # noqa: PLW0603 (of the process, as the collector is)
    now = time.monotonic()
    if now - _looked_at >= EVERY:
        _looked_at = now
        gc.collect()
