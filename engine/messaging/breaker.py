"""A circuit breaker for one channel in one process: a provider that fails is left alone, then tried with little.

Every call to a provider that has fallen over may leave a message `unknown`, so few are risked. After too many failures
nothing is sent for a while; then the provider is asked a question that sends nothing; when it answers, a few messages
go, and only when they are taken does all go on.
"""

import time
from collections import deque
from enum import Enum, auto

from engine.core.errors import Ambiguous, NotTaken, ProviderError, Throttled

RECENT = 20  # outcomes looked at
TOO_MANY = 15  # of which so many were failures: it opens
FIRST_REST = 2.0  # seconds; each trial that fails doubles the rest, for it costs messages
LONGEST_REST = 60.0
# A question costs none. It is asked again after this part of the time that the provider has been away: soon at first,
# and the longer it lasts the less it is disturbed.
ASKED_AGAIN_AFTER = 1 / 40
ON_TRIAL = 4  # messages that go before all the others


class Phase(Enum):
    """Where a breaker stands."""

    CLOSED = auto()  # all goes
    OPEN = auto()  # nothing goes until `until`
    ASKING = auto()  # a question is under way
    TRYING = auto()  # a few go


class Breaker:
    """Counts how calls end and says how many may begin."""

    def __init__(self) -> None:
        self.phase = Phase.CLOSED
        self.until = 0.0  # on the monotonic clock
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._away_since = 0.0
        self._rest = FIRST_REST
        self._tried = self._taken = 0

    @property
    def is_closed(self) -> bool:
        """True while all goes."""
        return self.phase is Phase.CLOSED

    @property
    def stands_still(self) -> bool:
        """True while nothing may begin."""
        return self.phase in (Phase.OPEN, Phase.ASKING)

    @property
    def wants_to_ask(self) -> bool:
        """True when its rest is over and nobody has asked yet."""
        return self.phase is Phase.OPEN and time.monotonic() >= self.until

    def allows(self, wanted: int) -> int:
        """How many of `wanted` calls may begin; they count as begun, until `unused` gives them back."""
        if self.phase is Phase.CLOSED:
            return wanted
        if self.stands_still:
            return 0
        granted = max(min(wanted, ON_TRIAL - self._tried), 0)
        self._tried += granted
        return granted

    def unused(self, calls: int) -> None:
        """Give back calls that were not begun."""
        if self.phase is Phase.TRYING:
            self._tried = max(self._tried - calls, 0)

    def ask(self) -> None:
        """The question is under way."""
        self.phase = Phase.ASKING

    def answered(self, *, well: bool) -> None:
        """The question has an answer."""
        if self.phase is Phase.ASKING:
            if well:
                self.phase, self._tried, self._taken = Phase.TRYING, 0, 0
            else:
                away = time.monotonic() - self._away_since
                self._open(min(max(away * ASKED_AGAIN_AFTER, FIRST_REST), LONGEST_REST))

    def goes_well(self) -> bool:
        """Count a call that was taken while all goes, as nearly all are; False when it needs a closer look."""
        if self.phase is not Phase.CLOSED:
            return False
        self._recent.append(False)
        return True

    def note(self, error: ProviderError | None) -> bool:
        """Count how a call ended (None: it was taken); True when nothing more may begin because of it."""
        failed = is_failure(error)
        if self.phase is Phase.CLOSED:
            self._recent.append(failed)
            if failed and sum(self._recent) >= TOO_MANY:
                self._away_since = time.monotonic()
                self._rest = FIRST_REST
                self._open_for_longer_each_time()
                return True
        elif self.phase is Phase.TRYING:
            if failed:
                self._open_for_longer_each_time()
                return True
            self._taken += 1
            if self._taken >= ON_TRIAL:
                self.phase = Phase.CLOSED
                self._recent.clear()
        return False

    def _open_for_longer_each_time(self) -> None:
        self._open(self._rest)
        self._rest = min(self._rest * 2, LONGEST_REST)

    def _open(self, rest: float) -> None:
        self.phase = Phase.OPEN
        self.until = time.monotonic() + rest


def is_failure(error: ProviderError | None) -> bool:
    """Whether an outcome speaks against the provider itself: it was not there, or nobody knows what it did."""
    return isinstance(error, (Ambiguous, NotTaken)) and not isinstance(error, Throttled)
