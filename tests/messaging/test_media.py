"""Files that people send, from a provider on a socket into the store: checked, retried, never another host's."""

import base64
import errno
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.core.bootstrap import DatabaseUrls
from engine.core.db import Work
from engine.core.errors import NotFound
from engine.core.ids import TenantId, uuid7
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging import media
from engine.messaging.filetypes import type_of
from engine.messaging.models import MediaFile
from engine.messaging.storage.local import LocalStore
from tests.messaging.receiving import Stage, set_stage

JPEG = b"\xff\xd8\xff\xe0" + b"a picture" * 100


class FileHost:
    """A Graph API that has one file."""

    def __init__(self) -> None:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append((self.path, self.headers.get("Authorization", "")))
                status, body = host.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        self.asked: list[tuple[str, str]] = []
        self.content = JPEG
        self.place: dict[str, Any] = {}
        self.file_status = 200
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[int, bytes]:
        if path.startswith("/file"):
            return self.file_status, self.content
        place = {
            "url": f"{self.url}/file",
            "mime_type": "image/jpeg",
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "file_size": len(self.content),
            "id": "1234",
        }
        return 200, json.dumps(place | self.place).encode()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileHost]:
    found = FileHost()
    monkeypatch.setenv("MASTERIA_SIMULATOR_URL", found.url)
    settings.cache_clear()
    yield found
    found.server.shutdown()
    found.server.server_close()
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def stage(database: DatabaseUrls, host: FileHost) -> Stage:
    return set_stage()


def wait_for_file(stage: Stage, **given: Any) -> Any:
    file = MediaFile(
        id=uuid7(), channel_id=stage.channel_id, message_id=uuid7(), provider_media_id="1234", **given
    )
    with stage.session() as session:
        session.add(file)
    return file.id


def fetch(stage: Stage) -> Any:
    media.fetch_for(Work(TenantId(stage.tenant_id)))
    return stage.rows("select * from media_files")[0]


def test_a_file_is_fetched_checked_and_given_back(stage: Stage, host: FileHost) -> None:
    media_id = wait_for_file(
        stage, sha256=base64.b64encode(hashlib.sha256(JPEG).digest()).decode(), filename="foto.jpg"
    )

    row = fetch(stage)

    assert (row.status, row.mime_type, row.size) == ("stored", "image/jpeg", len(JPEG))
    assert row.path.startswith(f"{stage.tenant_id}/")
    with stage.session() as session:
        assert b"".join(media.read_media(media.get_media(session, media_id))) == JPEG
    assert host.asked[0][0].startswith("/v25.0/1234")
    assert all(token == "Bearer a-token" for _, token in host.asked)
    assert list((settings().media_dir / "drafts").iterdir()) == []


def test_a_store_that_fails_counts_as_a_try_and_keeps_no_other_file_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(LocalStore, "put", full)
        wait_for_file(stage)
        wait_for_file(stage)
        fetch(stage)
    rows = stage.rows("select status, tries, error, lease_until, due_at > now() as waits from media_files")

    assert rows == [("pending", 1, "not_kept", None, True)] * 2


def test_a_file_of_another_tenant_is_not_found(stage: Stage) -> None:
    media_id = wait_for_file(stage)
    fetch(stage)

    with Stage().session() as session, pytest.raises(NotFound):
        media.get_media(session, media_id)


def test_a_file_at_another_host_is_not_asked_for_and_sees_no_token(stage: Stage, host: FileHost) -> None:
    other = FileHost()
    host.place = {"url": f"{other.url}/file"}
    wait_for_file(stage)

    row = fetch(stage)

    assert (row.status, row.error, other.asked) == ("failed", "media_unavailable", [])
    other.server.shutdown()
    other.server.server_close()


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<html><script>1</script>", "text/plain"),
        (b"#EXTM3U\nhttp://127.0.0.1/", "text/plain"),
        (b"MZ\x90\x00", "application/pdf"),
        (b"just words", "image/jpeg"),
        (b"", "text/plain"),
    ],
)
def test_content_that_is_not_on_the_list_is_not_kept_whatever_it_is_called(
    stage: Stage, host: FileHost, content: bytes, declared: str
) -> None:
    host.content = content
    wait_for_file(stage, mime_type=declared, filename="foto.jpg")

    row = fetch(stage)

    assert (row.status, row.error, row.path) == ("failed", "media_not_allowed", None)


def test_more_than_we_take_is_given_up(stage: Stage, host: FileHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_BYTES", 100)
    host.place = {"file_size": 10}  # what is announced need not be true
    wait_for_file(stage)

    assert (fetch(stage).status, fetch(stage).error) == ("failed", "too_large")


def test_a_file_that_was_altered_or_does_not_come_is_tried_again_with_growing_gaps(
    stage: Stage, host: FileHost
) -> None:
    wait_for_file(stage, sha256=hashlib.sha256(b"another").hexdigest())
    host.place = {"sha256": None}
    seen = []
    for status in (200, 500):
        host.file_status = status
        row = fetch(stage)
        seen.append((row.status, row.error, row.tries))
        with stage.session() as session:
            session.execute(text("update media_files set due_at = now()"))

    assert seen == [("pending", "media_altered", 1), ("pending", "provider_fault", 2)]


def test_a_file_whose_holder_died_is_taken_over_when_the_lease_ends(stage: Stage) -> None:
    wait_for_file(stage)
    with stage.session() as session:
        session.execute(text("update media_files set lease_until = now() + interval '1 hour', tries = 1"))
    held = fetch(stage).status
    with stage.session() as session:
        session.execute(text("update media_files set lease_until = now() - interval '1 s'"))

    assert (held, fetch(stage).status) == ("pending", "stored")


def test_files_of_every_tenant_are_fetched(stage: Stage) -> None:
    other = set_stage()
    for one in (stage, other):
        wait_for_file(one)
    with system_session() as session:
        due = media.is_due(session)

    media.fetch_due_media()

    assert due
    assert [one.one("select status from media_files") for one in (stage, other)] == ["stored", "stored"]


def test_a_slice_that_is_over_leaves_the_rest_for_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "SLICE_SECONDS", 0.0)
    for one in (stage, set_stage()):
        wait_for_file(one)

    more = media.fetch_due_media()

    assert more
    assert stage.one("select count(*) from media_files where status = 'pending'") == 1


def test_only_the_file_that_is_fetched_now_is_under_lease(stage: Stage, host: FileHost) -> None:
    for _ in range(3):
        wait_for_file(stage)
    leased: list[int] = []
    answer = host.answer

    def look_and_answer(path: str) -> tuple[int, bytes]:
        if path.startswith("/file"):
            leased.append(stage.one("select count(*) from media_files where lease_until is not null"))
        return answer(path)

    host.answer = look_and_answer  # type: ignore[method-assign]

    assert media.fetch_for(Work(TenantId(stage.tenant_id))) == 3
    assert leased == [1, 1, 1]


@pytest.mark.parametrize("key", ["../etc/passwd", "/etc/passwd", "a/b", "", "x" * 36 + "/202601/" + "0" * 32])
def test_only_keys_of_our_own_making_lead_to_a_file(tmp_path: Path, key: str) -> None:
    store = LocalStore(tmp_path)

    with pytest.raises(FileNotFoundError):
        store.read(key)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd.jpg"),
        ("foto.jpg.exe", "foto.jpg.jpg"),
        ("a\u202egpj.exe", "agpj.jpg"),
        ('x"\r\nSet-Cookie: a', "xSet-Cookie a.jpg"),
        ("", "1234.jpg"),
        (None, "1234.jpg"),
        ("...", "file.jpg"),
    ],
)
def test_a_file_is_saved_under_a_name_that_is_safe(name: str | None, shown: str) -> None:
    file = MediaFile(filename=name, provider_media_id="1234", mime_type="image/jpeg")

    assert media.download_name(file) == shown


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/jpeg", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", None, "image/webp"),
        (b"OggS\x00", "audio/ogg; codecs=opus", "audio/ogg"),
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4", "video/mp4"),
        (b"%PDF-1.7", "application/pdf", "application/pdf"),
        (b"PK\x03\x04", "application/zip", "application/zip"),
        (b"nome;telefone\n", "text/csv", "text/csv"),
    ],
)
def test_a_type_is_told_by_the_content(
    tmp_path: Path, content: bytes, declared: str | None, found: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert type_of(path, declared) == found
