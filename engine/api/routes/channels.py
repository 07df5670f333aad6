"""Channels: connect a number, look how it fares, change it, let it go."""

from uuid import UUID

from engine.accounts.models import Role
from engine.accounts.principal import Principal
from engine.api.deps import Caller, Doing, Transaction, domain_router, requires
from engine.api.schemas.channels import ChannelAnswer, ChannelBody, ChannelChanges, ChannelPage
from engine.core.db import Work
from engine.messaging import connections
from engine.messaging.channel_health import check_channel as ask_provider
from engine.messaging.channel_health import let_channel_go
from engine.messaging.models import Channel

router = domain_router("channels")
managers = [requires(Role.MANAGER)]


@router.post("/v1/channels", status_code=201, dependencies=managers, responses={409: {}})
def connect_channel(body: ChannelBody, work: Doing, caller: Caller) -> ChannelAnswer:
    """Connect a number; it is checked at the provider, and kept with the reason where that fails. 409 for a second time."""
    with work.session() as session:
        channel = connections.connect_channel(
            session,
            kind=body.kind,
            name=body.name,
            environment=body.environment,
            credentials=body.credentials.entered(),
            rate_per_second=body.rate_per_second,
        )
    return _answer(work, ask_provider(work, channel.id), caller)


@router.get("/v1/channels")
def list_channels(session: Transaction, caller: Caller) -> ChannelPage:
    """The company's channels, the oldest first."""
    channels = connections.list_channels(session)
    return ChannelPage(items=[ChannelAnswer.of(session, channel, caller) for channel in channels])


@router.get("/v1/channels/{channel_id}")
def get_channel(channel_id: UUID, session: Transaction, caller: Caller) -> ChannelAnswer:
    """One channel and how it fares."""
    return ChannelAnswer.of(session, connections.get_channel(session, channel_id), caller)


@router.patch("/v1/channels/{channel_id}", dependencies=managers)
def change_channel(channel_id: UUID, body: ChannelChanges, work: Doing, caller: Caller) -> ChannelAnswer:
    """Rename it, set its rate, pause or resume it, renew its secrets; what needs it is checked again."""
    given = body.credentials
    with work.session() as session:
        channel = connections.change_channel(
            session,
            channel_id,
            name=body.name,
            rate_per_second=body.rate_per_second,
            is_paused=body.paused,
            access_token=given.access_token if given else None,
            app_secret=given.app_secret if given else None,
        )
    if given is not None or body.paused is False:
        channel = ask_provider(work, channel_id)
    return _answer(work, channel, caller)


@router.post("/v1/channels/{channel_id}/check", dependencies=managers)
def check_channel(channel_id: UUID, work: Doing, caller: Caller) -> ChannelAnswer:
    """Ask the provider again how the number fares, and have its webhooks sent here."""
    return _answer(work, ask_provider(work, channel_id), caller)


@router.delete("/v1/channels/{channel_id}", status_code=204, dependencies=managers)
def delete_channel(channel_id: UUID, work: Doing) -> None:
    """Let a channel go, with its secrets; what was sent with it stays. 409 while messages wait to leave by it."""
    let_channel_go(work, channel_id)


def _answer(work: Work, channel: Channel, caller: Principal) -> ChannelAnswer:
    with work.session() as session:
        return ChannelAnswer.of(session, channel, caller)
