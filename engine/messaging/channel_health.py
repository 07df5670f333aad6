"""Whether a channel can send: asked of the provider, and told by it; what is wrong is kept in plain words."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from engine.core.clock import now
from engine.core.db import Work
from engine.core.errors import Misconfigured, ProviderError
from engine.core.log import logger
from engine.core.phone import from_provider
from engine.messaging import ledger
from engine.messaging.channels.base import AccountNotice, AccountState, ChecksAccount, Credentials
from engine.messaging.channels.reach import reach
from engine.messaging.channels.registry import checker_for
from engine.messaging.connections import (
    credentials_of,
    delete_channel,
    find_channel,
    get_channel,
    locked_channel,
    revise,
    verify_token_of,
    webhook_url,
)
from engine.messaging.daily_limit import carry_over
from engine.messaging.failures import explain
from engine.messaging.models import Channel, ChannelKind, ChannelStatus

# Meta's words for a number that can't send; its list is open, so a word we don't know is not taken for one.
SILENT_STATUSES = frozenset(
    {
        "PENDING",
        "DISCONNECTED",
        "BANNED",
        "RESTRICTED",
        "OFFLINE",
        "MIGRATED",
        "DELETED",
        "UNVERIFIED",
        "UNLINKED",
    }
)
BLOCKED = "BLOCKED"

log = logger(__name__)

# What the provider tells by itself, and what it means for the channel.
NOTICE_CODES: Mapping[str, str] = {
    "account_update.account_deleted": "account_disconnected",
    "account_update.account_offboarded": "account_disconnected",
    "account_update.partner_removed": "account_disconnected",
    "account_update.partner_app_uninstalled": "account_disconnected",
    "account_update.disabled_update": "account_restricted",
    "account_update.account_restriction": "account_restricted",
    "account_update.account_violation": "account_restricted",
    "phone_number_name_update.rejected": "display_name_not_approved",
}
STOPPING = frozenset({"account_disconnected", "account_restricted"})


def check_channel(work: Work, channel_id: UUID) -> Channel:
    """Ask the provider how the number fares and have its webhooks sent here; the outcome is kept with the channel.

    Any failure leaves the channel in attention with its reason; nothing is raised but NotFound.
    """
    with work.session() as session:
        channel = get_channel(session, channel_id)
        credentials = credentials_of(session, channel)
        address, verify_token = webhook_url(channel), verify_token_of(session, channel)
        checker = checker_for(ChannelKind(channel.kind))
    state: AccountState | None = None
    error: ProviderError | None = None
    business: str | None = None
    try:
        state = checker.read_account(reach(checker.ask_account(credentials)))
        _must_be_able(state)
        _subscribe(checker, credentials, address, verify_token)
        business = _owner_of(checker, credentials)
    except ProviderError as problem:
        error = problem
    if business is not None:
        # Apart from what follows: that locks the channel's gate before its row.
        with work.session() as session:
            belong_to(session, channel, business)
    with work.session() as session:
        return _record(session, channel_id, state, error)


def let_channel_go(work: Work, channel_id: UUID) -> None:
    """Delete a channel; the others of its account are checked, which has their webhooks sent to an address that lives on."""
    with work.session() as session:
        siblings = delete_channel(session, channel_id)
    for sibling in siblings:
        check_channel(work, sibling)


def _must_be_able(state: AccountState) -> None:
    if state.can_send == BLOCKED or (state.status or "").upper() in SILENT_STATUSES:
        raise Misconfigured(
            "number_not_ready",
            explain("number_not_ready").text,
            detail=f"status {state.status}, messages {state.can_send}",
        )


def _subscribe(checker: ChecksAccount, credentials: Credentials, address: str, verify_token: str) -> None:
    try:
        checker.read_done(reach(checker.ask_subscription(credentials, address, verify_token)))
    except ProviderError as error:
        # A parameter that Meta does not like can here only be the address, which it has just tried to call.
        if error.code == "bad_parameter":
            raise Misconfigured(
                "webhook_refused",
                explain("webhook_refused").text,
                provider_code=error.provider_code,
                detail=error.detail,
            ) from error
        raise


def _owner_of(checker: ChecksAccount, credentials: Credentials) -> str | None:
    """Which portfolio the account belongs to. A number sends as well where the token may not ask: then None."""
    try:
        return checker.read_owner(reach(checker.ask_owner(credentials)))
    except ProviderError as error:
        log.info(
            "channel.owner_not_told", account=credentials.portfolio, code=error.code, detail=error.detail
        )
        return None


def belong_to(session: Session, channel: Channel, business: str) -> None:
    """All numbers of a channel's account share the limit of this portfolio from now on."""
    carry_over(session, channel.portfolio, business)
    session.execute(
        update(Channel)
        .where(
            Channel.kind == channel.kind,
            Channel.environment == channel.environment,
            Channel.portfolio == channel.portfolio,
            Channel.business.is_distinct_from(business),
        )
        .values(business=business, revision=Channel.revision + 1)
    )


def _record(
    session: Session, channel_id: UUID, state: AccountState | None, error: ProviderError | None
) -> Channel:
    channel = locked_channel(session, channel_id)
    if state is not None:
        channel.phone_number = from_provider(_digits(state.phone_number)) or channel.phone_number
        channel.display_name = state.display_name or channel.display_name
        channel.quality = state.quality
        channel.messaging_limit = state.messaging_limit
    channel.checked_at = now()
    if error is not None:
        attention(session, channel, error.code, error.detail, stops=isinstance(error, Misconfigured))
    elif channel.status != ChannelStatus.PAUSED:
        channel.status, channel.status_code, channel.status_detail = ChannelStatus.CONNECTED, None, None
        ledger.set_gate(session, channel.gate_id, is_open=True)
    revise(session, channel)
    return channel


def apply_account_notice(session: Session, channel_id: UUID, notice: AccountNotice) -> None:
    """Keep what the provider told of a number or its account; what does not concern this channel changes nothing."""
    if find_channel(session, channel_id) is None:
        return
    channel = locked_channel(session, channel_id)
    if not _concerns(channel, notice):
        return
    detail = notice.detail
    limit = detail.get("max_daily_conversations_per_business") or detail.get("current_limit")
    if isinstance(limit, str):
        channel.messaging_limit = limit
    if notice.code == "phone_number_name_update.approved":
        channel.display_name = str(detail.get("requested_verified_name") or "") or channel.display_name
    code = NOTICE_CODES.get(notice.code)
    ban = detail.get("ban_info")
    is_lifted = isinstance(ban, Mapping) and ban.get("waba_ban_state") == "REINSTATE"
    if code is not None and not is_lifted:
        attention(session, channel, code, notice.code, stops=code in STOPPING)
    revise(session, channel)


def _concerns(channel: Channel, notice: AccountNotice) -> bool:
    """A notice names the number by its id or its display number, or else the account only."""
    if notice.portfolio and notice.portfolio != channel.portfolio:
        return False
    if notice.account is not None:
        return notice.account == channel.account
    shown = notice.detail.get("display_phone_number")
    if isinstance(shown, str) and channel.phone_number is not None:
        return from_provider(_digits(shown)) == channel.phone_number
    return True


def attention(session: Session, channel: Channel, code: str, detail: str, *, stops: bool) -> None:
    """A person must look; where sending on is of no use, the gate closes until a check ends well."""
    if channel.status != ChannelStatus.PAUSED:
        channel.status = ChannelStatus.ATTENTION
    channel.status_code, channel.status_detail = code, detail[:500] or None
    if stops:
        ledger.set_gate(session, channel.gate_id, is_open=False, reason=code)


def _digits(shown: str | None) -> str:
    return "".join(sign for sign in shown or "" if sign.isascii() and sign.isdigit())
