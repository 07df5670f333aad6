"""Every text that the engine says to people stands in both catalogues, with its gaps."""

import re

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from engine.core.i18n import LOCALES, choose_locale, say
from engine.core.settings import project_root

from .msgids import engine_msgids

GAP = re.compile(r"%\(\w+\)[sd]|%%|%")


def catalogue(locale: str) -> Catalog:
    path = project_root() / "engine" / "locale" / locale / "LC_MESSAGES" / "engine.po"
    with path.open("rb") as source:
        return read_po(source, locale=locale, abort_invalid=True)


def said(locale: str) -> dict[str, str]:
    """msgid → text."""
    return {str(message.id): str(message.string) for message in catalogue(locale) if message.id}


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_of_the_engine_is_in_the_catalogue(locale: str) -> None:
    texts = said(locale)

    missing = {place: msgid for msgid, place in engine_msgids().items() if not texts.get(msgid)}

    assert missing == {}


@pytest.mark.parametrize("locale", LOCALES)
def test_no_translation_is_guessed(locale: str) -> None:
    assert [str(message.id) for message in catalogue(locale) if message.id and message.fuzzy] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_a_translation_has_the_gaps_of_its_text(locale: str) -> None:
    torn = {
        msgid: text
        for msgid, text in said(locale).items()
        if sorted(GAP.findall(msgid)) != sorted(GAP.findall(text))
    }

    assert torn == {}


def test_english_says_what_the_code_says() -> None:
    assert {msgid: text for msgid, text in said("en").items() if msgid != text} == {}


def test_both_catalogues_have_the_same_texts() -> None:
    assert sorted(said("en")) == sorted(said("pt_BR"))


def test_a_text_is_found_wherever_it_is_declared() -> None:
    found = engine_msgids()

    assert "We could not find this. It may have been deleted, or belong to another company." in found
    assert "Choose a password of at least %(least)s characters." in found
    assert "This is needed." in found
    assert "You belong to several companies. Choose one." in found


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        (None, "pt_BR"), ("", "pt_BR"), ("pt-BR", "pt_BR"), ("pt-PT;q=0.5, en;q=0.4", "pt_BR"), ("en", "en"),
        ("de", "en"), ("en;q=0.1, pt;q=0.9", "pt_BR"), ("de;q=x, pt", "pt_BR"), (";;;,,,", "en"), ("*", "en"),
    ],
)  # fmt: skip
def test_the_language_is_chosen_by_the_readers_wishes(header: str | None, locale: str) -> None:
    assert choose_locale(header) == locale


def test_an_unknown_language_reads_portuguese() -> None:
    assert say("This is needed.", "xx") == say("This is needed.", "pt_BR") != "This is needed."
