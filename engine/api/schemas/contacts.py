"""Bodies and answers of contacts and their imports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from engine.api.schemas.contact_values import FieldName, FieldValue, Name, Source, Tag
from engine.contacts.consent import GivenConsent
from engine.contacts.imports.problems import Problem
from engine.contacts.imports.service import Preview, problem_of, progress_of
from engine.contacts.models import MARKETING, ConsentState, ContactImport
from engine.contacts.queries import ContactPage, NameCount, Person
from engine.contacts.service import UNCHANGED, ContactChange
from engine.core.pages import Page

EXAMPLE: dict[str, Any] = {
    "name": "Ana Gonçalves",
    "phone": "(71) 98000-0102",
    "tags": ["cliente"],
    "fields": {"cidade": "Salvador"},
}
SOURCE = "Inscrição no site, 12/03"
ID = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90"


class ConsentBody(BaseModel):
    """What a person said to marketing, and where they said it: the source is the proof."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"purpose": MARKETING, "state": "granted", "source": SOURCE}},
    )

    purpose: Literal["marketing"] = "marketing"
    state: Literal["granted", "withdrawn"]
    source: Source


class ProofBody(BaseModel):
    """Where people said yes to marketing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"purpose": MARKETING, "source": SOURCE}}
    )

    purpose: Literal["marketing"] = "marketing"
    state: Literal["granted", "withdrawn"] = "granted"
    source: Source

    def given(self) -> GivenConsent:
        """As the service takes it."""
        return GivenConsent(self.source, self.purpose, ConsentState(self.state))


class TagsPart(RootModel[Annotated[list[Tag], Field(max_length=50)]]):
    """Tags in a part of a form; a model, because FastAPI takes a bare list for a part that comes several times."""


class ContactBody(BaseModel):
    """A new person; the phone in any way it is written in the company's country, or with + and a country code."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": EXAMPLE | {"consent": {"purpose": MARKETING, "source": SOURCE}}},
    )

    name: Name = ""
    phone: Annotated[str, StringConstraints(max_length=64)] | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    fields: dict[FieldName, FieldValue] = Field(default_factory=dict, max_length=100)
    consent: ProofBody | None = None


class ContactChanges(BaseModel):
    """What to change: tags replace all tags, fields are laid over the present ones and null takes one away."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"tags": ["cliente", "vip"], "fields": {"cidade": None}}},
    )

    name: Name | None = None
    phone: Annotated[str, StringConstraints(max_length=64)] | None = None
    tags: list[Tag] | None = Field(default=None, max_length=50)
    fields: dict[FieldName, FieldValue] | None = Field(default=None, max_length=100)

    def given(self) -> ContactChange:
        """Only what was sent; a phone of null takes the phone away."""
        sent = self.model_fields_set
        return ContactChange(
            name=self.name if self.name is not None else UNCHANGED,
            phone=self.phone if "phone" in sent else UNCHANGED,
            tags=self.tags if self.tags is not None else UNCHANGED,
            fields=self.fields if self.fields is not None else UNCHANGED,
        )


class IdentityAnswer(BaseModel):
    """One way to know a person."""

    kind: str
    value: str


class ConsentAnswer(BaseModel):
    """What counts of what the person said."""

    marketing: Literal["granted", "withdrawn", "none"]


class ContactAnswer(BaseModel):
    """A person."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": EXAMPLE
            | {
                "id": ID,
                "phone": "+5571980000102",
                "identities": [{"kind": "phone", "value": "+5571980000102"}],
                "consent": {"marketing": "granted"},
                "created_at": "2026-11-03T12:00:00Z",
                "last_inbound_at": None,
                "revision": 1,
            }
        }
    )

    id: UUID
    name: str
    phone: str | None
    identities: list[IdentityAnswer]
    tags: list[str]
    fields: dict[str, Any]
    consent: ConsentAnswer
    created_at: datetime
    last_inbound_at: datetime | None
    revision: int

    @classmethod
    def of(cls, person: Person) -> Self:
        """A person as the API tells of them."""
        contact = person.contact
        return cls(
            id=contact.id,
            name=contact.name,
            phone=contact.phone,
            identities=[IdentityAnswer(kind=one.kind, value=one.value) for one in person.identities],
            tags=list(person.tags),
            fields=contact.fields,
            consent=ConsentAnswer.model_validate({"marketing": contact.marketing_consent}),
            created_at=contact.created_at,
            last_inbound_at=contact.last_inbound_at,
            revision=contact.revision,
        )


class ContactList(BaseModel):
    """A page of people; `total` is exact up to 10,000."""

    items: list[ContactAnswer]
    next: str | None
    total: int
    total_is_capped: bool

    @classmethod
    def of(cls, page: ContactPage) -> Self:
        """A page as the API tells it."""
        items = [ContactAnswer.of(person) for person in page.items]
        return cls(items=items, next=page.next, total=page.total, total_is_capped=page.total_is_capped)


class TagCount(BaseModel):
    """A tag and the people who have it, counted up to 10,000."""

    tag: str
    contacts: int
    is_capped: bool


class TagList(BaseModel):
    """The tags in use."""

    items: list[TagCount]
    next: None = None

    @classmethod
    def of(cls, counts: Sequence[NameCount]) -> Self:
        """The tags as the API tells them."""
        return cls(
            items=[TagCount(tag=one.name, contacts=one.contacts, is_capped=one.is_capped) for one in counts]
        )


class FieldCount(BaseModel):
    """A field and the people who have it, counted among the newest 10,000."""

    field: str
    contacts: int
    is_capped: bool


class FieldList(BaseModel):
    """The fields in use."""

    items: list[FieldCount]
    next: None = None

    @classmethod
    def of(cls, counts: Sequence[NameCount]) -> Self:
        """The fields as the API tells them."""
        return cls(
            items=[
                FieldCount(field=one.name, contacts=one.contacts, is_capped=one.is_capped) for one in counts
            ]
        )


class ProblemAnswer(BaseModel):
    """What is wrong: a code for machines, a text for people."""

    code: str
    text: str

    @classmethod
    def of(cls, problem: Problem, locale: str) -> Self:
        """A problem in the reader's language."""
        return cls(code=problem.code, text=problem.text(locale))


class ColumnAnswer(BaseModel):
    """A column, what it is taken for (`name`, `phone`, `tags`, `field.…`, `skip`), and some of its cells."""

    name: str
    guess: str
    samples: list[str]


class PreviewAnswer(BaseModel):
    """What a file looks like; `problems` says why it could not be imported as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "columns": [
                    {"name": "Cliente", "guess": "name", "samples": ["Ana Gonçalves"]},
                    {"name": "Celular", "guess": "phone", "samples": ["(71) 98000-0102"]},
                ],
                "encoding": "cp1252",
                "separator": ";",
                "has_header": True,
                "rows_sampled": 120,
                "problems": [],
            }
        }
    )

    columns: list[ColumnAnswer]
    encoding: str
    separator: str | None
    has_header: bool
    rows_sampled: int
    problems: list[ProblemAnswer]

    @classmethod
    def of(cls, preview: Preview, locale: str) -> Self:
        """A preview as the API tells it."""
        layout = preview.layout
        return cls(
            columns=[
                ColumnAnswer(name=one.name, guess=one.guess, samples=list(one.samples))
                for one in preview.columns
            ],
            encoding=layout.encoding if layout else "",
            separator=layout.separator if layout else None,
            has_header=layout.has_header if layout else False,
            rows_sampled=preview.rows_sampled,
            problems=[ProblemAnswer.of(problem, locale) for problem in preview.problems],
        )


class ImportAnswer(BaseModel):
    """A file of people on its way in. `total` counts the rows read so far: created, updated and rejected."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": ID,
                "filename": "clientes.csv",
                "status": "running",
                "total": 4000,
                "created": 3800,
                "updated": 190,
                "rejected": 10,
                "progress": 0.4,
                "error": None,
                "created_at": "2026-11-03T12:00:00Z",
                "finished_at": None,
                "revision": 3,
            }
        }
    )

    id: UUID
    filename: str
    status: Literal["queued", "running", "completed", "failed"]
    total: int
    created: int
    updated: int
    rejected: int
    progress: float = Field(ge=0, le=1)
    error: ProblemAnswer | None
    created_at: datetime
    finished_at: datetime | None
    revision: int

    @classmethod
    def of(cls, row: ContactImport, locale: str) -> Self:
        """An import as the API tells it."""
        problem = problem_of(row)
        return cls.model_validate(
            {name: getattr(row, name) for name in cls.model_fields if name not in {"progress", "error"}}
            | {
                "progress": progress_of(row),
                "error": ProblemAnswer.of(problem, locale) if problem else None,
            }
        )


class ImportList(BaseModel):
    """A page of imports, the newest first."""

    items: list[ImportAnswer]
    next: str | None

    @classmethod
    def of(cls, page: Page[ContactImport], locale: str) -> Self:
        """A page as the API tells it."""
        return cls(items=[ImportAnswer.of(row, locale) for row in page.items], next=page.next)
