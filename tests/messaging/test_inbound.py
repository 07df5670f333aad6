"""What people write becomes rows: one person, one thread, one message, whatever comes twice or at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from engine.contacts.consent import set_consent
from engine.contacts.models import ConsentState
from engine.core.bootstrap import DatabaseUrls
from engine.messaging.channels.base import ConsentNotice, InboundMedia, SenderIdentity
from engine.messaging.inbound import apply_consent_notice
from engine.messaging.models import MessageState
from tests.messaging.receiving import NOON, Stage, at_once, called, facts, set_stage, take_in, written


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


def test_fifty_copies_at_once_are_one_message(stage: Stage) -> None:
    message = written(stage)

    at_once(*(lambda: take_in(stage, message) for _ in range(50)))

    assert (stage.count("messages"), stage.count("conversations"), stage.count("contacts")) == (1, 1, 1)
    assert len(facts(stage, "message.received")) == 1
    assert stage.rows("select measure, n from activity") == [("received", 1)]


def test_two_messages_of_a_new_person_at_once_make_one_thread(stage: Stage) -> None:
    first, second = written(stage), written(stage)

    at_once(lambda: take_in(stage, first), lambda: take_in(stage, second))

    assert (stage.count("messages"), stage.count("conversations"), stage.count("contacts")) == (2, 1, 1)
    assert stage.one("select unread from conversations") == 2
    assert stage.one("select revision from conversations") == 2


def test_a_person_known_by_bsuid_alone_is_the_same_person_when_the_phone_shows(stage: Stage) -> None:
    hidden = SenderIdentity(bsuid="BR.77", username="ana", name="Ana")
    shown = SenderIdentity(bsuid="BR.77", phone="+5571980000102", name="Ana")

    for sender in (hidden, shown):
        take_in(stage, written(stage, sender=sender))

    assert (stage.count("contacts"), stage.count("conversations")) == (1, 1)
    scopes = stage.rows("select kind, scope from contact_identities order by kind")
    assert scopes == [("bsuid", stage.portfolio), ("phone", "")]


def test_two_contacts_that_turn_out_to_be_one_keep_both_threads_messages(stage: Stage) -> None:
    take_in(stage, written(stage, sender=SenderIdentity(bsuid="BR.77"), text="um"))
    take_in(stage, written(stage, sender=SenderIdentity(phone="+5571980000102"), text="dois"))

    take_in(stage, written(stage, sender=SenderIdentity(bsuid="BR.77", phone="+5571980000102"), text="três"))

    assert (stage.count("contacts"), stage.count("conversations")) == (1, 1)
    thread = stage.rows("select * from conversations")[0]
    assert (thread.unread, thread.last_message_text) == (3, "três")
    assert stage.one("select count(*) from messages where conversation_id = :id", id=thread.id) == 3


def test_what_a_campaign_sent_stands_in_the_thread_once_the_person_answers(stage: Stage) -> None:
    take_in(stage, written(stage))
    person = stage.one("select id from contacts")
    with stage.session() as session:
        sent = called(stage, session, contact_id=person, state=MessageState.DELIVERED, accepted_at=NOON)
        waiting = called(stage, session, contact_id=person, state=MessageState.QUEUED, attempt=0)

    take_in(stage, written(stage, text="quero!"))

    threaded = stage.rows(
        "select id, conversation_id is not null as shown from messages where direction = 'out'"
    )
    assert dict(threaded) == {sent.id: True, waiting.id: False}


def test_a_quoted_message_is_named_in_the_fact(stage: Stage) -> None:
    with stage.session() as session:
        ours = called(stage, session, provider_id="wamid.ours", state=MessageState.READ)

    take_in(stage, written(stage, quoted_provider_id="wamid.ours"))

    assert facts(stage, "message.received")[0]["quoted_message_id"] == str(ours.id)


def test_a_late_message_does_not_shorten_the_window(stage: Stage) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    take_in(stage, written(stage, occurred_at=now))

    take_in(stage, written(stage, occurred_at=now - timedelta(days=3)))

    assert stage.one("select window_expires_at from conversations") == now + timedelta(hours=24)


def test_a_clock_that_runs_ahead_does_not_lengthen_the_window(stage: Stage) -> None:
    take_in(stage, written(stage, occurred_at=datetime.now(UTC) + timedelta(days=30)))

    assert stage.one("select window_expires_at < now() + interval '25 hours' from conversations")


@pytest.mark.parametrize(
    "words", ["SAIR", "Sair.", " parar!", "STOP", "Unsubscribe", "não quero mais receber", "baja"]
)
def test_a_stop_word_withdraws_consent_in_the_same_transaction(stage: Stage, words: str) -> None:
    take_in(stage, written(stage, text=words))

    assert stage.one("select marketing_consent from contacts") == "withdrawn"
    assert stage.count("suppressions") > 0
    assert len(facts(stage, "contact.opted_out")) == 1


@pytest.mark.parametrize("words", ["não quero sair de casa", "pode parar o carro?", "stop that", "", "sairá"])
def test_a_stop_word_within_other_words_says_nothing(stage: Stage, words: str) -> None:
    take_in(stage, written(stage, text=words))

    assert stage.one("select marketing_consent from contacts") == "none"


def test_a_resume_word_takes_an_opt_out_back_and_grants_nothing_else(stage: Stage) -> None:
    states = []
    for second, words in enumerate(("voltar", "sair", "VOLTAR")):
        take_in(stage, written(stage, text=words, occurred_at=NOON + timedelta(seconds=second)))
        states.append(stage.one("select marketing_consent from contacts"))

    assert states == ["none", "withdrawn", "granted"]


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_the_word_said_last_counts_in_whatever_order_words_come(stage: Stage, order: Sequence[int]) -> None:
    said = [("sair", 0), ("voltar", 60), ("sair", 120)]

    for index in order:
        words, second = said[index]
        take_in(stage, written(stage, text=words, occurred_at=NOON + timedelta(seconds=second)))

    assert stage.one("select marketing_consent from contacts") == "withdrawn"


def notice(stage: Stage, state: str, minutes: int) -> bool:
    """What the person's switch in WhatsApp says, so many minutes after noon."""
    sender = SenderIdentity(phone="+5571980000102")
    word = ConsentNotice(stage.account, sender, state, NOON + timedelta(minutes=minutes))
    with stage.session() as session:
        return apply_consent_notice(session, stage.channel(session), word)


def test_a_stop_counts_though_a_grant_before_it_was_understood_after_it_was_said(stage: Stage) -> None:
    heard = [notice(stage, "granted", 0), notice(stage, "withdrawn", 1)]

    assert heard == [True, True]
    assert stage.one("select marketing_consent from contacts") == "withdrawn"


def test_a_late_word_and_a_copy_undo_nothing(stage: Stage) -> None:
    notice(stage, "withdrawn", 2)
    late = notice(stage, "granted", 1)
    take_in(stage, written(stage, text="voltar", occurred_at=NOON))
    copy = notice(stage, "withdrawn", 2)

    assert (late, copy) == (False, False)
    assert stage.one("select marketing_consent from contacts") == "withdrawn"
    assert stage.count("consents") == 1


def test_a_stop_outlasts_what_others_wrote_down_meanwhile(stage: Stage) -> None:
    take_in(stage, written(stage, occurred_at=NOON))
    with stage.session() as session:
        set_consent(session, stage.one("select id from contacts"), state=ConsentState.GRANTED, source="shop")

    assert notice(stage, "withdrawn", 1)
    assert stage.one("select marketing_consent from contacts") == "withdrawn"


def test_a_file_waits_to_be_fetched(stage: Stage) -> None:
    media = InboundMedia("1234", "image/jpeg", "abc=", filename="x" * 400)

    message_id = take_in(stage, written(stage, kind="image", text=None, media=media))

    row = stage.rows("select message_id, provider_media_id, status, length(filename) as n from media_files")[
        0
    ]
    assert row == (message_id, "1234", "pending", 255)


def test_a_reaction_is_kept_and_is_nothing_unread(stage: Stage) -> None:
    take_in(stage, written(stage, kind="reaction", text="👍", payload={"emoji": "👍"}))

    assert stage.one("select unread from conversations") == 0
    assert stage.rows("select kind, body, payload from messages") == [("reaction", "👍", {"emoji": "👍"})]


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke"])
def test_a_remark_on_a_message_leaves_the_summary_as_it_is(stage: Stage, kind: str) -> None:
    said = take_in(stage, written(stage, text="quero dois"))

    take_in(stage, written(stage, kind=kind, text="👍"))

    summary = "select last_message_id, last_message_text, last_message_kind, revision from conversations"
    assert stage.rows(summary) == [(said, "quero dois", "text", 2)]


def test_a_remark_alone_makes_a_thread_with_a_summary(stage: Stage) -> None:
    take_in(stage, written(stage, kind="reaction", text="👍"))

    assert stage.one("select last_message_text from conversations") == "👍"


def test_a_bare_pin_has_words(stage: Stage) -> None:
    take_in(
        stage, written(stage, kind="location", text=None, payload={"latitude": -12.97, "longitude": -38.5})
    )

    assert stage.one("select body from messages") == "-12.97, -38.5"
