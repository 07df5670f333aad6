"""Verbs and questions on imports: keep a file, begin, list, and tell where one stands."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.consent import SOURCE_LENGTH, GivenConsent, check_consent
from engine.contacts.imports.columns import (
    PHONE,
    Column,
    checked_mapping,
    guess_columns,
    guessed_mapping,
)
from engine.contacts.imports.layout import Layout, Recognised, recognise
from engine.contacts.imports.problems import FILE_TEXTS, BadFile, Problem
from engine.contacts.models import ContactImport, ImportStatus
from engine.contacts.wording import clean, clean_tags
from engine.core.bells import ring
from engine.core.db import after_commit
from engine.core.errors import Invalid, NotFound, TooLarge
from engine.core.events import Fact, emit
from engine.core.ids import TenantId, uuid7
from engine.core.pages import Page, clamp, decode_id, page_of
from engine.core.settings import settings

MEBIBYTE = 1024 * 1024
MAX_BYTES = 256 * MEBIBYTE  # a million rows of twenty columns
PIECE = MEBIBYTE
FILENAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file looks like, before anything of it is imported."""

    layout: Layout | None
    columns: Sequence[Column]
    rows_sampled: int
    problems: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An uploaded file on our disk: the id of the import it is for, and where it lies below the media folder."""

    import_id: UUID
    path: str
    size: int


def preview_file(file: BinaryIO, *, whole: bool, region: str) -> Preview:
    """The columns of a file with guesses and samples; what is wrong with it stands in `problems`."""
    try:
        recognised = recognise(file, whole=whole, region=region)
    except BadFile as error:
        return Preview(None, (), 0, [Problem(error.code, error.values)])
    columns = guess_columns(recognised.layout, recognised.rows, region=region)
    lacks_phone = all(column.guess != PHONE for column in columns)
    problems = [Problem("no_phone_column")] if lacks_phone else []
    return Preview(recognised.layout, columns, len(recognised.rows), problems)


def look_at(file: BinaryIO, *, region: str) -> Recognised:
    """How an upload is to be read; Invalid, in the person's words, when it can't be."""
    try:
        return recognise(file, region=region)
    except BadFile as error:
        raise Invalid.field("file", error.code, FILE_TEXTS[error.code], **error.values) from error


def keep_file(tenant_id: TenantId, file: BinaryIO) -> KeptFile:
    """Copy an upload to the tenant's folder, on disk for good when this returns; TooLarge above 256 MB."""
    file.seek(0)
    import_id = uuid7()
    relative = f"imports/{tenant_id}/{import_id}"
    target = place_of(relative)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as kept:
            size = _copy_within_limit(file, kept)
            kept.flush()
            os.fsync(kept.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return KeptFile(import_id, relative, size)


def _copy_within_limit(source: BinaryIO, target: BinaryIO) -> int:
    size = 0
    while piece := source.read(PIECE):
        size += len(piece)
        if size > MAX_BYTES:
            raise TooLarge(values={"limit": f"{MAX_BYTES // MEBIBYTE} MB"})
        target.write(piece)
    return size


def place_of(path: str) -> Path:
    """Where a kept file lies."""
    return settings().media_dir / path


def discard_file(path: str) -> None:
    """Delete a kept file; it may be gone already."""
    place_of(path).unlink(missing_ok=True)


def create_import(
    session: Session,
    kept: KeptFile,
    recognised: Recognised,
    *,
    filename: str,
    mapping: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    consent: GivenConsent | None = None,
    region: str = "BR",
    created_by: UUID | None = None,
) -> ContactImport:
    """Begin an import of a kept file; Invalid, in the person's words, when the mapping or the consent does not fit."""
    if consent is not None:
        check_consent(consent.purpose, consent.source, within="consent.")
    row = ContactImport(
        id=kept.import_id,
        filename=clean(filename.replace("\\", "/").rpartition("/")[2], FILENAME_LENGTH),
        path=kept.path,
        region=region,
        layout=recognised.layout.as_json(),
        mapping=_used_mapping(recognised, mapping, region),
        tags=list(clean_tags(tags)),
        consent=None
        if consent is None
        else {"purpose": consent.purpose, "source": clean(consent.source, SOURCE_LENGTH)},
        bytes_total=kept.size,
        created_by=created_by,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    import_changed(session, row)
    after_commit(session, lambda: ring("import"))
    return row


def _used_mapping(recognised: Recognised, mapping: Mapping[str, str] | None, region: str) -> dict[str, str]:
    """The person's mapping, or the guessed one; Invalid when it finds no phone."""
    if mapping:
        used = checked_mapping(mapping, recognised.layout)
    else:
        used = guessed_mapping(guess_columns(recognised.layout, recognised.rows, region=region))
    if PHONE not in used.values():
        raise Invalid.field("mapping", "no_phone_column", FILE_TEXTS["no_phone_column"])
    return used


def get_import(session: Session, import_id: UUID) -> ContactImport:
    """The import with this id; NotFound when there is none."""
    row = session.scalar(select(ContactImport).where(ContactImport.id == import_id))
    if row is None:
        raise NotFound()
    return row


def list_imports(
    session: Session, *, after: str | None = None, limit: int | None = None
) -> Page[ContactImport]:
    """One page of imports, the newest first."""
    size = clamp(limit)
    statement = select(ContactImport).order_by(ContactImport.id.desc()).limit(size + 1)
    before = decode_id(after)
    if before is not None:
        statement = statement.where(ContactImport.id < before)
    return page_of(session.scalars(statement).all(), size, lambda row: (row.id,))


def progress_of(row: ContactImport) -> float:
    """How much of the file has been read, 0 to 1."""
    if row.status == ImportStatus.COMPLETED:
        return 1.0
    return round(min(row.bytes_read / row.bytes_total, 1.0), 4) if row.bytes_total else 0.0


def problem_of(row: ContactImport) -> Problem | None:
    """Why an import failed, or None."""
    return Problem(row.error["code"], row.error.get("values", {})) if row.error else None


def import_changed(session: Session, row: ContactImport) -> None:
    """Tell screens where an import stands. The error goes as its code: its words depend on the reader."""
    data = {
        "id": str(row.id),
        "revision": row.revision,
        "filename": row.filename,
        "status": row.status,
        "total": row.total,
        "created": row.created,
        "updated": row.updated,
        "rejected": row.rejected,
        "progress": progress_of(row),
        "error": {"code": row.error["code"], "text": ""} if row.error else None,
        "created_at": row.created_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
    }
    emit(session, Fact("import.changed", data))
