"""Templates and people become content: which gaps a template has, what fills them, and what leaves for the provider.

A key names a gap: `body.1`, `body.nome`, `header.1`, `header.media`, `header.location`, `button.0.1` (the end of the
first button's address, or its code). A source says what fills it: `contact.name`, `field.city`, `{"text": "…"}`. Values
are frozen as `params` (key to text) when an audience is; only `compile_template` looks at them again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from engine.core.errors import Refused
from engine.core.i18n import N_
from engine.messaging.models import Template, TemplateSnapshot

# Meta, templates/components and message-templates pages, September 2026; the same after the gaps are filled.
HEADER_LENGTH = 60
BODY_LENGTH = 1024
URL_LENGTH = 2000

GAP = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
MEDIA_FORMATS = frozenset({"IMAGE", "VIDEO", "DOCUMENT"})
# Parts that need parameters we do not offer; a template with one can be kept and read, not sent.
UNSENDABLE_PARTS = frozenset({"CAROUSEL", "LIMITED_TIME_OFFER"})
UNSENDABLE_BUTTONS = frozenset({"MPM", "SPM"})

# Meta refuses a parameter with a line break, a tab or more than four spaces in a row (132012).
_LINE_BREAKS = re.compile(r"[^\S \u00a0]+")
_WIDE_GAP = re.compile(r" {4,}")

type Params = Mapping[str, str]
type Content = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TemplateShape:
    """A template that is not saved: what it takes to preview or compile it."""

    components: Sequence[Any]
    category: str = ""
    parameter_format: str = "POSITIONAL"
    name: str = ""
    language: str = ""


type Sendable = Template | TemplateSnapshot | TemplateShape


@dataclass(frozen=True, slots=True)
class Variable:
    """One gap of a template, and the example it was approved with."""

    key: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class PreviewHeader:
    """The head of a rendered message: its text, or the address or id of its file."""

    format: str
    text: str | None = None
    media: str | None = None


@dataclass(frozen=True, slots=True)
class PreviewButton:
    """A button under a rendered message."""

    type: str
    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """A message as the person would see it; gaps without a value stay as they are written and are `missing`."""

    header: PreviewHeader | None
    body: str
    footer: str | None
    buttons: tuple[PreviewButton, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A template's components taken apart once; parts that are not there are empty."""

    named: bool
    carries_code: bool
    header_format: str
    header_text: str
    body: str
    footer: str
    buttons: tuple[Mapping[str, Any], ...]
    examples: Mapping[str, str]
    unsendable: str | None


def anatomy_of(template: Sendable) -> Anatomy:
    """The parts of a template in Meta's component shape; what is malformed counts as not there."""
    parts: dict[str, Mapping[str, Any]] = {}
    for component in template.components:
        if isinstance(component, Mapping):
            parts.setdefault(str(component.get("type", "")).upper(), component)
    header, body = parts.get("HEADER", {}), parts.get("BODY", {})
    given = parts.get("BUTTONS", {}).get("buttons")
    buttons = tuple(b for b in given if isinstance(b, Mapping)) if isinstance(given, list) else ()
    header_format = str(header.get("format") or "TEXT").upper() if header else ""
    carries_code = template.category.upper() == "AUTHENTICATION"
    body_text = _text(body.get("text"))
    return Anatomy(
        named=template.parameter_format.upper() == "NAMED",
        carries_code=carries_code,
        header_format=header_format,
        header_text=_text(header.get("text")) if header_format == "TEXT" else "",
        # Meta writes the words of a code message itself; until it has told us them, the code stands alone.
        body="{{1}}" if carries_code and not body_text else body_text,
        footer=_text(parts.get("FOOTER", {}).get("text")),
        buttons=buttons,
        examples=_examples(header, body, buttons),
        unsendable=next(iter(sorted(UNSENDABLE_PARTS & parts.keys())), None)
        or next((b["type"] for b in buttons if str(b.get("type", "")).upper() in UNSENDABLE_BUTTONS), None),
    )


def gaps_in(text: str) -> tuple[str, ...]:
    """The names or numbers of the gaps in a text, each once, in order."""
    return tuple(dict.fromkeys(GAP.findall(text)))


def variables_of(template: Sendable) -> tuple[Variable, ...]:
    """Every gap of a template that a sender has to fill, in reading order."""
    anatomy = anatomy_of(template)
    keys: list[str] = []
    if anatomy.header_format in MEDIA_FORMATS:
        keys.append("header.media")
    elif anatomy.header_format == "LOCATION":
        keys.append("header.location")
    keys += [f"header.{name}" for name in gaps_in(anatomy.header_text)]
    keys += [f"body.{name}" for name in gaps_in(anatomy.body)]
    keys += [f"button.{index}.1" for index, _ in _open_buttons(anatomy)]
    return tuple(Variable(key, anatomy.examples.get(key)) for key in keys)


def compile_template(template: Sendable) -> Callable[[Params], Content]:
    """A function from params to the content of a message, with everything that does not change worked out before.

    The function raises Refused (final for this message) when a value is missing or the filled text is too long.
    """
    anatomy = anatomy_of(template)
    name, language = template.name, template.language
    fill_header = _header_filler(anatomy)
    body_gaps = _named_gaps(anatomy, "body", anatomy.body)
    body_length = _length_check(anatomy.body, [key for key, _ in body_gaps], BODY_LENGTH)
    buttons = [_button_filler(anatomy, index, button) for index, button in _open_buttons(anatomy)]
    code_buttons = _code_buttons(anatomy)

    def fill(params: Params) -> Content:
        content: dict[str, Any] = {"name": name, "language": language}
        try:
            if fill_header is not None:
                content["header"] = fill_header(params)
            if body_gaps:
                values = {key: clean(params[key]) for key, _ in body_gaps}
                body_length(values)
                content["body"] = [(name, values[key]) for key, name in body_gaps]
            if buttons:
                content["buttons"] = [fill_button(params) for fill_button in buttons]
            elif code_buttons:
                code = clean(params["body.1"])
                content["buttons"] = [(index, "url", code) for index in code_buttons]
        except KeyError as error:
            raise Refused(
                "missing_variable",
                N_("A value that the template needs is missing."),
                detail=str(error.args[0]),
            ) from error
        return content

    return fill


def clean(value: str) -> str:
    """A value as providers take it: one line, no run of four or more spaces."""
    if value.isprintable() and "    " not in value:
        return value
    return _WIDE_GAP.sub(" ", _LINE_BREAKS.sub(" ", value)).strip()


def text_of(template: Sendable, params: Params) -> str:
    """The words of a message: its header's text and its body, filled; for lists and threads."""
    anatomy = anatomy_of(template)
    header = _filled(anatomy.header_text, "header", params)
    body = _filled(anatomy.body, "body", params)
    return f"{header}\n{body}" if header else body


def preview(template: Sendable, params: Params) -> Preview:
    """A message as the person would see it."""
    anatomy = anatomy_of(template)
    return Preview(
        header=_preview_header(anatomy, params),
        body=_filled(anatomy.body, "body", params),
        footer=anatomy.footer or None,
        buttons=tuple(
            PreviewButton(
                type=str(button.get("type", "")).upper(),
                text=_text(button.get("text")),
                url=_button_address(button, params.get(f"button.{index}.1")),
            )
            for index, button in enumerate(anatomy.buttons)
        ),
        missing=tuple(v.key for v in variables_of(template) if not params.get(v.key)),
    )


def media_reference(value: str) -> dict[str, str]:
    """`link` or `id` of a media header: an address of the web is a link, all else is an id at the provider."""
    return {"link": value} if value.startswith(("https://", "http://")) else {"id": value}


def _open_buttons(anatomy: Anatomy) -> list[tuple[int, Mapping[str, Any]]]:
    """The buttons that a sender has to fill; a code message's buttons repeat the code of its body."""
    if anatomy.carries_code:
        return []
    return [
        (index, button)
        for index, button in enumerate(anatomy.buttons)
        if _kind(button) == "COPY_CODE" or (_kind(button) == "URL" and GAP.search(_text(button.get("url"))))
    ]


def _code_buttons(anatomy: Anatomy) -> list[int]:
    if not anatomy.carries_code:
        return []
    return [
        index for index, button in enumerate(anatomy.buttons) if _kind(button) in {"OTP", "URL", "COPY_CODE"}
    ]


def _named_gaps(anatomy: Anatomy, place: str, text: str) -> list[tuple[str, str | None]]:
    """(key, name to send or None when the order counts) of each gap."""
    return [(f"{place}.{gap}", gap if anatomy.named else None) for gap in _in_sending_order(anatomy, text)]


def _in_sending_order(anatomy: Anatomy, text: str) -> Sequence[str]:
    gaps = gaps_in(text)
    if anatomy.named or not all(gap.isdigit() for gap in gaps):
        return gaps
    return sorted(gaps, key=int)


def _length_check(text: str, keys: Sequence[str], limit: int) -> Callable[[Params], None]:
    """A function that raises Refused when the text, filled, is longer than the provider takes."""
    uses = [f"{keys[0].partition('.')[0]}.{gap}" for gap in GAP.findall(text)] if keys else []
    room = limit - len(GAP.sub("", text))

    def check(values: Params) -> None:
        if sum([len(values[key]) for key in uses]) > room:
            raise Refused(
                "text_too_long",
                N_("With this person's values the text is longer than WhatsApp takes."),
                detail=f"more than {limit} characters",
            )

    return check


def _header_filler(anatomy: Anatomy) -> Callable[[Params], Content] | None:
    if anatomy.header_format in MEDIA_FORMATS:
        return _media_filler(anatomy.header_format)
    if anatomy.header_format == "LOCATION":
        return _location
    gaps = _named_gaps(anatomy, "header", anatomy.header_text)
    if not gaps:
        return None
    check = _length_check(anatomy.header_text, [key for key, _ in gaps], HEADER_LENGTH)

    def fill(params: Params) -> Content:
        values = {key: clean(params[key]) for key, _ in gaps}
        check(values)
        return {"format": "TEXT", "values": [(name, values[key]) for key, name in gaps]}

    return fill


def _media_filler(header_format: str) -> Callable[[Params], Content]:
    def fill(params: Params) -> Content:
        value = params["header.media"].strip()
        media = media_reference(value)
        if header_format == "DOCUMENT" and "link" in media:
            # Without a name the reader sees "Untitled"; the last part of the address is the best we have.
            filename = urlsplit(value).path.rpartition("/")[2]
            if filename:
                media["filename"] = filename
        return {"format": header_format, "media": media}

    return fill


def _location(params: Params) -> Content:
    """A place from "latitude, longitude, name, address"; the address may hold commas."""
    parts = [part.strip() for part in params["header.location"].split(",", 3)]
    if len(parts) < 2:
        raise KeyError("header.location")
    place = dict(zip(("latitude", "longitude", "name", "address"), parts, strict=False))
    return {"format": "LOCATION", "location": place}


def _button_filler(
    anatomy: Anatomy, index: int, button: Mapping[str, Any]
) -> Callable[[Params], tuple[int, str, str]]:
    key = f"button.{index}.1"
    if _kind(button) == "COPY_CODE":
        return lambda params: (index, "copy_code", clean(params[key]))
    address = _text(button.get("url"))
    room = URL_LENGTH - len(GAP.sub("", address))

    def fill(params: Params) -> tuple[int, str, str]:
        ending = encode_ending(address, params[key])
        if len(ending) > room:
            raise Refused("text_too_long", N_("With this person's values the button's address is too long."))
        return index, "url", ending

    return fill


def encode_ending(address: str, value: str) -> str:
    """The end of a button's address, percent-encoded: whole in a query, so that a value can't add a parameter to it."""
    before_gap = address.partition("{{")[0]
    return quote(value.strip(), safe="" if "?" in before_gap else "/?=&#")


def _button_address(button: Mapping[str, Any], value: str | None) -> str | None:
    address = _text(button.get("url"))
    if not address:
        return None
    return GAP.sub(lambda _: encode_ending(address, value), address) if value else address


def _preview_header(anatomy: Anatomy, params: Params) -> PreviewHeader | None:
    if not anatomy.header_format:
        return None
    if anatomy.header_format == "TEXT":
        return PreviewHeader("TEXT", text=_filled(anatomy.header_text, "header", params))
    key = "header.location" if anatomy.header_format == "LOCATION" else "header.media"
    return PreviewHeader(anatomy.header_format, media=params.get(key) or None)


def _filled(text: str, place: str, params: Params) -> str:
    def value(gap: re.Match[str]) -> str:
        given = params.get(f"{place}.{gap[1]}")
        return clean(given) if given else gap[0]

    return GAP.sub(value, text)


def _examples(
    header: Mapping[str, Any], body: Mapping[str, Any], buttons: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Example by key, from each of the five places where Meta keeps them."""
    found: dict[str, str] = {}
    for place, component in (("header", header), ("body", body)):
        example = component.get("example")
        if not isinstance(example, Mapping):
            continue
        for named in _list(example.get(f"{place}_text_named_params")):
            if isinstance(named, Mapping) and "param_name" in named:
                found[f"{place}.{named['param_name']}"] = _text(named.get("example"))
        numbered = _list(example.get(f"{place}_text"))
        if numbered and isinstance(numbered[0], list):
            numbered = numbered[0]
        found |= {f"{place}.{n}": _text(value) for n, value in enumerate(numbered, start=1)}
    for index, button in enumerate(buttons):
        example = button.get("example")
        first = example[0] if isinstance(example, list) and example else example
        if isinstance(first, str):
            found[f"button.{index}.1"] = _ending_in(_text(button.get("url")), first)
    return found


def _ending_in(address: str, example: str) -> str:
    """What fills a button's gap in its example, which Meta wants as a whole address; a bare ending stays as it is."""
    before, gap, after = address.partition("{{")
    after = after.partition("}}")[2]
    if not gap or not before or not example.startswith(before) or not example.endswith(after):
        return example
    return unquote(example.removeprefix(before).removesuffix(after))


def _kind(button: Mapping[str, Any]) -> str:
    return str(button.get("type", "")).upper()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
