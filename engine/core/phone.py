"""Phone numbers in E.164, and the ninth digit of Brazil.

Brazilian mobiles have nine digits after the area code, the first a 9 (Anatel, complete since 2016); WhatsApp ids of
older accounts still come without it. Both name one person, so one canonical form is stored: with the ninth digit.
"""

import re

import phonenumbers

_BRAZIL_OLD_MOBILE = re.compile(r"^\+55([1-9][0-9])([6-9][0-9]{7})$")


def canonical(number: str) -> str:
    """One E.164 form per line: a Brazilian mobile without its ninth digit gets it."""
    match = _BRAZIL_OLD_MOBILE.match(number)
    return f"+55{match[1]}9{match[2]}" if match else number


def parse_phone(raw: str, *, region: str = "BR") -> str | None:
    """The canonical E.164 number in free text, read as a caller in `region` would; None when it is no number.

    Accepts "(71) 98000-0102", "71 8000 0102", "0055 71…", "+55…", and digits that a spreadsheet turned into "5.57E+12".
    """
    text = raw.strip()
    if not text or len(text) > 64:
        return None
    if re.fullmatch(r"\d+(\.\d+)?[eE]\+?\d+", text):
        text = f"{float(text):.0f}"
    elif re.fullmatch(r"\d+\.0", text):
        text = text[:-2]
    digits = re.sub(r"\D", "", text)
    candidates = [text] if text.startswith("+") else _national_readings(text, digits, region)
    for candidate in candidates:
        found = _valid(candidate, region)
        if found:
            return found
    return None


def from_provider(digits: str) -> str | None:
    """The canonical E.164 of a provider's bare international digits (WhatsApp's wa_id); None when it is no number."""
    bare = digits.lstrip("+")
    return canonical("+" + bare) if bare.isascii() and bare.isdigit() and 7 <= len(bare) <= 15 else None


def _national_readings(text: str, digits: str, region: str) -> list[str]:
    code = str(phonenumbers.country_code_for_region(region))
    readings = [text]
    if digits.startswith("00"):
        readings.insert(0, "+" + digits[2:])
    elif digits.startswith(code) and len(digits) >= len(code) + 10:
        readings.insert(0, "+" + digits)
    elif len(digits) >= 11:
        readings.append("+" + digits)
    return readings


def _valid(candidate: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return None
    plain = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    best = canonical(plain)
    if best != plain:
        number = phonenumbers.parse(best, None)
    return best if phonenumbers.is_valid_number(number) else None


def region_of(number: str) -> str | None:
    """The ISO country of an E.164 number, or None."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
