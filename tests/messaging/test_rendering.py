"""Gaps of templates, what fills them, and what leaves."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contacts.models import Contact
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import run, tenant_session
from engine.core.errors import Invalid, Refused
from engine.core.ids import uuid7
from engine.messaging.rendering import (
    PreviewButton,
    PreviewHeader,
    TemplateShape,
    Variable,
    anatomy_of,
    clean,
    compile_template,
    encode_ending,
    preview,
    text_of,
    variables_of,
)
from engine.messaging.sources import check_sources, resolve, sql_params

NAMED = TemplateShape(
    name="pedido",
    language="pt_BR",
    category="UTILITY",
    parameter_format="NAMED",
    components=[
        {
            "type": "HEADER",
            "format": "TEXT",
            "text": "Pedido {{numero}}",
            "example": {"header_text_named_params": [{"param_name": "numero", "example": "42"}]},
        },
        {
            "type": "BODY",
            "text": "Oi {{nome}}, o pedido {{numero}} saiu.",
            "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]},
        },
        {"type": "FOOTER", "text": "Loja"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Sair"},
                {
                    "type": "URL",
                    "text": "Ver",
                    "url": "https://x.example/r/{{1}}",
                    "example": ["https://x.example/r/42"],
                },
                {"type": "URL", "text": "Site", "url": "https://x.example"},
                {"type": "COPY_CODE", "text": "Copiar", "example": "NOV10"},
            ],
        },
    ],
)
NUMBERED = TemplateShape(
    name="promo",
    language="pt_BR",
    category="MARKETING",
    components=[
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:x"]}},
        {"type": "BODY", "text": "Oi {{2}}, {{1}} e {{2}}!", "example": {"body_text": [["20%", "Ana"]]}},
    ],
)
CODE = TemplateShape(
    name="codigo",
    language="pt_BR",
    category="AUTHENTICATION",
    components=[
        {"type": "BODY", "add_security_recommendation": True},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]},
    ],
)


def body(text: str, **given: Any) -> TemplateShape:
    return TemplateShape(components=[{"type": "BODY", "text": text}], **given)


def keys_of(template: TemplateShape) -> list[str]:
    return [variable.key for variable in variables_of(template)]


def test_every_gap_has_a_key_and_its_example() -> None:
    assert variables_of(NAMED) == (
        Variable("header.numero", "42"),
        Variable("body.nome", "Ana"),
        Variable("body.numero"),
        Variable("button.1.1", "42"),
        Variable("button.3.1", "NOV10"),
    )
    assert variables_of(NUMBERED) == (
        Variable("header.media"),
        Variable("body.2", "Ana"),
        Variable("body.1", "20%"),
    )
    assert keys_of(CODE) == ["body.1"]


@pytest.mark.parametrize(
    "components",
    [[], [None, 7, "x"], [{"type": "BODY"}], [{"type": None, "text": "{{1}}"}], [{"type": "BUTTONS", "buttons": "x"}],
     [{"type": "BODY", "text": ["{{1}}"]}], [{"type": "HEADER"}]],
)  # fmt: skip
def test_malformed_components_have_no_gaps(components: list[Any]) -> None:
    shape = TemplateShape(components=components)

    assert variables_of(shape) == ()
    assert compile_template(shape)({}) == {"name": "", "language": ""}


def test_a_named_template_is_filled_by_name() -> None:
    params = {
        "header.numero": "42",
        "body.nome": "Ana",
        "body.numero": "42",
        "button.1.1": "42/á b",
        "button.3.1": "NOV10",
    }

    assert compile_template(NAMED)(params) == {
        "name": "pedido",
        "language": "pt_BR",
        "header": {"format": "TEXT", "values": [("numero", "42")]},
        "body": [("nome", "Ana"), ("numero", "42")],
        "buttons": [(1, "url", "42/%C3%A1%20b"), (3, "copy_code", "NOV10")],
    }


def test_a_numbered_template_is_filled_in_the_order_of_its_numbers() -> None:
    params = {"header.media": "https://x.example/a.jpg", "body.1": "20%", "body.2": "Ana"}

    content = compile_template(NUMBERED)(params)

    assert content["body"] == [(None, "20%"), (None, "Ana")]
    assert content["header"] == {"format": "IMAGE", "media": {"link": "https://x.example/a.jpg"}}


def test_what_is_no_address_is_the_id_of_an_uploaded_file() -> None:
    content = compile_template(NUMBERED)({"header.media": "880000000000020", "body.1": "a", "body.2": "b"})

    assert content["header"]["media"] == {"id": "880000000000020"}


def test_a_document_bears_the_name_in_its_address() -> None:
    shape = TemplateShape(
        components=[{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Oi"}]
    )

    content = compile_template(shape)({"header.media": "https://x.example/b/boleto.pdf?t=1"})

    assert content["header"]["media"]["filename"] == "boleto.pdf"


def test_a_place_is_read_from_one_text() -> None:
    shape = TemplateShape(
        components=[{"type": "HEADER", "format": "LOCATION"}, {"type": "BODY", "text": "Oi"}]
    )

    content = compile_template(shape)({"header.location": "-23.5, -46.6, Loja, Rua A, 10, Centro"})

    assert keys_of(shape) == ["header.location"]
    assert content["header"]["location"] == {
        "latitude": "-23.5", "longitude": "-46.6", "name": "Loja", "address": "Rua A, 10, Centro",
    }  # fmt: skip


def test_a_code_goes_into_the_body_and_its_button() -> None:
    content = compile_template(CODE)({"body.1": "123456"})

    assert content["body"] == [(None, "123456")]
    assert content["buttons"] == [(0, "url", "123456")]


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("Ana", "Ana"),
        ("Ana  Maria", "Ana  Maria"),
        ("linha\num\r\ndois\ttrês", "linha um dois três"),
        ("a    b", "a b"),
        ("a   b", "a   b"),
        ("\u2028a\u2029", "a"),
        ("Ana 🎉", "Ana 🎉"),
    ],
)
def test_values_are_brought_onto_one_line(value: str, cleaned: str) -> None:
    assert clean(value) == cleaned


@given(st.text(max_size=40))
def test_no_value_keeps_what_whatsapp_refuses(value: str) -> None:
    cleaned = clean(value)

    assert not set(cleaned) & set("\n\r\t\v\f")
    assert "     " not in cleaned


def test_a_missing_value_is_final_for_this_message() -> None:
    with pytest.raises(Refused) as refused:
        compile_template(body("Oi {{1}} aí"))({})

    assert (refused.value.code, refused.value.detail) == ("missing_variable", "body.1")


def test_a_text_that_gets_too_long_is_refused_and_never_cut() -> None:
    fill = compile_template(body("Oi {{1}} e {{1}}."))
    room = (1024 - len("Oi  e .")) // 2

    assert fill({"body.1": "x" * room})["body"] == [(None, "x" * room)]
    with pytest.raises(Refused) as refused:
        fill({"body.1": "x" * (room + 1)})
    assert refused.value.code == "text_too_long"


@pytest.mark.parametrize(
    ("address", "value", "ending"),
    [
        ("https://x.example/{{1}}", "p/42?a=b&c=d", "p/42?a=b&c=d"),
        ("https://x.example/{{1}}", "olá você", "ol%C3%A1%20voc%C3%AA"),
        ("https://x.example/?n={{1}}", "a&admin=1", "a%26admin%3D1"),
        ("https://x.example/?n={{1}}", "a/b#c", "a%2Fb%23c"),
    ],
)
def test_the_end_of_an_address_is_encoded_for_the_place_it_stands_in(
    address: str, value: str, ending: str
) -> None:
    assert encode_ending(address, value) == ending


@pytest.mark.parametrize(
    ("address", "example", "variable"),
    [
        ("https://x.example/{{1}}", "https://x.example/exemplo", "exemplo"),
        ("https://x.example/{{1}}", "exemplo", "exemplo"),
        ("https://x.example/p?c={{1}}", "https://x.example/p?c=ol%C3%A1%20mundo", "olá mundo"),
        ("https://x.example/{{1}}/ver", "https://x.example/42/ver", "42"),
        ("https://x.example/{{1}}", "https://y.example/exemplo", "https://y.example/exemplo"),
        ("https://x.example/", "https://x.example/exemplo", "https://x.example/exemplo"),
    ],
)
def test_a_buttons_example_is_what_fills_its_gap(address: str, example: str, variable: str) -> None:
    button = {"type": "URL", "text": "Ver", "url": address, "example": [example]}
    shape = TemplateShape(
        name="x",
        language="pt_BR",
        category="UTILITY",
        parameter_format="POSITIONAL",
        components=[{"type": "BODY", "text": "Oi"}, {"type": "BUTTONS", "buttons": [button]}],
    )

    assert anatomy_of(shape).examples == {"button.0.1": variable}


def test_the_words_for_a_thread_are_header_and_body() -> None:
    assert text_of(NAMED, {"header.numero": "42", "body.nome": "Ana"}) == (
        "Pedido 42\nOi Ana, o pedido {{numero}} saiu."
    )


def test_a_preview_shows_all_parts_and_names_what_is_missing() -> None:
    shown = preview(NAMED, {"header.numero": "42", "body.nome": "Ana", "button.1.1": "42"})

    assert shown.header == PreviewHeader("TEXT", text="Pedido 42")
    assert shown.body == "Oi Ana, o pedido {{numero}} saiu."
    assert shown.footer == "Loja"
    assert shown.buttons[:3] == (
        PreviewButton("QUICK_REPLY", "Sair"),
        PreviewButton("URL", "Ver", "https://x.example/r/42"),
        PreviewButton("URL", "Site", "https://x.example"),
    )
    assert shown.missing == ("body.numero", "button.3.1")


def test_a_value_that_looks_like_a_gap_is_left_as_it_is() -> None:
    assert text_of(body("Oi {{1}} e {{2}}."), {"body.1": "{{2}}", "body.2": "x"}) == "Oi {{2}} e x."


def test_good_sources_are_kept_as_they_are() -> None:
    given = {
        "header.media": {"text": "https://x.example/a.jpg"},
        "body.1": "field.desconto",
        "body.2": "contact.name",
    }

    assert check_sources(NUMBERED, given) == given


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (None, "missing_source"),
        ("contact.email", "unknown_source"),
        ("field.", "unknown_source"),
        ("Ana", "unknown_source"),
        (7, "unknown_source"),
        (["contact.name"], "unknown_source"),
        ({"text": "  "}, "empty_text"),
        ({"text": 7}, "empty_text"),
        ({"text": "a", "b": "c"}, "empty_text"),
        ({"text": "x" * 2001}, "text_too_long"),
    ],
)
def test_each_source_that_does_not_fit_is_named(source: object, code: str) -> None:
    with pytest.raises(Invalid) as invalid:
        check_sources(body("Oi {{1}}!"), {"body.1": source, "body.9": "contact.name"})

    found = {problem.field: problem.code for problem in invalid.value.fields}
    assert found == {"variables.body.1": code, "variables.body.9": "unknown_variable"}


def test_a_draft_may_leave_gaps_open() -> None:
    assert check_sources(NUMBERED, {"body.1": "contact.name"}, complete=False) == {"body.1": "contact.name"}


def test_a_template_with_a_part_that_we_cannot_fill_is_not_sent() -> None:
    shape = TemplateShape(components=[{"type": "BODY", "text": "Oi"}, {"type": "CAROUSEL", "cards": []}])

    with pytest.raises(Invalid) as invalid:
        check_sources(shape, {})

    assert invalid.value.fields[0].code == "template_not_supported"


SOURCES: dict[str, Any] = {
    "body.1": "contact.name",
    "body.2": "contact.first_name",
    "body.3": "contact.phone",
    "body.4": "field.cidade",
    "body.5": {"text": " 20% de '%s' "},
}
PEOPLE: list[dict[str, Any]] = [
    {"name": "Ana Maria", "phone": "+5511900000101", "fields": {"cidade": "São Paulo"}},
    {"name": " \tAna\u00a0 ", "phone": "+5511900000101", "fields": {"cidade": " Rio "}},
    {"name": "", "phone": None, "fields": {}},
    {"name": "Ana", "phone": "+5511900000101", "fields": {"cidade": "\n"}},
    {"name": "Ana", "phone": "+5511900000101", "fields": {"cidade": 7}},
    {"name": "Ana", "phone": "+5511900000101", "fields": {"cidade": True}},
    {"name": "Ana", "phone": "+5511900000101", "fields": {"cidade": ["a", 1]}},
]


@pytest.mark.parametrize("person", PEOPLE)
def test_one_person_and_an_audience_are_filled_by_the_same_rules(
    database: DatabaseUrls, person: dict[str, Any]
) -> None:
    tenant_id, contact_id = uuid4(), uuid7()
    with tenant_session(tenant_id) as session:
        session.add(Contact(id=contact_id, **person))
        session.flush()
        contact = session.get_one(Contact, (tenant_id, contact_id))

        alone = resolve(contact, SOURCES)
        asked = sql_params(SOURCES, alias="c")
        (row,) = run(
            session,
            f"select {asked.params} as params, {asked.missing} as missing from contacts c",  # noqa: S608
            **asked.binds,
        )

    assert {key: value for key, value in row.params.items() if value is not None} == alone.params
    assert row.missing == (alone.missing[0] if alone.missing else None)


def test_an_audience_without_variables_misses_nothing(database: DatabaseUrls) -> None:
    asked = sql_params({})
    with tenant_session(UUID(int=1)) as session:
        (row,) = run(session, f"select {asked.params} as params, {asked.missing} as missing")

    assert (row.params, row.missing) == ({}, None)


def test_more_gaps_than_a_function_takes_arguments_are_no_problem(database: DatabaseUrls) -> None:
    asked = sql_params({f"body.{n}": {"text": f"x{n}"} for n in range(120)})
    with tenant_session(UUID(int=1)) as session:
        (row,) = run(session, f"select {asked.params} as params, {asked.missing} as missing", **asked.binds)

    assert len(row.params) == 120


def test_an_alias_that_is_no_name_never_reaches_the_database() -> None:
    with pytest.raises(ValueError, match="alias"):
        sql_params(SOURCES, alias="c; drop table contacts")
