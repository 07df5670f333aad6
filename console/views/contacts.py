"""Contacts: the list, and a drawer with one person in it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from panel.viewable import Viewable

from console.components import Details, Drawer, Form, LiveTable, Message, Page, Slot
from console.frames import Row
from console.i18n import N_
from console.views.base import Soon, TableFeed, View, field_errors, plain, values_of
from engine.client import Fact, FactKind, RefusedError
from engine.client.answers import Contact

CONSENT = {
    "granted": (N_("Allowed"), "success"),
    "withdrawn": (N_("Opted out"), "danger"),
    "none": (N_("Not asked"), "neutral"),
}
# More chips than these would be a wall; the search finds the rest.
TAG_CHIPS = 10
REFRESH_SECONDS = 2.0
FIELD_PREFIX = "field."
# Where consent recorded by hand comes from, as it is kept with it.
CONSENT_SOURCE = "console"


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
        _, tab = self.words, self.tab
        self._open_id = ""
        self._shown: Contact | None = None
        self._fields: list[str] = []
        self._tags: list[str] = []
        self._writes = tab.can("contacts.write")
        self.table = self._build_table()
        self.feed = TableFeed(self.table, contact_cells)
        self.form = Form(tab.reader, guard=True, buttons=self._writes)
        self.known = Details(tab.reader)
        self.drawer = Drawer(tab.reader, content=[self.form, self.known], size="medium")
        self._refresh = Soon(tab, self._ask_again, pause=REFRESH_SECONDS)
        tab.on(self.table, "query", self._answer)
        tab.on(self.table, "toolbar", self._toolbar)
        tab.on(self.table, "bulk", self._bulk)
        tab.on(self.form, "submit", self._save)
        tab.on(self.form, "cancel", self._leave)
        tab.on(self.form, "action", self._form_action)
        tab.on(self.drawer, "closed", self._leave)
        return Page.of(
            tab.reader, Slot(self.table, key="list", fill=True), Slot(self.drawer, key="drawer"),
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
                {"key": "last", "label": _("Last message"), "kind": "ago"},
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
        self.table.refresh()
        await self._learn()
        self._open_id = parts.get("contact_id", "")
        if self._open_id:
            await self._open(self._open_id)
        elif self.drawer.open and self._shown is not None:
            self.drawer.open = False

    async def resync(self) -> None:
        """Asks for the page again; what is being typed stays."""
        self.table.refresh()

    async def _learn(self) -> None:
        """Learns the tags and fields in use."""
        tags = await self.tab.api.contacts.tags()
        self._fields = [one.field for one in await self.tab.api.contacts.fields()]
        chips = [{"value": one.tag, "label": one.tag, "n": one.contacts} for one in tags[:TAG_CHIPS]]
        self.table.filters = (
            [{"key": "tag", "label": self.words(N_("Tags")), "options": chips}] if chips else []
        )
        self._tags = [one.tag for one in tags]

    async def _ask_again(self) -> None:
        self.table.refresh()

    async def _answer(self, message: Message) -> None:
        query = LiveTable.query_of(message)
        page = await self.tab.api.contacts.list(
            search=query.search, tag=query.filters.get("tag"), after=query.after, limit=query.limit
        )
        self.feed.answer(query, page)

    def take(self, facts: Sequence[Fact]) -> None:
        """Asks for the page again: facts about contacts tell only that they changed."""
        one = [fact.data.get("id") for fact in facts if fact.kind == FactKind.CONTACT_CHANGED]
        if len(one) < len(facts) or any(str(key) in self.feed.frame for key in one):
            self._refresh.ask()

    async def _toolbar(self, message: Message) -> None:
        if message.get("key") == "add":
            self._shown = None
            self.drawer.title = self.words(N_("Add contact"))
            self.known.visible = False
            self._show_form({"consent": "none"})

    async def _open(self, contact_id: str) -> None:
        try:
            contact = await self.tab.api.contacts.get(contact_id)
        except RefusedError as error:
            self.tab.shell.toast(error.detail, "error")
            return
        self._shown = contact
        self.drawer.title = contact.name or contact.phone or ""
        values: dict[str, Any] = {
            "name": contact.name, "phone": contact.phone or "", "tags": list(contact.tags),
            "consent": contact.consent.marketing,
        } | {FIELD_PREFIX + name: value for name, value in contact.fields.items()}  # fmt: skip
        self._show_form(values)
        self.known.visible = True
        self.known.draw(self._facts_of(contact))

    def _facts_of(self, contact: Contact) -> list[dict[str, object]]:
        _ = self.words
        row = plain(contact)
        names = {"phone": _("Phone"), "bsuid": _("WhatsApp ID"), "username": _("WhatsApp user name")}
        others = [
            {"key": one.kind, "label": names.get(one.kind, one.kind), "value": one.value, "kind": "copy"}
            for one in contact.identities
            if one.kind != "phone"
        ]
        return [
            *others,
            {"key": "last", "label": _("Last message"), "value": row["last_inbound_at"], "kind": "ago"},
            {"key": "created", "label": _("Added"), "value": row["created_at"], "kind": "date"},
        ]

    def _show_form(self, values: Mapping[str, object]) -> None:
        _ = self.words
        custom = sorted(
            {name.removeprefix(FIELD_PREFIX) for name in values if name.startswith(FIELD_PREFIX)}
            | set(self._fields)
        )
        off = not self._writes
        fields: list[dict[str, object]] = [
            {"name": "name", "kind": "text", "label": _("Name"), "disabled": off},
            {"name": "phone", "kind": "phone", "label": _("Phone"), "disabled": off, "placeholder": "+55 11 98765-4321",
             "help": _("With area code; other countries start with +.")},
            {"name": "tags", "kind": "tags", "label": _("Tags"), "disabled": off,
             "suggestions": [{"value": tag} for tag in self._tags]},
            {"name": "consent", "kind": "segmented", "label": _("Marketing messages"), "disabled": off,
             "options": [{"value": state, "label": _(label)} for state, (label, _tone) in CONSENT.items()],
             "help": _("Campaigns of the marketing category reach only people who allowed it.")},
        ]  # fmt: skip
        if custom:
            fields.append({"name": "custom", "kind": "section", "label": _("Custom fields")})
        fields += [
            {"name": FIELD_PREFIX + name, "kind": "text", "label": name, "half": True, "disabled": off}
            for name in custom
        ]
        delete = {"key": "delete", "label": _("Delete"), "icon": "Trash2"}
        self.form.param.update(fields=fields, actions=[delete] if self._shown and self._writes else [])
        self.form.draw(values)
        self.drawer.open = True

    async def _save(self, message: Message) -> None:
        values = values_of(message)
        body: dict[str, Any] = {
            "name": values.get("name") or "",
            "phone": values.get("phone") or None,
            "tags": values.get("tags") or [],
            "fields": {
                name.removeprefix(FIELD_PREFIX): value
                for name, value in values.items()
                if name.startswith(FIELD_PREFIX) and value not in {None, ""}
            },
        }
        consent = str(values.get("consent") or "none")
        try:
            await self._write(body, consent)
        except RefusedError as error:
            self.form.show_errors(field_errors(error), "" if error.fields else error.detail)
            return
        self.form.saved()
        self.tab.shell.toast(self.words(N_("Saved.")), "success")
        await self._leave({})
        self.table.refresh()

    async def _write(self, body: dict[str, Any], consent: str) -> None:
        contacts = self.tab.api.contacts
        before = self._shown.consent.marketing if self._shown else "none"
        if self._shown is None:
            saved = await contacts.add(body)
        else:
            saved = await contacts.change(self._shown.id, body)
        if consent not in {before, "none"}:
            await contacts.set_consent(saved.id, consent, CONSENT_SOURCE)

    async def _form_action(self, message: Message) -> None:
        if message.get("key") == "delete" and self._shown is not None:
            await self._delete([self._shown.id])

    async def _bulk(self, message: Message) -> None:
        ids = message.get("ids")
        if message.get("key") == "delete" and isinstance(ids, list):
            await self._delete([str(one) for one in ids])

    async def _delete(self, ids: Sequence[str]) -> None:
        words = self.words
        sure = await self.tab.shell.confirm(
            words.plural("Delete {n} contact?", "Delete {n} contacts?", len(ids)),
            words(N_("Their conversations stay readable. Someone who opted out is still never written to.")),
            confirm=words(N_("Delete")),
            tone="danger",
        )
        if not sure:
            return
        for contact_id in ids:
            await self.tab.api.contacts.remove(contact_id)
        self.feed.remove(ids)
        self.tab.shell.toast(
            words.plural("{n} contact deleted.", "{n} contacts deleted.", len(ids)), "success"
        )
        self.form.saved()
        await self._leave({})
        self.table.refresh()

    async def _leave(self, _: Message) -> None:
        self.drawer.open = False
        if self._open_id:
            self._open_id = ""
            self.tab.go("/contacts")
