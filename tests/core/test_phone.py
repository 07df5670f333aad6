"""Phone numbers: one canonical form per line, whatever people, spreadsheets and WhatsApp write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.phone import canonical, from_provider, parse_phone


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("+557180000102", "+5571980000102"),  # a mobile of before 2016, as older WhatsApp ids have it
        ("+551160000102", "+5511960000102"),
        ("+551190000102", "+5511990000102"),
        ("+5571980000102", "+5571980000102"),  # has its ninth digit
        ("+557132310102", "+557132310102"),  # a landline begins with 2 to 5
        ("+555133210102", "+555133210102"),
        ("+550180000102", "+550180000102"),  # no area code begins with 0
        ("+14155550102", "+14155550102"),
        ("+351912345678", "+351912345678"),
        ("+541180000102", "+541180000102"),  # another country's
    ],
)
def test_a_brazilian_mobile_gets_its_ninth_digit_and_nothing_else_changes(number: str, form: str) -> None:
    assert canonical(number) == form


@given(
    st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True) | st.from_regex(r"\+55[0-9]{8,11}", fullmatch=True)
)
def test_the_canonical_form_is_final(number: str) -> None:
    assert canonical(canonical(number)) == canonical(number)


@given(st.integers(11, 99), st.integers(6, 9), st.integers(0, 9_999_999))
def test_both_spellings_of_a_mobile_are_one(area: int, first: int, rest: int) -> None:
    area = area if area % 10 else area + 1
    subscriber = f"{first}{rest:07d}"

    assert canonical(f"+55{area}{subscriber}") == canonical(f"+55{area}9{subscriber}")


@pytest.mark.parametrize(
    "written",
    [
        "+55 71 98000-0102",
        "(71) 98000-0102",
        "71 8000 0102",
        "071 98000-0102",
        "5571980000102",
        "557180000102",
        "0055 71 98000 0102",
        "71980000102.0",
        "5.571980000102E+12",
        "  +55 (71) 98000.0102 ",
    ],
)
def test_a_number_in_the_ways_that_people_write_it(written: str) -> None:
    assert parse_phone(written) == "+5571980000102"


@pytest.mark.parametrize("written", ["", " ", "ramal 12", "123", "+", "+5571", "99", "9" * 65, "1e400", "٣"])
def test_what_is_no_number_is_none(written: str) -> None:
    assert parse_phone(written) is None


@given(st.text(max_size=70))
def test_whatever_is_read_as_a_number_is_read_so_again(written: str) -> None:
    number = parse_phone(written)

    assert number is None or parse_phone(number) == number


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        ("557180000102", "+5571980000102"),
        ("5571980000102", "+5571980000102"),
        ("14155550102", "+14155550102"),
        ("+14155550102", "+14155550102"),
        ("123", None),
        ("US.13491208655302741918", None),
        ("", None),
        ("٣٣٣٣٣٣٣٣", None),
    ],
)
def test_a_providers_digits_are_a_number_or_none(digits: str, number: str | None) -> None:
    assert from_provider(digits) == number
