"""What a provider's error leads to for the message: its state, and when it is tried again."""

from collections import Counter
from collections.abc import Sequence

from engine.core.errors import Ambiguous, Misconfigured, NotTaken, ProviderError, Refused, Throttled
from engine.core.metrics import SENDS
from engine.messaging.models import MessageState
from engine.messaging.settlement import Verdict

MAX_TRIES = 8
LONGEST_WAIT = 1800.0


def consequence(error: ProviderError, tries: int, attempt: int) -> tuple[MessageState, float]:
    """The state that an error leads to, and the seconds until the next try; this try and this mark are counted."""
    if isinstance(error, Ambiguous):
        return MessageState.UNKNOWN, 0.0
    if isinstance(error, Refused):
        return MessageState.FAILED, 0.0
    if isinstance(error, Misconfigured):
        return MessageState.QUEUED, 0.0
    if isinstance(error, Throttled):
        # The provider's brake is no failure of the message, so it does not use its tries up.
        wait = error.retry_after or (4.0 ** min(attempt, 5) if error.scope == "message" else 1.0)
        return MessageState.QUEUED, wait
    if isinstance(error, NotTaken) and tries < MAX_TRIES:
        return MessageState.QUEUED, error.retry_after or min(4.0 ** (tries - 1), LONGEST_WAIT)
    return MessageState.FAILED, 0.0


def count_sends(kind: str, verdicts: Sequence[Verdict]) -> None:
    """Count outcomes in the metrics, a batch at a time."""
    for state, n in Counter(verdict.state for verdict in verdicts).items():
        SENDS.labels(channel_kind=kind, verdict=state).inc(n)
