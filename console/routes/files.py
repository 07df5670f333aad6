"""Files between the browser and the API over plain HTTP: streamed through, never held whole."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from console.auth import SignIn
from console.gate import SIGN_IN
from console.i18n import N_, Words
from console.routes.parts import AWAY, AWAY_TEXT, Known, TheConsole, TheWords, message_page
from console.wiring import Console
from engine.client import ApiError, SignedOutError, problem_of

FILES = "/files"
# What a form says around its file: names, columns, tags.
FORM_BYTES = 64 * 1024
PASSED_ON = ("content-type", "content-disposition", "content-length")

router = APIRouter(prefix=FILES, include_in_schema=False)


class TooBigError(Exception):
    """More bytes than an upload may have."""


@router.post("/imports/preview")
async def preview_import(request: Request, console: TheConsole, words: TheWords, known: Known) -> Response:
    """What a file of contacts looks like."""
    return await _upload(request, console, words, known, "/v1/contacts/imports/preview")


@router.post("/imports")
async def start_import(request: Request, console: TheConsole, words: TheWords, known: Known) -> Response:
    """Starts the import of a file."""
    return await _upload(request, console, words, known, "/v1/contacts/imports")


@router.get("/imports/{import_id}/rejects.csv")
async def download_rejects(
    request: Request, console: TheConsole, words: TheWords, known: Known, import_id: str
) -> Response:
    """The rows an import could not take, each with its reason."""
    return await _download(
        request, console, words, known, f"/v1/contacts/imports/{_plain(import_id)}/rejects.csv"
    )


@router.get("/campaigns/{campaign_id}/recipients.csv")
async def download_recipients(
    request: Request, console: TheConsole, words: TheWords, known: Known, campaign_id: str
) -> Response:
    """The recipients of a campaign with state and reason."""
    return await _download(
        request, console, words, known, f"/v1/campaigns/{_plain(campaign_id)}/recipients.csv"
    )


async def _upload(
    request: Request, console: Console, words: Words, known: SignIn | None, path: str
) -> Response:
    if known is None or known.choosing:
        return _signed_out(words)
    limit = console.settings.upload_limit + FORM_BYTES
    length = request.headers.get("content-length")
    if int(length or 0) > limit:
        return _problem(413, "too_big", words(N_("The file is too big.")))
    headers = {"content-type": request.headers.get("content-type", "application/octet-stream")}
    if length:
        headers["content-length"] = length  # so that the API may refuse before it reads
    wire = console.api_for(known, words.locale).wire
    try:
        body = _limited(request.stream(), limit)
        async with wire.stream("POST", path, content=body, headers=headers) as answer:
            content = await answer.aread()
    except TooBigError:
        return _problem(413, "too_big", words(N_("The file is too big.")))
    except SignedOutError:
        return _signed_out(words)
    except ApiError:
        return _problem(503, "unreachable", words(N_("The server does not answer right now.")))
    return Response(content, answer.status_code, media_type=answer.headers.get("content-type"))


async def _download(
    request: Request, console: Console, words: Words, known: SignIn | None, path: str
) -> Response:
    if known is None or known.choosing:
        return RedirectResponse(SIGN_IN, status_code=303)
    query = f"?{request.url.query}" if request.url.query else ""
    wire = console.api_for(known, words.locale).wire
    try:
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(
                wire.stream("GET", path + query, headers={"accept": "text/csv"})
            )
            if answer.is_error:
                # On a page: a browser would save a problem in JSON as the file it asked for.
                await answer.aread()
                problem = problem_of(answer)
                heading = N_("This did not work")
                return message_page(
                    request, words, status=problem.status, heading=heading, text=problem.detail
                )
            held = stack.pop_all()
    except SignedOutError:
        return RedirectResponse(f"{SIGN_IN}?ended=1", status_code=303)
    except ApiError:
        return message_page(request, words, status=503, heading=AWAY, text=AWAY_TEXT)
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    if answer.headers.get("content-encoding"):
        headers.pop("content-length", None)

    async def body() -> AsyncIterator[bytes]:
        async with held:
            async for chunk in answer.aiter_bytes():
                yield chunk

    return StreamingResponse(body(), answer.status_code, headers=headers)


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    sent = 0
    async for chunk in chunks:
        sent += len(chunk)
        if sent > limit:
            raise TooBigError
        yield chunk


def _plain(identity: str) -> str:
    """An id as it may stand in a path."""
    return "".join(sign for sign in identity if sign.isalnum() or sign == "-")


def _signed_out(words: Words) -> JSONResponse:
    return _problem(401, "signed_out", words(N_("Your session has ended. Please sign in again.")))


def _problem(status: int, code: str, detail: str) -> JSONResponse:
    told = {"type": "about:blank", "title": detail, "status": status, "code": code, "detail": detail}
    return JSONResponse(told, status, media_type="application/problem+json")
