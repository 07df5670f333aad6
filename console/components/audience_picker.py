"""Who a campaign writes to."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from console.components.base import Component
from console.components.words import CHOOSING, TAGGING
from console.i18n import N_


class AudiencePicker(Component):
    """Everyone, people with tags, or an import; beside it how many will be reached and who is left out, why.

    The value is the API's audience: {all: true} | {tags: [any of]} | {import_id}.
    Event: `change {audience, seq}` (debounced; audience None while incomplete): answer with `show_count(seq, …)`.
    """

    LABELS: ClassVar = {
        **CHOOSING,
        **TAGGING,
        "audience": N_("Audience"),
        "all": N_("Everyone"),
        "all.text": N_("All contacts of the company"),
        "tags": N_("People with tags"),
        "tags.text": N_("Anyone with at least one of the tags"),
        "import": N_("An import"),
        "import.text": N_("The people of one imported file"),
        "tags.placeholder": N_("Choose tags"),
        "tags.none": N_("No tags yet"),
        "imports.none": N_("No imports yet"),
        "clear": N_("Clear"),
        "contacts.one": N_("{n} contact"),
        "contacts.other": N_("{n} contacts"),
        "matched": N_("Match the audience"),
        "will_send": N_("Will receive the message"),
        "excluded": N_("Left out"),
        "counting": N_("Counting…"),
        "pick": N_("Choose an audience to see how many people it reaches."),
        "nobody": N_("Nobody would receive this message"),
        "failed": N_("The audience could not be counted"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
        "samples": N_("For example"),
    }

    def draw(
        self,
        audience: Mapping[str, object] | None = None,
        *,
        tags: Sequence[Mapping[str, object]] = (),
        imports: Sequence[Mapping[str, object]] = (),
        total: int | None = None,
    ) -> None:
        """Offer these tags ({tag, contacts}) and imports ({id, filename, created_at, total}), with this one chosen."""
        self._keep(
            "choices",
            audience=dict(audience) if audience else None,
            tags=[dict(tag) for tag in tags],
            imports=[dict(item) for item in imports],
            total=total,
        )

    def show_count(self, seq: int, count: Mapping[str, object]) -> None:
        """Answer a `change`: {matched, will_send, excluded: [{reason, text, n}], samples?} as the API gives it."""
        self._tell("count", seq=seq, count=dict(count))

    def fail_count(self, seq: int, text: str) -> None:
        """Answer a `change` that could not be counted."""
        self._tell("count_error", seq=seq, text=text)

    def show_errors(self, text: str) -> None:
        """Say what is wrong with the choice; empty takes it away."""
        self._tell("errors", text=text)
