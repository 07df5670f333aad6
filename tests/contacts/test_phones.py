"""One person, one canonical number, however it is written."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contacts.imports.phones import is_rounded, read_phone
from engine.core.phone import canonical, parse_phone

AREA_CODES = [code for code in range(11, 100) if code % 10]
DIGITS = st.text("0123456789", min_size=8, max_size=8)


@settings(deadline=None)
@given(area=st.sampled_from(AREA_CODES), rest=DIGITS)
def test_the_fast_reading_of_a_brazilian_mobile_is_that_of_the_library(area: int, rest: str) -> None:
    for cell in (
        f"{area}9{rest}",
        f"+55{area}9{rest}",
        f"({area}) 9{rest[:4]}-{rest[4:]}",
        f"55 {area} 9{rest}",
    ):
        number = phonenumbers.parse(cell, "BR")

        read = read_phone(cell, "BR")

        if phonenumbers.is_valid_number(number):
            assert read == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        else:
            assert read is None or not read.startswith("+55")


@settings(deadline=None)
@given(st.text("0123456789+-() .", max_size=20))
def test_the_fast_reading_never_differs_from_the_slow_one(cell: str) -> None:
    assert read_phone(cell, "BR") == parse_phone(cell, region="BR")


@settings(deadline=None)
@given(area=st.sampled_from([11, 21, 31, 47, 71, 85, 91]), rest=st.text("0123456789", min_size=7, max_size=7))
def test_a_number_with_and_without_its_ninth_digit_is_one(area: int, rest: str) -> None:
    for first in "6789":
        old, new = f"+55{area}{first}{rest}", f"+55{area}9{first}{rest}"

        assert canonical(old) == canonical(new) == new


@settings(deadline=None)
@given(st.text("0123456789", min_size=7, max_size=15).map("+".__add__))
def test_the_canonical_form_is_its_own(number: str) -> None:
    assert canonical(canonical(number)) == canonical(number)


@settings(deadline=None)
@given(st.text("0123456789+-() .eE'=\"", max_size=24))
def test_what_was_read_is_read_again_as_itself(cell: str) -> None:
    found = read_phone(cell, "BR")

    assert found is None or read_phone(found, "BR") == found


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("(71) 98000-0102", "+5571980000102"),
        ("71 8000 0102", "+5571980000102"),
        ("0055 71 98000 0102", "+5571980000102"),
        ("'+5571980000102", "+5571980000102"),
        ('="5571980000102"', "+5571980000102"),
        ("5571980000102.0", "+5571980000102"),
        ("+1 415 555 2671", "+14155552671"),
        ("(71) 3333-4444", "+557133334444"),
        ("71 98000", None),
        ("não tem", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_people_write_it(cell: str, expected: str | None) -> None:
    assert read_phone(cell, "BR") == expected


def test_a_number_is_read_in_the_country_of_the_company() -> None:
    assert read_phone("0151 23456789", "DE") == "+4915123456789"


@pytest.mark.parametrize(
    ("cell", "rounded"),
    [("5.57198E+12", True), ("5,57198E+12", True), ("5.571980000102E+12", False), ("5571980000102", False)],
)
def test_a_number_rounded_by_a_spreadsheet_is_known_for_one(cell: str, rounded: bool) -> None:
    assert is_rounded(cell) is rounded
