"""What runs by the clock: partitions made ahead, lost ranges taken over, what is old cleared away."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
from sqlalchemy import select, text

from engine.accounts.models import Company
from engine.campaigns.models import Campaign, CampaignPulse
from engine.core.bootstrap import DatabaseUrls
from engine.core.ids import uuid7, uuid7_at
from engine.core.system import system_session
from engine.messaging.ledger import enqueue
from engine.messaging.models import Channel, Gate, Lane, Origin, SendAttempt
from engine.messaging.wirebook import WireBook, books_of_the_dead
from engine.scheduler import queues
from engine.scheduler.jobs import JOBS
from engine.scheduler.timetable import TIMETABLE
from tests.workshop import Shop, messages_of, open_shop


def month_ahead(months: int) -> str:
    today = datetime.now(UTC)
    count = today.year * 12 + today.month - 1 + months
    return f"messages_{count // 12:04d}{count % 12 + 1:02d}"


def queue_one(shop: Shop) -> None:
    with shop.work.session() as session:
        enqueue(
            session,
            channel_id=shop.channel_id,
            contact_id=None,
            address="+5571980000102",
            kind="text",
            origin=Origin.AGENT,
            body="Oi",
            lane=Lane.REPLY,
        )


def test_every_job_has_a_queue_and_every_bell_of_the_timetable_a_job() -> None:
    assert {job.queue for job in JOBS.values()} <= set(queues.ALL)
    assert {entry["args"][0]: entry["options"]["queue"] for entry in TIMETABLE.values()} == {
        name: JOBS[name].queue for name in ("partitions", "clear")
    }


def test_months_to_come_get_their_partition_before_they_come(
    database: DatabaseUrls, superuser_url: str
) -> None:
    wanted = {month_ahead(months) for months in range(4)}
    with psycopg.connect(superuser_url) as connection:
        connection.execute(f"drop table {month_ahead(3)}")

    JOBS["partitions"].work()
    JOBS["partitions"].work()

    with psycopg.connect(superuser_url) as connection:
        made = {name for (name,) in connection.execute("select relname from pg_class where relispartition")}
        [(granted,)] = connection.execute(
            "select has_table_privilege('masteria_app', %s, 'select')", (month_ahead(3),)
        ).fetchall()
    assert made >= wanted
    assert not granted


def test_a_range_whose_holder_is_gone_is_free_again_for_each_company(database: DatabaseUrls) -> None:
    shops = [open_shop(), open_shop()]
    for shop in shops:
        queue_one(shop)
    with system_session() as session:
        session.execute(
            text("update due_sends set lease_until = now() - interval '2 min', holder = 'gone', epoch = 1")
        )
        session.execute(
            text(
                "update messages set state = 'dispatching', attempt = 1, called_at = now(), work_id = d.id"
                " from due_sends d where d.first_id = messages.id and d.tenant_id = :tenant"
            ),
            {"tenant": shops[0].tenant_id},
        )
        assert JOBS["recover"].is_due(session)

    JOBS["recover"].work()

    assert [[message.state for message in messages_of(shop)] for shop in shops] == [["unknown"], ["queued"]]
    with system_session() as session:
        assert not JOBS["recover"].is_due(session)
        assert session.scalars(text("select holder from due_sends")).all() == [None]


def test_a_sender_takes_over_from_a_killed_one_whose_book_lies_beside_it(database: DatabaseUrls) -> None:
    shop = open_shop()
    queue_one(shop)
    mine, elsewhere = WireBook(), "another-boot.1.abcdef"
    mine.begin(str(uuid7()), 1)  # of somebody else: an empty book goes with its process
    due = []
    for holder in (elsewhere, mine.name):
        with system_session() as session:
            session.execute(
                text(
                    "update due_sends set lease_until = now() - interval '1 s', holder = :holder, epoch = 1"
                ),
                {"holder": holder},
            )
            session.execute(
                text(
                    "update messages set state = 'dispatching', attempt = 1, called_at = now(), work_id = d.id"
                    " from due_sends d where d.first_id = messages.id"
                )
            )
        for is_over in (False, True):
            if is_over and holder == mine.name:
                mine.close()
            with system_session() as session:
                due.append(JOBS["recover here"].is_due(session))

    JOBS["recover here"].work()

    assert due == [False, False, False, True]
    assert [each.state for each in messages_of(shop)] == ["queued"]
    with system_session() as session:
        assert not JOBS["recover here"].is_due(session)
    assert mine.name not in books_of_the_dead()


def test_what_is_old_is_cleared_and_what_is_young_or_unread_stays(database: DatabaseUrls) -> None:
    ages = {"ancient": "100 days", "old": "40 days", "young": "1 hour"}
    with system_session() as session:
        for name, age in ages.items():
            values = {"name": name, "age": age, "tenant": uuid4(), "body": name.encode()}
            for what in ("applied", "pending", "quarantined"):
                status = "quarantined" if what == "quarantined" else "taken"
                session.execute(
                    text(
                        """with kept as (
                             insert into webhook_journal (id, channel_id, body, digest, status, error)
                             values (uuidv7(- cast(:age as interval)), uuidv7(), :body, :body, :status, :what)
                             returning channel_id, id)
                           insert into webhook_due (channel_id, id) select channel_id, id from kept
                           where :waits"""
                    ),
                    values | {"status": status, "what": f"{name} {what}", "waits": what == "pending"},
                )
            session.execute(
                text(
                    """insert into idempotency_keys (tenant_id, id, user_id, route, key, body_sha256, created_at)
                       values (:tenant, uuidv7(), 'u', 'r', :name, '', now() - cast(:age as interval))"""
                ),
                values,
            )

    JOBS["clear"].work()

    with system_session() as session:
        journal = session.scalars(text("select error from webhook_journal")).all()
        keys = session.scalars(text("select key from idempotency_keys")).all()
    assert set(journal) == {
        "ancient pending",
        "old pending",
        "old quarantined",
        *(f"young {what}" for what in ("applied", "pending", "quarantined")),
    }
    assert keys == ["young"]


def test_old_attempts_pulses_and_gates_of_nobody_are_cleared(database: DatabaseUrls) -> None:
    now = datetime.now(UTC)
    old, young = now - timedelta(days=200), now
    shop = open_shop()
    with system_session() as session:
        session.add(Company(id=shop.tenant_id, name="Loja", slug="loja"))
    with shop.work.session() as session:
        gates = {}
        for name, made in (("lost", old), ("kept", old), ("young", young)):
            gate = gates[name] = Gate(id=uuid7_at(made))
            session.add(gate)
        session.flush()
        campaign = Campaign(
            id=uuid7_at(old), name="Natal", channel_id=shop.channel_id, template_id=shop.template_id, audience={}, variables={},
            excluded={}, gate_id=gates["kept"].id, status="completed", recipients=0, replied=0, revision=1,
        )  # fmt: skip
        session.add(campaign)
        session.flush()
        for at in (old, young):
            session.add(CampaignPulse(campaign_id=campaign.id, at=at, counts={}))
            attempt = SendAttempt(
                id=uuid7_at(at), message_id=uuid7(), attempt=1, called_at=at, verdict="queued"
            )
            session.add(attempt)

    JOBS["clear"].work()

    with shop.work.session() as session:
        channel_gate = session.scalars(select(Channel.gate_id)).one()
        assert set(session.scalars(select(Gate.id))) == {channel_gate, gates["kept"].id, gates["young"].id}
        assert session.scalars(select(CampaignPulse.at)).all() == [young]
        assert session.scalars(select(SendAttempt.called_at)).all() == [young]
