"""The same request under the same key: one effect, one answer."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from engine.api.keyed import BodyDigest
from engine.core.db import tenant_session

from . import sample
from .conftest import World

KEY = {"Idempotency-Key": "order-7"}


def facts(tenant_id: UUID) -> int:
    with tenant_session(tenant_id) as session:
        return session.scalar(text("select count(*) from outbox where kind = 'sample.made'")) or 0


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/samples/apart"])
def test_a_second_sending_gets_the_first_answer_and_has_no_effect(samples: World, path: str) -> None:
    caller = samples.caller()

    first = caller.http.post(path, json={"name": "ana"}, headers=KEY)
    second = caller.http.post(path, json={"name": "ana"}, headers=KEY)

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert facts(caller.tenant_id) == len(sample.calls) == 1


def test_an_empty_answer_is_given_again_empty(samples: World) -> None:
    caller = samples.caller()

    answers = [caller.http.post("/v1/samples/empty", headers=KEY) for _ in range(2)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert facts(caller.tenant_id) == 1


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/samples/apart"])
def test_another_body_under_the_same_key_is_refused(samples: World, path: str) -> None:
    caller = samples.caller()
    caller.http.post(path, json={"name": "ana"}, headers=KEY)

    other = caller.http.post(path, json={"name": "bia"}, headers=KEY)

    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert facts(caller.tenant_id) == 1


def test_without_a_key_every_sending_counts(samples: World) -> None:
    caller = samples.caller()

    for _ in range(2):
        caller.http.post("/v1/samples", json={"name": "ana"})

    assert facts(caller.tenant_id) == 2


def test_keys_of_other_people_other_companies_and_other_routes_are_apart(samples: World) -> None:
    caller = samples.caller()
    colleague = samples.caller(company=caller.tenant_id, email="bia@example.com")
    stranger = samples.caller(email="caio@example.com")

    answers = [
        one.http.post(path, json={"name": "ana"}, headers=KEY)
        for one in (caller, colleague, stranger)
        for path in ("/v1/samples", "/v1/samples/apart")
    ]

    assert {answer.status_code for answer in answers} == {201}
    assert len(sample.calls) == 6


@pytest.mark.parametrize(("path", "name"), [("/v1/samples/slow", "ana"), ("/v1/samples/apart", "wait")])
def test_a_copy_that_comes_while_the_first_still_runs_is_told_so(
    samples: World, path: str, name: str
) -> None:
    caller = samples.caller()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(caller.http.post, path, json={"name": name}, headers=KEY)
        while not sample.calls:
            time.sleep(0.01)
        copy = caller.http.post(path, json={"name": name}, headers=KEY)
        sample.gate.set()
        answer = first.result()
    later = caller.http.post(path, json={"name": name}, headers=KEY)

    assert (copy.status_code, copy.json()["code"]) == (409, "still_running")
    assert copy.headers["retry-after"] == "1"
    assert answer.status_code == 201
    assert later.json() == answer.json()
    assert facts(caller.tenant_id) == 1


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/samples/apart"])
def test_many_copies_at_once_have_one_effect(samples: World, path: str) -> None:
    caller = samples.caller()

    def send(_: int) -> httpx.Response:
        return caller.http.post(path, json={"name": "ana"}, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert made == [{"name": "ana", "call": 1}] * len(made)
    assert made
    assert facts(caller.tenant_id) == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/samples/broken", None, 500),
        ("/v1/samples/state", None, 409),
        ("/v1/samples/apart", {"name": "fail"}, 502),
    ],
)
def test_a_failure_is_not_kept_so_the_request_may_be_tried_again(
    samples: World, path: str, body: dict[str, str] | None, status: int
) -> None:
    caller = samples.caller()

    answers = [caller.http.post(path, json=body, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, status]
    assert len(sample.calls) == 2
    with tenant_session(caller.tenant_id) as session:
        assert session.scalar(text("select count(*) from idempotency_keys")) == 0


def test_a_key_whose_process_died_is_free_again_after_a_while(samples: World) -> None:
    caller = samples.caller()
    caller.http.post("/v1/samples/apart", json={"name": "ana"}, headers=KEY)
    with tenant_session(caller.tenant_id) as session:
        session.execute(text("update idempotency_keys set status = null, answer = null"))
    early = caller.http.post("/v1/samples/apart", json={"name": "ana"}, headers=KEY)
    with tenant_session(caller.tenant_id) as session:
        session.execute(
            text("update idempotency_keys set created_at = created_at - :by"), {"by": timedelta(minutes=3)}
        )

    late = caller.http.post("/v1/samples/apart", json={"name": "ana"}, headers=KEY)

    assert early.status_code == 409
    assert late.status_code == 201


def test_the_same_file_sent_again_is_the_same_request_whatever_its_boundary(samples: World) -> None:
    caller = samples.caller()
    content = b"name,phone\n" * 100_000

    answers = [
        caller.http.post("/v1/samples/file", files={"file": ("people.csv", content)}, headers=KEY)
        for _ in range(2)
    ]
    other = caller.http.post("/v1/samples/file", files={"file": ("people.csv", content + b"x")}, headers=KEY)

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].request.headers["content-type"] != answers[1].request.headers["content-type"]
    assert answers[0].json() == answers[1].json()
    assert other.status_code == 422
    assert facts(caller.tenant_id) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_no_or_too_many_characters_is_refused(samples: World, key: str) -> None:
    caller = samples.caller()

    answer = caller.http.post("/v1/samples", json={"name": "ana"}, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1000])
def test_a_body_has_one_digest_in_whatever_pieces_it_comes(step: int) -> None:
    body = b"--bound\r\nname\r\n--boun\r\n--bound\r\nvalue bou bound bo--bound--"
    whole, pieces = BodyDigest(b"bound"), BodyDigest(b"bound")
    whole.feed(body)

    for start in range(0, len(body), step):
        pieces.feed(body[start : start + step])

    assert pieces.finish() == whole.finish()


def test_only_the_boundary_does_not_count() -> None:
    digests = []
    for boundary, value in ((b"aaaa", b"one"), (b"bbbbbb", b"one"), (b"aaaa", b"two")):
        digest = BodyDigest(boundary)
        digest.feed(b"--" + boundary + b"\r\n" + value + b"\r\n--" + boundary + b"--")
        digests.append(digest.finish())

    assert digests[0] == digests[1] != digests[2]
