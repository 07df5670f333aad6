"""Builds what a tab shows: the shell, its routes to views, and its ear for live facts."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import panel as pn
from bokeh.document import Document
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from console.auth import SignIn
from console.components import Message, Shell
from console.gate import HOME, LOCALE_COOKIE, THEME_COOKIE
from console.i18n import LANGUAGES, N_, Words, choose_locale
from console.live import Live, LiveState, SignInMoved, Subscription
from console.rendering import static, tab_template
from console.routes.sign_in import ROLES, companies_of, switch_company
from console.tab import ENDED_PATH, Tab, in_document, reader_of
from console.theme import bokeh_theme
from console.views import NOT_FOUND, find_view
from console.views.base import View
from console.wiring import Console
from engine.client import Fact, FactKind, RefusedError

log = logging.getLogger("console.app")

NAV = (
    ("overview", N_("Overview"), "LayoutDashboard", "/", "", True),
    ("campaigns", N_("Campaigns"), "Megaphone", "/campaigns", "", True),
    ("contacts", N_("Contacts"), "Users", "/contacts", "", True),
    ("templates", N_("Templates"), "FileText", "/templates", N_("Set up"), True),
    ("connections", N_("Connections"), "Plug", "/connections", N_("Set up"), False),
)
ACTIONS = (
    ("campaigns.write", N_("New campaign"), "Megaphone", "/campaigns/new"),
    ("contacts.import", N_("Import contacts"), "Upload", "/contacts/imports/new"),
    ("templates.write", N_("New template"), "FileText", "/templates/new"),
    ("channels.write", N_("Connect a number"), "Plug", "/connections/new"),
)


# What the API answers where an address names nothing, or nothing that could ever be.
NOTHING_THERE = (404, 422)
# Of each kind, in the palette.
HITS = 5
# So long a change of company takes between the API and the console, at most.
MOVING_SECONDS = 1.0


class Screens:
    """The views of one tab: made when first visited, kept after."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._views: dict[str, View] = {}
        self._active: View | None = None

    def show(self, route: str) -> None:
        """Brings the view of a route on screen."""
        self._bring(*find_view(route), route)

    def _bring(self, kind: type[View], parts: Mapping[str, str], route: str) -> None:
        shell, words = self._tab.shell, self._tab.words
        view = self._views.get(kind.key)
        fresh = view is None
        if view is None:
            view = self._views[kind.key] = kind(self._tab)
            shell.param.update(
                views=[*shell.views, view.panel],
                keys=[*shell.keys, kind.key],
                active=kind.key,
                title=words(kind.title),
            )
        else:
            shell.param.update(active=kind.key, title=words(kind.title))
        self._active = view
        enter = partial(self._tab.start, partial(self._enter, view, route, parts), failed=view.fail)
        if fresh:
            in_document(enter)  # its models must be with the browser before anything changes them
        else:
            enter()

    async def _enter(self, view: View, route: str, parts: Mapping[str, str]) -> None:
        """Has the view show what the route names; where that is nothing, says so and leads back."""
        try:
            await view.enter(**parts)
        except RefusedError as error:
            if not parts or error.status not in NOTHING_THERE:
                raise
            if self._active is view and self._tab.shell.route == route:
                self._bring(NOT_FOUND, {}, route)

    def take(self, facts: Sequence[Fact]) -> None:
        """Gives the view on screen the facts it wants; the others fetch afresh when they are entered."""
        view = self._active
        wanted = [fact for fact in facts if view is not None and fact.kind in view.facts]
        if view is not None and wanted:
            view.take(wanted)

    def resync(self) -> None:
        """Has the view on screen fetch afresh; the others do when they are entered."""
        if self._active is not None:
            self._tab.start(self._active.resync, failed=self._active.fail)


def build_tab(console: Console, sign_in: SignIn, *, locale: str, dark: bool, route: str) -> Tab:
    """A tab with its shell; no question asked yet."""
    me = sign_in.me
    words = Words(locale, me.company.time_zone)
    may_see = [entry for entry in NAV if entry[0] != "connections" or me.role in {"owner", "manager"}]
    shell = Shell(
        reader_of(words),
        route=route,
        prefix=HOME,
        dark=dark,
        sign_out_path="/sign-out",
        searchable=True,
        nav=[
            {
                "key": key,
                "label": words(label),
                "icon": icon,
                "path": path,
                "section": words(section),
                "mobile": mobile,
            }
            for key, label, icon, path, section, mobile in may_see
        ],
        user={
            "name": me.user.name or me.user.email,
            "email": me.user.email,
            "role": words(ROLES.get(me.role, me.role)),
        },
        company={"id": me.company.id, "name": me.company.name},
        companies=[
            {"id": one["id"], "name": one["name"], "detail": one["role"]} for one in companies_of(me, words)
        ],
        languages=[{"locale": tag.replace("_", "-"), "label": label} for tag, label in LANGUAGES.items()],
    )
    tab = Tab(
        api=console.api_for(sign_in, locale), me=me, words=words, shell=shell, sign_in=sign_in.id,
        switch_company=lambda company: switch_company(console, sign_in, company, locale),
        upload_limit=console.settings.upload_limit,
        learn=partial(console.sign_ins.learn, sign_in.id),
        kept_sign_in=partial(console.sign_ins.read, sign_in.id),
    )  # fmt: skip
    shell.actions = [
        {"key": f"go:{path}", "label": words(label), "icon": icon, "path": path}
        for permission, label, icon, path in ACTIONS
        if tab.can(permission)
    ]
    return tab


def wire_shell(tab: Tab, screens: Screens, doc: Document) -> None:
    """Connects what the shell reports with what follows from it."""
    shell = tab.shell
    shell.param.watch(lambda event: screens.show(event.new), "route")

    def paint(dark: bool) -> None:
        doc.theme = bokeh_theme(dark)

    shell.param.watch(lambda event: paint(event.new), "dark")

    async def search(message: Message) -> None:
        await find_anything(tab, message)

    async def change_language(message: Message) -> None:
        chosen = choose_locale(str(message.get("locale")))
        me = await tab.api.accounts.change_me({"locale": chosen})
        if tab.learn is not None:
            await tab.learn(me)  # else the language kept at sign-in would win over the new one
        shell.reload(f"/language/{chosen}?next={HOME}{shell.route}")

    async def change_company(message: Message) -> None:
        if tab.switch_company is not None:
            await tab.switch_company(str(message.get("id")))
            shell.reload(HOME)

    async def resync(_: Message) -> None:
        screens.resync()

    tab.on(shell, "search", search)
    tab.on(shell, "language", change_language)
    tab.on(shell, "company", change_company)
    tab.on(shell, "resync", resync)


async def find_anything(tab: Tab, message: Message) -> None:
    """Answers the palette: campaigns and contacts that match."""
    text, seq = str(message.get("text") or "").strip(), message.get("seq")
    hits: list[dict[str, object]] = []
    if text:
        campaigns, contacts = await asyncio.gather(
            tab.api.campaigns.list(search=text, limit=HITS), tab.api.contacts.list(search=text, limit=HITS)
        )
        kind = tab.words(N_("Campaign"))
        for one in campaigns.items:
            path = f"/campaigns/{one.id}"
            hits.append(
                {"id": one.id, "title": one.name, "subtitle": kind, "icon": "Megaphone", "path": path}
            )
        for person in contacts.items:
            path, title = f"/contacts/{person.id}", person.name or person.phone or ""
            hits.append(
                {
                    "id": person.id,
                    "title": title,
                    "subtitle": person.phone or "",
                    "icon": "User",
                    "path": path,
                }
            )
    tab.shell.show_hits(seq if isinstance(seq, int) else 0, hits)


async def leave_ended(tab: Tab) -> None:
    """Leads away from a session that ended: home where the sign-in goes on for another company, else out.

    Who changes company ends the old session a moment before the new one is kept, so this waits a little.
    """
    await asyncio.sleep(MOVING_SECONDS * tab.patience)
    kept = await tab.kept_sign_in() if tab.kept_sign_in is not None else None
    moved = kept is not None and kept.me.session_id != tab.me.session_id
    tab.shell.reload(HOME if moved else ENDED_PATH)


def subscribe(live: Live, tab: Tab, screens: Screens, doc: Document) -> Subscription:
    """Opens the tab's ear. The calls come on the loop and draw with the document unlocked (facts are messages)."""

    def drawing(call: Callable[[], None]) -> None:
        with set_curdoc(doc), unlocked():
            call()

    def deliver(facts: list[Fact]) -> None:
        for fact in facts:
            if fact.kind == FactKind.SESSION_REVOKED and fact.data.get("session_id") == tab.me.session_id:
                drawing(lambda: tab.start(partial(leave_ended, tab)))
                return
        drawing(lambda: screens.take(facts))

    def leave(moved: SignInMoved) -> None:
        drawing(lambda: tab.shell.reload(HOME if moved.tenant_id else ENDED_PATH))

    def show_state(state: LiveState) -> None:
        drawing(lambda: tab.shell.live(state.value))

    subscription = Subscription(
        tenant_id=tab.me.company.id,
        sign_in=tab.sign_in,
        deliver=deliver,
        resync=lambda: drawing(screens.resync),
        show_state=show_state,
        sign_in_moved=leave,
    )
    live.subscribe(subscription)
    return subscription


def asked_route(rest: str, arguments: Mapping[str, Sequence[bytes]]) -> str:
    """The route a page was asked for, with its query; what Bokeh adds to the query is not part of it."""
    own = [(name, values) for name, values in arguments.items() if not name.startswith("bokeh-")]
    query = urlencode([(name, value) for name, values in own for value in values])
    return f"/{rest}?{query}" if query else f"/{rest}"


def modify_document(console: Console, doc: Document) -> None:
    """Fills the document of a fresh tab."""
    context: Any = doc.session_context
    sign_in: SignIn = context.request.user
    cookies = pn.state.cookies or {}
    rest = (context.token_payload.get("route_params") or {}).get("path", "")
    asked = {name.lower(): str(value) for name, value in (pn.state.headers or {}).items()}
    locale = choose_locale(
        sign_in.me.user.locale, cookies.get(LOCALE_COOKIE), asked.get("accept-language", "")
    )
    dark = cookies.get(THEME_COOKIE) == "dark"
    tab = build_tab(
        console, sign_in, locale=locale, dark=dark, route=asked_route(rest, pn.state.session_args)
    )
    screens = Screens(tab)
    wire_shell(tab, screens, doc)
    doc.theme = bokeh_theme(dark)
    doc.template = tab_template()
    doc.template_variables.update(
        # A session rebuilt in another process would else point at a CDN for its style sheets.
        dist_url="/static/extensions/panel/", app_base="/", dark=dark, lang=tab.words.tag, _=tab.words, static=static,
        title=tab.words(NAV[0][1]),
    )  # fmt: skip
    doc.title = "Master IA"
    subscription = subscribe(console.live, tab, screens, doc)
    doc.on_session_destroyed(lambda _: console.live.drop(subscription))
    tab.shell.live(console.live.state.value)
    pn.state.onload(lambda: screens.show(tab.shell.route))
    tab.shell.server_doc(doc=doc, title="Master IA", location=False)


__all__ = ["NOT_FOUND", "Screens", "build_tab", "modify_document", "subscribe", "wire_shell"]
