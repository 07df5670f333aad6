"""An example of every body in the OpenAPI that its model does not bring along: what a company would really see.

Only what can't be composed is written here: a list's or a page's example is made from that of its items.
tests/api/test_openapi.py holds each against its schema.
"""

from collections.abc import Mapping
from typing import Any

CAMPAIGN = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d8f"
CHANNEL = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90"
TEMPLATE = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d91"
PERSON = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d92"
MESSAGE = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d93"
USER = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d94"

EXAMPLES: Mapping[str, Any] = {
    "Body_sign_in": {"username": "ana@loja.example", "password": "ponte-azul-19-janelas", "company": "loja"},
    "Body_create_import": {
        "file": "clientes.csv",
        "mapping": '{"Nome": "name", "Celular": "phone", "Cidade": "field.cidade"}',
        "tags": '["clientes"]',
        "consent": '{"purpose": "marketing", "source": "form on our site"}',
    },
    "Body_preview_import": {"file": "clientes.csv"},
    "ChannelAnswer": {
        "id": CHANNEL,
        "kind": "whatsapp_cloud",
        "name": "Loja Centro",
        "environment": "live",
        "status": "connected",
        "status_reason": None,
        "phone_number": "+551140028922",
        "display_name": "Loja Centro",
        "quality": "GREEN",
        "messaging_limit": "TIER_10K",
        "phone_number_id": "106540352242922",
        "waba_id": "102290129340398",
        "rate_per_second": 80,
        "webhook_url": f"https://api.example.com/hooks/whatsapp_cloud/{CHANNEL}",
        "verify_token": "dN2x4Zk8mQ",
        "last_webhook_at": "2026-11-24T14:03:21Z",
        "last_sent_at": "2026-11-24T14:03:20Z",
        "checked_at": "2026-11-24T09:00:00Z",
        "created_at": "2026-10-01T12:00:00Z",
        "revision": 7,
    },
    "TemplateAnswer": {
        "id": TEMPLATE,
        "channel_id": CHANNEL,
        "name": "black_friday",
        "language": "pt_BR",
        "category": "MARKETING",
        "status": "approved",
        "status_reason": None,
        "quality": "GREEN",
        "parameter_format": "POSITIONAL",
        "components": [
            {
                "type": "BODY",
                "text": "Oi {{1}}, hoje tudo com {{2}} de desconto.",
                "example": {"body_text": [["Ana", "20%"]]},
            }
        ],
        "variables": [{"key": "body.1", "example": "Ana"}, {"key": "body.2", "example": "20%"}],
        "created_at": "2026-11-20T12:00:00Z",
        "updated_at": "2026-11-20T12:04:10Z",
        "revision": 2,
    },
    "SyncAnswer": {"total": 12, "created": 1, "updated": 2, "gone": 0},
    "engine__api__schemas__templates__PreviewAnswer": {
        "header": None,
        "body": "Oi Ana, hoje tudo com 20% de desconto.",
        "footer": "Responda SAIR para não receber mais",
        "buttons": [{"type": "URL", "text": "Ver ofertas", "url": "https://loja.example/ofertas"}],
        "missing": [],
    },
    "CampaignAnswer": {
        "id": CAMPAIGN,
        "name": "Black Friday",
        "channel_id": CHANNEL,
        "channel_name": "Loja Centro",
        "template_id": TEMPLATE,
        "template_name": "black_friday",
        "audience": {"tags": ["clientes"]},
        "variables": {"body.1": "contact.first_name", "body.2": {"text": "20%"}},
        "status": "running",
        "pause_reason": None,
        "version": 1,
        "scheduled_at": None,
        "started_at": "2026-11-27T12:00:00Z",
        "paused_at": None,
        "completed_at": None,
        "created_at": "2026-11-26T18:30:00Z",
        "created_by": USER,
        "counts": {
            "total": 5000, "queued": 3100, "dispatching": 64, "accepted": 210, "sent": 160, "delivered": 900,
            "read": 420, "failed": 38, "unknown": 1, "skipped": 107, "cancelled": 0, "replied": 26,
        },
        "rate_per_second": 78.4,
        "seconds_left": 40,
        "revision": 131,
    },
    "ReasonCount": {"reason": "opted_out", "text": "This person asked not to get marketing messages.", "n": 3},
    "FailureCount": {
        "code": "undeliverable",
        "text": "WhatsApp could not deliver: no WhatsApp on this number, an old app, or terms not accepted.",
        "action": "Check the number with the person, or reach them another way.",
        "n": 38,
    },
    "SampleAnswer": {
        "contact_id": PERSON,
        "name": "Ana Souza",
        "phone": "+5511987654321",
        "preview": "Oi Ana, hoje tudo com 20% de desconto.",
    },
    "DailyLimit": {"limit": 10000, "left": 8200},
    "TestSendAnswer": {"message_id": MESSAGE},
    "RecipientAnswer": {
        "contact_id": PERSON,
        "name": "Ana Souza",
        "phone": "+5511987654321",
        "state": "read",
        "reason": None,
        "message_id": MESSAGE,
        "accepted_at": "2026-11-27T12:00:03Z",
        "sent_at": "2026-11-27T12:00:04Z",
        "delivered_at": "2026-11-27T12:00:06Z",
        "read_at": "2026-11-27T12:02:41Z",
        "failed_at": None,
        "replied_at": None,
    },
    "Point": {
        "at": "2026-11-27T12:00:00Z", "accepted": 780, "delivered": 702, "read": 311, "failed": 9, "replied": 4,
    },
    "TagCount": {"tag": "clientes", "contacts": 4210, "is_capped": False},
    "FieldCount": {"field": "cidade", "contacts": 3987, "is_capped": False},
    "KpiAnswer": {"key": "delivered", "unit": "count", "value": 4702, "previous": 4380, "spark": [610, 702, 688]},
    "TimePoint": {
        "at": "2026-11-27T00:00:00Z", "sent": 5012, "delivered": 4702, "read": 3120, "failed": 61, "received": 214,
    },
    "FunnelStep": {"key": "delivered", "value": 4702},
    "BucketAnswer": {
        "at": "2026-11-27T12:00:00Z",
        "channel_id": CHANNEL,
        "measures": {"accepted": 312, "delivered": 298, "read": 120, "received": 9},
        "revision": 41,
    },
}  # fmt: skip

# What one property of a composed example is, where its type does not tell.
PROPERTIES: Mapping[str, Any] = {
    "next": None,
    "total": 4210,
    "total_is_capped": False,
    "matched": 5000,
    "will_send": 4893,
    "step_seconds": 60,
    "step": "day",
    "period": {"from": "2026-10-28", "to": "2026-11-27"},
    "measure": "received",
    "cells": [[0] * 24 for _ in range(7)],
    "revision": 9182,
}


def give_examples(schemas: dict[str, Any]) -> None:
    """Every schema that an operation can name gets an example: its own, one from here, or one composed of both."""
    for name, schema in schemas.items():
        example = example_of(name, schemas)
        if example is not None:
            schema["example"] = _completed(example, schema, schemas)


def example_of(name: str, schemas: Mapping[str, Any]) -> Any:
    """The example of a schema, or None where one of its properties has none."""
    schema = schemas[name]
    if "example" in schema:
        return schema["example"]
    if name in EXAMPLES:
        return EXAMPLES[name]
    composed = {}
    for key, part in schema.get("properties", {}).items():
        value = _composed(key, part, schemas)
        if value is None and key != "next":
            return None
        composed[key] = value
    return composed or None


def _completed(example: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example with its nulls: FastAPI leaves them out of the document."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    if isinstance(example, list):
        return [_completed(one, schema.get("items", {}), schemas) for one in example]
    if not isinstance(example, dict):
        return example
    parts = schema.get("properties", {})
    bare = {key: None for key in schema.get("required", ()) if key not in example}
    return bare | {key: _completed(value, parts.get(key, {}), schemas) for key, value in example.items()}


def _composed(key: str, part: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """The example of a property: that of its schema, a list of one, or what is written for its name."""
    part = next(
        (one for one in part.get("anyOf", ()) if "$ref" in one), part
    )  # what may be null is shown as it is else
    if "$ref" in part:
        return example_of(part["$ref"].rsplit("/", 1)[-1], schemas)
    items = part.get("items", {})
    if "$ref" in items:
        one = example_of(items["$ref"].rsplit("/", 1)[-1], schemas)
        return None if one is None else [one]
    return PROPERTIES.get(key)
