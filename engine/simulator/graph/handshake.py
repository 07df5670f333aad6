"""The challenge that a new webhook address has to answer."""

import secrets

import httpx

from engine.simulator.errors import GraphError

TIMEOUT = 10.0  # seconds


async def shake_hands(url: str, verify_token: str) -> None:
    """Asks the address to echo a challenge; raises Meta's 2200 when it does not."""
    if not url.startswith(("https://", "http://")):
        raise GraphError(100, "The callback URL must be a web address.", title="Invalid parameter")
    challenge = str(secrets.randbelow(2**31))
    params = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            response = await client.get(url, params=params, headers={"user-agent": "facebookplatform/1.0"})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(f"The URL couldn't be reached: {type(error).__name__}.") from error
    if response.status_code != 200:
        raise _failed(f"HTTP Status Code = {response.status_code}; HTTP Message = {response.reason_phrase}.")
    if response.text.strip() != challenge:
        raise _failed(
            f"Response does not match challenge, expected value = '{challenge}', received='{response.text[:40]}'."
        )


def _failed(what: str) -> GraphError:
    return GraphError(2200, title=f"Callback verification failed with the following errors: {what}")
