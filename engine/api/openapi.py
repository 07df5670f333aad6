"""The OpenAPI that others rely on: problems documented once for every operation, tidy names, the bearer scheme."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from engine.api.errors import PROBLEM_TYPE, TITLES
from engine.api.examples import give_examples
from engine.core.i18n import say

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable and for machines; `title` and `detail` are for people.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
            },
        },
    },
    "example": {
        "type": "urn:masteria:problem:invalid",
        "title": "Something does not fit",
        "status": 422,
        "code": "invalid",
        "detail": "Some of what you sent does not fit. Check the fields below.",
        "fields": [{"field": "phone", "code": "bad_phone", "detail": "This is not a phone number."}],
    },
}

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 characters of your choice. The same request under the same key has one effect and is"
    " given the same answer again (`Idempotency-Replayed: true`); another body: 422; still running: 409.",
    "schema": {"type": "string"},
}

# Of no importance to an operation that nobody signs in for and that stores nothing.
ALWAYS = (400, 413, 415, 422, 503)
GUARDED = (401, 403, 404, 409, 429)
# Of operations that may ask a provider.
WRITING = (502,)


def describe(app: FastAPI) -> None:
    """Give this application an `/openapi.json` of ours."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    # FastAPI documents this as the way to extend it.
    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    give_examples(schemas)
    components["responses"] = {f"Problem{status}": _response(status) for status in TITLES}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _tell_problems(operation, writes=method != "get")
            if method == "post" and "x-least-role" in operation:
                operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
            if path.startswith("/v1/"):
                operation.setdefault("summary", operation["operationId"].replace("_", " "))
    return document


def _tell_problems(operation: dict[str, Any], *, writes: bool) -> None:
    guarded = GUARDED if "security" in operation else ()
    asking = WRITING if guarded and writes else ()
    for status in (*ALWAYS, *guarded, *asking):
        operation["responses"].setdefault(str(status), {})
    for status, answer in operation["responses"].items():
        if int(status) >= 400 and PROBLEM_TYPE not in answer.get("content", {}):
            operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}


def _response(status: int) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": say(TITLES[status], "en"), "content": content}
