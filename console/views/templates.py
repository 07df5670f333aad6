"""The list of templates, with what the provider says of each."""

from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import LiveTable, Message, Page, Query, Slot
from console.frames import Row
from console.i18n import N_
from console.views.base import LIST_SECONDS, Soon, TableFeed, View, answer_queries
from engine.client import Fact, FactKind, RefusedError

STATUSES = {
    "draft": (N_("Draft"), "neutral"),
    "pending": (N_("In review"), "warning"),
    "approved": (N_("Approved"), "success"),
    "rejected": (N_("Rejected"), "danger"),
    "paused": (N_("Paused"), "warning"),
    "disabled": (N_("Disabled"), "muted"),
}
CATEGORIES = {
    "MARKETING": (N_("Marketing"), N_("Offers and news. Only for people who allowed it.")),
    "UTILITY": (N_("Utility"), N_("Orders, appointments, accounts: what the person is waiting for.")),
    "AUTHENTICATION": (N_("Authentication"), N_("Codes to sign in.")),
}
# Languages WhatsApp takes that our users write in; the provider knows more.
LANGUAGES = {
    "pt_BR": "Português (Brasil)",
    "pt_PT": "Português (Portugal)",
    "en_US": "English (US)",
    "en": "English",
    "es": "Español",
}
FILTERED = ("approved", "pending", "rejected", "draft")
EXCERPT_LENGTH = 90


def template_cells(row: Row) -> Row:
    """A template as a row of the table."""
    bodies = [
        part.get("text", "")
        for part in row.get("components") or []
        if str(part.get("type")).upper() == "BODY"
    ]
    text = " ".join("".join(bodies).split())
    return {
        "id": row["id"],
        "name": row.get("name"),
        "text": text if len(text) <= EXCERPT_LENGTH else text[: EXCERPT_LENGTH - 1] + "…",
        "language": row.get("language"),
        "category": str(row.get("category") or "").upper(),
        "status": row.get("status"),
        "created": row.get("created_at"),
    }


class TemplateList(View):
    """All templates: search, filter by status, fetch anew from the provider."""

    key: ClassVar = "templates"
    title: ClassVar = N_("Templates")
    facts: ClassVar = (FactKind.TEMPLATE_CHANGED,)

    def build(self) -> Viewable:
        """The table."""
        _, tab = self.words, self.tab
        new = {
            "key": "new",
            "label": _("New template"),
            "icon": "Plus",
            "path": "/templates/new",
            "kind": "primary",
        }
        sync = {"key": "sync", "label": _("Fetch from WhatsApp"), "icon": "RefreshCw"}
        may = tab.can("templates.write")
        self.table = LiveTable(
            tab.reader,
            columns=[
                {"key": "name", "label": _("Template"), "kind": "strong", "sub": "text"},
                {"key": "category", "label": _("Category"), "kind": "text",
                 "words": {key: _(label) for key, (label, _hint) in CATEGORIES.items()}},
                {"key": "language", "label": _("Language"), "kind": "text", "words": LANGUAGES},
                {"key": "status", "label": _("Status"), "kind": "badge", "phone": "side",
                 "words": {state: _(label) for state, (label, _tone) in STATUSES.items()},
                 "tones": {state: tone for state, (_label, tone) in STATUSES.items()}},
                {"key": "created", "label": _("Created"), "kind": "ago"},
            ],
            filters=[
                {"key": "status", "label": _("Status"), "all": _("All templates"),
                 "options": [{"value": state, "label": _(STATUSES[state][0])} for state in FILTERED]}
            ],
            search_label=_("Search templates"),
            toolbar=[sync, new] if may else [],
            row_path="/templates/{id}",
            noun={"one": _("{n} template"), "other": _("{n} templates")},
            empty={
                "icon": "FileText",
                "title": _("No templates yet"),
                "text": _("A template is a text WhatsApp approves once; campaigns are made of them."),
                **({"action": new} if may else {}),
            },
            sizing_mode="stretch_both",
        )  # fmt: skip
        self.feed = TableFeed(self.table, template_cells)
        self._refresh = Soon(tab, self.enter, pause=LIST_SECONDS)
        answer_queries(tab, self.table, self._answer)
        tab.on(self.table, "toolbar", self._toolbar)
        return Page.of(tab.reader, Slot(self.table, key="list", fill=True), sizing_mode="stretch_both")

    async def enter(self, **parts: str) -> None:
        """Asks for the page on screen again."""
        self.table.refresh()

    async def _answer(self, query: Query) -> None:
        page = await self.tab.api.templates.list(
            status=query.filters.get("status"), search=query.search, after=query.after, limit=query.limit
        )
        self.feed.answer(query, page)

    async def _toolbar(self, message: Message) -> None:
        if message.get("key") != "sync":
            return
        refused = 0
        channels = (await self.tab.api.channels.list()).items
        for channel in channels:
            try:
                await self.tab.api.templates.sync(channel.id)
            except RefusedError as error:  # one broken connection keeps no other from being asked
                refused += 1
                self.tab.shell.toast(f"{channel.name}: {self.tab.explain(error)}", "error")
        if refused < len(channels) or not channels:
            self.tab.shell.toast(self.words(N_("The templates are up to date.")), "success")
        self.table.refresh()

    def take(self, facts: Sequence[Fact]) -> None:
        """Shows a new status; a template made elsewhere appears."""
        if self.feed.take(fact.data for fact in facts):
            self._refresh.ask()
