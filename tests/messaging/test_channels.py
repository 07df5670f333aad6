"""Channels over HTTP, checked at a real simulator."""

import time
from typing import Any

import pytest
from sqlalchemy import select, text

from engine.accounts.models import Role
from engine.core.db import tenant_session
from engine.core.errors import Misconfigured
from engine.core.ids import uuid7
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging.channel_health import apply_account_notice, check_channel
from engine.messaging.channels.base import AccountNotice
from engine.messaging.channels.whatsapp_cloud import WhatsAppCloud
from engine.messaging.connections import credentials_of, get_channel
from engine.messaging.ledger import set_gate
from engine.messaging.models import Channel, ChannelRoute, DueSend, Gate
from tests.messaging.conftest import Company


def stored(company: Company, channel: dict[str, Any]) -> Channel:
    with tenant_session(company.tenant_id) as session:
        return session.scalars(select(Channel).where(Channel.id == channel["id"])).one()


def gate_of(company: Company, channel: dict[str, Any]) -> Gate:
    with tenant_session(company.tenant_id) as session:
        return session.scalars(
            select(Gate).join(Channel, Channel.gate_id == Gate.id).where(Channel.id == channel["id"])
        ).one()


def facts(company: Company) -> list[Any]:
    with tenant_session(company.tenant_id) as session:
        return list(
            session.scalars(text("select payload from outbox where kind = 'channel.changed' order by id"))
        )


def test_a_number_is_connected_checked_and_has_its_webhooks_sent_here(company: Company) -> None:
    channel = company.connect(name="Loja Centro", rate_per_second=40)

    assert (channel["status"], channel["status_reason"]) == ("connected", None)
    assert (channel["name"], channel["rate_per_second"]) == ("Loja Centro", 40)
    assert channel["phone_number"].startswith("+5511")
    assert channel["display_name"] == "Loja de Teste"
    assert channel["webhook_url"] == f"{settings().public_url}/hooks/whatsapp_cloud/{channel['id']}"
    state = company.account.simulator.admin("GET", "/_admin/state")
    assert channel["webhook_url"] in str(state["subscriptions"][company.account.waba])


def test_accounts_of_one_portfolio_share_its_limit_of_people_a_day(company: Company) -> None:
    business = company.account.made["business_id"]
    names = ("phone_number_id", "waba_id", "access_token", "app_secret")
    sister = company.account.simulator.account(business_id=business, verified_name="Filial").made
    stranger = company.account.simulator.account(verified_name="Outra").made

    rows = [
        stored(company, company.connect(credentials={name: made[name] for name in names}))
        for made in (company.account.made, sister, stranger)
    ]

    assert len({row.portfolio for row in rows}) == 3
    assert [row.limited_as for row in rows] == [business, business, stranger["business_id"]]


def test_a_number_whose_portfolio_is_not_told_is_connected_and_counts_with_its_account(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_allowed(*_: object) -> None:
        raise Misconfigured("permission_missing")

    monkeypatch.setattr(WhatsAppCloud, "read_owner", not_allowed)
    channel = company.connect()

    assert channel["status"] == "connected"
    assert stored(company, channel).limited_as == company.account.waba


def test_secrets_never_come_back_and_lie_encrypted(company: Company) -> None:
    made = company.account.made

    answer = company.http.post("/v1/channels", json=company.channel_body())
    listed = company.http.get("/v1/channels")

    channel = stored(company, answer.json())
    for secret in (made["access_token"], made["app_secret"]):
        assert secret not in answer.text + listed.text
        assert secret.encode() not in channel.credentials
    with tenant_session(company.tenant_id) as session:
        assert credentials_of(session, channel).access_token == made["access_token"]


def test_a_token_that_is_not_good_keeps_the_channel_with_the_reason_in_plain_words(company: Company) -> None:
    body = company.channel_body(credentials={"access_token": "EAAwrong"})

    answer = company.http.post("/v1/channels", json=body, headers={"Accept-Language": "en"})

    channel = answer.json()
    assert (answer.status_code, channel["status"]) == (201, "attention")
    assert channel["status_reason"]["code"] == "token_expired"
    assert channel["status_reason"]["text"]
    assert channel["status_reason"]["action"]
    assert gate_of(company, channel).is_open is False


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"phone_number_id": "999999999999999"}, "number_not_found"),
        ({"waba_id": "999999999999999"}, "number_not_found"),
    ],
)
def test_an_id_that_is_not_there_is_told(company: Company, credentials: dict[str, str], code: str) -> None:
    channel = company.connect(credentials=credentials)

    assert (channel["status"], channel["status_reason"]["code"]) == ("attention", code)


def test_a_provider_that_does_not_answer_leaves_the_channel_open_for_another_try(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTERIA_GRAPH_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    channel = company.connect(environment="live")
    monkeypatch.undo()
    settings.cache_clear()

    assert (channel["status"], channel["status_reason"]["code"]) == ("attention", "provider_unreachable")
    assert gate_of(company, channel).is_open is True


def test_a_handshake_that_fails_is_told_as_such(company: Company) -> None:
    company.account.simulator.admin("GET", "/_admin/state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASTERIA_PUBLIC_URL", "http://127.0.0.1:9")
        settings.cache_clear()
        channel = company.connect()
    settings.cache_clear()

    assert channel["status_reason"]["code"] == "webhook_refused"
    assert "127.0.0.1" not in channel["status_reason"]["text"]


def test_a_check_after_the_mistake_was_mended_opens_the_channel(company: Company) -> None:
    channel = company.connect(credentials={"access_token": "EAAwrong"})

    mended = company.http.patch(
        f"/v1/channels/{channel['id']}",
        json={"credentials": {"access_token": company.account.made["access_token"]}},
    ).json()

    assert (mended["status"], mended["status_reason"]) == ("connected", None)
    assert gate_of(company, channel).is_open is True
    assert mended["revision"] > channel["revision"]


def test_a_token_that_expires_is_found_by_the_next_check(company: Company) -> None:
    channel = company.connect()
    company.account.simulator.admin(
        "POST", f"/_admin/accounts/{company.account.number}", token_expires_at=int(time.time()) - 1
    )

    checked = company.http.post(f"/v1/channels/{channel['id']}/check").json()

    assert (checked["status"], checked["status_reason"]["code"]) == ("attention", "token_expired")


def test_a_number_that_cannot_send_is_told(company: Company) -> None:
    company.account.call("POST", f"{company.account.number}/deregister", json={})

    channel = company.connect()

    assert channel["status_reason"]["code"] == "number_not_ready"


def test_the_same_key_gives_one_channel_and_the_same_answer(company: Company) -> None:
    headers = {"Idempotency-Key": "one"}

    first = company.http.post("/v1/channels", json=company.channel_body(), headers=headers)
    second = company.http.post("/v1/channels", json=company.channel_body(), headers=headers)
    other = company.http.post("/v1/channels", json=company.channel_body(name="Outra"), headers=headers)

    assert first.json() == second.json()
    assert (second.status_code, other.status_code) == (201, 422)
    assert len(company.http.get("/v1/channels").json()["items"]) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "telegram"}, "kind"),
        ({"name": "  "}, "name"),
        ({"environment": "moon"}, "environment"),
        ({"rate_per_second": 0}, "rate_per_second"),
        ({"rate_per_second": 1001}, "rate_per_second"),
        ({"credentials": {"phone_number_id": "abc"}}, "credentials.phone_number_id"),
        ({"credentials": {"access_token": "a\r\nX-Evil: 1"}}, "credentials.access_token"),
        ({"credentials": {"app_secret": ""}}, "credentials.app_secret"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_made(
    company: Company, given: dict[str, Any], field: str
) -> None:
    answer = company.http.post("/v1/channels", json=company.channel_body(**given))

    assert answer.status_code == 422
    assert [problem["field"] for problem in answer.json()["fields"]] == [field]
    assert company.http.get("/v1/channels").json() == {"items": [], "next": None}


def test_managers_connect_agents_look_and_only_managers_see_the_verify_token(company: Company) -> None:
    channel = company.connect()
    agent, manager = company.colleague(Role.AGENT), company.colleague(Role.MANAGER)

    refused = agent.post("/v1/channels", json=company.channel_body())

    assert refused.status_code == 403
    assert agent.get(f"/v1/channels/{channel['id']}").json()["verify_token"] == ""
    assert manager.get(f"/v1/channels/{channel['id']}").json()["verify_token"] == channel["verify_token"]


def test_another_company_sees_nothing_of_it(company: Company) -> None:
    channel = company.connect()
    stranger = company.world.caller().http

    assert stranger.get("/v1/channels").json()["items"] == []
    for answer in (
        stranger.get(f"/v1/channels/{channel['id']}"),
        stranger.patch(f"/v1/channels/{channel['id']}", json={"name": "Minha"}),
        stranger.post(f"/v1/channels/{channel['id']}/check"),
        stranger.delete(f"/v1/channels/{channel['id']}"),
    ):
        assert answer.status_code == 404


def test_name_rate_and_pause_are_changed(company: Company) -> None:
    channel = company.connect()
    url = f"/v1/channels/{channel['id']}"

    changed = company.http.patch(url, json={"name": "Nova", "rate_per_second": 5, "paused": True}).json()
    held = gate_of(company, channel)
    resumed = company.http.patch(url, json={"paused": False}).json()

    assert (changed["name"], changed["rate_per_second"], changed["status"]) == ("Nova", 5, "paused")
    assert (held.is_open, held.reason) == (False, "paused")
    assert (resumed["status"], gate_of(company, channel).is_open) == ("connected", True)


def test_a_check_does_not_end_a_pause(company: Company) -> None:
    channel = company.connect()
    company.http.patch(f"/v1/channels/{channel['id']}", json={"paused": True})

    checked = company.http.post(f"/v1/channels/{channel['id']}/check").json()

    assert checked["status"] == "paused"
    assert gate_of(company, channel).is_open is False


def test_webhooks_signed_with_the_app_secret_before_stay_good(company: Company) -> None:
    channel = company.connect()
    before = company.account.made["app_secret"]

    company.http.patch(f"/v1/channels/{channel['id']}", json={"credentials": {"app_secret": "f" * 32}})

    with tenant_session(company.tenant_id) as session:
        held = credentials_of(session, get_channel(session, stored(company, channel).id))
    assert (held.app_secret, held.older_app_secrets) == ("f" * 32, (before,))


def test_a_deleted_channel_is_gone_with_its_secrets_and_its_webhook(company: Company) -> None:
    channel = company.connect()

    answer = company.http.delete(f"/v1/channels/{channel['id']}")

    row = stored(company, channel)
    assert answer.status_code == 204
    assert company.http.get("/v1/channels").json()["items"] == []
    assert company.http.get(f"/v1/channels/{channel['id']}").status_code == 404
    assert (row.credentials, row.verify_token) == (b"", b"")
    assert gate_of(company, channel).is_open is False
    with system_session() as session:
        assert session.get(ChannelRoute, row.id) is None


def test_a_number_is_connected_once(company: Company) -> None:
    first = company.connect(name="Loja")

    again = company.http.post(
        "/v1/channels", json=company.channel_body(name="Outra"), headers={"Accept-Language": "en"}
    )

    assert (again.status_code, again.json()["code"]) == (409, "number_connected")
    assert "“Loja”" in again.json()["detail"]
    assert again.json()["channel_id"] == first["id"]
    assert len(company.http.get("/v1/channels").json()["items"]) == 1


def test_a_number_that_was_let_go_is_connected_again(company: Company) -> None:
    company.http.delete(f"/v1/channels/{company.connect()['id']}")

    assert company.connect()["status"] == "connected"


def test_a_deleted_channels_neighbour_gets_the_accounts_webhooks(company: Company) -> None:
    neighbour = company.connect()
    second = company.connect_second()

    answer = company.http.delete(f"/v1/channels/{second['id']}")

    assert answer.status_code == 204
    subscriptions = company.account.simulator.admin("GET", "/_admin/state")["subscriptions"]
    assert neighbour["webhook_url"] in str(subscriptions[company.account.waba])
    assert second["webhook_url"] not in str(subscriptions[company.account.waba])
    checked = company.http.get(f"/v1/channels/{neighbour['id']}").json()
    assert checked["checked_at"] > neighbour["checked_at"]


@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ("access_token", "EAAsecret part\n two"),
        ("access_token", "EAAs\u00e9cret"),
        ("app_secret", "segr\u00e9do"),
        ("app_secret", "two words"),
    ],
)
def test_new_secrets_are_looked_at_before_they_are_kept(company: Company, secret: str, value: str) -> None:
    channel = company.connect()
    before = stored(company, channel).credentials

    answer = company.http.patch(f"/v1/channels/{channel['id']}", json={"credentials": {secret: value}})

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["fields"]] == [f"credentials.{secret}"]
    assert value not in answer.text
    assert stored(company, channel).credentials == before


def test_a_channel_with_messages_waiting_is_not_deleted(company: Company) -> None:
    channel = company.connect()
    row = stored(company, channel)
    with tenant_session(company.tenant_id) as session:
        session.add(
            DueSend(channel_id=row.id, gate_id=None, lane=5, first_id=uuid7(), last_id=uuid7(), amount=1)
        )

    answer = company.http.delete(f"/v1/channels/{channel['id']}")

    assert (answer.status_code, answer.json()["code"]) == (409, "channel_in_use")
    assert gate_of(company, channel).is_open is True


def test_every_change_is_a_fact_with_a_growing_revision(company: Company) -> None:
    channel = company.connect()
    company.http.patch(f"/v1/channels/{channel['id']}", json={"name": "Nova"})

    told = facts(company)

    assert [fact["status"] for fact in told] == ["attention", "connected", "connected"]
    assert [fact["revision"] for fact in told] == sorted({fact["revision"] for fact in told})
    assert told[-1]["name"] == "Nova"
    assert company.account.made["access_token"] not in str(told)


def test_the_newest_fact_says_of_each_field_what_the_api_says(company: Company) -> None:
    channel = company.connect(credentials={"access_token": "EAAwrong"})

    told = facts(company)[-1]

    del told["deleted"]
    reason = told.pop("status_reason")
    fresh = company.http.get(f"/v1/channels/{channel['id']}").json()
    assert told == {name: fresh[name] for name in told}
    assert reason == {name: fresh["status_reason"][name] for name in reason}


def test_an_account_that_left_whatsapp_stops_the_channel(company: Company) -> None:
    channel = company.connect()
    row = stored(company, channel)

    with tenant_session(company.tenant_id) as session:
        notice = AccountNotice(
            None, row.portfolio, "account_update.partner_removed", {"event": "PARTNER_REMOVED"}
        )
        apply_account_notice(session, row.id, notice)

    shown = company.http.get(f"/v1/channels/{channel['id']}").json()
    assert (shown["status"], shown["status_reason"]["code"]) == ("attention", "account_disconnected")
    assert gate_of(company, channel).is_open is False


@pytest.mark.parametrize(
    "notice",
    [
        AccountNotice(None, "1", "account_update.partner_removed", {}),
        AccountNotice("2", "", "account_update.partner_removed", {}),
        AccountNotice(
            None, "", "phone_number_name_update.rejected", {"display_phone_number": "+55 11 1234-5678"}
        ),
    ],
)
def test_a_notice_on_another_account_or_number_changes_nothing(
    company: Company, notice: AccountNotice
) -> None:
    channel = company.connect()

    with tenant_session(company.tenant_id) as session:
        apply_account_notice(session, stored(company, channel).id, notice)

    assert stored(company, channel).status == "connected"


def test_what_whatsapp_tells_of_name_and_limit_is_kept(company: Company) -> None:
    channel = company.connect()
    row = stored(company, channel)

    with tenant_session(company.tenant_id) as session:
        for code, detail in (
            ("phone_number_name_update.approved", {"requested_verified_name": "Loja Nova"}),
            ("business_capability_update", {"max_daily_conversations_per_business": "TIER_100K"}),
        ):
            apply_account_notice(session, row.id, AccountNotice(None, row.portfolio, code, detail))

    after = stored(company, channel)
    assert (after.display_name, after.messaging_limit) == ("Loja Nova", "TIER_100K")


def test_a_channel_that_the_dispatcher_stopped_is_opened_by_a_good_check(company: Company) -> None:
    channel = company.connect()
    row = stored(company, channel)
    with tenant_session(company.tenant_id) as session:
        set_gate(session, row.gate_id, is_open=False, reason="payment_issue")

    check_channel(company.work, row.id)

    assert gate_of(company, channel).is_open is True
