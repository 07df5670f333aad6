"""Names, on behalf of the person signing in, the network address they come from, so that the API may believe it.

A server that signs many people in (the console) looks like one address to the API, which counts wrong passwords by
address. Whoever holds the key it shares with the API may say whose try this is; the word is bound to the e-mail
address typed and soon stale, so that it serves for nothing else.
"""

import hashlib
import hmac

CLIENT_HEADER = "X-Masteria-Client"


def vouch(key: bytes, address: str, *, username: str, at: float) -> str:
    """The header's value: `address;unix time;HMAC-SHA256`."""
    said = f"{address};{int(at)}"
    person = hashlib.sha256(username.encode()).hexdigest()
    return f"{said};{hmac.digest(key, f'{said};{person}'.encode(), 'sha256').hex()}"
