"""Signing in, staying in, and out again, over real HTTP."""

import pytest
from sqlalchemy import text

from engine.accounts.models import Role
from engine.accounts.service import change_role, disable_user, remove_member, set_password
from engine.core.db import tenant_session
from engine.core.system import system_session

from .conftest import World


def test_a_person_with_one_company_signs_in_and_is_told_who_they_are(world: World) -> None:
    company = world.company(name="Padaria Aurora")
    person = world.person("ana@aurora.example", (company, Role.MANAGER))

    answer = world.sign_in(person)
    me = world.client(Authorization=f"Bearer {answer.json()['access_token']}").get("/v1/me").json()

    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 600
    assert me["user"] == {"id": str(person.id), "email": "ana@aurora.example", "name": "Ana", "locale": None}
    assert me["company"] == {
        "id": str(company), "name": "Padaria Aurora", "slug": "padaria-aurora",
        "time_zone": "America/Sao_Paulo", "locale": "pt_BR",
    }  # fmt: skip
    assert me["role"] == "manager"
    assert [one["id"] for one in me["companies"]] == [str(company)]


def test_the_address_may_be_written_in_any_case(world: World) -> None:
    company = world.company()
    world.person("ana@aurora.example", (company, Role.AGENT))

    answer = world.client().post(
        "/v1/auth/token", data={"username": " Ana@AURORA.example ", "password": "correct horse battery"}
    )

    assert answer.status_code == 200


def test_a_wrong_password_and_an_unknown_person_are_told_the_same(world: World) -> None:
    world.person("ana@aurora.example", (world.company(), Role.OWNER))

    wrong = world.client().post(
        "/v1/auth/token", data={"username": "ana@aurora.example", "password": "x" * 12}
    )
    unknown = world.client().post(
        "/v1/auth/token", data={"username": "no@aurora.example", "password": "x" * 12}
    )

    assert wrong.status_code == unknown.status_code == 401
    told = [{**answer.json(), "request_id": ""} for answer in (wrong, unknown)]
    assert told[0] == told[1]
    assert told[0]["code"] == "wrong_credentials"


def test_twenty_wrong_passwords_are_slowed_down_by_seconds(
    world: World,
) -> None:
    person = world.person("ana@aurora.example", (world.company(), Role.OWNER))
    client = world.client()

    answers = [
        client.post("/v1/auth/token", data={"username": person.email, "password": f"wrong password {n}"})
        for n in range(20)
    ]
    last = answers[-1]

    assert {answer.status_code for answer in answers} == {401, 429}
    assert last.status_code == 429
    assert last.json()["code"] == "too_many_tries"
    assert 1 <= last.json()["retry_after"] <= 15
    assert last.headers["retry-after"] == str(last.json()["retry_after"])


def test_right_passwords_are_never_counted(world: World) -> None:
    person = world.person("ana@aurora.example", (world.company(), Role.OWNER))

    answers = [world.sign_in(person) for _ in range(15)]

    assert {answer.status_code for answer in answers} == {200}


def test_somebody_of_several_companies_is_asked_which(world: World) -> None:
    first, second = world.company(name="Aurora"), world.company(name="Boreal")
    person = world.person("ana@aurora.example", (first, Role.OWNER), (second, Role.ANALYST))

    asked = world.sign_in(person)
    by_id = world.sign_in(person, second)
    by_slug = world.client().post(
        "/v1/auth/token", data={"username": person.email, "password": person.password, "company": "aurora"}
    )

    assert asked.status_code == 409
    assert asked.json()["code"] == "company_required"
    assert asked.json()["companies"] == [
        {"id": str(first), "name": "Aurora", "slug": "aurora", "role": "owner"},
        {"id": str(second), "name": "Boreal", "slug": "boreal", "role": "analyst"},
    ]
    assert by_id.status_code == by_slug.status_code == 200


def test_a_company_one_does_not_belong_to_is_refused(world: World) -> None:
    person = world.person("ana@aurora.example", (world.company(), Role.OWNER))

    answer = world.sign_in(person, world.company(name="Boreal"))

    assert answer.status_code == 403
    assert answer.json()["code"] == "not_a_member"


def test_switching_company_ends_the_sign_in_to_the_first(world: World) -> None:
    first, second = world.company(name="Aurora"), world.company(name="Boreal")
    person = world.person("ana@aurora.example", (first, Role.OWNER), (second, Role.ANALYST))
    old = world.sign_in(person, first).json()
    client = world.client(Authorization=f"Bearer {old['access_token']}")

    answer = client.post("/v1/auth/company", json={"company": "boreal"}, headers={"Idempotency-Key": "k1"})
    me = world.client(Authorization=f"Bearer {answer.json()['access_token']}").get("/v1/me").json()

    assert answer.status_code == 200
    assert (me["company"]["id"], me["role"]) == (str(second), "analyst")
    assert client.get("/v1/me").status_code == 401
    assert (
        world.client().post("/v1/auth/refresh", json={"refresh_token": old["refresh_token"]}).status_code
        == 401
    )
    with system_session() as session:
        assert session.scalar(text("select count(*) from idempotency_keys")) == 0


def test_signing_out_works_at_once_for_both_tokens(world: World) -> None:
    caller = world.caller()
    other = world.caller(email="other@example.com", company=caller.tenant_id)

    out = world.client().post("/v1/auth/logout", json={"refresh_token": caller.refresh_token})

    assert out.status_code == 204
    assert caller.http.get("/v1/me").status_code == 401
    refreshed = world.client().post("/v1/auth/refresh", json={"refresh_token": caller.refresh_token})
    assert refreshed.status_code == 401
    assert other.http.get("/v1/me").status_code == 200
    with tenant_session(caller.tenant_id) as session:
        facts = session.execute(text("select kind from outbox")).scalars().all()
    assert list(facts) == ["session.revoked"]


def test_signing_out_twice_or_with_rubbish_is_no_error(world: World) -> None:
    caller = world.caller()
    bodies = [
        caller.refresh_token,
        caller.refresh_token,
        "rubbish",
        "mrt_AAAA",
        caller.refresh_token[:-4] + "AAAA",
    ]

    answers = [world.client().post("/v1/auth/logout", json={"refresh_token": one}) for one in bodies]

    assert {answer.status_code for answer in answers} == {204}


def test_a_new_role_counts_from_the_next_request_on(world: World) -> None:
    caller = world.caller(Role.OWNER)
    world.caller(Role.OWNER, company=caller.tenant_id, email="second.owner@example.com")

    with system_session() as session:
        change_role(session, caller.tenant_id, caller.user_id, role=Role.ANALYST)

    assert caller.http.get("/v1/me").json()["role"] == "analyst"


def test_a_disabled_person_is_out_at_once_and_stays_out(world: World) -> None:
    caller = world.caller(email="ana@example.com")

    with system_session() as session:
        disable_user(session, caller.user_id)

    assert caller.http.get("/v1/me").status_code == 401
    answer = world.client().post(
        "/v1/auth/token", data={"username": "ana@example.com", "password": "correct horse battery"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "user_disabled")
    refreshed = world.client().post("/v1/auth/refresh", json={"refresh_token": caller.refresh_token})
    assert refreshed.status_code == 401


def test_a_removed_member_is_out_at_once(world: World) -> None:
    owner = world.caller(Role.OWNER)
    caller = world.caller(Role.AGENT, company=owner.tenant_id)

    with system_session() as session:
        remove_member(session, owner.tenant_id, caller.user_id)

    assert caller.http.get("/v1/me").status_code == 401
    assert owner.http.get("/v1/me").status_code == 200


def test_a_new_password_ends_every_sign_in(world: World) -> None:
    caller = world.caller()

    with system_session() as session:
        set_password(session, caller.user_id, "another horse entirely")

    assert caller.http.get("/v1/me").status_code == 401


def test_people_change_their_own_name_and_language(world: World) -> None:
    caller = world.caller(Role.ANALYST)

    answer = caller.http.patch("/v1/me", json={"name": "Ana  Lima", "locale": "en"})

    assert (answer.json()["user"]["name"], answer.json()["user"]["locale"]) == ("Ana Lima", "en")
    assert caller.http.get("/v1/me").json()["user"]["locale"] == "en"


@pytest.mark.parametrize(
    "body", [{"role": "owner"}, {"tenant_id": "x"}, {"email": "a@b.c"}, {"locale": "xx"}]
)
def test_nothing_else_can_be_changed_of_oneself(world: World, body: dict[str, str]) -> None:
    caller = world.caller(Role.ANALYST)
    before = caller.http.get("/v1/me").json()

    answer = caller.http.patch("/v1/me", json=body)

    assert answer.status_code == 422
    assert caller.http.get("/v1/me").json() == before
