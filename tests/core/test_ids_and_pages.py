"""Ids that sort by time, and the page markers made of them."""

import base64
import threading
import time
from datetime import UTC, datetime
from uuid import RFC_4122, UUID

import orjson
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import Invalid
from engine.core.ids import uuid7, uuid7_at, uuid7_floor
from engine.core.pages import clamp, decode_cursor, decode_id, decode_key, encode_cursor, page_of


def milliseconds_of(id_: UUID) -> int:
    return id_.int >> 80


def test_ids_grow_strictly_on_every_thread() -> None:
    made: list[list[UUID]] = [[] for _ in range(8)]

    def make(mine: list[UUID]) -> None:
        mine.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(mine == sorted(mine) for mine in made)
    assert len({id_ for mine in made for id_ in mine}) == 16_000


def test_an_id_is_a_uuid_of_version_seven_and_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, RFC_4122)
    # Ids made faster than the clock ticks run ahead of it by fractions of a millisecond.
    assert before <= milliseconds_of(made) <= after + 5


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_of_another_instant_lies_between_the_floors_around_it(instant: datetime) -> None:
    made, unix = uuid7_at(instant), int(instant.timestamp() * 1000)

    assert (made.version, made.variant) == (7, RFC_4122)
    assert uuid7_floor(unix) <= made < uuid7_floor(unix + 1)


def test_the_bound_of_an_instant_is_the_same_in_python_and_in_sql(
    migrated: tuple[str, ...], superuser_url: str
) -> None:
    instants = [
        datetime(year, month, 1, tzinfo=UTC) for year in (1970, 2026, 2027, 2099) for month in range(1, 13)
    ]

    with psycopg.connect(superuser_url) as connection:
        in_sql = [
            row[0]
            for row in connection.execute(
                "select message_id_floor(at) from unnest(%s::timestamptz[]) with ordinality as t(at, n) order by n",
                (instants,),
            )
        ]

    assert in_sql == [uuid7_floor(int(instant.timestamp() * 1000)) for instant in instants]


JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"))
)


@given(st.lists(JSON_VALUES, min_size=1, max_size=4))
def test_a_marker_gives_back_what_it_was_made_of(values: list[object]) -> None:
    assert decode_cursor(encode_cursor(values), len(values)) == values


def test_a_marker_of_an_id_and_an_instant_gives_back_their_texts() -> None:
    at, id_ = datetime(2026, 11, 20, 12, 30, 0, 123456, tzinfo=UTC), uuid7()

    assert decode_cursor(encode_cursor([at, id_]), 2) == [at.isoformat(), str(id_)]


@given(st.text(max_size=60))
def test_a_marker_that_is_not_ours_is_named_as_such(junk: str) -> None:
    with pytest.raises(Invalid) as refusal:
        decode_cursor(junk, 9)

    assert [(field.field, field.code) for field in refusal.value.fields] == [("after", "unknown_cursor")]


@pytest.mark.parametrize("content", [{"a": 1}, [], ["one"], ["one", "two", "three"], 7, None])
def test_a_marker_of_another_shape_is_not_ours(content: object) -> None:
    forged = base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")

    with pytest.raises(Invalid):
        decode_cursor(forged, 2)


@pytest.mark.parametrize("value", ["", "x", "0" * 31, 7, None, True, {"a": 1}, ["x"], "no\0name"])
def test_a_marker_that_holds_no_id_is_not_ours(value: object) -> None:
    forged = encode_cursor([value])

    with pytest.raises(Invalid):
        decode_id(forged)


def test_a_marker_of_an_id_gives_it_back() -> None:
    id_ = uuid7()

    assert decode_id(encode_cursor([id_])) == id_
    assert decode_id(None) is None


def test_a_marker_of_several_values_gives_each_back_as_its_kind() -> None:
    at, id_ = datetime(2026, 11, 20, 12, 30, 0, 123456, tzinfo=UTC), uuid7()

    assert decode_key(encode_cursor(["a", at.isoformat(), id_]), (str, datetime, UUID)) == ["a", at, id_]
    assert decode_key(None, (str,)) is None


@pytest.mark.parametrize("value", [7, "noon", "2026-11-20T12:30:00", ["2026-11-20T12:30:00+00:00"]])
def test_a_marker_that_holds_no_instant_is_not_ours(value: object) -> None:
    with pytest.raises(Invalid):
        decode_key(encode_cursor([value]), (datetime,))


def test_pages_follow_each_other_without_gap_or_double() -> None:
    rows, seen, after = list(range(1, 11)), [], None
    while True:
        [past] = decode_cursor(after, 1) or [0]
        page = page_of([row for row in rows if row > past][: 3 + 1], 3, lambda row: [row])
        seen.append(list(page.items))
        after = page.next
        if after is None:
            break

    assert seen == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10]]


@pytest.mark.parametrize(("asked", "given_"), [(None, 50), (-3, 1), (0, 1), (1, 1), (200, 200), (10**9, 200)])
def test_a_page_has_between_one_and_two_hundred_rows(asked: int | None, given_: int) -> None:
    assert clamp(asked) == given_
