"""The API and the simulator, each served for real, and companies whose channels speak with it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from engine.accounts.models import Role
from engine.api.app import Front
from engine.api.intake import Intake
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import Work
from engine.core.ids import TenantId
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging.channels.base import InboundEvent, WebhookRequest
from engine.messaging.channels.registry import WHATSAPP_CLOUD
from engine.messaging.models import JournalEntry
from tests.api.conftest import World, serve
from tests.simulator.harness import Account, Running, eventually, start


@dataclass(frozen=True, slots=True)
class Company:
    """A company with somebody signed in, and a business of its own at the simulator."""

    tenant_id: UUID
    http: httpx.Client
    account: Account
    world: World

    @property
    def work(self) -> Work:
        """What the domain's functions take."""
        return Work(TenantId(self.tenant_id))

    def channel_body(self, **given: Any) -> dict[str, Any]:
        """A body that connects this company's number in the sandbox; `given` replaces parts of it."""
        made = self.account.made
        credentials = {
            "phone_number_id": made["phone_number_id"],
            "waba_id": made["waba_id"],
            "access_token": made["access_token"],
            "app_secret": made["app_secret"],
        } | given.pop("credentials", {})
        body = {
            "kind": "whatsapp_cloud",
            "name": "Loja",
            "environment": "sandbox",
            "credentials": credentials,
        }
        return body | given

    def connect(self, **given: Any) -> dict[str, Any]:
        """A channel, as the API answers it."""
        answer = self.http.post("/v1/channels", json=self.channel_body(**given))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def connect_second(self, **given: Any) -> dict[str, Any]:
        """A channel on a second number of the same WhatsApp account."""
        made = self.account.simulator.account(waba_id=self.account.waba, verified_name="Segunda").made
        names = ("phone_number_id", "waba_id", "access_token", "app_secret")
        return self.connect(credentials={name: made[name] for name in names}, **given)

    def colleague(self, role: Role) -> httpx.Client:
        """A client of somebody else of this company."""
        return self.world.caller(role, company=self.tenant_id).http

    def told(self, wanted: Callable[[InboundEvent], bool]) -> InboundEvent:
        """The first event of that kind in this company's webhooks, once it has come."""

        def look() -> InboundEvent | None:
            with system_session() as session:
                bodies = session.scalars(
                    select(JournalEntry.body)
                    .where(JournalEntry.tenant_id == self.tenant_id)
                    .order_by(JournalEntry.id)
                ).all()
            events = [
                event
                for body in bodies
                for event in WHATSAPP_CLOUD.parse(WebhookRequest("POST", {}, {}, body))
            ]
            return next((event for event in events if wanted(event)), None)

        found = eventually(look)
        assert found is not None
        return found


@pytest.fixture(scope="package")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One simulator process for these tests; each company opens its own account there."""
    running = start(tmp_path_factory.mktemp("simulator") / "state.db", "quick")
    yield running
    running.process.terminate()
    running.process.wait(20)


@pytest.fixture(scope="package")
def api_url(migrated: tuple[str, ...], valkey_url: str, simulator: Running) -> Iterator[str]:
    """The API, which knows the simulator as the sandbox and its own public address."""
    for url in serve(Front(Intake())):
        given = {"MASTERIA_SIMULATOR_URL": simulator.url, "MASTERIA_PUBLIC_URL": url}
        os.environ.update(given)
        settings.cache_clear()
        yield url
        for name in given:
            del os.environ[name]
        settings.cache_clear()


@pytest.fixture
def company(database: DatabaseUrls, api_url: str, simulator: Running) -> Iterator[Company]:
    """A company of this test."""
    world = World(api_url)
    owner = world.caller()
    yield Company(owner.tenant_id, owner.http, simulator.account(), world)
    for client in world.clients:
        client.close()
