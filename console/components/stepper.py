"""Where one is in a task of several steps."""

from typing import ClassVar

import param

from console.components.base import Component
from console.i18n import N_


class Stepper(Component):
    """Steps in a row. A step: {key, label, text?, state: todo|done|error}. Event: `step {key}`.

    Going back is always allowed; forward only to steps that are done or next to a done one.
    """

    LABELS: ClassVar = {
        "steps": N_("Steps"),
        "position": N_("Step {n} of {total}"),
        "done": N_("Done"),
        "problem": N_("Needs attention"),
    }

    steps = param.List(default=[])
    current = param.String(default="", doc="Key of the step being worked on.")
