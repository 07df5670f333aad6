"""Bodies and answers of templates; components are in Meta's shape."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from engine.api.schemas.channels import StatusReason
from engine.core.i18n import say
from engine.core.pages import Page
from engine.messaging.failures import explain_template_reason
from engine.messaging.models import Template
from engine.messaging.rendering import Preview, variables_of
from engine.messaging.template_desk import Synced

COMPONENTS: list[Any] = [
    {
        "type": "BODY",
        "text": "Oi {{nome}}, seu pedido {{pedido}} saiu para entrega.",
        "example": {
            "body_text_named_params": [
                {"param_name": "nome", "example": "Ana"},
                {"param_name": "pedido", "example": "42"},
            ]
        },
    },
    {"type": "FOOTER", "text": "Responda SAIR para não receber mais"},
    {
        "type": "BUTTONS",
        "buttons": [{"type": "URL", "text": "Rastrear", "url": "https://loja.example/r/{{1}}"}],
    },
]
VARIABLES: dict[str, Any] = {
    "body.nome": "contact.first_name",
    "body.pedido": "field.pedido",
    "button.0.1": {"text": "42"},
}
CHANNEL_ID = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90"

type Components = list[dict[str, Any]]
type Category = Literal["MARKETING", "UTILITY", "AUTHENTICATION"]


class TemplateBody(BaseModel):
    """A template to submit for review. `parameter_format` follows from the text: {{1}} or {{name}}."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "channel_id": CHANNEL_ID,
                "name": "pedido_enviado",
                "language": "pt_BR",
                "category": "UTILITY",
                "components": COMPONENTS,
            }
        },
    )

    channel_id: UUID
    name: str = Field(max_length=512)
    language: str = Field(max_length=20)
    category: str = Field(max_length=40)
    components: Components = Field(min_length=1, max_length=10)
    parameter_format: Literal["NAMED", "POSITIONAL"] | None = None


class TemplateChanges(BaseModel):
    """What to change; new components replace all, and are reviewed again. An empty object submits a draft again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"components": COMPONENTS[:2]}})

    category: str | None = Field(default=None, max_length=40)
    components: Components | None = Field(default=None, min_length=1, max_length=10)


class SyncBody(BaseModel):
    """The channel whose templates are pulled from the provider."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"channel_id": CHANNEL_ID}})

    channel_id: UUID


class SyncAnswer(BaseModel):
    """How many templates the provider has, and what changed here."""

    total: int
    created: int
    updated: int
    gone: int

    @classmethod
    def of(cls, synced: Synced) -> "SyncAnswer":
        """The answer for one synchronisation."""
        return cls(total=synced.total, created=synced.created, updated=synced.updated, gone=synced.gone)


class VariableAnswer(BaseModel):
    """One gap of a template, and the example it was submitted with."""

    key: str
    example: str | None


class TemplateAnswer(BaseModel):
    """A template and where it stands at the provider."""

    id: UUID
    channel_id: UUID
    name: str
    language: str
    category: str
    status: Literal["draft", "pending", "approved", "rejected", "paused", "disabled"]
    status_reason: StatusReason | None
    quality: str | None
    parameter_format: str
    components: list[Any]
    variables: list[VariableAnswer]
    created_at: datetime
    updated_at: datetime
    revision: int

    @classmethod
    def of(cls, template: Template, locale: str) -> "TemplateAnswer":
        """The answer for one template, in a language."""
        reason = None
        if template.status_reason is not None:
            words = explain_template_reason(template.status_reason)
            reason = StatusReason(
                code=template.status_reason,
                text=say(words.text, locale, {"reason": template.status_reason}),
                action=say(words.action, locale),
            )
        return cls(
            id=template.id,
            channel_id=template.channel_id,
            name=template.name,
            language=template.language,
            category=template.category,
            status=template.status,
            status_reason=reason,
            quality=template.quality,
            parameter_format=template.parameter_format,
            components=template.components,
            variables=[VariableAnswer(key=one.key, example=one.example) for one in variables_of(template)],
            created_at=template.created_at,
            updated_at=template.updated_at,
            revision=template.revision,
        )


class TemplatePage(BaseModel):
    """One page of templates."""

    items: list[TemplateAnswer]
    next: str | None

    @classmethod
    def of(cls, page: Page[Template], locale: str) -> "TemplatePage":
        """The answer for one page."""
        return cls(items=[TemplateAnswer.of(template, locale) for template in page.items], next=page.next)


class PreviewBody(BaseModel):
    """What fills the gaps: for a contact their own values, without one the template's examples."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"contact_id": None, "variables": VARIABLES}}
    )

    contact_id: UUID | None = None
    variables: dict[str, Any] | None = None


class DraftPreviewBody(PreviewBody):
    """The same for a template that is not saved."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"components": COMPONENTS, "variables": VARIABLES}},
    )

    components: Components = Field(max_length=10)
    category: Category | None = None


class PreviewHeaderAnswer(BaseModel):
    """The head of the message: its text, or the address or id of its file."""

    format: str
    text: str | None
    media: str | None


class PreviewButtonAnswer(BaseModel):
    """A button under the message."""

    type: str
    text: str
    url: str | None


class PreviewAnswer(BaseModel):
    """The message as the person would see it; gaps without a value stay as written and are `missing`."""

    header: PreviewHeaderAnswer | None
    body: str
    footer: str | None
    buttons: list[PreviewButtonAnswer]
    missing: list[str]

    @classmethod
    def of(cls, preview: Preview) -> "PreviewAnswer":
        """The answer for one preview."""
        head = preview.header
        return cls(
            header=PreviewHeaderAnswer(format=head.format, text=head.text, media=head.media)
            if head
            else None,
            body=preview.body,
            footer=preview.footer,
            buttons=[
                PreviewButtonAnswer(type=one.type, text=one.text, url=one.url) for one in preview.buttons
            ],
            missing=list(preview.missing),
        )
