"""Who calls: the bearer token, what it may see, and whether the API is up at all."""

import secrets
import time
from collections.abc import Iterable

from engine.simulator.errors import GraphError, unreadable
from engine.simulator.runtime import Simulator
from engine.simulator.scenarios import Scenario
from engine.simulator.world import App, Number, Token, Waba

EXPIRED = 463  # subcode
INVALID = 467  # subcode


class CutOffError(Exception):
    """The connection is to be closed without an answer."""


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The token of an Authorization header (`Bearer`, or `OAuth` as in Meta's upload pages), or nothing."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() in ("bearer", "oauth") else ""
    return ""


def identify(simulator: Simulator, token: str) -> Token:
    """The token as a thing, or Meta's 190."""
    if not token:
        raise GraphError(190, title="An access token is required to request this resource.", status=401)
    found = simulator.world.tokens.get(token) or _app_token(simulator, token)
    if found is None:
        raise GraphError(190, subcode=INVALID, title="Invalid OAuth access token - Cannot parse access token")
    if found.expires_at and found.expires_at <= time.time():
        raise expired()
    return found


def expired() -> GraphError:
    """The refusal of a token whose time is over."""
    return GraphError(190, subcode=EXPIRED, title="Error validating access token: Session has expired.")


def _app_token(simulator: Simulator, token: str) -> Token | None:
    app_id, _, secret = token.partition("|")
    app = simulator.world.apps.get(app_id)
    if app is None or not secrets.compare_digest(app.secret, secret):
        return None
    return Token(id=token, app_id=app.id, waba_ids=[], issued_at=0, type="APP")


def weather(simulator: Simulator, scenario: Scenario) -> None:
    """Raises when the scenario has the API down or all tokens expired."""
    if scenario.token_expired:
        raise expired()
    if scenario.down_share:
        simulator.calls += 1
        # Every other of the calls that fail is cut; the rest say 500.
        if simulator.calls % 1000 < scenario.down_share * 1000:
            if simulator.calls % 2:
                raise CutOffError
            raise GraphError(2)


def number_for(simulator: Simulator, token: Token, number_id: str, method: str = "post") -> Number:
    """The number, if it is there and the token may see it."""
    number = simulator.world.numbers.get(number_id)
    if number is None or number.waba_id not in token.waba_ids:
        raise unreadable(number_id, method)
    return number


def waba_for(simulator: Simulator, token: Token, waba_id: str, method: str = "get") -> Waba:
    """The account, if it is there and the token may see it."""
    waba = simulator.world.wabas.get(waba_id)
    if waba is None or waba_id not in token.waba_ids:
        raise unreadable(waba_id, method)
    return waba


def app_for(simulator: Simulator, token: Token, app_id: str, method: str = "get") -> App:
    """The app, if the token is its own."""
    app = simulator.world.apps.get(app_id)
    if app is None or token.app_id != app_id:
        raise unreadable(app_id, method)
    return app
