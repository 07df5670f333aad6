"""An old month of messages into files and out of the database: compared first, nothing dangles, screens are whole."""

import csv
import gzip
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from engine.api.recipients_csv import recipients_csv
from engine.api.schemas.campaigns import RecipientAnswer
from engine.api.schemas.conversations import ConversationPage, MessagePage
from engine.campaigns import queries, service
from engine.cli import months
from engine.cli.app import app, sentence_of
from engine.core.bootstrap import DatabaseUrls
from engine.core.clock import now
from engine.core.errors import Invalid
from engine.core.ids import uuid7
from engine.core.system import system_session
from engine.messaging import conversations, old_months
from engine.messaging.channels.base import InboundMessage, SenderIdentity, StatusReceipt
from engine.messaging.counters import Steps
from engine.messaging.inbound import receive
from engine.messaging.models import Channel, Message, MessageState
from engine.messaging.old_months import Month
from engine.messaging.receipts import apply_receipts
from engine.messaging.storage import media_store
from tests.campaigns.test_campaigns import begin, end_calls, look
from tests.workshop import Shop, add_people, messages_of, open_shop

LOW_BITS = (1 << 80) - 1  # of an id, below its moment
OLD = 15  # months ago

# Rows that point at a message which is not there.
DANGLING = """
select 'recipient' from campaign_recipients r
where r.message_id is not null and not exists (select from messages m where m.id = r.message_id)
union all
select 'name' from provider_messages k where not exists (select from messages m where m.id = k.message_id)
union all
select 'attempt' from send_attempts a where not exists (select from messages m where m.id = a.message_id)
union all
select 'file' from media_files f where not exists (select from messages m where m.id = f.message_id)
union all
select 'thread' from conversations c
where c.last_message_id is not null and not exists (select from messages m where m.id = c.last_message_id)
"""


@pytest.fixture
def month(database: DatabaseUrls, superuser_url: str) -> Iterator[Month]:
    """The old month, which has a table like any other."""
    day = now().date().replace(day=1)
    for _ in range(OLD):
        day = (day - timedelta(days=1)).replace(day=1)
    found = Month.holding(day)
    with system_session() as session:
        session.execute(text("select ensure_message_partition(:day)"), {"day": day})
    yield found
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(f"drop table if exists {found.partition}")


@pytest.fixture
def shop(month: Month) -> Shop:
    """A company that wrote to eight people in that month, of whom Ana answered with a picture."""
    shop = open_shop()
    add_people(shop, 8)
    campaign_id = begin(shop)
    for state, amount in ((MessageState.ACCEPTED, 5), (MessageState.FAILED, 2), (MessageState.UNKNOWN, 1)):
        end_calls(shop, state, amount)
    assert look(shop, campaign_id)[0] == "completed"
    keys = [message.id for message in messages_of(shop) if message.state == MessageState.ACCEPTED]
    with shop.work.session() as session:
        words = [StatusReceipt("1029", f"wamid.{key}", "read", now(), send_key=key) for key in keys[:3]]
        apply_receipts(session, shop.channel_id, words)
        session.execute(
            text(
                "update messages set reason_code = 'refused', reason = '{\"provider_code\": \"131000\"}'"
                " where state = 'failed'"
            )
        )
    answer(shop, "Quero, sim", picture=b"a picture")
    put_back(shop, month)
    return shop


def answer(shop: Shop, words: str, *, kind: str = "text", picture: bytes = b"") -> UUID:
    """The first person writes, perhaps with a picture."""
    message = InboundMessage(
        "1029",
        f"wamid.{uuid7()}",
        SenderIdentity(phone="+5511900000000", name="Ana"),
        kind,
        now(),
        text=words,
    )
    with shop.work.session() as session:
        steps = Steps()
        channel = session.scalars(select(Channel)).one()
        message_id = receive(session, channel, message, steps)
        steps.write(session)
    assert message_id is not None
    if picture:
        keep_file(shop, message_id, picture)
    return message_id


def keep_file(shop: Shop, message_id: UUID, content: bytes) -> None:
    key = f"{shop.tenant_id}/202509/{uuid7().hex}"
    draft = months.settings().media_dir / "draft"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(content)
    media_store().put(key, draft)
    with shop.work.session() as session:
        session.execute(
            text(
                "insert into media_files (id, channel_id, message_id, provider_media_id, status, path)"
                " values (:id, :channel, :message, '1', 'stored', :path)"
            ),
            {"id": uuid7(), "channel": shop.channel_id, "message": message_id, "path": key},
        )


def stored(shop: Shop) -> list[Path]:
    """The company's files in the store."""
    folder = months.settings().media_dir / str(shop.tenant_id)
    return [path for path in folder.rglob("*") if path.is_file()]


POINTERS = (
    "update messages set id = :new where id = :old",
    "update provider_messages set message_id = :new where message_id = :old",
    "update campaign_recipients set message_id = :new where message_id = :old",
    "update send_attempts set message_id = :new where message_id = :old",
    "update media_files set message_id = :new where message_id = :old",
    "update conversations set last_message_id = :new where last_message_id = :old",
)


def put_back(shop: Shop, month: Month) -> None:
    """All that was written is of that month: its ids say so."""
    moment = int(datetime(month.year, month.number, 15, tzinfo=UTC).timestamp() * 1000)
    with shop.work.session() as session:
        for old in session.scalars(select(Message.id)).all():
            new = UUID(int=(moment << 80) | (old.int & LOW_BITS))
            for statement in POINTERS:
                session.execute(text(statement), {"old": old, "new": new})


def run(command: str, month: Month, folder: Path, *more: str) -> tuple[int, str]:
    """The operator's command; its exit code and what it said."""
    option = "--into" if command == "export-month" else "--from"
    done = CliRunner().invoke(app, [command, str(month), option, str(folder), *more])
    if isinstance(done.exception, months.MonthRefused):
        return 1, sentence_of(done.exception)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def files_in(folder: Path, month: Month) -> Path:
    return folder / f"messages-{month}"


def rows_in(folder: Path, month: Month, table: str) -> list[dict[str, str]]:
    with gzip.open(files_in(folder, month) / f"{table}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def dangling(superuser_url: str) -> list[str]:
    with psycopg.connect(superuser_url) as connection:
        return [what for (what,) in connection.execute(DANGLING).fetchall()]


def has_table(month: Month) -> bool:
    with system_session() as session:
        return old_months.has_partition(session, month)


def screens(shop: Shop) -> dict[str, Any]:
    """What people see of the campaign, but for the times of each message, which go."""
    with shop.work.session() as session:
        campaign = session.scalars(select(queries.Campaign)).one()
        people = {
            state: [
                (answer.phone, answer.state, answer.reason)
                for person in queries.list_recipients(session, campaign, state=state).items
                for answer in [RecipientAnswer.of(person, "en")]
            ]
            for state in (None, "read", "failed", "unknown", "skipped")
        }
        failures = {tuple(row) for row in queries.failures_of(session, campaign)}
        lines = "".join(recipients_csv(shop.work, campaign.id, state="failed", locale="en")).splitlines()
        return {
            "people": people,
            "failures": failures,
            "exclusions": queries.exclusions_of(session, campaign),
            "csv": [line.split(",")[:4] for line in lines],
            "counts": look(shop, campaign.id),
        }


def test_no_column_points_at_messages_that_a_drop_does_not_know_of(superuser_url: str, month: Month) -> None:
    """Whoever adds one says what becomes of it when its message goes, and adds it to `DANGLING` above."""
    with psycopg.connect(superuser_url) as connection:
        found = connection.execute(
            """select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
               where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and not a.attisdropped
                 and a.atttypid = 'uuid'::regtype and a.attname like '%message%'"""
        ).fetchall()

    assert {name for (name,) in found} == {
        "campaign_recipients.message_id",
        "conversations.last_message_id",
        "media_files.message_id",
        "provider_messages.message_id",
        "send_attempts.message_id",
    }


def test_an_old_month_goes_into_files_and_nothing_that_is_left_points_at_it(
    shop: Shop, month: Month, tmp_path: Path, superuser_url: str
) -> None:
    before = screens(shop)
    today = answer(shop, "Oi de novo")
    store = stored(shop)

    exported = run("export-month", month, tmp_path)
    dropped = run("drop-month", month, tmp_path, "--yes")

    assert (exported[0], dropped[0]) == (0, 0), (exported, dropped)
    assert not has_table(month)
    assert dangling(superuser_url) == []
    with shop.work.session() as session:
        assert list(session.scalars(select(Message.id))) == [today]
    assert screens(shop) == before
    assert before["failures"] == {("failed", "refused", "131000", 2), ("unknown", None, None, 1)}
    assert [len(found) for found in before["people"].values()] == [8, 3, 2, 1, 0]
    assert len(store) == 1
    assert not store[0].exists()


def test_the_files_hold_all_that_belongs_to_the_month(shop: Shop, month: Month, tmp_path: Path) -> None:
    run("export-month", month, tmp_path)

    folder = files_in(tmp_path, month)
    manifest = json.loads((folder / "manifest.json").read_text())
    amounts = {table["table"]: table["rows"] for table in manifest["tables"]}
    assert amounts == {
        "messages": 9,
        "provider_messages": 6,
        "send_attempts": 3,
        "media_files": 1,
        "template_snapshots": 1,
        "campaign_recipients": 8,
    }
    said = {row["body"] for row in rows_in(tmp_path, month, "messages")}
    assert said == {"", "Quero, sim"}
    with tarfile.open(folder / "media.tar") as archive:
        [entry] = archive.getmembers()
        kept = archive.extractfile(entry)
        assert kept is not None
        assert kept.read() == b"a picture"
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert (folder.stat().st_mode & 0o777, modes) == (0o700, {0o600})


def test_a_thread_whose_messages_are_gone_is_empty_and_goes_on(
    shop: Shop, month: Month, tmp_path: Path
) -> None:
    run("export-month", month, tmp_path)
    run("drop-month", month, tmp_path, "--yes")

    with shop.work.session() as session:
        threads = ConversationPage.of(conversations.list_conversations(session))
        [thread] = threads.items
        words = MessagePage.of(conversations.list_messages(session, thread.id), "en")
        conversations.mark_read(session, thread.id)
    assert (thread.last_message, thread.unread, words.items) == (None, 0, [])

    answer(shop, "👍", kind="reaction")
    with shop.work.session() as session:
        [thread] = ConversationPage.of(conversations.list_conversations(session)).items
    assert thread.last_message is not None
    assert thread.last_message.text == "👍"

    answer(shop, "Vocês estão aí?")
    with shop.work.session() as session:
        [thread] = ConversationPage.of(conversations.list_conversations(session)).items
    assert thread.last_message is not None
    assert (thread.last_message.text, thread.unread) == ("Vocês estão aí?", 1)


def test_what_comes_late_for_a_message_that_is_gone_does_no_harm(
    shop: Shop, month: Month, tmp_path: Path
) -> None:
    with shop.work.session() as session:
        key = session.scalars(select(Message.id).where(Message.state == "accepted").limit(1)).one()
        campaign_id = session.scalars(select(queries.Campaign.id)).one()
    run("export-month", month, tmp_path)
    run("drop-month", month, tmp_path, "--yes")

    with shop.work.session() as session:
        late = StatusReceipt("1029", f"wamid.{key}", "read", now(), send_key=key)
        outcome = apply_receipts(session, shop.channel_id, [late])
    with shop.work.session() as session, pytest.raises(Invalid) as refused:
        service.retry_failed(session, campaign_id)

    assert (outcome.changed, outcome.parked) == (0, 1)
    assert refused.value.code == "failed_put_away"
    assert look(shop, campaign_id)[0] == "completed"


def test_a_month_that_changed_since_its_export_is_not_dropped(
    shop: Shop, month: Month, tmp_path: Path
) -> None:
    run("export-month", month, tmp_path)
    changes = (
        """insert into provider_messages (channel_id, provider_id, message_id)
           select channel_id, 'wamid.new', id from messages limit 1""",
        "update messages set address = '', body = null",
        "update messages set state = 'queued' where state = 'failed'",
    )

    said = []
    for change in changes:
        with shop.work.session() as session:
            session.execute(text(change))
        said.append(run("drop-month", month, tmp_path, "--yes"))
        with shop.work.session() as session:
            session.execute(text("delete from provider_messages where provider_id = 'wamid.new'"))

    assert [code for code, _ in said] == [1, 1, 1]
    assert "provider_messages of" in said[0][1]
    assert "changed since the export" in said[0][1]
    assert said[1][1].startswith(f"messages of {month} changed since the export")
    assert said[2][1].startswith(f"2 messages of {month} still wait to be sent")
    assert has_table(month)


def test_an_export_that_is_damaged_or_incomplete_drops_nothing(
    shop: Shop, month: Month, tmp_path: Path
) -> None:
    run("export-month", month, tmp_path)
    names = ("messages.csv.gz", "media.tar", "campaign_recipients.csv.gz", "manifest.json")

    said = []
    for name in names:
        path = files_in(tmp_path, month) / name
        whole = path.read_bytes()
        for content in (whole[:40] + b"?" + whole[41:], None):
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            said.append((name, run("drop-month", month, tmp_path, "--yes")))
            path.write_bytes(whole)

    assert [code for _, (code, _) in said] == [1] * 2 * len(names)
    assert [name for name, (_, words) in said if name not in words and "no export" not in words] == []
    assert has_table(month)


def test_a_young_month_stays_and_so_does_one_without_an_export(month: Month, tmp_path: Path) -> None:
    current = Month.holding(now().date())
    said = [
        run("drop-month", month, tmp_path, "--yes"),
        run("drop-month", month, tmp_path, "--yes", "--kept-months", "15"),
        run("drop-month", month, tmp_path, "--yes", "--kept-months", "1"),
        run("export-month", current, tmp_path),
    ]

    assert [code for code, _ in said] == [1, 1, 2, 1]
    assert "There is no export" in said[0][1]
    assert "not 15 whole months old" in said[1][1]
    assert "is not over yet" in said[3][1]
    assert has_table(month)


def test_who_names_the_export_itself_hears_to_name_the_folder_above(month: Month, tmp_path: Path) -> None:
    run("export-month", month, tmp_path)

    code, told = run("drop-month", month, files_in(tmp_path, month), "--yes")

    assert code == 1
    assert told.endswith("is an export itself: name the folder above it.")
    assert has_table(month)


def test_a_month_is_not_dropped_by_who_does_not_say_yes(month: Month, tmp_path: Path) -> None:
    run("export-month", month, tmp_path)

    said_no = CliRunner().invoke(app, ["drop-month", str(month), "--from", str(tmp_path)], input="n\n")

    assert said_no.exit_code == 1
    assert f"Delete the 0 messages of {month}" in said_no.output
    assert has_table(month)


def test_a_second_export_does_not_overwrite_the_first(month: Month, tmp_path: Path) -> None:
    run("export-month", month, tmp_path)

    code, said = run("export-month", month, tmp_path)

    assert code == 1
    assert "holds an export already" in said


def test_a_file_that_the_store_lost_is_not_passed_over_in_silence(
    shop: Shop, month: Month, tmp_path: Path
) -> None:
    [file] = stored(shop)
    file.unlink()

    refused = run("export-month", month, tmp_path)
    anyway = run("export-month", month, tmp_path, "--without-lost-files")

    assert refused[0] == 1
    assert "1 files that people sent" in refused[1]
    assert anyway[0] == 0
    assert "1 lost" in anyway[1]


def test_a_drop_that_was_killed_goes_on_when_it_is_run_again(
    shop: Shop, month: Month, tmp_path: Path, superuser_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = screens(shop)
    run("export-month", month, tmp_path)
    with monkeypatch.context() as moment:
        moment.setattr(old_months, "PAGE", 2)
        moment.setattr(old_months, "drop", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run("drop-month", month, tmp_path, "--yes")
    halfway = (screens(shop), dangling(superuser_url), has_table(month))

    code, _ = run("drop-month", month, tmp_path, "--yes")

    assert halfway == (before, [], True)
    assert code == 0
    assert (screens(shop), dangling(superuser_url), has_table(month)) == (before, [], False)


def test_nobody_stands_still_behind_a_drop_that_has_to_wait(
    shop: Shop, month: Month, tmp_path: Path, superuser_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_months, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(months, "BREATH_SECONDS", 0.05)
    monkeypatch.setattr(months, "PATIENCE_SECONDS", 0.5)
    run("export-month", month, tmp_path)

    with psycopg.connect(superuser_url) as reader:
        reader.execute("select count(*) from messages")  # and its transaction goes on
        code, said = run("drop-month", month, tmp_path, "--yes")
    answer(shop, "ainda funciona")
    again, _ = run("drop-month", month, tmp_path, "--yes")

    assert code == 1
    assert "was in use all the time" in said
    assert again == 0
    assert not has_table(month)


def test_another_companys_rows_and_other_months_stay(
    shop: Shop, month: Month, tmp_path: Path, superuser_url: str
) -> None:
    other = open_shop()
    add_people(other, 2)
    begin(other)
    before = [message.id for message in messages_of(other)]

    run("export-month", month, tmp_path)
    run("drop-month", month, tmp_path, "--yes")

    assert [message.id for message in messages_of(other)] == before
    assert dangling(superuser_url) == []
    with other.work.session() as session:
        pointed = session.execute(
            text("select count(*) from campaign_recipients where message_id is not null")
        )
        assert pointed.scalar_one() == 2


@pytest.mark.parametrize("written", ["2025-13", "202509", "2025-9", "september"])
def test_a_month_is_written_as_year_and_month(written: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["export-month", written, "--into", str(tmp_path)])

    assert refused.exit_code == 2
    assert "write it as 2026-09" in refused.output
