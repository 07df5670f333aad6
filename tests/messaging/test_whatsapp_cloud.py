"""WhatsApp Cloud: message in, exact request out; answer in, receipt or the right error out."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from engine.core.errors import (
    Ambiguous,
    Misconfigured,
    NotTaken,
    ProviderError,
    Refused,
    Throttled,
    Unauthenticated,
)
from engine.core.http import HttpResponse
from engine.messaging.channels.base import (
    Credentials,
    OutboundMessage,
    SendReceipt,
    TemplateDraft,
    WebhookRequest,
)
from engine.messaging.channels.registry import adapter_for
from engine.messaging.channels.whatsapp_cloud import WhatsAppCloud
from engine.messaging.channels.whatsapp_cloud_errors import MEANINGS, TELLING_SUBCODES
from engine.messaging.failures import EXPLANATIONS
from engine.messaging.models import ChannelKind

KEY = UUID("01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90")
VECTORS = Path(__file__).parents[1] / "payloads" / "whatsapp_cloud" / "_signature_vectors.json"
CREDENTIALS = Credentials(
    base_url="https://graph.example/v25.0",
    account="440011220055667",
    portfolio="330011220044556",
    access_token="EAAtoken",
    app_secret="fake_app_secret_0123456789abcdef",
)
CLOUD = WhatsAppCloud()
WAMID = "wamid.HBgNNTUx"


def message(kind: str, content: dict[str, Any], **given: Any) -> OutboundMessage:
    return OutboundMessage(
        **({"send_key": KEY, "address": "+5511900000101"} | given), kind=kind, content=content
    )


def body_of(kind: str, content: dict[str, Any], **given: Any) -> Any:
    return orjson.loads(CLOUD.ask(message(kind, content, **given), CREDENTIALS).body)


def answer(status: int, body: object) -> HttpResponse:
    return HttpResponse(status, body if isinstance(body, bytes) else orjson.dumps(body), {})


def refusal(code: int | None, status: int = 400, **more: Any) -> HttpResponse:
    return answer(
        status, {"error": {"code": code, "message": f"(#{code}) words", "type": "OAuthException"} | more}
    )


def error_from(response: HttpResponse) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        CLOUD.read(response)
    return raised.value


def test_the_registry_has_it_under_its_kind() -> None:
    assert isinstance(adapter_for(ChannelKind.WHATSAPP_CLOUD), WhatsAppCloud)


def test_a_text_leaves_as_meta_asks_for_it() -> None:
    request = CLOUD.ask(message("text", {"text": "Olá"}), CREDENTIALS)

    assert (request.method, request.url) == ("POST", "https://graph.example/v25.0/440011220055667/messages")
    assert request.headers == {"Authorization": "Bearer EAAtoken", "Content-Type": "application/json"}
    assert orjson.loads(request.body) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+5511900000101",
        "type": "text",
        "text": {"body": "Olá", "preview_url": False},
        "biz_opaque_callback_data": str(KEY),
    }


def test_a_person_without_a_phone_is_written_to_by_user_id() -> None:
    body = body_of("text", {"text": "Oi"}, address="BR.10000000000000103")

    assert body["recipient"] == "BR.10000000000000103"
    assert "to" not in body


def test_a_number_never_leaves_without_its_plus() -> None:
    assert body_of("text", {"text": "Oi"}, address="5511900000101")["to"] == "+5511900000101"


def test_an_answer_quotes_the_message_it_answers() -> None:
    assert body_of("text", {"text": "Oi"}, quoted_provider_id=WAMID)["context"] == {"message_id": WAMID}


def test_a_template_with_everything_leaves_part_by_part() -> None:
    content = {
        "name": "pedido_enviado",
        "language": "pt_BR",
        "header": {"format": "IMAGE", "media": {"id": "123"}},
        "body": [("nome", "Ana"), ("pedido", "42")],
        "buttons": [(0, "url", "abc%20123"), (2, "copy_code", "NOV10")],
    }

    assert body_of("template", content)["template"] == {
        "name": "pedido_enviado",
        "language": {"code": "pt_BR"},
        "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": "123"}}]},
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "parameter_name": "nome", "text": "Ana"},
                    {"type": "text", "parameter_name": "pedido", "text": "42"},
                ],
            },
            {
                "type": "button",
                "sub_type": "url",
                "index": "0",
                "parameters": [{"type": "text", "text": "abc%20123"}],
            },
            {
                "type": "button",
                "sub_type": "copy_code",
                "index": "2",
                "parameters": [{"type": "coupon_code", "coupon_code": "NOV10"}],
            },
        ],
    }


def test_a_template_without_gaps_leaves_without_components() -> None:
    content = {"name": "ola", "language": "pt_BR"}

    assert body_of("template", content)["template"] == {"name": "ola", "language": {"code": "pt_BR"}}


@pytest.mark.parametrize(
    ("kind", "content", "part"),
    [
        ("image", {"media": {"link": "https://x.example/a.jpg"}, "caption": "Foto"},
         {"link": "https://x.example/a.jpg", "caption": "Foto"}),
        ("audio", {"media": {"id": "9"}, "voice": True, "caption": "left out"}, {"id": "9", "voice": True}),
        ("document", {"media": {"id": "9"}, "filename": "boleto.pdf"}, {"id": "9", "filename": "boleto.pdf"}),
        ("sticker", {"media": {"id": "9"}, "caption": "left out"}, {"id": "9"}),
        ("location", {"latitude": -23.5, "longitude": -46.6, "name": "Loja"},
         {"latitude": -23.5, "longitude": -46.6, "name": "Loja"}),
        ("contacts", {"contacts": [{"name": {"formatted_name": "Lia"}}]}, [{"name": {"formatted_name": "Lia"}}]),
        ("reaction", {"message_id": WAMID}, {"message_id": WAMID, "emoji": ""}),
        ("interactive", {"text": "Escolha", "footer": "Loja", "buttons": [{"id": "1", "title": "Sim"}]},
         {"type": "button", "body": {"text": "Escolha"}, "footer": {"text": "Loja"},
          "action": {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Sim"}}]}}),
        ("interactive", {"text": "Veja", "header": "Loja", "button": "Abrir", "url": "https://x.example"},
         {"type": "cta_url", "header": {"type": "text", "text": "Loja"}, "body": {"text": "Veja"},
          "action": {"name": "cta_url", "parameters": {"display_text": "Abrir", "url": "https://x.example"}}}),
        ("interactive", {"text": "Onde?", "request": "location"},
         {"type": "location_request_message", "body": {"text": "Onde?"}, "action": {"name": "send_location"}}),
        ("interactive", {"text": "Menu", "button": "Ver", "sections": [{"rows": [{"id": "1", "title": "A"}]}]},
         {"type": "list", "body": {"text": "Menu"},
          "action": {"button": "Ver", "sections": [{"rows": [{"id": "1", "title": "A"}]}]}}),
    ],
)  # fmt: skip
def test_each_kind_leaves_in_its_own_part(kind: str, content: dict[str, Any], part: object) -> None:
    body = body_of(kind, content)

    assert (body["type"], body[kind]) == (kind, part)


@pytest.mark.parametrize(("kind", "content"), [("hologram", {}), ("interactive", {"text": "?"})])
def test_a_kind_that_whatsapp_does_not_know_is_refused_before_it_leaves(
    kind: str, content: dict[str, Any]
) -> None:
    with pytest.raises(Refused):
        CLOUD.ask(message(kind, content), CREDENTIALS)


def test_the_same_credentials_share_their_headers_object() -> None:
    same = Credentials(**{name: getattr(CREDENTIALS, name) for name in Credentials.__slots__})

    first = CLOUD.ask(message("text", {"text": "a"}), CREDENTIALS)
    second = CLOUD.ask(message("text", {"text": "b"}), same)

    assert first.headers is second.headers
    assert first.url is second.url


@pytest.mark.parametrize("status", ["accepted", "held_for_quality_assessment"])
def test_an_accepted_send_is_a_receipt(status: str) -> None:
    body = {
        "contacts": [{"input": "+5511900000101", "wa_id": "5511900000101"}],
        "messages": [{"id": WAMID, "message_status": status}],
    }

    assert CLOUD.read(answer(200, body)) == SendReceipt(WAMID)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"messages":[]}', b'{"messages":[{"id":7}]}']
)
def test_a_good_answer_that_names_no_message_leaves_the_outcome_open(body: bytes) -> None:
    assert isinstance(error_from(answer(200, body)), Ambiguous)


@pytest.mark.parametrize(
    ("code", "status", "kind", "our_code", "scope"),
    [
        (190, 401, Misconfigured, "token_expired", "account"),
        (10, 403, Misconfigured, "permission_missing", "account"),
        (230, 403, Misconfigured, "permission_missing", "account"),
        (368, 403, Misconfigured, "account_restricted", "account"),
        (131042, 400, Misconfigured, "payment_issue", "account"),
        (133010, 400, Misconfigured, "number_not_registered", "channel"),
        (131048, 429, Misconfigured, "spam_limit", "channel"),
        (132001, 404, Misconfigured, "template_not_found", "template"),
        (132015, 400, Misconfigured, "template_paused", "template"),
        (132000, 400, Misconfigured, "template_mismatch", "template"),
        (130429, 429, Throttled, "throttled", "channel"),
        (80007, 429, Throttled, "call_limit", "account"),
        (131056, 429, Throttled, "pair_limit", "message"),
        (131057, 500, Throttled, "maintenance", "channel"),
        (131026, 400, Refused, "undeliverable", "message"),
        (131047, 400, Refused, "window_closed", "message"),
        (131050, 400, Refused, "opted_out", "message"),
        (132012, 400, Refused, "template_mismatch", "message"),
        (100, 400, Refused, "bad_parameter", "message"),
        (131016, 400, NotTaken, "provider_fault", "message"),
        (999999, 400, Refused, "refused", "message"),
        (999999, 429, Throttled, "throttled", "channel"),
        (None, 400, Refused, "refused", "message"),
    ],
)
def test_each_code_says_what_to_do(
    code: int | None, status: int, kind: type[ProviderError], our_code: str, scope: str
) -> None:
    error = error_from(refusal(code, status))

    assert type(error) is kind
    assert (error.code, error.scope) == (our_code, scope)
    assert error.provider_code == (None if code is None else str(code))


def test_the_pair_limit_leaves_the_wait_to_the_number_of_tries() -> None:
    assert error_from(refusal(131056, 429)).retry_after is None


@pytest.mark.parametrize(
    ("said", "wait"),
    [("7", 7), ("90000", 3600), ("0", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", 60), ("-7", 60)],
)
def test_a_brake_that_says_how_long_is_obeyed_for_an_hour_at_most(said: str, wait: float) -> None:
    response = refusal(80007, 429)

    error = error_from(HttpResponse(429, response.body, {"retry-after": said}))

    assert error.retry_after == wait


def test_a_fault_that_says_when_to_come_again_leaves_the_outcome_open_all_the_same() -> None:
    response = refusal(131016, 503)

    assert isinstance(error_from(HttpResponse(503, response.body, {"retry-after": "7"})), Ambiguous)


@pytest.mark.parametrize(
    "response", [refusal(2, 500), refusal(131000, 500), refusal(131016, 503), answer(502, b"")]
)
def test_a_fault_after_the_message_left_leaves_the_outcome_open(response: HttpResponse) -> None:
    assert isinstance(error_from(response), Ambiguous)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(429, b"slow down"), Throttled),
        (answer(401, b""), Misconfigured),
        (answer(403, b"<html>"), Refused),
        (answer(302, b""), Misconfigured),
    ],
)
def test_an_answer_without_a_body_is_judged_by_its_status(
    response: HttpResponse, kind: type[ProviderError]
) -> None:
    assert type(error_from(response)) is kind


def test_an_object_that_is_not_there_is_told_by_its_subcode() -> None:
    error = error_from(refusal(100, 400, error_subcode=33))

    assert (type(error), error.code) == (Misconfigured, "number_not_found")


@pytest.mark.parametrize(
    "more",
    [
        {"error_data": {"details": "The words that tell."}},
        {"error_data": "The words that tell."},
        {"error_user_msg": "The words that tell.", "error_data": {"details": "Others."}},
        {"details": "The words that tell."},
    ],
)
def test_metas_own_words_are_kept_whatever_shape_they_come_in(more: dict[str, Any]) -> None:
    assert error_from(refusal(131008, 400, **more)).detail == "The words that tell."


def test_every_meaning_has_words_for_people() -> None:
    codes = {meaning.code for meaning in (*MEANINGS.values(), *TELLING_SUBCODES.values())}

    assert codes - EXPLANATIONS.keys() == set()


def signed(body: bytes, secret: str, name: str = "x-hub-signature-256") -> WebhookRequest:
    value = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", {name: value}, {}, body)


def test_a_known_good_signature_is_accepted() -> None:
    vector = json.loads(VECTORS.read_bytes())["meta"]
    body = base64.b64decode(vector["raw_body_base64"])

    CLOUD.verify(WebhookRequest("POST", {"x-hub-signature-256": vector["value"]}, {}, body), CREDENTIALS)


def test_a_webhook_signed_with_the_secret_before_is_still_good() -> None:
    renewed = Credentials(
        base_url="", account="", portfolio="", access_token="", app_secret="new", older_app_secrets=("old",)
    )

    CLOUD.verify(signed(b"{}", "old"), renewed)
    CLOUD.verify(signed(b"{}", "new"), renewed)


@pytest.mark.parametrize(
    "request_",
    [
        WebhookRequest("POST", {}, {}, b"{}"),
        WebhookRequest("POST", {"x-hub-signature-256": "sha256="}, {}, b"{}"),
        WebhookRequest("POST", {"x-hub-signature-256": "sha256=é"}, {}, b"{}"),
        WebhookRequest("POST", signed(b"{}", CREDENTIALS.app_secret).headers, {}, b"{} "),
        signed(b"{}", "another secret"),
        signed(b"{}", ""),
    ],
)
def test_anything_else_is_refused(request_: WebhookRequest) -> None:
    with pytest.raises(Unauthenticated):
        CLOUD.verify(request_, CREDENTIALS)


def test_an_empty_secret_never_opens_the_door() -> None:
    with pytest.raises(Unauthenticated):
        CLOUD.verify(signed(b"{}", ""), Credentials("", "", "", access_token="", app_secret=""))


def test_the_number_is_asked_for_by_its_id_and_read_into_a_state() -> None:
    request = CLOUD.ask_account(CREDENTIALS)
    state = CLOUD.read_account(
        answer(
            200,
            {
                "display_phone_number": "+55 11 90000-0010",
                "verified_name": "Loja",
                "quality_rating": "GREEN",
                "status": "CONNECTED",
                "health_status": {"can_send_message": "AVAILABLE"},
            },
        )
    )

    assert request.method == "GET"
    assert request.url.startswith("https://graph.example/v25.0/440011220055667?fields=")
    assert (state.phone_number, state.display_name, state.quality) == ("+55 11 90000-0010", "Loja", "GREEN")
    assert (state.status, state.can_send) == ("CONNECTED", "AVAILABLE")


def test_the_account_is_asked_whose_it_is() -> None:
    request = CLOUD.ask_owner(CREDENTIALS)
    told = answer(200, {"owner_business_info": {"name": "Loja", "id": "220"}, "id": "330011220044556"})
    untold = answer(200, {"id": "330011220044556"})

    assert request.url == "https://graph.example/v25.0/330011220044556?fields=owner_business_info"
    assert (CLOUD.read_owner(told), CLOUD.read_owner(untold)) == ("220", None)
    with pytest.raises(ProviderError):
        CLOUD.read_owner(answer(403, {"error": {"code": 10, "message": "no"}}))


def test_webhooks_are_asked_for_at_the_account() -> None:
    request = CLOUD.ask_subscription(CREDENTIALS, "https://us.example/hooks/x", "a word")

    assert request.url == "https://graph.example/v25.0/330011220044556/subscribed_apps"
    assert orjson.loads(request.body) == {
        "override_callback_uri": "https://us.example/hooks/x",
        "verify_token": "a word",
    }


def test_templates_are_read_page_by_page_until_there_is_no_next() -> None:
    item = {"id": "77", "name": "a", "language": "pt_BR", "category": "UTILITY", "status": "APPROVED"}
    first = {"data": [item, {"id": "78"}], "paging": {"cursors": {"after": "c1"}, "next": "https://…"}}
    last = {
        "data": [item | {"status": "REJECTED", "rejected_reason": "SCAM"}],
        "paging": {"cursors": {"after": "c2"}},
    }

    page, end = CLOUD.read_templates(answer(200, first)), CLOUD.read_templates(answer(200, last))

    assert (len(page.items), page.after) == (1, "c1")
    assert (end.items[0].status, end.items[0].reason, end.after) == ("rejected", "SCAM", None)
    assert "after=c1" in CLOUD.ask_templates(CREDENTIALS, "c1").url


def test_a_template_is_submitted_and_deleted_in_its_own_language_only() -> None:
    draft = TemplateDraft("ola", "pt_BR", "UTILITY", "NAMED", [{"type": "BODY", "text": "Oi"}])

    created = CLOUD.ask_template_creation(CREDENTIALS, draft)
    taken = CLOUD.read_template_creation(
        answer(200, {"id": "77", "status": "PENDING", "category": "MARKETING"}), draft
    )

    assert orjson.loads(created.body)["parameter_format"] == "NAMED"
    assert (taken.provider_id, taken.status, taken.category) == ("77", "pending", "MARKETING")
    assert CLOUD.ask_template_deletion(CREDENTIALS, "77", "ola").url.endswith("?name=ola&hsm_id=77")


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
        ("https://media.fgru1-1.fna.whatsapp.net/v/t1", True),
        ("https://graph.example/_media/7", True),
        ("http://lookaside.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com.evil.example/x", False),
        ("https://evil.example/?lookaside.fbsbx.com", False),
        ("https://user@evil.example/x", False),
        ("https://graph.example:444/x", False),
        ("file:///etc/passwd", False),
        ("http://169.254.169.254/latest", False),
        ("https://[broken", False),
    ],
)
def test_the_token_goes_only_where_meta_keeps_files(url: str, is_allowed: bool) -> None:
    if is_allowed:
        assert CLOUD.ask_file(CREDENTIALS, url).headers["Authorization"] == "Bearer EAAtoken"
    else:
        with pytest.raises(Refused):
            CLOUD.ask_file(CREDENTIALS, url)


def test_a_files_place_is_asked_for_with_the_number_so_that_no_other_tenants_file_opens() -> None:
    place = CLOUD.read_media(
        answer(200, {"url": "https://lookaside.fbsbx.com/1", "file_size": "12", "sha256": "x"})
    )

    assert CLOUD.ask_media(CREDENTIALS, "88").url.endswith("/88?phone_number_id=440011220055667")
    assert (place.url, place.size) == ("https://lookaside.fbsbx.com/1", 12)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"url": 7}', b'{"success": false}'])
def test_an_answer_that_is_not_understood_may_be_asked_for_again(body: bytes) -> None:
    for read in (CLOUD.read_media, CLOUD.read_done, CLOUD.read_templates):
        with pytest.raises(NotTaken):
            read(answer(200, body))
