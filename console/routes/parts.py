"""What the routes share: the process's parts, the sign-in of a request, and its language."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from console.auth import SignIn
from console.gate import HOME, LOCALE_COOKIE, THEME_COOKIE, cookie_name
from console.i18n import N_, Words, choose_locale
from console.rendering import render
from console.wiring import Console

AWAY = N_("The server does not answer right now.")
AWAY_TEXT = N_("Please try again in a moment.")


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


def message_page(request: Request, words: Words, *, status: int, heading: str, text: str) -> HTMLResponse:
    """A page that says one thing, given as messages of the catalogue or in the reader's own words already."""
    html = render(
        "message.html", words, dark=request.cookies.get(THEME_COOKIE) == "dark", heading=words(heading),
        text=words(text), action={"label": words(N_("Go to the console")), "path": HOME},
    )  # fmt: skip
    return HTMLResponse(html, status_code=status, headers={"cache-control": "no-store"})


type TheConsole = Annotated[Console, Depends(console_of)]
type TheWords = Annotated[Words, Depends(words_for)]
type Known = Annotated[SignIn | None, Depends(find_sign_in)]
