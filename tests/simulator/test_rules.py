"""Whatever comes as a body, it is accepted or refused in Meta's words: the rules themselves never break."""

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.simulator.errors import GraphError
from engine.simulator.people import phone_behind, user_id_of, wa_id_of
from engine.simulator.template_rules import check_template, read_needs
from engine.simulator.validation import CHECKS, check_envelope, check_message, check_parameters, media_ids

KEYS = st.sampled_from(
    ["type", "text", "body", "id", "link", "caption", "name", "language", "code", "components", "parameters",
     "index", "sub_type", "action", "buttons", "reply", "title", "sections", "rows", "header", "footer", "format",
     "example", "header_handle", "body_text", "url", "message_id", "emoji", "latitude", "longitude", "image",
     "parameter_name", "formatted_name", "button", "display_text"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["text", "BODY", "HEADER", "BUTTONS", "IMAGE", "TEXT", "URL", "QUICK_REPLY", "button", "list", "cta_url", "header",
     "body", "1", "Oi {{1}} e tudo", "https://ex.test/{{1}}", "image", ""]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-200, 200) | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@given(kind=st.sampled_from(sorted(CHECKS)), part=JSON, context=JSON)
def test_any_message_is_right_or_a_graph_error(kind: str, part: Any, context: Any) -> None:
    body = {"messaging_product": "whatsapp", "type": kind, kind: part, "context": context}

    with suppress(GraphError):
        check_message(check_envelope(body), body)
        media_ids(kind, body)


@given(components=st.lists(st.dictionaries(KEYS, JSON, max_size=5), max_size=4), named=st.booleans())
def test_any_template_is_right_or_a_graph_error_and_its_needs_can_be_read(
    components: list[dict[str, Any]], named: bool
) -> None:
    form = "NAMED" if named else "POSITIONAL"
    body = {
        "name": "a",
        "language": "pt_BR",
        "category": "UTILITY",
        "parameter_format": form,
        "components": components,
    }

    with suppress(GraphError):
        check_template(body, frozenset())
        read_needs(components, form, "UTILITY")


@given(components=st.lists(st.dictionaries(KEYS, JSON, max_size=5), max_size=4), named=st.booleans())
def test_any_parameters_fit_or_are_a_graph_error(components: list[dict[str, Any]], named: bool) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "HEADER", "format": "TEXT", "text": "Oi {{1}}"},
        {"type": "BODY", "text": "Seu pedido {{1}} saiu."},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://ex.test/{{1}}"}]},
    ]
    needs = read_needs(parts, "NAMED" if named else "POSITIONAL", "UTILITY")

    with suppress(GraphError):
        check_parameters({"components": components}, needs)


@given(digits=st.from_regex(r"\A[1-9][0-9]{6,14}\Z"), business=st.from_regex(r"\A22[0-9]{13}\Z"))
def test_a_user_id_leads_back_to_its_phone(digits: str, business: str) -> None:
    assert phone_behind(user_id_of(digits, business), business) == digits


@given(text=st.text(max_size=20))
def test_a_whatsapp_id_is_digits_or_nothing(text: str) -> None:
    wa_id = wa_id_of(text)

    assert wa_id is None or (wa_id.isascii() and wa_id.isdecimal())
