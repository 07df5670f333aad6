"""Cells that are longer than what is kept of them: the row comes back with its reason, nothing is cut unseen."""

import pytest

from engine.contacts.imports.columns import Plan
from engine.contacts.imports.people import ImportedPerson, RejectedRow, read_person
from engine.contacts.wording import NAME_LENGTH, VALUE_LENGTH

PLAN = Plan(names=(0,), phones=(1,), tags=(), fields=((2, "nota"),), width=3)


@pytest.mark.parametrize(
    ("name", "note", "code", "values"),
    [
        ("n" * (NAME_LENGTH + 1), "", "long_name", {"limit": NAME_LENGTH}),
        ("Ana", "x" * (VALUE_LENGTH + 1), "long_value", {"field": "nota", "limit": VALUE_LENGTH}),
    ],
)
def test_a_cell_that_can_not_be_kept_whole_comes_back_with_its_row(
    name: str, note: str, code: str, values: dict[str, object]
) -> None:
    row = read_person(7, [name, "11987654321", note], PLAN, region="BR")

    assert isinstance(row, RejectedRow)
    assert (row.line, row.code, row.values) == (7, code, values)


def test_the_longest_that_is_kept_comes_in_whole() -> None:
    row = read_person(
        7, ["n" * NAME_LENGTH, "11987654321", " " + "x" * VALUE_LENGTH + "  "], PLAN, region="BR"
    )

    assert isinstance(row, ImportedPerson)
    assert (len(row.name), row.fields) == (NAME_LENGTH, {"nota": "x" * VALUE_LENGTH})
