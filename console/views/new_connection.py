"""Connecting a number of Meta's Cloud API."""

from typing import Any, ClassVar

from panel.viewable import Viewable

from console.components import Form, Message, Page, Slot
from console.i18n import N_
from console.views.base import View, complaint, field_errors, values_of
from engine.client import RefusedError

CREDENTIALS = ("phone_number_id", "waba_id", "access_token", "app_secret")
DEFAULT_RATE = 80


class NewConnection(View):
    """The form that connects a number of Meta's Cloud API."""

    key: ClassVar = "new-connection"
    title: ClassVar = N_("Connect a number")

    def build(self) -> Viewable:
        """What Meta shows in its app dashboard, field by field."""
        _, reader = self.words, self.tab.reader
        live = {"environment": ["live"]}
        sandbox = {"environment": ["sandbox"]}
        self.form = Form(reader, submit_label=_("Connect"), fields=[
            {"name": "name", "kind": "text", "label": _("Name"), "required": True,
             "placeholder": _("e.g. Sales"), "help": _("Only your team sees it.")},
            {"name": "environment", "kind": "radio", "label": _("Environment"), "options": [
                {"value": "live", "label": _("Production"), "hint": _("A real number. Messages reach real people.")},
                {"value": "sandbox", "label": _("Sandbox"),
                 "hint": _("The built-in simulator answers as phones would. Nothing leaves this server.")},
            ]},
            {"name": "where", "kind": "note", "tone": "info", "when": live,
             "label": _("You find these in Meta's App Dashboard, under WhatsApp, API Setup.")},
            {"name": "where_sandbox", "kind": "note", "tone": "info", "when": sandbox,
             "label": _("The simulator lists its numbers and keys at /_admin/state of its address.")},
            {"name": "phone_number_id", "kind": "text", "label": _("Phone number ID"), "required": True, "half": True},
            {"name": "waba_id", "kind": "text", "label": _("WhatsApp Business Account ID"), "required": True, "half": True},
            {"name": "access_token", "kind": "password", "label": _("Access token"), "required": True,
             "help": _("A permanent token of a system user. It is stored encrypted and never shown again.")},
            {"name": "app_secret", "kind": "password", "label": _("App secret"), "required": True,
             "help": _("With it we know that what arrives really comes from Meta.")},
            {"name": "rate_per_second", "kind": "number", "label": _("Messages per second"), "min": 1, "max": 1000,
             "optional": True, "help": _("Meta allows 80 per second to most numbers.")},
        ])  # fmt: skip
        self.tab.on(self.form, "submit", self._connect)
        self.tab.on(self.form, "cancel", self._leave)
        return Page.of(
            reader, Slot(self.form, key="form", card=True), title=_("Connect a number"), narrow=True,
            back={"label": _("Connections"), "path": "/connections"},
            text=_("WhatsApp Cloud API: you bring your own number and account of Meta."),
        )  # fmt: skip

    async def enter(self, **parts: str) -> None:
        """Shows an empty form."""
        self.form.draw({"environment": "live", "rate_per_second": DEFAULT_RATE})

    async def resync(self) -> None:
        """Keeps what was typed."""

    async def _connect(self, message: Message) -> None:
        values = values_of(message)
        body: dict[str, Any] = {
            "kind": "whatsapp_cloud",
            "name": values.get("name"),
            "environment": values.get("environment") or "live",
            "credentials": {name: str(values.get(name) or "").strip() for name in CREDENTIALS},
        }
        if values.get("rate_per_second"):
            body["rate_per_second"] = values["rate_per_second"]
        try:
            channel = await self.tab.api.channels.connect(body)
        except RefusedError as error:
            self.form.show_errors(field_errors(error), complaint(error))
            return
        self.form.saved()
        self.lead(f"/connections/{channel.id}")

    async def _leave(self, _: Message) -> None:
        self.tab.go("/connections")
