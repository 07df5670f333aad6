"""Meta's error codes, and what each means for a message, a template, a number or an account.

Source: Meta, "Cloud API error codes" (developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes), September
2026, and for the few that the page lacks the open-source clients pywa 4.4 and courier. The same table serves a refused
call and a `failed` status that comes later; what to do is our judgement, guided by Meta's words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.errors import Ambiguous, Misconfigured, NotTaken, ProviderError, Refused, Throttled
from engine.core.http import HttpResponse
from engine.messaging.channels.foreign_json import load, number
from engine.messaging.failures import explain

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code means: the class of error, our code, whom it concerns, when to come back (None: by backoff)."""

    kind: type[ProviderError]
    code: str
    scope: str = "message"
    retry_after: float | None = None


ACCOUNT, CHANNEL, TEMPLATE = "account", "channel", "template"

TOKEN = Meaning(Misconfigured, "token_expired", ACCOUNT)
PERMISSION = Meaning(Misconfigured, "permission_missing", ACCOUNT)
RESTRICTED = Meaning(Misconfigured, "account_restricted", ACCOUNT)
PAYMENT = Meaning(Misconfigured, "payment_issue", ACCOUNT)
NOT_FOUND = Meaning(Misconfigured, "number_not_found", CHANNEL)
NOT_REGISTERED = Meaning(Misconfigured, "number_not_registered", CHANNEL)
REGISTRATION = Meaning(Misconfigured, "registration_problem", CHANNEL)
FAULT = Meaning(NotTaken, "provider_fault")
CALL_LIMIT = Meaning(Throttled, "call_limit", ACCOUNT, MINUTE)
MAINTENANCE = Meaning(Throttled, "maintenance", CHANNEL, MINUTE)
PARAMETER = Meaning(Refused, "bad_parameter")
MEDIA = Meaning(Refused, "media_refused")
MARKETING_ROUTE = Meaning(Misconfigured, "marketing_not_possible", TEMPLATE)
TEMPLATE_TEXT = Meaning(Misconfigured, "template_refused", TEMPLATE)
UNKNOWN = Meaning(Refused, "refused")

MEANINGS: Mapping[int, Meaning] = {
    # Authorisation and account
    0: TOKEN,
    102: TOKEN,
    104: TOKEN,
    190: TOKEN,
    3: PERMISSION,
    10: PERMISSION,
    **dict.fromkeys(range(200, 300), PERMISSION),
    131005: PERMISSION,
    368: RESTRICTED,
    131031: RESTRICTED,
    131042: PAYMENT,
    131044: PAYMENT,
    134011: PAYMENT,
    131064: Meaning(Misconfigured, "template_category_limit", ACCOUNT),
    # The number
    33: NOT_FOUND,
    803: NOT_FOUND,
    131045: NOT_REGISTERED,
    133010: NOT_REGISTERED,
    **dict.fromkeys((133000, 133005, 133006, 133008, 133009, 133015, 133016), REGISTRATION),
    131037: Meaning(Misconfigured, "display_name_not_approved", CHANNEL),
    # A quality problem, not one of speed: Meta lifts it by itself, after an hour at the earliest.
    131048: Meaning(Misconfigured, "spam_limit", CHANNEL, HOUR),
    2200: Meaning(Misconfigured, "webhook_refused", CHANNEL),
    # For a while
    1: FAULT,
    2: FAULT,
    131000: FAULT,
    131016: FAULT,
    133004: FAULT,
    4: CALL_LIMIT,
    613: CALL_LIMIT,
    80007: CALL_LIMIT,
    130429: Meaning(Throttled, "throttled", CHANNEL),
    131056: Meaning(Throttled, "pair_limit"),
    131057: MAINTENANCE,
    2494100: MAINTENANCE,
    134101: Meaning(Throttled, "template_syncing", TEMPLATE, 10 * MINUTE),
    132069: Meaning(Throttled, "flow_blocked", TEMPLATE, 10 * MINUTE),
    # The person
    130403: Meaning(Refused, "blocked_by_company"),
    130472: Meaning(Refused, "experiment"),
    130497: Meaning(Refused, "country_restricted"),
    131021: Meaning(Refused, "same_number"),
    131026: Meaning(Refused, "undeliverable"),
    131030: Meaning(Refused, "test_number_only"),
    131047: Meaning(Refused, "window_closed"),
    131049: Meaning(Refused, "marketing_limit"),
    131050: Meaning(Refused, "opted_out"),
    131062: Meaning(Refused, "phone_needed"),
    137000: Meaning(Refused, "identity_changed"),
    # The message
    100: PARAMETER,
    131008: PARAMETER,
    131009: PARAMETER,
    135000: PARAMETER,
    131051: Meaning(Refused, "unsupported_kind"),
    131052: Meaning(Refused, "media_unavailable"),
    131014: MEDIA,
    131053: MEDIA,
    # The template. A wrong count concerns everybody it is sent to, a wrong value this person.
    132000: Meaning(Misconfigured, "template_mismatch", TEMPLATE),
    132001: Meaning(Misconfigured, "template_not_found", TEMPLATE),
    132005: TEMPLATE_TEXT,
    132007: TEMPLATE_TEXT,
    132008: Meaning(Refused, "template_mismatch"),
    132012: Meaning(Refused, "template_mismatch"),
    132018: Meaning(Refused, "template_mismatch"),
    132015: Meaning(Misconfigured, "template_paused", TEMPLATE),
    132016: Meaning(Misconfigured, "template_disabled", TEMPLATE),
    132068: Meaning(Misconfigured, "flow_blocked", TEMPLATE),
    131055: MARKETING_ROUTE,
    131063: MARKETING_ROUTE,
    134100: MARKETING_ROUTE,
    134102: MARKETING_ROUTE,
    # Submitting a template (these come as subcodes of 100)
    2388019: Meaning(Refused, "template_limit"),
    2388023: Meaning(Refused, "template_name_in_deletion"),
    2388024: Meaning(Refused, "template_exists"),
    2388039: Meaning(Refused, "template_locked"),
    2593002: Meaning(Refused, "template_gone"),
    **dict.fromkeys(
        (2388040, 2388047, 2388072, 2388073, 2388293, 2388299), Meaning(Refused, "template_refused")
    ),
}

# Subcodes that say more than their code; of all others only the code counts.
TELLING_SUBCODES: Mapping[int, Meaning] = {
    33: NOT_FOUND,  # "does not exist, cannot be loaded due to missing permissions"
    **{code: meaning for code, meaning in MEANINGS.items() if code > 2_000_000},
}


def refusal_of(response: HttpResponse) -> ProviderError:
    """What an answer other than 2xx means, by its code; for calls that may be made again without harm."""
    error = _error_in(response.body)
    refusal = _from_status(response.status) if error is None else _from_error(error, response.status)
    if isinstance(refusal, Throttled):
        refusal.retry_after = _wait_said(response.headers) or refusal.retry_after
    return refusal


def send_refusal_of(response: HttpResponse) -> ProviderError:
    """The same for a send: a fault on their side after our body left leaves open whether it was taken."""
    refusal = refusal_of(response)
    if response.status >= 500 and not isinstance(refusal, Throttled):
        return Ambiguous(
            provider_code=refusal.provider_code, detail=refusal.detail or f"HTTP {response.status}"
        )
    return refusal


def error_of(errors: Sequence[Any]) -> ProviderError:
    """What the errors of a `failed` status mean; without any, it is plainly refused."""
    first = next((error for error in errors if isinstance(error, Mapping)), None)
    return _from_error(first, 400) if first is not None else _build(UNKNOWN, None, "")


def detail_of(error: Mapping[str, Any]) -> str:
    """Meta's own words on an error, the most telling first; shapes differ between calls, webhooks and ages."""
    data = error.get("error_data")
    candidates = (
        error.get("error_user_msg"),
        data.get("details") if isinstance(data, Mapping) else data,
        error.get("details"),
        error.get("message"),
        error.get("title"),
    )
    return next((text for text in candidates if isinstance(text, str) and text), "")


def _wait_said(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server wants to be left alone (Retry-After), an hour at most; 0 says nothing."""
    said = headers.get("retry-after", "")
    return min(float(said), HOUR) if said.isdecimal() else None


def _error_in(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = load(body)
    except (ValueError, RecursionError):
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else None


def _from_error(error: Mapping[str, Any], status: int) -> ProviderError:
    code, subcode = number(error.get("code")), number(error.get("error_subcode"))
    meaning = TELLING_SUBCODES.get(subcode) if code == 100 and subcode is not None else None
    told = subcode if meaning is not None and subcode != 33 else code
    if meaning is None and code is not None:
        meaning = MEANINGS.get(code)
    if meaning is None:
        meaning = _meaning_of_status(status)
    return _build(meaning, None if told is None else str(told), detail_of(error))


def _from_status(status: int) -> ProviderError:
    return _build(_meaning_of_status(status), None, f"HTTP {status}")


def _meaning_of_status(status: int) -> Meaning:
    if status == 429:
        return MEANINGS[130429]
    if status >= 500 or status == 408:
        return FAULT
    if status == 401:
        return TOKEN
    if status < 400:
        return NOT_FOUND  # a redirect: the address is not the provider's API
    return UNKNOWN


def _build(meaning: Meaning, provider_code: str | None, detail: str) -> ProviderError:
    return meaning.kind(
        meaning.code,
        explain(meaning.code).text,
        provider_code=provider_code,
        detail=detail,
        retry_after=meaning.retry_after,
        scope=meaning.scope,
    )
