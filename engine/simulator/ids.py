"""Ids in Meta's shapes: message ids that hold phone and sequence, user ids scoped to a business, object ids."""

import base64
import secrets

_OUT = bytes((0x15, 0x02, 0x00, 0x11, 0x18, 0x12))
_IN = bytes((0x15, 0x02, 0x00, 0x12, 0x18, 0x14))


def outbound_wamid(recipient: str, salt: str, sequence: int) -> str:
    """The id of an accepted message. `salt`: eight hex digits of this state file; unique with `sequence`."""
    name = recipient.encode()[:120]
    tail = f"{salt}{sequence:010X}".encode()
    raw = b"\x1c\x18" + bytes((len(name),)) + name + _OUT + tail + b"\x00"
    return "wamid." + base64.b64encode(raw).decode()


def inbound_wamid(sender: str, mark: str) -> str:
    """The id of a message that a phone wrote. `mark`: twenty hex digits, unique per message."""
    name = sender.encode()[:120]
    raw = b"\x1c\x18" + bytes((len(name),)) + name + _IN + mark.upper().encode() + b"\x00"
    return "wamid." + base64.b64encode(raw).decode()


def sequence_of(wamid: str, salt: str) -> int | None:
    """The sequence inside an outbound id, or None when this state file did not make it."""
    try:
        raw = base64.b64decode(wamid.removeprefix("wamid."), validate=True)
        tail = raw[-19:-1].decode()
        return int(tail[8:], 16) if tail[:8] == salt else None
    except ValueError:
        return None


def is_wamid(text: str) -> bool:
    """Whether the text has the form of a message id."""
    if not text.startswith("wamid."):
        return False
    try:
        return len(base64.b64decode(text[6:], validate=True)) > 3
    except ValueError:
        return False


def object_id(prefix: str) -> str:
    """A new fifteen-digit Graph id; the prefix makes its kind plain to a reader of logs."""
    return prefix + "".join(secrets.choice("0123456789") for _ in range(15 - len(prefix)))


def access_token() -> str:
    """A token that looks like Meta's."""
    return "EAA" + secrets.token_hex(48)
