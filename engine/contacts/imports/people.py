"""Makes a person of a row, or says why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contacts.imports.columns import Plan
from engine.contacts.imports.phones import is_rounded, read_phone
from engine.contacts.wording import MAX_TAGS, NAME_LENGTH, VALUE_LENGTH, clean, split_tags
from engine.core.csvfile import without_guard

SHOWN = 40


@dataclass(slots=True)
class ImportedPerson:
    """A person as some rows of a file tell of them."""

    phone: str
    name: str
    fields: dict[str, str]
    tags: tuple[str, ...]

    def take_over(self, later: "ImportedPerson") -> None:
        """Lay a later row of the same person over this one; what it leaves empty stays."""
        self.name = later.name or self.name
        self.fields |= later.fields
        self.tags = tuple(dict.fromkeys(self.tags + later.tags))[:MAX_TAGS]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that could not be taken, with its cells as they were."""

    line: int
    cells: Sequence[str]
    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


def read_person(line: int, cells: Sequence[str], plan: Plan, *, region: str) -> ImportedPerson | RejectedRow:
    """The person in a row."""
    if len(cells) > plan.width and any(cell.strip() for cell in cells[plan.width :]):
        return RejectedRow(line, cells, "too_many_cells")
    present = len(cells)
    given = [cell for index in plan.phones if index < present and (cell := cells[index].strip())]
    if not given:
        return RejectedRow(line, cells, "no_phone")
    phone = next(
        (found for cell in given if not is_rounded(cell) and (found := read_phone(cell, region))), None
    )
    if phone is None:
        code = "rounded_phone" if is_rounded(given[0]) else "bad_phone"
        return RejectedRow(line, cells, code, {"value": clean(given[0], SHOWN)})
    name = clean(" ".join(without_guard(cells[index].strip()) for index in plan.names if index < present))
    if len(name) > NAME_LENGTH:
        return RejectedRow(line, cells, "long_name", {"limit": NAME_LENGTH})
    fields = {
        key: value
        for index, key in plan.fields
        if index < present and (value := clean(without_guard(cells[index])))
    }
    for key, value in fields.items():
        if len(value) > VALUE_LENGTH:
            return RejectedRow(line, cells, "long_value", {"field": key, "limit": VALUE_LENGTH})
    tags: tuple[str, ...] = ()
    for index in plan.tags:
        if index < present and cells[index]:
            tags += split_tags(cells[index])
    return ImportedPerson(phone, name, fields, tags)
