"""A place with nothing in it yet, and what to do next."""

import param

from console.components.base import Component


class EmptyState(Component):
    """Icon, title, text and a button in the middle of the space. Event: `action {key}`."""

    icon = param.String(default="Inbox", doc="Name of an icon of the kit.")
    title = param.String(default="")
    text = param.String(default="")
    actions = param.List(
        default=[], doc="[{key, label, icon?, path?, kind?}] as buttons; the first is the main one."
    )
