"""A route that leads nowhere."""

from typing import ClassVar

from panel.viewable import Viewable

from console.components import EmptyState
from console.i18n import N_
from console.views.base import View


class NotFound(View):
    """Says that there is nothing here, and leads back."""

    key: ClassVar = "not-found"
    title: ClassVar = N_("Not found")

    def build(self) -> Viewable:
        """The message."""
        _ = self.words
        self.message = EmptyState(
            self.tab.reader,
            icon="Search",
            title=_("This page does not exist"),
            text=_("The address may be mistyped, or what was here is gone."),
        )
        return self.message

    async def enter(self, **parts: str) -> None:
        """Leads back to the list that the address belongs to, or home."""
        _, place = self.words, self.tab.shell.route.split("?")[0].split("/")[1]
        home = (_("Go to the overview"), "/")
        label, path = {
            "campaigns": (_("See campaigns"), "/campaigns"),
            "contacts": (_("See contacts"), "/contacts"),
            "templates": (_("See templates"), "/templates"),
            "connections": (_("See connections"), "/connections"),
        }.get(place, home)
        self.message.actions = [{"key": "back", "label": label, "path": path, "kind": "primary"}]
