"""No route shows or changes what belongs to another company; walked through the OpenAPI, so no route is forgotten.

The stranger asks every operation with ids that exist, in another company. They must be told what anybody is told who
asks for what is not there, see nothing, and change nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import text

from engine.accounts.models import Role
from engine.api.app import Front
from engine.api.deps import Transaction, domain_router, requires
from engine.api.intake import Intake
from engine.api.routes import accounts
from engine.core.bootstrap import DatabaseUrls
from engine.core.ids import uuid7
from engine.core.system import system_session

from .conftest import Caller, World, serve
from .operations import Operation, operations
from .planted import MARK, plant, rows_of

# They end the sign-in they are asked with, or are not a company's business.
NOT_WALKED = frozenset({"sign_in", "refresh", "sign_out", "switch_company"})
# What they show stands on the disk, where nothing is planted.
ON_DISK = frozenset({"get_file"})


@dataclass(frozen=True, slots=True)
class Offence:
    """An operation that told or did what it must not."""

    operation: str
    why: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stranger, a company they have nothing to do with, and its one id."""

    stranger: Caller
    victim: Caller
    row_id: UUID
    tables: set[str]
    superuser: psycopg.Connection

    def rows(self) -> list[tuple[str, str]]:
        """What the victim's company has now."""
        return rows_of(self.superuser, self.victim.tenant_id, self.tables)


@pytest.fixture
def superuser(superuser_url: str) -> Iterator[psycopg.Connection]:
    """A connection that sees everything."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        yield connection


def set_stage(world: World, superuser: psycopg.Connection) -> Stage:
    """Two companies; every table has a row of the second."""
    stranger, victim, row_id = world.caller(), world.caller(email="victim@example.com"), uuid7()
    tables = plant(superuser, victim.tenant_id, row_id)
    return Stage(stranger, victim, row_id, tables, superuser)


def walk(stage: Stage, document: Mapping[str, Any]) -> list[Offence]:
    """Ask every operation as the stranger, and say which of them gave way."""
    return [
        offence
        for operation in sorted(operations(document), key=lambda one: (one.path, one.method))
        if operation.id not in NOT_WALKED
        for offence in _offences(stage, operation)
    ]


def _offences(stage: Stage, operation: Operation) -> Iterator[Offence]:
    before = stage.rows()
    theirs = operation.ask(stage.stranger.http, stage.row_id)
    nobodys = operation.ask(stage.stranger.http, uuid7())
    if MARK in theirs.text:
        yield Offence(operation.id, "shows another company's row")
    if stage.rows() != before:
        yield Offence(operation.id, "changes another company's row")
    if theirs.status_code >= 500:
        yield Offence(operation.id, f"breaks: {theirs.status_code}")
    if operation.path_ids and theirs.status_code not in {403, 404, 409, 422}:
        yield Offence(operation.id, f"takes another company's id: {theirs.status_code}")
    if operation.names_an_id and not operation.reads and theirs.is_success:
        yield Offence(operation.id, f"takes another company's id: {theirs.status_code}")
    if operation.names_an_id and _told(theirs) != _told(nobodys):
        yield Offence(operation.id, "tells whether another company has such a row")


def _told(answer: httpx.Response) -> tuple[int, str]:
    try:
        return answer.status_code, str(answer.json().get("code", ""))
    except (ValueError, AttributeError):
        return answer.status_code, ""


def document_of(world: World) -> dict[str, Any]:
    document: dict[str, Any] = world.client().get("/openapi.json").json()
    return document


def test_no_route_shows_or_changes_what_belongs_to_another_company(
    world: World, superuser: psycopg.Connection
) -> None:
    stage = set_stage(world, superuser)

    offences = walk(stage, document_of(world))

    assert offences == []


def test_the_rows_of_the_other_company_are_there_to_be_found(
    world: World, superuser: psycopg.Connection
) -> None:
    stage = set_stage(world, superuser)
    shows = [
        operation
        for operation in operations(document_of(world))
        if operation.reads and operation.path_ids and operation.id not in ON_DISK
    ]

    hidden = [one.id for one in shows if not shows_something(one, stage)]

    assert hidden == []


def shows_something(operation: Operation, stage: Stage) -> bool:
    """Whether the victim itself finds the row; made-up rows may well break off what is made of them."""
    try:
        return operation.ask(stage.victim.http, stage.row_id).status_code != 404
    except httpx.RemoteProtocolError:
        return True


def test_every_table_of_a_tenant_takes_part(world: World, superuser: psycopg.Connection) -> None:
    stage = set_stage(world, superuser)

    assert stage.tables - {table for table, _ in stage.rows()} == set()
    assert {"contacts", "campaigns", "messages", "memberships"} <= stage.tables


leaky = domain_router("leaky")


@leaky.get("/v1/leaky/{contact_id}", dependencies=[requires(Role.ANALYST)])
def show_anybody(contact_id: UUID, _session: Transaction) -> dict[str, str]:
    with system_session() as session:
        name = session.scalar(text("select name from contacts where id = :id"), {"id": contact_id})
    return {"name": str(name)}


@leaky.post("/v1/leaky/{contact_id}/rename", dependencies=[requires(Role.ANALYST)])
def rename_anybody(contact_id: UUID, _session: Transaction) -> dict[str, str]:
    with system_session() as session:
        session.execute(text("update contacts set name = 'x' where id = :id"), {"id": contact_id})
    return {}


@pytest.fixture
def leaky_world(database: DatabaseUrls) -> Iterator[World]:
    """An API with two routes that look across companies."""
    for url in serve(Front(Intake(), (accounts.open_router, accounts.router, leaky))):
        world = World(url)
        yield world
        for client in world.clients:
            client.close()


def test_a_route_that_looks_across_companies_is_found_out(
    leaky_world: World, superuser: psycopg.Connection
) -> None:
    stage = set_stage(leaky_world, superuser)

    offences = walk(stage, document_of(leaky_world))

    assert Offence("show_anybody", "shows another company's row") in offences
    assert Offence("rename_anybody", "changes another company's row") in offences
