"""What falls due when: a timer wheel that holds millions of appointments on one timer.

A task per phone would cost a kilobyte and a heap operation each; here an appointment is one list entry in a
slot of ten milliseconds, and only new slots enter the heap.
"""

import asyncio
import heapq
import time
from collections.abc import Callable

SLOTS_PER_SECOND = 100
MOST_AT_ONCE = 20_000  # appointments handed over before the loop breathes


class Agenda[T]:
    """Hands items to `due` in lists, at their wall-clock time or a slot later."""

    __slots__ = ("_due", "_handle", "_heap", "_next", "_slots", "size")

    def __init__(self, due: Callable[[list[T]], None]) -> None:
        self._due = due
        self._slots: dict[int, list[T]] = {}
        self._heap: list[int] = []
        self._handle: asyncio.TimerHandle | None = None
        self._next = 0
        self.size = 0

    def add(self, at: float, item: T) -> None:
        """Notes an item for a wall-clock time in seconds; the past means now."""
        slot = int(at * SLOTS_PER_SECOND) + 1
        items = self._slots.get(slot)
        self.size += 1
        if items is not None:
            items.append(item)
            return
        self._slots[slot] = [item]
        heapq.heappush(self._heap, slot)
        if self._handle is None or slot < self._next:
            self._set_timer()

    def clear(self) -> None:
        """Forgets all appointments."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._slots.clear()
        self._heap.clear()
        self.size = 0

    def _set_timer(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._next = self._heap[0]
        wait = self._next / SLOTS_PER_SECOND - time.time()
        self._handle = asyncio.get_running_loop().call_later(max(wait, 0.0), self._ring)

    def _ring(self) -> None:
        self._handle = None
        now = int(time.time() * SLOTS_PER_SECOND)
        ready: list[T] = []
        while self._heap and self._heap[0] <= now and len(ready) < MOST_AT_ONCE:
            ready += self._slots.pop(heapq.heappop(self._heap))
        self.size -= len(ready)
        if self._heap:
            self._set_timer()
        if ready:
            self._due(ready)
