"""WhatsApp Cloud API (Meta), as of Graph v25.0: how to send, what an answer means, who signed a webhook.

Webhook bodies are understood in whatsapp_cloud_webhooks.py, account, templates and files asked for in
whatsapp_cloud_account.py, error codes kept in whatsapp_cloud_errors.py.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import orjson

from engine.core.errors import Ambiguous, Refused, Unauthenticated
from engine.core.http import HttpRequest, HttpResponse
from engine.core.i18n import N_
from engine.messaging.channels.base import (
    Capabilities,
    Credentials,
    InboundEvent,
    OutboundMessage,
    SendReceipt,
    WebhookRequest,
)
from engine.messaging.channels.foreign_json import load, part, word
from engine.messaging.channels.whatsapp_cloud_account import CloudAccount
from engine.messaging.channels.whatsapp_cloud_errors import send_refusal_of
from engine.messaging.channels.whatsapp_cloud_webhooks import read_events
from engine.messaging.models import ChannelKind

SIGNATURE = "x-hub-signature-256"
TEXT_LENGTH = 4096
# One message per six seconds to one person, of which 45 may be borrowed (Meta, Throughput, 2026).
PAIR_SECONDS, PAIR_BURST = 6.0, 45
MEDIA_KINDS = ("image", "video", "audio", "document", "sticker")

type Part = dict[str, Any]
type Content = Mapping[str, Any]


class WhatsAppCloud(CloudAccount):
    """Meta's WhatsApp Cloud API, translated to ours and back."""

    kind: ClassVar[ChannelKind] = ChannelKind.WHATSAPP_CLOUD
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_length=TEXT_LENGTH,
        templates=True,
        media=True,
        service_window_hours=24,
        read_receipts=True,
        pair_interval=PAIR_SECONDS,
        pair_burst=PAIR_BURST,
    )

    def verify(self, request: WebhookRequest, credentials: Credentials) -> None:
        """Raise Unauthenticated unless Meta signed these bytes with one of the app's secrets."""
        given = request.headers.get(SIGNATURE, "").removeprefix("sha256=").lower().encode()
        matches = False
        for secret in (credentials.app_secret, *credentials.older_app_secrets):
            expected = hmac.digest(secret.encode(), request.body, "sha256").hex().encode()
            matches |= bool(secret) and hmac.compare_digest(expected, given)
        if not matches:
            raise Unauthenticated(
                "bad_signature", N_("The webhook's signature is missing or does not match.")
            )

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Everything in a webhook, in order; never raises."""
        return read_events(request.body)

    def ask(self, message: OutboundMessage, credentials: Credentials) -> HttpRequest:
        """The request that sends this message; raises Refused for a kind that WhatsApp does not know."""
        write = WRITERS.get(message.kind)
        if write is None:
            raise Refused(
                "unsupported_kind", N_("WhatsApp does not take this kind of message."), detail=message.kind
            )
        url, headers = _door(credentials.base_url, credentials.account, credentials.access_token)
        address = message.address
        kind, part = write(message.content)
        body: Part = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "type": kind,
            kind: part,
            "biz_opaque_callback_data": message.send_key,
        }
        # Without its plus a number may be read as one of the business's own country: another person's.
        if address[:1] == "+":
            body["to"] = address
        else:
            body |= _recipient(address)
        if message.quoted_provider_id is not None and kind != "reaction":
            body["context"] = {"message_id": message.quoted_provider_id}
        return HttpRequest("POST", url, headers, orjson.dumps(body))

    def read(self, response: HttpResponse) -> SendReceipt:
        """The receipt in an answer, or a ProviderError that says what to do."""
        if not 200 <= response.status < 300:
            raise send_refusal_of(response)
        messages = _object_in(response.body).get("messages")
        provider_id = word(part(messages[0]).get("id")) if isinstance(messages, list) and messages else None
        if provider_id is None or not provider_id.isprintable():
            raise Ambiguous(detail=f"HTTP {response.status} without a message id")
        return SendReceipt(provider_id)


def _object_in(body: bytes) -> Content:
    try:
        return part(load(body))
    except (ValueError, RecursionError):
        return {}


@lru_cache(maxsize=4096)
def _door(base_url: str, account: str, access_token: str) -> tuple[str, Mapping[str, str]]:
    """Address and headers of a number's sends: the same objects each time, so that its head is written once."""
    return (
        f"{base_url}/{account}/messages",
        {"Authorization": f"Bearer {access_token}", "Content-Type": "application/json"},
    )


def _recipient(address: str) -> Part:
    """A bare number gets its plus; all else is a business-scoped user id."""
    return {"to": f"+{address}"} if address.isascii() and address.isdigit() else {"recipient": address}


def _text(content: Content) -> tuple[str, Part]:
    return "text", {"body": content["text"], "preview_url": bool(content.get("preview_url", False))}


def _template(content: Content) -> tuple[str, Part]:
    template: Part = {"name": content["name"], "language": {"code": content["language"]}}
    components: list[Part] = []
    header = content.get("header")
    if header is not None:
        components.append({"type": "header", "parameters": _header_parameters(header)})
    body = content.get("body")
    if body:
        components.append({"type": "body", "parameters": [_parameter(name, value) for name, value in body]})
    for index, sub_type, value in content.get("buttons", ()):
        parameter = (
            {"type": "coupon_code", "coupon_code": value}
            if sub_type == "copy_code"
            else {"type": "text", "text": value}
        )
        components.append(
            {"type": "button", "sub_type": sub_type, "index": str(index), "parameters": [parameter]}
        )
    if components:
        template["components"] = components
    return "template", template


def _header_parameters(header: Content) -> list[Part]:
    header_format = header["format"]
    if header_format == "TEXT":
        return [_parameter(name, value) for name, value in header["values"]]
    kind = header_format.lower()
    return [{"type": kind, kind: header["location" if kind == "location" else "media"]}]


def _parameter(name: str | None, value: str) -> Part:
    if name is None:
        return {"type": "text", "text": value}
    return {"type": "text", "parameter_name": name, "text": value}


def _media(kind: str) -> Callable[[Content], tuple[str, Part]]:
    extras = {"audio": ("voice",), "document": ("caption", "filename"), "sticker": ()}.get(kind, ("caption",))

    def write(content: Content) -> tuple[str, Part]:
        return kind, {**content["media"], **{extra: content[extra] for extra in extras if content.get(extra)}}

    return write


def _location(content: Content) -> tuple[str, Part]:
    return "location", {
        name: content[name] for name in ("latitude", "longitude", "name", "address") if name in content
    }


def _contacts(content: Content) -> tuple[str, Part]:
    return "contacts", content["contacts"]


def _reaction(content: Content) -> tuple[str, Part]:
    return "reaction", {"message_id": content["message_id"], "emoji": content.get("emoji", "")}


def _interactive(content: Content) -> tuple[str, Part]:
    """Reply buttons, a list, a link, or a request; header and footer where given."""
    part: Part = {"type": "", "body": {"text": content["text"]}}
    if content.get("header"):
        part["header"] = {"type": "text", "text": content["header"]}
    if content.get("footer"):
        part["footer"] = {"text": content["footer"]}
    if "buttons" in content:
        replies = [
            {"type": "reply", "reply": {"id": button["id"], "title": button["title"]}}
            for button in content["buttons"]
        ]
        part |= {"type": "button", "action": {"buttons": replies}}
    elif "sections" in content:
        part |= {"type": "list", "action": {"button": content["button"], "sections": content["sections"]}}
    elif "url" in content:
        parameters = {"display_text": content["button"], "url": content["url"]}
        part |= {"type": "cta_url", "action": {"name": "cta_url", "parameters": parameters}}
    elif content.get("request") in REQUESTS:
        kind, action = REQUESTS[content["request"]]
        part |= {"type": kind, "action": {"name": action}}
    else:
        raise Refused(
            "unsupported_kind", N_("WhatsApp does not take this kind of message."), detail="interactive"
        )
    return "interactive", part


# What a message may ask of the person: (Meta's type, Meta's action).
REQUESTS: Mapping[str, tuple[str, str]] = {
    "location": ("location_request_message", "send_location"),
    "contact": ("request_contact_info", "request_contact_info"),
    "call_permission": ("call_permission_request", "call_permission_request"),
}

WRITERS: Mapping[str, Callable[[Content], tuple[str, Any]]] = {
    "text": _text,
    "template": _template,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": _interactive,
    **{kind: _media(kind) for kind in MEDIA_KINDS},
}
