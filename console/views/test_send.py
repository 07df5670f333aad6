"""The dialog that sends a campaign's message to one's own number."""

from console.components import Dialog, Form, Message
from console.i18n import N_
from console.tab import Tab
from console.views.base import complaint, field_errors, values_of
from engine.client import RefusedError


class TestSend:
    """A dialog over a campaign; put `dialog` somewhere on the page."""

    __test__ = False

    def __init__(self, tab: Tab) -> None:
        _ = tab.words
        self._tab = tab
        self._campaign_id = ""
        self.form = Form(
            tab.reader, guard=False, submit_label=_("Send the test"),
            fields=[{"name": "to", "kind": "phone", "label": _("Your number"), "required": True,
                     "help": _("The message goes to this number only.")}],
        )  # fmt: skip
        self.dialog = Dialog(
            tab.reader, title=_("Send a test"), content=[self.form], size="small",
            text=_("See the message on your own phone before it goes to everybody."),
        )  # fmt: skip
        tab.on(self.form, "submit", self._send)
        tab.on(self.form, "cancel", self._close)

    def open(self, campaign_id: str) -> None:
        """Asks where to send the message of this campaign."""
        self._campaign_id = campaign_id
        self.form.draw({})
        self.dialog.open = True

    async def _send(self, message: Message) -> None:
        try:
            await self._tab.api.campaigns.test_send(
                self._campaign_id, str(values_of(message).get("to") or "")
            )
        except RefusedError as error:
            self.form.show_errors(field_errors(error), complaint(error))
            return
        self.form.saved()
        self.dialog.open = False
        self._tab.shell.toast(self._tab.words(N_("The test message is on its way.")), "success")

    async def _close(self, _: Message) -> None:
        self.dialog.open = False
