"""The files of a month: one for each table, one for what people sent, and a manifest that says what they hold.

A manifest is written last and all at once, so a folder that has one is whole. It keeps two hashes of a table: that of
the file, and that of its rows, by which the database is compared with it later.
"""

import csv
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from psycopg import sql

from engine.messaging.old_months import Month, Part

FORMAT = 1
AGAIN = "Export the month again, into another folder."
MANIFEST = "manifest.json"
MEDIA = "media.tar"
PIECE = 1024 * 1024


class MonthRefused(Exception):  # noqa: N818 (reads as what happened)
    """The month can't be exported or dropped now; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table's rows of a month as CSV, compressed; `rows_sha256` is of the CSV itself."""

    table: str
    name: str
    columns: list[str]
    rows: int
    sha256: str
    rows_sha256: str


@dataclass(frozen=True, slots=True)
class MediaArchive:
    """What people sent, under the keys of the store; `lost` are keys that the store had no file of."""

    name: str
    files: int
    sha256: str
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a month's folder holds."""

    month: str
    exported_at: str
    revision: str
    tables: list[TableFile]
    media: MediaArchive
    format: int = FORMAT

    def table(self, name: str) -> TableFile:
        """A table's file; MonthRefused when the export has none."""
        found = next((one for one in self.tables if one.table == name), None)
        if found is None:
            raise MonthRefused(f"This export has no {name}: it is of another version. {AGAIN}")
        return found


class Hashed:
    """A file that is being written, and its SHA-256."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()

    def write(self, piece: bytes) -> int:
        """Write the next piece."""
        self.digest.update(piece)
        return self._sink.write(piece)

    def flush(self) -> None:
        """Hand over what is written so far."""
        self._sink.flush()


@contextmanager
def _writing(path: Path) -> Iterator[Hashed]:
    """A file that only its owner may read, whole and on the disk at the end, or not there."""
    draft = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        yield Hashed(file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def columns_of(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """The columns of a table in their order."""
    rows = connection.execute(
        """select attname::text from pg_attribute
           where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum""",
        (f"public.{table}",),
    )
    return [name for (name,) in rows]


def read_rows(
    connection: psycopg.Connection[Any],
    part: Part,
    month: Month,
    columns: Iterable[str],
    take: Callable[[bytes], object],
) -> int:
    """Give a month's rows of a table as CSV, piece by piece; answers how many they are.

    The same rows are always the same bytes: their order is fixed, and so is how a value is written.
    """
    bounds = {name: sql.Literal(value).as_string(connection) for name, value in month.ids.items()}
    query = sql.SQL("copy (select {} from {} where {} order by {}) to stdout (format csv, header)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(part.table),
        sql.SQL(part.which % bounds),  # our own words, with ids of ours in them
        sql.SQL(part.order),
    )
    with connection.cursor() as cursor:
        with cursor.copy(query) as rows:
            for piece in rows:
                take(bytes(piece))
        return cursor.rowcount


def write_table(connection: psycopg.Connection[Any], part: Part, month: Month, folder: Path) -> TableFile:
    """Write a month's rows of a table into its file."""
    columns = columns_of(connection, part.table)
    content = hashlib.sha256()
    path = folder / f"{part.table}.csv.gz"
    with _writing(path) as file:
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:

            def take(piece: bytes) -> None:
                content.update(piece)
                packed.write(piece)

            rows = read_rows(connection, part, month, columns, take)
        digest = file.digest
    return TableFile(part.table, path.name, columns, rows, digest.hexdigest(), content.hexdigest())


def write_media(
    files: Iterable[tuple[str, str | None]], read: Callable[[str], Iterable[bytes]], folder: Path
) -> MediaArchive:
    """Write files, given as (key, its SHA-256 as hex), into one archive; what is not there or damaged is `lost`."""
    kept, lost = 0, []
    path = folder / MEDIA
    with _writing(path) as file:
        with tarfile.open(fileobj=file, mode="w|") as archive:  # type: ignore[call-overload]
            for key, digest in files:
                try:
                    content = b"".join(read(key))
                except FileNotFoundError:
                    lost.append(key)
                    continue
                if digest is not None and hashlib.sha256(content).hexdigest() != digest:
                    lost.append(key)
                    continue
                entry = tarfile.TarInfo(key)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
                kept += 1
        digest_of_all = file.digest
    return MediaArchive(path.name, kept, digest_of_all.hexdigest(), lost)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """The last file: from here on the export is whole."""
    with _writing(folder / MANIFEST) as file:
        file.write(json.dumps(asdict(manifest), indent=2).encode() + b"\n")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> Manifest:
    """What a folder says that it holds; MonthRefused when it is no export."""
    try:
        told: object = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        if (folder.parent / MANIFEST).exists():
            raise MonthRefused(f"{folder.parent} is an export itself: name the folder above it.") from None
        raise MonthRefused(f"There is no export in {folder}: masteria export-month makes one.") from None
    except OSError as error:
        raise MonthRefused(f"The export can't be read: {error}") from None
    except ValueError as error:
        raise MonthRefused(f"{folder / MANIFEST} is damaged: {error}. {AGAIN}") from None
    if not isinstance(told, dict):
        raise MonthRefused(f"{folder / MANIFEST} is damaged: it is no manifest. {AGAIN}")
    if told.get("format") != FORMAT:
        raise MonthRefused(f"{folder} was written by another version of this command. {AGAIN}")
    try:
        tables = [TableFile(**table) for table in told["tables"]]
        return Manifest(**{**told, "tables": tables, "media": MediaArchive(**told["media"])})
    except (KeyError, TypeError) as error:
        raise MonthRefused(f"{folder / MANIFEST} is damaged: {error}. {AGAIN}") from None


def verify(manifest: Manifest, folder: Path) -> None:
    """Read every file to its end; MonthRefused when one is not what the manifest says."""
    for table in manifest.tables:
        _verify_file(folder / table.name, table.sha256)
        content = hashlib.sha256()
        csv.field_size_limit(sys.maxsize)
        with gzip.open(folder / table.name) as lines:
            rows = sum(1 for _ in csv.reader(_decoded(lines, content.update))) - 1
        if (rows, content.hexdigest()) != (table.rows, table.rows_sha256):
            raise MonthRefused(
                f"{folder / table.name} does not hold the {table.rows} rows that the manifest says. {AGAIN}"
            )
    _verify_file(folder / manifest.media.name, manifest.media.sha256)
    with tarfile.open(folder / manifest.media.name) as archive:
        files = sum(1 for _ in archive)
    if files != manifest.media.files:
        raise MonthRefused(
            f"{folder / manifest.media.name} does not hold {manifest.media.files} files. {AGAIN}"
        )


def _decoded(lines: Iterable[bytes], look: Callable[[bytes], object]) -> Iterator[str]:
    for line in lines:
        look(line)
        yield line.decode()


def _verify_file(path: Path, expected: str) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MonthRefused(f"{path} is missing. {AGAIN}") from None
    if digest != expected:
        raise MonthRefused(f"{path} is damaged: it is not the file that was written. {AGAIN}")
