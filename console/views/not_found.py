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
        return EmptyState(
            self.tab.reader,
            icon="Search",
            title=_("This page does not exist"),
            text=_("The address may be mistyped, or what was here is gone."),
            actions=[{"key": "home", "label": _("Go to the overview"), "path": "/", "kind": "primary"}],
        )
