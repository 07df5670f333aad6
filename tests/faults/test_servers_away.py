"""PostgreSQL and Redis away for minutes, hanging or full: what goes on meanwhile, and how soon all is well again."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from engine.cli.programs import Group
from engine.cli.supervisor import Supervisor
from engine.embedded import start_valkey
from engine.embedded.server import RunningServer
from tests.faults.blasts import Blast, Sends, every, minutes, planned_blast
from tests.faults.invariants import IN_FLIGHT
from tests.faults.proxy import Proxy
from tests.walks.stack import Stack, eventually, running_apart

RATE = 20  # messages a second of the number: far from what this machine can do, near to what a person sees
BEFORE = 3.0  # seconds that a campaign has run when the fault comes
AFTER = 20.0  # and can still run once all is well
EVERY = 0.5  # seconds between two looks while a fault lasts
SOON = 2.0  # a write without a database is answered within
GOES_ON = 5.0  # a campaign goes on within, once its database is back
HALF = 0.5 * 0.9  # of the rate, and the turns that come in seconds
WAITING = 0.25  # of the rate, while each process waits in vain for two seconds of each seven
HEARD_WITHIN = 45.0 + 60.0  # a worker takes tasks from a Redis that is back, and the one it has in hand
MOST = (
    1.5  # of the rate: without Redis each process has half of it, and two children end what they have in hand
)
FAST = 500  # what is left of a campaign need not take minutes

pytestmark = [pytest.mark.long, pytest.mark.timeout(minutes(10) + 900)]

numbers = itertools.count(80_000_000)


@dataclass
class OutsideValkey:
    """A Valkey that the product knows by an address behind a bad network; `client` reaches it directly."""

    home: Path
    running: RunningServer
    client: "redis.Redis"
    network: Proxy

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.running.child.kill()
        self.running.child.wait()

    def start(self) -> None:
        """Have it back, at its former address."""
        self.running = start_valkey(self.home)

    def is_heard(self) -> bool:
        """Whether the workers that send and that hear webhooks took a bell lately."""
        return self.client.exists("heard:send", "heard:intake") == 2


@pytest.fixture(scope="module")
def valkey() -> Iterator[OutsideValkey]:
    with tempfile.TemporaryDirectory(prefix="masteria-valkey-") as folder:
        running = start_valkey(Path(folder))
        url = running.server.url
        with Proxy.before(url) as network, redis.Redis.from_url(url) as client:
            outside = OutsideValkey(Path(folder), running, client, network)
            yield outside
            outside.running.stop()


@pytest.fixture(scope="module")
def stack(valkey: OutsideValkey) -> Iterator[Stack]:
    """A product with its own PostgreSQL and that Valkey."""
    address = valkey.network.address_of(valkey.running.server.url)
    with running_apart(settings={"MASTERIA_REDIS_URL": address}) as product:
        yield product


def under_way(stack: Stack, api: httpx.Client, seconds: float = 0.0) -> Blast:
    """A campaign that has begun, and outlasts a trouble of Redis of so many seconds."""
    lasts = MOST * (seconds + HEARD_WITHIN) if seconds else 0.0
    blast = planned_blast(stack, api, int(RATE * (BEFORE + lasts + AFTER)), rate=RATE)
    blast.behave()
    blast.start()
    eventually(lambda: blast.accepted() >= RATE * BEFORE, why="the campaign does not run")
    return blast


@dataclass
class Writer:
    """Somebody who adds contacts all the time: the statuses of the answers, and the seconds they took."""

    api: httpx.Client
    statuses: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def write(self) -> None:
        """Add one."""
        began = time.monotonic()
        body = {"name": "Ana", "phone": f"+55219{next(numbers)}"}
        self.statuses.append(self.api.post("/v1/contacts", json=body).status_code)
        self.took.append(time.monotonic() - began)

    def said(self) -> str:
        """How it fared, for the log of a long run."""
        p95 = sorted(self.took)[int(len(self.took) * 0.95)]
        return f"{len(self.took)} writes answered {set(self.statuses)}, p95 {p95:.2f} s, at most {max(self.took):.2f} s"


@dataclass
class Talk:
    """Two people who write to a number by turns, each word when the one before was answered with 200."""

    blast: Blast
    said: dict[str, list[str]] = field(default_factory=lambda: {f"+55119{n}0000000": [] for n in (2, 3)})
    _words: Iterator[int] = field(default_factory=itertools.count)

    def say(self) -> None:
        """One more word; returns when its webhook was answered."""
        number = next(self._words)
        phone = list(self.said)[number % len(self.said)]
        body = {"phone_number_id": self.blast.number, "from": phone, "text": f"Palavra {number}"}
        self.blast.stack.simulator("POST", "/_admin/inbound", body)
        self.said[phone].append(body["text"])
        eventually(lambda: self._answered() > number, seconds=10, why="a webhook was not answered with 200")

    def _answered(self) -> int:
        path = f"/_admin/accepts/summary?phone_number_id={self.blast.number}"
        updates = self.blast.stack.simulator("GET", path)["updates"]
        return int(updates.get("messages", {}).get("acknowledged", 0))

    def shown(self) -> dict[str, list[str]]:
        """What the API shows of each person's words, in its order."""
        return {phone: self._shown(phone) for phone in self.said}

    def _shown(self, phone: str) -> list[str]:
        found = self.blast.api.get("/v1/conversations", params={"search": phone}).json()["items"]
        if not found:
            return []
        newest_first = every(self.blast.api, f"/v1/conversations/{found[0]['id']}/messages")
        return [message["text"] for message in newest_first if message["direction"] == "in"][::-1]


def meanwhile(seconds: float, *deeds: Callable[[], object]) -> None:
    """Do these again and again for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for deed in deeds:
            deed()
        time.sleep(EVERY)


def database_answers(stack: Stack) -> bool:
    try:
        psycopg.connect(stack.database_url(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def hurry_to_the_end(blast: Blast) -> Sends:
    """What is left, quickly; answers when each message was sent."""
    blast.set_rate(FAST)
    blast.wait_for_calm()
    return Sends.of(blast)


def test_five_minutes_without_postgresql(stack: Stack, api: httpx.Client) -> None:
    """F6: writes are refused at once, webhooks are kept on the disk and told in order, the campaign goes on soon."""
    blast = under_way(stack, api)
    talk, writer = Talk(blast), Writer(api)
    spool = stack.home / "spool"
    assert stack.process is not None
    supervisor = Supervisor(stack.home, stack.process)

    talk.say()
    supervisor.stop(Group.POSTGRES, seconds=30)
    gone = time.time()
    meanwhile(minutes(5), talk.say, writer.write)
    spooled = len(list(spool.glob("*.hooks")))
    supervisor.start(Group.POSTGRES)
    eventually(lambda: database_answers(stack), why="PostgreSQL did not come back")
    back = time.time()
    eventually(lambda: not list(spool.glob("*.hooks")), seconds=60, why="the spool was not drained")
    drained = time.time() - back
    eventually(lambda: talk.shown() == talk.said, seconds=60, why="words are lost, or out of order")
    shown = time.time() - back
    sends = hurry_to_the_end(blast)

    print(
        f"\nF6: PostgreSQL away for {back - gone:.0f} s: {writer.said()}; {spooled} files of the spool drained in"
    )
    print(
        f"    {drained:.1f} s, {sum(map(len, talk.said.values()))} words shown in order after {shown:.1f} s;",
        end=" ",
    )
    print(f"next send after {sends.seconds_to_next(back):.1f} s")
    assert blast.broken() == []
    assert set(writer.statuses) == {503}
    assert max(writer.took) < SOON
    assert spooled > 0
    assert sends.between(gone + GOES_ON + 1, back) == 0, "sent what no database knows to be marked"
    assert sends.seconds_to_next(back) < GOES_ON


@dataclass(frozen=True)
class Watched:
    """How a campaign fared while Redis was in trouble, and after."""

    ratio: float  # of its rate meanwhile
    next_send: float  # seconds until the next once all was well
    heard: float  # seconds until a worker took a bell again
    pace_after: float  # of its rate, from then on

    def __str__(self) -> str:
        return (
            f"sent at {self.ratio:.2f} of the rate; next send after {self.next_send:.1f} s, bells heard again after"
            f" {self.heard:.1f} s, then {self.pace_after:.2f} of the rate"
        )


def watch(
    blast: Blast,
    valkey: OutsideValkey,
    writer: Writer,
    seconds: float,
    troubles: Sequence[Callable[[], object]],
    end: Callable[[], object],
) -> Watched:
    """Have one trouble of Redis after the other, for so long in all; then see all well again."""
    gone = time.time()
    for begin in troubles:
        begin()
        meanwhile(seconds / len(troubles), writer.write)
    over = time.time()
    end()
    back = time.time()
    eventually(valkey.is_heard, seconds=HEARD_WITHIN, why="no worker takes tasks any more")
    heard = time.time()
    meanwhile(5.0, writer.write)
    sends = Sends.of(blast)
    after = sends.pace(heard, time.time()) / RATE
    hurry_to_the_end(blast)
    return Watched(sends.pace(gone, over) / RATE, sends.seconds_to_next(back), heard - back, after)


def assert_all_went_on(blast: Blast, writer: Writer, found: Watched, *, ratio: float = HALF) -> None:
    assert blast.broken() == []
    assert set(writer.statuses) == {201}
    assert found.ratio >= ratio
    assert found.pace_after >= HALF


def test_ten_minutes_without_redis(stack: Stack, api: httpx.Client, valkey: OutsideValkey) -> None:
    """F8: campaigns go on at half speed or better, the API serves, and all is as before once it is back."""
    seconds = minutes(10)
    blast, writer = under_way(stack, api, seconds), Writer(api)

    found = watch(blast, valkey, writer, seconds, [valkey.kill], valkey.start)

    print(f"\nF8: Redis gone for {seconds:.0f} s: {found}; {writer.said()}")
    assert_all_went_on(blast, writer, found)


def test_workers_that_start_while_redis_is_gone_work(
    stack: Stack, api: httpx.Client, valkey: OutsideValkey
) -> None:
    """F1 within F8: who is killed meanwhile comes back and goes on."""
    blast, writer = under_way(stack, api, minutes(1)), Writer(api)

    valkey.kill()
    meanwhile(5.0, writer.write)
    stack.kill("-Q send")
    killed = time.time()
    eventually(lambda: Sends.of(blast).between(killed + 1, time.time()), why="they do not work")
    meanwhile(5.0, writer.write)
    valkey.start()
    sends = hurry_to_the_end(blast)

    print(
        f"\nF8: workers killed without Redis sent again after {sends.seconds_to_next(killed + 1) + 1:.1f} s"
    )
    assert blast.broken(unknown=IN_FLIGHT) == []
    assert set(writer.statuses) == {201}


@pytest.mark.parametrize(
    "was_gone", [False, True], ids=["that hangs", "that was gone and hangs when it is back"]
)
def test_a_redis_behind_half_open_connections(
    stack: Stack, api: httpx.Client, valkey: OutsideValkey, was_gone: bool
) -> None:
    """F9: connections that hang stay so for good; the product finds out, and makes others once these serve."""
    seconds, network = minutes(1) * (1 + was_gone), valkey.network
    blast, writer = under_way(stack, api, seconds), Writer(api)
    troubles = [network.refuse, network.hang] if was_gone else [network.hang]

    found = watch(blast, valkey, writer, seconds, troubles, network.pass_on)

    print(f"\nF9: Redis {'gone, then ' * was_gone}half-open, for {seconds:.0f} s: {found}; {writer.said()}")
    assert_all_went_on(blast, writer, found, ratio=WAITING)


def test_a_redis_without_memory(stack: Stack, api: httpx.Client, valkey: OutsideValkey) -> None:
    """F10: nothing can be written to Redis; no process ends, and the work goes on from the database."""
    seconds = minutes(1)
    blast, writer = under_way(stack, api, seconds), Writer(api)
    assert stack.process is not None
    supervisor = Supervisor(stack.home, stack.process)
    before = {state.name: state.pid for state in supervisor.states()}
    memory = valkey.client.config_get("maxmemory")["maxmemory"]

    found = watch(
        blast,
        valkey,
        writer,
        seconds,
        [lambda: valkey.client.config_set("maxmemory", 1)],
        lambda: valkey.client.config_set("maxmemory", memory),
    )

    print(f"\nF10: Redis full for {seconds:.0f} s: {found}; {writer.said()}")
    assert_all_went_on(blast, writer, found)
    assert {state.name: state.pid for state in supervisor.states()} == before, "a process ended"
