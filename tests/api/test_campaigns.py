"""Campaigns over HTTP: when one begins, and why one stands still, as a person reads it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from engine.accounts.models import Role
from engine.campaigns.models import Campaign
from engine.core.clock import now
from engine.core.ids import uuid7
from engine.messaging.models import Template
from tests.messaging.receiving import Stage, set_stage
from tests.workshop import BODY

from .conftest import Caller, World


@pytest.fixture
def caller(world: World) -> Caller:
    return world.caller(Role.MANAGER, world.company(time_zone="America/Sao_Paulo"))


@pytest.fixture
def stage(caller: Caller) -> Stage:
    return set_stage(tenant_id=caller.tenant_id)


def make(caller: Caller, stage: Stage, **given: Any) -> dict[str, Any]:
    template_id = uuid7()
    with stage.session() as session:
        session.add(
            Template(
                id=template_id,
                channel_id=stage.channel_id,
                name="saudacao",
                language="pt_BR",
                category="UTILITY",
                status="approved",
                components=BODY,
            )
        )
    body = {
        "name": "Natal",
        "channel_id": str(stage.channel_id),
        "template_id": str(template_id),
        "audience": {"all": True},
        **given,
    }
    answer = caller.http.post("/v1/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def begins(campaign: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(campaign["scheduled_at"]).astimezone(UTC)


def test_a_time_without_an_offset_is_the_companys(caller: Caller, stage: Stage) -> None:
    day = (now() + timedelta(days=30)).date()
    made = make(caller, stage, scheduled_at=f"{day}T09:00:00")
    changed = caller.http.patch(
        f"/v1/campaigns/{made['id']}", json={"scheduled_at": f"{day}T10:00:00"}
    ).json()

    assert begins(made) == datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    assert begins(changed) == datetime(day.year, day.month, day.day, 13, tzinfo=UTC)


def test_a_time_with_an_offset_is_taken_as_it_is(caller: Caller, stage: Stage) -> None:
    day = (now() + timedelta(days=30)).date()
    made = make(caller, stage, scheduled_at=f"{day}T09:00:00+01:00")

    assert begins(made) == datetime(day.year, day.month, day.day, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("template_not_approved", "O WhatsApp não aprova o modelo, ou deixou de aprovar. Escolha outro."),
        ("payment_issue", "O WhatsApp informa um problema de pagamento na conta."),
        (
            "wrong_state",
            "Ela não pode continuar assim (wrong_state). Abra a campanha e corrija o que está marcado.",
        ),
    ],
)
def test_why_a_campaign_stands_still_is_told_in_words(
    caller: Caller, stage: Stage, code: str, words: str
) -> None:
    made = make(caller, stage)
    with stage.session() as session:
        session.execute(update(Campaign).values(pause_reason=code))

    shown = caller.http.get(f"/v1/campaigns/{made['id']}").json()

    assert shown["pause_reason"] == {"code": code, "text": words}


def test_a_list_of_campaigns_of_no_state_there_is_names_those_there_are(caller: Caller) -> None:
    answer = caller.http.get("/v1/campaigns", params={"status": "zzz"})

    assert answer.status_code == 422
    [told] = answer.json()["fields"]
    assert (told["field"], told["code"]) == ("status", "unknown_choice")
    assert "running" in told["detail"]


def test_a_campaign_of_a_template_that_is_not_there_is_refused_at_its_field(
    caller: Caller, stage: Stage
) -> None:
    body = {
        "name": "Natal",
        "channel_id": str(stage.channel_id),
        "template_id": str(uuid7()),
        "audience": {"all": True},
    }

    answer = caller.http.post("/v1/campaigns", json=body)

    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["fields"]] == [("template_id", "not_found")]
