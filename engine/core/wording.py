"""What is text, for whoever takes words from others."""

import re

# PostgreSQL stores neither NUL nor half a surrogate pair (which UTF-8 can't write).
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether the database can keep a text as it is."""
    return UNSTORABLE.search(text) is None
