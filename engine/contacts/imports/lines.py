"""Reads CSV as people save it: any line end, quotes left open, lines without end; in bounded memory.

A quote that is opened and never closed makes a plain reader swallow the rest of the file. Here a cell may have a
hundred lines; after that, or at the end of the file, the line with the open quote is read without regard to quotes and
reading goes on with the next one.
"""

import csv
import io
from collections import deque
from collections.abc import Generator, Iterator
from typing import BinaryIO

MAX_LINE = 65_536
MAX_LINES_IN_RECORD = 100


def decoded_lines(file: BinaryIO, encoding: str) -> Generator[str, None, None]:
    """The lines of a file with their ends; what a line has beyond 65,536 signs is dropped."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        while line := text.readline(MAX_LINE):
            if len(line) == MAX_LINE and line[-1] not in "\r\n":
                while (rest := text.readline(MAX_LINE)) and rest[-1] not in "\r\n":
                    pass
                line += "\n"
            yield line
    finally:
        text.detach()  # the file stays its opener's


class _QuoteLeftOpen(Exception):  # noqa: N818 - goes through csv.reader, never further
    """A record has more lines than a cell may have."""


class _Feed:
    """Gives lines to csv.reader, and takes them back when a quote was left open."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.read = 0
        self.at_end = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MAX_LINES_IN_RECORD:
            raise _QuoteLeftOpen
        if self._again:
            line = self._again.popleft()
        else:
            try:
                line = next(self._lines)
            except StopIteration:
                self.at_end = True
                raise
        self.read += 1
        self.taken.append(line)
        return line

    def left_open(self) -> bool:
        """Whether the file ended within the quotes of the record just read."""
        return self.at_end and len(self.taken) > 1 and sum(line.count('"') for line in self.taken) % 2 == 1

    def give_back(self) -> str:
        """The first line of this record; the others are given out again."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        self.read -= len(others)
        return first


class CsvRecords:
    """Iterates over (number of the first line, cells) of each record, the hint `sep=;` of Excel left out."""

    def __init__(self, lines: Iterator[str], separator: str) -> None:
        self._feed = _Feed(lines)
        self._separator = separator
        self._reader = csv.reader(self._feed, delimiter=separator)

    def __iter__(self) -> "CsvRecords":
        return self

    def __next__(self) -> tuple[int, list[str]]:
        feed = self._feed
        feed.taken.clear()
        try:
            cells = next(self._reader)
            whole = not feed.left_open()
        except (csv.Error, _QuoteLeftOpen):
            whole = False
        if not whole:
            cells = self._read_alone(feed.give_back())
            return feed.read, cells
        first_line = feed.read - len(feed.taken) + 1
        if first_line == 1 and len(feed.taken) == 1 and feed.taken[0].rstrip("\r\n").startswith("sep="):
            return next(self)
        return first_line, cells

    def _read_alone(self, line: str) -> list[str]:
        self._reader = csv.reader(self._feed, delimiter=self._separator)
        return next(csv.reader([line], delimiter=self._separator, quoting=csv.QUOTE_NONE), [])
