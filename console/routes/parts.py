"""What the routes share: the process's parts, the sign-in of a request, and its language."""

from typing import Annotated

from fastapi import Depends, Request

from console.auth import SignIn
from console.gate import LOCALE_COOKIE, cookie_name
from console.i18n import Words, choose_locale
from console.wiring import Console


def console_of(request: Request) -> Console:
    """The parts of this process."""
    console: Console = request.app.state.console
    return console


def is_secure(request: Request) -> bool:
    """Whether the browser came over https."""
    return console_of(request).settings.is_secure(request.url.scheme)


def words_for(request: Request) -> Words:
    """The reader's language: the cookie's (set from the user's own at sign-in), else the browser's."""
    cookie = request.cookies.get(LOCALE_COOKIE)
    return Words(choose_locale(None, cookie, request.headers.get("accept-language", "")))


async def find_sign_in(request: Request) -> SignIn | None:
    """The sign-in of a request, also one still choosing its company."""
    cookie = request.cookies.get(cookie_name(secure=is_secure(request)))
    return await console_of(request).sign_ins.find(cookie)


type TheConsole = Annotated[Console, Depends(console_of)]
type TheWords = Annotated[Words, Depends(words_for)]
type Known = Annotated[SignIn | None, Depends(find_sign_in)]
