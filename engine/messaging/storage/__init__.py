"""Where files of messages are kept: a folder on this machine; buckets speak the same port."""

from functools import cache

from engine.core.settings import settings
from engine.messaging.storage.base import MediaStore
from engine.messaging.storage.local import LocalStore

__all__ = ["MediaStore", "media_store"]


@cache
def media_store() -> MediaStore:
    """The store of this deployment."""
    return LocalStore(settings().media_dir)
