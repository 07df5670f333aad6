"""Bodies and answers of channels; secrets come in and never go out."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from engine.accounts.models import INCLUDES, Role
from engine.accounts.principal import Principal
from engine.core.i18n import say
from engine.messaging.connections import NewCredentials, verify_token_of, webhook_url
from engine.messaging.failures import explain
from engine.messaging.models import Channel, ChannelEnvironment, ChannelKind

EXAMPLE: dict[str, Any] = {
    "kind": "whatsapp_cloud",
    "name": "Loja",
    "environment": "live",
    "credentials": {
        "phone_number_id": "440011220055667",
        "waba_id": "330011220044556",
        "access_token": "EAAG…",
        "app_secret": "0123456789abcdef0123456789abcdef",
    },
    "rate_per_second": 80,
}

type Entered = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class CredentialsBody(BaseModel):
    """What Meta shows of a number and its app; the token and the secret are encrypted at once."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)

    phone_number_id: Entered
    waba_id: Entered
    access_token: Entered = Field(repr=False)
    app_secret: Entered = Field(repr=False)

    def entered(self) -> NewCredentials:
        """The same, as messaging takes it."""
        return NewCredentials(self.phone_number_id, self.waba_id, self.access_token, self.app_secret)


class ChannelBody(BaseModel):
    """A number to connect. `live` talks to WhatsApp, `sandbox` to the simulator; this can't be changed later."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"example": EXAMPLE}
    )

    kind: ChannelKind
    name: str
    environment: ChannelEnvironment = ChannelEnvironment.LIVE
    credentials: CredentialsBody
    rate_per_second: int | None = None


class ChannelCredentialChanges(BaseModel):
    """New secrets of the same number; webhooks signed with the app secret before stay good."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    access_token: Entered | None = Field(default=None, repr=False)
    app_secret: Entered | None = Field(default=None, repr=False)


class ChannelChanges(BaseModel):
    """What to change; what is left out stays. `paused` holds all messages of the channel back."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"example": {"name": "Loja Centro"}}
    )

    name: str | None = None
    rate_per_second: int | None = None
    paused: bool | None = None
    credentials: ChannelCredentialChanges | None = None


class StatusReason(BaseModel):
    """Why: a stable code, the words, what to do about it, and the provider's own words where it gave any."""

    code: str
    text: str
    action: str | None = None
    detail: str | None = None


class ChannelAnswer(BaseModel):
    """A channel and how it fares; the verify token is shown to managers."""

    id: UUID
    kind: ChannelKind
    name: str
    environment: ChannelEnvironment
    status: Literal["connected", "attention", "paused"]
    status_reason: StatusReason | None
    phone_number: str | None
    display_name: str | None
    quality: str | None
    messaging_limit: str | None
    phone_number_id: str
    waba_id: str
    rate_per_second: int
    webhook_url: str
    verify_token: str
    last_webhook_at: datetime | None
    last_sent_at: datetime | None
    checked_at: datetime | None
    created_at: datetime
    revision: int

    @classmethod
    def of(cls, session: Session, channel: Channel, caller: Principal) -> "ChannelAnswer":
        """The answer for one channel, in the caller's language."""
        reason = None
        if channel.status_code is not None:
            words = explain(channel.status_code)
            reason = StatusReason(
                code=channel.status_code,
                text=say(words.text, caller.locale),
                action=say(words.action, caller.locale),
                detail=channel.status_detail,
            )
        may_see = Role.MANAGER in INCLUDES[caller.role]
        return cls(
            id=channel.id,
            kind=ChannelKind(channel.kind),
            name=channel.name,
            environment=ChannelEnvironment(channel.environment),
            status=channel.status,
            status_reason=reason,
            phone_number=channel.phone_number,
            display_name=channel.display_name,
            quality=channel.quality,
            messaging_limit=channel.messaging_limit,
            phone_number_id=channel.account,
            waba_id=channel.portfolio,
            rate_per_second=channel.rate_per_second,
            webhook_url=webhook_url(channel),
            verify_token=verify_token_of(session, channel) if may_see else "",
            last_webhook_at=channel.last_webhook_at,
            last_sent_at=channel.last_sent_at,
            checked_at=channel.checked_at,
            created_at=channel.created_at,
            revision=channel.revision,
        )


class ChannelPage(BaseModel):
    """The company's channels; a company has few, so there is one page."""

    items: list[ChannelAnswer]
    next: str | None = None
