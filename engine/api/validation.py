"""What pydantic found wrong with a request, in words that people use."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.api.plain_json import SIGNS
from engine.core.errors import FieldProblem
from engine.core.i18n import N_, is_known

# pydantic's error type → our code and text. What pydantic tells of the limits (`ctx`) fills the gaps.
TEXTS: Mapping[str, tuple[str, str]] = {
    "missing": ("missing", N_("This is needed.")),
    "extra_forbidden": ("unknown_field", N_("There is no field of this name.")),
    "json_invalid": ("not_json", N_("This is not valid JSON.")),
    "model_attributes_type": ("not_an_object", N_("Send a JSON object here.")),
    "dict_type": ("not_an_object", N_("Send a JSON object here.")),
    "list_type": ("not_a_list", N_("Send a list here.")),
    "not_text": SIGNS,
    "not_a_value": ("bad_value", N_("Send text, a number, true or false here.")),
    "string_type": ("not_text", N_("Send text here.")),
    "string_too_short": ("too_short", N_("Write at least %(min_length)s characters.")),
    "string_too_long": ("too_long", N_("Write at most %(max_length)s characters.")),
    "string_pattern_mismatch": ("bad_format", N_("This does not have the expected form.")),
    "too_short": ("too_few", N_("Give at least %(min_length)s.")),
    "too_long": ("too_many", N_("Give at most %(max_length)s.")),
    "int_type": ("not_a_number", N_("Send a whole number here.")),
    "int_parsing": ("not_a_number", N_("Send a whole number here.")),
    "int_from_float": ("not_a_number", N_("Send a whole number here.")),
    "int_parsing_size": ("out_of_range", N_("This number is too large.")),
    "float_type": ("not_a_number", N_("Send a number here.")),
    "float_parsing": ("not_a_number", N_("Send a number here.")),
    "finite_number": ("not_a_number", N_("Send a number here.")),
    "bool_type": ("not_yes_or_no", N_("Send true or false here.")),
    "bool_parsing": ("not_yes_or_no", N_("Send true or false here.")),
    "greater_than": ("out_of_range", N_("This must be more than %(gt)s.")),
    "greater_than_equal": ("out_of_range", N_("This must be at least %(ge)s.")),
    "less_than": ("out_of_range", N_("This must be less than %(lt)s.")),
    "less_than_equal": ("out_of_range", N_("This must be at most %(le)s.")),
    "enum": ("unknown_choice", N_("Choose one of: %(expected)s.")),
    "literal_error": ("unknown_choice", N_("Choose one of: %(expected)s.")),
    "uuid_type": ("bad_id", N_("This is not an id.")),
    "uuid_parsing": ("bad_id", N_("This is not an id.")),
    "uuid_version": ("bad_id", N_("This is not an id.")),
    "datetime_type": ("bad_instant", N_("Send a date and time as 2026-01-31T13:00:00Z.")),
    "datetime_parsing": ("bad_instant", N_("Send a date and time as 2026-01-31T13:00:00Z.")),
    "datetime_from_date_parsing": ("bad_instant", N_("Send a date and time as 2026-01-31T13:00:00Z.")),
    "datetime_object_invalid": ("bad_instant", N_("Send a date and time as 2026-01-31T13:00:00Z.")),
    "timezone_aware": ("bad_instant", N_("Send a date and time as 2026-01-31T13:00:00Z.")),
    "date_type": ("bad_date", N_("Send a date as 2026-01-31.")),
    "date_parsing": ("bad_date", N_("Send a date as 2026-01-31.")),
    "date_from_datetime_parsing": ("bad_date", N_("Send a date as 2026-01-31.")),
    "url_parsing": ("bad_address", N_("This is not a web address.")),
    "url_scheme": ("bad_address", N_("This is not a web address.")),
}
ELSE = ("bad_value", N_("This does not fit here."))
NO_FILE = ("not_a_file", N_("Send a file here."))

PLACES = frozenset({"body", "query", "path", "header", "cookie"})


def field_problems(found: Sequence[Any]) -> list[FieldProblem]:
    """pydantic's findings as ours, one for each field."""
    return [_field_problem(one) for one in found]


def _field_problem(found: Mapping[str, Any]) -> FieldProblem:
    kind, context = str(found["type"]), dict(found.get("ctx") or {})
    code, text = TEXTS.get(kind, ELSE)
    if kind == "value_error":
        (code, text), context = _said_by(context.get("error")), {}
    if "expected" in context:  # "'live' or 'sandbox'", in pydantic's English
        context["expected"] = ", ".join(re.findall(r"'([^']*)'", str(context["expected"])))
    return FieldProblem(
        _field(kind, found.get("loc") or ()),
        code,
        text,
        {name: value for name, value in context.items() if name != "error"},
    )


def _said_by(error: object) -> tuple[str, str]:
    """Code and text of a ValueError: raised by a schema of ours with a msgid, or by the framework in its own words."""
    said = str(error or "")
    if said.startswith("Expected UploadFile"):
        return NO_FILE
    return (ELSE[0], said) if is_known(said) else ELSE


def _field(kind: str, location: Sequence[Any]) -> str:
    """Where it is. Of a body that is no JSON the place is a number, that of the sign; a part of a form has its name."""
    if kind == "json_invalid" and any(isinstance(part, int) for part in location):
        return "body"
    return _path([part for part in location if part != "[key]"])


def _path(location: Sequence[Any]) -> str:
    """`audience.tags.0` for ("body", "audience", "tags", 0); the place itself when nothing is named in it."""
    parts = [str(part) for part in location]
    inner = parts[1:] if parts and parts[0] in PLACES else parts
    return ".".join(inner) or (parts[0] if parts else "")
