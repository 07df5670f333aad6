"""The words of the console: every message in both languages, nothing left over, gaps kept."""

import re

import pytest

from console.catalogues import MessageId, read_catalogue, used_messages
from console.i18n import LANGUAGES, Words, choose_locale

GAP = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")


def words_of(locale: str) -> dict[MessageId, object]:
    """Every message of a catalogue with its words."""
    found: dict[MessageId, object] = {}
    for message in read_catalogue(locale):
        if message.id:
            key = message.id if isinstance(message.id, str) else (message.id[0], message.id[1])
            found[key] = message.string
    return found


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_message_the_console_uses_is_in_the_catalogue_and_no_other(locale: str) -> None:
    used, held = set(used_messages()), set(words_of(locale))

    assert used - held == set(), "run: python -m console.catalogues"
    assert held - used == set(), "run: python -m console.catalogues"


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_message_has_words_and_none_is_a_guess(locale: str) -> None:
    wordless = [
        key for key, said in words_of(locale).items() if not (all(said) if isinstance(said, tuple) else said)
    ]
    fuzzy = [message.id for message in read_catalogue(locale) if message.fuzzy and message.id]

    assert (wordless, fuzzy) == ([], [])


@pytest.mark.parametrize("locale", LANGUAGES)
def test_translations_keep_the_gaps_of_their_message(locale: str) -> None:
    broken = [
        key
        for key, said in words_of(locale).items()
        for text in (said if isinstance(said, tuple) else (said,))
        if set(GAP.findall(str(text))) - set(GAP.findall(key if isinstance(key, str) else key[1]))
    ]

    assert broken == []


def test_plurals_and_figures_are_written_as_the_language_does() -> None:
    portuguese, english = Words("pt_BR"), Words("en")

    assert portuguese.plural("{n} person", "{n} people", 1) == "1 pessoa"
    assert portuguese.plural("{n} person", "{n} people", 12500) == "12.500 pessoas"
    assert english.plural("{n} person", "{n} people", 12500) == "12,500 people"


@pytest.mark.parametrize(
    ("user", "cookie", "header", "chosen"),
    [
        ("en", "pt_BR", "pt-BR", "en"),
        (None, "en", "pt-BR", "en"),
        (None, None, "en-US,en;q=0.9,pt;q=0.5", "en"),
        (None, None, "fr-FR, pt-PT;q=0.8, en;q=0.3", "pt_BR"),
        (None, "klingon", "de", "pt_BR"),
        (None, None, "en;q=oops", "pt_BR"),
        (None, None, "", "pt_BR"),
    ],
)
def test_the_language_is_the_users_then_the_cookies_then_the_browsers(
    user: str | None, cookie: str | None, header: str, chosen: str
) -> None:
    assert choose_locale(user, cookie, header) == chosen
