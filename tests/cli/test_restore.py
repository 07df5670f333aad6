"""`masteria restore` from the operator's side: what it refuses, what it does to all companies, what it says."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from engine.accounts.service import create_company
from engine.campaigns import freezing, service
from engine.campaigns.models import Campaign
from engine.cli.app import app, sentence_of
from engine.cli.restore import run_restore
from engine.cli.restored import RestoreRefused, database_of
from engine.contacts.erasure_book import Entry, append
from engine.contacts.models import Contact
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import app_engine
from engine.core.ids import TenantId, uuid7
from engine.core.settings import new_key, project_root, settings
from engine.core.system import system_engine, system_session
from engine.messaging.models import Message
from tests.walks.stack import eventually
from tests.workshop import Shop, add_people, messages_of, open_shop

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An erasure ledger of this test."""
    monkeypatch.setenv("MASTERIA_LEDGER_DIR", str(tmp_path / "ledger"))
    settings.cache_clear()
    yield tmp_path / "ledger"
    settings.cache_clear()


@pytest.fixture
def shop(database: DatabaseUrls, ledger: Path) -> Shop:
    """A company that the operator made, with a campaign under way."""
    with system_session() as session:
        made = create_company(session, name="Loja", slug=None, time_zone="UTC", locale="en", country="BR")
    shop = open_shop(tenant_id=TenantId(made.id))
    add_people(shop, 3)
    with shop.work.session() as session:
        campaign = service.create_campaign(
            session,
            name="Natal",
            channel_id=shop.channel_id,
            template_id=shop.template_id,
            audience={"all": True},
            variables={"body.1": "contact.name"},
        )
        service.start(session, campaign.id)
    freezing.freeze(shop.work, campaign.id)
    return shop


def restore(*words: str, said: str | None = None) -> tuple[int, str]:
    """`masteria restore`, while nobody else is connected; answers with its exit code and what it said."""
    app_engine().dispose()
    system_engine().dispose()
    done = CliRunner().invoke(app, ["restore", *words], input=said)
    if isinstance(done.exception, RestoreRefused):
        return 1, sentence_of(done.exception)
    return done.exit_code, done.output


def figure(told: str, name: str) -> int:
    """A figure of the table."""
    [line] = [line for line in told.splitlines() if line.strip().startswith(name)]
    return int(line.split()[-1].replace(",", ""))


def contacts_of(shop: Shop) -> list[UUID]:
    with shop.work.session() as session:
        return list(session.scalars(select(Contact.id).order_by(Contact.id)))


def how_it_stands(shop: Shop) -> tuple[str, set[str]]:
    """The campaign's status, and its messages' states."""
    with shop.work.session() as session:
        status = session.scalars(select(Campaign.status)).one()
    return status, {message.state for message in messages_of(shop)}


def test_all_of_it_is_done_and_told_and_a_second_time_there_is_nothing_to_do(
    shop: Shop, ledger: Path
) -> None:
    gone, *_ = contacts_of(shop)
    append(ledger, [Entry(shop.tenant_id, uuid7(), "erased", gone, NOON)])

    code, told = restore("--yes")
    again = restore("--yes")[1]

    assert code == 0, told
    assert figure(told, "campaigns that now wait for a person") == 1
    assert figure(told, "messages that are now unknown") == 3
    assert figure(told, "people deleted again") == 1
    assert gone not in contacts_of(shop)
    assert [figure(again, name) for name in ("campaigns", "messages", "people deleted")] == [0, 0, 0]


def test_the_words_written_with_a_deleted_person_are_gone_before_anything_opens(
    shop: Shop, ledger: Path
) -> None:
    gone, *_ = contacts_of(shop)
    append(ledger, [Entry(shop.tenant_id, uuid7(), "erased", gone, NOON)])

    restore("--yes")

    with shop.work.session() as session:
        [message] = session.scalars(select(Message).where(Message.contact_id == gone))
    assert (message.address, message.params) == ("", None)


def test_lines_that_the_database_still_holds_are_read_too(shop: Shop) -> None:
    first, *_ = contacts_of(shop)
    with shop.work.session() as session:
        session.connection().exec_driver_sql(
            "insert into erasure_ledger (id, kind, contact_id, hashes) values (uuidv7(), 'erased', %(id)s, '{}')",
            {"id": first},
        )

    told = restore("--yes")[1]

    assert figure(told, "people deleted again") == 1


def test_another_machines_ledger_is_read_when_it_is_named(shop: Shop, tmp_path: Path) -> None:
    first, *_ = contacts_of(shop)
    append(tmp_path / "other", [Entry(shop.tenant_id, uuid7(), "erased", first, NOON)])

    told = restore("--yes", "--ledger", str(tmp_path / "other"))[1]

    assert figure(told, "people deleted again") == 1


def test_an_empty_ledger_is_said_with_its_folder(shop: Shop, ledger: Path) -> None:
    assert f"Nothing stands in the erasure ledger ({ledger})" in restore("--yes")[1]


def test_nothing_is_touched_while_the_product_runs(shop: Shop, database: DatabaseUrls) -> None:
    with psycopg.connect(database.system):
        code, told = restore("--yes")

    assert code == 1
    assert "Master IA runs on this database. Stop its API and its workers everywhere" in told
    assert {message.state for message in messages_of(shop)} == {"queued"}


def test_a_folder_that_holds_no_ledger_is_refused(shop: Shop, tmp_path: Path) -> None:
    code, told = restore("--yes", "--ledger", str(tmp_path))

    assert (code, told) == (
        1,
        f"No erasure ledger lies in {tmp_path}: name the folder of its erasures-….jsonl.",
    )
    assert {message.state for message in messages_of(shop)} == {"queued"}


def test_a_ledger_that_cannot_be_read_stops_it_before_anything_is_done(shop: Shop, ledger: Path) -> None:
    (ledger / "erasures-2026-11.jsonl").mkdir(parents=True)

    code, told = restore("--yes")

    assert code == 1
    assert told.startswith("The erasure ledger can't be read: ")
    assert {message.state for message in messages_of(shop)} == {"queued"}


def test_a_file_that_is_no_ledger_is_said_with_its_folder(shop: Shop, ledger: Path) -> None:
    ledger.mkdir()
    (ledger / "erasures-2026-11.jsonl").write_text("name,phone\nAna,1\n")

    told = restore("--yes")[1]

    assert "None of the 2 lines in the erasure ledger can be read" in told
    assert str(ledger) in told


def test_lines_of_companies_that_are_not_there_are_counted(shop: Shop, ledger: Path) -> None:
    append(ledger, [Entry(uuid7(), uuid7(), "erased", uuid7(), NOON)])

    assert figure(restore("--yes")[1], "of them of companies not in this database") == 1


def test_another_master_key_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTERIA_MASTER_KEY", new_key())
    settings.cache_clear()

    code, told = restore("--yes")

    assert code == 1
    assert told.startswith("This database was written under another MASTERIA_MASTER_KEY")
    assert {message.state for message in messages_of(shop)} == {"queued"}


def test_killed_in_the_middle_it_is_brought_to_its_end_by_a_second_run(
    shop: Shop, database: DatabaseUrls
) -> None:
    app_engine().dispose()
    system_engine().dispose()
    with psycopg.connect(database.owner) as owner:
        owner.execute("lock table messages in access exclusive mode")  # it comes as far as that
        first = subprocess.Popen([sys.executable, "-m", "engine.cli", "restore", "--yes"], cwd=project_root())
        eventually(
            lambda: owner.execute(
                """select 1 from pg_locks l join pg_stat_activity a using (pid)
                   where not l.granted and a.datname = current_database()"""
            ).fetchone(),
            why="it never came to the messages",
        )
        first.kill()
        first.wait()
    halfway = how_it_stands(shop)

    code, told = restore("--yes")

    assert code == 0, told
    assert halfway == ("pausing", {"queued"})
    assert how_it_stands(shop) == ("paused", {"unknown"})
    assert [figure(told, name) for name in ("campaigns", "messages")] == [1, 3]


def test_it_asks_first(shop: Shop) -> None:
    assert restore(said="n\n")[0] == 1
    assert {message.state for message in messages_of(shop)} == {"queued"}


def test_the_rest_of_an_audience_is_left_when_the_operator_says_so(shop: Shop) -> None:
    with shop.work.session() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.frozen_at, campaign.unfinished = None, True

    restore("--yes", "--rest-was-not-sent")

    with shop.work.session() as session:
        assert session.scalars(select(Campaign.pause_reason)).one() == "restored_rest"


def test_a_home_without_a_database_is_not_given_an_empty_one(
    tmp_path: Path, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", "_SYSTEM", "_OWNER"):
        monkeypatch.delenv(f"MASTERIA_DATABASE{name}_URL")
    monkeypatch.setenv("MASTERIA_HOME", str(tmp_path))
    settings.cache_clear()

    with pytest.raises(RestoreRefused, match="put the base backup there"), database_of(settings()):
        run_restore()

    assert not (tmp_path / "postgres").exists()
    monkeypatch.undo()
    settings.cache_clear()
