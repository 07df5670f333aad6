"""Disks that are full: nothing half a file, a clear word, and all well again without a restart.

A process that may write no byte to a file (RLIMIT_FSIZE, set from outside while it runs) fails as on a full disk, at the
same calls and without a file system of its own.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import settings
from tests.api.conftest import Caller, World
from tests.faults.door import DoorProcess, door_process
from tests.faults.proxy import Proxy
from tests.messaging.receiving import Stage, journal_rows, set_stage, sign, text_body
from tests.walks.stack import eventually


@contextmanager
def disk_full(process: psutil.Process) -> Iterator[None]:
    """No file of this process can grow while this lasts."""
    former = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (0, former[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, former)


pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def network(postgres: DatabaseUrls) -> Iterator[Proxy]:
    with Proxy.before(postgres.system) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def door(
    migrated: tuple[str, ...], valkey_url: str, postgres: DatabaseUrls, network: Proxy
) -> Iterator[DoorProcess]:
    with door_process(
        MASTERIA_DATABASE_URL=network.address_of(postgres.app),
        MASTERIA_DATABASE_SYSTEM_URL=network.address_of(postgres.system),
    ) as running:
        yield running


def hook(door: DoorProcess, stage: Stage, body: bytes) -> httpx.Response:
    return httpx.post(
        f"{door.url}/hooks/whatsapp_cloud/{stage.channel_id}",
        content=body,
        headers={"X-Hub-Signature-256": sign(body, stage.secret)},
        timeout=20,
        trust_env=False,
    )


def left_in(folder: Path) -> list[str]:
    """Every file below a folder."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_with_a_full_disk_and_no_database_webhooks_are_asked_to_come_again(
    door: DoorProcess, network: Proxy
) -> None:
    stage = set_stage()
    first, refused, kept, last = (text_body(stage, words) for words in ("1", "2", "3", "4"))
    statuses = [hook(door, stage, first).status_code]

    network.refuse()
    with disk_full(door.process):
        statuses.append(hook(door, stage, refused).status_code)
        left = left_in(settings().spool_dir)
    statuses.append(hook(door, stage, kept).status_code)
    network.pass_on()
    eventually(lambda: len(journal_rows(stage)) == 2, why="the spool was not drained")
    statuses.append(hook(door, stage, last).status_code)

    assert statuses == [200, 503, 200, 200]
    assert left == [], "half a file"
    assert [bytes(row.body) for row in journal_rows(stage)] == [first, kept, last]


def test_with_a_full_disk_and_a_database_webhooks_are_taken(door: DoorProcess) -> None:
    stage = set_stage()
    with disk_full(door.process):
        answer = hook(door, stage, text_body(stage))

    assert answer.status_code == 200
    assert len(journal_rows(stage)) == 1


@pytest.mark.parametrize("size", [1000, 3_000_000], ids=["in memory", "on disk while it comes in"])
def test_a_file_that_finds_no_room_is_said_to_and_leaves_nothing(door: DoorProcess, size: int) -> None:
    world = World(door.url)
    caller: Caller = world.caller()
    lines = b"Nome;Celular\r\nAna;(11) 98765-4321\r\n"
    file = lines + b"x" * (size - len(lines))
    before = left_in(settings().media_dir)

    with disk_full(door.process):
        refused = upload(caller, file)
        left = left_in(settings().media_dir)
    taken = upload(caller, lines)

    assert (refused.status_code, refused.json()["code"]) == (503, "no_room"), refused.text
    assert refused.headers["retry-after"]
    assert left == before
    assert taken.status_code == 202
    assert [line for line in door.log if "request_failed" in line] == []
    for client in world.clients:
        client.close()


def upload(caller: Caller, file: bytes) -> httpx.Response:
    return caller.http.post("/v1/contacts/imports", files={"file": ("clientes.csv", file, "text/csv")})
