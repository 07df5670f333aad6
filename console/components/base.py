"""What every component of the kit shares: the bundle, the words, and the way messages travel."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import panel as pn
import param
from panel.custom import ReactComponent

HERE = Path(__file__).parent

type Message = dict[str, object]
type Listener = Callable[[Message], Coroutine[object, object, None] | None]


def find_bundle(folder: Path = HERE / "dist") -> Path:
    """Path of the one compiled bundle. Its name carries a hash of its content, so browsers may cache it forever."""
    bundles = sorted(folder.glob("console-*.js"))
    if len(bundles) != 1:
        raise RuntimeError(
            f"Expected one compiled bundle in {folder}, found {len(bundles)}: run `make widgets`."
        )
    return bundles[0]


@dataclass(frozen=True, slots=True)
class Reader:
    """The person at the screen: how to translate for them, and how they write numbers, dates and times."""

    translate: Callable[[str], str] = str
    locale: str = "en"  # BCP 47, as Intl wants it: "pt-BR", "en"
    time_zone: str = "UTC"  # IANA name, the company's
    currency: str = "BRL"


class Component(ReactComponent):
    """Base of the kit. Small settings are params; data travel as messages.

    Messages to the browser
        Methods of the subclasses send them. A message sent before the browser has mounted the component is
        lost, therefore the browser says `ready` when it has mounted and what was kept (`_keep`) is sent again,
        also after a reload of the component. Every component starts as a skeleton and knows two more states:
        `fail(text)` shows an error with "Try again" (event `retry`), and data that are empty show `empty`.

    Messages from the browser
        `component.on("row", listener)`; the listener gets the message (a dict with `type` and the fields that
        the subclass documents). Listeners may be `async def`. Every component says `ready` and `retry`.
    """

    LABELS: ClassVar[Mapping[str, str]] = {}
    """Every word the component shows, by key, as message ids marked with N_.

    `{name}` is filled in by the browser. A pair `key.one` / `key.other` is a plural over `{n}`.
    """

    _bundle: ClassVar[Path] = find_bundle()

    labels = param.Dict(default={}, doc="Translated LABELS; single ones may be given to say it otherwise.")
    locale = param.String(default="en", doc="BCP 47 language for numbers, dates and plurals.")
    time_zone = param.String(default="UTC", doc="IANA time zone of the company, for every instant shown.")
    currency = param.String(default="BRL", doc="ISO 4217 code for amounts of money.")
    empty = param.Dict(
        default={},
        doc="What to show instead of no data: {icon, title, text, action?: {key, label, icon?, path?}}.",
    )

    __abstract = True

    def __init__(self, reader: Reader | None = None, **params: object) -> None:
        reader = reader or Reader()
        words = {key: reader.translate(message) for key, message in self.LABELS.items()}
        given = params.pop("labels", None)
        if isinstance(given, dict):
            words |= given
        defaults = {
            "labels": words,
            "locale": reader.locale,
            "time_zone": reader.time_zone,
            "currency": reader.currency,
            "sizing_mode": "stretch_width",
            "margin": 0,
        }
        super().__init__(**(defaults | params))  # type: ignore[no-untyped-call]
        self._kept: dict[str, Message] = {}
        self._listeners: dict[str, list[Listener]] = {}

    def on(self, event: str, listener: Listener) -> None:
        """Call the listener with every message of this type that the browser sends."""
        self._listeners.setdefault(event, []).append(listener)

    def fail(self, text: str, *, title: str | None = None) -> None:
        """Show an error in place of the data, with a button that sends `retry`."""
        self._keep("error", text=text, title=title)

    def wait(self) -> None:
        """Show the skeleton again, until data arrive."""
        self._kept.clear()
        self._tell("wait")

    def _tell(self, kind: str, /, **fields: object) -> None:
        """Send a message once; it is lost when the component is not on screen."""
        self._send_msg({"type": kind, **fields})

    def _keep(self, kind: str, /, **fields: object) -> None:
        """Send a message now and again each time the component mounts; a newer one of its kind replaces it."""
        if kind != "error":
            self._kept.pop("error", None)
        self._kept[kind] = {"type": kind, **fields}
        self._send_msg(self._kept[kind])

    def _receive(self, message: Message) -> None:
        """Hook of subclasses that answer the browser themselves; called before the listeners."""

    def _handle_msg(self, data: Message) -> None:
        if data.get("type") == "ready":
            for message in list(self._kept.values()):
                self._send_msg(message)
        self._receive(data)
        for listener in self._listeners.get(str(data.get("type")), []):
            pn.state.execute(partial(listener, data), schedule=False)
