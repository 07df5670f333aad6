"""What is told to whoever calls a webhook's address and is refused: a problem, in the language asked for."""

from collections.abc import Mapping

import orjson

from engine.api.errors import PLAIN, TITLES
from engine.core.i18n import N_, choose_locale, say

NOT_ALLOWED = TITLES[403]

# status → code, title, detail
REFUSALS: Mapping[int, tuple[str, str, str]] = {
    400: ("bad_request", TITLES[400], PLAIN[400][1]),
    401: (
        "unauthenticated",
        NOT_ALLOWED,
        N_("This is not signed with the app secret of the connection at this address."),
    ),
    403: ("forbidden", NOT_ALLOWED, N_("The verify token is not that of the connection at this address.")),
    404: ("not_found", TITLES[404], PLAIN[404][1]),
    405: ("method_not_allowed", TITLES[405], PLAIN[405][1]),
    408: (PLAIN[408][0], TITLES[408], PLAIN[408][1]),
    413: ("too_large", TITLES[413], PLAIN[413][1]),
    503: (
        "unavailable",
        TITLES[503],
        N_("This can't be kept safe right now. Nothing was taken; send it again in a moment."),
    ),
}


def refusal(status: int, accept_language: str | None) -> bytes:
    """The body of a refusal."""
    code, title, detail = REFUSALS[status]
    locale = choose_locale(accept_language)
    return orjson.dumps(
        {
            "type": f"urn:masteria:problem:{code}",
            "title": say(title, locale),
            "status": status,
            "code": code,
            "detail": say(detail, locale),
        }
    )
