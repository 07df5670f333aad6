"""Resumable uploads: the sample files of templates and the profile picture."""

import base64
import secrets
from dataclasses import replace

from engine.simulator.access import app_for
from engine.simulator.errors import GraphError, unreadable
from engine.simulator.graph.call import Answer, Call
from engine.simulator.world import Upload

TYPES = ("application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4")
LARGEST = 100 * 1024 * 1024  # bytes


async def begin(call: Call) -> Answer:
    """POST /{app}/uploads"""
    app = app_for(call.simulator, call.token, call.node, "post")
    file_type, length = call.need("file_type"), call.need("file_length")
    if file_type not in TYPES:
        raise GraphError(100, f"Param file_type must be one of {{{', '.join(TYPES)}}}.")
    if not length.isdigit() or not 1 <= int(length) <= LARGEST:
        raise GraphError(100, f"Param file_length is 1 to {LARGEST}.")
    upload = Upload(
        id="upload:" + secrets.token_urlsafe(24),
        app_id=app.id,
        file_name=call.text("file_name"),
        file_length=int(length),
        file_type=file_type,
    )
    await call.simulator.world.put(upload)
    return {"id": upload.id}


def _own(call: Call, method: str) -> Upload:
    upload = call.simulator.world.uploads[call.node]
    if upload.app_id != call.token.app_id:
        raise unreadable(call.node, method)
    return upload


async def append(call: Call) -> Answer:
    """POST /{upload}: raw bytes from `file_offset` on; the handle once all are here."""
    upload = _own(call, "post")
    offset = call.request.headers.get("file_offset", "0")
    if not offset.isdigit() or int(offset) != upload.offset:
        raise GraphError(100, f"Header file_offset must be {upload.offset}.")
    end = upload.offset + len(await call.request.body())
    if end > upload.file_length:
        raise GraphError(100, "More bytes than file_length said.")
    if end < upload.file_length:
        await call.simulator.world.put(replace(upload, offset=end))
        return {"id": upload.id, "file_offset": end}
    handle = "4:" + base64.b64encode(secrets.token_bytes(60)).decode()
    await call.simulator.world.put(replace(upload, offset=end, handle=handle))
    return {"h": handle}


async def show(call: Call) -> Answer:
    """GET /{upload}: how far it got."""
    upload = _own(call, "get")
    return {"id": upload.id, "file_offset": upload.offset}
