"""Imports from the first byte to the last row: what comes in, what is merged, what is rejected and why."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.contacts.consent import GivenConsent
from engine.contacts.imports.claims import claim_import, due_imports
from engine.contacts.imports.run import BATCH_ROWS, run_import
from engine.contacts.imports.service import list_imports, place_of
from engine.contacts.models import Contact, ContactImport, ImportContact
from engine.contacts.queries import find_contact_by_phone, list_contacts
from engine.contacts.service import create_contact, delete_contact, withdraw_consent
from engine.core.db import tenant_session
from engine.core.errors import Invalid, NotFound
from engine.core.system import system_session
from tests.contacts.conftest import Company, words_of

MESSY = """Nome;Celular;Cidade;Etiquetas
 Ana  Gonçalves ;(71) 98000-0102;Salvador;vip, novo
"Silva; João";+55 71 8000-0103;;vip

;;;
Ana;71 8000 0102;;antigo|vip
Zé;12345;Recife;
Bia;;Recife;
Caio;5,57198E+12;Recife;
Davi;71980000104;Recife;x;sobra
=HYPERLINK("http://evil");71980000105;@SUM(A1);
"""


def counts(row: ContactImport) -> tuple[int, int, int, int]:
    return row.total, row.created, row.updated, row.rejected


def test_a_messy_file_comes_in_with_every_row_accounted_for(company: Company) -> None:
    row = company.bring_in(MESSY, tags=["feira"])

    assert row.status == "completed"
    assert counts(row) == (8, 3, 1, 4)
    assert company.people() == {
        "+5571980000102": ("Ana", {"cidade": "Salvador"}, ("antigo", "feira", "novo", "vip"), "none"),
        "+5571980000103": ("Silva; João", {}, ("feira", "vip"), "none"),
        "+5571980000105": ('=HYPERLINK("http://evil")', {"cidade": "@SUM(A1)"}, ("feira",), "none"),
    }


def test_rejected_rows_come_back_with_their_line_and_reason(company: Company) -> None:
    row = company.bring_in(MESSY)

    rejects = list(csv.reader(io.StringIO(company.rejects(row.id)), delimiter=";"))

    assert rejects[0] == ["Nome", "Celular", "Cidade", "Etiquetas", "line", "reason"]
    assert [(cells[0], cells[4]) for cells in rejects[1:]] == [
        ("Zé", "7"),
        ("Bia", "8"),
        ("Caio", "9"),
        ("Davi", "10"),
    ]
    assert rejects[2][5] == "There is no phone number in this row."
    assert "12345" in rejects[1][5]
    assert "last digits are lost" in rejects[3][5]
    assert "telefone" in company.rejects(row.id, "pt_BR")


def test_mended_rejects_come_in(company: Company) -> None:
    row = company.bring_in("Nome;Celular;Nota\n=Ana;123;-5\n'Bia;456;+5571980000102\nCaio;71980000104;\n")
    mended = company.rejects(row.id).replace(";123;", ";71980000102;").replace(";456;", ";71980000103;")

    again = company.bring_in(mended)

    assert counts(again) == (2, 2, 0, 0)
    assert company.people() == {
        "+5571980000102": ("=Ana", {"nota": "-5"}, (), "none"),
        "+5571980000103": ("'Bia", {"nota": "+5571980000102"}, (), "none"),
        "+5571980000104": ("Caio", {}, (), "none"),
    }


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "＝", "＋", "－", "＠"])
def test_no_rejected_cell_is_a_formula(company: Company, sign: str) -> None:
    row = company.bring_in(f'Nome;Celular\n"{sign}cmd()";none\nAna;71980000102\n')

    cells = list(csv.reader(io.StringIO(company.rejects(row.id)), delimiter=";"))[1]

    assert cells[0] == f"'{sign}cmd()"


def test_an_import_fills_in_and_never_wipes(company: Company) -> None:
    with tenant_session(company.tenant_id) as session:
        create_contact(
            session,
            name="Ana Lima",
            phone="71980000102",
            tags=["vip"],
            fields={"cidade": "Salvador", "uf": "BA"},
        )

    row = company.bring_in("nome;fone;cidade;uf;tags\n;557180000102;Recife;;novo\n")

    assert counts(row) == (1, 0, 1, 0)
    assert company.people()["+5571980000102"] == (
        "Ana Lima",
        {"cidade": "Recife", "uf": "BA"},
        ("novo", "vip"),
        "none",
    )


def test_who_opted_out_stays_opted_out_through_every_import(company: Company) -> None:
    with tenant_session(company.tenant_id) as session:
        known = create_contact(session, name="Ana", phone="71980000102")
        withdraw_consent(session, known.id, source="STOP")
        deleted = create_contact(session, name="Bia", phone="71980000103")
        withdraw_consent(session, deleted.id, source="STOP")
        delete_contact(session, deleted.id)

    company.bring_in(
        "nome;fone\nAna;71980000102\nBia;7180000103\nCaio;71980000104\n",
        consent=GivenConsent("Ficha na loja"),
    )

    states = {phone[-1]: state for phone, (_, _, _, state) in company.people().items()}
    assert states == {"2": "withdrawn", "3": "withdrawn", "4": "granted"}


def test_consent_is_recorded_once_an_import_with_its_proof(company: Company) -> None:
    twice = "nome;fone\nAna;71980000102\nAna;71980000102\n"

    company.bring_in(twice, consent=GivenConsent("Ficha na loja"))
    company.bring_in(twice, consent=GivenConsent("Ficha no site"))

    with tenant_session(company.tenant_id) as session:
        contact = find_contact_by_phone(session, "+5571980000102")
        assert contact is not None
        assert [word.source for word in words_of(session, contact.id)] == [
            "Ficha no site",
            "Ficha na loja",
        ]


def test_two_numbers_of_one_person_update_them_once(company: Company) -> None:
    with tenant_session(company.tenant_id) as session:
        contact = create_contact(session, name="Ana", phone="71980000102")
        session.connection().exec_driver_sql(
            "insert into contact_identities (id, contact_id, kind, value) values (uuidv7(), %s, 'phone', '+5571980000103')",
            (str(contact.id),),
        )

    row = company.bring_in("nome;fone;uf\nAna L;71980000103;BA\n;71980000102;SE\n")

    assert counts(row) == (2, 0, 2, 0)
    assert company.people()["+5571980000102"][:2] == ("Ana L", {"uf": "SE"})


def test_the_people_of_an_import_are_its_audience(company: Company) -> None:
    row = company.bring_in("nome;fone\nAna;71980000102\nAna;71980000102\nBia;71980000103\n")

    with tenant_session(company.tenant_id) as session:
        assert session.scalar(select(func.count()).where(ImportContact.import_id == row.id)) == 2


def test_sixty_columns_come_in_as_fields(company: Company) -> None:
    heading = ";".join(["Nome", "Fone", *[f"Campo {number}" for number in range(58)]])
    values = ";".join(["Ana", "71980000102", *[str(number) for number in range(58)]])

    company.bring_in(f"{heading}\n{values}\n")

    assert len(company.people()["+5571980000102"][1]) == 58


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"nome;cidade\nAna;Salvador\n", "no_phone_column"),
        (b"nome;fone\n", "no_rows"),
        (bytes(1_000_000), "not_a_table"),
    ],
)
def test_a_file_that_can_not_be_imported_is_refused_and_not_kept(
    company: Company, content: bytes, code: str
) -> None:
    with pytest.raises(Invalid) as raised:
        company.queue(content)

    assert raised.value.fields[0].code == code


def test_the_file_is_deleted_when_its_import_has_ended(company: Company) -> None:
    import_id = company.queue(b"nome;fone\nAna;71980000102\n")
    place = place_of(company.stand(import_id).path)
    before = place.exists()

    run_import(company.work, import_id)

    assert (before, place.exists()) == (True, False)


def test_a_file_that_is_gone_fails_in_plain_words(company: Company) -> None:
    import_id = company.queue(b"nome;fone\nAna;71980000102\n")
    place_of(company.stand(import_id).path).unlink()

    run_import(company.work, import_id)

    row = company.stand(import_id)
    assert (row.status, row.error) == ("failed", {"code": "file_gone", "values": {}})


def test_progress_is_told_with_absolute_counts(company: Company) -> None:
    row = company.bring_in("nome;fone\nAna;71980000102\nBia;x\n")

    told = company.facts("import.changed")

    assert [fact["status"] for fact in told] == ["queued", "running", "completed"]
    assert [fact["revision"] for fact in told] == sorted({fact["revision"] for fact in told})
    assert told[-1] | {"created_at": 0, "finished_at": 0} == {
        "id": str(row.id), "revision": row.revision, "filename": "people.csv", "status": "completed", "total": 2,
        "created": 1, "updated": 0, "rejected": 1, "progress": 1.0, "error": None, "created_at": 0, "finished_at": 0,
    }  # fmt: skip
    assert company.facts("contacts.changed") == [{"import_id": str(row.id), "n": 1}]


def test_an_import_is_claimed_by_one_worker_until_its_lease_ends(company: Company) -> None:
    import_id = company.queue(b"nome;fone\nAna;71980000102\n")
    with tenant_session(company.tenant_id) as session:
        first = claim_import(session, import_id)
    with tenant_session(company.tenant_id) as session:
        second = claim_import(session, import_id)
    with system_session() as session:
        due_while_held = due_imports(session)
        session.execute(update(ContactImport).values(lease_until=func.now() - timedelta(seconds=1)))
        due_after = [due.import_id for due in due_imports(session)]
    with tenant_session(company.tenant_id) as session:
        third = claim_import(session, import_id)

    assert first is not None
    assert third is not None
    assert second is None
    assert (due_while_held, due_after) == ([], [import_id])
    assert (first.epoch, third.epoch) == (1, 2)


def test_a_worker_that_was_overtaken_writes_nothing(company: Company) -> None:
    import_id = company.queue(_many(BATCH_ROWS * 2))
    asked: Iterator[int] = iter(range(10))

    def overtaken() -> bool:
        if next(asked) == 1:
            with system_session() as session:
                session.execute(update(ContactImport).values(epoch=ContactImport.epoch + 1))
        return False

    finished = run_import(company.work, import_id, is_stopping=overtaken)

    row = company.stand(import_id)
    assert not finished
    assert (row.status, row.created) == ("running", BATCH_ROWS)
    with tenant_session(company.tenant_id) as session:
        assert session.scalar(select(func.count()).select_from(Contact)) == BATCH_ROWS


def test_a_stopping_worker_gives_its_import_back_with_what_it_wrote(company: Company) -> None:
    import_id = company.queue(_many(BATCH_ROWS * 2 + 5))

    given_back = run_import(company.work, import_id, is_stopping=lambda: True)
    ended = run_import(company.work, import_id)

    assert (given_back, ended) == (False, True)
    assert counts(company.stand(import_id)) == (BATCH_ROWS * 2 + 5, BATCH_ROWS * 2 + 5, 0, 0)


def test_another_company_reaches_nothing_of_an_import(company: Company, stranger: Company) -> None:
    row = company.bring_in("nome;fone\nAna;71980000102\nBia;x\n")
    waiting = company.queue(b"nome;fone\nAna;71980000102\n")

    assert not run_import(stranger.work, waiting)
    with pytest.raises(NotFound):
        stranger.stand(row.id)
    with tenant_session(stranger.tenant_id) as session:
        assert list(list_imports(session).items) == []
        assert list_contacts(session).total == 0
    with pytest.raises(NotFound):
        stranger.rejects(row.id)


def test_the_same_people_in_two_companies_are_two(company: Company, stranger: Company) -> None:
    for one in (company, stranger):
        assert counts(one.bring_in("nome;fone\nAna;71980000102\n")) == (1, 1, 0, 0)


def _many(rows: int) -> bytes:
    lines = [f"Pessoa {number};7198{number:07d}" for number in range(rows)]
    return ("nome;fone\n" + "\n".join(lines) + "\n").encode()


def test_files_lie_in_the_folder_of_their_company(company: Company, home: Path) -> None:
    import_id = company.queue(b"nome;fone\nAna;71980000102\n", filename="../../etc/passwd")

    row = company.stand(import_id)

    assert row.filename == "passwd"
    assert place_of(row.path) == home.resolve() / "media" / "imports" / str(company.tenant_id) / str(
        import_id
    )
