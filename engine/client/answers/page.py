"""What every answer is made of: a page and a reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page[Item]:
    """One keyset page: its items, and the cursor of the next one or None."""

    items: tuple[Item, ...] = ()
    next: str | None = None
    total: int | None = None
    total_is_capped: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is: a code for programs, a text for people."""

    code: str = ""
    text: str = ""
    action: str | None = None
