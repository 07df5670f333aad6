"""One connection: how a number fares, what Meta must be told, and new secrets for it."""

from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import Details, Dialog, Form, Message, Notice, Page, Slot
from console.frames import LiveFrame, Row
from console.i18n import N_
from console.views.base import View, complaint, field_errors, plain, values_of
from console.views.connections import ENVIRONMENTS, KINDS, QUALITIES, STATUSES
from engine.client import Fact, FactKind, RefusedError
from engine.client.answers import Channel

# What may be entered anew for a number that is connected.
RENEWABLE = ("access_token", "app_secret")


class ConnectionPage(View):
    """A connected number: its health, and what Meta must be told."""

    key: ClassVar = "connection"
    title: ClassVar = N_("Connection")
    facts: ClassVar = (FactKind.CHANNEL_CHANGED,)

    def build(self) -> Viewable:
        """Health and webhook side by side."""
        _, reader = self.words, self.tab.reader
        self._id = ""
        self.frame = LiveFrame()
        self.notice = Notice(reader)
        self.health = Details(reader)
        self.webhook = Details(reader)
        self.form = Form(reader, guard=False, fields=[
            {"name": "name", "kind": "text", "label": _("Name"), "required": True},
            {"name": "rate_per_second", "kind": "number", "label": _("Messages per second"), "min": 1, "max": 1000},
            {"name": "access_token", "kind": "password", "label": _("New access token"), "optional": True,
             "help": _("Empty keeps the one in use. A new one is checked at the provider at once.")},
            {"name": "app_secret", "kind": "password", "label": _("New app secret"), "optional": True,
             "help": _("Empty keeps the one in use.")},
        ])  # fmt: skip
        self.edit = Dialog(reader, title=_("Edit connection"), content=[self.form], size="small")
        self.page = Page.of(
            reader,
            Slot(self.notice, key="notice"),
            Slot(self.health, key="health", span=6, card=True, title=_("Health")),
            Slot(self.webhook, key="webhook", span=6, card=True, title=_("Webhook"),
                 text=_("Enter these in Meta's App Dashboard, under WhatsApp, Configuration, and subscribe to these fields:"
                        " messages, message_template_status_update, account_update.")),
            Slot(self.edit, key="edit"),
            back={"label": _("Connections"), "path": "/connections"},
            hidden=["notice"],
        )  # fmt: skip
        self.tab.on(self.page, "action", self._act)
        self.tab.on(self.notice, "action", self._act)
        self.tab.on(self.form, "submit", self._save)
        self.tab.on(self.form, "cancel", self._close)
        for component in (self.health, self.webhook):
            self.tab.on(component, "retry", self._retry, failed=self.fail)
        return self.page

    async def enter(self, **parts: str) -> None:
        """Shows the connection the route names."""
        self._id = wanted = parts.get("channel_id", self._id)
        self._take_in(wanted, await self.tab.api.channels.get(wanted))

    def _take_in(self, wanted: str, channel: Channel) -> None:
        self.frame.add([plain(channel)])
        if wanted == self._id:  # another one may have been opened while we waited
            self._draw()

    def fail(self, sentence: str) -> None:
        """Says it in place of both cards."""
        self.health.fail(sentence)
        self.webhook.fail(sentence)

    async def resync(self) -> None:
        """Fetches the same connection again."""
        await self.enter(channel_id=self._id)

    async def _retry(self, _: Message) -> None:
        await self.resync()

    def take(self, facts: Sequence[Fact]) -> None:
        """Shows how it fares now."""
        changes = self.frame.apply(fact.data for fact in facts)
        if self._id in changes.changed:
            self._draw()
            if "status" in changes.changed[self._id]:
                self.tab.start(self.resync)  # why it is so, the API says in words

    def _draw(self) -> None:
        row = self.frame.row(self._id) or {}
        _ = self.words
        label, tone = STATUSES.get(str(row.get("status")), (str(row.get("status")), "neutral"))
        self.page.param.update(
            title=str(row.get("name")), status={"label": _(label), "tone": tone}, actions=self._actions(row)
        )
        self.health.draw(self._health_rows(row, _(label), tone))
        self.webhook.draw([
            {"key": "url", "label": _("Callback URL"), "value": row.get("webhook_url"), "kind": "copy"},
            {"key": "token", "label": _("Verify token"), "value": row.get("verify_token"), "kind": "secret"},
            {"key": "heard", "label": _("Last heard"), "value": row.get("last_webhook_at"), "kind": "ago",
             "hint": "" if row.get("last_webhook_at") else _("Nothing has arrived yet.")},
        ])  # fmt: skip
        attention, paused = (row.get("status") == status for status in ("attention", "paused"))
        reason = row.get("status_reason") or {}
        if paused:
            self.notice.param.update(
                tone="warning", title=_("This connection is paused"),
                text=_("Nothing is sent on it until you switch it on. What people write still arrives."),
                actions=[{"key": "resume", "label": _("Switch on")}] if self.tab.can("channels.write") else [],
            )  # fmt: skip
        elif attention:
            self.notice.param.update(
                tone="danger", title=_("This connection needs attention"), text=str(reason.get("text") or ""),
                actions=[{"key": "edit", "label": _("Replace the access token")}, {"key": "check", "label": _("Check again")}]
                if self.tab.can("channels.write") else [],
            )  # fmt: skip
        elif reason:
            self.notice.param.update(
                tone="warning", title=_("This connection rests for a moment"),
                text=" ".join(str(reason.get(part) or "") for part in ("text", "action")), actions=[],
            )  # fmt: skip
        self.page.hidden = [] if reason or attention or paused else ["notice"]

    def _actions(self, row: Row) -> list[dict[str, object]]:
        _ = self.words
        if not self.tab.can("channels.write"):
            return []
        pause: dict[str, object] = {"key": "pause", "label": _("Pause"), "icon": "Pause"}
        return [
            {"key": "delete", "label": _("Disconnect"), "icon": "Trash2"},
            *([] if row.get("status") == "paused" else [pause]),
            {"key": "edit", "label": _("Edit"), "icon": "Pencil"},
            {"key": "check", "label": _("Check now"), "icon": "RefreshCw", "kind": "primary"},
        ]

    def _health_rows(self, row: Row, status: str, tone: str) -> list[dict[str, object]]:
        _ = self.words
        quality, quality_tone = QUALITIES.get(
            str(row.get("quality") or "").upper(), (N_("Not known yet"), "neutral")
        )
        environment = ENVIRONMENTS.get(str(row.get("environment")), "")
        return [
            {"key": "status", "label": _("Status"), "value": status, "kind": "badge", "tone": tone},
            {"key": "phone", "label": _("Phone"), "value": row.get("phone_number"), "kind": "phone"},
            {"key": "display", "label": _("Name shown to people"), "value": row.get("display_name"), "kind": "text"},
            {"key": "quality", "label": _("Quality"), "value": _(quality), "kind": "badge", "tone": quality_tone},
            {"key": "kind", "label": _("Kind"), "value": _(KINDS.get(str(row.get("kind")), str(row.get("kind")))),
             "kind": "text"},
            {"key": "environment", "label": _("Environment"), "value": _(environment), "kind": "badge",
             "tone": "violet" if row.get("environment") == "sandbox" else "accent"},
            {"key": "rate", "label": _("Messages per second"), "value": row.get("rate_per_second"), "kind": "number"},
            {"key": "sent", "label": _("Last sent"), "value": row.get("last_sent_at"), "kind": "ago"},
            {"key": "created", "label": _("Connected on"), "value": row.get("created_at"), "kind": "date"},
        ]  # fmt: skip

    async def _act(self, message: Message) -> None:
        key = message.get("key")
        if key == "check":
            wanted = self._id
            channel = await self.tab.api.channels.check(wanted)
            self._take_in(wanted, channel)
            if channel.status == "attention":
                self.tab.shell.toast(
                    self.words(N_("The check failed. What to do stands on this page.")), "error"
                )
            else:
                self.tab.shell.toast(self.words(N_("Checked at the provider.")), "success")
        elif key == "edit":
            row = self.frame.row(self._id) or {}
            self.form.draw({"name": row.get("name"), "rate_per_second": row.get("rate_per_second")})
            self.edit.open = True
        elif key == "pause":
            await self._pause()
        elif key == "resume":
            await self._change({"paused": False})
        elif key == "delete":
            await self._disconnect()

    async def _pause(self) -> None:
        words = self.words
        sure = await self.tab.shell.confirm(
            words(N_("Pause this connection?")),
            words(N_("Nothing is sent on it until you switch it on. What people write still arrives.")),
            confirm=words(N_("Pause")),
        )
        if sure:
            await self._change({"paused": True})

    async def _change(self, body: Row) -> None:
        wanted = self._id
        self._take_in(wanted, await self.tab.api.channels.change(wanted, body))

    async def _disconnect(self) -> None:
        words = self.words
        sure = await self.tab.shell.confirm(
            words(N_("Disconnect this number?")),
            words(N_("Nothing more is sent or received on it. Conversations and reports stay.")),
            confirm=words(N_("Disconnect")),
            tone="danger",
        )
        if sure:
            await self.tab.api.channels.remove(self._id)
            self.tab.shell.toast(words(N_("The number was disconnected.")), "success")
            self.lead("/connections")

    async def _save(self, message: Message) -> None:
        values = values_of(message)
        body = {key: values[key] for key in ("name", "rate_per_second") if values.get(key)}
        entered = {key: str(values.get(key) or "").strip() for key in RENEWABLE}
        renewed = {key: value for key, value in entered.items() if value}
        if renewed:
            body["credentials"] = renewed
        wanted = self._id
        try:
            channel = await self.tab.api.channels.change(wanted, body)
        except RefusedError as error:
            self.form.show_errors(field_errors(error), complaint(error))
            return
        self.form.saved()
        self.edit.open = False
        self._take_in(wanted, channel)

    async def _close(self, _: Message) -> None:
        self.edit.open = False
