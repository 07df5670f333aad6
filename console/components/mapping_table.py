"""Which column of a file becomes what."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import param

from console.components.base import Component
from console.components.words import CHOOSING
from console.i18n import N_


class MappingTable(Component):
    """The columns of a file with samples, and a select of what each becomes.

    `targets`: [{value, label, hint?, once?: bool}], e.g. name, phone, tags, skip; `once` = at most one column.
    A choice "New field…" asks for a name and gives `field.<name>`. `fields` are custom fields known already.

    Events: `change {mapping: {column: target}, problems: [text]}` whenever the user changes one; `back {}` and
    `next {}`, the buttons below, of which the second rests while there are problems.
    """

    LABELS: ClassVar = {
        **CHOOSING,
        "column": N_("Column in the file"),
        "samples": N_("Examples"),
        "target": N_("Becomes"),
        "fields": N_("Custom fields"),
        "new_field": N_("New field…"),
        "field_name": N_("Name of the field"),
        "twice": N_("{target} is chosen for more than one column"),
        "empty_samples": N_("no examples"),
        "rows.one": N_("{n} row looked at"),
        "rows.other": N_("{n} rows looked at"),
        "columns.one": N_("{n} column"),
        "columns.other": N_("{n} columns"),
        "mapped.one": N_("{n} will be imported"),
        "mapped.other": N_("{n} will be imported"),
        "back": N_("Back"),
        "next": N_("Continue"),
        "failed": N_("The file could not be read"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    targets = param.List(default=[], doc="See the class.")
    fields = param.List(default=[], item_type=str, doc="Names of custom fields on offer.")
    required = param.List(
        default=[], doc="Targets one of which must be chosen: [{value, text}] (text = the complaint)."
    )

    def draw(self, columns: Sequence[Mapping[str, object]], *, rows: int | None = None) -> None:
        """Draw the columns: [{name, guess, samples, problem?}] as the preview of an import gives them."""
        self._keep("columns", columns=[dict(column) for column in columns], rows=rows)
