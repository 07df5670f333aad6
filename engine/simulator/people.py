"""The people behind the phones: how WhatsApp spells their number, what they are called, their scoped user id.

Nothing is stored: all follows from the number, so that any of millions of people is always the same person.
"""

import re
from zlib import crc32

BSUID = re.compile(r"^[A-Z]{2}\.[A-Za-z0-9]{1,128}$")
_DIGITS = re.compile(r"^\+?[0-9][0-9\s().-]*$")
_NO_DIGIT = re.compile(r"[^0-9]")
MIN_DIGITS, MAX_DIGITS = 7, 15
NINTH_DIGIT_KEPT_BELOW = 31  # WhatsApp ids of area codes 31 and above lack the ninth digit

COUNTRIES = {
    "1": "US", "7": "RU", "27": "ZA", "33": "FR", "34": "ES", "39": "IT", "44": "GB", "49": "DE", "51": "PE",
    "52": "MX", "54": "AR", "55": "BR", "56": "CL", "57": "CO", "58": "VE", "61": "AU", "62": "ID", "81": "JP",
    "86": "CN", "91": "IN", "244": "AO", "258": "MZ", "351": "PT", "591": "BO", "593": "EC", "595": "PY",
    "598": "UY",
}  # fmt: skip

FIRST_NAMES = (
    "Ana", "João", "Maria", "José", "Antônio", "Francisca", "Luís", "Patrícia", "Márcia", "Júlio", "Conceição",
    "Thiago", "Aline", "Caio", "Beatriz", "Débora", "Otávio", "Larissa", "Renata", "Sérgio", "Vinícius", "Sônia",
)  # fmt: skip
LAST_NAMES = (
    "Silva", "Souza", "Araújo", "Conceição", "Gonçalves", "Oliveira", "Pereira", "Brandão", "Magalhães", "Rocha",
    "Figueirêdo", "Nogueira", "Assunção", "Teixeira", "Moura", "Falcão", "Guimarães", "Leão", "Prado", "Simões",
)  # fmt: skip

_SPACE = 10**16
_STEP = 7_368_787_000_000_001  # coprime with the space, so that the mapping can be turned round
_BACK = pow(_STEP, -1, _SPACE)


def digits_of(phone: str) -> str:
    """The ASCII digits of a text, nothing else."""
    bare = phone.removeprefix("+")
    return bare if bare.isdecimal() and bare.isascii() else _NO_DIGIT.sub("", phone)


def wa_id_of(phone: str, business_digits: str = "55") -> str | None:
    """WhatsApp's own spelling of a number (digits only), or None for what is no number.

    Without `+` and country code Meta puts the business's own country before it. Brazilian mobiles of most areas
    lose their ninth digit, as they do at Meta.
    """
    if not _DIGITS.match(phone):
        return None
    digits = digits_of(phone)
    if not phone.startswith("+") and len(digits) <= 11 and business_digits.startswith("55"):
        digits = "55" + digits
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        return None
    is_brazilian_mobile = len(digits) == 13 and digits.startswith("55") and digits[4] == "9"
    if is_brazilian_mobile and int(digits[2:4]) >= NINTH_DIGIT_KEPT_BELOW:
        return digits[:4] + digits[5:]
    return digits


def country_of(wa_id: str) -> str:
    """Two letters for the country of a number; US where the table does not know it."""
    return next((COUNTRIES[wa_id[:n]] for n in (3, 2, 1) if wa_id[:n] in COUNTRIES), "US")


def name_of(key: str) -> str:
    """The profile name of a person."""
    mark = crc32(key.encode())
    return f"{FIRST_NAMES[mark % len(FIRST_NAMES)]} {LAST_NAMES[mark // 97 % len(LAST_NAMES)]}"


def user_id_of(wa_id: str, business_id: str) -> str:
    """The business-scoped user id of a person: another one for every business, always the same for one."""
    number = (int(wa_id) * _STEP + crc32(business_id.encode())) % _SPACE
    return f"{country_of(wa_id)}.1{number:016d}"


def phone_behind(user_id: str, business_id: str) -> str | None:
    """The number behind a user id made by `user_id_of`, or None for a user who never showed one."""
    digits = user_id[3:]
    if len(digits) != 17 or not digits.isdigit() or digits[0] != "1":
        return None
    wa_id = str((int(digits[1:]) - crc32(business_id.encode())) * _BACK % _SPACE)
    return wa_id if MIN_DIGITS <= len(wa_id) <= MAX_DIGITS and user_id[:2] == country_of(wa_id) else None
