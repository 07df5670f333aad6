"""Every failure is problem JSON, in the reader's language, and tells no more than it should."""

import socket
import time
from collections.abc import Iterator
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import create_engine, text

from engine.accounts.models import Role
from engine.api.validation import field_problems
from engine.core import db
from engine.core.i18n import say
from engine.core.settings import settings

from .conftest import World

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_such_route"),
        ("GET", "/v1/me/", 404, "no_such_route"),
        ("DELETE", "/v1/me", 405, "method_not_allowed"),
        ("GET", "/v1/me", 401, "unauthenticated"),
        ("GET", "/v1/samples/not-an-id", 401, "unauthenticated"),
        ("POST", "/v1/auth/token", 422, "invalid"),
    ],
)
def test_what_goes_wrong_is_a_problem(samples: World, method: str, path: str, status: int, code: str) -> None:
    answer = samples.client().request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    told = answer.json()
    assert (told["status"], told["code"], told["type"]) == (status, code, f"urn:masteria:problem:{code}")
    assert told["title"]
    assert told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]


def test_a_method_that_is_not_there_is_answered_with_those_that_are(samples: World) -> None:
    answer = samples.client().delete("/v1/me")

    assert {"GET", "PATCH"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_that_is_not_said_to_be_json_is_told_to_say_so(samples: World, kind: str | None) -> None:
    headers = {"Accept-Language": "en"} | ({"Content-Type": kind} if kind else {})

    answer = samples.caller().http.post("/v1/samples", content=b'{"name": "Ana", "size": 1}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "not_said_to_be_json")
    assert "Content-Type: application/json" in answer.json()["detail"]


def test_a_body_that_is_json_and_no_object_is_told_to_be_one(samples: World) -> None:
    answer = samples.caller().http.post("/v1/samples", json=["Ana"], headers={"Accept-Language": "en"})

    assert (answer.status_code, answer.json()["fields"][0]["code"]) == (422, "not_an_object")


def test_each_field_that_does_not_fit_is_named_in_plain_words(samples: World) -> None:
    caller = samples.caller()

    answer = caller.http.post(
        "/v1/samples", json={"name": "x", "size": 0, "owner": "me"}, headers={"Accept-Language": "en"}
    )

    assert answer.json()["fields"] == [
        {"field": "name", "code": "too_short", "detail": "Write at least 2 characters."},
        {"field": "size", "code": "out_of_range", "detail": "This must be at least 1."},
        {"field": "owner", "code": "bad_id", "detail": "This is not an id."},
    ]


def test_choices_are_told_without_words_of_a_library() -> None:
    class Asked(BaseModel):
        place: Literal["live", "sandbox"]

    with pytest.raises(ValidationError) as refused:
        Asked.model_validate({"place": "moon"})

    [problem] = field_problems(refused.value.errors())
    assert say(problem.text, "pt_BR", problem.values) == "Escolha uma das opções: live, sandbox."


def test_what_a_library_says_in_its_own_words_is_not_repeated() -> None:
    found = {
        "type": "value_error",
        "loc": ("body", "x"),
        "ctx": {"error": ValueError("Expected Foo, got bar")},
    }

    [problem] = field_problems([found])

    assert problem.text == "This does not fit here."


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"{", "not_json"),
        (b"", "missing"),
        (b"[]", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"\xff", "bad_body"),
    ],
)
def test_a_body_that_is_no_json_object_is_said_so(samples: World, sent: bytes, code: str) -> None:
    caller = samples.caller()

    answer = caller.http.post("/v1/samples", content=sent, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    if answer.status_code == 422:
        assert answer.json()["fields"][0]["code"] == code


@pytest.mark.parametrize(
    ("accept", "user", "title"),
    [
        ("pt-BR,pt;q=0.9", None, "Não encontrado"),
        ("en-GB", None, "Not found"),
        ("fr;q=0.9, en;q=0.1", None, "Not found"),
        (None, None, "Não encontrado"),
        (None, "en", "Not found"),
        ("pt", "en", "Não encontrado"),
    ],
)
def test_the_readers_language_is_what_they_ask_for_or_have_chosen(
    samples: World, accept: str | None, user: str | None, title: str
) -> None:
    caller = samples.caller()
    if user:
        caller.http.patch("/v1/me", json={"locale": user})
    headers = {"Accept-Language": accept} if accept else {}

    answer = caller.http.post("/v1/samples/state", headers=headers)

    expected = {"Não encontrado": "Não é possível agora", "Not found": "Not possible now"}[title]
    assert answer.json()["title"] == expected
    assert answer.json()["state"] == "completed"


def test_what_nobody_foresaw_tells_the_requests_id_and_nothing_else(
    samples: World, capfd: pytest.CaptureFixture[str]
) -> None:
    caller = samples.caller()
    capfd.readouterr()

    answer = caller.http.post("/v1/samples/broken", headers={"X-Request-Id": "request-12345"})

    logged = ""
    deadline = time.monotonic() + 5  # it is logged once the answer has left
    while "request_failed" not in logged and time.monotonic() < deadline:
        time.sleep(0.02)
        logged += capfd.readouterr().err
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert "secret" not in answer.text
    assert "Zero" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "request-12345"
    assert [line.count("Traceback") for line in logged.splitlines() if "ZeroDivisionError" in line] == [1]


def test_a_failed_request_leaves_nothing_behind(samples: World) -> None:
    caller = samples.caller()

    caller.http.post("/v1/samples/broken")
    caller.http.post("/v1/samples/state")

    with db.tenant_session(caller.tenant_id) as session:
        assert session.scalar(text("select count(*) from outbox where kind like 'sample%'")) == 0


@pytest.mark.parametrize(
    ("sql", "value", "status", "code"),
    [
        ("select cast(:value as integer)", "99999999999", 422, "unstorable"),
        (
            "insert into companies (id, name, slug) values (gen_random_uuid(), :value, 'x')",
            "x",
            500,
            "internal",
        ),
        ("select pg_sleep(0) from nowhere where :value = ''", "", 500, "internal"),
        ("set local statement_timeout = '10ms'; select pg_sleep(1)", None, 503, "busy"),
    ],
)
def test_what_the_database_refuses_is_told_by_whose_fault_it_is(
    samples: World, sql: str, value: str | None, status: int, code: str
) -> None:
    caller = samples.caller()

    answer = caller.http.post(
        "/v1/samples/statement", json={"sql": sql} | ({"value": value} if value else {})
    )

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.fixture
def database_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The application's database at an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = create_engine(f"postgresql+psycopg://x:y@127.0.0.1:{taken.getsockname()[1]}/z")
        monkeypatch.setattr(db, "app_engine", lambda: nowhere)
        monkeypatch.setattr("engine.api.routes.health.app_engine", lambda: nowhere)
        monkeypatch.setattr("engine.core.system.system_engine", lambda: nowhere)
        yield


def test_a_database_that_is_away_is_a_clear_answer_for_every_route(
    samples: World, request: pytest.FixtureRequest
) -> None:
    caller = samples.caller()
    request.getfixturevalue("database_away")

    answers = [
        caller.http.get("/v1/me"),
        caller.http.post("/v1/samples", json={"name": "ana"}, headers={"Idempotency-Key": "k"}),
        samples.client().post("/v1/auth/token", data={"username": "a@b.cd", "password": "x" * 12}),
        samples.client().post("/v1/auth/refresh", json={"refresh_token": caller.refresh_token}),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "database_away")}
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    assert all(settings().database_url not in answer.text for answer in answers)


def test_ready_says_so_while_the_database_is_away(world: World, database_away: None) -> None:
    answer = world.client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["database"] == "away"


def test_alive_and_ready_and_counted(world: World) -> None:
    client = world.client()

    alive, ready, counted = client.get("/healthz"), client.get("/readyz"), client.get("/metrics")

    assert alive.json() == {"status": "ok"}
    assert ready.json() == {"status": "ok", "database": "ok", "schema": "current", "redis": "ok"}
    assert 'masteria_http_seconds_count{method="GET",route="/healthz",status="200"}' in counted.text
    assert 'masteria_due_messages{lane="reply"} 0.0' in counted.text


def test_a_body_above_the_limit_is_refused_before_it_is_read(samples: World) -> None:
    caller = samples.caller()

    announced = caller.http.post("/v1/samples", content=b" " * 1_100_000)
    streamed = caller.http.post("/v1/samples", content=(b" " * 100_000 for _ in range(20)))
    file = caller.http.post("/v1/samples/file", files={"file": b" " * 4_000_000})
    allowed = caller.http.post("/v1/samples/file", files={"file": b" " * 2_000_000})

    for answer in (announced, streamed, file):
        assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
        assert answer.json()["code"] == "too_large"
    assert allowed.status_code == 202


def test_a_compressed_body_is_not_unfolded(samples: World) -> None:
    answer = samples.caller().http.post("/v1/samples", content=b"x", headers={"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)


def test_answers_carry_headers_that_keep_browsers_out_of_trouble(world: World) -> None:
    answer = world.client(Origin="https://evil.example").get("/healthz")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_has_one_to_two_hundred_rows(samples: World) -> None:
    caller = samples.caller()

    told = {
        limit: caller.http.get("/v1/samples", params={"limit": limit})
        for limit in ("", "0", "-5", "7", "10000")
    }

    assert told.pop("").status_code == 422
    assert {asked: answer.json()["limit"] for asked, answer in told.items()} == {
        "0": "1", "-5": "1", "7": "7", "10000": "200",
    }  # fmt: skip
    assert caller.http.get("/v1/samples").json()["limit"] == "50"


def test_a_stream_opens_its_own_session(samples: World) -> None:
    assert samples.caller(Role.ANALYST).http.get("/v1/samples.csv").text == "1\n2\n3\n"
