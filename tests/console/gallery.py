"""Every component with made-up data, in each of its states: `python -m tests.console.gallery [port]`.

Open `/console?lang=pt-BR` for Portuguese. The buttons of the palette (Ctrl-K) play what a server would send.
"""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import panel as pn
import uvicorn
from bokeh.io import curdoc
from bokeh.plotting import figure
from panel.io.asgi import PanelASGI, build_asgi_app
from panel.viewable import Viewable

from console import components as kit
from console.i18n import Words
from console.rendering import STATIC_DIR, static, tab_template
from console.theme import bokeh_theme, series
from tests.console import gallery_samples as data

ROOT = "/console"
PAGES = (
    ("overview", "Overview", "LayoutDashboard", "/", ""),
    ("campaigns", "Campaigns", "Megaphone", "/campaigns", ""),
    ("live", "Campaign live", "Gauge", "/live", ""),
    ("audience", "Audience", "Users", "/audience", ""),
    ("template", "Template", "FileText", "/template", "Set up"),
    ("import", "Import", "Upload", "/import", "Set up"),
    ("form", "Forms", "Settings", "/form", "Set up"),
    ("states", "States", "CircleDashed", "/states", "Set up"),
)
COMPANIES = [
    {"id": "acme", "name": "Acme Retail", "detail": "Owner"},
    {"id": "globex", "name": "Globex", "detail": "Agent"},
]


class Gallery:
    """One tab of the gallery: the shell and the pages visited."""

    def __init__(self, reader: kit.Reader, *, dark: bool, route: str) -> None:
        self.reader = reader
        self.pages: dict[str, Viewable] = {}
        nav = [
            {"key": key, "label": label, "icon": icon, "path": path, "section": section, "mobile": n < 4}
            for n, (key, label, icon, path, section) in enumerate(PAGES)
        ]
        actions = [{"key": key, "label": key.capitalize(), "icon": "Zap"} for key in self.plays()]
        self.shell = kit.Shell(
            reader, nav=nav, actions=actions, route=route, dark=dark, prefix=ROOT, companies=COMPANIES,
            company=COMPANIES[0], user={"name": "Dana Kern", "email": "dana@acme.example", "role": "Owner"},
            languages=[{"locale": "pt-BR", "label": "Português"}, {"locale": "en", "label": "English"}],
        )  # fmt: skip
        self.shell.badge("campaigns", 3)
        self.shell.on("action", self.play)
        self.shell.on("search", self.search)
        self.shell.param.watch(lambda event: self.show(event.new), "route")

    def plays(self) -> dict[str, Callable[[], object]]:
        """What a server would send, by the name of a palette action."""
        return {
            "toast": lambda: self.shell.toast(
                "The campaign has finished.", "success", action=("see", "Open"), path="/live"
            ),
            "error toast": lambda: self.shell.toast("This did not work.", "error"),
            "paused": lambda: self.shell.live("paused"),
            "live": lambda: self.shell.live("live"),
            "confirm": lambda: pn.state.execute(self.ask),
        }

    def play(self, message: kit.Message) -> None:
        """Plays a palette action."""
        self.plays()[str(message["key"])]()

    async def ask(self) -> None:
        """Asks, and says what was answered."""
        sure = await self.shell.confirm(
            "Delete 12 contacts?", "This cannot be undone.", confirm="Delete", tone="danger"
        )
        self.shell.toast("Deleted." if sure else "Kept.")

    def search(self, message: kit.Message) -> None:
        """Finds people for the palette."""
        text = str(message["text"]).lower()
        found: list[dict[str, object]] = [
            {"id": n, "title": n, "icon": "User", "path": "/audience"}
            for n in data.NAMES
            if text in n.lower()
        ]
        self.shell.show_hits(int(str(message["seq"])), found)

    def show(self, route: str) -> None:
        """Brings the page of a route on screen."""
        path = route.split("?", maxsplit=1)[0]
        key, title = next(((k, t) for k, t, _, p, _ in PAGES if p == path), ("live", "Campaign live"))
        if key not in self.pages:
            self.pages[key] = getattr(self, key if key != "import" else "import_")()
        self.shell.param.update(
            views=list(self.pages.values()), keys=list(self.pages), active=key, title=title
        )

    def overview(self) -> Viewable:
        """Figures, a chart, funnel, map."""
        r = self.reader
        kpis, funnel, heat = kit.KpiCards(r, count=5), kit.Funnel(r), kit.Heatmap(r)
        kpis.draw(data.KPIS)
        funnel.draw(data.FUNNEL)
        heat.draw(data.CELLS, measure="Messages received")
        return kit.Page.of(
            r,
            kit.Slot(kpis),
            kit.Slot(chart(dark=self.shell.dark), card=True, title="Messages over time", text="Per day"),
            kit.Slot(funnel, span=5, card=True, title="Funnel"),
            kit.Slot(heat, span=7, card=True, title="When people write"),
            tabs=[{"key": k, "label": k} for k in ("Today", "7 days", "30 days", "90 days")],
            tab="7 days",
        )

    def campaigns(self) -> Viewable:
        """A table answered like a server would."""
        table = kit.LiveTable(
            self.reader, columns=data.COLUMNS, row_path="/live", page_size=25, selectable=True,
            filters=[{"key": "status", "options": [{"value": k, "label": v} for k, v in data.STATUS_WORDS.items()]}],
            toolbar=[{"key": "new", "label": "New campaign", "icon": "Plus", "kind": "primary"}],
            row_actions=[{"key": "pause", "label": "Pause", "icon": "Pause", "when": {"status": ["running"]}},
                         {"key": "delete", "label": "Delete", "icon": "Trash2", "tone": "danger"}],
            bulk_actions=[{"key": "delete", "label": "Delete", "icon": "Trash2", "tone": "danger"}],
        )  # fmt: skip
        table.on("query", lambda message: answer(table, kit.LiveTable.query_of(message)))
        table.on(
            "action", lambda message: table.patch({str(message["id"]): {"status": "paused", "progress": 0.5}})
        )
        table.on("bulk", lambda message: table.remove(cast("list[str]", message["ids"])))
        return kit.Page.of(self.reader, kit.Slot(table, fill=True))

    def live(self) -> Viewable:
        """A campaign on its way; at `/planned` one that waits to be scheduled, at `/halted`, `/stopped` and `/ended` such."""
        live = kit.CampaignLive(
            self.reader,
            allowed=["start", "pause", "resume", "retry", "cancel", "test", "export", "duplicate"],
        )
        campaign = dict(data.CAMPAIGN)
        if self.shell.route == "/planned":
            tomorrow = data.iso(data.NOW + timedelta(days=1))
            campaign |= {"status": "draft", "scheduled_at": tomorrow, "started_at": None}
        if self.shell.route == "/halted":
            refused = {"code": "token_refused", "text": "Meta refuses the access token."}
            campaign |= {"pause_reason": refused, "rate_per_second": 0.0, "seconds_left": None, "held": True}
        if self.shell.route == "/stopped":
            gone = {"code": "template_gone", "text": "The template of this campaign was deleted."}
            campaign |= {"status": "paused", "pause_reason": gone}
        if self.shell.route == "/ended":
            nobody = dict.fromkeys(data.CAMPAIGN["counts"], 0)
            campaign |= {"status": "cancelled", "counts": nobody | {"total": 40, "cancelled": 40}}
        live.draw(campaign)
        live.show_failures(data.FAILURES)
        live.show_exclusions(data.EXCLUSIONS)

        def obey(message: kit.Message) -> None:
            status = {"pause": "paused", "resume": "running", "cancel": "cancelled"}.get(
                str(message["name"]), "running"
            )
            campaign["revision"] = int(str(campaign["revision"])) + 1
            live.patch({"status": status, "revision": campaign["revision"]})

        live.on("command", obey)
        return kit.Page.of(self.reader, kit.Slot(live))

    def audience(self) -> Viewable:
        """Choosing people, filling the gaps, seeing the message."""
        r = self.reader
        steps = kit.Stepper(r, current="audience", steps=[
            {"key": "message", "label": "Message", "text": "oferta_novembro", "state": "done"},
            {"key": "audience", "label": "Audience", "text": "Who receives it"},
            {"key": "variables", "label": "Variables", "state": "error"}, {"key": "review", "label": "Review"}])  # fmt: skip
        picker, mapper, bubble = (
            kit.AudiencePicker(r),
            kit.VariableMapper(r),
            kit.MessagePreview(r, sender="Loja", caption="As Ana Souza will see it"),
        )
        imports = [
            {"id": "i1", "filename": "clientes.csv", "created_at": data.CAMPAIGN["created_at"], "total": 1240}
        ]
        picker.draw(
            {"all": True},
            tags=[{"tag": t, "contacts": n} for t, n in (("vip", 1204), ("novos", 88))],
            imports=imports,
            total=5000,
        )

        async def count(message: kit.Message) -> None:
            await asyncio.sleep(0.3)
            if isinstance(message["audience"], dict):
                picker.show_count(int(str(message["seq"])), data.count_audience(message["audience"]))

        picker.on("change", count)
        mapper.draw([{"key": "body.1", "example": "Ana"}, {"key": "body.2", "example": "#48213"}, {"key": "header.media", "example": ""}],
                    values={"body.1": "contact.name"}, fields=["cidade", "pedido"])  # fmt: skip
        bubble.draw(data.MESSAGE)
        return kit.Page.of(
            r, kit.Slot(steps), kit.Slot(picker, card=True, title="Audience"),
            kit.Slot(mapper, span=7, card=True, title="Variables"), kit.Slot(bubble, span=5, card=True, title="Preview"),
            title="New campaign", back={"label": "Campaigns", "path": "/campaigns"}, status={"label": "Draft", "tone": "neutral"},
            actions=[{"key": "test", "label": "Send a test", "icon": "FlaskConical"}, {"key": "go", "label": "Continue", "kind": "primary"}],
        )  # fmt: skip

    def template(self) -> Viewable:
        """Writing a template."""
        editor = kit.TemplateEditor(
            self.reader, sender="Loja", suggested=["nome", "pedido"],
            languages=[{"value": "pt_BR", "label": "Português (BR)"}, {"value": "en_US", "label": "English (US)"}],
            categories=[{"value": "MARKETING", "label": "Marketing"}, {"value": "UTILITY", "label": "Utility"}],
        )  # fmt: skip
        editor.draw(data.TEMPLATE)
        return kit.Page.of(
            self.reader,
            kit.Slot(editor, card=True),
            title="New template",
            back={"label": "Templates", "path": "/states"},
        )

    def import_(self) -> Viewable:
        """Bringing contacts in."""
        r = self.reader
        table = kit.MappingTable(r, targets=data.TARGETS, fields=["cidade", "aniversario"])
        bar = kit.ProgressBar(r)
        table.draw(data.IMPORT_COLUMNS, rows=200)
        bar.draw(0.42, label="clientes.csv", detail="42,000 of 100,000 rows", tone="accent")
        return kit.Page.of(
            r,
            kit.Slot(table),
            kit.Slot(bar, card=True, title="Progress"),
            title="Import contacts",
        )

    def form(self) -> Viewable:
        """Every kind of field, and the same in a dialog and a drawer."""
        r = self.reader
        form = kit.Form(r, fields=data.FIELDS)
        form.draw(data.VALUES)

        async def submit(message: kit.Message) -> None:
            await asyncio.sleep(0.5)
            form.show_errors(
                {"access_token": "Meta does not know this token."}, "The number could not be connected."
            )

        form.on("submit", submit)
        small = [f for f in data.FIELDS if f.get("name") in {"name", "zone", "tags"}]
        inner, other = kit.Form(r, fields=small), kit.Form(r, fields=small)
        for one in (inner, other):
            one.draw({})
        dialog = kit.Dialog(r, content=[inner], title="New contact", text="They can be written to at once.")
        drawer = kit.Dialog(r, side=True, content=[other], title="Ana Souza", text="+55 11 98765-4321")

        def close(window: kit.Dialog) -> None:
            window.open = False

        def save(_: kit.Message) -> None:
            inner.saved()
            close(dialog)
            self.shell.toast("Saved.", "success")

        def show_window(message: kit.Message) -> None:
            window = dialog if message["key"] == "dialog" else drawer
            window.open = True

        inner.on("cancel", lambda _: close(dialog))
        inner.on("submit", save)
        other.on("cancel", lambda _: close(drawer))
        page = kit.Page.of(
            r, kit.Slot(form, card=True), kit.Slot(dialog), kit.Slot(drawer), narrow=True, title="Connect a number",
            actions=[{"key": "dialog", "label": "Dialog"}, {"key": "drawer", "label": "Drawer"}],
        )  # fmt: skip
        page.on("action", show_window)
        return page

    def states(self) -> Viewable:
        """Waiting, empty, failed."""
        r = self.reader
        blank = {"icon": "Megaphone", "title": "No campaigns yet", "text": "Write to many people at once and watch them answer.",
                 "action": {"key": "new", "label": "New campaign", "icon": "Plus"}}  # fmt: skip
        details, failed, nothing, table = (
            kit.Details(r),
            kit.Funnel(r),
            kit.Funnel(r, empty=blank),
            kit.LiveTable(r, columns=data.COLUMNS, empty=blank, searchable=False),
        )
        details.draw(data.DETAILS)
        failed.fail("The server does not answer right now.")
        nothing.draw([])
        table.on(
            "query", lambda m: table.fail_page(int(str(m["seq"])), "The server does not answer right now.")
        )
        notices = [kit.Notice(r, tone=tone, title=f"A {tone} notice", text="What it means and what to do.", actions=[{"key": "go", "label": "See"}])
                   for tone in ("info", "success", "warning", "danger")]  # fmt: skip
        waiting = [kit.KpiCards(r), kit.Heatmap(r), kit.Details(r), kit.CampaignLive(r)]
        return kit.Page.of(
            r, *[kit.Slot(n, span=6) for n in notices], kit.Slot(waiting[0]), kit.Slot(details, span=7, card=True, title="Details"),
            kit.Slot(failed, span=5, card=True, title="Failed"), kit.Slot(nothing, span=6, card=True, title="Empty"),
            kit.Slot(waiting[1], span=6, card=True, title="Waiting"), kit.Slot(table), kit.Slot(waiting[3]),
            kit.Slot(kit.EmptyState(r, icon="Search", title="This page does not exist", text="It may have moved.", actions=[{"key": "home", "label": "Overview", "path": "/"}])),
        )  # fmt: skip


def answer(table: kit.LiveTable, query: kit.Query) -> None:
    """Answers a table from the samples."""
    rows = [r for r in data.CAMPAIGNS if query.search.lower() in str(r["name"]).lower()]
    rows = [r for r in rows if query.filters.get("status") in {None, r["status"]}]
    if query.sort:
        rows.sort(key=lambda r: r[query.sort or ""], reverse=query.descending)  # type: ignore[arg-type,return-value]
    start = int(query.after or 0)
    end = start + query.limit
    table.show_page(
        query.seq, rows[start:end], next_cursor=str(end) if end < len(rows) else None, total=len(rows)
    )


def chart(*, dark: bool) -> Viewable:
    """A figure in a slot, to see that it sits well."""
    green, violet = series(dark)[:2]
    x = list(range(60))
    plot = figure(height=260, sizing_mode="stretch_width", toolbar_location=None, tools="")
    sent, read = data.wave(60, 300, 190), data.wave(60, 190, 120)
    plot.varea(x, [0] * 60, sent, fill_color=green, fill_alpha=0.13)
    plot.line(x, sent, line_color=green, line_width=2, legend_label="Sent")
    plot.line(x, read, line_color=violet, line_width=2, legend_label="Read")
    plot.xgrid.grid_line_color = None
    pane: Viewable = pn.pane.Bokeh(plot, sizing_mode="stretch_width", margin=0)  # type: ignore[no-untyped-call]
    return pane


def tab() -> Viewable:
    """One tab, as the console's own page would load it."""
    doc = curdoc()
    lang = (pn.state.session_args.get("lang") or [b"en"])[0].decode()
    zone = "America/Sao_Paulo"
    # Message ids are English: the gallery needs no catalogue for it.
    translate = Words("pt_BR", zone) if lang.startswith("pt") else str
    lang = "pt-BR" if lang.startswith("pt") else "en"
    dark = (pn.state.cookies or {}).get("theme") == "dark"
    rest = (pn.state.route_params or {}).get("path", "")
    shown = Gallery(kit.Reader(translate, lang, zone), dark=dark, route=f"/{rest}")
    doc.theme = bokeh_theme(dark)
    doc.template = tab_template()
    doc.template_variables.update(
        dist_url="/static/extensions/panel/",
        dark=dark,
        lang=lang,
        _=translate,
        static=static,
        title="Gallery",
    )
    shown.shell.param.watch(lambda event: setattr(doc, "theme", bokeh_theme(event.new)), "dark")
    pn.state.onload(lambda: shown.show(shown.shell.route))
    return shown.shell


def gallery() -> PanelASGI:
    """The gallery as an ASGI application."""
    pn.extension()
    pn.config.reconnect = True
    pages: Any = {ROOT: tab, f"{ROOT}/{{path:path}}": tab}
    return build_asgi_app(
        pages, location=False, static_dirs={"/assets": str(STATIC_DIR)}, index_enabled=False
    )


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 15050
    uvicorn.run(gallery(), host="127.0.0.1", port=port, log_level="warning")
