"""Signing in and out, choosing a company and a language: plain pages and form posts."""

import time
from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.auth import GivenToken, SignIn, TabCredentials, owner_of
from console.gate import (
    CHOOSE_COMPANY,
    HOME,
    LOCALE_COOKIE,
    SIGN_IN,
    THEME_COOKIE,
    cookie_name,
    safe_next,
)
from console.i18n import LANGUAGES, N_, Words, choose_locale
from console.live import SignInMoved
from console.rendering import render
from console.routes.parts import Known, TheConsole, TheWords, is_secure, words_for
from console.wiring import Console
from engine.client import (
    CLIENT_HEADER,
    Api,
    ApiError,
    RefusedError,
    UnreachableError,
    Wire,
    companies_to_choose,
    sign_in,
    vouch,
)
from engine.client.answers import Me, Tokens

YEAR = 365 * 24 * 3600
ENDED = N_("Your session has ended. Please sign in again.")
SIGNED_OUT = N_("You are signed out.")
ROLES = {
    "owner": N_("Owner"),
    "manager": N_("Manager"),
    "agent": N_("Agent"),
    "analyst": N_("Analyst"),
}

type Text = Annotated[str, Form()]
type NextField = Annotated[str, Form(alias="next")]
type NextParameter = Annotated[str, Query(alias="next")]

router = APIRouter(include_in_schema=False)


@router.get(SIGN_IN)
async def show_sign_in(
    *,
    request: Request,
    console: TheConsole,
    words: TheWords,
    known: Known,
    target: NextParameter = HOME,
    ended: str = "",
    out: str = "",
) -> Response:
    """The form; whoever is signed in already goes on."""
    if known is not None and not known.choosing and (not ended or await _is_good(console, known)):
        return _go(safe_next(target))
    notice = ENDED if ended else SIGNED_OUT if out else ""
    return _page(request, words, target=safe_next(target), notice=words(notice))


@router.post(SIGN_IN)
async def enter(
    *,
    request: Request,
    console: TheConsole,
    words: TheWords,
    known: Known,
    email: Text = "",
    password: Text = "",
    target: NextField = HOME,
) -> Response:
    """Signs in, or shows the form again with a sentence."""
    try:
        tokens, choosing = await _tokens_for(console, request, email.strip(), password)
        me = await owner_of(console.http, tokens.access_token, words.locale)
    except ApiError as error:
        status, sentence = _trouble(words, error)
        return _page(request, words, status=status, email=email, target=safe_next(target), error=sentence)
    await _forget(console, known)
    cookie = await console.sign_ins.open(tokens, me, choosing=choosing)
    response = _go(f"{CHOOSE_COMPANY}?next={safe_next(target)}" if choosing else safe_next(target))
    _remember(response, request, cookie, console, me)
    return response


@router.get(CHOOSE_COMPANY)
async def show_companies(
    *, request: Request, words: TheWords, known: Known, target: NextParameter = HOME
) -> Response:
    """The companies to choose from."""
    if known is None:
        return _go(SIGN_IN)
    return _page(
        request, words, step="company", companies=companies_of(known.me, words),
        target=safe_next(target), email=known.me.user.email,
    )  # fmt: skip


@router.post(CHOOSE_COMPANY)
async def choose(
    *,
    request: Request,
    console: TheConsole,
    words: TheWords,
    known: Known,
    company: Text = "",
    target: NextField = HOME,
) -> Response:
    """Goes on with the company chosen."""
    if known is None:
        return _go(SIGN_IN)
    try:
        await switch_company(console, known, company, words.locale)
    except ApiError as error:
        return _page(
            request, words, status=_trouble(words, error)[0], step="company", email=known.me.user.email,
            companies=companies_of(known.me, words), target=safe_next(target),
            error=words(N_("This company could not be opened. Please choose again.")),
        )  # fmt: skip
    return _go(safe_next(target))


@router.post("/sign-out")
async def leave(request: Request, console: TheConsole, known: Known) -> Response:
    """Signs out here, at the API, and in every open tab."""
    await _forget(console, known)
    response = _go(f"{SIGN_IN}?out=1")
    secure = is_secure(request)
    response.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
    return response


@router.get("/language/{locale}")
async def speak(request: Request, locale: str, target: NextParameter = SIGN_IN) -> Response:
    """Remembers a language for this browser."""
    response = _go(SIGN_IN if target == SIGN_IN else safe_next(target))
    _speak(response, request, locale)
    return response


def companies_of(me: Me, words: Words) -> list[dict[str, object]]:
    """The companies somebody belongs to, with their role in words."""
    return [
        {"id": one.id, "name": one.name, "role": words(ROLES.get(one.role, one.role))} for one in me.companies
    ]


async def switch_company(console: Console, known: SignIn, company: str, locale: str) -> None:
    """Makes a sign-in one for another company; tabs of the old one are told to load anew."""

    async def ask(access_token: str) -> tuple[Tokens, Me]:
        api = Api(Wire(console.http, GivenToken(access_token), language=locale))
        tokens = await api.accounts.choose_company(company)
        return tokens, await owner_of(console.http, tokens.access_token, locale)

    await TabCredentials(console.sign_ins, known).access_token()  # renewed before, if it is about to end
    moved = await console.sign_ins.move(known.id, ask)
    await console.live.announce(SignInMoved(known.id, moved.tenant_id))


def _page(
    request: Request,
    words: Words,
    *,
    target: str,
    status: int = 200,
    step: str = "password",
    **values: object,
) -> HTMLResponse:
    shown = {"email": "", "error": "", "notice": "", "companies": []} | values
    languages = [
        {"locale": locale, "label": label, "current": locale == words.locale}
        for locale, label in LANGUAGES.items()
    ]
    dark = request.cookies.get(THEME_COOKIE) == "dark"
    html = render("sign_in.html", words, dark=dark, step=step, next=target, languages=languages, **shown)
    return HTMLResponse(html, status_code=status, headers={"cache-control": "no-store"})


def _go(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303)


def _trouble(words: Words, error: ApiError) -> tuple[int, str]:
    """The status of the page and the sentence that says what to do."""
    if isinstance(error, UnreachableError):
        return 503, words(N_("The server does not answer right now. Please try again in a moment."))
    if not isinstance(error, RefusedError) or error.status >= 500:
        return 503, words(N_("Something went wrong on our side. Please try again in a moment."))
    if error.status == 429:
        return 429, words(N_("Too many attempts. Please wait a few minutes and try again."))
    if error.status == 403:
        # The password was right. Who is barred or has no company yet learns so, in the API's words.
        return 403, error.detail
    return 401, words(N_("The e-mail or the password is not right."))


async def _tokens_for(console: Console, request: Request, email: str, password: str) -> tuple[Tokens, bool]:
    """A token pair; the flag says that the person has several companies and shall choose."""
    ask = partial(
        sign_in, console.http, email, password, language=words_for(request).locale,
        headers=_whose_try(console, request, email),
    )  # fmt: skip
    try:
        return await ask(), False
    except RefusedError as refused:
        companies = companies_to_choose(refused.problem) if refused.code == "company_required" else ()
        if not companies:
            raise
        return await ask(company=companies[0].id), True


def _whose_try(console: Console, request: Request, email: str) -> dict[str, str]:
    """Tells the API whose try this is: to it everyone comes from the console's address."""
    if request.client is None:
        return {}
    key = console.settings.key_for("client-address")
    return {CLIENT_HEADER: vouch(key, request.client.host, username=email, at=time.time())}


def _remember(response: Response, request: Request, cookie: str, console: Console, me: Me) -> None:
    secure = is_secure(request)
    lifetime = console.settings.console_session_days * 24 * 3600
    name = cookie_name(secure=secure)
    response.set_cookie(
        name, cookie, max_age=lifetime, httponly=True, samesite="lax", path="/", secure=secure
    )
    if me.user.locale:
        _speak(response, request, me.user.locale)


def _speak(response: Response, request: Request, locale: str) -> None:
    chosen = choose_locale(locale)
    response.set_cookie(
        LOCALE_COOKIE, chosen, max_age=YEAR, samesite="lax", path="/", secure=is_secure(request)
    )


async def _forget(console: Console, known: SignIn | None) -> None:
    if known is None:
        return
    # First here, so that the browser's session is gone even while the API is away.
    await console.sign_ins.end(known.id)
    await console.live.announce(SignInMoved(known.id))
    # Without credentials: there is nothing left to renew a token from, and this needs none.
    with suppress(ApiError):  # the refresh token ends by itself
        await Api(Wire(console.http)).accounts.sign_out(known.refresh_token)


async def _is_good(console: Console, known: SignIn) -> bool:
    """Whether the API still takes a sign-in: a tab may say that one ended when it only changed company."""
    try:
        await console.api_for(known, "en").accounts.me()
    except ApiError:
        return False
    return True
