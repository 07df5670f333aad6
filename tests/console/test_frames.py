"""The live frame: whatever order facts come in, the frame ends as a fresh fetch would."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.frames import LiveFrame

ROWS = ("a", "b", "c")


def version(key: str, revision: int) -> dict[str, Any]:
    """A row as it was at a revision; each revision looks different."""
    return {"id": key, "revision": revision, "sent": revision * 10, "status": f"s{revision % 3}"}


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, int], list[tuple[str, int]]]:
    """How new each row is at the snapshot, in the end, and the facts told: all since, with copies, any order."""
    ends = {key: draw(st.integers(1, 6)) for key in ROWS}
    seen = {key: draw(st.integers(1, ends[key])) for key in ROWS}
    since = [(key, revision) for key in ROWS for revision in range(seen[key] + 1, ends[key] + 1)]
    older = [(key, revision) for key in ROWS for revision in range(1, seen[key] + 1)]
    extra = draw(st.lists(st.sampled_from(since + older), max_size=8)) if since + older else []
    return seen, ends, draw(st.permutations(since + extra))


@given(histories(), st.data())
def test_old_state_and_facts_in_any_order_and_with_copies_equal_fresh_state(
    history: tuple[dict[str, int], dict[str, int], list[tuple[str, int]]], data: st.DataObject
) -> None:
    seen, ends, facts = history
    frame = LiveFrame()
    cut = data.draw(st.integers(0, len(facts)), label="facts that come before the snapshot")
    for key, revision in facts[:cut]:
        frame.apply([version(key, revision)])
    frame.load([version(key, seen[key]) for key in ROWS])
    for key, revision in facts[cut:]:
        frame.apply([version(key, revision)])

    fresh = LiveFrame()
    fresh.load([version(key, ends[key]) for key in ROWS])

    assert frame.rows() == fresh.rows()
    assert frame.frame.equals(fresh.frame)


def test_a_fact_moves_the_cells_it_names_and_leaves_the_others() -> None:
    frame = LiveFrame()
    frame.load([{"id": "a", "revision": 1, "name": "Sale", "sent": 1}])

    changes = frame.apply([{"id": "a", "revision": 2, "sent": 5}])

    assert frame.row("a") == {"id": "a", "revision": 2, "name": "Sale", "sent": 5}
    assert changes.changed == {"a": {"revision": 2, "sent": 5}}


def test_a_snapshot_fetched_earlier_does_not_undo_a_newer_one() -> None:
    frame = LiveFrame()
    frame.load([version("a", 4)])

    frame.load([version("a", 2)])

    assert frame.row("a") == version("a", 4)


def test_a_row_no_snapshot_has_shown_is_a_stranger_not_a_row() -> None:
    frame = LiveFrame()
    frame.load([version("a", 1)])

    frame.apply([{"id": "z", "revision": 3, "sent": 9}])

    assert list(frame.strangers) == ["z"]
    assert "z" not in frame
    assert len(frame) == 1


def test_a_stranger_that_is_fetched_keeps_what_a_newer_fact_said() -> None:
    frame = LiveFrame()
    frame.apply([{"id": "z", "revision": 3, "sent": 30}])

    frame.add([{"id": "z", "revision": 2, "sent": 20, "name": "Sale"}])

    assert frame.row("z") == {"id": "z", "revision": 3, "sent": 30, "name": "Sale"}


def test_a_deleted_row_goes_and_an_older_snapshot_does_not_bring_it_back() -> None:
    frame = LiveFrame()
    frame.load([version("a", 1), version("b", 1)])

    changes = frame.apply([{"id": "a", "revision": 2, "deleted": True}])
    frame.load([version("a", 1), version("b", 1)])

    assert changes.removed == ("a",)
    assert frame.keys == ("b",)


def test_the_frame_is_made_anew_only_when_something_changed() -> None:
    frame = LiveFrame()
    frame.load([version("a", 1)])
    drawn = frame.frame

    frame.apply([version("a", 1)])
    again = frame.frame
    frame.apply([version("a", 2)])

    assert again.equals(drawn)
    assert frame.frame.loc["a", "sent"] == 20


def test_a_snapshot_without_a_row_takes_it_off_the_list() -> None:
    frame = LiveFrame()
    frame.load([version("a", 1), version("b", 1)])

    changes = frame.load([version("b", 1)])

    assert changes.removed == ("a",)
    assert list(frame.frame["id"]) == ["b"]


def test_pages_seen_before_are_not_kept() -> None:
    frame = LiveFrame()

    for page in range(20):
        frame.load([version(f"{page}-{place}", 1) for place in range(3)])

    assert len(frame._rows) == 3


def test_a_row_once_listed_is_no_stranger_until_a_fact_speaks_of_it() -> None:
    frame = LiveFrame()
    frame.load([version("a", 1), version("b", 1)])
    frame.load([version("b", 1)])
    quiet = list(frame.strangers)

    frame.apply([version("a", 2)])
    told = list(frame.strangers)
    frame.load([version("b", 1)])

    assert (quiet, told, list(frame.strangers)) == ([], ["a"], [])
