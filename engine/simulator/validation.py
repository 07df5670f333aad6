"""Checks the body of a send as Meta does, and raises Meta's error for the first thing wrong.

Source: Meta's pages on messages and Meta's error table, September 2026.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.simulator.errors import GraphError
from engine.simulator.template_rules import Needs

Body = Mapping[str, Any]

TEXT_LENGTH, CAPTION_LENGTH, OPAQUE_LENGTH, CONTACTS = 4096, 1024, 512, 257
BUTTON_TITLE, BUTTON_ID, REPLY_BUTTONS = 20, 256, 3
LIST_SECTIONS, LIST_ROWS, ROW_ID, ROW_TITLE, ROW_DESCRIPTION, SECTION_TITLE = 10, 10, 200, 24, 72, 24
INTERACTIVE_BODY, LIST_BODY, INTERACTIVE_FOOTER, INTERACTIVE_HEADER = 1024, 4096, 60, 60
MEDIA = ("image", "video", "audio", "document", "sticker")
WITHOUT_CAPTION = ("audio", "sticker")
PARAMETER_KINDS = {"text": "text", "currency": "currency", "date_time": "date_time", "location": "location",
                   "image": "image", "video": "video", "document": "document"}  # fmt: skip
FREE_INTERACTIVE = (
    "flow", "location_request_message", "call_permission_request", "voice_call", "request_contact_info",
    "product", "product_list", "catalog_message", "carousel", "address_message",
)  # fmt: skip


def check_envelope(body: Body) -> str:
    """The message type, once all that every message has is right."""
    if body.get("messaging_product") != "whatsapp":
        raise GraphError(
            100,
            "Param messaging_product must be one of {WHATSAPP}.",
            title="The parameter messaging_product is required.",
        )
    kind = body.get("type", "text")
    if not isinstance(kind, str) or kind not in CHECKS:
        raise GraphError(
            100,
            f"Param type must be one of {{{', '.join(sorted(CHECKS)).upper()}}}.",
            title="Param type is not valid.",
        )
    opaque = body.get("biz_opaque_callback_data")
    if opaque is not None and (not isinstance(opaque, str) or not 1 <= len(opaque) <= OPAQUE_LENGTH):
        raise GraphError(100, f"Param biz_opaque_callback_data has 1 to {OPAQUE_LENGTH} characters.")
    if body.get("recipient_type", "individual") not in ("individual", "group"):
        raise GraphError(100, "Param recipient_type must be one of {INDIVIDUAL, GROUP}.")
    return kind


def check_message(kind: str, body: Body) -> None:
    """Raises for a message whose own part is missing or breaks a limit. Templates are checked against their needs."""
    part = body.get(kind)
    if part is None:
        raise GraphError(131008, f"Parameter '{kind}' is mandatory for type '{kind}'.")
    context = body.get("context")
    if context is not None and (
        not isinstance(context, dict) or not _is_text(context.get("message_id"), 256)
    ):
        raise GraphError(131009, "context.message_id must be the id of a message.")
    CHECKS[kind](kind, part)


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most


def _need_text(part: Body, key: str, most: int, where: str) -> None:
    value = part.get(key)
    if value is None or value == "":
        raise GraphError(131008, f"Parameter '{where}.{key}' is mandatory.")
    if not isinstance(value, str):
        raise GraphError(131009, f"Parameter '{where}.{key}' must be a string.")
    if len(value) > most:
        raise GraphError(
            100, f"Param {where}['{key}'] must be at most {most} characters long.", title="Invalid parameter"
        )


def _object(part: object, where: str) -> Body:
    if not isinstance(part, dict):
        raise GraphError(131009, f"Parameter '{where}' must be an object.")
    return part


def _check_text(kind: str, part: object) -> None:
    _need_text(_object(part, kind), "body", TEXT_LENGTH, kind)


def _check_media(kind: str, part: object) -> None:
    media = _object(part, kind)
    if ("id" in media) == ("link" in media):
        raise GraphError(100, f"Param {kind} must have either id or link.", title="Invalid parameter")
    if "link" in media and not str(media["link"]).startswith(("https://", "http://")):
        raise GraphError(131009, f"Parameter '{kind}.link' must be a web address.")
    if "caption" in media:
        if kind in WITHOUT_CAPTION:
            raise GraphError(100, f"Unexpected key 'caption' on param '{kind}'.", title="Invalid parameter")
        _need_text(media, "caption", CAPTION_LENGTH, kind)


def _check_location(kind: str, part: object) -> None:
    place = _object(part, kind)
    for key, most in (("latitude", 90.0), ("longitude", 180.0)):
        try:
            value = float(place[key])
        except KeyError as error:
            raise GraphError(131008, f"Parameter 'location.{key}' is mandatory.") from error
        except (TypeError, ValueError) as error:
            raise GraphError(131009, f"Parameter 'location.{key}' must be a number.") from error
        if not -most <= value <= most:
            raise GraphError(131009, f"Parameter 'location.{key}' is out of range.")


def _check_contacts(kind: str, part: object) -> None:
    if not isinstance(part, list) or not 1 <= len(part) <= CONTACTS:
        raise GraphError(131009, f"Parameter 'contacts' is a list of 1 to {CONTACTS} contacts.")
    for card in part:
        name = _object(_object(card, kind).get("name"), "contacts.name")
        _need_text(name, "formatted_name", 1024, "contacts.name")


def _check_reaction(kind: str, part: object) -> None:
    reaction = _object(part, kind)
    _need_text(reaction, "message_id", 256, kind)
    if not isinstance(reaction.get("emoji"), str):
        raise GraphError(131008, "Parameter 'reaction.emoji' is mandatory.")


def _check_interactive(kind: str, part: object) -> None:
    message = _object(part, kind)
    shape = message.get("type")
    action = _object(message.get("action"), "interactive.action")
    if shape != "catalog_message" or "body" in message:
        body = _object(message.get("body"), "interactive.body")
        _need_text(body, "text", LIST_BODY if shape == "list" else INTERACTIVE_BODY, "interactive.body")
    if "footer" in message:
        _need_text(
            _object(message["footer"], "interactive.footer"), "text", INTERACTIVE_FOOTER, "interactive.footer"
        )
    if "header" in message:
        header = _object(message["header"], "interactive.header")
        if shape == "list" and header.get("type") != "text":
            raise GraphError(131009, "Header of a list must be of type text.")
        if header.get("type") == "text":
            _need_text(header, "text", INTERACTIVE_HEADER, "interactive.header")
    if shape == "button":
        _check_reply_buttons(action)
    elif shape == "list":
        _check_list(action)
    elif shape == "cta_url":
        parameters = _object(action.get("parameters"), "interactive.action.parameters")
        _need_text(parameters, "display_text", BUTTON_TITLE, "interactive.action.parameters")
        _need_text(parameters, "url", 2000, "interactive.action.parameters")
    elif shape not in FREE_INTERACTIVE:
        raise GraphError(131009, f"Interactive type '{shape}' is not valid.")


def _check_reply_buttons(action: Body) -> None:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= REPLY_BUTTONS:
        raise GraphError(
            131009, f"Invalid buttons count. Min allowed buttons: 1, max allowed buttons: {REPLY_BUTTONS}."
        )
    replies = [_object(_object(button, "button").get("reply"), "button.reply") for button in buttons]
    for reply in replies:
        _need_text(reply, "id", BUTTON_ID, "button.reply")
        _need_text(reply, "title", BUTTON_TITLE, "button.reply")
    _refuse_doubles([reply["id"] for reply in replies], "button ids")
    _refuse_doubles([reply["title"] for reply in replies], "button titles")


def _check_list(action: Body) -> None:
    _need_text(action, "button", BUTTON_TITLE, "interactive.action")
    sections = action.get("sections")
    if not isinstance(sections, list) or not 1 <= len(sections) <= LIST_SECTIONS:
        raise GraphError(131009, f"A list has 1 to {LIST_SECTIONS} sections.")
    rows: list[Body] = []
    for section in sections:
        if len(sections) > 1:
            _need_text(_object(section, "section"), "title", SECTION_TITLE, "section")
        given = _object(section, "section").get("rows")
        if not isinstance(given, list) or not given:
            raise GraphError(131009, "Each section has at least one row.")
        rows += [_object(row, "row") for row in given]
    if len(rows) > LIST_ROWS:
        raise GraphError(131009, f"Total row count exceeds max allowed count: {LIST_ROWS}.")
    for row in rows:
        _need_text(row, "id", ROW_ID, "row")
        _need_text(row, "title", ROW_TITLE, "row")
        if row.get("description"):
            _need_text(row, "description", ROW_DESCRIPTION, "row")
    _refuse_doubles([row["id"] for row in rows], "row ids")


def _refuse_doubles(values: Sequence[object], what: str) -> None:
    if len(set(map(str, values))) != len(values):
        raise GraphError(131009, f"Duplicated {what}.")


def _check_template_shape(kind: str, part: object) -> None:
    template = _object(part, kind)
    _need_text(template, "name", 512, kind)
    language = _object(template.get("language"), "template.language")
    _need_text(language, "code", 20, "template.language")
    components = template.get("components", [])
    if not isinstance(components, list) or not all(isinstance(item, dict) for item in components):
        raise GraphError(131009, "Parameter 'template.components' must be a list of objects.")


CHECKS: dict[str, Callable[[str, object], None]] = {
    "text": _check_text,
    "location": _check_location,
    "contacts": _check_contacts,
    "reaction": _check_reaction,
    "interactive": _check_interactive,
    "template": _check_template_shape,
    **dict.fromkeys(MEDIA, _check_media),
}


def media_ids(kind: str, body: Body) -> list[str]:
    """Ids of uploaded media that a message names."""
    if kind in MEDIA:
        parts: list[Any] = [body[kind]]
    elif kind == "template":
        parts = [
            parameter.get(str(parameter.get("type")))
            for component in body["template"].get("components", [])
            if str(component.get("type", "")).lower() == "header"
            for parameter in _parameters(component)
        ]
    elif kind == "interactive" and isinstance(body["interactive"].get("header"), dict):
        header = body["interactive"]["header"]
        parts = [header.get(header.get("type"))]
    else:
        return []
    return [str(part["id"]) for part in parts if isinstance(part, dict) and "id" in part]


def _parameters(component: Body) -> list[Body]:
    parameters = component.get("parameters", [])
    if not isinstance(parameters, list) or not all(isinstance(item, dict) for item in parameters):
        raise GraphError(131009, "Parameter 'parameters' must be a list of objects.")
    return parameters


def check_parameters(template: Body, needs: Needs) -> None:
    """Raises 132000 or 132012 when a send does not bring what the template needs."""
    given: dict[str, list[Body]] = {"header": [], "body": []}
    buttons: dict[int, str] = {}
    for component in template.get("components", []):
        kind = str(component.get("type", "")).lower()
        if kind in given:
            given[kind] += _parameters(component)
        elif kind == "button":
            buttons[_index(component)] = str(component.get("sub_type", "")).lower()
            _check_button_parameters(_parameters(component))
        elif kind not in ("carousel", "limited_time_offer"):
            raise GraphError(131009, f"Component type '{kind}' is not valid.")
    if needs.header in ("IMAGE", "VIDEO", "DOCUMENT", "LOCATION"):
        _check_header_media(given["header"], needs.header.lower())
    else:
        _check_texts("header", given["header"], needs.header_variables, needs.named)
    _check_texts("body", given["body"], needs.body_variables, needs.named)
    for index, sub_type in needs.buttons.items():
        if buttons.get(index) != sub_type:
            raise GraphError(131008, f"Button at index {index} of type {sub_type} requires a parameter.")


def _index(component: Body) -> int:
    try:
        return int(component.get("index", 0))
    except (TypeError, ValueError) as error:
        raise GraphError(131009, "Button index must be a number.") from error


def _check_button_parameters(parameters: Sequence[Body]) -> None:
    for parameter in parameters:
        kind = parameter.get("type")
        if kind == "text" and not _is_text(parameter.get("text"), 2000):
            raise GraphError(131008, "Button parameter text must not be empty.")


def _check_header_media(parameters: Sequence[Body], kind: str) -> None:
    if len(parameters) != 1 or parameters[0].get("type") != kind:
        found = parameters[0].get("type") if parameters else "UNKNOWN"
        raise GraphError(
            132012, f"header: Format mismatch, expected {kind.upper()}, received {str(found).upper()}"
        )
    part = parameters[0].get(kind)
    if kind != "location":
        _check_media(kind, part)


def _check_texts(where: str, parameters: Sequence[Body], variables: tuple[str, ...], named: bool) -> None:
    if len(parameters) != len(variables):
        raise GraphError(
            132000,
            f"{where}: number of localizable_params ({len(parameters)}) does not match the expected number of"
            f" params ({len(variables)})",
        )
    for parameter in parameters:
        kind = str(parameter.get("type"))
        if PARAMETER_KINDS.get(kind) is None or parameter.get(PARAMETER_KINDS[kind]) in (None, ""):
            raise GraphError(131008, f"{where}: Parameter of type {kind} is missing text value")
        if kind in ("image", "video", "document", "location"):
            raise GraphError(132012, f"{where}: Format mismatch, expected TEXT, received {kind.upper()}")
        if kind == "text":
            text = parameter["text"]
            if not isinstance(text, str):
                raise GraphError(131009, f"{where}: Parameter text must be a string")
            if "\n" in text or "\t" in text or "     " in text:
                raise GraphError(
                    132012,
                    f"{where}: Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
                )
    if named and {str(p.get("parameter_name")) for p in parameters} != set(variables):
        raise GraphError(132000, f"{where}: parameter names do not match those of the template")
    if not named and any("parameter_name" in p for p in parameters):
        raise GraphError(132012, f"{where}: parameter_name is only for templates with named parameters")
