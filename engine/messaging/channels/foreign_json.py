"""Careful reading of JSON that others wrote: each answer is of the type it says, or None."""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from engine.core.wording import UNSTORABLE

NOTHING: Mapping[str, Any] = {}


def load(body: bytes) -> object:
    """The JSON of a body, fit for the database; ValueError or RecursionError when there is none."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        # orjson refuses a whole body for one half of a surrogate pair; Python's reader does not.
        return _scrubbed(json.loads(body, parse_constant=lambda _: None))
    return _scrubbed(payload) if b"\\u0000" in body else payload


def word(value: object) -> str | None:
    """A text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def part(value: object) -> Mapping[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else NOTHING


def number(value: object) -> int | None:
    """A whole number, also where it comes as text; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return None


def needed(item: Mapping[str, Any], key: str) -> str:
    """The text under a key; KeyError or TypeError when there is none."""
    found = item[key]
    if not isinstance(found, str) or not found:
        raise TypeError(key)
    return found


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_scrubbed(item) for item in value]
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(item) for key, item in value.items()}
    return value
