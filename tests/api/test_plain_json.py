"""What no field may hold is refused everywhere, by the name of the field, and nothing is asked of a provider before."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import World
from .operations import ID, Operation, operations

UNFIT = {
    "a zero": ("\0", "not_text"),
    "half a sign": ("a\ud800", "not_text"),
    "a number beyond all": (10**400, "out_of_range"),
    "no number": (float("nan"), "not_a_number"),
}
OURS = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in some JSON that holds no other."""
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    elif path:
        yield path


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(body)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def with_json(document: dict[str, Any]) -> list[Operation]:
    return [one for one in operations(document) if one.content_type == "application/json"]


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_no_field_may_hold_is_refused_by_its_name_wherever_it_stands(world: World, unfit: str) -> None:
    value, code = UNFIT[unfit]
    caller = world.caller()
    asked = 0
    for one in with_json(world.client().get("/openapi.json").json()):
        for path in leaves(one.body):
            body = json.dumps(with_value(one.body, path, value))

            answer = caller.http.request(
                one.method,
                ID.sub(OURS, one.path).replace("{", "").replace("}", ""),
                content=body,
                headers={"Content-Type": "application/json"},
            )

            told = [(field["field"], field["code"]) for field in answer.json().get("fields", [])]
            assert (answer.status_code, told) == (422, [(".".join(map(str, path)), code)]), (one.id, path)
            asked += 1
    assert asked > 50


def test_a_body_with_too_many_levels_is_refused(world: World) -> None:
    caller = world.caller()
    answers = [
        caller.http.post(
            "/v1/contacts",
            content=f'{{"name": "Ana", "fields": {{"a": {"[" * deep}{"]" * deep}}}}}',
            headers={"Content-Type": "application/json"},
        )
        for deep in (100, 100_000)
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert [answer.json()["fields"][0]["code"] for answer in answers] == ["too_deep", "too_deep"]


def test_a_query_with_what_is_no_text_is_refused_by_its_name(world: World) -> None:
    answer = world.caller().http.get("/v1/contacts", params={"search": "a\0b"})

    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "search")


def test_a_part_of_a_form_is_refused_as_a_body_is(world: World) -> None:
    answer = world.caller().http.post(
        "/v1/contacts/imports",
        files={"file": ("a.csv", b"name,phone\nAna,11987654321\n")},
        data={"consent": json.dumps({"source": "a\0b"}), "tags": json.dumps(["c\0d"])},
    )

    fields = {field["field"]: field["code"] for field in answer.json()["fields"]}
    assert (answer.status_code, fields) == (422, {"consent.source": "not_text", "tags.0": "not_text"})
