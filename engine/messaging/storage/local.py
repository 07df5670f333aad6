"""Files in a folder of this machine."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PIECE = 256 * 1024
KEY = re.compile(r"[0-9a-f-]{36}/[0-9]{6}/[0-9a-f]{32}")


class LocalStore:
    """A `MediaStore` under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, source: Path) -> None:
        """Take over a finished file of the same disk, or of another."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(".draft")
        try:
            with source.open("rb") as given, draft.open("xb") as taken:
                while piece := given.read(PIECE):
                    taken.write(piece)
                taken.flush()
                os.fsync(taken.fileno())
            draft.rename(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes, piece by piece; raises FileNotFoundError when there is no such key."""
        return _pieces(self._path(key).open("rb"))

    def delete(self, key: str) -> None:
        """Forget a file."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        """Where a key stands; only keys of our own making lead anywhere."""
        if KEY.fullmatch(key) is None:
            raise FileNotFoundError(key)
        return self.folder / key


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
