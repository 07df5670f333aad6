"""What fills a template's gaps: `contact.name`, `contact.first_name`, `contact.phone`, `field.x`, `{"text": "…"}`.

The same rules in Python (one person) and in SQL (an audience): a value is trimmed, and an empty one is missing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contacts.models import Contact
from engine.core.errors import FieldProblem, Invalid
from engine.core.i18n import N_
from engine.messaging.rendering import Sendable, Variable, anatomy_of, variables_of

CONTACT_SOURCES = frozenset({"contact.name", "contact.first_name", "contact.phone"})
# One set of blanks for both languages: Python's own strip knows more of them than PostgreSQL's.
BLANKS = " \t\n\r\u00a0"
FIELD = "field."
MAX_TEXT = 2000

type Source = str | Mapping[str, str]
type Sources = Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Resolution:
    """The values found for one person, by key, and the keys that nothing was found for."""

    params: dict[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SqlParams:
    """SQL over a contacts row, in the driver's style (`db.run`): `params` is the jsonb of all values.

    `missing` is the first key without a value, or null.
    """

    params: str
    missing: str
    binds: Mapping[str, Any] = field(default_factory=dict)


def check_sources(
    template: Sendable, given: Mapping[str, Any], *, complete: bool = True
) -> dict[str, Source]:
    """The sources of a template's gaps, each understood; Invalid names every one that is missing, strange or left over.

    With `complete=False` a gap may still be open (a draft), what is there must be right.
    """
    unsendable = anatomy_of(template).unsendable
    if unsendable is not None and complete:
        raise Invalid.field(
            "template_id",
            "template_not_supported",
            N_(
                "Templates with a part of type %(part)s can't be sent from here yet. Choose another template."
            ),
            part=unsendable,
        )
    variables = variables_of(template)
    problems = _strangers(variables, given)
    sources: dict[str, Source] = {}
    for variable in variables:
        source = given.get(variable.key)
        if source is None:
            if complete:
                problems.append(
                    _problem(variable.key, "missing_source", N_("Say what fills %(key)s in the template."))
                )
            continue
        problem = _problem_with(variable.key, source)
        if problem is None:
            sources[variable.key] = source
        else:
            problems.append(problem)
    if problems:
        raise Invalid(fields=problems)
    return sources


def resolve(contact: Contact | None, sources: Sources) -> Resolution:
    """The values of one person; with no person, only what is the same for everybody."""
    params: dict[str, str] = {}
    missing: list[str] = []
    for key, source in sources.items():
        value = _value(contact, source).strip(BLANKS)
        if value:
            params[key] = value
        else:
            missing.append(key)
    return Resolution(params, tuple(missing))


def sql_params(sources: Sources, *, alias: str = "contacts") -> SqlParams:
    """The same as `resolve`, for a statement over many contacts: embed both texts, pass the binds along."""
    if not sources:
        return SqlParams("'{}'::jsonb", "null::text")
    if not alias.isidentifier():
        raise ValueError(f"not an SQL alias: {alias!r}")
    binds: dict[str, Any] = {"variable_blanks": BLANKS}
    keys, values, missing = [], [], []
    for index, (key, source) in enumerate(sources.items()):
        binds[f"variable_{index}_key"] = key
        key_sql = f"%(variable_{index}_key)s::text"
        value_sql = f"nullif(btrim({_sql(index, source, alias, binds)}, %(variable_blanks)s), '')"
        keys.append(key_sql)
        values.append(value_sql)
        missing.append(f"when {value_sql} is null then {key_sql}")
    # jsonb_object and not jsonb_build_object: a function of PostgreSQL takes at most 100 arguments.
    return SqlParams(
        f"jsonb_object(array[{', '.join(keys)}], array[{', '.join(values)}])",
        f"case {' '.join(missing)} end",
        binds,
    )


def _strangers(variables: Sequence[Variable], given: Mapping[str, Any]) -> list[FieldProblem]:
    known = {variable.key for variable in variables}
    return [
        _problem(key, "unknown_variable", N_("The template has no variable %(key)s."))
        for key in given
        if key not in known
    ]


def _problem_with(key: str, source: object) -> FieldProblem | None:
    """What is wrong with one source, or None."""
    if isinstance(source, Mapping):
        text = source.get("text")
        if set(source) != {"text"} or not isinstance(text, str) or not text.strip(BLANKS):
            return _problem(key, "empty_text", N_('Give %(key)s a text, as {"text": "…"}.'))
        if len(text) > MAX_TEXT:
            return _problem(key, "text_too_long", N_("The text for %(key)s is too long."))
        return None
    if isinstance(source, str) and (
        source in CONTACT_SOURCES or source.removeprefix(FIELD) not in ("", source)
    ):
        return None
    return _problem(
        key,
        "unknown_source",
        N_("%(key)s must come from contact.name, contact.first_name, contact.phone, field.… or a text."),
    )


def _problem(key: str, code: str, text: str) -> FieldProblem:
    return FieldProblem(f"variables.{key}", code, text, {"key": key})


def _value(contact: Contact | None, source: Source) -> str:
    if not isinstance(source, str):
        return source["text"]
    if contact is None:
        return ""
    if source == "contact.name":
        return contact.name
    if source == "contact.first_name":
        return contact.name.strip(BLANKS).partition(" ")[0]
    if source == "contact.phone":
        return contact.phone or ""
    return _plain(contact.fields.get(source.removeprefix(FIELD)))


def _plain(value: object) -> str:
    """A field's value as PostgreSQL's ->> writes it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sql(index: int, source: Source, alias: str, binds: dict[str, Any]) -> str:
    if not isinstance(source, str):
        binds[f"variable_{index}_text"] = source["text"]
        return f"%(variable_{index}_text)s::text"
    if source == "contact.name":
        return f"{alias}.name"
    if source == "contact.first_name":
        return f"split_part(btrim({alias}.name, %(variable_blanks)s), ' ', 1)"
    if source == "contact.phone":
        return f"{alias}.phone"
    binds[f"variable_{index}_field"] = source.removeprefix(FIELD)
    return f"({alias}.fields ->> %(variable_{index}_field)s::text)"
