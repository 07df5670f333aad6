"""One call of the Graph API: who asks, for which object, with what; and the shapes that answers share."""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from engine.simulator.errors import GraphError
from engine.simulator.runtime import Simulator
from engine.simulator.world import Token

DEFAULT_PAGE, LONGEST_PAGE = 25, 1000
_FIELD = re.compile(r"[^,(){}]+(?:\{[^}]*\}|\([^)]*\)|\.[a-z_]+\([^)]*\))*")


@dataclass(frozen=True, slots=True)
class Call:
    """`node`: the id in the path. `params`: query and body as one mapping."""

    simulator: Simulator
    request: Request
    token: Token
    node: str
    params: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A parameter as text, empty when it is not there."""
        value = self.params.get(name)
        return "" if value is None else str(value)

    def need(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.text(name)
        if not value:
            raise GraphError(
                100, f"The parameter {name} is required.", title=f"The parameter {name} is required."
            )
        return value


Answer = dict[str, Any]
Handler = Callable[[Call], Awaitable[Answer]]
SUCCESS: Answer = {"success": True}


def select(record: Mapping[str, Any], asked: str, default: Sequence[str]) -> Answer:
    """The fields asked for (or the default ones), and always the id."""
    names = [found.group().split(".")[0].split("{")[0].strip() for found in _FIELD.finditer(asked)] or list(
        default
    )
    for name in names:
        if name not in record:
            raise GraphError(100, title=f"Tried accessing nonexisting field ({name})")
    return {name: record[name] for name in dict.fromkeys([*names, "id"]) if record.get(name) is not None}


def page(call: Call, records: Sequence[tuple[str, Answer]]) -> Answer:
    """A page of (key, record), in Meta's paging shape; `next` and `previous` only where there is more."""
    try:
        limit = min(max(int(call.text("limit") or DEFAULT_PAGE), 1), LONGEST_PAGE)
    except ValueError as error:
        raise GraphError(100, "Param limit must be a number.") from error
    keys = [key for key, _ in records]
    start = 0
    if after := call.text("after"):
        start = keys.index(_read_cursor(after)) + 1 if _read_cursor(after) in keys else len(keys)
    elif before := call.text("before"):
        end = keys.index(_read_cursor(before)) if _read_cursor(before) in keys else 0
        start = max(0, end - limit)
    chosen = records[start : start + limit]
    answer: Answer = {"data": [record for _, record in chosen]}
    if chosen:
        first, last = _cursor(chosen[0][0]), _cursor(chosen[-1][0])
        answer["paging"] = {"cursors": {"before": first, "after": last}}
        if start + limit < len(records):
            answer["paging"]["next"] = _link(call, limit, after=last)
        if start > 0:
            answer["paging"]["previous"] = _link(call, limit, before=first)
    return answer


def _link(call: Call, limit: int, **cursor: str) -> str:
    kept = {
        k: v
        for k, v in call.request.query_params.items()
        if k not in ("after", "before", "limit", "access_token")
    }
    return f"{call.request.url.replace(query='')}?{urlencode(kept | {'limit': str(limit)} | cursor)}"


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except ValueError as error:
        raise GraphError(100, "Param after or before is not a cursor.") from error
