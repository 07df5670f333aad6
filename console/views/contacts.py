"""The list of contacts: search, tags, and a drawer with one person in it."""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from panel.viewable import Viewable

from console.components import LiveTable, Message, Page, Query, Slot
from console.frames import Row
from console.i18n import N_
from console.views.base import LIST_SECONDS, Soon, TableFeed, View, answer_queries
from console.views.contact_drawer import CONSENT, ContactDrawer
from engine.client import Fact, FactKind

# More chips than these would be a wall; the search finds the rest.
TAG_CHIPS = 10


def contact_cells(row: Row) -> Row:
    """A contact as a row of the table."""
    return {
        "id": row["id"],
        "name": row.get("name") or row.get("phone") or "—",
        "phone": row.get("phone"),
        "tags": row.get("tags") or [],
        "consent": (row.get("consent") or {}).get("marketing", "none"),
        "last": row.get("last_inbound_at"),
        "created": row.get("created_at"),
    }


class Contacts(View):
    """Everybody who may be written to."""

    key: ClassVar = "contacts"
    title: ClassVar = N_("Contacts")
    facts: ClassVar = (FactKind.CONTACT_CHANGED, FactKind.CONTACTS_CHANGED)

    def build(self) -> Viewable:
        """The table, and the drawer over it."""
        tab = self.tab
        self._open_id = ""
        self._tags: list[Row] = []
        self._import: Row | None = None
        self._writes = tab.can("contacts.write")
        self.table = self._build_table()
        self.feed = TableFeed(self.table, contact_cells)
        self.person = ContactDrawer(
            tab, left=self._left, changed=self.table.refresh, removed=self.feed.remove
        )
        self._refresh = Soon(tab, self.resync, pause=LIST_SECONDS)
        answer_queries(tab, self.table, self._answer)
        tab.on(self.table, "toolbar", self._toolbar)
        tab.on(self.table, "bulk", self._bulk)
        return Page.of(
            tab.reader, Slot(self.table, key="list", fill=True), Slot(self.person.drawer, key="drawer"),
            sizing_mode="stretch_both",
        )  # fmt: skip

    def _build_table(self) -> LiveTable:
        _, tab = self.words, self.tab
        add = {"key": "add", "label": _("Add contact"), "icon": "Plus"}
        bring = {
            "key": "import",
            "label": _("Import"),
            "icon": "Upload",
            "path": "/contacts/imports/new",
            "kind": "primary",
        }
        past = {"key": "imports", "label": _("Imports"), "icon": "History", "path": "/contacts/imports"}
        toolbar = [past, *([add] if self._writes else []), *([bring] if tab.can("contacts.import") else [])]
        return LiveTable(
            tab.reader,
            columns=[
                {"key": "name", "label": _("Name"), "kind": "strong"},
                {"key": "phone", "label": _("Phone"), "kind": "phone"},
                {"key": "tags", "label": _("Tags"), "kind": "tags"},
                {"key": "consent", "label": _("Marketing"), "kind": "badge", "phone": "side",
                 "words": {state: _(label) for state, (label, _tone) in CONSENT.items()},
                 "tones": {state: tone for state, (_label, tone) in CONSENT.items()}},
                {"key": "last", "label": _("Last received"), "kind": "ago"},
                {"key": "created", "label": _("Added"), "kind": "ago", "phone": "hide"},
            ],
            search_label=_("Search by name or phone"),
            toolbar=toolbar,
            selectable=self._writes,
            bulk_actions=[{"key": "delete", "label": _("Delete"), "icon": "Trash2", "tone": "danger"}],
            row_path="/contacts/{id}",
            noun={"one": _("{n} contact"), "other": _("{n} contacts")},
            empty={
                "icon": "Users",
                "title": _("No contacts yet"),
                "text": _("Bring the people you write to from a spreadsheet, or add them one by one."),
                **({"action": bring} if tab.can("contacts.import") else {}),
            },
            sizing_mode="stretch_both",
        )  # fmt: skip

    async def enter(self, **parts: str) -> None:
        """Asks for the page again, and opens the person the route names."""
        self._open_id = wanted = parts.get("contact_id", "")
        if not await self._narrow():
            self.table.refresh()
        if not wanted:
            self.person.close()
        await self._learn()
        if wanted:
            contact = await self.tab.api.contacts.get(wanted)
            if wanted == self._open_id and self.on_screen:  # else the person went on while we waited
                self.person.show(contact)

    def fail(self, sentence: str) -> None:
        """Says it over the list, which says by itself how it fares."""
        self.tab.shell.toast(sentence, "error")
        self._left()

    async def resync(self) -> None:
        """Asks for the page again; what is being typed stays."""
        self.table.refresh()

    async def _learn(self) -> None:
        """Learns the tags and fields in use."""
        tags = await self.tab.api.contacts.tags()
        self.person.tags = [one.tag for one in tags]
        self.person.fields = [one.field for one in await self.tab.api.contacts.fields()]
        self._tags = [{"value": one.tag, "label": one.tag, "n": one.contacts} for one in tags[:TAG_CHIPS]]
        self._draw_filters()

    async def _narrow(self) -> bool:
        """Shows the people of the import that the route names, under the name of its file; False when it names none."""
        asked = parse_qs(urlsplit(self.tab.shell.route).query).get("import", [])
        if not asked:
            return False
        found = await self.tab.api.contacts.import_(asked[0])
        self._import = {"value": found.id, "label": found.filename, "n": found.created + found.updated}
        self._draw_filters()
        self.table.reset(filters={"import": found.id})
        return True

    def _draw_filters(self) -> None:
        _ = self.words
        rows = (
            ("import", _("Import"), [self._import] if self._import else []),
            ("tag", _("Tags"), self._tags),
        )
        self.table.filters = [
            {"key": key, "label": label, "all": _("All contacts"), "options": options}
            for key, label, options in rows
            if options
        ]

    async def _answer(self, query: Query) -> None:
        page = await self.tab.api.contacts.list(
            search=query.search,
            tag=query.filters.get("tag"),
            import_id=query.filters.get("import"),
            after=query.after,
            limit=query.limit,
        )
        self.feed.answer(query, page)

    def take(self, facts: Sequence[Fact]) -> None:
        """Asks for the page again: facts about contacts tell only that they changed."""
        gone = [str(fact.data.get("id")) for fact in facts if fact.data.get("deleted")]
        self.feed.remove([key for key in gone if key in self.feed.frame])
        one = [str(fact.data.get("id")) for fact in facts if fact.kind == FactKind.CONTACT_CHANGED]
        if len(one) < len(facts) or any(key in self.feed.frame for key in one):
            self._refresh.ask()

    async def _toolbar(self, message: Message) -> None:
        if message.get("key") == "add":
            self.person.add()

    async def _bulk(self, message: Message) -> None:
        ids = message.get("ids")
        if message.get("key") == "delete" and isinstance(ids, list):
            await self.person.delete([str(one) for one in ids])

    def _left(self) -> None:
        if self._open_id:
            self._open_id = ""
            self.lead("/contacts")
