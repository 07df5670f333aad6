"""The wire book: what stands in it outlives its process, and is believed by nobody who can't be sure."""

import os
import signal
import subprocess
import sys
from uuid import UUID

import pytest

from engine.core.ids import uuid7
from engine.messaging import wirebook
from engine.messaging.wirebook import Begun, WireBook, books_of_the_dead, burn, read_book

WRITER = """
import sys, time
from uuid import UUID
from engine.messaging.wirebook import WireBook
book = WireBook()
first, second, third = (str(UUID(int=number)) for number in (1, 2, 3))
book.begin(first, 4)
book.answer(book.begin(second, 1), {"state": "accepted"})
book.forget(book.begin(third, 1))
print(book.name, flush=True)
time.sleep(60)
"""


def test_a_call_stands_in_the_book_with_its_answer_until_it_is_forgotten() -> None:
    book, message = WireBook(), str(uuid7())

    slot = book.begin(message, 3)
    begun = read_book(book.name)
    book.answer(slot, {"state": "accepted", "provider_id": "wamid.1"})
    answered = read_book(book.name)
    book.forget(slot)

    assert begun == [Begun(message, 3, None)]
    assert answered == [Begun(message, 3, {"state": "accepted", "provider_id": "wamid.1"})]
    assert read_book(book.name) == []
    book.close()


def test_a_slot_that_is_used_again_shows_no_older_answer() -> None:
    book = WireBook()
    slots = [book.begin(str(uuid7()), 1) for _ in range(book.room)]
    for slot in slots:
        book.answer(slot, {"state": "accepted"})
        book.forget(slot)

    book.begin(str(uuid7()), 1)

    assert [call.answer for call in read_book(book.name) or ()] == [None]
    assert book.room == len(slots) - 1


def test_an_answer_that_is_too_long_is_left_out() -> None:
    book = WireBook()

    book.answer(book.begin(str(uuid7()), 1), {"state": "accepted", "provider_id": "w" * 300})

    assert [call.answer for call in read_book(book.name) or ()] == [None]


def test_a_book_outlives_a_killed_process_and_is_then_nobodys() -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    assert writer.stdout is not None
    name = writer.stdout.readline().strip()
    alive = books_of_the_dead()

    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(10)

    begun = {(UUID(call.message_id).int, call.attempt, bool(call.answer)) for call in read_book(name) or ()}
    assert begun == {(1, 4, False), (2, 1, True)}
    assert name not in alive
    assert name in books_of_the_dead()
    burn(name)
    assert read_book(name) is None


def test_a_book_of_another_boot_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    book = WireBook()
    book.begin(str(uuid7()), 1)

    monkeypatch.setattr(wirebook, "_boot", lambda: "another")

    assert read_book(book.name) is None


def test_a_book_of_another_size_is_read_and_one_cut_short_is_not_believed() -> None:
    book = WireBook()
    book.begin(str(uuid7()), 3)
    pages = (wirebook._folder() / book.name).read_bytes()
    longer, shorter = (f"{book.name}.{which}" for which in ("longer", "shorter"))

    (wirebook._folder() / longer).write_bytes(bytes(2 * len(pages)) + pages)
    (wirebook._folder() / shorter).write_bytes(pages[:-1])

    assert [call.attempt for call in read_book(longer) or ()] == [3]
    assert read_book(shorter) is None


def test_an_empty_book_goes_with_its_process_and_one_in_use_stays() -> None:
    empty, used = WireBook(), WireBook()
    used.begin(str(uuid7()), 1)

    empty.close()
    used.close()

    assert read_book(empty.name) is None
    assert len(read_book(used.name) or ()) == 1
