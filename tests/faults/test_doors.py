"""What strangers do to the doors: bodies without end, people who never finish, people who leave in the middle."""

import asyncio
import gzip
import itertools
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest

from engine.api.deps import PLACES
from engine.core.bootstrap import DatabaseUrls
from tests.api.conftest import Caller, World
from tests.faults.door import MEBIBYTE, DoorProcess, door_process
from tests.messaging.receiving import Stage, set_stage
from tests.walks.stack import eventually

GROWTH = 50 * MEBIBYTE
SOON = 1.0  # seconds, of the process alone; this machine may be busy with others
PATIENCE = 5.0
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def door(migrated: tuple[str, ...], valkey_url: str) -> Iterator[DoorProcess]:
    with door_process() as running:
        yield running


@pytest.fixture
def world(database: DatabaseUrls, door: DoorProcess) -> Iterator[World]:
    made = World(door.url)
    yield made
    for client in made.clients:
        client.close()


@pytest.fixture
def caller(world: World) -> Caller:
    return world.caller()


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


def post(path: str, *headers: str) -> str:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""])


def chunks(size: int) -> Iterator[bytes]:
    """A body of so many bytes in chunks of a mebibyte."""
    chunk = b"%x\r\n%s\r\n" % (MEBIBYTE, b"x" * MEBIBYTE)
    yield from itertools.repeat(chunk, size // MEBIBYTE)
    yield b"0\r\n\r\n"


@pytest.mark.parametrize("path", ["/v1/contacts", "/v1/auth/token", "/hooks/whatsapp_cloud/{channel}"])
@pytest.mark.parametrize("kind", ["application/json", FORM])
def test_a_body_of_a_hundred_megabytes_or_without_end_is_refused_at_once(
    door: DoorProcess, stage: Stage, path: str, kind: str
) -> None:
    path = path.format(channel=stage.channel_id)
    before, began = door.memory(), time.monotonic()
    said = post(path, f"Content-Type: {kind}", f"Content-Length: {100 * MEBIBYTE}")
    endless = post(path, f"Content-Type: {kind}", "Transfer-Encoding: chunked")

    announced, _ = door.raw(said, iter(()))
    chunked, sent = door.raw(endless, chunks(1024 * MEBIBYTE))

    assert (announced, chunked) == (413, 413)
    assert time.monotonic() - began < PATIENCE
    assert sent < 64 * MEBIBYTE, "nobody reads what will not be taken"
    assert door.memory() - before < GROWTH


def test_a_form_of_half_a_million_fields_is_refused_and_fills_no_memory(
    door: DoorProcess, world: World
) -> None:
    client, before, began = world.client(), door.memory(), time.monotonic()
    under_the_limit = b"a&" * (500_000)
    boundary = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'

    answers = [
        client.post("/v1/auth/token", content=under_the_limit, headers={"Content-Type": FORM}),
        client.post("/v1/auth/token", content=b"a&" * 1_000_000, headers={"Content-Type": FORM}),
        client.post(
            "/v1/auth/token",
            content=boundary * 20_000 + b"--b--\r\n",
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        ),
    ]

    assert [answer.status_code for answer in answers] == [400, 413, 400]
    assert time.monotonic() - began < PATIENCE
    assert door.memory() - before < GROWTH


def test_json_of_ten_thousand_levels_is_refused(door: DoorProcess, caller: Caller) -> None:
    before, began = door.memory(), time.monotonic()
    deep = [sign[0] * 10_000 + sign[1] * 10_000 for sign in ("[]", ('{"a":', "}"))]

    answers = [
        caller.http.post("/v1/contacts", content=body, headers={"Content-Type": "application/json"})
        for body in deep
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert time.monotonic() - began < PATIENCE
    assert door.memory() - before < GROWTH


def test_a_small_body_that_unfolds_to_gigabytes_is_not_unfolded(
    door: DoorProcess, caller: Caller, stage: Stage
) -> None:
    bomb = gzip.compress(bytes(100 * MEBIBYTE), 9)
    before, began = door.memory(), time.monotonic()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    answers = [
        caller.http.post(path, content=bomb, headers=headers)
        for path in ("/v1/contacts", f"/hooks/whatsapp_cloud/{stage.channel_id}")
    ]

    assert [answer.status_code for answer in answers] == [415, 401]
    assert time.monotonic() - began < PATIENCE
    assert door.memory() - before < GROWTH


SLOW = 500
HEADS = (
    "GET /healthz HTTP/1.1\r\nHost: x\r\nX-",
    "POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[",
    "POST /hooks/whatsapp_cloud/{channel} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[",
    "POST /v1/auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: "
    + FORM
    + "\r\nTransfer-Encoding: chunked\r\n\r\n1",
)


def sleepers(door: DoorProcess, stage: Stage) -> list[socket.socket]:
    """Connections on which somebody has begun to say something, each kind as often."""
    found = []
    for number in range(SLOW):
        connection = socket.create_connection(("127.0.0.1", door.port), timeout=5)
        connection.sendall(HEADS[number % len(HEADS)].format(channel=stage.channel_id).encode())
        found.append(connection)
    eventually(lambda: door.sockets() >= SLOW, why="not all were let in")
    return found


def test_five_hundred_who_never_finish_hold_nobody_up(
    door: DoorProcess, caller: Caller, stage: Stage
) -> None:
    slow = sleepers(door, stage)

    took = door.health_seconds(20)
    answer = caller.http.post("/v1/contacts", json={"name": "Ana", "phone": "+5511987654321"})

    for connection in slow:
        connection.close()
    assert answer.status_code == 201
    assert took[18] < SOON


@pytest.mark.long
def test_those_who_never_finish_are_gone_within_half_a_minute(door: DoorProcess, stage: Stage) -> None:
    slow = sleepers(door, stage)
    began = time.monotonic()
    took: list[float] = []

    while door.sockets() > 0 and time.monotonic() - began < 60:
        for connection in slow[:: len(HEADS)]:  # their heads drip on
            with suppress(ConnectionError):
                connection.sendall(b"a")
        took += door.health_seconds(5)
        time.sleep(1)
    seconds = time.monotonic() - began

    for connection in slow:
        connection.close()
    took.sort()
    p95 = took[int(len(took) * 0.95)]
    print(f"{SLOW} slow connections: gone after {seconds:.1f} s, health p95 {p95 * 1000:.0f} ms meanwhile")
    assert seconds < 32
    assert p95 < 0.2


LEAVERS = 500
POOLED = (
    10 + 20 + 15 + 1
)  # connections of the app role with its overflow, of the system role, and the journal's


def test_five_hundred_who_leave_in_the_middle_leave_nothing_behind(
    door: DoorProcess, caller: Caller, superuser_url: str
) -> None:
    chance = random.Random(29)
    token = caller.http.headers["Authorization"]
    asks = [
        f"GET /v1/contacts HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n",
        "POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 14\r\n"
        f"Authorization: {token}\r\n\r\n" + '{"name":"Ana"}',
    ]

    async def leave(number: int) -> None:
        async with at_once:
            _, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(asks[number % 2].encode())
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            writer.transport.abort()

    async def leave_all() -> None:
        await asyncio.gather(*(leave(number) for number in range(LEAVERS)))

    at_once = asyncio.Semaphore(100)
    asyncio.run(leave_all())

    with psycopg.connect(superuser_url, autocommit=True) as connection:
        eventually(lambda: in_transactions(connection) == 0, seconds=5, why="somebody holds a transaction")
    with ThreadPoolExecutor(PLACES + 6) as pool:  # each place and each connection serves again
        answers = list(pool.map(lambda _: caller.http.get("/v1/contacts?limit=1"), range(PLACES + 6)))
    assert {answer.status_code for answer in answers} == {200}
    assert door.connections() <= POOLED
    assert [line for line in door.log if '"level":"error"' in line] == []


def in_transactions(connection: psycopg.Connection) -> int:
    """How many of the application's connections are within a transaction."""
    row = connection.execute(
        "select count(*) from pg_stat_activity where usename = 'masteria_app' and state <> 'idle'"
    ).fetchone()
    assert row is not None
    return int(row[0])
