"""The OpenAPI that others rely on: complete, tidy, and true under fuzzing."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engine.accounts.models import Role

from .conftest import Caller, World
from .operations import METHODS, example_of, operations

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 4
# They end the sign-in that the fuzzer asks with.
NOT_FUZZED = {"switch_company", "sign_out", "refresh"}


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    told: dict[str, Any] = world.client().get("/openapi.json").json()
    return told


def test_each_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [one.id for one in operations(document)]

    assert sorted(names) == sorted(set(names))
    assert all(name.isidentifier() and name == name.lower() for name in names)


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body that is sent or answered as data, with the place where it stands."""
    for path, methods in document["paths"].items():
        for method in sorted(METHODS & set(methods)):
            told = methods[method]
            for kind, media in told.get("requestBody", {}).get("content", {}).items():
                yield f"{method} {path} {kind}", media
            for status, answer in told["responses"].items():
                if "application/json" in answer.get("content", {}):
                    yield f"{method} {path} {status}", answer["content"]["application/json"]


def test_each_body_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    wrong = {}
    for place, media in bodies(document):
        example = example_of(document, media)
        schema = {**media["schema"], "components": document["components"]}
        errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(example)]
        if example is None or errors:
            wrong[place] = errors or ["no example"]

    assert wrong == {}


def test_each_operation_documents_its_problems(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method in METHODS & set(methods):
            answers = methods[method]["responses"]
            problems = {status: answer for status, answer in answers.items() if int(status) >= 400}
            assert {"422", "503"} <= set(problems), path
            if "security" in methods[method]:
                assert {"401", "403", "404"} <= set(problems), path


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [one for inner in value.values() for one in references(inner)]
        return [one for inner in value for one in references(inner)] if isinstance(value, list) else []

    for reference in set(references(document)):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_post_of_a_company_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        told = methods.get("post", {})
        if "x-least-role" in told and told["operationId"] != "switch_company":
            assert "Idempotency-Key" in [one["name"] for one in told["parameters"]], path


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_operation_breaks_or_lies_whatever_it_is_asked(world: World, mode: GenerationMode) -> None:
    found = fuzz(world, mode)

    assert found == []


def test_an_operation_that_breaks_is_found_out(samples: World) -> None:
    found = fuzz(samples, GenerationMode.POSITIVE, only="break_down")

    assert found


def fuzz(world: World, mode: GenerationMode, only: str | None = None) -> list[str]:
    """Ask every operation made-up requests, as an owner, and say what is wrong with the answers."""
    caller = world.caller(Role.OWNER)
    schema = schemathesis.openapi.from_url(f"{world.base_url}/openapi.json")
    told = {
        one.definition.raw["operationId"]: one
        for one in (found.ok() for found in schema.get_all_operations())
    }
    return [
        fault
        for name, operation in told.items()
        if name not in NOT_FUZZED and only in (None, name)
        for fault in faults(operation, caller, mode)
    ]


def faults(operation: APIOperation[Any, Any, Any, Any], caller: Caller, mode: GenerationMode) -> list[str]:
    """What is wrong with the answers of an operation, asked a few made-up requests."""
    found: list[str] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": caller.http.headers["authorization"]})
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            found.extend(f"{operation.label}: {failure}" for failure in group.exceptions)

    with suppress(Unsatisfiable):  # an operation without parameters takes nothing that could be wrong
        ask()
    return found[:2]
