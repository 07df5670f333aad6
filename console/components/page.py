"""A view's page: heading, buttons, tabs, and cards on a grid of twelve."""

from dataclasses import dataclass, field
from typing import ClassVar

import param
from panel.viewable import Children, Viewable

from console.components.base import Component, Reader
from console.components.words import LEAVING
from console.i18n import N_


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a page: what stands there, how wide (of 12), and whether in a card with a title."""

    content: Viewable
    key: str = ""
    span: int = 12
    title: str = ""
    text: str = ""
    card: bool = False
    fill: bool = False  # takes the height that is left (tables)
    min_height: int = 0
    actions: list[dict[str, object]] = field(default_factory=list)


class Page(Component):
    """Lays out a view by CSS grid: 12 columns on a desk, one on a phone. Slots take any Viewable, also Bokeh panes.

    Build it with `Page.of(reader, Slot(...), Slot(...), title=...)`. Hide and show slots by key with `hidden`.

    Events: `action {key}` (a button of the heading or of a card), `tab {key}`.
    """

    LABELS: ClassVar = {
        "back": N_("Back"),
        "sections": N_("Sections"),
        **LEAVING,
    }

    items = Children(doc="The contents, in order.")
    layout = param.List(
        default=[], doc="Per item: {key, span, title, text, card, fill, min_height, actions}."
    )
    title = param.String(default="", doc="Heading of the page; empty draws none.")
    text = param.String(default="", doc="A line under the heading.")
    back = param.Dict(default={}, doc="{label, path} of the page above, as a link before the heading.")
    status = param.Dict(default={}, doc="{label, tone} of a badge beside the heading.")
    actions = param.List(
        default=[],
        doc="Buttons at the right: [{key, label, icon?, path?, kind?: primary|secondary|danger, disabled?}].",
    )
    tabs = param.List(default=[], doc="[{key, label, n?}] under the heading.")
    tab = param.String(default="", doc="Key of the chosen tab, both ways.")
    hidden = param.List(default=[], item_type=str, doc="Keys of the slots not shown now; they stay mounted.")
    guard = param.Boolean(default=False, doc="Ask before leaving: something on the page is not saved.")
    narrow = param.Boolean(default=False, doc="Suits forms and settings: at most 760 px wide.")

    @classmethod
    def of(cls, reader: Reader | None, *slots: Slot, **params: object) -> "Page":
        """A page of these slots."""
        places = [place_of(slot) for slot in slots]
        return cls(reader, items=[slot.content for slot in slots], layout=places, **params)


def place_of(slot: Slot) -> dict[str, object]:
    """The slot's place on the grid, as the browser wants it."""
    return {name: getattr(slot, name) for name in Slot.__slots__ if name != "content"}
