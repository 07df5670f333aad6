"""Channels: connect a number, check it at the provider, change it, let it go; and its secrets, for a call's length."""

import orjson
from sqlalchemy.orm import Session

from engine.core.crypto import decrypt
from engine.core.settings import settings
from engine.messaging.channels.base import Credentials
from engine.messaging.models import (
    Channel,
    ChannelEnvironment,
)


def base_url_of(environment: str) -> str:
    """Where channels of an environment talk, with the Graph API's version; tenants never set an address."""
    present = settings()
    root = present.simulator_url if environment == ChannelEnvironment.SANDBOX else present.graph_url
    return f"{root}/{present.graph_version}"


def webhook_url(channel: Channel) -> str:
    """The address that the provider calls for this channel."""
    return f"{settings().public_url}/hooks/{channel.kind}/{channel.id}"


def credentials_of(session: Session, channel: Channel) -> Credentials:
    """A channel's secrets in the clear; DecryptionFailed when they don't open with the present key."""
    blob = decrypt(session, channel.credentials, table="channels", column="credentials", row=channel.id)
    secret = orjson.loads(blob)
    return Credentials(
        base_url=base_url_of(channel.environment),
        account=channel.account,
        portfolio=channel.portfolio,
        access_token=secret["access_token"],
        app_secret=secret["app_secret"],
        older_app_secrets=tuple(secret.get("older_app_secrets", ())),
    )


def verify_token_of(session: Session, channel: Channel) -> str:
    """The word that the provider must know in the webhook's handshake."""
    return decrypt(
        session, channel.verify_token, table="channels", column="verify_token", row=channel.id
    ).decode()
