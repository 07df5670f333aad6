"""A worker that dies in the middle of an import: the next one goes on, nothing is lost, nothing comes in twice."""

import subprocess
import sys
import time
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from engine.contacts.imports.run import BATCH_ROWS, run_import
from engine.contacts.models import (
    Contact,
    ContactIdentity,
    ContactImport,
    ContactTag,
    ImportContact,
    ImportReject,
)
from engine.core.db import tenant_session
from engine.core.system import system_session
from tests.contacts.conftest import Company

ROWS = BATCH_ROWS * 8
WORKER = """
import sys
from uuid import UUID
from engine.contacts.imports.run import run_import
from engine.core.db import Work
run_import(Work(UUID(sys.argv[1])), UUID(sys.argv[2]))
"""


def file_of_people() -> bytes:
    """Every tenth row is a double of the one before, every hundredth has no phone."""
    lines = ["nome;fone;tags"]
    for number in range(ROWS):
        phone = "none" if number % 100 == 99 else f"7198{number - (number % 10 == 5):07d}"
        lines.append(f"Pessoa {number};{phone};t{number % 3}")
    return "\n".join(lines).encode()


def rows_read(company: Company, import_id: UUID) -> int:
    return company.stand(import_id).total


def kill_midway(company: Company, import_id: UUID, *, after: int) -> int:
    """Start a worker, kill it once it has committed more than `after` rows; answers what stood then."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(company.tenant_id), str(import_id)])
    while rows_read(company, import_id) <= after and worker.poll() is None:
        time.sleep(0.01)
    worker.kill()
    worker.wait()
    return rows_read(company, import_id)


def end_the_lease() -> None:
    with system_session() as session:
        session.execute(update(ContactImport).values(lease_until=func.now() - timedelta(seconds=1)))


def test_an_import_whose_workers_are_killed_counts_every_row_once(company: Company) -> None:
    import_id = company.queue(file_of_people(), tags=["todos"])

    stood = kill_midway(company, import_id, after=0)
    end_the_lease()
    stood_later = kill_midway(company, import_id, after=stood)
    end_the_lease()
    ended = run_import(company.work, import_id)

    row = company.stand(import_id)
    rejected, doubles = ROWS // 100, ROWS // 10
    assert ended
    assert 0 < stood < stood_later < ROWS
    assert (row.status, row.epoch) == ("completed", 3)
    assert (row.total, row.rejected, row.updated) == (ROWS, rejected, doubles)
    with tenant_session(company.tenant_id) as session:

        def count(table: type) -> int:
            return session.scalar(select(func.count()).select_from(table)) or 0

        assert count(Contact) == count(ContactIdentity) == count(ImportContact) == row.created
        assert row.created == ROWS - rejected - doubles
        assert count(ImportReject) == rejected
        lines = session.scalars(select(ImportReject.line)).all()
        assert sorted(lines) == [number + 2 for number in range(ROWS) if number % 100 == 99]
        tagged = select(func.count()).select_from(ContactTag).where(ContactTag.tag == "todos")
        assert session.scalar(tagged) == row.created
