"""The operations of an API as its OpenAPI tells them, ready to be asked with ids of one's choice."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    least_role: str | None
    path_ids: tuple[str, ...]
    query_ids: tuple[str, ...]
    body: Any
    content_type: str | None

    @property
    def reads(self) -> bool:
        """True when it promises to change nothing."""
        return self.method == "GET"

    @property
    def names_an_id(self) -> bool:
        """True when a request of it can name a row."""
        return bool(self.path_ids or self.query_ids or ID.search(str(self.body)))

    def ask(self, http: httpx.Client, row_id: UUID) -> httpx.Response:
        """Ask it, with this id wherever it takes one."""
        path = re.sub(r"\{[^}]+\}", str(row_id), self.path)
        query = {name: str(row_id) for name in self.query_ids}
        body = _with_id(self.body, str(row_id))
        if self.content_type == "multipart/form-data":
            return http.request(self.method, path, params=query, files={"file": ("a.csv", b"name,phone\n")})
        if self.content_type == "application/x-www-form-urlencoded":
            return http.request(self.method, path, params=query, data=body)
        return http.request(self.method, path, params=query, json=body)


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every operation of an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method in METHODS & set(methods):
            told = methods[method]
            parameters = told.get("parameters", [])
            content = told.get("requestBody", {}).get("content", {})
            content_type = next(iter(content), None)
            yield Operation(
                id=told["operationId"],
                method=method.upper(),
                path=path,
                least_role=told.get("x-least-role"),
                path_ids=tuple(re.findall(r"\{([^}]+)\}", path)),
                query_ids=tuple(
                    one["name"] for one in parameters if one["in"] == "query" and one["name"].endswith("_id")
                ),
                body=example_of(document, content[content_type]) if content_type else None,
                content_type=content_type,
            )


def example_of(document: Mapping[str, Any], media: Mapping[str, Any]) -> Any:
    """The example of a body, from the operation or from its schema; None when there is none."""
    if "example" in media:
        return media["example"]
    if media.get("examples"):
        return next(iter(media["examples"].values()))["value"]
    schema = resolve(document, media.get("schema", {}))
    return schema.get("example", (schema.get("examples") or [None])[0])


def resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema itself, where it is named by reference."""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = document["components"]["schemas"][name]
    return schema


def _with_id(value: Any, row_id: str) -> Any:
    """The same value with this id in the place of every id."""
    if isinstance(value, dict):
        return {key: _with_id(one, row_id) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_id(one, row_id) for one in value]
    return ID.sub(row_id, value) if isinstance(value, str) else value
