"""What a person types into the search, as patterns for the database.

Every word must be found, in any order, without regard to accents and capitals; a word of one or two letters must begin
a word (a trigram index can't find less than three letters in the middle). What looks like a piece of a phone number is
searched as its digits, also with the ninth digit that Brazilian mobiles got.
"""

import re
from dataclasses import dataclass

from engine.contacts.wording import clean, fold

QUERY_LENGTH = 100
MAX_WORDS = 8

_PHONE_PIECE = re.compile(r"\+?[\d\s().\-/]*\d[\d\s().\-/]*")
_OLD_BRAZILIAN_MOBILE = re.compile(r"(?:55)?([1-9][0-9])([6-9][0-9]{7})")


@dataclass(frozen=True, slots=True)
class Patterns:
    """LIKE patterns: the longest word, its other spelling, and the rest."""

    word: str
    other_spelling: str
    more: tuple[str, ...] = ()


def patterns_of(query: str) -> Patterns | None:
    """The patterns of a search; None when nothing is searched."""
    text = fold(clean(query, QUERY_LENGTH))
    if not text:
        return None
    if _PHONE_PIECE.fullmatch(text):
        digits = re.sub(r"\D", "", text)
        digits = digits.lstrip("0") or digits
        old = _OLD_BRAZILIAN_MOBILE.fullmatch(digits)
        return Patterns(_pattern(digits), _pattern(f"{old[1]}9{old[2]}" if old else digits))
    words = sorted(set(text.split()), key=lambda word: (-len(word), word))[:MAX_WORDS]
    first, *more = [_pattern(word) for word in words]
    return Patterns(first, first, tuple(more))


def _pattern(word: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    return f"%{escaped}%" if len(word) > 2 else f"% {escaped}%"
