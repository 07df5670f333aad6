"""The API as it is served: uvicorn on a loopback port, real HTTP, real database."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
import uvicorn

from engine.accounts.models import Role
from engine.accounts.service import add_member, create_company, create_user
from engine.api.app import Front
from engine.api.intake import Intake
from engine.api.routes import accounts
from engine.core.bootstrap import DatabaseUrls
from engine.core.system import system_session

from . import sample

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in."""

    id: UUID
    email: str
    password: str = PASSWORD


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody signed in to a company, and a client that asks in their name."""

    user_id: UUID
    tenant_id: UUID
    http: httpx.Client
    refresh_token: str


class World:
    """Makes companies and people, and signs them in over HTTP."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.clients: list[httpx.Client] = []

    def company(self, name: str = "Padaria Aurora", **given: str) -> UUID:
        """A company."""
        with system_session() as session:
            return create_company(session, name=name, **given).id

    def person(self, email: str = "ana@aurora.example", *memberships: tuple[UUID, Role]) -> Person:
        """A person, and what they are where."""
        with system_session() as session:
            user = create_user(session, email=email, password=PASSWORD, name="Ana")
            for company_id, role in memberships:
                add_member(session, company_id, user.id, role=role)
            return Person(user.id, user.email)

    def client(self, **headers: str) -> httpx.Client:
        """A client of the API that nobody is signed in with."""
        client = httpx.Client(base_url=self.base_url, headers=headers, timeout=20)
        self.clients.append(client)
        return client

    def sign_in(self, person: Person, company: UUID | None = None, **headers: str) -> httpx.Response:
        """The answer to signing in."""
        form = {"username": person.email, "password": person.password}
        if company is not None:
            form["company"] = str(company)
        return self.client(**headers).post("/v1/auth/token", data=form)

    def caller(
        self, role: Role = Role.OWNER, company: UUID | None = None, email: str | None = None
    ) -> Caller:
        """Somebody of this role, signed in; in a company of their own when none is named."""
        tenant_id = company or self.company()
        person = self.person(email or f"{role.value}.{tenant_id}@example.com", (tenant_id, role))
        tokens = self.sign_in(person, tenant_id).json()
        client = self.client(Authorization=f"Bearer {tokens['access_token']}")
        return Caller(person.id, tenant_id, client, tokens["refresh_token"])


def serve(app: Front) -> Iterator[str]:
    """The application on a free loopback port, until the generator ends."""
    config = uvicorn.Config(app, port=0, log_config=None, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


# Not of the whole run: an API looks at the database once a second, and whoever restores wants nobody connected.
@pytest.fixture(scope="module")
def base_url(migrated: tuple[str, ...], valkey_url: str) -> Iterator[str]:
    """The address of the API."""
    yield from serve(Front(Intake()))


@pytest.fixture(scope="module")
def sample_url(migrated: tuple[str, ...], valkey_url: str) -> Iterator[str]:
    """The address of an API that has the sample routes beside those of accounts."""
    routers = (accounts.open_router, accounts.secret_router, accounts.router, sample.router)
    yield from serve(Front(Intake(), routers))


@pytest.fixture
def samples(database: DatabaseUrls, sample_url: str) -> Iterator[World]:
    """Companies and people of the API with the sample routes."""
    sample.calls.clear()
    sample.gate.clear()
    world = World(sample_url)
    yield world
    sample.gate.set()
    for client in world.clients:
        client.close()


@pytest.fixture
def world(database: DatabaseUrls, base_url: str) -> Iterator[World]:
    """Companies and people for one test."""
    world = World(base_url)
    yield world
    for client in world.clients:
        client.close()
