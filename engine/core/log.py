"""Structured logs without personal data: one JSON object a line, or coloured text on a terminal.

    log = logger(__name__)
    log.info("message_settled", message_id=..., outcome="accepted")

What is bound with `log_context` (request id, tenant, job) is on every line within. Secrets and personal data are
blotted out twice: by the name of the field, and by their look inside any text, tracebacks of libraries included.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, cast

import orjson
import structlog

from engine.core.ids import uuid7
from engine.core.settings import settings

BLOT = "[redacted]"

# Whole words of a field's name: `access_token`, `phone` and `contact_name` are blotted out.
PRIVATE_WORDS = frozenset(
    [
        "address",
        "authorization",
        "body",
        "caption",
        "cookie",
        "credential",
        "credentials",
        "csv",
        "email",
        "filename",
        "identity",
        "key",
        "name",
        "password",
        "payload",
        "phone",
        "phones",
        "recipient",
        "secret",
        "signature",
        "text",
        "to",
        "token",
        "tokens",
        "username",
        "wa_id",
    ]
)
# Names that carry such a word and nothing private; their values are shown as they are.
PLAIN_NAMES = frozenset(
    {"key_id", "logger_name", "phone_number_id", "queue_name", "task_name", "template_name", "token_type"}
)

PRIVATE_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\[parameters: .*?\](?=\n|$|\))", re.S), f"[parameters: {BLOT}]"),  # SQLAlchemy's errors
    (re.compile(r"(?<=Key )\(([^)]*)\)=\(.*?\)(?= (?:already|is not|is still|conflicts))"), rf"(\1)={BLOT}"),
    (re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@"), rf"\1:{BLOT}@"),
    (re.compile(r"\b(?:Bearer|Basic|OAuth)\s+[\w.~+/=-]+", re.I), BLOT),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), BLOT),
    (re.compile(r"\bEAA[0-9A-Za-z]{20,}"), BLOT),  # Meta's access tokens
    (re.compile(r"(?i)\b(access_token|token|password|secret|code)=[^&\s\"']+"), rf"\1={BLOT}"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), BLOT),
    (re.compile(r"(?<![\w.-])\+\d[\d ().-]{7,18}\d"), BLOT),
    (re.compile(r"(?<![\w.-])\d{11,15}(?![\w.-])"), BLOT),  # wa_id: a phone without its plus
)

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: the event is a short name in snake case, everything else is a field."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(name))


@contextmanager
def log_context(**values: object) -> Iterator[None]:
    """Put these fields on every line logged within, also by the services below."""
    with structlog.contextvars.bound_contextvars(**{name: str(value) for name, value in values.items()}):
        yield


@contextmanager
def request_context(given: str | None = None) -> Iterator[str]:
    """Name a request (its own id where it brings a sane one) on every line within; answers with the id."""
    request_id = given if given and re.fullmatch(r"[\w-]{8,64}", given) else str(uuid7())
    mark = _request_id.set(request_id)
    try:
        with log_context(request_id=request_id):
            yield request_id
    finally:
        _request_id.reset(mark)


def request_id() -> str | None:
    """The id of the request under way, to be told to the caller beside an error."""
    return _request_id.get()


def configure_logging(process: str, *, level: str | None = None) -> None:
    """Send the logs of our code and of every library to standard error in one form. Called once by each door."""
    chain: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _ProcessName(process),
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    pretty = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(_as_json)
    output = _CurrentStderr()
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [output]
    root.setLevel(level or settings().log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "alembic", "bokeh", "tornado"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
    # One line for each request would name its recipients' paths; one for each bell would drown the rest.
    quiet = ("httpx", "httpcore", "urllib3", "uvicorn.access", "celery.worker.strategy", "celery.app.trace")
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)


class _CurrentStderr(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment: test runners and supervisors replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _ProcessName:
    """Adds the name of the process, as api or worker-send, to each line."""

    def __init__(self, process: str) -> None:
        self.process = process

    def __call__(
        self, _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        line.setdefault("process", self.process)
        return line


def redact(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blot out what is private, by name and by look; our own ids, counts and codes stay."""
    for name, value in line.items():
        line[name] = _redacted(name, value)
    return line


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | None) or name in PLAIN_NAMES:
        return value
    if PRIVATE_WORDS.intersection([name.lower(), *name.lower().split("_")]):
        return BLOT
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", item) for item in value]
    return redact_text(str(value)) if not name.startswith("_") else value


def redact_text(text: str) -> str:
    """A text with e-mail addresses, phone numbers, tokens and passwords in addresses blotted out."""
    for look, instead in PRIVATE_LOOKS:
        text = look.sub(instead, text)
    return text


def _as_json(line: Any, **_options: Any) -> str:
    return orjson.dumps(line, default=str).decode()
