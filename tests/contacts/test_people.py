"""Making, changing, finding and deleting people."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.contacts.consent import GivenConsent
from engine.contacts.models import ConsentState
from engine.contacts.queries import (
    find_contact,
    find_contact_by_phone,
    get_person,
    list_contacts,
    list_fields,
    list_tags,
)
from engine.contacts.service import (
    ContactChange,
    change_contact,
    create_contact,
    delete_contact,
    record_inbound,
    set_consent,
    withdraw_consent,
)
from engine.contacts.wording import fold
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import app_engine, tenant_session
from engine.core.errors import Conflict, Invalid, NotFound
from tests.contacts.conftest import Company, words_of

PHONE = "+5571980000102"


def names(session: Session, **asked: object) -> list[str]:
    return [person.contact.name for person in list_contacts(session, **asked).items]  # type: ignore[arg-type]


def test_a_person_is_kept_as_given(session: Session) -> None:
    contact = create_contact(
        session,
        name="  Ana\tGonçalves ",
        phone="(71) 8000-0102",
        tags=["vip", "vip", " "],
        fields={"Cidade/UF": "Salvador"},
    )

    person = get_person(session, contact.id)

    assert (person.contact.name, person.contact.phone) == ("Ana Gonçalves", PHONE)
    assert person.tags == ("vip",)
    assert person.contact.fields == {"cidade_uf": "Salvador"}
    assert [identity.value for identity in person.identities] == [PHONE]


def test_two_people_do_not_share_a_phone(session: Session) -> None:
    first = create_contact(session, name="Ana", phone=PHONE)

    with pytest.raises(Conflict) as raised:
        create_contact(session, name="Bia", phone="71 8000-0102")

    assert raised.value.extra == {"contact_id": str(first.id)}


@pytest.mark.parametrize("phone", ["123", "não tem", "+55 71 9800"])
def test_what_is_no_phone_is_refused(session: Session, phone: str) -> None:
    with pytest.raises(Invalid) as raised:
        create_contact(session, name="Ana", phone=phone)

    assert raised.value.fields[0].code == "bad_phone"


def test_a_change_leaves_alone_what_it_does_not_name(session: Session) -> None:
    contact = create_contact(
        session, name="Ana", phone=PHONE, tags=["a"], fields={"cidade": "Salvador", "uf": "BA"}
    )

    change_contact(session, contact.id, ContactChange(tags=["b"], fields={"uf": None, "bairro": "Barra"}))

    person = get_person(session, contact.id)
    assert (person.contact.name, person.contact.phone, person.tags) == ("Ana", PHONE, ("b",))
    assert person.contact.fields == {"cidade": "Salvador", "bairro": "Barra"}
    assert person.contact.revision == 2


def test_a_phone_is_changed_taken_away_and_given_again(session: Session) -> None:
    contact = create_contact(session, name="Ana", phone=PHONE)

    change_contact(session, contact.id, ContactChange(phone="+14155552671"))
    changed = [identity.value for identity in get_person(session, contact.id).identities]
    change_contact(session, contact.id, ContactChange(phone=None))

    assert changed == ["+14155552671"]
    assert get_person(session, contact.id).identities == ()
    assert create_contact(session, name="Bia", phone=PHONE).phone == PHONE


def test_a_late_message_does_not_move_the_last_one_back(session: Session) -> None:
    contact = create_contact(session, name="Ana", phone=PHONE)
    at = datetime(2026, 11, 3, tzinfo=UTC)

    record_inbound(session, contact.id, at)
    record_inbound(session, contact.id, at - timedelta(hours=1))

    assert get_person(session, contact.id).contact.last_inbound_at == at


@pytest.mark.parametrize(
    "query",
    [
        "goncalves",
        "ANA GON",
        "gon ana",
        "98000-0102",
        "0102",
        "(71) 98000",
        "71 8000-0102",
        "salva",
        "an",
        "a",
        "+55 71",
    ],
)
def test_a_person_is_found_by_a_piece_of_what_is_known(session: Session, query: str) -> None:
    create_contact(session, name="Ana Gonçalves", phone=PHONE, fields={"cidade": "Salvador"})
    create_contact(session, name="Zé Luiz", phone="+551133334444", fields={"cidade": "Recife"})

    assert names(session, search=query)[-1:] == ["Ana Gonçalves"]


@pytest.mark.parametrize(
    "query", ["goncalvez", "ana luiz", "%", "_", "\\", "98000-0103", "cidade", "' or 1=1 --"]
)
def test_a_search_finds_nothing_else(session: Session, query: str) -> None:
    create_contact(session, name="Ana Gonçalves", phone=PHONE, fields={"cidade": "Salvador"})

    page = list_contacts(session, search=query)

    assert (page.items, page.total) == ([], 0)


def test_signs_of_patterns_are_searched_as_themselves(session: Session) -> None:
    create_contact(session, name="Loja 100% Bom", phone=PHONE)
    create_contact(session, name="Loja 1000 Bom", phone="+551133334444")

    assert names(session, search="100%") == ["Loja 100% Bom"]


def test_pages_follow_each_other_without_a_gap(session: Session) -> None:
    for number in range(7):
        create_contact(session, name=f"Ana {number}", tags=["a"] if number % 2 else [])

    for asked in ({}, {"search": "ana"}, {"tag": "a"}, {"search": "ana", "tag": "a"}):
        whole = list_contacts(session, limit=200, **asked)  # type: ignore[arg-type]
        walked, after = [], None
        while True:
            page = list_contacts(session, limit=2, after=after, **asked)  # type: ignore[arg-type]
            walked += page.items
            after = page.next
            if after is None:
                break

        assert [one.contact.id for one in walked] == [one.contact.id for one in whole.items]
        assert whole.total == len(whole.items) == (3 if "tag" in asked else 7)


def test_tags_and_fields_are_counted(session: Session) -> None:
    create_contact(session, name="Ana", tags=["a", "b"], fields={"cidade": "x"})
    create_contact(session, name="Bia", tags=["b"], fields={"cidade": "y", "uf": "BA"})

    assert [(one.name, one.contacts) for one in list_tags(session)] == [("a", 1), ("b", 2)]
    assert [(one.name, one.contacts) for one in list_fields(session)] == [("cidade", 2), ("uf", 1)]


def test_an_opt_out_outlives_deletion_and_a_new_contact(session: Session) -> None:
    contact = create_contact(session, name="Ana", phone=PHONE, consent=GivenConsent("site"))
    withdraw_consent(session, contact.id, source="STOP")
    delete_contact(session, contact.id)

    again = create_contact(session, name="Ana", phone="71 8000-0102", consent=GivenConsent("planilha"))

    assert again.marketing_consent == ConsentState.WITHDRAWN
    assert find_contact(session, contact.id) is None


def test_only_a_new_word_of_the_person_takes_an_opt_out_back(session: Session) -> None:
    contact = create_contact(session, name="Ana", phone=PHONE)
    withdraw_consent(session, contact.id, source="STOP")

    set_consent(session, contact.id, state=ConsentState.GRANTED, source="VOLTAR")

    assert [word.state for word in words_of(session, contact.id)] == ["granted", "withdrawn"]
    delete_contact(session, contact.id)
    assert create_contact(session, name="Ana", phone=PHONE).marketing_consent == ConsentState.NONE


def test_a_new_number_of_somebody_who_opted_out_is_suppressed_too(session: Session) -> None:
    contact = create_contact(session, name="Ana", phone=PHONE)
    withdraw_consent(session, contact.id, source="STOP")

    change_contact(session, contact.id, ContactChange(phone="+14155552671"))
    delete_contact(session, contact.id)

    for phone in (PHONE, "+14155552671"):
        assert create_contact(session, phone=phone).marketing_consent == ConsentState.WITHDRAWN


def test_a_consent_without_a_source_is_refused(session: Session) -> None:
    contact = create_contact(session, name="Ana", phone=PHONE)

    with pytest.raises(Invalid):
        set_consent(session, contact.id, state=ConsentState.GRANTED, source="  ")


def test_another_company_sees_nobody(company: Company, stranger: Company) -> None:
    with tenant_session(company.tenant_id) as session:
        contact = create_contact(session, name="Ana", phone=PHONE, tags=["a"], fields={"uf": "BA"})
        withdraw_consent(session, contact.id, source="STOP")

    with tenant_session(stranger.tenant_id) as session:
        for search in ("", "ana", "0102"):
            page = list_contacts(session, search=search)
            assert (list(page.items), page.total) == ([], 0)
        assert list_tags(session) == list_fields(session) == []
        assert find_contact(session, contact.id) is None
        assert find_contact_by_phone(session, PHONE) is None
        with pytest.raises(NotFound):
            delete_contact(session, contact.id)
        assert create_contact(session, name="Ana", phone=PHONE).marketing_consent == ConsentState.NONE


def test_every_change_is_told(company: Company) -> None:
    with tenant_session(company.tenant_id) as session:
        contact = create_contact(session, name="Ana", phone=PHONE)
        change_contact(session, contact.id, ContactChange(name="Bia"))
        withdraw_consent(session, contact.id, source="STOP")
        delete_contact(session, contact.id)

    told = company.facts("contact.changed")

    assert [fact["revision"] for fact in told] == [1, 2, 3, 4]
    assert told[-1]["deleted"] is True
    assert len(company.facts("contact.opted_out")) == 1


@pytest.mark.parametrize("setting", ["", "00000000-0000-0000-0000-000000000000"])
def test_the_search_behind_the_policy_knows_its_tenant(company: Company, setting: str) -> None:
    with tenant_session(company.tenant_id) as session:
        create_contact(session, name="Ana", phone=PHONE)

    with tenant_session(company.tenant_id) as session:
        session.execute(text("select set_config('app.tenant_id', :tenant, true)"), {"tenant": setting})
        found = session.execute(text("select find_contacts('%ana%', '%ana%', '{}', null, null, 10)")).all()
        counted = session.scalar(text("select count_contacts('%ana%', '%ana%', '{}', null, 10)"))

    assert (found, counted) == ([], 0)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12))
def test_a_name_is_folded_alike_here_and_in_the_database(
    postgres: DatabaseUrls, migrated: object, name: str
) -> None:
    with app_engine().connect() as connection:
        stored = connection.execute(
            text("select contact_searchable(:name, null, '{}')"), {"name": name}
        ).scalar_one()

    assert fold(name).lower() == stored[1:-1].lower()
