import json
import logging
from collections.abc import Iterator

import pytest

from engine.core.log import configure_logging, log_context, logger, redact_text, request_context, request_id


class Lines:
    """The JSON lines of a test."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def read(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.capture.readouterr().err.splitlines()]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    configure_logging("test", level="INFO")
    yield Lines(capfd)
    root.handlers, root.level = before


def test_a_line_says_what_when_where_and_for_which_request(lines: Lines) -> None:
    with request_context("a-request-id") as given, log_context(tenant_id="t-1"):
        logger("engine.test").info("message_settled", outcome="accepted", tries=2)

    (line,) = lines.read()
    assert given == "a-request-id"
    assert line | {"at": ""} == {
        "event": "message_settled",
        "outcome": "accepted",
        "tries": 2,
        "request_id": "a-request-id",
        "tenant_id": "t-1",
        "level": "info",
        "logger": "engine.test",
        "process": "test",
        "at": "",
    }


def test_a_request_that_brings_an_odd_id_gets_one_of_ours() -> None:
    with request_context("x\nforged: line") as given:
        assert given == request_id()
        assert "\n" not in given

    assert request_id() is None


def test_a_library_logs_in_the_same_form(lines: Lines) -> None:
    logging.getLogger("urllib3.connectionpool").warning("hello %s", "5511987654321")

    (line,) = lines.read()
    assert line["event"] == "hello [redacted]"
    assert line["logger"] == "urllib3.connectionpool"


@pytest.mark.parametrize(
    "name", ["phone", "email", "access_token", "contact_name", "password", "body", "Authorization"]
)
def test_a_private_field_is_blotted_out(lines: Lines, name: str) -> None:
    logger("engine.test").info("seen", **{name: "Maria"}, nested={"inner": {name: "Maria"}})

    (line,) = lines.read()
    assert "Maria" not in json.dumps(line)


def test_ids_and_counts_stay_readable(lines: Lines) -> None:
    fields = {
        "message_id": "019a2b3c-1111-7222-8333-444455556666",
        "phone_number_id": "106540352242922",
        "n": 12,
    }

    logger("engine.test").info("seen", **fields)

    (line,) = lines.read()
    assert {name: line[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("refused for +55 11 98765-4321", "98765"),
        ("refused for 5511987654321", "5511987654321"),
        ("mail to joana@exemplo.com.br failed", "joana"),
        ("GET /v25.0/me?access_token=EAAB123&x=1", "EAAB123"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln", "eyJ"),
        ("postgresql://masteria_app:s3cr3t@127.0.0.1/masteria", "s3cr3t"),
        ("redis://:s3cr3t@127.0.0.1/0", "s3cr3t"),
        ("[SQL: insert]\n[parameters: {'name': 'Joana'}]\n(see docs)", "Joana"),
        ("Key (tenant_id, value)=(1, Joana) already exists.", "Joana"),
    ],
)
def test_what_looks_private_is_blotted_out_of_any_text(text: str, private: str) -> None:
    assert private not in redact_text(text)


def test_a_traceback_tells_where_and_nothing_private(lines: Lines) -> None:
    try:
        int("joana@exemplo.com.br")
    except ValueError:
        logger("engine.test").exception("import_failed")

    (line,) = lines.read()
    assert "test_log.py" in str(line["exception"])
    assert "joana" not in json.dumps(line)
