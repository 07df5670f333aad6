"""People, and the files they come from."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, File, Form, Query, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import Json
from sqlalchemy.orm import Session

from engine.accounts.models import Role
from engine.accounts.queries import get_company
from engine.api.deps import After, Caller, Doing, Limit, Transaction, domain_router, requires
from engine.api.errors import locale_of
from engine.api.schemas.contact_values import Text
from engine.api.schemas.contacts import (
    ConsentBody,
    ContactAnswer,
    ContactBody,
    ContactChanges,
    ContactList,
    FieldList,
    ImportAnswer,
    ImportList,
    PreviewAnswer,
    ProofBody,
    TagList,
    TagsPart,
)
from engine.contacts import queries, service
from engine.contacts.imports import claims
from engine.contacts.imports import service as imports
from engine.contacts.imports.layout import SAMPLE_BYTES
from engine.contacts.imports.rejects import rejects_csv
from engine.contacts.models import ConsentState

router = domain_router("contacts")
agents = [requires(Role.AGENT)]
managers = [requires(Role.MANAGER)]

MULTIPART_BYTES = 1024 * 1024  # what a form has around its file
UPLOAD_BYTES = imports.MAX_BYTES + MULTIPART_BYTES

Locale = Annotated[str, Depends(locale_of)]
Upload = Annotated[UploadFile, File(description="CSV or XLSX; encoding and separator are recognised.")]
Mapping = Annotated[
    Json[dict[str, Text]] | None,
    Form(
        description='What each column is: `{"Celular": "phone", "Cidade": "field.cidade"}`; guessed when left out.'
    ),
]
Tags = Annotated[Json[TagsPart] | None, Form(description='Tags for everybody in the file: `["feira-2026"]`.')]
Proof = Annotated[
    Json[ProofBody] | None,
    Form(description='Everybody in the file said yes: `{"purpose": "marketing", "source": "…"}`.'),
]


def region_of(session: Session, caller: Caller) -> str:
    """The country in which a company's phone numbers are read when they name none."""
    return get_company(session, caller.tenant_id).country


@router.get("/v1/contacts")
def list_contacts(
    *,
    session: Transaction,
    limit: Limit = 50,
    after: After = None,
    search: Annotated[
        str, Query(description="Words of a name or a field, or a piece of a phone number.")
    ] = "",
    tag: str | None = None,
    import_id: Annotated[UUID | None, Query(description="Whom this import brought or touched.")] = None,
) -> ContactList:
    """People, the newest first."""
    page = queries.list_contacts(
        session, search=search, tag=tag, import_id=import_id, after=after, limit=limit
    )
    return ContactList.of(page)


@router.post("/v1/contacts", status_code=201, dependencies=agents, responses={409: {}})
def create_contact(body: ContactBody, session: Transaction, caller: Caller) -> ContactAnswer:
    """Add a person. A phone number that opted out makes a person who opted out."""
    contact = service.create_contact(
        session,
        name=body.name,
        phone=body.phone,
        tags=body.tags,
        fields=body.fields,
        consent=body.consent.given() if body.consent else None,
        region=region_of(session, caller),
        recorded_by=caller.user_id,
    )
    return ContactAnswer.of(queries.get_person(session, contact.id))


@router.get("/v1/contacts/tags")
def list_tags(session: Transaction) -> TagList:
    """The tags in use."""
    return TagList.of(queries.list_tags(session))


@router.get("/v1/contacts/fields")
def list_fields(session: Transaction) -> FieldList:
    """The fields in use."""
    return FieldList.of(queries.list_fields(session))


@router.post("/v1/contacts/imports/preview", dependencies=managers, max_body_size=UPLOAD_BYTES)
def preview_import(file: Upload, work: Doing, caller: Caller, locale: Locale) -> PreviewAnswer:
    """Look at a file before it is imported; nothing is kept. Of a CSV the first megabyte is enough."""
    with work.session() as session:
        region = region_of(session, caller)
    whole = (file.size or 0) < SAMPLE_BYTES
    return PreviewAnswer.of(imports.preview_file(file.file, whole=whole, region=region), locale)


@router.post(
    "/v1/contacts/imports",
    status_code=202,
    dependencies=managers,
    max_body_size=UPLOAD_BYTES,
    responses={413: {}},
)
def create_import(
    file: Upload,
    *,
    work: Doing,
    caller: Caller,
    locale: Locale,
    mapping: Mapping = None,
    tags: Tags = None,
    consent: Proof = None,
) -> ImportAnswer:
    """Import a file of people; 202 when it is on disk and queued. Ask for the import to see how far it is."""
    with work.session() as session:
        region = region_of(session, caller)
    recognised = imports.look_at(file.file, region=region)
    kept = imports.keep_file(caller.tenant_id, file.file)
    try:
        with work.session() as session:
            row = imports.create_import(
                session,
                kept,
                recognised,
                filename=file.filename or "",
                mapping=mapping,
                tags=tags.root if tags else (),
                consent=consent.given() if consent else None,
                region=region,
                created_by=caller.user_id,
            )
    except BaseException:
        imports.discard_file(kept.path)
        raise
    return ImportAnswer.of(row, locale)


@router.get("/v1/contacts/imports")
def list_imports(session: Transaction, locale: Locale, limit: Limit = 50, after: After = None) -> ImportList:
    """Imports, the newest first."""
    return ImportList.of(imports.list_imports(session, after=after, limit=limit), locale)


@router.get("/v1/contacts/imports/{import_id}")
def show_import(import_id: UUID, session: Transaction, locale: Locale) -> ImportAnswer:
    """Where an import stands."""
    return ImportAnswer.of(imports.get_import(session, import_id), locale)


@router.post("/v1/contacts/imports/{import_id}/cancel", dependencies=managers, responses={409: {}})
def cancel_import(import_id: UUID, session: Transaction, locale: Locale) -> ImportAnswer:
    """End an import where it is: it stands as failed with the reason `cancelled`, and what was taken stays."""
    return ImportAnswer.of(claims.cancel_import(session, import_id), locale)


@router.get("/v1/contacts/imports/{import_id}/rejects.csv", response_class=StreamingResponse)
def export_rejects(import_id: UUID, work: Doing, locale: Locale) -> StreamingResponse:
    """The rows that were not taken: the file's own columns, then `line` and `reason`. Mend them and send them again."""
    with work.session() as session:
        row = imports.get_import(session, import_id)
    return StreamingResponse(
        rejects_csv(work, row.id, locale=locale),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejects-{row.id}.csv"'},
    )


@router.get("/v1/contacts/{contact_id}")
def show_contact(contact_id: UUID, session: Transaction) -> ContactAnswer:
    """One person."""
    return ContactAnswer.of(queries.get_person(session, contact_id))


@router.patch("/v1/contacts/{contact_id}", dependencies=agents, responses={409: {}})
def change_contact(
    contact_id: UUID, body: ContactChanges, session: Transaction, caller: Caller
) -> ContactAnswer:
    """Change a person."""
    service.change_contact(session, contact_id, body.given(), region=region_of(session, caller))
    return ContactAnswer.of(queries.get_person(session, contact_id))


@router.delete("/v1/contacts/{contact_id}", status_code=204, dependencies=agents)
def delete_contact(contact_id: UUID, session: Transaction) -> None:
    """Remove a person; what was written with them and their files are blanked moments later.

    That they opted out stays known, as a hash; that messages went out stays counted. Rejected rows of an import belong
    to nobody and stay with it; WhatsApp's webhooks as they came are kept for 30 days.
    """
    service.delete_contact(session, contact_id)


@router.put("/v1/contacts/{contact_id}/consent", dependencies=agents)
def set_consent(contact_id: UUID, body: ConsentBody, session: Transaction, caller: Caller) -> ContactAnswer:
    """Write down what a person said to marketing; their newest word counts at once."""
    service.set_consent(
        session,
        contact_id,
        state=ConsentState(body.state),
        source=body.source,
        purpose=body.purpose,
        recorded_by=caller.user_id,
    )
    return ContactAnswer.of(queries.get_person(session, contact_id))
