"""A company to have contacts, another that must not see them, and imports run to their end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.consent import GivenConsent
from engine.contacts.imports.rejects import rejects_csv
from engine.contacts.imports.run import run_import
from engine.contacts.imports.service import create_import, get_import, keep_file, look_at
from engine.contacts.models import Consent, ContactImport
from engine.contacts.queries import list_contacts
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import Work, tenant_session
from engine.core.events import OutboxEntry
from engine.core.ids import TenantId, uuid7


@dataclass(frozen=True, slots=True)
class Company:
    """A tenant, and what tests do with its contacts."""

    tenant_id: TenantId

    @property
    def work(self) -> Work:
        """What a job of this company gets."""
        return Work(self.tenant_id)

    def queue(
        self,
        content: bytes,
        *,
        filename: str = "people.csv",
        mapping: Mapping[str, str] | None = None,
        tags: Sequence[str] = (),
        consent: GivenConsent | None = None,
    ) -> UUID:
        """A file kept and queued."""
        file = BytesIO(content)
        recognised = look_at(file, region="BR")
        kept = keep_file(self.tenant_id, file)
        with tenant_session(self.tenant_id) as session:
            row = create_import(
                session, kept, recognised, filename=filename, mapping=mapping, tags=tags, consent=consent
            )
            return row.id

    def bring_in(self, content: bytes | str, **given: object) -> ContactImport:
        """A file imported to its end."""
        import_id = self.queue(content.encode() if isinstance(content, str) else content, **given)  # type: ignore[arg-type]
        assert run_import(self.work, import_id)
        return self.stand(import_id)

    def stand(self, import_id: UUID) -> ContactImport:
        """The import as it stands."""
        with tenant_session(self.tenant_id) as session:
            return get_import(session, import_id)

    def people(self) -> dict[str, tuple[str, dict[str, object], tuple[str, ...], str]]:
        """By phone: name, fields, tags, consent."""
        with tenant_session(self.tenant_id) as session:
            return {
                person.contact.phone or "": (
                    person.contact.name,
                    person.contact.fields,
                    person.tags,
                    person.contact.marketing_consent,
                )
                for person in list_contacts(session, limit=200).items
            }

    def rejects(self, import_id: UUID, locale: str = "en") -> str:
        """The CSV of the rejected rows, without its byte order mark."""
        return b"".join(rejects_csv(self.work, import_id, locale=locale)).decode().removeprefix("\ufeff")

    def facts(self, kind: str) -> list[dict[str, object]]:
        """The facts of a kind, in order."""
        with tenant_session(self.tenant_id) as session:
            entries = session.scalars(
                select(OutboxEntry).where(OutboxEntry.kind == kind).order_by(OutboxEntry.id)
            )
            return [entry.payload for entry in entries]


@pytest.fixture
def company(database: DatabaseUrls) -> Company:
    """The company of the test."""
    return Company(TenantId(uuid7()))


@pytest.fixture
def stranger(database: DatabaseUrls) -> Company:
    """Another company."""
    return Company(TenantId(uuid7()))


@pytest.fixture
def session(company: Company) -> Iterator[Session]:
    """A transaction of the company."""
    with tenant_session(company.tenant_id) as opened:
        yield opened


@pytest.fixture
def moved() -> list[tuple[UUID, UUID]]:
    """What the floors above were asked to move: (kept, gone)."""
    return []


@pytest.fixture
def repoint(moved: list[tuple[UUID, UUID]]) -> Callable[[Session, UUID, UUID], None]:
    """A `repoint` that only notes what it was asked."""
    return lambda _session, kept, gone: moved.append((kept, gone))


def words_of(session: Session, contact_id: UUID) -> Sequence[Consent]:
    """All that a person said, the newest first."""
    query = select(Consent).where(Consent.contact_id == contact_id)
    return session.scalars(query.order_by(Consent.said_at.desc(), Consent.id.desc())).all()
