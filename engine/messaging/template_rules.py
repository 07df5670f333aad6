"""What WhatsApp asks of a template, checked before the provider sees it: each problem by field, in plain words.

Source: Meta, templates/components and templates/overview, September 2026. What Meta alone can judge (policy, too many
variables for the words) is left to Meta.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from engine.core.errors import FieldProblem
from engine.core.i18n import N_
from engine.messaging.rendering import BODY_LENGTH, GAP, HEADER_LENGTH, MEDIA_FORMATS, URL_LENGTH, gaps_in

CATEGORIES = ("MARKETING", "UTILITY", "AUTHENTICATION")
NAME = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Za-z]{2,4})?")
VARIABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
ANY_BRACES = re.compile(r"\{\{.*?\}\}", re.DOTALL)
FOOTER_LENGTH = 60
BUTTONS = 10
BUTTON_LENGTH = 25
PHONE_LENGTH = 20
CODE_LENGTH = 15
MOST_OF: Mapping[str, int] = {"URL": 2, "PHONE_NUMBER": 1, "COPY_CODE": 1, "OTP": 1}
PARTS = frozenset({"HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER"})
HEADER_FORMATS = (*sorted(MEDIA_FORMATS), "LOCATION", "TEXT")

type Part = Mapping[str, Any]
type Problems = Iterator[FieldProblem]


def format_of(components: Sequence[Any]) -> str:
    """NAMED when a gap of the header or body has a name, else POSITIONAL."""
    for component in components:
        text = component.get("text") if isinstance(component, Mapping) else None
        if isinstance(text, str) and any(not gap.isdigit() for gap in gaps_in(text)):
            return "NAMED"
    return "POSITIONAL"


def template_problems(
    *, name: str, language: str, category: str, components: Sequence[Any], parameter_format: str
) -> list[FieldProblem]:
    """Everything in a new template that WhatsApp would refuse."""
    found: list[FieldProblem] = []
    if not NAME.fullmatch(name):
        text = N_("Use small letters, digits and _ only, at most 512.")
        found.append(FieldProblem("name", "bad_name", text))
    if not LANGUAGE.fullmatch(language):
        found.append(FieldProblem("language", "bad_language", N_("Give a language as pt_BR, en or en_US.")))
    if category not in CATEGORIES:
        text = N_("Choose one of: %(expected)s.")
        found.append(FieldProblem("category", "unknown_choice", text, {"expected": ", ".join(CATEGORIES)}))
    return found + component_problems(components, category=category, parameter_format=parameter_format)


def component_problems(
    components: Sequence[Any], *, category: str, parameter_format: str
) -> list[FieldProblem]:
    """Everything in a template's components that WhatsApp would refuse."""
    found: list[FieldProblem] = []
    named = parameter_format == "NAMED"
    seen: list[str] = []
    for index, component in enumerate(components):
        where = f"components.{index}"
        kind = str(component.get("type", "")).upper() if isinstance(component, Mapping) else ""
        if kind not in PARTS:
            text = N_("A part is one of HEADER, BODY, FOOTER, BUTTONS.")
            found.append(FieldProblem(f"{where}.type", "unknown_part", text))
            continue
        if kind in seen:
            found.append(FieldProblem(where, "double_part", N_("A template has each part once.")))
        seen.append(kind)
        check = CHECKS.get(kind)
        # The words of a code message are Meta's own.
        if check is not None and not (category == "AUTHENTICATION" and kind in {"BODY", "FOOTER"}):
            found += check(where, component, named)
    if "BODY" not in seen:
        found.append(FieldProblem("components", "body_missing", N_("A template needs a body.")))
    return found


def with_examples(components: Sequence[Mapping[str, Any]], parameter_format: str) -> list[dict[str, Any]]:
    """The components with an example for each gap, which Meta asks for: the gap's own name where none was given."""
    named = parameter_format == "NAMED"
    return [_exampled(dict(component), named) for component in components]


def _exampled(component: dict[str, Any], named: bool) -> dict[str, Any]:
    kind = str(component.get("type", "")).upper()
    component["type"] = kind
    text = component.get("text")
    gaps = gaps_in(text) if isinstance(text, str) and kind in {"HEADER", "BODY"} else ()
    if gaps and not component.get("example"):
        place = kind.lower()
        if named:
            key, values = f"{place}_text_named_params", [{"param_name": gap, "example": gap} for gap in gaps]
            component["example"] = {key: values}
        else:
            samples = [f"valor {gap}" for gap in gaps]
            component["example"] = {f"{place}_text": [samples] if kind == "BODY" else samples}
    if kind == "BUTTONS" and isinstance(component.get("buttons"), list):
        component["buttons"] = [_exampled_button(dict(button)) for button in component["buttons"]]
    return component


def _exampled_button(button: dict[str, Any]) -> dict[str, Any]:
    address = button.get("url")
    if isinstance(address, str) and GAP.search(address) and not button.get("example"):
        button["example"] = [GAP.sub("exemplo", address)]
    return button


def _header(where: str, component: Part, named: bool) -> Problems:
    header_format = str(component.get("format") or "TEXT").upper()
    if header_format not in HEADER_FORMATS:
        words = N_("Choose one of: %(expected)s.")
        yield FieldProblem(
            f"{where}.format", "unknown_choice", words, {"expected": ", ".join(HEADER_FORMATS)}
        )
    elif header_format in MEDIA_FORMATS:
        example = component.get("example")
        handles = example.get("header_handle") if isinstance(example, Mapping) else None
        if not isinstance(handles, list) or not handles:
            words = N_("WhatsApp wants a sample of the file: give example.header_handle of an upload.")
            yield FieldProblem(f"{where}.example", "example_missing", words)
    elif header_format == "TEXT":
        yield from _header_text(f"{where}.text", component.get("text"), named)


def _header_text(field: str, text: object, named: bool) -> Problems:
    yield from _length(field, text, HEADER_LENGTH)
    if not isinstance(text, str):
        return
    if "\n" in text:
        yield FieldProblem(field, "several_lines", N_("The header is one line."))
    if len(gaps_in(text)) > 1:
        yield FieldProblem(field, "too_many_variables", N_("The header takes one variable."))
    yield from _gaps(field, text, named)


def _body(where: str, component: Part, named: bool) -> Problems:
    text = component.get("text")
    field = f"{where}.text"
    yield from _length(field, text, BODY_LENGTH)
    if not isinstance(text, str):
        return
    yield from _gaps(field, text, named)
    bare = text.strip()
    if bare.startswith("{{") or bare.endswith("}}"):
        words = N_(
            "A variable can't be the first or the last thing in the text: put a word before and after it."
        )
        yield FieldProblem(field, "variable_at_edge", words)
    if re.search(r"\}\}\s*\{\{", text):
        words = N_("Two variables can't stand next to each other: put a word between them.")
        yield FieldProblem(field, "adjacent_variables", words)


def _footer(where: str, component: Part, _named: bool) -> Problems:
    text = component.get("text")
    yield from _length(f"{where}.text", text, FOOTER_LENGTH)
    if isinstance(text, str) and ANY_BRACES.search(text):
        yield FieldProblem(f"{where}.text", "variable_in_footer", N_("The footer takes no variables."))


def _buttons(where: str, component: Part, _named: bool) -> Problems:
    buttons = component.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS:
        text = N_("Give 1 to %(most)s buttons.")
        yield FieldProblem(f"{where}.buttons", "too_many", text, {"most": BUTTONS})
        return
    kinds = [_button_kind(button) for button in buttons]
    for kind, most in MOST_OF.items():
        if kinds.count(kind) > most:
            text = N_("At most %(most)s of the type %(kind)s.")
            yield FieldProblem(f"{where}.buttons", "too_many", text, {"most": most, "kind": kind})
    quick = [kind == "QUICK_REPLY" for kind in kinds]
    if sum(one != other for one, other in pairwise(quick)) > 1:
        text = N_("Quick replies stand together, not between other buttons.")
        yield FieldProblem(f"{where}.buttons", "mixed_buttons", text)
    for index, (kind, button) in enumerate(zip(kinds, buttons, strict=True)):
        yield from _button(f"{where}.buttons.{index}", kind, button)


def _button_kind(button: object) -> str:
    return str(button.get("type", "")).upper() if isinstance(button, Mapping) else ""


def _button(where: str, kind: str, button: Part) -> Problems:
    if not kind:
        yield FieldProblem(f"{where}.type", "missing", N_("Say what kind of button this is."))
        return
    if kind not in {"COPY_CODE", "OTP"}:
        yield from _length(f"{where}.text", button.get("text"), BUTTON_LENGTH)
    if kind == "URL":
        yield from _address(f"{where}.url", button.get("url"))
    elif kind == "PHONE_NUMBER":
        yield from _length(f"{where}.phone_number", button.get("phone_number"), PHONE_LENGTH)
    elif kind == "COPY_CODE":
        example = button.get("example")
        code = example[0] if isinstance(example, list) and example else example
        yield from _length(f"{where}.example", code, CODE_LENGTH)


def _address(field: str, address: object) -> Problems:
    if not isinstance(address, str) or not address.startswith(("https://", "http://")):
        yield FieldProblem(field, "bad_address", N_("Give a web address that begins with https://."))
        return
    yield from _length(field, address, URL_LENGTH)
    gaps = GAP.findall(address)
    if gaps and (gaps != ["1"] or not address.endswith("}}")):
        text = N_("A button's address takes one variable, {{1}}, at its very end.")
        yield FieldProblem(field, "bad_variable", text)


def _length(field: str, text: object, most: int) -> Problems:
    if not isinstance(text, str) or not text.strip():
        yield FieldProblem(field, "missing", N_("This is needed."))
    elif len(text) > most:
        words = N_("At most %(most)s characters; this has %(length)s.")
        yield FieldProblem(field, "too_long", words, {"most": most, "length": len(text)})


def _gaps(field: str, text: str, named: bool) -> Problems:
    gaps = gaps_in(text)
    if len(ANY_BRACES.findall(text)) != len(GAP.findall(text)) or text.count("{{") != text.count("}}"):
        words = N_("A variable is written {{1}} or {{name}}, without spaces inside its name.")
        yield FieldProblem(field, "bad_variable", words)
    elif named and not all(VARIABLE_NAME.fullmatch(gap) for gap in gaps):
        words = N_("Names of variables have small letters, digits and _, and begin with a letter.")
        yield FieldProblem(field, "bad_variable", words)
    elif not named and sorted(gaps, key=lambda gap: int(gap) if gap.isdigit() else 0) != [
        str(number) for number in range(1, len(gaps) + 1)
    ]:
        words = N_("Number the variables {{1}}, {{2}}, {{3}} without gaps.")
        yield FieldProblem(field, "bad_variable", words)


CHECKS: Mapping[str, Callable[[str, Part, bool], Problems]] = {
    "HEADER": _header,
    "BODY": _body,
    "FOOTER": _footer,
    "BUTTONS": _buttons,
}
