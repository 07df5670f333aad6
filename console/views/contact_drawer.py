"""One contact in a drawer over the list: looking, adding, changing, deleting."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from console.components import Details, Dialog, Form, Message
from console.i18n import N_
from console.tab import Tab
from console.views.base import complaint, field_errors, plain, values_of
from engine.client import RefusedError
from engine.client.answers import Contact

CONSENT = {
    "granted": (N_("Allowed"), "success"),
    "withdrawn": (N_("Opted out"), "danger"),
    "none": (N_("Not asked"), "neutral"),
}
FIELD_PREFIX = "field."
# Where consent recorded by hand comes from, as it is kept with it.
CONSENT_SOURCE = "console"
# The API's code for a phone that another contact has; it names that one as `contact_id`.
PHONE_TAKEN = "phone_taken"


class ContactDrawer:
    """A person being looked at or written down.

    `left` is called when the drawer closes, `changed` after a save, `removed` with who was deleted.
    """

    def __init__(
        self,
        tab: Tab,
        *,
        left: Callable[[], None],
        changed: Callable[[], None],
        removed: Callable[[Sequence[str]], None],
    ) -> None:
        self.tab = tab
        self._left, self._changed, self._removed = left, changed, removed
        self._shown: Contact | None = None
        self._writes = tab.can("contacts.write")
        self.tags: Sequence[str] = ()
        self.fields: Sequence[str] = ()
        self.form = Form(tab.reader, guard=True, buttons=self._writes)
        self.known = Details(tab.reader, margin=(22, 0, 0, 0))
        self.drawer = Dialog(tab.reader, content=[self.form, self.known], side=True)
        tab.on(self.form, "submit", self._save)
        tab.on(self.form, "cancel", self._leave)
        tab.on(self.form, "action", self._form_action)
        tab.on(self.drawer, "closed", self._leave)

    def add(self) -> None:
        """Opens an empty form."""
        self._shown = None
        self.drawer.title = self.tab.words(N_("Add contact"))
        self.known.draw([])
        self._show_form({"consent": "none"})

    def show(self, contact: Contact) -> None:
        """Opens a person."""
        self._shown = contact
        self.drawer.title = contact.name or contact.phone or ""
        self._show_form(
            {FIELD_PREFIX + name: value for name, value in contact.fields.items()}
            | {
                "name": contact.name,
                "phone": contact.phone or "",
                "tags": list(contact.tags),
                "consent": contact.consent.marketing,
            }
        )
        self.known.draw(self._facts_of(contact))

    def close(self) -> None:
        """Closes it, if it shows."""
        self._shown = None
        if self.drawer.open:
            self.drawer.open = False

    def _facts_of(self, contact: Contact) -> list[dict[str, object]]:
        _ = self.tab.words
        row = plain(contact)
        names = {"bsuid": _("WhatsApp ID"), "username": _("WhatsApp user name")}
        others: list[dict[str, object]] = [
            {"key": one.kind, "label": names.get(one.kind, one.kind), "value": one.value, "kind": "copy"}
            for one in contact.identities
            if one.kind != "phone"
        ]
        return [
            *others,
            {
                "key": "last",
                "label": _("Last message received"),
                "value": row["last_inbound_at"],
                "kind": "ago",
            },
            {"key": "created", "label": _("Added"), "value": row["created_at"], "kind": "date"},
        ]

    def _show_form(self, values: Mapping[str, object]) -> None:
        delete: dict[str, object] = {"key": "delete", "label": self.tab.words(N_("Delete")), "icon": "Trash2"}
        actions = [delete] if self._shown and self._writes else []
        self.form.param.update(fields=self._form_fields(values), actions=actions)
        self.form.draw(values)
        self.drawer.open = True

    def _form_fields(self, values: Mapping[str, object]) -> list[dict[str, object]]:
        _, off = self.tab.words, not self._writes
        # What somebody said once can change, but not be unsaid.
        choices = [state for state in CONSENT if state != "none" or values.get("consent") == "none"]
        held = {name.removeprefix(FIELD_PREFIX) for name in values if name.startswith(FIELD_PREFIX)}
        custom = sorted(held | set(self.fields))
        fields: list[dict[str, object]] = [
            {"name": "name", "kind": "text", "label": _("Name"), "disabled": off},
            {"name": "phone", "kind": "phone", "label": _("Phone"), "disabled": off, "placeholder": "+55 11 98765-4321",
             "help": _("With area code; other countries start with +.")},
            {"name": "tags", "kind": "tags", "label": _("Tags"), "disabled": off,
             "suggestions": [{"value": tag} for tag in self.tags]},
            {"name": "consent", "kind": "segmented", "label": _("Marketing messages"), "disabled": off,
             "options": [{"value": state, "label": _(CONSENT[state][0])} for state in choices],
             "help": _("Campaigns of the marketing category reach only people who allowed it.")},
        ]  # fmt: skip
        if custom:
            fields.append({"name": "custom", "kind": "section", "label": _("Custom fields")})
        more: list[dict[str, object]] = [
            {"name": FIELD_PREFIX + name, "kind": "text", "label": name, "half": True, "disabled": off}
            for name in custom
        ]
        return fields + more

    async def _save(self, message: Message) -> None:
        values = values_of(message)
        body: dict[str, Any] = {
            "name": values.get("name") or "",
            "phone": values.get("phone") or None,
            "tags": values.get("tags") or [],
            "fields": self._custom(values),
        }
        try:
            await self._write(body, str(values.get("consent") or "none"))
        except RefusedError as error:
            self._refuse(error)
            return
        self.form.saved()
        self.tab.shell.toast(self.tab.words(N_("Saved.")), "success")
        self.close()
        self._left()
        self._changed()

    def _refuse(self, error: RefusedError) -> None:
        """Says what is wrong at its field; a phone somebody else has leads to that person."""
        holder = error.problem.get("contact_id")
        if error.code != PHONE_TAKEN or not holder:
            self.form.show_errors(field_errors(error), complaint(error))
            return
        there = {"label": self.tab.words(N_("Open that contact")), "path": f"/contacts/{holder}"}
        self.form.show_errors({"phone": error.detail}, links={"phone": there})

    def _custom(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The custom fields: what was emptied is taken away from a person who had it."""
        had = set(self._shown.fields) if self._shown else set()
        given = {
            name.removeprefix(FIELD_PREFIX): value or None
            for name, value in values.items()
            if name.startswith(FIELD_PREFIX)
        }
        return {name: value for name, value in given.items() if value is not None or name in had}

    async def _write(self, body: dict[str, Any], consent: str) -> None:
        contacts = self.tab.api.contacts
        before = self._shown.consent.marketing if self._shown else "none"
        saved = await (contacts.change(self._shown.id, body) if self._shown else contacts.add(body))
        if consent not in {before, "none"}:
            await contacts.set_consent(saved.id, consent, CONSENT_SOURCE)

    async def _form_action(self, message: Message) -> None:
        if message.get("key") == "delete" and self._shown is not None:
            await self.delete([self._shown.id])

    async def delete(self, ids: Sequence[str]) -> None:
        """Asks, and deletes these people."""
        words = self.tab.words
        sure = await self.tab.shell.confirm(
            words.plural("Delete {n} contact?", "Delete {n} contacts?", len(ids)),
            words(N_("Their conversations stay readable. Someone who opted out is still never written to.")),
            confirm=words(N_("Delete")),
            tone="danger",
        )
        if not sure:
            return
        for contact_id in ids:
            await self._delete(contact_id)
        self.tab.shell.toast(
            words.plural("{n} contact deleted.", "{n} contacts deleted.", len(ids)), "success"
        )
        self.form.saved()
        self.close()
        self._left()
        self._changed()

    async def _delete(self, contact_id: str) -> None:
        try:
            await self.tab.api.contacts.remove(contact_id)
        except RefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:  # gone already is what was asked for
                raise
        self._removed([contact_id])

    async def _leave(self, _: Message) -> None:
        self.close()
        self._left()
