"""The erasure ledger: written with each deletion and opt-out, kept on disk, read back after a restore."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select

from engine.contacts import erasures
from engine.contacts.consent import set_consent, withdraw_consent
from engine.contacts.erasure_book import Entry, append, read
from engine.contacts.erasure_replay import Replayed, erased_by, last_words, replay
from engine.contacts.erasures import ErasureEntry
from engine.contacts.models import Consent, ConsentState, Contact, Suppression
from engine.contacts.service import GivenConsent, create_contact, delete_contact
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.scheduler.jobs import JOBS
from tests.contacts.conftest import Company

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ANA, BIA = "+5511987654321", "+5511987654322"


def person(company: Company, phone: str = ANA, name: str = "Ana") -> UUID:
    with company.work.session() as session:
        return create_contact(session, name=name, phone=phone, consent=GivenConsent("form")).id


def keep(folder: Path) -> tuple[Entry, ...]:
    """Let the job run; answers with all that stands in the folder."""
    more = True
    while more:
        with system_session() as session:
            more = erasures.keep_due(session, folder)
    return read([folder]).entries


def consent_of(company: Company, contact_id: UUID) -> str | None:
    with company.work.session() as session:
        return session.scalar(select(Contact.marketing_consent).where(Contact.id == contact_id))


def forget_all_opt_outs(company: Company, *contacts: UUID) -> None:
    """As a backup that was made before them."""
    with company.work.session() as session:
        session.execute(delete(Suppression))
        for row in session.scalars(select(Contact).where(Contact.id.in_(contacts))):
            row.marketing_consent = "granted"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def test_a_deletion_and_an_opt_out_are_on_the_disk_and_then_no_longer_in_the_database(
    company: Company, folder: Path
) -> None:
    ana, bia = person(company), person(company, BIA, "Bia")
    with company.work.session() as session:
        withdraw_consent(session, ana, source="phone call")
        delete_contact(session, bia)

    entries = keep(folder)

    assert [(entry.kind, entry.contact_id) for entry in entries] == [("opted_out", ana), ("erased", bia)]
    with system_session() as session:
        assert not erasures.lines_wait(session)


def test_nobody_can_be_read_in_the_ledger(company: Company, folder: Path) -> None:
    ana = person(company)
    with company.work.session() as session:
        withdraw_consent(session, ana, source="phone call of Ana")
        delete_contact(session, ana)

    keep(folder)

    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"Ana" not in written
    assert ANA.removeprefix("+").encode() not in written
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_what_is_rolled_back_leaves_no_line(company: Company, folder: Path) -> None:
    ana = person(company)
    with company.work.session() as session:
        delete_contact(session, ana)
        session.rollback()

    assert keep(folder) == ()


def test_a_line_that_can_not_be_written_stays_in_the_database(company: Company, tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file where the folder should be")
    with company.work.session() as session:
        delete_contact(session, person(company))

    with pytest.raises(OSError), system_session() as session:  # noqa: PT011 - whatever the disk says
        erasures.keep_due(session, tmp_path / "ledger")

    with system_session() as session:
        assert erasures.lines_wait(session)


def test_a_line_that_was_written_twice_counts_once(folder: Path) -> None:
    entry = Entry(uuid4(), uuid7(), "erased", uuid7(), NOON)

    append(folder, [entry])
    append(folder, [entry])

    assert read([folder, folder]).entries == (entry,)


def test_a_line_that_a_crash_cut_off_spoils_no_other(folder: Path) -> None:
    first, second = (Entry(uuid4(), uuid7(), "erased", uuid7(), NOON) for _ in range(2))
    append(folder, [first])
    [path] = folder.iterdir()
    with path.open("ab") as file:
        file.write(b'{"id":"0198')

    append(folder, [second])

    found = read([folder])
    assert set(found.entries) == {first, second}
    assert found.cut_off == 1


def test_the_job_of_the_workers_writes_it(company: Company) -> None:
    ana = person(company)
    with company.work.session() as session:
        delete_contact(session, ana)

    with system_session() as session:
        assert JOBS["erasures"].is_due(session)
    JOBS["erasures"].work()

    with system_session() as session:
        assert not JOBS["erasures"].is_due(session)


def test_a_person_whom_the_backup_brought_back_is_deleted_again(company: Company) -> None:
    ana, bia = person(company), person(company, BIA, "Bia")

    done = replay(company.work, [Entry(company.tenant_id, uuid7(), "erased", ana, NOON)])

    assert done == Replayed(erased=1, opted_out=0, suppressed=0)
    assert consent_of(company, ana) is None
    assert consent_of(company, bia) == "granted"


def test_whoever_has_the_number_of_a_deleted_person_now_stays(company: Company, folder: Path) -> None:
    with company.work.session() as session:
        delete_contact(session, person(company))
    entries = keep(folder)
    later = person(company, ANA, "Somebody else")

    assert replay(company.work, entries).erased == 0
    assert consent_of(company, later) == "granted"


def test_two_who_were_made_one_and_deleted_are_both_deleted_again() -> None:
    kept, gone, older = uuid7(), uuid7(), uuid7()
    company = uuid4()

    entries = [
        Entry(company, uuid7(), "merged", gone, NOON, into=kept),
        Entry(company, uuid7(), "merged", kept, NOON, into=older),
        Entry(company, uuid7(), "erased", older, NOON),
    ]

    assert erased_by(entries) == {kept, gone, older}
    assert erased_by(entries[:2]) == set()


def test_an_opt_out_that_the_backup_forgot_holds_again(company: Company, folder: Path) -> None:
    ana, bia = person(company), person(company, BIA, "Bia")
    with company.work.session() as session:
        withdraw_consent(session, ana, source="phone call")
    entries = keep(folder)
    forget_all_opt_outs(company, ana)

    done = replay(company.work, entries)

    assert done == Replayed(erased=0, opted_out=1, suppressed=1)
    assert consent_of(company, ana) == "withdrawn"
    assert consent_of(company, bia) == "granted"
    with company.work.session() as session:
        word = session.scalars(
            select(Consent).where(Consent.contact_id == ana).order_by(Consent.id.desc())
        ).first()
        assert word is not None
        assert (word.state, word.source) == ("withdrawn", "erasure ledger")
    assert replay(company.work, entries) == Replayed(0, 0, 0)


def test_an_opt_out_of_a_person_whom_the_backup_does_not_know_holds_for_their_number(
    company: Company, folder: Path
) -> None:
    ana = person(company)
    with company.work.session() as session:
        withdraw_consent(session, ana, source="phone call")
    entries = keep(folder)
    with company.work.session() as session:
        delete_contact(session, ana)
        session.execute(delete(Suppression))

    done = replay(company.work, entries)

    assert (done.opted_out, done.suppressed) == (0, 1)
    assert consent_of(company, person(company)) == "withdrawn"


def test_an_opt_out_finds_whoever_has_the_number_in_the_backup(company: Company, folder: Path) -> None:
    first = person(company)
    with company.work.session() as session:
        withdraw_consent(session, first, source="phone call")
    entries = keep(folder)
    with company.work.session() as session:
        delete_contact(session, first)
    forget_all_opt_outs(company)
    other = person(company)

    assert replay(company.work, entries).opted_out == 1
    assert consent_of(company, other) == "withdrawn"


def test_who_took_an_opt_out_back_is_not_opted_out_again(company: Company, folder: Path) -> None:
    ana = person(company)
    with company.work.session() as session:
        withdraw_consent(session, ana, source="phone call")
    with company.work.session() as session:
        set_consent(session, ana, state=ConsentState.GRANTED, source="form")

    assert replay(company.work, keep(folder)) == Replayed(0, 0, 0)
    assert consent_of(company, ana) == "granted"


def test_taking_back_an_opt_out_is_not_believed_without_its_proof(company: Company, folder: Path) -> None:
    """The backup knows the opt-out, the ledger what came after it: the opt-out wins."""
    ana = person(company)
    with company.work.session() as session:
        withdraw_consent(session, ana, source="phone call")
    keep(folder)
    opted_in = Entry(company.tenant_id, uuid7(), "opted_in", ana, NOON + timedelta(days=9))

    replay(company.work, [*read([folder]).entries, opted_in])

    assert consent_of(company, ana) == "withdrawn"


@pytest.mark.parametrize("order", [sorted, lambda entries: list(reversed(entries))])
def test_of_two_words_of_one_moment_the_opt_out_counts(order: Callable[[list[str]], list[str]]) -> None:
    ana, company = uuid7(), uuid4()

    words = last_words(
        Entry(company, uuid7(), kind, ana, NOON, (b"hash",)) for kind in order(["opted_in", "opted_out"])
    )

    assert words.contacts == {ana: NOON}
    assert words.hashes == {b"hash": NOON}


def test_another_companys_people_are_left_alone(company: Company, stranger: Company, folder: Path) -> None:
    ours, theirs = person(company), person(stranger)
    with company.work.session() as session:
        withdraw_consent(session, ours, source="phone call")
        delete_contact(session, ours)

    assert replay(stranger.work, keep(folder)).erased == 0
    assert consent_of(stranger, theirs) == "granted"


def test_a_line_can_not_be_taken_back_by_who_wrote_it(company: Company) -> None:
    with company.work.session() as session:
        delete_contact(session, person(company))

    with pytest.raises(Exception, match="permission denied"), company.work.session() as session:
        session.execute(delete(ErasureEntry))
