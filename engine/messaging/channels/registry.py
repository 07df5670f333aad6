"""The channels there are: a literal table."""

from collections.abc import Mapping

from engine.messaging.channels.base import ChannelAdapter
from engine.messaging.channels.whatsapp_cloud import WhatsAppCloud
from engine.messaging.models import ChannelKind

WHATSAPP_CLOUD = WhatsAppCloud()

ADAPTERS: Mapping[ChannelKind, ChannelAdapter] = {
    ChannelKind.WHATSAPP_CLOUD: WHATSAPP_CLOUD,
}


def adapter_for(kind: ChannelKind) -> ChannelAdapter:
    """The translator of a kind of channel."""
    return ADAPTERS[kind]
