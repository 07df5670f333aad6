"""Every failure of a request as problem JSON (RFC 9457), in the reader's language.

`type` is a stable name (`urn:masteria:problem:<code>`), `code` and the fields' codes are for machines, `title` and
`detail` for people. What we did not foresee is told with the request's id and nothing else, and logged once.
"""

# ruff: noqa: N818 - these are answers, named as people say them

from collections.abc import Mapping, Sequence
from errno import EDQUOT, EFBIG, ENOENT, ENOSPC, errorcode
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from engine.api.keyed import REPLAYED, Replayed
from engine.api.states import state_in_words
from engine.api.validation import field_problems
from engine.core.errors import Conflict, DatabaseAway, Invalid, MasterIAError, TooManyTries
from engine.core.i18n import DEFAULT_LOCALE, N_, choose_locale, say
from engine.core.log import logger, request_id

log = logger(__name__)

PROBLEM_TYPE = "application/problem+json"
RETRY_SECONDS = 1
NO_ROOM = (ENOSPC, EDQUOT, EFBIG)

TITLES = {
    400: N_("The request could not be read"),
    401: N_("Sign in again"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    405: N_("Not possible here"),
    408: N_("Too slow"),
    409: N_("Not possible now"),
    413: N_("Too large"),
    415: N_("This format is not read"),
    422: N_("Something does not fit"),
    429: N_("Too many tries"),
    500: N_("Something went wrong"),
    502: N_("The provider said no"),
    503: N_("Not available right now"),
}

PLAIN = {
    400: ("unreadable", N_("The request could not be read. Check its format.")),
    404: ("no_such_route", N_("There is nothing at this address.")),
    405: ("method_not_allowed", N_("This address does not take this method.")),
    408: ("timed_out", N_("The body did not come in time.")),
    413: ("too_large", N_("This is too large for this address.")),
    415: ("unsupported_format", N_("This format is not read here.")),
    500: ("internal", N_("Something went wrong on our side. Try again in a moment.")),
}

# pydantic's types of a body that is no object.
NOT_AN_OBJECT = frozenset({"model_attributes_type", "dict_type", "model_type"})

# What PostgreSQL says (SQLSTATE) of a statement, where the fault is not ours.
UNSTORABLE = Invalid(
    "unstorable",
    N_("Some of what you sent can't be stored: a number is too large or a text has signs that are not text."),
)
OVERTAKEN = Conflict()
STATES: Mapping[str, MasterIAError] = {
    "22": UNSTORABLE,  # data exception: a NUL byte, a number out of range
    "23505": OVERTAKEN,
    "23503": OVERTAKEN,
    "40001": OVERTAKEN,
    "40P01": OVERTAKEN,
    "55P03": OVERTAKEN,
}


class Busy(MasterIAError):
    """All places are taken; nothing was changed."""

    status = 503
    retryable = True
    code = "busy"
    text = "There is too much to do right now. Nothing was changed; try again in a moment."


class NoRoom(MasterIAError):
    """The disk is full; nothing of the file was kept."""

    status = 503
    retryable = True
    code = "no_room"
    text = "There is no room for this on our disk right now. Nothing was kept; try again later."


class Unforeseen(MasterIAError):
    """What we did not foresee; the log has the rest under the request's id."""

    status = 500
    code = "internal"
    text = "Something went wrong on our side. Try again in a moment."


def locale_of(request: Request) -> str:
    """The reader's language: what the request asks for, else what the caller chose, else the default."""
    asked = request.headers.get("accept-language")
    if asked:
        return choose_locale(asked)
    return getattr(request.state, "locale", None) or DEFAULT_LOCALE


def problem(error: MasterIAError, locale: str) -> Response:
    """The answer that tells of an error."""
    body: dict[str, Any] = {
        "type": f"urn:masteria:problem:{error.code}",
        "title": say(TITLES.get(error.status, TITLES[500]), locale),
        "status": error.status,
        "code": error.code,
        "detail": say(error.text, locale, _in_words(error.values, locale)),
    }
    if error.fields:
        body["fields"] = [
            {
                "field": one.field,
                "code": one.code,
                "detail": say(one.text, locale, _in_words(one.values, locale)),
            }
            for one in error.fields
        ]
    if request_id() is not None:
        body["request_id"] = request_id()
    content = orjson.dumps(dict(error.extra) | body, default=str)
    return Response(content, error.status, _headers(error), PROBLEM_TYPE)


def _in_words(values: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """The values of a text, with a state among them as people say it; `extra` keeps its code."""
    said = dict(values)
    for name in said.keys() & {"state", "status"}:
        said[name] = state_in_words(said[name], locale)
    if "states" in said:
        said["states"] = ", ".join(state_in_words(state, locale) for state in said["states"])
    return said


def _headers(error: MasterIAError) -> dict[str, str]:
    if error.status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, TooManyTries):
        return {"Retry-After": str(error.seconds)}
    if error.retryable or error.code == "still_running":
        return {"Retry-After": str(RETRY_SECONDS)}
    return {}


def plain_error(status: int) -> MasterIAError:
    """The error that a bare HTTP status stands for."""
    return _of_http(status, *PLAIN.get(status, (f"http_{status}", TITLES.get(status, TITLES[500]))))


def _of_http(status: int, code: str, text: str) -> MasterIAError:
    error = MasterIAError(code, text)
    # The closed tree has no class for what only HTTP knows (no such route, no such method).
    error.status = status  # type: ignore[misc]
    return error


def storage_error(error: DBAPIError) -> MasterIAError | None:
    """The error that a refused statement stands for, or None when the fault is ours."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if not state:  # refused by the driver before it left: text with a NUL byte
        return UNSTORABLE if type(error.orig).__name__ == "DataError" else None
    if state.startswith("57014"):
        return Busy()
    return STATES.get(state) or STATES.get(state[:2])


NOT_SAID_TO_BE_JSON = _of_http(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "not_said_to_be_json",
    N_("Send this as JSON, and say so: with the header Content-Type: application/json."),
)


async def answer_error(request: Request, error: Exception) -> Response:
    """A foreseen error as a problem."""
    assert isinstance(error, MasterIAError)  # noqa: S101 - registered for this class alone
    if error.status >= 500:
        log.warning("request_refused", code=error.code, cause=repr(error.__cause__))
    return problem(error, locale_of(request))


async def answer_invalid(request: Request, error: Exception) -> Response:
    """What does not fit the schema, field by field."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    if _is_unread(error) and not _says_json(request):
        return problem(NOT_SAID_TO_BE_JSON, locale_of(request))
    return problem(Invalid(fields=field_problems(error.errors())), locale_of(request))


def _is_unread(error: RequestValidationError) -> bool:
    """Whether the body as a whole was taken for something else than JSON: the framework looks at what it is said to be."""
    return any(tuple(one["loc"]) == ("body",) and one["type"] in NOT_AN_OBJECT for one in error.errors())


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _methods_at(request: Request) -> list[str]:
    """All methods that this address takes; the framework tells those of its first route alone."""
    found: set[str] = set()
    for route in request.app.state.routes:
        if isinstance(route, Route) and route.matches(dict(request.scope))[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


async def answer_http(request: Request, error: Exception) -> Response:
    """What HTTP itself refuses: no such route, no such method, a body too large."""
    assert isinstance(error, HTTPException)  # noqa: S101
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in (*NO_ROOM, ENOENT):
        # A long body is kept on disk while it comes in, and the framework says of any fault of it that the body could
        # not be read. Where no folder takes a file, Python says that there is no such folder.
        return _no_room(request, error.__cause__)
    response = problem(plain_error(error.status_code), locale_of(request))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _methods_at(request)
        if methods:
            response.headers["Allow"] = ", ".join(methods)
    for name, value in (error.headers or {}).items():
        response.headers.setdefault(name, value)
    return response


async def answer_nobody(request: Request, _error: Exception) -> Response:
    """Whoever asked has left before all of it was said: nobody's fault, and nobody hears the answer."""
    return problem(plain_error(400), locale_of(request))


async def answer_storage(request: Request, error: Exception) -> Response:
    """A statement that PostgreSQL refused."""
    assert isinstance(error, DBAPIError)  # noqa: S101
    foreseen = storage_error(error)
    if foreseen is None:
        raise error
    log.warning("statement_refused", code=foreseen.code, sqlstate=getattr(error.orig, "sqlstate", None))
    return problem(foreseen, locale_of(request))


async def answer_disk(request: Request, error: Exception) -> Response:
    """A file that could not be written because the disk is full."""
    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        raise error
    return _no_room(request, error)


def _no_room(request: Request, error: OSError) -> Response:
    log.error("disk_takes_nothing", error=errorcode.get(error.errno or 0))
    return problem(NoRoom(), locale_of(request))


async def answer_no_connection(request: Request, _error: Exception) -> Response:
    """The pool had no connection in time."""
    return problem(Busy(), locale_of(request))


async def answer_unforeseen(request: Request, _error: Exception) -> Response:
    """The last resort; whoever serves the application logs the error itself."""
    return problem(Unforeseen(), locale_of(request))


async def answer_replay(_request: Request, replayed: Exception) -> Response:
    """The answer that was given the first time."""
    assert isinstance(replayed, Replayed)  # noqa: S101
    replay = replayed.replay
    bare = replay.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    content = b"" if bare else replay.answer
    return Response(content, replay.status, {REPLAYED: "true"}, None if bare else "application/json")


def answer_errors(app: FastAPI, routers: Sequence[APIRouter] = ()) -> None:
    """Have this application, of these routers, answer every error as a problem."""
    app.state.routes = [route for router in routers for route in router.routes]
    app.add_exception_handler(MasterIAError, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(ClientDisconnect, answer_nobody)
    app.add_exception_handler(DBAPIError, answer_storage)
    app.add_exception_handler(OSError, answer_disk)
    app.add_exception_handler(PoolTimeoutError, answer_no_connection)
    app.add_exception_handler(Replayed, answer_replay)
    app.add_exception_handler(Exception, answer_unforeseen)


__all__ = ["Busy", "DatabaseAway", "answer_errors", "locale_of", "problem"]
