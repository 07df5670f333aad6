"""The inbox: a list by newest, a thread backwards, replies inside and outside the 24-hour window, over HTTP too."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.core.bootstrap import DatabaseUrls
from engine.core.errors import Invalid, NotFound
from engine.core.ids import uuid7
from engine.messaging import conversations
from engine.messaging.channels.base import SenderIdentity
from engine.messaging.counters import Steps
from engine.messaging.inbound import receive
from engine.messaging.models import Template
from tests.messaging.receiving import Stage, set_stage, written


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


def hear(stage: Stage, **given: Any) -> UUID:
    """Somebody writes; the thread's id."""
    with stage.session() as session:
        steps = Steps()
        message_id = receive(session, stage.channel(session), written(stage, **given), steps)
        steps.write(session)
    found: UUID = stage.one("select conversation_id from messages where id = :id", id=message_id)
    return found


def person(number: int, name: str = "") -> SenderIdentity:
    return SenderIdentity(phone=f"+55719800{number:05d}", name=name or f"Pessoa {number}")


def approve(stage: Stage, body: str = "Oi {{1}}, tudo bem?", **given: Any) -> UUID:
    template_id = uuid7()
    values: dict[str, Any] = {
        "id": template_id,
        "channel_id": stage.channel_id,
        "name": f"t_{template_id.hex[-8:]}",
        "language": "pt_BR",
        "category": "UTILITY",
        "status": "approved",
        "components": [{"type": "BODY", "text": body}],
    } | given
    with stage.session() as session:
        session.add(Template(**values))
    return template_id


def test_a_list_goes_through_all_threads_once_the_newest_first(stage: Stage) -> None:
    made = [hear(stage, sender=person(number)) for number in range(7)]

    seen: list[UUID] = []
    after = None
    with stage.session() as session:
        while True:
            page = conversations.list_conversations(session, after=after, limit=3)
            seen += [thread.conversation.id for thread in page.items]
            after = page.next
            if after is None:
                break

    assert seen == made[::-1]


def test_a_list_can_be_searched_and_kept_to_what_is_unread(stage: Stage) -> None:
    ana = hear(stage, sender=person(1, "Ana Conceição"))
    hear(stage, sender=person(2, "Bruno"))

    with stage.session() as session:
        found = [
            [thread.contact.name for thread in conversations.list_conversations(session, search=words).items]
            for words in ("conceicao", "9800-00002", "ninguém", "%")
        ]
        conversations.mark_read(session, ana)
        unread = conversations.list_conversations(session, unread=True).items

    assert found == [["Ana Conceição"], ["Bruno"], [], []]
    assert [thread.contact.name for thread in unread] == ["Bruno"]


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WzEsMl0", "WyJhIiwiYiJd"])
def test_a_page_marker_of_somebody_elses_making_is_told_so(stage: Stage, cursor: str) -> None:
    thread = hear(stage)

    with stage.session() as session:
        for ask in (
            lambda: conversations.list_conversations(session, after=cursor),
            lambda: conversations.list_messages(session, thread, after=cursor),
        ):
            with pytest.raises(Invalid):
                ask()


def test_a_thread_is_read_backwards(stage: Stage) -> None:
    said = [f"{number}" for number in range(5)]
    for words in said:
        thread = hear(stage, text=words)

    with stage.session() as session:
        newest = conversations.list_messages(session, thread, limit=3)
        older = conversations.list_messages(session, thread, limit=3, after=newest.next)

    assert [one.text for one in [*newest.items, *older.items]] == said[::-1]
    assert older.next is None


def test_reading_a_thread_clears_what_is_unread_and_tells_screens_once(stage: Stage) -> None:
    thread = hear(stage)

    for _ in range(2):
        with stage.session() as session:
            conversations.mark_read(session, thread)

    assert stage.one("select unread from conversations") == 0
    told = stage.rows("select payload from outbox where kind = 'conversation.changed' order by id")
    assert [(fact.payload["unread"], fact.payload["revision"]) for fact in told] == [(1, 1), (0, 2)]


def test_a_text_within_the_window_is_queued_and_shown(stage: Stage) -> None:
    thread = hear(stage)

    with stage.session() as session:
        message = conversations.reply(session, thread, text="Olá! Posso ajudar?")

    row = stage.rows("select state, body, address, conversation_id from messages where direction = 'out'")[0]
    assert row == ("queued", "Olá! Posso ajudar?", "+5571980000102", thread)
    assert stage.rows("select first_id, lane from due_sends") == [(message.id, 0)]
    summary = stage.rows("select last_message_text, last_message_direction, unread from conversations")[0]
    assert summary == ("Olá! Posso ajudar?", "out", 1)


def test_a_text_after_the_window_is_refused_and_says_what_to_do(stage: Stage) -> None:
    thread = hear(stage, occurred_at=datetime.now(UTC) - timedelta(hours=25))

    with stage.session() as session, pytest.raises(Invalid) as refused:
        conversations.reply(session, thread, text="Olá")

    assert refused.value.code == "window_closed"
    assert "template" in refused.value.text
    assert stage.count("due_sends") == 0


def test_a_template_goes_out_after_the_window_with_the_persons_values(stage: Stage) -> None:
    thread = hear(stage, occurred_at=datetime.now(UTC) - timedelta(days=5))
    template_id = approve(stage)

    with stage.session() as session:
        message = conversations.reply(
            session, thread, template_id=template_id, variables={"body.1": "contact.first_name"}
        )
        shown = conversations.utterance_of(session, message)

    assert (message.kind, message.params, shown.text) == ("template", {"body.1": "Ana"}, "Oi Ana, tudo bem?")
    assert stage.one("select last_message_text from conversations") == "Oi Ana, tudo bem?"


def test_templates_sent_with_words_of_ones_own_share_one_snapshot(stage: Stage) -> None:
    thread = hear(stage)
    template_id = approve(stage)

    shown = []
    for name in ("Bia", "Caio"):
        with stage.session() as session:
            message = conversations.reply(
                session, thread, template_id=template_id, variables={"body.1": {"text": name}}
            )
            shown.append(conversations.utterance_of(session, message).text)

    assert shown == ["Oi Bia, tudo bem?", "Oi Caio, tudo bem?"]
    assert stage.rows("select variables from template_snapshots") == [({},)]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "one_of"),
        ({"text": "a", "template_id": uuid4()}, "one_of"),
        ({"text": "   "}, "empty"),
        ({"text": "x" * 4097}, "too_long"),
    ],
)
def test_what_can_not_be_sent_is_told_at_its_field(stage: Stage, given: dict[str, Any], code: str) -> None:
    thread = hear(stage)

    with stage.session() as session, pytest.raises(Invalid) as refused:
        conversations.reply(session, thread, **given)

    assert [problem.code for problem in refused.value.fields] == [code]


def test_a_template_that_may_not_be_sent_here_is_refused(stage: Stage) -> None:
    thread = hear(stage)
    other = set_stage(tenant_id=stage.tenant_id)
    refusals = []
    for template_id in (approve(stage, status="paused"), approve(other), approve(stage)):
        with stage.session() as session, pytest.raises(Invalid) as refused:
            conversations.reply(
                session, thread, template_id=template_id, variables={"body.1": "field.missing"}
            )
        refusals.append(refused.value.fields[0].code)

    assert refusals == ["not_approved", "other_channel", "missing_variable"]


def test_a_person_known_by_bsuid_alone_is_answered_by_it(stage: Stage) -> None:
    thread = hear(stage, sender=SenderIdentity(bsuid="BR.77", name="Ana"))

    with stage.session() as session:
        message = conversations.reply(session, thread, text="Olá")

    assert message.address == "BR.77"


def test_another_companys_thread_is_not_there(stage: Stage) -> None:
    thread = hear(stage)

    with Stage().session() as session:
        for ask in (
            lambda: conversations.get_thread(session, thread),
            lambda: conversations.list_messages(session, thread),
            lambda: conversations.mark_read(session, thread),
            lambda: conversations.reply(session, thread, text="x"),
        ):
            with pytest.raises(NotFound):
                ask()
        assert conversations.list_conversations(session).items == []
