"""Identifiers: time-ordered UUIDv7, and a name for each kind of id so that they cannot be mixed up."""

import os
import struct
import threading
import time
from datetime import datetime
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)
UserId = NewType("UserId", UUID)
ContactId = NewType("ContactId", UUID)
ChannelId = NewType("ChannelId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
TemplateId = NewType("TemplateId", UUID)
CampaignId = NewType("CampaignId", UUID)
GateId = NewType("GateId", UUID)
ImportId = NewType("ImportId", UUID)

_lock = threading.Lock()
_stamps = [0]  # the last stamp given
_NOISE_AT_ONCE = (
    512  # numbers of the system's randomness that are fetched together: each fetch is a system call
)
_noise: list[int] = []


def _release_in_child() -> None:
    _noise.clear()  # or parent and child would give the same ids
    _lock.release()


# A child that is forked while another thread makes an id must not inherit the held lock.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_release_in_child)

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62


def uuid7() -> UUID:
    """A UUIDv7 (RFC 9562, method 3: sub-millisecond clock in rand_a), strictly increasing within a process.

    PostgreSQL compares UUIDs bytewise, so ids sort by the moment they were made and a month is a range of ids.
    """
    with _lock:
        # 60 bits: milliseconds (48) and 1/4096 ms (12).
        stamp = (time.time_ns() << 12) // 1_000_000
        stamp = max(stamp, _stamps[0] + 1)
        _stamps[0] = stamp
        if not _noise:
            _noise.extend(struct.unpack(f"{_NOISE_AT_ONCE}Q", os.urandom(8 * _NOISE_AT_ONCE)))
        random_bits = _noise.pop() >> 2
    milliseconds, fraction = stamp >> 12, stamp & 0xFFF
    return UUID(int=(milliseconds << 80) | _VERSION | (fraction << 64) | _VARIANT | random_bits)


def uuid7_floor(unix_milliseconds: int) -> UUID:
    """The smallest UUIDv7 of an instant: the bound of a partition, or of a search by time."""
    return UUID(int=(unix_milliseconds << 80) | _VERSION | _VARIANT)


def uuid7_at(instant: datetime) -> UUID:
    """A UUIDv7 of another instant than now, for history that is written after it happened."""
    milliseconds = int(instant.timestamp() * 1000)
    noise = int.from_bytes(os.urandom(10))
    return UUID(int=(milliseconds << 80) | _VERSION | ((noise & 0xFFF) << 64) | _VARIANT | (noise >> 18))
