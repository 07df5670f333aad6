"""Meta's two real send limits: messages per second of a number, and messages to one person.

Both are kept as GCRA: one float per key, the time at which the next send is due in theory.
"""

PAIR_INTERVAL = 6.0  # one message per six seconds to one user (Meta, throughput page, 2026)
PAIR_BURST = 45  # sends that may be borrowed from the future
NUMBER_BURST_SECONDS = 1.0
FORGET_ABOVE = 200_000  # keys held before those that are free again are dropped


class Gate:
    """Lets one send through per interval and key, and a burst ahead of it."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def passes(self, key: str, *, now: float, interval: float, burst: float) -> bool:
        """Takes one place if there is one."""
        due = max(self._due.get(key, now), now)
        if due - now > (burst - 1) * interval + 1e-9:
            return False
        if len(self._due) > FORGET_ABOVE:
            self._due = {name: at for name, at in self._due.items() if at > now}
        self._due[key] = due + interval
        return True

    def clear(self) -> None:
        """Forgets all that was sent."""
        self._due.clear()
