"""The webhooks' door on a real socket: what is answered, what is stored, and when the database goes away."""

import asyncio
import base64
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from engine.api import intake as intake_module
from engine.api.intake import MAX_BODY
from engine.core.bootstrap import DatabaseUrls
from tests.api.served import PATIENCE, Served, serving, wait_for
from tests.messaging.receiving import (
    VERIFY_TOKEN,
    Stage,
    journal_rows,
    set_stage,
    sign,
    text_body,
)


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


@pytest.fixture
def door(stage: Stage) -> Iterator[Served]:
    with serving() as served:
        yield served


def test_a_signed_webhook_is_in_the_journal_when_200_comes_back(door: Served, stage: Stage) -> None:
    body = text_body(stage, "olá")

    answer = door.post(stage, body)

    assert (answer.status_code, answer.content) == (200, b"")
    assert [bytes(row.body) for row in journal_rows(stage)] == [body]
    assert [row.status for row in journal_rows(stage)] == ["pending"]


def test_the_captured_signature_of_the_provider_opens_the_door(database: DatabaseUrls) -> None:
    vectors = json.loads(
        (Path(__file__).parents[1] / "payloads/whatsapp_cloud/_signature_vectors.json").read_text()
    )["meta"]
    body = base64.b64decode(vectors["raw_body_base64"])
    stage = set_stage(secret=vectors["app_secret"])

    with serving() as served:
        answer = served.post(stage, body, **{vectors["header"]: vectors["value"]})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        "sha256=00",
        "sha1=" + "0" * 40,
        "sha256=" + "0" * 64,
        "sha256=ação",
    ],
)
def test_an_unsigned_or_wrongly_signed_webhook_is_refused_and_not_stored(
    door: Served, stage: Stage, signature: str
) -> None:
    answer = door.client.post(
        f"/hooks/whatsapp_cloud/{stage.channel_id}",
        content=text_body(stage),
        headers=[(b"X-Hub-Signature-256", signature.encode())],
    )

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"
    assert journal_rows(stage) == []


@pytest.mark.parametrize(("language", "word"), [("en", "app secret"), ("pt-BR", "chave secreta do app")])
def test_a_refusal_says_why_in_the_language_asked_for(
    door: Served, stage: Stage, language: str, word: str
) -> None:
    refused = door.client.post(
        f"/hooks/whatsapp_cloud/{stage.channel_id}",
        content=text_body(stage),
        headers={"Accept-Language": language},
    )

    assert refused.json()["type"] == "urn:masteria:problem:unauthenticated"
    assert word in refused.json()["detail"]
    assert refused.json()["title"]


def test_a_webhook_without_a_signature_header_is_refused(door: Served, stage: Stage) -> None:
    answer = door.client.post(f"/hooks/whatsapp_cloud/{stage.channel_id}", content=text_body(stage))

    assert answer.status_code == 401
    assert journal_rows(stage) == []


def test_another_companys_secret_and_a_rewritten_body_are_refused(door: Served, stage: Stage) -> None:
    body = text_body(stage)
    other = set_stage(secret="another-secret")
    respelled = json.dumps(json.loads(body), indent=1).encode()

    answers = [
        door.post(stage, body, **{"X-Hub-Signature-256": sign(body, other.secret)}),
        door.post(stage, respelled, **{"X-Hub-Signature-256": sign(body)}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert journal_rows(stage) == []


def test_a_channel_that_does_not_exist_is_refused_like_a_wrong_signature(door: Served, stage: Stage) -> None:
    body = text_body(stage)
    paths = [
        f"/hooks/whatsapp_cloud/{uuid4()}",
        "/hooks/whatsapp_cloud/nonsense",
        f"/hooks/sms/{stage.channel_id}",
    ]

    answers = [
        door.client.post(path, content=body, headers={"X-Hub-Signature-256": sign(body)}) for path in paths
    ]

    assert [answer.status_code for answer in answers] == [401, 404, 404]


def test_a_refused_body_leaves_no_words_in_the_log(
    door: Served, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    door.post(stage, text_body(stage, "segredo-do-cliente"), **{"X-Hub-Signature-256": "sha256=00"})

    captured = capsys.readouterr()
    assert "segredo-do-cliente" not in captured.out + captured.err


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\x00\xfe", b"null", b"[" * 50_000])
def test_a_signed_body_that_nobody_can_read_is_kept_and_answered_200(
    door: Served, stage: Stage, body: bytes
) -> None:
    answer = door.post(stage, body)

    assert answer.status_code == 200
    assert [bytes(row.body) for row in journal_rows(stage)] == [body]


def test_the_same_body_again_is_answered_200_and_kept_once(door: Served, stage: Stage) -> None:
    body = text_body(stage)

    statuses = {door.post(stage, body).status_code for _ in range(20)}

    assert statuses == {200}
    assert len(journal_rows(stage)) == 1


def test_a_body_of_three_megabytes_is_taken_and_one_more_byte_is_not(door: Served, stage: Stage) -> None:
    answers = [door.post(stage, b"x" * size) for size in (MAX_BODY, MAX_BODY + 1)]

    assert [answer.status_code for answer in answers] == [200, 413]
    assert [len(row.body) for row in journal_rows(stage)] == [MAX_BODY]


def raw(door: Served, stage: Stage, head: str, *pieces: bytes) -> bytes:
    """The first answer's bytes to a request that is written by hand."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=PATIENCE) as connection:
        start = f"POST /hooks/whatsapp_cloud/{stage.channel_id} HTTP/1.1\r\nHost: x\r\n{head}\r\n"
        connection.sendall(start.encode())
        with suppress(OSError):  # answered and closed while we were still talking
            for piece in pieces:
                connection.sendall(piece)
        return connection.recv(65536)


def test_a_body_in_chunks_is_cut_off_at_the_limit_whatever_it_says(door: Served, stage: Stage) -> None:
    chunk = b"%x\r\n%s\r\n" % (2**20, b"x" * 2**20)

    answer = raw(door, stage, "Transfer-Encoding: chunked\r\n", *[chunk] * 4)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()
    assert journal_rows(stage) == []


def test_a_length_beyond_the_limit_is_refused_before_a_byte_is_read(door: Served, stage: Stage) -> None:
    answer = raw(door, stage, f"Content-Length: {10 * MAX_BODY}\r\n")

    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_come_is_not_waited_for(
    door: Served, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "BODY_SECONDS", 0.3)

    answer = raw(door, stage, "Content-Length: 1000\r\n", b"{")

    assert answer.startswith(b"HTTP/1.1 408")
    assert journal_rows(stage) == []


def test_many_slow_bodies_hold_nobody_up(door: Served, stage: Stage) -> None:
    sleepers = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(200)]
    for sleeper in sleepers:
        head = (
            f"POST /hooks/whatsapp_cloud/{stage.channel_id} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        )
        sleeper.sendall(head.encode())

    answer = door.post(stage, text_body(stage))

    for sleeper in sleepers:
        sleeper.close()
    assert answer.status_code == 200


def handshake(door: Served, stage: Stage, **query: str) -> httpx.Response:
    given = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY_TOKEN}
    asked = given | {f"hub.{name}": value for name, value in query.items()}
    return door.client.get(f"/hooks/whatsapp_cloud/{stage.channel_id}", params=asked)


def test_the_handshake_gives_the_challenge_back_as_plain_text(door: Served, stage: Stage) -> None:
    answer = handshake(door, stage, challenge="<script>1</script>")

    assert (answer.status_code, answer.text) == (200, "<script>1</script>")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_handshake_that_asks_nothing_gets_no_answer_for_it(door: Served, stage: Stage) -> None:
    assert handshake(door, stage, challenge="").status_code == 400


@pytest.mark.parametrize("query", [{"verify_token": "wrong"}, {"verify_token": ""}, {"mode": "unsubscribe"}])
def test_a_handshake_with_another_word_is_forbidden(
    door: Served, stage: Stage, query: dict[str, str]
) -> None:
    assert handshake(door, stage, **query).status_code == 403


def test_a_handshake_of_a_channel_that_does_not_exist_is_forbidden(door: Served, stage: Stage) -> None:
    answer = door.client.get(
        f"/hooks/whatsapp_cloud/{uuid4()}", params={"hub.mode": "subscribe", "hub.verify_token": ""}
    )

    assert answer.status_code == 403


def test_other_methods_are_not_answered(door: Served, stage: Stage) -> None:
    deleted = door.client.delete(f"/hooks/whatsapp_cloud/{stage.channel_id}")
    assert (deleted.status_code, deleted.headers["allow"]) == (405, "GET, POST")


def test_many_at_once_share_commits_and_none_is_lost(door: Served, stage: Stage) -> None:
    async def post_all() -> list[int]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}", timeout=60) as client:
            bodies = [text_body(stage, str(n)) for n in range(300)]
            answers = await asyncio.gather(
                *(
                    client.post(
                        f"/hooks/whatsapp_cloud/{stage.channel_id}",
                        content=body,
                        headers={"X-Hub-Signature-256": sign(body)},
                    )
                    for body in bodies
                )
            )
            return [answer.status_code for answer in answers]

    statuses = asyncio.run(post_all())

    assert statuses == [200] * 300
    assert len(journal_rows(stage)) == 300


def test_a_channel_remembers_when_it_was_last_heard_of(door: Served, stage: Stage) -> None:
    door.post(stage, text_body(stage))

    wait_for(lambda: stage.one("select last_webhook_at is not null from channels"))


def test_addresses_that_lead_nowhere_fill_no_memory(door: Served) -> None:
    kept = intake_module.place_of.cache_info().currsize

    answers = [door.client.post(f"/hooks/{'x' * 2000}{number}", content=b"{}") for number in range(3)]

    assert {answer.status_code for answer in answers} == {404}
    assert intake_module.place_of.cache_info().currsize == kept
