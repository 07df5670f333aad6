"""Webhooks that are signed and make no sense: answered 200, understood as far as they go, nothing half-written."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import project_root
from engine.messaging import intake
from tests.api.served import Served, serving
from tests.messaging.receiving import Stage, journal_rows, set_stage, text_body

PAYLOADS = sorted((project_root() / "tests/payloads/whatsapp_cloud").glob("[!_]*.json"))
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    "",
    "\0",
    "a\0b",
    "\ud800",
    "x" * 70_000,
    "5571980000102",
    [],
    [[]],
    {},
    {"": {}},
    [None, 1, "a"],
    "99999999999999999999",
    "-1",
    "NaN",
]
HALF = {
    "a message without its thread": "select count(*) from messages where direction = 'in' and conversation_id is null",
    "a thread without a message": """
        select count(*) from conversations c where not exists
          (select from messages m where m.tenant_id = c.tenant_id and m.conversation_id = c.id)""",
    "a person without an identity": """
        select count(*) from contacts c where not exists
          (select from contact_identities i where i.tenant_id = c.tenant_id and i.contact_id = c.id)""",
    "a received message that was not told": """
        select count(*) from messages m where direction = 'in' and not exists
          (select from outbox o where o.tenant_id = m.tenant_id and o.payload ->> 'message_id' = m.id::text)""",
}


@pytest.fixture
def stage(database: DatabaseUrls) -> Stage:
    return set_stage()


@pytest.fixture
def door(stage: Stage) -> Iterator[Served]:
    with serving() as served:
        yield served


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value within some JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def bent(body: Any, chance: random.Random) -> Any:
    """A copy with a few values that are not what they should be, or that are not there."""
    body = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        ways = [path for path in places(body) if path]
        if not ways:
            break
        *way, last = chance.choice(ways)
        holder = body
        for step in way:
            holder = holder[step]
        if chance.random() < 0.2:
            del holder[last]
        else:
            holder[last] = chance.choice(ODD)
    return body


def of_stage(stage: Stage, text: str) -> Any:
    """A captured webhook, of this stage's number."""
    body = json.loads(text)
    for entry in body.get("entry", []):
        entry["id"] = stage.portfolio
        for change in entry.get("changes", []):
            value = change.get("value")
            if isinstance(value, dict) and "metadata" in value:
                value["metadata"]["phone_number_id"] = stage.account
    return body


@pytest.mark.parametrize("seed", [23, random.randrange(10**6)], ids=["fixed", "random"])
def test_webhooks_with_wrong_types_are_taken_and_leave_nothing_half_written(
    door: Served, stage: Stage, seed: int
) -> None:
    chance = random.Random(seed)
    bodies = [
        json.dumps(bent(of_stage(stage, chance.choice(PAYLOADS).read_text()), chance)).encode()
        for _ in range(300)
    ]
    good = text_body(stage, "Ainda aí?", wa_id="5571980000999")

    statuses = {door.post(stage, body).status_code for body in (*bodies, good)}
    intake.understand_due(seconds=60)

    assert statuses == {200}, seed
    rows = journal_rows(stage)
    assert [row.error for row in rows if row.status in ("pending", "failed")] == [], seed
    assert stage.one("select count(*) from messages where body = 'Ainda aí?'") == 1, seed
    assert {words: stage.one(query) for words, query in HALF.items()} == dict.fromkeys(HALF, 0), seed


def texts() -> st.SearchStrategy[bytes]:
    """Bytes that are nearly JSON."""
    broken = st.sampled_from(
        [b'{"a":', b"[1,", b'"\\ud800"', b"\xff\xfe{}", b"\x00", b"{}\x00", b"\xed\xa0\x80", b"1e999"]
    )
    return st.one_of(st.binary(max_size=200), st.tuples(broken, st.binary(max_size=20)).map(b"".join))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=texts(), path=st.text(max_size=20), query=st.text(max_size=20))
def test_whatever_is_posted_anywhere_below_the_doors_is_no_fault_of_ours(
    door: Served, stage: Stage, body: bytes, path: str, query: str
) -> None:
    for place in (
        f"/hooks/whatsapp_cloud/{stage.channel_id}",
        f"/hooks/{quoted(path)}/{stage.channel_id}",
        f"/hooks/whatsapp_cloud/{quoted(path)}",
    ):
        for method in ("POST", "GET"):
            answer = door.client.request(
                method, f"{place}?hub.mode=subscribe&hub.challenge={quoted(query)}", content=body
            )
            assert answer.status_code in (400, 401, 403, 404, 405, 413), (method, place, answer.status_code)
    assert door.post(stage, body).status_code == 200


def quoted(text: str) -> str:
    return httpx.QueryParams(
        {"a": text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")}
    ).__str__()[2:]
