"""A banner: something the reader should know, and what to do about it."""

import param

from console.components.base import Component


class Notice(Component):
    """A banner within a page. Events: `action {key}`, `dismissed {}`."""

    tone: "param.Selector[str]" = param.Selector(
        default="info", objects=["info", "success", "warning", "danger"], doc="Colour and icon."
    )
    title = param.String(default="", doc="What it is about.")
    text = param.String(default="", doc="More, in a sentence or two.")
    actions = param.List(default=[], doc="[{key, label, path?}] as buttons.")
