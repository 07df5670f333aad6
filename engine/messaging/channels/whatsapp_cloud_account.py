"""WhatsApp Cloud API: asking after a number, its webhooks, its templates, the files of its messages.

Source: Meta, business-phone-numbers, template-management and media pages, September 2026.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from engine.core.errors import NotTaken, ProviderError, Refused
from engine.core.http import HttpRequest, HttpResponse
from engine.messaging.channels.base import (
    AccountState,
    Credentials,
    MediaPlace,
    ProviderTemplate,
    TemplateDraft,
    TemplatePage,
)
from engine.messaging.channels.foreign_json import load, number, part, word
from engine.messaging.channels.whatsapp_cloud_errors import refusal_of
from engine.messaging.failures import explain
from engine.messaging.models import TemplateStatus

NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,status,quality_rating,"
    "whatsapp_business_manager_messaging_limit,health_status"
)
TEMPLATE_FIELDS = "id,name,language,status,category,quality_score,rejected_reason,components,parameter_format"
TEMPLATES_PER_PAGE = 100
# Hosts that Meta serves files from; the token goes nowhere else.
MEDIA_HOSTS = ("lookaside.fbsbx.com",)
MEDIA_HOST_ENDINGS = (".whatsapp.net", ".fbsbx.com")
USER_AGENT = "masteria/1.0"  # without one, some answers come as HTML

# Meta's word for a template's state, in the `status` of a template and in the `event` of a webhook. Only APPROVED may be
# sent; what we can't tell waits for a synchronisation as pending.
TEMPLATE_STATUSES: Mapping[str, TemplateStatus] = {
    "APPROVED": TemplateStatus.APPROVED,
    "PENDING": TemplateStatus.PENDING,
    "PENDING_REVIEW": TemplateStatus.PENDING,
    "IN_APPEAL": TemplateStatus.PENDING,
    "REINSTATED": TemplateStatus.PENDING,
    "UNARCHIVED": TemplateStatus.PENDING,
    "REJECTED": TemplateStatus.REJECTED,
    "PAUSED": TemplateStatus.PAUSED,
    "LOCKED": TemplateStatus.PAUSED,
    "DISABLED": TemplateStatus.DISABLED,
    "LIMIT_EXCEEDED": TemplateStatus.DISABLED,
    "ARCHIVED": TemplateStatus.DISABLED,
    "PENDING_DELETION": TemplateStatus.DISABLED,
    "DELETED": TemplateStatus.DISABLED,
}


class CloudAccount:
    """What can be asked of a WhatsApp account besides sending; base of the adapter."""

    def ask_account(self, credentials: Credentials) -> HttpRequest:
        """The request for the number's state."""
        return _get(credentials, credentials.account, {"fields": NUMBER_FIELDS})

    def read_account(self, response: HttpResponse) -> AccountState:
        """The number's state, or a ProviderError."""
        answer = _answer(response)
        return AccountState(
            phone_number=word(answer.get("display_phone_number")),
            display_name=word(answer.get("verified_name")),
            quality=quality_in(answer.get("quality_rating")),
            messaging_limit=word(answer.get("whatsapp_business_manager_messaging_limit")),
            status=word(answer.get("status")),
            can_send=word(part(answer.get("health_status")).get("can_send_message")),
        )

    def ask_owner(self, credentials: Credentials) -> HttpRequest:
        """The request for the portfolio that owns the account."""
        return _get(credentials, quote(credentials.portfolio, safe=""), {"fields": "owner_business_info"})

    def read_owner(self, response: HttpResponse) -> str | None:
        """The id of the portfolio, where Meta tells it, or a ProviderError."""
        return word(part(_answer(response).get("owner_business_info")).get("id"))

    def ask_subscription(self, credentials: Credentials, webhook_url: str, verify_token: str) -> HttpRequest:
        """The request that has the account's webhooks sent to an address of ours."""
        body = {"override_callback_uri": webhook_url, "verify_token": verify_token}
        return _post(credentials, f"{quote(credentials.portfolio, safe='')}/subscribed_apps", body)

    def read_done(self, response: HttpResponse) -> None:
        """Nothing when Meta did what was asked; else a ProviderError."""
        if _answer(response).get("success") is not True:
            raise _not_understood(response)

    def ask_templates(self, credentials: Credentials, after: str | None) -> HttpRequest:
        """The request for one page of all templates."""
        query = {"fields": TEMPLATE_FIELDS, "limit": str(TEMPLATES_PER_PAGE)}
        if after is not None:
            query["after"] = after
        return _get(credentials, f"{quote(credentials.portfolio, safe='')}/message_templates", query)

    def read_templates(self, response: HttpResponse) -> TemplatePage:
        """One page, or a ProviderError; an item without id or name is left out."""
        answer = _answer(response)
        data = answer.get("data")
        if not isinstance(data, list):
            raise _not_understood(response)
        paging = part(answer.get("paging"))
        # The cursor is there on the last page too: only `next` says that there is more.
        after = word(part(paging.get("cursors")).get("after")) if paging.get("next") else None
        items = [template_in(item) for item in data if isinstance(item, dict)]
        return TemplatePage([item for item in items if item is not None], after)

    def ask_template_creation(self, credentials: Credentials, draft: TemplateDraft) -> HttpRequest:
        """The request that submits a template."""
        body = {
            "name": draft.name,
            "language": draft.language,
            "category": draft.category,
            "parameter_format": draft.parameter_format,
            "components": draft.components,
        }
        return _post(credentials, f"{quote(credentials.portfolio, safe='')}/message_templates", body)

    def read_template_creation(self, response: HttpResponse, draft: TemplateDraft) -> ProviderTemplate:
        """The template as taken for review (Meta may give it another category), or a ProviderError."""
        answer = _answer(response)
        provider_id = answer.get("id")
        if not isinstance(provider_id, str | int):
            raise _not_understood(response)
        return ProviderTemplate(
            provider_id=str(provider_id),
            name=draft.name,
            language=draft.language,
            category=(word(answer.get("category")) or draft.category).upper(),
            status=TEMPLATE_STATUSES.get(str(answer.get("status", "")).upper(), TemplateStatus.PENDING),
            reason=None,
            quality=None,
            parameter_format=draft.parameter_format,
            components=draft.components,
        )

    def ask_template_change(
        self, credentials: Credentials, provider_id: str, changes: Mapping[str, Any]
    ) -> HttpRequest:
        """The request that submits a template's new category or components (which replace all)."""
        return _post(credentials, quote(provider_id, safe=""), dict(changes))

    def ask_template_deletion(self, credentials: Credentials, provider_id: str, name: str) -> HttpRequest:
        """The request that deletes a template in one language (the name alone would delete them all)."""
        query = urlencode({"name": name, "hsm_id": provider_id})
        url = f"{credentials.base_url}/{quote(credentials.portfolio, safe='')}/message_templates?{query}"
        return HttpRequest("DELETE", url, _headers(credentials))

    def ask_media(self, credentials: Credentials, provider_media_id: str) -> HttpRequest:
        """The request for a file's place; Meta refuses the id of another number's file."""
        return _get(credentials, quote(provider_media_id, safe=""), {"phone_number_id": credentials.account})

    def read_media(self, response: HttpResponse) -> MediaPlace:
        """The file's place, good for five minutes, or a ProviderError."""
        answer = _answer(response)
        url = word(answer.get("url"))
        if url is None:
            raise _not_understood(response)
        return MediaPlace(
            url,
            word(answer.get("mime_type")),
            word(answer.get("sha256")),
            number(answer.get("file_size")),
        )

    def ask_file(self, credentials: Credentials, url: str) -> HttpRequest:
        """The request for the bytes; Refused when the address is not Meta's (or the simulator's own)."""
        if not is_media_address(url, credentials.base_url):
            raise Refused(
                "media_unavailable", explain("media_unavailable").text, detail="address of another host"
            )
        return HttpRequest("GET", url, _headers(credentials))


def template_in(item: Mapping[str, Any]) -> ProviderTemplate | None:
    """A template of a list, or None when it has no id or name."""
    provider_id, name, language = item.get("id"), word(item.get("name")), word(item.get("language"))
    if not isinstance(provider_id, str | int) or name is None or language is None:
        return None
    components = item.get("components")
    score = item.get("quality_score")
    reason = word(item.get("rejected_reason"))
    return ProviderTemplate(
        provider_id=str(provider_id),
        name=name,
        language=language,
        category=(word(item.get("category")) or "").upper(),
        status=TEMPLATE_STATUSES.get(str(item.get("status", "")).upper(), TemplateStatus.PENDING),
        reason=None if reason == "NONE" else reason,
        quality=quality_in(score.get("score") if isinstance(score, dict) else score),
        parameter_format=(word(item.get("parameter_format")) or "POSITIONAL").upper(),
        components=[component for component in components if isinstance(component, dict)]
        if isinstance(components, list)
        else [],
    )


def quality_in(value: object) -> str | None:
    """GREEN, YELLOW or RED; None where Meta does not know."""
    return value if isinstance(value, str) and value in {"GREEN", "YELLOW", "RED"} else None


def is_media_address(url: str, base_url: str) -> bool:
    """True when the token may go there: Meta's file hosts by https, or the very host that the channel talks to."""
    try:
        place, home = urlsplit(url), urlsplit(base_url)
        if (place.scheme, place.hostname, place.port) == (home.scheme, home.hostname, home.port):
            return True
        host = place.hostname or ""
        return (
            place.scheme == "https"
            and place.port in (None, 443)
            and (host in MEDIA_HOSTS or host.endswith(MEDIA_HOST_ENDINGS))
        )
    except ValueError:
        return False


def _get(credentials: Credentials, path: str, query: Mapping[str, str]) -> HttpRequest:
    return HttpRequest("GET", f"{credentials.base_url}/{path}?{urlencode(query)}", _headers(credentials))


def _post(credentials: Credentials, path: str, body: Mapping[str, Any]) -> HttpRequest:
    headers = {**_headers(credentials), "Content-Type": "application/json"}
    return HttpRequest("POST", f"{credentials.base_url}/{path}", headers, orjson.dumps(body))


def _headers(credentials: Credentials) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {credentials.access_token}", "User-Agent": USER_AGENT}


def _answer(response: HttpResponse) -> Mapping[str, Any]:
    """The object in an answer, or a ProviderError."""
    if not 200 <= response.status < 300:
        raise refusal_of(response)
    try:
        answer = load(response.body)
    except (ValueError, RecursionError) as error:
        raise _not_understood(response) from error
    if not isinstance(answer, dict):
        raise _not_understood(response)
    return answer


def _not_understood(response: HttpResponse) -> ProviderError:
    return NotTaken(
        "provider_fault",
        explain("provider_fault").text,
        detail=f"HTTP {response.status}, body not understood",
    )
