"""How names, tags, fields and words of a search are written down: cleaned, folded, of bounded length."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

NAME_LENGTH = 200
TAG_LENGTH = 60
FIELD_LENGTH = 60
VALUE_LENGTH = 1000
MAX_TAGS = 50
MAX_FIELDS = 100

_JOINERS = "\u200c\u200d"  # emoji and several scripts need them
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_TAG_SEPARATORS = re.compile(r"[,;|]")


def clean(text: str, length: int | None = None) -> str:
    """One line without control characters and doubled spaces, cut at `length`."""
    if not text.isprintable():
        text = "".join(sign if sign.isspace() or _is_kept(sign) else "" for sign in text)
    return " ".join(text.split())[:length].rstrip()


def _is_kept(sign: str) -> bool:
    """Not a control, an invisible order (right-to-left override) or half of a character (which UTF-8 can't write)."""
    return sign.isprintable() or sign in _JOINERS


def fold(text: str) -> str:
    """Without accents and capitals, as `contact_searchable` in the database does it."""
    if text.isascii():
        return text.lower()
    parted = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in parted if not "\u0300" <= sign <= "\u036f").lower()


def clean_name(text: str) -> str:
    """A person's name."""
    return clean(text, NAME_LENGTH)


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as written, each once, without the empty ones."""
    cleaned = (clean(tag, TAG_LENGTH) for tag in tags)
    return tuple(dict.fromkeys(tag for tag in cleaned if tag))[:MAX_TAGS]


def split_tags(cell: str) -> tuple[str, ...]:
    """The tags in one cell, parted by comma, semicolon or bar."""
    return clean_tags(_TAG_SEPARATORS.split(cell)) if cell else ()


def field_name(text: str) -> str:
    """The key of a custom field: `Data de Nascimento` becomes `data_de_nascimento`; empty when no letter is left."""
    return _NOT_A_WORD.sub("_", fold(text)).strip("_")[:FIELD_LENGTH].rstrip("_")


def clean_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Custom fields under their keys; None stands for a field to be taken away."""
    named = {field_name(key): _clean_value(value) for key, value in fields.items()}
    named.pop("", None)
    return named


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, VALUE_LENGTH)
    return (
        value if value is None or isinstance(value, bool | int | float) else clean(str(value), VALUE_LENGTH)
    )
