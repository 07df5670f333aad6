"""Who may do what: every operation stands in this table, and one that does not is refused to all but managers."""

import pytest

from engine.accounts.models import INCLUDES, Role
from engine.core.ids import uuid7

from .conftest import World
from .operations import operations

OPEN = frozenset({"sign_in", "refresh", "sign_out", "is_alive", "is_ready"})

EVERYBODY = frozenset({"show_me", "update_me", "switch_company"})


def test_operations_without_a_sign_in_are_these_alone(world: World) -> None:
    document = world.client().get("/openapi.json").json()

    assert {one.id for one in operations(document) if one.least_role is None} == OPEN


def test_without_a_token_every_other_operation_is_refused(world: World) -> None:
    document = world.client().get("/openapi.json").json()
    client = world.client()

    answers = {one.id: one.ask(client, uuid7()) for one in operations(document) if one.id not in OPEN}

    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code != 401} == {}


def test_an_analyst_reads_everything_and_changes_nothing(world: World) -> None:
    told = list(operations(world.client().get("/openapi.json").json()))

    reads = {one.id: one.least_role for one in told if one.reads and one.id not in OPEN}
    changes = {one.id: one.least_role for one in told if not one.reads and one.id not in OPEN | EVERYBODY}

    assert {name for name, role in reads.items() if role != "analyst"} == set()
    assert {name for name, role in changes.items() if role == "analyst"} <= PREVIEWS


# They are asked by POST because what they show needs a body; they change nothing.
PREVIEWS = frozenset(
    {"preview_template", "preview_unsaved_template", "preview_draft", "preview_import", "count_audience"}
)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_it_includes_and_nothing_else(world: World, role: Role) -> None:
    caller = world.caller(role)
    told = [
        one
        for one in operations(world.client().get("/openapi.json").json())
        if one.id not in OPEN | {"switch_company"}
    ]

    refused = {one.id for one in told if one.ask(caller.http, uuid7()).status_code == 403}

    assert refused == {one.id for one in told if Role(one.least_role) not in INCLUDES[role]}


def test_a_route_that_names_no_role_reads_for_all_and_writes_for_managers(samples: World) -> None:
    company = samples.company()
    callers = {role: samples.caller(role, company=company, email=f"{role}@example.com") for role in Role}

    reads = {role: one.http.get("/v1/samples/unmarked").status_code for role, one in callers.items()}
    writes = {role: one.http.post("/v1/samples/unmarked").status_code for role, one in callers.items()}

    assert set(reads.values()) == {200}
    assert writes == {Role.OWNER: 200, Role.MANAGER: 200, Role.AGENT: 403, Role.ANALYST: 403}


def test_a_route_that_asks_for_nothing_still_knows_who_asks(samples: World) -> None:
    assert samples.client().get("/v1/samples/unmarked").status_code == 401
