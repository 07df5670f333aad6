"""The channels there are: literal tables of who translates, and who has which further power."""

from collections.abc import Mapping

from engine.messaging.channels.base import ChannelAdapter, ChecksAccount, FetchesMedia, SyncsTemplates
from engine.messaging.channels.whatsapp_cloud import WhatsAppCloud
from engine.messaging.models import ChannelKind

WHATSAPP_CLOUD = WhatsAppCloud()

ADAPTERS: Mapping[ChannelKind, ChannelAdapter] = {ChannelKind.WHATSAPP_CLOUD: WHATSAPP_CLOUD}
CHECKERS: Mapping[ChannelKind, ChecksAccount] = {ChannelKind.WHATSAPP_CLOUD: WHATSAPP_CLOUD}
TEMPLATE_KEEPERS: Mapping[ChannelKind, SyncsTemplates] = {ChannelKind.WHATSAPP_CLOUD: WHATSAPP_CLOUD}
MEDIA_KEEPERS: Mapping[ChannelKind, FetchesMedia] = {ChannelKind.WHATSAPP_CLOUD: WHATSAPP_CLOUD}


def adapter_for(kind: ChannelKind) -> ChannelAdapter:
    """The translator of a kind of channel."""
    return ADAPTERS[kind]


def checker_for(kind: ChannelKind) -> ChecksAccount:
    """Who can be asked how a number of this kind fares."""
    return CHECKERS[kind]


def template_keeper_for(kind: ChannelKind) -> SyncsTemplates:
    """Who keeps the templates of this kind of channel."""
    return TEMPLATE_KEEPERS[kind]


def media_keeper_for(kind: ChannelKind) -> FetchesMedia:
    """Who keeps the files of this kind of channel's messages."""
    return MEDIA_KEEPERS[kind]
