"""The API's answers as typed, frozen dataclasses.

An answer may carry more than is named here (a newer API): what is unknown is left out. States and reasons
stay plain strings, so that a word this client has not heard of yet is shown rather than refused.
"""

from engine.client.answers.accounts import Company, Me, Membership, Tokens, User
from engine.client.answers.campaigns import (
    AudienceCount,
    AudienceSample,
    Campaign,
    Counts,
    ReasonCount,
    Recipient,
    Timeline,
    TimelinePoint,
)
from engine.client.answers.channels import (
    Channel,
    Preview,
    PreviewButton,
    PreviewHeader,
    Template,
    TemplateVariable,
)
from engine.client.answers.contacts import (
    Consent,
    Contact,
    FieldCount,
    Identity,
    Import,
    ImportColumn,
    ImportPreview,
    TagCount,
)
from engine.client.answers.conversations import Conversation, LastMessage, Media, Message, Person
from engine.client.answers.figures import Bucket, FunnelStep, Heatmap, Kpi, Overview, Series, SeriesPoint
from engine.client.answers.page import Page, Reason

__all__ = [
    "AudienceCount",
    "AudienceSample",
    "Bucket",
    "Campaign",
    "Channel",
    "Company",
    "Consent",
    "Contact",
    "Conversation",
    "Counts",
    "FieldCount",
    "FunnelStep",
    "Heatmap",
    "Identity",
    "Import",
    "ImportColumn",
    "ImportPreview",
    "Kpi",
    "LastMessage",
    "Me",
    "Media",
    "Membership",
    "Message",
    "Overview",
    "Page",
    "Person",
    "Preview",
    "PreviewButton",
    "PreviewHeader",
    "Reason",
    "ReasonCount",
    "Recipient",
    "Series",
    "SeriesPoint",
    "TagCount",
    "Template",
    "TemplateVariable",
    "Timeline",
    "TimelinePoint",
    "Tokens",
    "User",
]
