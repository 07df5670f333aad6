"""Rules for templates: what may be submitted, and what a send of one has to bring along.

Source: Meta's pages templates/components and templates/overview, September 2026.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.simulator.errors import GraphError

NAME = re.compile(r"^[a-z0-9_]{1,512}$")
VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
NAMED = re.compile(r"^[a-z][a-z0-9_]*$")
LANGUAGE = re.compile(r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")
CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
MEDIA_FORMATS = ("IMAGE", "VIDEO", "DOCUMENT")
HEADER_LENGTH, BODY_LENGTH, FOOTER_LENGTH, BUTTON_LENGTH = 60, 1024, 60, 25
URL_LENGTH, PHONE_LENGTH, CODE_LENGTH = 2000, 20, 20
BUTTONS = 10
MOST_OF = {"URL": 2, "PHONE_NUMBER": 1, "COPY_CODE": 1, "QUICK_REPLY": 10}
WORDS_PER_VARIABLE = (
    2  # a body must have more than this many words for each variable; Meta's own figure is unknown
)

# A name that holds one of these words is judged by it, so that every outcome of a review can be had.
REJECTIONS = {
    "reject_abusive": "ABUSIVE_CONTENT",
    "reject_scam": "SCAM",
    "reject_promotional": "PROMOTIONAL",
    "reject_category": "INCORRECT_CATEGORY",
    "reject_tag": "TAG_CONTENT_MISMATCH",
    "reject": "INVALID_FORMAT",
}
STAYS_PENDING = "stay_pending"
PAUSES = "pause_me"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a send of a template must bring."""

    named: bool
    header: str  # "", TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION
    header_variables: tuple[str, ...]
    body_variables: tuple[str, ...]
    buttons: Mapping[int, str]  # index to sub_type, of those that need a parameter
    quick_replies: tuple[tuple[int, str], ...]
    is_authentication: bool


def variables_in(text: str) -> tuple[str, ...]:
    """The names or numbers of the gaps in a text, each once, in order."""
    return tuple(dict.fromkeys(VARIABLE.findall(text)))


def verdict(name: str) -> tuple[str, str]:
    """How the review of a template of this name ends: (status, reason)."""
    for word, reason in REJECTIONS.items():
        if word in name:
            return "REJECTED", reason
    return ("PENDING" if STAYS_PENDING in name else "APPROVED"), "NONE"


def read_needs(components: Sequence[Mapping[str, Any]], parameter_format: str, category: str) -> Needs:
    """What a send of these components must bring."""
    header = ""
    header_variables: tuple[str, ...] = ()
    body_variables: tuple[str, ...] = ()
    buttons: dict[int, str] = {}
    quick: list[tuple[int, str]] = []
    for component in components:
        kind = str(component.get("type", "")).upper()
        if kind == "HEADER":
            header = str(component.get("format", "TEXT")).upper()
            header_variables = variables_in(str(component.get("text", ""))) if header == "TEXT" else ()
        elif kind == "BODY":
            body_variables = variables_in(str(component.get("text", "")))
        elif kind == "BUTTONS":
            for index, button in enumerate(component.get("buttons", ())):
                shape = str(button.get("type", "")).upper()
                if shape == "QUICK_REPLY":
                    quick.append((index, str(button.get("text", ""))))
                elif shape == "OTP" or (shape == "URL" and VARIABLE.search(str(button.get("url", "")))):
                    buttons[index] = "url"
                elif shape == "COPY_CODE":
                    buttons[index] = "copy_code"
    authentication = category == "AUTHENTICATION"
    if authentication and not body_variables:
        body_variables = ("1",)
    return Needs(
        named=parameter_format == "NAMED",
        header=header,
        header_variables=header_variables,
        body_variables=body_variables,
        buttons=buttons,
        quick_replies=tuple(quick),
        is_authentication=authentication,
    )


def check_template(body: Mapping[str, Any], handles: frozenset[str]) -> None:
    """Raises Meta's error for a template that may not be submitted."""
    name = body.get("name")
    if not isinstance(name, str) or not NAME.match(name):
        raise _bad(
            2388024,
            "Invalid name",
            "Message template name can only have lowercase letters, digits and underscores.",
        )
    if not isinstance(body.get("language"), str) or not LANGUAGE.match(str(body["language"])):
        raise GraphError(100, "Param language is not a language that templates have.")
    if body.get("category") not in CATEGORIES:
        raise GraphError(100, f"Param category must be one of {{{', '.join(CATEGORIES)}}}.")
    if body.get("parameter_format", "POSITIONAL") not in ("NAMED", "POSITIONAL"):
        raise GraphError(100, "Param parameter_format must be one of {NAMED, POSITIONAL}.")
    components = body.get("components")
    if not isinstance(components, list) or not all(isinstance(item, dict) for item in components):
        raise GraphError(100, "The parameter components is required.")
    check_components(
        components,
        named=body.get("parameter_format") == "NAMED",
        authentication=body["category"] == "AUTHENTICATION",
        handles=handles,
    )


def check_components(
    components: Sequence[Mapping[str, Any]], *, named: bool, authentication: bool, handles: frozenset[str]
) -> None:
    """Raises Meta's error for components that may not be submitted."""
    kinds = [str(component.get("type", "")).upper() for component in components]
    if kinds.count("BODY") != 1:
        raise GraphError(100, "A template has exactly one component of type BODY.")
    if len(set(kinds)) != len(kinds):
        raise GraphError(100, "A component type may stand once in a template.")
    for kind, component in zip(kinds, components, strict=True):
        if kind == "HEADER":
            _check_header(component, named, handles)
        elif kind == "BODY" and not authentication:
            _check_body(component, named)
        elif kind == "FOOTER" and not authentication:
            _check_footer(component)
        elif kind == "BUTTONS":
            _check_buttons(component)
        elif kind not in ("HEADER", "BODY", "FOOTER", "CAROUSEL", "LIMITED_TIME_OFFER"):
            raise GraphError(100, f"Component type {kind or 'missing'} is not supported.")


def _check_header(component: Mapping[str, Any], named: bool, handles: frozenset[str]) -> None:
    shape = str(component.get("format", "")).upper()
    if shape in MEDIA_FORMATS:
        given = (
            component.get("example", {}).get("header_handle")
            if isinstance(component.get("example"), dict)
            else None
        )
        if not isinstance(given, list) or not given or str(given[0]) not in handles:
            raise _bad(
                2388273,
                "Media sample missing",
                "A media header needs an example with a header_handle of an upload.",
            )
        return
    if shape == "LOCATION":
        return
    if shape != "TEXT":
        raise GraphError(100, "Header format must be one of {TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION}.")
    text = component.get("text")
    if not isinstance(text, str) or not text:
        raise GraphError(100, "A text header needs its text.")
    found = variables_in(text)
    if len(text) > HEADER_LENGTH or "\n" in text or len(found) > 1:
        raise _bad(
            2388047, "Invalid header", f"At most {HEADER_LENGTH} characters, one line and one variable."
        )
    _check_variables(found, named, 2388047)
    if found:
        _check_example(component, "header_text_named_params" if named else "header_text", 1, named)


def _check_body(component: Mapping[str, Any], named: bool) -> None:
    text = component.get("text")
    if not isinstance(text, str) or not text.strip():
        raise GraphError(100, "The body needs its text.")
    if len(text) > BODY_LENGTH:
        raise _bad(2388040, "Body too long", f"The body has at most {BODY_LENGTH} characters.")
    found = variables_in(text)
    if not found:
        return
    _check_variables(found, named, 2388072)
    stripped = text.strip()
    if stripped.startswith("{{") or stripped.endswith("}}"):
        raise _bad(2388299, "Variable at the edge", "Variables can't be at the start or end of the template.")
    if re.search(r"\}\}\s*\{\{", text):
        raise _bad(2388072, "Adjacent variables", "Variables can't stand next to each other.")
    if len(VARIABLE.sub(" ", text).split()) <= WORDS_PER_VARIABLE * len(found) - 1:
        raise _bad(2388293, "Too many variables", "This template has too many variables for its length.")
    _check_example(component, "body_text_named_params" if named else "body_text", len(found), named)


def _check_footer(component: Mapping[str, Any]) -> None:
    text = component.get("text")
    if not isinstance(text, str) or not text or len(text) > FOOTER_LENGTH or VARIABLE.search(text):
        raise _bad(2388073, "Invalid footer", f"1 to {FOOTER_LENGTH} characters, without variables.")


def _check_variables(found: Sequence[str], named: bool, subcode: int) -> None:
    if named:
        if not all(NAMED.match(name) for name in found):
            raise _bad(
                subcode, "Invalid variable", "Named variables have lowercase letters, digits and underscores."
            )
    elif list(found) != [str(n) for n in range(1, len(found) + 1)]:
        raise _bad(subcode, "Invalid variable", "Variables must be numbered 1, 2, 3 without gaps, in order.")


def _check_example(component: Mapping[str, Any], key: str, count: int, named: bool) -> None:
    example = component.get("example")
    given = example.get(key) if isinstance(example, dict) else None
    values = (
        given[0]
        if key == "body_text" and isinstance(given, list) and given and isinstance(given[0], list)
        else given
    )
    if not isinstance(values, list) or len(values) != count:
        raise GraphError(
            100,
            f"Component {component.get('type')} needs an example under {key} with {count} value(s).",
            subcode=2388043,
        )
    if named and not all(isinstance(v, dict) and "param_name" in v and "example" in v for v in values):
        raise GraphError(100, f"Each entry of {key} needs param_name and example.", subcode=2388043)


def _check_buttons(component: Mapping[str, Any]) -> None:
    buttons = component.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS:
        raise GraphError(100, f"A template has 1 to {BUTTONS} buttons.")
    kinds = [str(button.get("type", "")).upper() if isinstance(button, dict) else "" for button in buttons]
    for kind, most in MOST_OF.items():
        if kinds.count(kind) > most:
            raise GraphError(100, f"At most {most} button(s) of type {kind}.")
    if (
        sum(
            a != b
            for a, b in zip(
                [k == "QUICK_REPLY" for k in kinds], [k == "QUICK_REPLY" for k in kinds[1:]], strict=False
            )
        )
        > 1
    ):
        raise GraphError(100, "Quick replies stand together, not between other buttons.")
    for kind, button in zip(kinds, buttons, strict=True):
        _check_button(kind, button)


def _check_button(kind: str, button: Mapping[str, Any]) -> None:
    if kind not in (*MOST_OF, "OTP", "FLOW", "CATALOG", "MPM", "VOICE_CALL"):
        raise GraphError(100, f"Button type {kind or 'missing'} is not supported.")
    text = button.get("text")
    if kind not in ("COPY_CODE", "OTP") and (
        not isinstance(text, str) or not 1 <= len(text) <= BUTTON_LENGTH
    ):
        raise GraphError(100, f"Button text has 1 to {BUTTON_LENGTH} characters.")
    if kind == "URL":
        url = button.get("url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")) or len(url) > URL_LENGTH:
            raise GraphError(100, f"Button url is a web address of at most {URL_LENGTH} characters.")
        if variables_in(url) and (variables_in(url) != ("1",) or not url.endswith("}}")):
            raise GraphError(100, "A button url has one variable, {{1}}, at its end.")
        if variables_in(url) and not button.get("example"):
            raise GraphError(100, "A button url with a variable needs an example.", subcode=2388043)
    if kind == "PHONE_NUMBER" and not 1 <= len(str(button.get("phone_number", ""))) <= PHONE_LENGTH:
        raise GraphError(100, f"Button phone_number has 1 to {PHONE_LENGTH} characters.")
    if kind == "COPY_CODE" and len(_first(button.get("example"))) not in range(1, CODE_LENGTH + 1):
        raise GraphError(100, f"Button example is a code of 1 to {CODE_LENGTH} characters.")


def _first(value: object) -> str:
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return value if isinstance(value, str) else ""


def _bad(subcode: int, title: str, message: str) -> GraphError:
    return GraphError(100, message, subcode=subcode, user_title=title, user_message=message)
