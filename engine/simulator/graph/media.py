"""Media: upload by a number, download by a five-minute address, delete."""

import base64
import hashlib
import hmac
import time
from pathlib import Path
from urllib.parse import urlencode

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from engine.simulator import ids
from engine.simulator.access import bearer, identify, number_for
from engine.simulator.errors import GraphError, unreadable
from engine.simulator.graph.call import SUCCESS, Answer, Call
from engine.simulator.runtime import Simulator
from engine.simulator.world import Media, Number

URL_SECONDS = 300
UPLOADED_DAYS, RECEIVED_DAYS = 30, 7
DAY = 24 * 3600
MB = 1024 * 1024
LARGEST = 100 * MB
LIMITS = {"audio": 16 * MB, "image": 5 * MB, "video": 16 * MB, "sticker": 500 * 1024, "document": LARGEST}
KINDS = {
    "audio/aac": "audio", "audio/amr": "audio", "audio/mpeg": "audio", "audio/mp4": "audio", "audio/ogg": "audio",
    "image/jpeg": "image", "image/png": "image", "video/mp4": "video", "video/3gpp": "video",
    "image/webp": "sticker", "text/plain": "document", "application/pdf": "document",
    "application/msword": "document", "application/vnd.ms-excel": "document",
    "application/vnd.ms-powerpoint": "document",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "document",
}  # fmt: skip
# Meta looks into the file: the first bytes must be those of the kind it is said to be.
BEGINNINGS = {
    "image/jpeg": (b"\xff\xd8\xff",), "image/png": (b"\x89PNG\r\n\x1a\n",), "application/pdf": (b"%PDF",),
    "audio/ogg": (b"OggS",), "image/webp": (b"RIFF",),
}  # fmt: skip


def _file_of(simulator: Simulator, media_id: str) -> Path:
    return simulator.media_dir / media_id


async def keep(
    simulator: Simulator, number: Number, content: bytes, mime_type: str, *, days: int, filename: str = ""
) -> Media:
    """Stores a file as media of a number."""
    media = Media(
        id=ids.object_id("88"),
        number_id=number.id,
        mime_type=mime_type,
        sha256=hashlib.sha256(content).hexdigest(),
        file_size=len(content),
        expires_at=time.time() + days * DAY,
        filename=filename,
    )
    simulator.media_dir.mkdir(parents=True, exist_ok=True)
    _file_of(simulator, media.id).write_bytes(content)
    await simulator.world.put(media)
    return media


def media_url(simulator: Simulator, media: Media, base: str) -> str:
    """An address for the bytes that works for five minutes."""
    until = int(time.time()) + URL_SECONDS
    return f"{base}/_media/{media.id}?{urlencode({'ext': until, 'hash': _seal(simulator, media.id, until)})}"


def _seal(simulator: Simulator, media_id: str, until: int) -> str:
    mark = hmac.new(simulator.store.salt.encode(), f"{media_id}:{until}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mark.digest()[:18]).decode()


async def upload(call: Call) -> Answer:
    """POST /{number}/media"""
    number = number_for(call.simulator, call.token, call.node)
    if call.text("messaging_product") != "whatsapp":
        raise GraphError(100, title="(#100) The parameter messaging_product is required.")
    file = call.params.get("file")
    if not isinstance(file, UploadFile):
        raise GraphError(100, title="The parameter file is required.")
    mime_type = (file.content_type or call.need("type")).split(";")[0].strip().lower()
    kind = KINDS.get(mime_type)
    if kind is None:
        raise GraphError(
            100,
            f"Param file must be a file with one of the following types: {', '.join(KINDS)}. Received file of type '{mime_type}'.",
        )
    content = await file.read()
    if not content or len(content) > LIMITS[kind]:
        raise GraphError(100, f"A file of type {mime_type} has 1 to {LIMITS[kind]} bytes.")
    if mime_type in BEGINNINGS and not content.startswith(BEGINNINGS[mime_type]):
        raise GraphError(131053, f"The file is not of type {mime_type}.")
    media = await keep(
        call.simulator, number, content, mime_type, days=UPLOADED_DAYS, filename=file.filename or ""
    )
    return {"id": media.id}


def _visible(call: Call, method: str) -> Media:
    media = call.simulator.world.media[call.node]
    number = call.simulator.world.numbers.get(media.number_id)
    asked_for = call.text("phone_number_id")
    hidden = number is None or number.waba_id not in call.token.waba_ids
    if hidden or media.expires_at < time.time() or asked_for not in ("", media.number_id):
        raise unreadable(call.node, method)
    return media


async def show(call: Call) -> Answer:
    """GET /{media}"""
    media = _visible(call, "get")
    base = str(call.request.base_url).rstrip("/")
    return {
        "url": media_url(call.simulator, media, base),
        "mime_type": media.mime_type,
        "sha256": media.sha256,
        "file_size": media.file_size,
        "id": media.id,
        "messaging_product": "whatsapp",
    }


async def remove(call: Call) -> Answer:
    """DELETE /{media}"""
    media = _visible(call, "delete")
    await call.simulator.world.drop(media)
    _file_of(call.simulator, media.id).unlink(missing_ok=True)
    return SUCCESS


async def download(request: Request) -> Response:
    """The bytes behind a media address: same bearer, 404 once the address is over."""
    simulator: Simulator = request.state.simulator
    try:
        token = identify(simulator, bearer(request.headers.raw))
    except GraphError as error:
        return Response(status_code=error.status)
    media = simulator.world.media.get(request.path_params["media_id"])
    until = request.query_params.get("ext", "")
    if media is None or not until.isdigit() or int(until) < time.time():
        return Response(status_code=404)
    number = simulator.world.numbers.get(media.number_id)
    sealed = hmac.compare_digest(_seal(simulator, media.id, int(until)), request.query_params.get("hash", ""))
    if number is None or number.waba_id not in token.waba_ids or not sealed:
        return Response(status_code=404)
    return FileResponse(_file_of(simulator, media.id), media_type=media.mime_type)
