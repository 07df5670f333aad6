"""A campaign of 5,000 while the provider fails, workers are killed and Valkey is emptied: nobody twice, nobody lost."""

import random
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.walks.stack import Stack, approved_template, eventually, import_people, sandbox_channel

PEOPLE = 5_000
KILLS = 2
PAUSES = 3
STATES = (
    "queued",
    "dispatching",
    "accepted",
    "sent",
    "delivered",
    "read",
    "failed",
    "unknown",
    "skipped",
    "cancelled",
)
MAY_HOLD = 128 * 2  # the width of the wire, in each of the two processes that send


@pytest.fixture(scope="module")
def audience(stack: Stack, api: httpx.Client) -> dict[str, Any]:
    channel = sandbox_channel(stack, api)
    return {
        "channel_id": channel["id"],
        "number": channel["phone_number_id"],
        "template_id": approved_template(stack, api, channel["id"]),
        "import_id": import_people(api, PEOPLE),
    }


def look(api: httpx.Client, campaign_id: str) -> dict[str, Any]:
    seen: dict[str, Any] = api.get(f"/v1/campaigns/{campaign_id}").json()
    assert seen["counts"]["total"] == sum(seen["counts"][state] for state in STATES), seen["counts"]
    return seen


def left(api: httpx.Client, campaign_id: str) -> int:
    counts = look(api, campaign_id)["counts"]
    return int(counts["total"] - counts["queued"])


def trouble(
    stack: Stack, api: httpx.Client, campaign_id: str, *, flush: bool, chance: random.Random
) -> list[str]:
    """Pause and resume three times, kill the sending workers twice, empty Valkey twice, in an order drawn by chance."""
    deeds = ["pause"] * PAUSES + ["kill"] * KILLS + ["flush"] * (2 if flush else 0)
    chance.shuffle(deeds)
    for number, deed in enumerate(deeds, start=1):
        goal = PEOPLE * number // (len(deeds) + 2)
        eventually(lambda goal=goal: left(api, campaign_id) >= goal, why=f"stuck before {deed} {number}")
        if deed == "kill":
            assert stack.kill("-Q send") > 0
        elif deed == "flush":
            stack.valkey().flushall()
        else:
            pause_and_resume(stack, api, campaign_id)
    return deeds


def pause_and_resume(stack: Stack, api: httpx.Client, campaign_id: str) -> None:
    """After `paused` is seen no call may begin."""
    assert api.post(f"/v1/campaigns/{campaign_id}/pause").status_code == 202
    eventually(lambda: look(api, campaign_id)["status"] == "paused", why="it never paused")
    before = stack.simulator("GET", "/_admin/accepts/summary")["accepted"]
    time.sleep(1.0)
    assert stack.simulator("GET", "/_admin/accepts/summary")["accepted"] == before
    assert api.post(f"/v1/campaigns/{campaign_id}/resume").status_code == 200


def recipients(api: httpx.Client, campaign_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = api.get(
            f"/v1/campaigns/{campaign_id}/recipients",
            params={"limit": 200, **({"after": after} if after else {})},
        ).json()
        found += page["items"]
        after = page["next"]
        if after is None:
            return found


@pytest.mark.timeout(420)
@pytest.mark.parametrize("flush", [False, True], ids=["workers killed", "and Valkey emptied"])
def test_nobody_is_written_to_twice_and_nobody_is_missing(
    stack: Stack, api: httpx.Client, audience: dict[str, Any], flush: bool
) -> None:
    seed = random.randrange(10**6)
    stack.simulator("POST", "/_admin/reset", {})
    stack.simulator("POST", "/_admin/scenario", {"name": "faulty", "speed": 20})
    body = {
        "name": f"Faulty {seed}",
        "channel_id": audience["channel_id"],
        "template_id": audience["template_id"],
        "audience": {"import_id": audience["import_id"]},
        "variables": {"body.1": "contact.name"},
    }
    campaign_id = api.post("/v1/campaigns", json=body).json()["id"]
    assert api.post(f"/v1/campaigns/{campaign_id}/start").status_code == 200

    deeds = trouble(stack, api, campaign_id, flush=flush, chance=random.Random(seed))
    eventually(
        lambda: look(api, campaign_id)["status"] == "completed", seconds=150, why=f"seed {seed}: {deeds}"
    )
    eventually(
        lambda: stack.simulator("GET", "/_admin/state")["idle"], seconds=60, why="statuses did not end"
    )
    witness = stack.accepts(audience["number"])
    keys = Counter(accept["opaque"] for accept in witness)
    eventually(
        lambda: look(api, campaign_id)["counts"]["unknown"] == PEOPLE - len(keys),
        seconds=30,
        why=f"seed {seed}: {look(api, campaign_id)['counts']}, the provider took {len(keys)}",
    )

    people = recipients(api, campaign_id)
    counts = look(api, campaign_id)["counts"]
    ours = {person["message_id"] for person in people if person["state"] != "unknown"}
    unknown = {person["message_id"] for person in people if person["state"] == "unknown"}
    said = f"seed {seed}, deeds {deeds}, counts {counts}"
    assert max(keys.values()) == 1, said
    assert len(people) == counts["total"] == PEOPLE, said
    assert ours == set(keys), said
    assert not unknown & set(keys), said
    assert counts["unknown"] <= KILLS * MAY_HOLD, said
    assert counts["queued"] == counts["dispatching"] == counts["failed"] == 0, said
