"""Passwords: how they are kept, and which are refused."""

import pytest

from engine.accounts.passwords import check_strength, hash_password, is_outdated, verify_password
from engine.core.errors import Invalid


def test_a_password_is_kept_as_argon2id_and_fits_only_itself() -> None:
    kept = hash_password("correct horse battery")

    assert kept.startswith("$argon2id$")
    assert verify_password("correct horse battery", kept)
    assert not verify_password("correct horse batterY", kept)


def test_the_same_password_is_never_kept_twice_the_same() -> None:
    assert hash_password("correct horse battery") != hash_password("correct horse battery")


def test_nobody_has_no_password() -> None:
    assert not verify_password("nobody has this password", None)


@pytest.mark.parametrize("broken", ["", "not a hash", "$argon2id$v=19$m=19456,t=2,p=1$abc"])
def test_a_broken_hash_fits_nothing(broken: str) -> None:
    assert not verify_password("correct horse battery", broken or "$")


def test_a_hash_of_older_parameters_is_known_as_such() -> None:
    older = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$uBjdgJH2Q3pI1ZVgIYxjJSqcyqQVDd0tqyPbtqT2mCQ"

    assert is_outdated(older)
    assert not is_outdated(hash_password("correct horse battery"))


@pytest.mark.parametrize(
    "password",
    [
        "short", "123456789", "1234567890", "0987654321", "qwertyuiop", "password123", "Password@2026", "P@ssw0rd!!",
        "senha12345", "Senha@2026!", "aaaaaaaaaaaa", "abcabcabcabc", "11/22/33/44", "5511987654321", "iloveyou2024",
        "flamengo2025", "administrador", "changeme123", "qwerty12345", "zxcvbnm12345",
        "masteria2026", "x" * 201,
    ],
)  # fmt: skip
def test_what_everybody_guesses_first_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_strength(password)

    assert refused.value.fields[0].field == "password"


@pytest.mark.parametrize(
    "password", ["ana.lima@aurora.example", "aurora12345", "limalima2026", "Lima-2026-!!"]
)
def test_what_is_known_of_the_person_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_strength(password, known=("ana.lima@aurora.example", "Ana Lima"))


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "bhkm-3xwq-9dnv",
        "café com pão e açúcar",
        "tr0ub4dor&3x",
        "vento-norte-77",
        "kQ9$zu2!mP",
    ],
)
def test_what_nobody_guesses_is_taken(password: str) -> None:
    check_strength(password, known=("ana.lima@aurora.example", "Ana Lima"))
