"""What the API finds wrong in a template, by the part of the editor where it is said."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.views.base import field_errors
from engine.client import RefusedError


def part_errors(error: RefusedError, components: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the API says of `components.0.text`, under the name of the part it is: header, body, footer, buttons.

    One button is `buttons.0`.
    """
    names: dict[str, str] = {}
    for fault in error.fields:
        first, *rest = fault.field.split(".")
        if first == "components" and rest and rest[0].isdigit() and int(rest[0]) < len(components):
            kind = str(components[int(rest[0])].get("type", "")).lower()
            at_button = kind == "buttons" and len(rest) > 2 and rest[1] == "buttons"
            names[fault.field] = f"buttons.{rest[2]}" if at_button else kind
        elif fault.field == "components":
            names[fault.field] = "body"  # the one part a template must have
    return field_errors(error, names)
