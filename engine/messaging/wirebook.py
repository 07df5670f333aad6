"""What this process has on the wire, in a file that outlives it: so that a crash leaves unknown only what is unknown.

A message is marked (committed as `dispatching`) some time before its call leaves. When the process is killed in
between, the database alone can't tell a message that was never called from one that was. The wire book can: before a
call begins it is written here, and its answer beside it until that is settled. Writing is a store into shared memory
backed by a file, which the kernel keeps when the process dies, and which costs no system call.

A book is believed only on the boot it was written in: after a crash of the machine itself its pages may be lost.
"""

import contextlib
import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from engine.core.settings import settings

FOLDER = "wire"
SLOTS = 4096
SLOT_BYTES = 256
_HEAD = struct.Struct("<16sIH")  # message id, attempt (0: the slot is free), length of the answer
_ATTEMPT, _ATTEMPT_AT = struct.Struct("<I"), 16
_LENGTH, _LENGTH_AT = struct.Struct("<H"), 20
_ROOM = SLOT_BYTES - _HEAD.size
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that was begun: of which message, which attempt, and its answer where one came."""

    message_id: str
    attempt: int
    answer: Mapping[str, Any] | None


class WireBook:
    """The book of this process. Locked for as long as the process lives; the lock dies with it."""

    def __init__(self) -> None:
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"{_boot()}.{os.getpid()}.{secrets.token_hex(4)}"
        self._path = folder / self.name
        # Under another name until it is locked: nobody must take it for a book of the dead.
        draft = folder / f".{self.name}"
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._file, SLOTS * SLOT_BYTES)
        draft.rename(self._path)
        self._pages = mmap.mmap(self._file, SLOTS * SLOT_BYTES)
        self._free = list(range(SLOTS))

    @property
    def room(self) -> int:
        """How many more calls can be written down."""
        return len(self._free)

    def begin(self, message_id: str, attempt: int) -> int:
        """Write a call down, before it leaves; answers its slot."""
        slot = self._free.pop()
        _HEAD.pack_into(
            self._pages, slot * SLOT_BYTES, bytes.fromhex(message_id.replace("-", "")), attempt, 0
        )
        return slot

    def answer(self, slot: int, answer: Mapping[str, Any]) -> None:
        """Write the answer beside its call, until it is settled; one that is too long is left out."""
        said = orjson.dumps(answer)
        if len(said) > _ROOM:
            return
        at = slot * SLOT_BYTES
        self._pages[at + _HEAD.size : at + _HEAD.size + len(said)] = said
        _LENGTH.pack_into(self._pages, at + _LENGTH_AT, len(said))

    def forget(self, slot: int) -> None:
        """The call is settled in the database, or never left."""
        _ATTEMPT.pack_into(self._pages, slot * SLOT_BYTES + _ATTEMPT_AT, 0)
        self._free.append(slot)

    def close(self) -> None:
        """Close the book; one with nothing in it goes."""
        if len(self._free) == SLOTS:
            self._path.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go of it as it is: also in a child that was forked from the process whose it is, and would hold its lock."""
        self._pages.close()
        os.close(self._file)


def read_book(name: str) -> list[Begun] | None:
    """The calls that a process had begun and not settled; None when nobody here can say."""
    if not name.startswith(f"{_boot()}.") or "/" in name:
        return None
    try:
        pages = (_folder() / name).read_bytes()
    except FileNotFoundError:
        return None
    if not pages or len(pages) % SLOT_BYTES:
        return None
    begun = []
    for at in range(0, len(pages), SLOT_BYTES):
        raw_id, attempt, length = _HEAD.unpack_from(pages, at)
        if attempt:
            said = pages[at + _HEAD.size : at + _HEAD.size + length]
            begun.append(Begun(str(UUID(bytes=raw_id)), attempt, orjson.loads(said) if said else None))
    return begun


def books_of_the_dead() -> list[str]:
    """Names of the books whose process is gone."""
    folder = _folder()
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if not path.name.startswith(".") and _is_orphan(path)]


def died_here() -> list[str]:
    """Names of the books whose process is gone for certain: it was one of this boot, and its lock died with it."""
    return [name for name in books_of_the_dead() if name.startswith(f"{_boot()}.")]


def burn(name: str) -> None:
    """Delete a book that nobody has to read any more."""
    (_folder() / name).unlink(missing_ok=True)


def _is_orphan(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True
    return False


def _folder() -> Path:
    return settings().home / "run" / FOLDER


def _boot() -> str:
    """This boot of this machine; of a system that does not tell, every process is a boot of its own."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return f"process-{os.getpid()}"
