"""Companies, people and memberships."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from engine.accounts.models import INCLUDES, Role
from engine.accounts.queries import companies_of, find_company, find_user
from engine.accounts.service import (
    add_member,
    change_me,
    change_role,
    create_company,
    create_user,
    remove_member,
)
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import tenant_session
from engine.core.errors import Conflict, Invalid, NotFound
from engine.core.system import system_session

PASSWORD = "correct horse battery"


def make_company(name: str = "Padaria Aurora", **given: str) -> UUID:
    with system_session() as session:
        return create_company(session, name=name, **given).id


def make_member(company: UUID, email: str, role: Role) -> UUID:
    with system_session() as session:
        user = create_user(session, email=email, password=PASSWORD)
        add_member(session, company, user.id, role=role)
        return user.id


def test_a_company_is_of_brazil_unless_told_otherwise(database: DatabaseUrls) -> None:
    with system_session() as session:
        company = create_company(session, name="  Padaria   Aurora ")

    assert (company.name, company.slug) == ("Padaria Aurora", "padaria-aurora")
    assert (company.time_zone, company.locale, company.country) == ("America/Sao_Paulo", "pt_BR", "BR")


@pytest.mark.parametrize(
    ("name", "slug"),
    [("São João & Cia.", "sao-joao-cia"), ("日本", "company"), ("---", "company"), ("A" * 100, "a" * 60)],
)
def test_a_slug_is_made_from_the_name(database: DatabaseUrls, name: str, slug: str) -> None:
    with system_session() as session:
        company = create_company(session, name=name)

    assert company.slug == slug


def test_a_second_company_of_the_same_name_gets_a_number(database: DatabaseUrls) -> None:
    with system_session() as session:
        slugs = [create_company(session, name="Aurora").slug for _ in range(3)]

    assert slugs == ["aurora", "aurora-2", "aurora-3"]


def test_a_slug_that_is_taken_is_refused_when_asked_for(database: DatabaseUrls) -> None:
    make_company(slug="aurora")

    with pytest.raises(Conflict):
        make_company(slug="aurora")


@pytest.mark.parametrize(
    "given",
    [{"name": " "}, {"time_zone": "Mars/Base"}, {"locale": "xx"}, {"country": "Brasil"}, {"slug": "A b"}],
)
def test_a_company_that_does_not_fit_is_refused(database: DatabaseUrls, given: dict[str, str]) -> None:
    with pytest.raises(Invalid), system_session() as session:
        create_company(session, **({"name": "Aurora"} | given))


@pytest.mark.parametrize(
    "email", ["", "ana", "ana@", "@b.c", "a b@c.de", "a@b", "a@b@c.de", "a@" + "b" * 260 + ".com"]
)
def test_what_is_no_address_is_refused(database: DatabaseUrls, email: str) -> None:
    with pytest.raises(Invalid), system_session() as session:
        create_user(session, email=email, password=PASSWORD)


def test_an_address_is_taken_once_in_whatever_case(database: DatabaseUrls) -> None:
    make_member(make_company(), "ana@aurora.example", Role.OWNER)

    with pytest.raises(Conflict) as refused, system_session() as session:
        create_user(session, email=" Ana@Aurora.EXAMPLE", password=PASSWORD)

    assert refused.value.code == "email_taken"


def test_a_weak_password_is_refused_unless_the_operator_chose_it(database: DatabaseUrls) -> None:
    with pytest.raises(Invalid), system_session() as session:
        create_user(session, email="ana@example.com", password="senha123")

    with system_session() as session:
        create_user(session, email="demo@example.com", password="demo", any_password=True)
        assert find_user(session, "DEMO@example.com") is not None


def test_a_person_may_belong_to_several_companies_but_once_to_each(database: DatabaseUrls) -> None:
    first, second = make_company("Aurora"), make_company("Boreal")
    person = make_member(first, "ana@example.com", Role.OWNER)

    with system_session() as session:
        add_member(session, second, person, role=Role.ANALYST)
    with pytest.raises(Conflict), system_session() as session:
        add_member(session, second, person, role=Role.OWNER)

    with system_session() as session:
        assert [(one.name, one.role) for one in companies_of(session, person)] == [
            ("Aurora", Role.OWNER),
            ("Boreal", Role.ANALYST),
        ]


def test_a_company_keeps_an_owner(database: DatabaseUrls) -> None:
    company = make_company()
    owner = make_member(company, "ana@example.com", Role.OWNER)
    make_member(company, "bia@example.com", Role.MANAGER)

    with pytest.raises(Conflict), system_session() as session:
        change_role(session, company, owner, role=Role.AGENT)
    with pytest.raises(Conflict), system_session() as session:
        remove_member(session, company, owner)


def test_two_owners_who_leave_at_once_do_not_both_go(database: DatabaseUrls) -> None:
    company = make_company()
    owners = [make_member(company, f"{name}@example.com", Role.OWNER) for name in ("ana", "bia")]

    def leave(user_id: UUID) -> bool:
        try:
            with system_session() as session:
                remove_member(session, company, user_id)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        gone = list(pool.map(leave, owners))

    assert sorted(gone) == [False, True]


def test_a_company_is_found_by_slug_and_by_id(database: DatabaseUrls) -> None:
    company = make_company(slug="aurora")

    with system_session() as session:
        assert find_company(session, "aurora").id == company
        assert find_company(session, str(company)).id == company
        assert find_company(session, "boreal") is None


def test_the_applications_role_sees_its_own_company_and_people_only(database: DatabaseUrls) -> None:
    first, second = make_company("Aurora"), make_company("Boreal")
    make_member(first, "ana@example.com", Role.OWNER)
    stranger = make_member(second, "bia@example.com", Role.OWNER)

    with psycopg.connect(database.app) as connection:
        connection.execute("select set_config('app.tenant_id', %s, false)", (str(first),))
        companies = connection.execute("select name from companies").fetchall()
        people = connection.execute("select email from users").fetchall()
        members = connection.execute("select count(*) from memberships").fetchone()
        renamed = connection.execute("update users set name = 'x' where id = %s", (stranger,)).rowcount

    assert companies == [("Aurora",)]
    assert people == [("ana@example.com",)]
    assert members == (1,)
    assert renamed == 0


def test_the_applications_role_without_a_company_sees_nobody(database: DatabaseUrls) -> None:
    make_member(make_company(), "ana@example.com", Role.OWNER)

    with psycopg.connect(database.app) as connection:
        seen = [
            connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
            for table in ("companies", "users", "memberships", "sign_in_sessions", "refresh_tokens")
        ]

    assert seen == [(0,)] * 5


@pytest.mark.parametrize(
    "statement",
    [
        "select hash from passwords",
        "update users set email = 'x@y.z'",
        "update users set disabled_at = null",
        "insert into users (id, email) values (gen_random_uuid(), 'x@y.z')",
        "delete from users",
        "update companies set name = 'x'",
        "insert into companies (id, name, slug) values (gen_random_uuid(), 'x', 'x')",
    ],
)
def test_the_applications_role_can_not(database: DatabaseUrls, statement: str) -> None:
    with psycopg.connect(database.app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_applications_role_takes_nobody_into_another_company(database: DatabaseUrls) -> None:
    first, second = make_company("Aurora"), make_company("Boreal")
    person = make_member(first, "ana@example.com", Role.OWNER)

    with psycopg.connect(database.app) as connection:
        connection.execute("select set_config('app.tenant_id', %s, false)", (str(first),))
        statement = "insert into memberships (tenant_id, id, user_id, role) values (%s, gen_random_uuid(), %s, 'owner')"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement, (second, person))


def test_what_a_person_says_of_themselves_is_checked(database: DatabaseUrls) -> None:
    company = make_company()
    person = make_member(company, "ana@example.com", Role.AGENT)

    with tenant_session(company) as session:
        changed = change_me(session, person, name=" Ana  Lima ", locale="en")
        assert (changed.name, changed.locale) == ("Ana Lima", "en")
    with pytest.raises(Invalid), tenant_session(company) as session:
        change_me(session, person, locale="xx")
    with pytest.raises(NotFound), tenant_session(make_company("Boreal")) as session:
        change_me(session, person, name="x")


def test_each_role_includes_those_below_it() -> None:
    assert [sorted(INCLUDES[role]) for role in Role] == [
        ["agent", "analyst", "manager", "owner"],
        ["agent", "analyst", "manager"],
        ["agent", "analyst"],
        ["analyst"],
    ]
