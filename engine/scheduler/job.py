"""A job: work that is due, looked up in the database; and the bell that hurries it along."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.core.errors import DatabaseAway
from engine.core.log import logger
from engine.core.metrics import JOBS

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Work by name. `is_due` is a cheap question on a system session; `work` does some and says if more is left.

    `look_every` is how often the sweeper asks without a bell, and `pause` the least time between two bells that it passes
    on, in seconds: work that comes in a stream is then done in fewer, larger batches. `is_of_here` is work that nobody
    on another machine can do: the sweeper that finds it does it, and rings for nobody.
    """

    name: str
    queue: str
    is_due: Callable[[Session], bool]
    work: Callable[[], bool]
    look_every: float = 1.0
    seconds_at_most: int = 60
    pause: float = 0.0
    is_of_here: bool = False


def counted(job: Job) -> bool:
    """Do some of a job, whoever does it, and count how that ended; True when more is left."""
    try:
        more = job.work()
    except Exception:
        JOBS.labels(name=job.name, result="failed").inc()
        raise
    JOBS.labels(name=job.name, result="done").inc()
    return more


def each[Due](job: str, due: Iterable[Due], deed: Callable[[Due], object]) -> bool:
    """Do it for each, so that one that breaks keeps no other waiting; True when some deed said that more is left.

    The rows stay due, so what broke is tried again. Without a database there is nothing to go on with.
    """
    more = False
    for one in due:
        try:
            more = bool(deed(one)) or more
        except DatabaseAway:
            raise
        except Exception:
            JOBS.labels(name=job, result="failed").inc()
            log.exception("job.one_failed", job=job, of=str(one))
    return more
