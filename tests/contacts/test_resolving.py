"""Who wrote: found by what a provider shows, and two contacts that are one person are made one."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from engine.contacts.consent import GivenConsent
from engine.contacts.identities import Identity, bsuid_identity, phone_identity
from engine.contacts.models import ConsentState, IdentityKind
from engine.contacts.queries import find_contact, get_person
from engine.contacts.resolving import change_identity, resolve_contact
from engine.contacts.service import create_contact, withdraw_consent
from tests.contacts.conftest import words_of

type Repoint = Callable[[Session, UUID, UUID], None]
type Moved = list[tuple[UUID, UUID]]

PHONE = phone_identity("+557180000102", alias="557180000102")
OTHER_PHONE = phone_identity("+5571988887777")
BSUID = bsuid_identity("BR.1502576394655843", portfolio="waba-1")
OTHER_BSUID = bsuid_identity("BR.9", portfolio="waba-1")
USERNAME = Identity(IdentityKind.USERNAME, "ana", scope="waba-1")


def values(session: Session, contact_id: UUID) -> set[str]:
    return {identity.value for identity in get_person(session, contact_id).identities}


def test_an_unknown_person_is_made_and_found_again(session: Session, repoint: Repoint) -> None:
    made = resolve_contact(session, [BSUID, PHONE], name="Ana", repoint=repoint)

    again = [resolve_contact(session, shown, repoint=repoint) for shown in ([BSUID], [PHONE], [PHONE, BSUID])]

    assert made.created
    assert [(found.contact_id, found.created) for found in again] == [(made.contact_id, False)] * 3
    assert get_person(session, made.contact_id).contact.phone == "+5571980000102"


def test_somebody_imported_by_phone_gets_their_user_id(
    session: Session, repoint: Repoint, moved: Moved
) -> None:
    contact = create_contact(session, name="Ana da planilha", phone="71 98000-0102")

    found = resolve_contact(session, [BSUID, PHONE], name="~ana~", repoint=repoint)

    assert (found.contact_id, moved) == (contact.id, [])
    assert get_person(session, contact.id).contact.name == "Ana da planilha"
    assert values(session, contact.id) == {PHONE.value, BSUID.value}


@pytest.mark.parametrize("first", ["phone", "bsuid"])
def test_two_contacts_that_turn_out_to_be_one_are_merged_into_the_older(
    session: Session, repoint: Repoint, moved: Moved, first: str
) -> None:
    older, younger = ([PHONE], [BSUID]) if first == "phone" else ([BSUID], [PHONE])
    kept = resolve_contact(session, older, repoint=repoint).contact_id
    gone = resolve_contact(session, younger, name="Ana", repoint=repoint).contact_id

    found = resolve_contact(session, [BSUID, PHONE], repoint=repoint)

    assert (found.contact_id, found.merged, moved) == (kept, (gone,), [(kept, gone)])
    assert find_contact(session, gone) is None
    person = get_person(session, kept)
    assert (person.contact.name, person.contact.phone) == ("Ana", PHONE.value)
    assert values(session, kept) == {PHONE.value, BSUID.value}


def test_a_merge_keeps_what_both_had(session: Session, repoint: Repoint) -> None:
    by_phone = create_contact(
        session, name="Ana", phone=PHONE.value, tags=["a"], fields={"uf": "BA"}, consent=GivenConsent("site")
    )
    by_id = resolve_contact(session, [BSUID], repoint=repoint).contact_id
    withdraw_consent(session, by_id, source="STOP")

    resolve_contact(session, [BSUID, PHONE], repoint=repoint)

    person = get_person(session, by_phone.id)
    assert (person.tags, person.contact.fields) == (("a",), {"uf": "BA"})
    assert person.contact.marketing_consent == ConsentState.WITHDRAWN
    assert [word.state for word in words_of(session, by_phone.id)] == ["withdrawn", "granted"]


def test_a_number_that_changed_hands_is_not_a_reason_to_merge(
    session: Session, repoint: Repoint, moved: Moved
) -> None:
    former = resolve_contact(session, [BSUID, PHONE], name="Ana", repoint=repoint).contact_id

    now = resolve_contact(session, [OTHER_BSUID, PHONE], name="Bia", repoint=repoint)

    assert now.created
    assert moved == []
    assert get_person(session, former).contact.phone is None
    assert values(session, former) == {BSUID.value}
    assert values(session, now.contact_id) == {OTHER_BSUID.value, PHONE.value}


def test_a_new_number_is_shown_and_the_old_one_still_known(session: Session, repoint: Repoint) -> None:
    contact = resolve_contact(session, [BSUID, PHONE], repoint=repoint).contact_id

    resolve_contact(session, [BSUID, OTHER_PHONE], repoint=repoint)

    assert get_person(session, contact).contact.phone == OTHER_PHONE.value
    assert values(session, contact) == {BSUID.value, PHONE.value, OTHER_PHONE.value}


def test_the_same_user_id_in_another_portfolio_is_another_person(session: Session, repoint: Repoint) -> None:
    first = resolve_contact(session, [BSUID], repoint=repoint)

    second = resolve_contact(session, [bsuid_identity(BSUID.value, portfolio="waba-2")], repoint=repoint)

    assert second.created
    assert first.contact_id != second.contact_id


def test_a_username_does_not_join_two_people(session: Session, repoint: Repoint) -> None:
    first = resolve_contact(session, [USERNAME, BSUID], repoint=repoint)

    second = resolve_contact(session, [USERNAME, OTHER_BSUID], repoint=repoint)

    assert second.created
    assert values(session, first.contact_id) == {BSUID.value}


def test_a_person_who_opted_out_under_one_identity_has_under_all(session: Session, repoint: Repoint) -> None:
    gone = create_contact(session, name="Ana", phone=PHONE.value)
    withdraw_consent(session, gone.id, source="STOP")
    by_id = resolve_contact(session, [BSUID], repoint=repoint)

    found = resolve_contact(session, [BSUID, PHONE], repoint=repoint)

    assert by_id.contact_id in found.merged
    assert get_person(session, found.contact_id).contact.marketing_consent == ConsentState.WITHDRAWN


def test_a_new_user_id_and_phone_follow_the_person(session: Session, repoint: Repoint) -> None:
    contact = resolve_contact(session, [BSUID, PHONE], repoint=repoint).contact_id

    changed = change_identity(session, BSUID, [OTHER_BSUID, OTHER_PHONE], repoint=repoint)

    assert changed is not None
    assert changed.contact_id == contact
    assert values(session, contact) == {OTHER_BSUID.value, PHONE.value, OTHER_PHONE.value}
    assert change_identity(session, BSUID, [OTHER_BSUID], repoint=repoint) is None


def test_a_person_who_is_shown_by_what_they_keep_and_by_an_older_contact_is_made_one_with_it(
    session: Session, repoint: Repoint
) -> None:
    older = resolve_contact(session, [OTHER_BSUID], repoint=repoint).contact_id
    newer = resolve_contact(session, [BSUID, PHONE], repoint=repoint).contact_id

    changed = change_identity(session, BSUID, [OTHER_BSUID, PHONE], repoint=repoint)

    assert changed is not None
    assert (changed.contact_id, list(changed.merged)) == (older, [newer])
    assert values(session, older) == {OTHER_BSUID.value, PHONE.value}
