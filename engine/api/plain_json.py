"""What no field of any request may hold, refused in one place and by the field's name.

PostgreSQL stores neither NUL nor half a surrogate pair, and JSON of others takes neither NaN nor numbers that are not
the same in every program (RFC 8259, section 6).
"""

import math
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from engine.core.errors import FieldProblem, Invalid
from engine.core.i18n import N_
from engine.core.wording import is_storable

MOST = 2**53 - 1
DEEPEST = 32
OFF_THE_LOOP = 64 * 1024  # bytes; a longer body would hold up the others while it is looked through

SIGNS = ("not_text", N_("This has signs that are not text."))
LARGE = ("out_of_range", N_("This number is too large."))
NO_NUMBER = ("not_a_number", N_("Send a number here."))
DEEP = ("too_deep", N_("There are too many levels in this. Send it with fewer."))


class PlainRoute(APIRoute):
    """A route whose JSON, query and path hold only what can be stored."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route as a function, which looks through a request first."""
        answer_to = super().get_route_handler()

        async def look_and_answer(request: Request) -> Response:
            await look_through(request)
            return await answer_to(request)

        return look_and_answer


async def look_through(request: Request) -> None:
    """Invalid, with each field that holds what can't be stored."""
    problems = [
        FieldProblem(name, *SIGNS)
        for name, value in (*request.query_params.multi_items(), *request.path_params.items())
        if not is_storable(f"{name}{value}")
    ]
    if not problems and "json" in request.headers.get("content-type", ""):
        problems = await _of_body(request)
    if problems:
        raise Invalid(fields=problems)


async def _of_body(request: Request) -> list[FieldProblem]:
    body = await request.body()
    try:
        value = await request.json() if body else None
    except RecursionError:
        return [FieldProblem("body", *DEEP)]
    except ValueError:
        return []  # it is no JSON: the framework tells so
    if len(body) > OFF_THE_LOOP:
        return await run_in_threadpool(problems_of, value)
    return problems_of(value)


def problems_of(value: Any) -> list[FieldProblem]:
    """Each field of some JSON that holds what can't be stored."""
    return [FieldProblem(path or "body", code, text) for path, code, text in _walk(value, "", 0)]


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict | list):
        if depth == DEEPEST:
            yield (path, *DEEP)
            return
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str) and not is_storable(key):
                yield (path, *SIGNS)
            else:
                yield from _walk(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, str) and not is_storable(value):
        yield (path, *SIGNS)
    elif isinstance(value, int) and abs(value) > MOST:
        yield (path, *LARGE)
    elif isinstance(value, float) and not math.isfinite(value):
        yield (path, *NO_NUMBER)
