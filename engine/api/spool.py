"""A folder that keeps webhooks while the database is away: one file per batch, whole or not at all.

A file is `{id of its first webhook}.hooks`, so that names sort by arrival. It is written under another name, flushed to
the disk, renamed, and the folder flushed too: only then is it there after a power cut. Records are length-prefixed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from uuid import UUID

import orjson

from engine.core.ids import uuid7

SUFFIX = ".hooks"
DRAFT_SUFFIX = ".draft"
UNREADABLE_SUFFIX = ".unreadable"
_LENGTHS = Struct("!II")  # of the head (JSON) and of the body


@dataclass(slots=True)
class Hook:
    """One webhook, verified and not yet understood; `id` tells copies apart and sorts by arrival."""

    id: UUID
    channel_id: UUID
    tenant_id: UUID
    received_at: datetime
    body: bytes


class SpoolDamaged(Exception):  # noqa: N818 - says what it is
    """A file of the spool is not what we wrote."""


class Spool:
    """The folder. Its methods wait for the disk: call them from a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, hooks: Sequence[Hook]) -> None:
        """Write a batch; once this returns it survives a power cut. Raises OSError when it can't be kept."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{hooks[0].id}{SUFFIX}"
        draft = path.with_name(f"{uuid7()}{DRAFT_SUFFIX}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for hook in hooks:
                    file.writelines(_pack(hook))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        _flush_folder(self.folder)

    def files(self) -> list[Path]:
        """What is kept, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.suffix == SUFFIX)

    def read(self, path: Path) -> list[Hook]:
        """The webhooks of one file, in the order they came; empty when another process has drained it meanwhile."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return []
        hooks: list[Hook] = []
        try:
            at = 0
            while at < len(content):
                head_length, body_length = _LENGTHS.unpack_from(content, at)
                head_at = at + _LENGTHS.size
                body_at = head_at + head_length
                at = body_at + body_length
                if at > len(content):
                    raise SpoolDamaged(path.name)
                hooks.append(_unpack(content[head_at:body_at], content[body_at:at]))
        except (StructError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise SpoolDamaged(path.name) from error
        return hooks

    def drop(self, path: Path) -> None:
        """Forget a file whose webhooks are in the database."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> None:
        """Put a damaged file where it stops nobody and a person can look at it."""
        path.rename(path.with_suffix(UNREADABLE_SUFFIX))


def _pack(hook: Hook) -> tuple[bytes, bytes, bytes]:
    head = orjson.dumps(
        {
            "id": hook.id,
            "channel_id": hook.channel_id,
            "tenant_id": hook.tenant_id,
            "received_at": hook.received_at,
        }
    )
    return _LENGTHS.pack(len(head), len(hook.body)), head, hook.body


def _unpack(head: bytes, body: bytes) -> Hook:
    said = orjson.loads(head)
    return Hook(
        id=UUID(said["id"]),
        channel_id=UUID(said["channel_id"]),
        tenant_id=UUID(said["tenant_id"]),
        received_at=datetime.fromisoformat(said["received_at"]),
        body=body,
    )


def _flush_folder(folder: Path) -> None:
    """Make a rename in this folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
