"""The engine's texts in the reader's language: gettext catalogues, compiled in memory from engine/locale/*.po."""

import gettext
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = ("pt_BR", "en")
DEFAULT_LOCALE = "pt_BR"
_FOLDER = Path(__file__).resolve().parent.parent / "locale"


def N_(msgid: str) -> str:  # noqa: N802 - gettext's own name for "mark, translate later"
    """Mark a text for the catalogues where it is written; it is translated where it is shown."""
    return msgid


@cache
def _catalogue(locale: str) -> gettext.NullTranslations:
    with (_FOLDER / locale / "LC_MESSAGES" / "engine.po").open("rb") as source:
        catalogue = read_po(source, locale=locale)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def say(msgid: str, locale: str, values: Mapping[str, Any] | None = None) -> str:
    """A text in a locale, its gaps filled."""
    text = _catalogue(locale if locale in LOCALES else DEFAULT_LOCALE).gettext(msgid)
    return text % values if values else text


def is_known(msgid: str) -> bool:
    """Whether a text is one of ours, and not of a library: the Portuguese catalogue has other words for it."""
    return bool(msgid) and _catalogue(DEFAULT_LOCALE).gettext(msgid) != msgid


def choose_locale(accept_language: str | None) -> str:
    """The best of our locales for an Accept-Language header; English for a reader who asks for neither."""
    if not accept_language:
        return DEFAULT_LOCALE
    wishes: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        wishes.append((weight, tag.strip().lower()))
    for _, tag in sorted(wishes, key=lambda wish: -wish[0]):
        if tag.startswith("pt"):
            return "pt_BR"
        if tag.startswith("en"):
            return "en"
    return "en"
