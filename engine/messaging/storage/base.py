"""The port of a store of files: what a folder, S3 and Google Cloud Storage have in common."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class MediaStore(Protocol):
    """Keeps files under keys of ours (`tenant/month/random`); a key is written once and never changed."""

    def put(self, key: str, source: Path) -> None:
        """Take over a finished file; once this returns it is durable, and `source` may be gone."""

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes, piece by piece; raises FileNotFoundError before the first piece when there is no such key."""

    def delete(self, key: str) -> None:
        """Forget a file; nothing happens when it is not there."""
