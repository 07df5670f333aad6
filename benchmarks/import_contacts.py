"""How fast and in how much memory a file of contacts comes in: `python benchmarks/import_contacts.py [--rows 1000000]`.

Runs a PostgreSQL of its own in a temporary folder (or uses the one of MASTERIA_HOME with --here), makes a messy CSV,
and lets a worker process import it twice: everybody new, then everybody known. Prints rows a second, seconds, and the
worker's peak memory.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from alembic import command  # noqa: E402 - the checkout comes first
from alembic.config import Config  # noqa: E402

from engine.contacts.consent import GivenConsent  # noqa: E402
from engine.contacts.imports.run import run_import  # noqa: E402
from engine.contacts.imports.service import create_import, get_import, keep_file, look_at  # noqa: E402
from engine.core.db import Work, tenant_session  # noqa: E402
from engine.core.ids import TenantId, uuid7  # noqa: E402
from engine.core.settings import settings  # noqa: E402
from engine.embedded import remember_urls, start_postgres  # noqa: E402

FIRST_NAMES = [
    "Ana",
    "João",
    "Débora",
    "Antônio",
    "Luíza",
    "Márcia",
    "Otávio",
    "Zélia",
    "Caio",
    "Bruna",
    "Inês",
    "Tiago",
    "Sônia",
    "Rafael",
]
LAST_NAMES = [
    "Silva",
    "Santos",
    "Gonçalves",
    "Araújo",
    "Lima",
    "Nascimento",
    "Sousa",
    "Conceição",
    "Rocha",
    "Teixeira",
]
TOWNS = ["São Paulo", "Recife", "Belém", "Curitiba", "Niterói", "Maceió"]
AREA_CODES = (11, 21, 31, 41, 51, 61, 71, 81, 85, 91)


def write_file(path: Path, rows: int) -> None:
    """A CSV as companies have them: numbers written in five ways, doubles, some that are none."""
    chance = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        file.write("Nome;Celular;E-mail;Cidade;Etiquetas\n")
        for number in range(rows):
            name = f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)} {chance.choice(LAST_NAMES)}"
            area, left, right = chance.choice(AREA_CODES), chance.randrange(10_000), chance.randrange(10_000)
            phone = chance.choice(
                (
                    f"+55{area}9{left:04d}{right:04d}",
                    f"({area}) 9{left:04d}-{right:04d}",
                    f"{area}9{left:04d}{right:04d}",
                    f"55 {area} 9{left:04d} {right:04d}",
                    f"{area} 9{left:04d}{right:04d}",
                )
            )
            if number % 200 == 0:
                phone = "não tem"
            tag = chance.choice(("cliente", "lead, frio", "lead, quente", ""))
            file.write(f'{name};{phone};p{number}@example.com;{chance.choice(TOWNS)};"{tag}"\n')


@contextmanager
def database(here: bool) -> Iterator[None]:
    """A migrated database: of MASTERIA_HOME, or one that lives as long as this run."""
    if here:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="masteria-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        os.environ["MASTERIA_HOME"] = folder
        postgres = start_postgres(Path(folder))
        try:
            remember_urls(Path(folder), database=postgres.urls, redis_url="redis://127.0.0.1:1/0")
            settings.cache_clear()
            command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
            yield
        finally:
            postgres.stop()


def work_on(tenant_id: str, import_id: str) -> None:
    """The worker's part, in a process of its own so that its memory is its own."""
    run_import(Work(TenantId(UUID(tenant_id))), UUID(import_id))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def measure(label: str, tenant_id: TenantId, path: Path) -> None:
    """Import the file once and print what it took."""
    with path.open("rb") as file:
        recognised = look_at(file, region="BR")
        kept = keep_file(tenant_id, file)
    with tenant_session(tenant_id) as session:
        consent = GivenConsent(source="benchmark")
        row = create_import(
            session, kept, recognised, filename=path.name, tags=["importados"], consent=consent
        )
    began = time.monotonic()
    worker = subprocess.run(
        [sys.executable, __file__, "--worker", str(tenant_id), str(row.id)],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - began
    with tenant_session(tenant_id) as session:
        row = get_import(session, row.id)
    print(
        f"{label}: {row.total:,} rows in {seconds:.1f} s = {row.total / seconds:,.0f} rows/s, "
        f"peak {worker.stdout.split()[-1]} MB; created {row.created:,}, updated {row.updated:,}, "
        f"rejected {row.rejected:,}, {row.status}"
    )


def main() -> None:
    """Read the options and measure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--here", action="store_true", help="use the database of MASTERIA_HOME")
    options.add_argument("--worker", nargs=2, metavar=("TENANT", "IMPORT"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        work_on(*chosen.worker)
        return
    with database(chosen.here), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contacts.csv"
        write_file(path, chosen.rows)
        tenant_id = TenantId(uuid7())
        measure("new people", tenant_id, path)
        measure("known people", tenant_id, path)


if __name__ == "__main__":
    main()
