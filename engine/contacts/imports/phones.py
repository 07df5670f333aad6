"""Phone cells, read fast: most are plain Brazilian mobiles, which need no library of all countries' numbers."""

import re

from engine.core.phone import parse_phone

# phonenumbers 9.0, metadata of BR: area codes and mobiles of nine digits. A test compares with the library.
_PLAIN_MOBILE = re.compile(r"(?:55)?((?:[14689][1-9]|2[12478]|3[1-578]|5[13-5]|7[13-579])9[0-9]{8})")
_PUNCTUATION = str.maketrans("", "", " ()-.")
_ROUNDED = re.compile(r"(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_FORMULA_TEXT = re.compile(r'="?([^"]*)"?')  # ="5571…", as some programs write a number that is to stay text


def read_phone(cell: str, region: str) -> str | None:
    """The canonical E.164 number in a cell, or None."""
    if region == "BR":
        digits = cell.translate(_PUNCTUATION)
        if digits.startswith("+55"):
            digits = digits[1:]
        match = _PLAIN_MOBILE.fullmatch(digits)
        if match:
            return "+55" + match[1]
    return parse_phone(bare_number(cell), region=region)


def bare_number(cell: str) -> str:
    """A number without what spreadsheets put around it: an apostrophe, or ="…"."""
    match = _FORMULA_TEXT.fullmatch(cell)
    return match[1] if match else cell.lstrip("'")


def is_rounded(cell: str) -> bool:
    """Whether a spreadsheet wrote a number in powers of ten with digits lost: such a number is somebody else's."""
    match = _ROUNDED.fullmatch(cell.strip())
    return match is not None and len(match[2] or "") < int(match[3])
