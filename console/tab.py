"""One open tab of the console: who sits there, what they may do, how to ask for them and how to tell them.

Views get a tab and nothing else. Everything they start runs on the loop with the tab's document at hand; what
fails is told to the person in their words.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import panel as pn

from console.auth import SignIn
from console.components import Component, Message, Reader, Shell
from console.i18n import N_, Words
from engine.client import Api, ApiError, RefusedError, SignedOutError, UnreachableError
from engine.client.answers import Me

log = logging.getLogger("console.tab")

# What each role may do; the API has the last word. Screens hide what would be refused.
WORKING = frozenset({"contacts.write", "contacts.import", "templates.write", "campaigns.write"})
RUNNING = frozenset({"campaigns.run", "campaigns.test"})
OWNING = frozenset({"channels.write"})
ALLOWED: dict[str, frozenset[str]] = {
    "owner": WORKING | RUNNING | OWNING,
    "manager": WORKING | RUNNING | OWNING,
    "agent": frozenset({"contacts.write"}),
    "analyst": frozenset(),
}

UNREACHABLE = N_("The server does not answer right now. Please try again in a moment.")
BROKEN = N_("Something went wrong on our side. Please try again in a moment.")
FORBIDDEN = N_("Your role does not allow this. Ask an owner of the company.")
ENDED_PATH = "/sign-in?ended=1"

type Listener = Callable[[Message], Awaitable[None]]
type Task = Callable[[], Coroutine[Any, Any, None]]


class Calls(Protocol):
    """How a coroutine is started with the tab's document at hand."""

    def __call__(self, task: Task, /) -> None:
        """Starts the task."""
        ...


def start_in_panel(task: Task) -> None:
    """Runs a task on the server's loop, with the current document; in a test at once."""
    pn.state.execute(task)


def utc_now() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Tab:
    """Who sits at the screen, and the hands of the views: API, words, shell."""

    api: Api
    me: Me
    words: Words
    shell: Shell
    sign_in: str = ""
    run: Calls = start_in_panel
    # The console's own way of changing the company or language, which need its server side.
    switch_company: Callable[[str], Awaitable[None]] | None = None
    # Writes down what the API says of the person now; reads the sign-in as it is kept now.
    learn: Callable[[Me], Awaitable[None]] | None = None
    kept_sign_in: Callable[[], Awaitable[SignIn | None]] | None = None
    # The largest file taken for an import, in bytes.
    upload_limit: int = 256 * 1024 * 1024
    # What time it is; tests have one of their own.
    now: Callable[[], datetime] = utc_now
    # Scales every pause between fetches that facts ask for; tests wait for none.
    patience: float = 1.0
    may: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.may = ALLOWED.get(self.me.role, frozenset())

    @property
    def reader(self) -> Reader:
        """How components speak to this person."""
        return reader_of(self.words)

    def can(self, what: str) -> bool:
        """Whether the role allows something."""
        return what in self.may

    def go(self, path: str) -> None:
        """Leads to a route of the console."""
        self.shell.route = path

    def start(self, task: Task, *, failed: Callable[[str], None] | None = None) -> None:
        """Runs a task; what fails is told by `failed`, or else as a toast."""
        self.run(partial(self._guarded, task, failed))

    def on(
        self,
        component: Component,
        event: str,
        listener: Listener,
        *,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Has a listener hear an event; what fails is told by `failed`, or else as a toast."""

        def hear(message: Message) -> None:
            self.start(partial(_awaited, listener, message), failed=failed)

        component.on(event, hear)

    async def _guarded(self, task: Task, failed: Callable[[str], None] | None) -> None:
        try:
            await task()
        except SignedOutError:
            self.shell.reload(ENDED_PATH)
        except ApiError as error:
            self.tell_failure(self.explain(error), failed)
        except Exception:
            log.exception("a view failed")
            self.tell_failure(self.words(BROKEN), failed)

    def tell_failure(self, sentence: str, failed: Callable[[str], None] | None = None) -> None:
        """Says what did not work."""
        if failed is not None:
            failed(sentence)
        else:
            self.shell.toast(sentence, "error")

    def explain(self, error: ApiError) -> str:
        """What an error means, in the person's words (the API speaks their language)."""
        if isinstance(error, UnreachableError):
            return self.words(UNREACHABLE)
        if isinstance(error, RefusedError) and (error.status < 500 or _is_told(error)):
            if error.status == 403:
                return self.words(FORBIDDEN)
            # Where there is no form, nobody can "look at the fields below".
            return " ".join(dict.fromkeys(fault.detail for fault in error.fields)) or error.detail
        return self.words(BROKEN)


def _is_told(error: RefusedError) -> bool:
    """Whether the API itself says why (a provider that refused), and not a server on the way to it."""
    return error.code not in {"internal", "refused", f"http_{error.status}"}


async def _awaited(listener: Listener, message: Message) -> None:
    await listener(message)


def reader_of(words: Words) -> Reader:
    """The component kit's idea of a reader."""
    return Reader(translate=words, locale=words.tag, time_zone=words.time_zone)


def in_document(change: Callable[[], None]) -> None:
    """Changes Bokeh models with the document locked; at once where there is none (a test, a notebook).

    What is already on its way to the browser goes out first, so a change never names a model it has not seen.
    """
    doc = pn.state.curdoc
    if doc is not None and doc.session_context is not None:
        doc.add_next_tick_callback(change)
    else:
        change()
