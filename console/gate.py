"""Who may open a page of the console: the cookie, the policy Panel asks, and the claims a page carries.

A page's websocket is let in only for the very sign-in, user and company the page was made for. Isolates the two
hooks of Bokeh and Panel it takes: `AuthPolicy` and `Application.process_request_async`.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from bokeh.server.auth import AuthPolicy
from bokeh.server.request import RequestLike, ServerRequest
from bokeh.util.token import get_token_payload
from panel.io.application import Application

from console.auth import SignIn, SignIns

COOKIE = "masteria"
LOCALE_COOKIE = "lang"
THEME_COOKIE = "theme"
HOME = "/console"
SIGN_IN = "/sign-in"
CHOOSE_COMPANY = "/sign-in/company"
CLAIMS = ("sign_in", "user", "company")


def cookie_name(*, secure: bool) -> str:
    """The cookie's name; over https it is bound to this very host."""
    return f"__Host-{COOKIE}" if secure else COOKIE


def safe_next(wanted: str | None) -> str:
    """Where to go after signing in: a path of the console, or its home; never another site."""
    inside = wanted is not None and (wanted == HOME or wanted.startswith((f"{HOME}/", f"{HOME}?")))
    return wanted if inside and wanted is not None and "\\" not in wanted else HOME


def claims_of(sign_in: SignIn) -> dict[str, str]:
    """What a page's token says of whom it was made for; none of it opens anything by itself."""
    return {"sign_in": sign_in.id, "user": sign_in.me.user.id, "company": sign_in.tenant_id}


class Gate(AuthPolicy):
    """Lets in requests with the cookie of a sign-in; sends others to the sign-in page."""

    def __init__(self, sign_ins: SignIns, is_secure: Callable[[str], bool]) -> None:
        super().__init__(self._admit, login_url=_sign_in_url)
        self._sign_ins = sign_ins
        self._is_secure = is_secure

    async def authenticate(self, request: ServerRequest) -> SignIn | None:
        """The sign-in of a request, asked on the loop without a hop through a thread."""
        return await self._admit(request)

    async def _admit(self, request: ServerRequest) -> SignIn | None:
        cookie = request.cookies.get(cookie_name(secure=self._is_secure(request.protocol)))
        sign_in = await self._sign_ins.find(cookie.value if cookie else None)
        if sign_in is None or sign_in.choosing:
            return None
        protocols = request.headers.get("sec-websocket-protocol")
        if protocols and not _is_page_of(sign_in, protocols):
            return None
        return sign_in


def _is_page_of(sign_in: SignIn, protocols: str) -> bool:
    """Whether the page token a websocket brings was made for this sign-in."""
    token = protocols.rsplit(",", maxsplit=1)[-1].strip()
    try:
        payload: Mapping[str, Any] = get_token_payload(token)
    except Exception:  # noqa: BLE001 - Bokeh raises whatever decoding a forged token raises
        return False
    expected = claims_of(sign_in)
    return all(payload.get(claim) == expected[claim] for claim in CLAIMS)


def _sign_in_url(request: ServerRequest) -> str:
    query = f"?{request.query}" if request.query else ""
    return f"{SIGN_IN}?next={quote(safe_next(request.path + query), safe='/')}"


class ConsoleApplication(Application):
    """Panel's application, whose page tokens carry the claims of the sign-in."""

    async def process_request_async(self, request: RequestLike) -> dict[str, Any]:
        """What Panel puts into the token, and our claims."""
        told: dict[str, Any] = await super().process_request_async(request)
        user = getattr(request, "user", None)
        if isinstance(user, SignIn):
            told.update(claims_of(user))
        return told
