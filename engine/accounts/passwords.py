"""Passwords: argon2id, a floor for their strength, and the same time spent whether or not the person exists."""

import re
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from engine.core.errors import Invalid

MIN_LENGTH = 10
MAX_LENGTH = 200  # longer ones only cost us time

# OWASP password storage cheat sheet (2025), argon2id: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Hashing is meant to be dear: more at once than there are processors only makes everybody wait, and costs memory.
_turns = threading.BoundedSemaphore(4)

# What most guessed passwords are made of; a password that is one of these plus digits and signs is refused.
COMMON_WORDS = frozenset(
    [
        "1q2w3e4r5t",
        "abc",
        "abcd",
        "abcdef",
        "abcdefgh",
        "abcdefghij",
        "acesso",
        "admin",
        "administrador",
        "administrator",
        "adminadmin",
        "amor",
        "amorzinho",
        "asdf",
        "asdfgh",
        "asdfghjkl",
        "baseball",
        "batman",
        "benfica",
        "bemvindo",
        "botafogo",
        "brasil",
        "brazil",
        "changeme",
        "changeit",
        "corinthians",
        "cruzeiro",
        "deus",
        "deusefiel",
        "dragon",
        "empresa",
        "familia",
        "felicidade",
        "flamengo",
        "football",
        "fluminense",
        "gremio",
        "guest",
        "hello",
        "iloveyou",
        "internacional",
        "jesus",
        "jesuscristo",
        "jesusteama",
        "letmein",
        "liverpool",
        "login",
        "london",
        "lovely",
        "manchester",
        "masterkey",
        "master",
        "masteria",
        "meuamor",
        "michael",
        "minhasenha",
        "monkey",
        "monkeymonkey",
        "mudar",
        "mudarsenha",
        "mustang",
        "mypassword",
        "nossasenhora",
        "palmeiras",
        "pass",
        "passwd",
        "password",
        "passwordpassword",
        "passw",
        "princess",
        "qazwsx",
        "qazwsxedc",
        "qwer",
        "qwert",
        "qwerty",
        "qwertyui",
        "qwertyuiop",
        "root",
        "santos",
        "saopaulo",
        "secret",
        "secreta",
        "segredo",
        "senha",
        "senhasenha",
        "senhaforte",
        "senhasegura",
        "shadow",
        "starwars",
        "sunshine",
        "superman",
        "system",
        "superuser",
        "temporaria",
        "teamo",
        "test",
        "teste",
        "testing",
        "testeteste",
        "trustno",
        "trustnoone",
        "user",
        "usuario",
        "vasco",
        "welcome",
        "welcomewelcome",
        "whatsapp",
        "whatever",
        "zaq",
        "zaqwsx",
        "zxcvbn",
        "zxcvbnm",
    ]
)
SWAPS = str.maketrans("@013457$!", "aoleastsi")
RUNS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertyuiopqwertyuiop",
)
RUN_LENGTH = 8


def check_strength(password: str, *, known: tuple[str, ...] = ()) -> None:
    """Invalid when a password is short, common, or made of what everybody knows of the person (`known`)."""
    if len(password) < MIN_LENGTH:
        raise Invalid.field(
            "password", "too_short", "Choose a password of at least %(least)s characters.", least=MIN_LENGTH
        )
    if len(password) > MAX_LENGTH:
        raise Invalid.field(
            "password", "too_long", "Choose a password of at most %(most)s characters.", most=MAX_LENGTH
        )
    if _is_common(password) or _is_known(password, known):
        raise Invalid.field(
            "password", "too_common", "This password is among the first that are guessed. Choose another."
        )


def _is_common(password: str) -> bool:
    low = password.lower()
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", low)
    letters = re.sub(r"[\W_]+", "", low)
    swapped = bare.translate(SWAPS)
    return (
        not bare.strip()  # digits and signs only: dates, phone numbers, telephone patterns
        or len(set(low)) <= 4
        or bool({low, letters, bare, swapped, re.sub(r"[^a-z]", "", swapped)} & COMMON_WORDS)
        or bool(re.fullmatch(r"(.{1,5})\1+.{0,4}", low))
        or any(_holds_run(low, run) or _holds_run(low, run[::-1]) for run in RUNS)
    )


def _holds_run(password: str, run: str) -> bool:
    starts = range(len(run) - RUN_LENGTH + 1)
    return any(run[start : start + RUN_LENGTH] in password for start in starts)


def _is_known(password: str, known: tuple[str, ...]) -> bool:
    low = password.lower()
    words = {word for text in known for word in re.split(r"[\W_]+", text.lower()) if len(word) >= 4}
    bare = re.sub(r"[\W\d_]+", "", low)
    return low in {text.lower() for text in known} or bare in words


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its parameters in it."""
    with _turns:
        return _hasher.hash(password)


def verify_password(password: str, known_hash: str | None) -> bool:
    """Whether a password fits its hash. Without a hash (nobody of that name) as much time is spent, and it is False."""
    with _turns:
        try:
            _hasher.verify(known_hash or _hash_of_nobody(), password[:MAX_LENGTH])
        except (VerificationError, InvalidHashError):
            return False
    return known_hash is not None


def is_outdated(known_hash: str) -> bool:
    """Whether a hash was made with other parameters than we use now."""
    return _hasher.check_needs_rehash(known_hash)


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash("nobody has this password")
