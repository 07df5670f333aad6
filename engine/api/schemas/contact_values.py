"""What may stand in a person's name, tags and fields: all that is taken is kept as it was sent, the rest is refused."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.contacts.wording import (
    FIELD_LENGTH,
    NAME_LENGTH,
    TAG_LENGTH,
    VALUE_LENGTH,
    field_name,
    is_text,
)
from engine.core.i18n import N_

# Beyond it a number is not the same in every program that reads JSON (RFC 8259, section 6).
MOST = 2**53 - 1


def _as_text(text: str) -> str:
    """The same text, if it can be stored; what would be dropped from it unseen is refused."""
    if not is_text(text):
        raise ValueError(N_("This has signs that are not text."))
    return text


def _as_field(name: str) -> str:
    if not field_name(_as_text(name)):
        raise ValueError(N_("The name of a field needs a letter or a digit."))
    return name


def _as_value(value: Any) -> Any:
    # Here and not in the types: of several that may be, pydantic tells what is wrong with each.
    if isinstance(value, str):
        if len(value) > VALUE_LENGTH:
            raise PydanticCustomError("string_too_long", "too long", {"max_length": VALUE_LENGTH})
        return _as_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "not finite")
    if isinstance(value, int) and abs(value) > MOST:
        raise PydanticCustomError("int_parsing_size", "too large")
    return value


type Name = Annotated[str, StringConstraints(max_length=NAME_LENGTH), AfterValidator(_as_text)]
type Tag = Annotated[str, StringConstraints(max_length=TAG_LENGTH), AfterValidator(_as_text)]
type FieldName = Annotated[str, StringConstraints(max_length=FIELD_LENGTH), AfterValidator(_as_field)]
type FieldValue = Annotated[
    Annotated[str, WithJsonSchema({"type": "string", "maxLength": VALUE_LENGTH})]
    | Annotated[int, WithJsonSchema({"type": "integer", "minimum": -MOST, "maximum": MOST})]
    | float
    | bool
    | None,
    AfterValidator(_as_value),
]
