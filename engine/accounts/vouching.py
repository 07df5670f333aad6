"""Believes the console about the address of the person signing in, and nobody else.

The console signs many people in from its own address. It names theirs in a header only who holds the key can write,
bound to the e-mail address typed and good for a minute. What does not fit is passed over: the try is then counted
under the address at the other end of the wire, so that a wrong or missing key costs comfort and never safety.
"""

import hashlib
import hmac
from functools import cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.core.clock import now
from engine.core.settings import KEY_BYTES, settings

CLIENT_HEADER = "X-Masteria-Client"
GOOD_SECONDS = 60


def vouched_address(header: str, username: str) -> str | None:
    """The address that a header of the console names for this person's try; None where it does not count."""
    root = settings().console_key_bytes
    said, _, signature = header.rpartition(";")
    address, _, moment = said.partition(";")
    if root is None or not (address and moment.isascii() and moment.isdigit()):
        return None
    person = hashlib.sha256(username.encode()).hexdigest()
    expected = hmac.digest(_key(root), f"{said};{person}".encode(), "sha256").hex()
    is_ours = hmac.compare_digest(expected.encode(), signature.encode())
    is_fresh = abs(now().timestamp() - int(moment)) <= GOOD_SECONDS
    return address if is_ours and is_fresh else None


@cache
def _key(root: bytes) -> bytes:
    """As `console/settings.py` derives it."""
    return HKDF(SHA256(), KEY_BYTES, salt=b"masteria", info=b"console:client-address").derive(root)
