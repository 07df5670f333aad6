"""Keyset pages: `{items, next}`, where next is an opaque cursor or None."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from engine.core.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page of a list, and where the next one begins."""

    items: Sequence[T]
    next: str | None


def clamp(limit: int | None) -> int:
    """A page size between 1 and 200; 50 when none was asked for."""
    return min(max(limit if limit is not None else DEFAULT_LIMIT, 1), MAX_LIMIT)


def encode_cursor(values: Sequence[Any]) -> str:
    """An opaque cursor from the sort values of the last row shown."""
    return base64.urlsafe_b64encode(orjson.dumps([*values], default=str)).decode().rstrip("=")


def decode_cursor(cursor: str | None, size: int) -> list[Any] | None:
    """The sort values in a cursor of `size` values; Invalid when it was not made by us."""
    if cursor is None:
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _unknown_cursor() from error
    # No text of ours holds a zero character, and PostgreSQL would not take it.
    if (
        not isinstance(values, list)
        or len(values) != size
        or any("\0" in v for v in values if isinstance(v, str))
    ):
        raise _unknown_cursor()
    return values


def decode_key(cursor: str | None, kinds: Sequence[type]) -> list[Any] | None:
    """The sort values in a cursor, each of its kind (str, UUID or datetime); Invalid when it was not made by us."""
    values = decode_cursor(cursor, len(kinds))
    if values is None:
        return None
    try:
        return [_READERS[kind](value) for kind, value in zip(kinds, values, strict=True)]
    except (AttributeError, TypeError, ValueError) as error:
        raise _unknown_cursor() from error


def decode_id(cursor: str | None) -> UUID | None:
    """The id in a cursor of one id; Invalid when it was not made by us."""
    values = decode_key(cursor, (UUID,))
    return values[0] if values is not None else None


def page_of[T](rows: Sequence[T], limit: int, key: Callable[[T], Sequence[Any]]) -> Page[T]:
    """A page from `limit + 1` rows: the extra row only tells that there is more."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(shown, encode_cursor(key(shown[-1])) if more and shown else None)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError
    return instant


_READERS: Mapping[type, Callable[[Any], Any]] = {str: _text, UUID: UUID, datetime: _instant}


def _unknown_cursor() -> Invalid:
    return Invalid.field(
        "after", "unknown_cursor", "This page marker is not one of ours. Start from the first page."
    )
