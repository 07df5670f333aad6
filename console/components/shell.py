"""The frame of the console: navigation, top bar, command palette, toasts, dialogs, routes."""

import asyncio
from typing import ClassVar, Literal
from uuid import uuid4

import param
from panel.viewable import Children

from console.components.base import Component, Message
from console.i18n import N_

type ToastKind = Literal["info", "success", "error"]
type LiveState = Literal["live", "reconnecting", "paused"]


class Shell(Component):
    """Sidebar, top bar, palette (Ctrl-K), live pill, toasts, confirm dialogs, bottom bar on phones, routes.

    Routes: `route` follows the address bar both ways (links, back, forward, deep links); watch it, build the
    view, then set `active`, `title` and, for a view not shown before, append to `views` and `keys` in one
    `param.update`. Views stay mounted and are hidden, so coming back costs nothing. Links inside components
    navigate by themselves (any `path` in the kit is a route, without the prefix).

    Events: `search {seq, text}` (answer with `show_hits`), `action {key}` (palette action or toast button),
    `company {id}`, `language {locale}`, `resync {}` (after a lost connection: fetch again).
    """

    LABELS: ClassVar = {
        "navigation": N_("Main navigation"),
        "skip": N_("Skip to content"),
        "collapse": N_("Collapse sidebar"),
        "expand": N_("Expand sidebar"),
        "search": N_("Search or jump to…"),
        "search.short": N_("Search"),
        "palette": N_("Command palette"),
        "palette.placeholder": N_("Type a command or search…"),
        "palette.none": N_("Nothing found"),
        "palette.none.text": N_("Try another word."),
        "palette.searching": N_("Searching…"),
        "palette.pages": N_("Go to"),
        "palette.actions": N_("Actions"),
        "palette.results": N_("Results"),
        "palette.hint": N_("to move, Enter to open, Esc to close"),
        "live": N_("Live"),
        "live.hint": N_("Figures update by themselves."),
        "reconnecting": N_("Reconnecting…"),
        "reconnecting.hint": N_("The connection was lost. We are trying again."),
        "paused": N_("Live updates paused"),
        "paused.hint": N_("Figures do not move by themselves right now. Reload to see newer ones."),
        "theme.dark": N_("Switch to dark mode"),
        "theme.light": N_("Switch to light mode"),
        "theme.dark.short": N_("Dark mode"),
        "theme.light.short": N_("Light mode"),
        "language": N_("Language"),
        "company": N_("Company"),
        "companies": N_("Switch company"),
        "user": N_("Your account"),
        "sign_out": N_("Sign out"),
        "more": N_("More"),
        "close": N_("Close"),
        "cancel": N_("Cancel"),
        "confirm": N_("Confirm"),
        "dismiss": N_("Dismiss"),
        "notifications": N_("Notifications"),
        "loading": N_("Loading"),
        "unread.one": N_("{n} new"),
        "unread.other": N_("{n} new"),
        "retry": N_("Try again"),
        "failed": N_("Something went wrong"),
    }

    views = Children(doc="One child per view visited so far, kept mounted.")
    keys = param.List(default=[], item_type=str, doc="Key of each view, in the order of `views`.")
    active = param.String(default="", doc="Key of the view on screen; empty shows the skeleton.")
    route = param.String(default="/", doc="Path under `prefix`, both ways: '/campaigns/<id>'.")
    title = param.String(default="", doc="Title of the top bar and of the browser tab.")
    product = param.String(default="Master IA", doc="Name of the product, after the title of the tab.")
    prefix = param.String(default="/console", doc="Where the console is mounted.")
    nav = param.List(
        default=[],
        doc="[{key, label, icon, path, section?, mobile?}]; `mobile` puts it in the bottom bar (at most four).",
    )
    actions = param.List(default=[], doc="Palette actions: [{key, label, icon?, path?, keywords?}].")
    companies = param.List(default=[], doc="[{id, name, detail?}] the user may switch to.")
    company = param.Dict(default={}, doc="{id, name, detail?} being looked at.")
    user = param.Dict(default={}, doc="{name, email, role?}.")
    languages = param.List(default=[], doc="[{locale, label}] on offer; `locale` marks the current one.")
    sign_out_path = param.String(default="/logout", doc="Absolute path that takes a POST to sign out.")
    dark = param.Boolean(default=False, doc="Dark mode, both ways; also kept in the cookie `theme`.")
    busy = param.Boolean(default=False, doc="Shows the thin bar of progress on top.")
    searchable = param.Boolean(default=True, doc="Whether the palette asks the server (`search`).")

    def __init__(self, *args: object, **params: object) -> None:
        super().__init__(*args, **({"sizing_mode": "stretch_both"} | params))  # type: ignore[arg-type]
        self._badges: dict[str, int] = {}
        self._questions: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[bool]]] = {}

    def toast(
        self, text: str, kind: ToastKind = "info", *, action: tuple[str, str] | None = None, path: str = ""
    ) -> None:
        """Show a passing message; `action` is (key, label) of a button, which navigates when `path` is given."""
        button = {"key": action[0], "label": action[1], "path": path} if action else None
        self._tell("toast", text=text, kind=kind, action=button)

    def badge(self, key: str, n: int) -> None:
        """Set the number beside an entry of the navigation; 0 takes it away."""
        self._badges[key] = n
        self._keep("badges", badges=dict(self._badges))

    def live(self, state: LiveState) -> None:
        """Say whether live updates reach this process; a lost browser connection shows by itself."""
        self._keep("live", state=state)

    def show_hits(self, seq: int, items: list[dict[str, object]]) -> None:
        """Answer a `search` of the palette: [{id, title, subtitle?, icon?, path}]."""
        self._tell("hits", seq=seq, items=items)

    def reload(self, path: str = "") -> None:
        """Load the console anew at this absolute path, or where it is (after a change of language or company)."""
        self._tell("reload", path=path)

    def download(self, path: str) -> None:
        """Have the browser download what is at this absolute path of ours; the screen stays."""
        self._tell("download", path=path)

    async def confirm(
        self, title: str, text: str = "", *, confirm: str = "", tone: Literal["normal", "danger"] = "normal"
    ) -> bool:
        """Ask the user and wait for the answer. False when they cancel or close."""
        key = uuid4().hex
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._questions[key] = (loop, answer)
        self._tell("confirm", id=key, title=title, text=text, confirm=confirm, tone=tone)
        try:
            return await answer
        finally:
            self._questions.pop(key, None)

    def _receive(self, message: Message) -> None:
        if message.get("type") == "resync":
            self._tell("resynced")
        if message.get("type") == "confirmed":
            self._settle(str(message.get("id")), bool(message.get("ok")))

    def _settle(self, key: str, ok: bool) -> None:
        """Hand the answer to the coroutine that asked; messages arrive on a worker thread, it waits on the loop."""
        loop, answer = self._questions.get(key, (None, None))
        if loop is not None and answer is not None:
            loop.call_soon_threadsafe(lambda: None if answer.done() else answer.set_result(ok))
