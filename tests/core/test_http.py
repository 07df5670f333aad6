"""One call apart: what it says of what went wrong."""

import pytest

from engine.core.http import Failure, HttpRequest, call, download
from tests.provider import running_provider

HEADERS = {"Content-Type": "application/json"}


@pytest.mark.parametrize("token", ["EAAsecret part\n two", "EAAs\u00e9cret", "EAAsecret\x00"])
@pytest.mark.parametrize("way", ["call", "download"])
def test_a_token_that_can_not_be_sent_is_not_repeated_in_what_went_wrong(token: str, way: str) -> None:
    with running_provider() as provider:
        request = HttpRequest("GET", provider.url, {"Authorization": f"Bearer {token}"})

        outcome = (
            call(request) if way == "call" else download(request, lambda _piece: None, most=1, seconds=1.0)
        )

    assert isinstance(outcome, Failure)
    assert outcome.detail in {"LocalProtocolError", "UnicodeEncodeError"}
