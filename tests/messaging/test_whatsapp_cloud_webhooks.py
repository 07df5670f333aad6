"""Webhooks of WhatsApp Cloud: payload in, events out."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.messaging.channels.base import (
    AccountNotice,
    ConsentNotice,
    IdentityNotice,
    InboundMedia,
    InboundMessage,
    Pricing,
    SenderIdentity,
    SetAside,
    StatusReceipt,
    TemplateNotice,
    Unreadable,
)
from engine.messaging.channels.whatsapp_cloud_webhooks import read_events
from engine.messaging.failures import EXPLANATIONS

FOLDER = Path(__file__).parents[1] / "payloads" / "whatsapp_cloud"
PAYLOADS = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.startswith("_"))
ACCOUNT, PORTFOLIO = "440011220055667", "330011220044556"
ANA = SenderIdentity(phone="+5511900000101", bsuid="BR.10000000000000101", name="Ana Exemplo")
BETO = SenderIdentity(
    phone="+5571980000102", bsuid="BR.10000000000000102", name="Beto Exemplo", alias="+557180000102"
)
# What a failed status makes useless to go on with; all else concerns its own message.
STOPPING = dict.fromkeys(
    (
        "account_restricted",
        "display_name_not_approved",
        "payment_issue",
        "spam_limit",
        "template_category_limit",
    ),
    "channel",
) | {"template_paused": "template"}
CAIO = SenderIdentity(bsuid="BR.10000000000000103", username="caio.exemplo", name="Caio Exemplo")
TEMPLATE = {
    "account": None,
    "portfolio": PORTFOLIO,
    "provider_template_id": "770000000000002",
    "name": "promo_novembro",
    "language": "pt_BR",
}


def payload_of(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def events_of(payload: object) -> list[Any]:
    return list(read_events(json.dumps(payload).encode()))


def only_event(name: str) -> Any:
    (event,) = read_events((FOLDER / f"{name}.json").read_bytes())
    return event


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def items_in(payload: Any) -> Iterator[tuple[str, list[Any]]]:
    """Each list of messages or statuses of the field `messages`."""
    for entry in payload.get("entry", ()):
        for change in entry.get("changes", ()):
            if change["field"] == "messages":
                for key in ("messages", "statuses"):
                    if key in change["value"]:
                        yield key, change["value"][key]


def test_a_text_becomes_a_message_with_its_sender_joined_from_the_people_beside_it() -> None:
    event = only_event("message_text")

    assert event == InboundMessage(
        account=ACCOUNT,
        provider_id="wamid.HBgNNTUxMTkwMDAwMDEwMRUCABIYFDNBMDAwMDAwMDAwMDBGMUMwMDAxAA==",
        sender=ANA,
        kind="text",
        occurred_at=at(1794916801),
        text="Oi, quero saber o preço",
    )


def test_a_brazilian_id_without_its_ninth_digit_names_the_number_with_it_and_keeps_the_spelling() -> None:
    assert only_event("message_text_br_12_digit").sender == BETO


def test_a_user_id_where_a_phone_belongs_is_never_read_as_a_phone() -> None:
    assert only_event("message_text_bsuid_in_from").sender == CAIO


def test_a_person_without_a_phone_is_known_by_user_id() -> None:
    event = only_event("message_contacts_requested")

    assert event.sender == CAIO
    assert event.kind == "contacts"
    assert event.payload["contacts"][0]["phones"][0]["wa_id"] == "5511900000103"


def test_a_voice_note_is_audio_with_a_file_to_fetch() -> None:
    event = only_event("message_voice")

    assert (event.kind, event.payload) == ("audio", {"voice": True})
    assert event.media == InboundMedia(
        provider_media_id="880000000000020",
        mime_type="audio/ogg; codecs=opus",
        sha256="SrKW52dOnr+7eQbfSMCjTbsUcJ3xGozRuL5g63HdQa0=",
        url="https://lookaside.fbsbx.com/whatsapp_business/attachments/"
        "?mid=880000000000020&source=webhook&ext=1794917100&hash=FAKEHASH20",
    )


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("message_button_template_quick_reply", "button", "Parar promoções"),
        ("message_interactive_list_reply", "interactive", "Segunda via"),
        ("message_interactive_button_reply", "interactive", None),
        ("message_location_place", "location", "Praça Exemplo"),
        ("message_contacts", "contacts", "Lia Souza"),
        ("message_order", "order", "Entregar à tarde"),
        ("message_edit_text", "edit", "Oi, quero saber o prazo"),
        ("message_unsupported_poll", "unsupported", None),
        ("message_media_error_131052", "unsupported", None),
        ("message_unknown_type", "unsupported", None),
        ("message_sticker_static", "sticker", None),
        ("message_document", "document", None),
    ],
)
def test_each_kind_of_message_has_its_words(name: str, kind: str, text: str | None) -> None:
    event = only_event(name)

    assert event.kind == kind
    assert text is None or event.text == text


def test_a_kind_that_does_not_exist_yet_keeps_all_it_said() -> None:
    assert only_event("message_unknown_type").payload == {"type": "hologram", "hologram": {"id": "1"}}


def test_why_meta_left_a_message_out_is_kept_with_it() -> None:
    assert only_event("message_media_error_131052").payload["errors"][0]["code"] == 131052


def test_reactions_edits_and_answers_name_the_message_they_speak_of() -> None:
    removed = only_event("message_reaction_removed")

    assert (removed.kind, removed.text, removed.payload) == ("reaction", None, {"emoji": None})
    assert removed.quoted_provider_id.startswith("wamid.")
    assert only_event("message_edit_text").quoted_provider_id.startswith("wamid.")
    assert only_event("message_text_reply_context").quoted_provider_id.startswith("wamid.")
    assert only_event("message_text_forwarded").quoted_provider_id is None
    assert only_event("message_text_forwarded").payload["forwarded"] is True


def test_the_advertisement_that_opened_a_chat_is_kept() -> None:
    assert only_event("message_text_ad_referral").payload["referral"]["source_type"] == "ad"


def test_a_status_is_a_receipt_with_price_and_person() -> None:
    event = only_event("status_delivered")

    assert event == StatusReceipt(
        account=ACCOUNT,
        provider_id="wamid.HBgNNTUxMTkwMDAwMDEwMRUCABEYEjAwMDAwMDAwMDAwMDlBM0ZGOAA=",
        status="delivered",
        occurred_at=at(1794917505),
        recipient=ANA,
        pricing=Pricing("marketing", "regular", billable=True),
    )


def test_our_send_key_comes_back_from_a_receipt() -> None:
    payload = payload_of("status_delivered")
    key = UUID("01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90")
    payload["entry"][0]["changes"][0]["value"]["statuses"][0]["biz_opaque_callback_data"] = str(key)

    (event,) = events_of(payload)

    assert event.send_key == key


@pytest.mark.parametrize(
    ("name", "pricing"),
    [
        ("status_sent_service_free", Pricing("service", "free_customer_service", billable=False)),
        (
            "status_sent_authentication_international",
            Pricing("authentication_international", "regular", True),
        ),
        ("status_failed_131026", None),
    ],
)
def test_a_status_says_what_its_message_costs(name: str, pricing: Pricing | None) -> None:
    assert only_event(name).pricing == pricing


@pytest.mark.parametrize("given", [7, {"category": 7, "type": "", "billable": "yes"}])
def test_a_price_that_is_malformed_says_nothing(given: object) -> None:
    payload = payload_of("status_sent_service_free")
    payload["entry"][0]["changes"][0]["value"]["statuses"][0]["pricing"] = given

    (event,) = events_of(payload)

    assert event.pricing in (None, Pricing())


def test_a_voice_note_that_was_played_was_read() -> None:
    assert only_event("status_played").status == "read"


@pytest.mark.parametrize(
    ("name", "code", "provider_code"),
    [
        ("status_failed_130403", "blocked_by_company", "130403"),
        ("status_failed_130429", "throttled", "130429"),
        ("status_failed_130472", "experiment", "130472"),
        ("status_failed_131000", "provider_fault", "131000"),
        ("status_failed_131026", "undeliverable", "131026"),
        ("status_failed_131031", "account_restricted", "131031"),
        ("status_failed_131037", "display_name_not_approved", "131037"),
        ("status_failed_131042", "payment_issue", "131042"),
        ("status_failed_131047", "window_closed", "131047"),
        ("status_failed_131048", "spam_limit", "131048"),
        ("status_failed_131049", "marketing_limit", "131049"),
        ("status_failed_131050", "opted_out", "131050"),
        ("status_failed_131053", "media_refused", "131053"),
        ("status_failed_131056", "pair_limit", "131056"),
        ("status_failed_131057", "maintenance", "131057"),
        ("status_failed_131062", "phone_needed", "131062"),
        ("status_failed_131064", "template_category_limit", "131064"),
        ("status_failed_132015", "template_paused", "132015"),
        ("status_failed_without_errors", "refused", None),
    ],
)
def test_a_failure_that_comes_late_has_the_same_code_as_one_at_once(
    name: str, code: str, provider_code: str | None
) -> None:
    event = only_event(name)

    assert (event.status, event.error_code) == ("failed", code)
    assert event.stops == STOPPING.get(code)
    assert event.error["provider_code"] == provider_code
    assert code in EXPLANATIONS


def test_a_status_word_that_we_do_not_know_is_kept_and_moves_nothing() -> None:
    assert isinstance(only_event("status_unknown"), Unreadable)
    assert isinstance(only_event("status_deleted_legacy"), Unreadable)


@pytest.mark.parametrize(
    ("name", "previous", "current"),
    [
        (
            "message_system_number_changed",
            SenderIdentity(phone="+5511900000101"),
            SenderIdentity(phone="+5511900000199"),
        ),
        (
            "message_system_user_id_changed",
            SenderIdentity(phone="+5511900000101"),
            SenderIdentity(phone="+5511900000101", bsuid="BR.10000000000000199"),
        ),
        (
            "user_id_update_no_phone",
            SenderIdentity(bsuid="BR.10000000000000103"),
            SenderIdentity(bsuid="BR.10000000000000399"),
        ),
    ],
)
def test_a_changed_number_or_id_is_a_notice_on_a_person_and_no_message(
    name: str, previous: SenderIdentity, current: SenderIdentity
) -> None:
    event = only_event(name)

    assert isinstance(event, IdentityNotice)
    assert (event.previous, event.current) == (previous, current)


def test_a_stop_at_whatsapp_withdraws_consent_also_of_a_person_without_a_phone() -> None:
    assert only_event("user_preferences_stop_bsuid_only") == ConsentNotice(
        ACCOUNT, CAIO, "withdrawn", at(1794916881)
    )
    assert only_event("user_preferences_signup").state == "granted"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("template_status_approved", {"status": "approved"}),
        ("template_status_unpaused", {"status": "approved"}),
        ("template_status_pending", {"status": "pending"}),
        ("template_status_paused", {"status": "paused", "reason": "FIRST_PAUSE"}),
        ("template_status_paused_rate_limiting", {"status": "paused", "reason": "RATE_LIMITING_PAUSE"}),
        ("template_status_disabled", {"status": "disabled", "reason": "DISABLED"}),
        ("template_status_deleted", {"status": "disabled", "reason": "DELETED"}),
        ("template_status_pending_deletion", {"status": "disabled", "reason": "PENDING_DELETION"}),
        ("template_status_flagged", {"reason": "FLAGGED"}),
        ("template_quality_red", {"quality": "RED"}),
        ("template_quality_yellow", {"quality": "YELLOW"}),
        ("template_category_upcoming", {"reason": "CATEGORY_WILL_BE_MARKETING"}),
        ("template_components_update", {"reason": "COMPONENTS_CHANGED"}),
    ],
)
def test_what_whatsapp_decides_on_a_template_is_a_notice(name: str, told: dict[str, str]) -> None:
    assert only_event(name) == TemplateNotice(**(TEMPLATE | told))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("account_deleted", "account_update.account_deleted"),
        ("account_partner_added", "account_update.partner_added"),
        ("account_restriction", "account_update.account_restriction"),
        ("account_review_approved", "account_review_update.approved"),
        ("account_alert_portfolio_limit", "account_alerts.increased_capabilities_eligibility_deferred"),
        ("business_capability_update", "business_capability_update"),
        ("phone_name_rejected", "phone_number_name_update.rejected"),
        ("phone_quality_flagged_legacy", "phone_number_quality_update.flagged"),
        ("security_pin_changed", "security.pin_changed"),
    ],
)
def test_what_concerns_the_account_is_a_notice_on_the_account(name: str, code: str) -> None:
    event = only_event(name)

    assert isinstance(event, AccountNotice)
    assert (event.portfolio, event.code) == (PORTFOLIO, code)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in PAYLOADS
        if name.startswith(("smb_", "standby_", "history_", "call_", "group_", "messaging_"))
    ],
)
def test_echoes_history_calls_and_other_owners_threads_are_never_new_messages(name: str) -> None:
    assert isinstance(only_event(name), SetAside)


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_message_and_status_of_a_webhook_becomes_one_event(name: str) -> None:
    payload = payload_of(name)

    events = events_of(payload)

    told = sum(len(items) for _, items in items_in(payload))
    assert sum(isinstance(event, InboundMessage | StatusReceipt) for event in events) <= told
    if told:
        assert len(events) >= told
    for event in events:
        if isinstance(event, InboundMessage | StatusReceipt | ConsentNotice | IdentityNotice):
            assert event.account
        if isinstance(event, InboundMessage):
            assert event.sender.phone or event.sender.bsuid


@pytest.mark.parametrize("name", [name for name in PAYLOADS if name.startswith("batch_")])
def test_a_broken_item_does_not_lose_its_neighbours(name: str) -> None:
    whole = payload_of(name)
    before = events_of(whole)

    for index, (key, items) in enumerate(items_in(whole)):
        for position in range(min(len(items), 5)):
            broken = copy.deepcopy(whole)
            lists = [found for _, found in items_in(broken)]
            lists[index][position] = {"id": 7, "nonsense": key}

            after = events_of(broken)

            assert len(after) == len(before)
            assert sum(isinstance(event, Unreadable) for event in after) == 1


def test_the_order_of_a_batch_is_kept() -> None:
    events = read_events((FOLDER / "batch_mixed.json").read_bytes())

    kinds = [type(event) for event in events]
    assert kinds == [
        InboundMessage, InboundMessage, StatusReceipt, StatusReceipt, InboundMessage, TemplateNotice,
    ]  # fmt: skip
    assert [event.account for event in events if not isinstance(event, TemplateNotice)][
        -1
    ] == "440011220077889"


def test_people_beside_are_joined_by_who_they_are_and_not_by_their_place() -> None:
    payload = payload_of("batch_mixed")
    value = payload["entry"][0]["changes"][1]["value"]
    value["contacts"].reverse()

    receipts = [event for event in events_of(payload) if isinstance(event, StatusReceipt)]

    assert [receipt.recipient for receipt in receipts] == [ANA, BETO]


def test_milliseconds_are_read_as_such() -> None:
    payload = payload_of("message_text")
    payload["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = "1794916801000"

    (event,) = events_of(payload)

    assert event.occurred_at == at(1794916801)


def test_an_interactive_answer_without_a_body_is_kept_as_unsupported_with_the_reason_beside_it() -> None:
    payload = payload_of("message_text")
    value = payload["entry"][0]["changes"][0]["value"]
    message = value["messages"][0]
    del message["text"]
    message["type"] = "interactive"
    value["errors"] = [{"code": 131000, "title": "Unsupported webhook payload"}]

    (event,) = events_of(payload)

    assert (event.kind, event.payload["errors"]) == ("unsupported", value["errors"])


def test_errors_alone_are_told_to_people() -> None:
    payload = payload_of("message_text")
    value = payload["entry"][0]["changes"][0]["value"]
    del value["messages"]
    value["errors"] = [{"code": 130429, "title": "Rate limit hit"}]

    (event,) = events_of(payload)

    assert (event.code, event.account) == ("webhook_error.130429", ACCOUNT)


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"object":"page"}', b"\xff\xfe", b"[" * 5000]
)
def test_a_body_that_is_no_webhook_of_ours_is_one_unreadable(body: bytes) -> None:
    (event,) = read_events(body)

    assert isinstance(event, Unreadable)


def test_half_a_surrogate_pair_or_a_nul_costs_one_sign_and_no_message() -> None:
    body = json.dumps(payload_of("batch_two_messages_one_contact")).encode()
    body = body.replace(b'"a"', b'"half \\ud83d"').replace(b'"b"', b'"nul \\u0000"')

    texts = [event.text for event in read_events(body) if isinstance(event, InboundMessage)]

    assert texts == ["half \ufffd", "nul \ufffd"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_no_json_makes_it_raise(payload: object) -> None:
    for event in events_of(payload):
        assert isinstance(event, Unreadable)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(st.sampled_from(PAYLOADS), st.data())
def test_no_part_replaced_by_anything_makes_it_raise(name: str, data: st.DataObject) -> None:
    payload = payload_of(name)
    node, path = payload, []
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        path.append((node, data.draw(st.sampled_from(keys))))
        node = node[path[-1][1]]
        if data.draw(st.integers(0, 4)) == 0:
            break
    if path:
        holder, key = path[-1]
        holder[key] = data.draw(JSON)

    read_events(json.dumps(payload).encode())
