"""A job: work that is due, looked up in the database; and the bell that hurries it along."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Job:
    """Work by name. `is_due` is a cheap question on a system session; `work` does some and says if more is left.

    `look_every` is how often the sweeper asks without a bell, and `pause` the least time between two bells that it passes
    on, in seconds: work that comes in a stream is then done in fewer, larger batches.
    """

    name: str
    queue: str
    is_due: Callable[[Session], bool]
    work: Callable[[], bool]
    look_every: float = 1.0
    seconds_at_most: int = 60
    pause: float = 0.0
