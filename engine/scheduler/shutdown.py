"""One flag for a worker and its children: the worker is shutting down, start nothing new."""

import ctypes
from multiprocessing.sharedctypes import RawValue


class SharedFlag:
    """A byte of shared memory. No lock, unlike multiprocessing's Event: a child killed within one would leave it held."""

    def __init__(self) -> None:
        self._value = RawValue(ctypes.c_bool, False)

    def set(self) -> None:
        """Raise it, for every process that shares it."""
        self._value.value = True

    def clear(self) -> None:
        """Lower it."""
        self._value.value = False

    def is_set(self) -> bool:
        """True once it was raised."""
        return bool(self._value.value)


# Made when the worker loads its code, before the pool forks: the children share it.
stopping = SharedFlag()
