"""The state file: a killed simulator forgets nothing it answered, and goes on where it was."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import httpx

from tests.simulator.harness import ROOT, Account, Receiver, Running, eventually

Begin = Callable[..., Running]


def test_every_answered_accept_is_in_the_log_after_sigkill(own_simulator: Begin) -> None:
    running = own_simulator("fast")
    account = running.account()
    answered: list[str] = []

    def write(lane: int) -> None:
        with httpx.Client(headers={"authorization": f"Bearer {account.made['access_token']}"}) as client:
            for n in range(10_000):
                body = {
                    "messaging_product": "whatsapp",
                    "to": f"+55119{n:08}",
                    "type": "text",
                    "text": {"body": "Oi"},
                    "biz_opaque_callback_data": f"{lane}:{n}",
                }
                try:
                    answer = client.post(f"{running.url}/v25.0/{account.number}/messages", json=body)
                except httpx.TransportError:
                    return
                answered.append(answer.json()["messages"][0]["id"])

    lanes = [threading.Thread(target=write, args=(lane,)) for lane in range(4)]
    for lane in lanes:
        lane.start()

    eventually(lambda: len(answered) > 400)
    running.kill()
    for lane in lanes:
        lane.join()

    again = own_simulator(after=running)
    logged = {row["wamid"] for row in again.accepts(limit=10_000)}
    assert set(answered) <= logged
    assert len(logged) - len(answered) <= len(lanes)


def test_phones_go_on_after_sigkill(own_simulator: Begin, receiver: Receiver) -> None:
    running = own_simulator()
    account = running.account()
    account.subscribe(receiver)
    account.choose("quick", delivered_after=[1.5, 1.5], read_share=1.0, reply_share=1.0)
    wamids = {account.greet(f"k{n}", to=f"+55119000001{n:02}").json()["messages"][0]["id"] for n in range(10)}
    eventually(lambda: len(receiver.statuses(account.hook)) >= 10)

    running.kill()
    own_simulator(after=running)

    eventually(lambda: {s["id"] for s in receiver.statuses(account.hook) if s["status"] == "read"} == wamids)
    eventually(lambda: len({m["from"] for m in receiver.messages(account.hook)}) == 10)
    assert len({(s["id"], s["status"]) for s in receiver.statuses(account.hook)}) == 30


def test_what_a_receiver_did_not_take_comes_after_the_restart(
    own_simulator: Begin, receiver: Receiver
) -> None:
    running = own_simulator()
    account = running.account()
    account.subscribe(receiver)
    receiver.answer = 500
    wamid = account.inbound(**{"from": "+5511900000101", "text": "Oi"})["id"]

    running.kill()
    receiver.answer = 200
    own_simulator(after=running)

    eventually(lambda: wamid in {m["id"] for m in receiver.messages(account.hook)})


def test_businesses_templates_media_windows_and_scenario_are_kept(own_simulator: Begin) -> None:
    running = own_simulator()
    account = running.account()
    files = {"file": ("a.jpg", b"\xff\xd8\xff\xe0abc", "image/jpeg")}
    form = {"messaging_product": "whatsapp"}
    media_id = account.call("POST", f"{account.number}/media", data=form, files=files).json()["id"]
    template_id = account.template("pedido_stay_pending")["id"]
    account.inbound(**{"from": "+5511900000101"})
    running.admin("POST", "/_admin/scenario", name="quick", seed=42)

    running.kill()
    again = Account(own_simulator(after=running), account.made)

    url = again.call("GET", media_id).json()["url"]
    assert again.call("GET", url).content == b"\xff\xd8\xff\xe0abc"
    assert again.call("GET", template_id).json()["name"] == "pedido_stay_pending"
    assert again.send("+5511900000101", type="text", text={"body": "Oi"}).status_code == 200
    assert again.simulator.admin("GET", "/_admin/state")["scenario"]["seed"] == 42


def test_a_review_ends_also_after_a_restart(own_simulator: Begin, receiver: Receiver) -> None:
    running = own_simulator()
    running.admin("POST", "/_admin/scenario", name="quick", review_after=[1.5, 1.5])
    account = running.account()
    account.subscribe(receiver)
    account.template("pedido")

    running.kill()
    own_simulator(after=running)

    (value,) = eventually(lambda: receiver.values(account.hook, "message_template_status_update"))
    assert value["event"] == "APPROVED"


def test_a_second_process_on_the_same_file_says_so(own_simulator: Begin) -> None:
    running = own_simulator()

    second = subprocess.run(
        [sys.executable, "-c", "import sys, pathlib; from engine.simulator.store import Store; Store(pathlib.Path(sys.argv[1]))", str(running.state)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert second.returncode != 0
    assert f"another simulator is running on {running.state}" in second.stderr


def test_a_held_call_does_not_hold_up_the_end(own_simulator: Begin) -> None:
    running = own_simulator()
    account = running.account()
    account.choose("quick", accept_then_timeout=1.0)
    with suppress(httpx.ReadTimeout):
        account.greet("k1", timeout=0.3)
    held = threading.Thread(target=lambda: _expect_a_cut(account))
    held.start()
    eventually(lambda: len(running.accepts()) == 2)

    running.process.terminate()

    running.process.wait(5)
    held.join(5)
    assert {row["opaque"] for row in own_simulator(after=running).accepts()} == {"k1", "k2"}


def _expect_a_cut(account: Account) -> None:
    with suppress(httpx.TransportError):
        account.greet("k2")


def test_a_reset_empties_the_log_and_keeps_the_businesses(own_simulator: Begin) -> None:
    running = own_simulator()
    account = running.account()
    account.greet("k1")

    running.admin("POST", "/_admin/reset", accounts=False)

    assert running.accepts() == []
    assert account.greet("k1").status_code == 200
    assert running.admin("GET", "/_admin/accepts/summary")["accepted"] == 1


def test_a_full_reset_leaves_one_fresh_business(own_simulator: Begin) -> None:
    running = own_simulator()
    account = running.account()

    running.admin("POST", "/_admin/reset", accounts=True)

    (fresh,) = running.admin("GET", "/_admin/accounts")["items"]
    assert fresh["phone_number_id"] != account.number
    assert account.greet("k1").status_code == 401
