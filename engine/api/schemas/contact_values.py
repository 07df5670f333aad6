"""What may stand in a person's name, tags and fields: all that is taken is kept as it was sent, the rest is refused.

What no field may hold is refused before (engine/api/plain_json.py), but for JSON in the parts of a form.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.api.plain_json import MOST
from engine.contacts.wording import FIELD_LENGTH, NAME_LENGTH, TAG_LENGTH, VALUE_LENGTH, field_name
from engine.core.i18n import N_
from engine.core.wording import is_storable


def _as_text(text: str) -> str:
    """The same text, if it can be stored."""
    if not is_storable(text):
        raise PydanticCustomError("not_text", "not text")
    return text


def _as_field(name: str) -> str:
    if not field_name(name):
        raise ValueError(N_("The name of a field needs a letter or a digit."))
    return name


def _as_value(value: Any) -> Any:
    # Here and not in the types: of several that may be, pydantic tells what is wrong with each.
    if isinstance(value, str) and len(value) > VALUE_LENGTH:
        raise PydanticCustomError("string_too_long", "too long", {"max_length": VALUE_LENGTH})
    if isinstance(value, list | dict):
        raise PydanticCustomError("not_a_value", "not a value")
    return value


type Text = Annotated[str, AfterValidator(_as_text)]
type Name = Annotated[str, StringConstraints(max_length=NAME_LENGTH)]
type Tag = Annotated[str, StringConstraints(max_length=TAG_LENGTH), AfterValidator(_as_text)]
type Source = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_as_text)]
type FieldName = Annotated[str, StringConstraints(max_length=FIELD_LENGTH), AfterValidator(_as_field)]
type FieldValue = Annotated[
    Any,
    AfterValidator(_as_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": VALUE_LENGTH},
                {"type": "integer", "minimum": -MOST, "maximum": MOST},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "null"},
            ]
        }
    ),
]
