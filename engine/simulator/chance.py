"""Chance that repeats: the same seed and key always fall the same way."""

import struct
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b

_THROW = struct.Struct("<16I")
_SCALE = 1.0 / 2**32


class Die(IntEnum):
    """Which of a message's sixteen independent figures decides what."""

    REFUSAL = 0
    OUTCOME = 1
    FAILURE = 2
    ARRIVES = 3
    SENT_AFTER = 4
    DELIVERED_AFTER = 5
    READS = 6
    READ_AFTER = 7
    REPLIES = 8
    REPLY_AFTER = 9
    OPTS_OUT = 10
    WORDS = 11
    SHUFFLED = 12
    ORDER = 13
    LATE = 14
    ANSWER_AFTER = 15


def throw(seed: int, key: str) -> tuple[float, ...]:
    """Sixteen figures in [0, 1), fixed by seed and key."""
    digest = blake2b(key.encode(), digest_size=64, key=seed.to_bytes(8, "big")).digest()
    return tuple(number * _SCALE for number in _THROW.unpack(digest))


def between(span: tuple[float, float], figure: float) -> float:
    """The point of a span that a figure in [0, 1) names."""
    return span[0] + (span[1] - span[0]) * figure


def pick[T](items: Sequence[T], figure: float) -> T:
    """The item that a figure in [0, 1) names."""
    return items[int(figure * len(items))]


def pick_weighted(shares: Sequence[tuple[int, float]], figure: float) -> int | None:
    """The first code whose share of [0, 1) holds the figure, or None when it falls behind them all."""
    reached = 0.0
    for code, share in shares:
        reached += share
        if figure < reached:
            return code
    return None
