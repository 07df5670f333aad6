"""The restore drill (F32): a machine is lost in the middle of a campaign, and another goes on from its backup.

What an operator types stands in docs/operations.md, "Backup and restore"; those very lines are run here. The provider's
accept log, which is on neither machine, says in the end what was sent.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from engine.embedded import RunningServer, prepare_postgres, spawn
from tests.walks.stack import (
    EMAIL,
    ROOT,
    Stack,
    approved_template,
    eventually,
    import_people,
    running,
    sandbox_channel,
)

SERVER = "The embedded PostgreSQL: its programs, its address, its superuser"
AS_ROOT: Mapping[str, Sequence[str]] = (
    {
        "archive": ["Only as root: the archive belongs to whom PostgreSQL runs as"],
        "restore": ["Only as root: the data belongs to whom PostgreSQL runs as"],
    }
    if os.geteuid() == 0
    else {"archive": [], "restore": []}
)
PEOPLE = 4_000
RATE = 60  # messages per second: the campaign lasts longer than the log takes to be archived
FRIENDS = 40  # the first of the people, who are written to again after the restore
# A fifth of the statuses come when the machine that sent is lost already.
SCENARIO = {"name": "quick", "reply_share": 0.0, "late_share": 0.2, "late_after": [100, 160]}
NATAL, ANO_NOVO = "novidade", "ano_novo"  # the templates of the two campaigns
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
NEVER = datetime.min.replace(tzinfo=UTC)
TAKEN = ("accepted", "sent", "delivered", "read")


def phone(number: int) -> str:
    """The number of a person of `import_people`, as the provider writes it."""
    return f"55119{10_000_000 + number:08d}"


GONE, SILENT = phone(3), phone(4)  # who is deleted and who opts out, both friends


def lines_of_the_manual(first: str) -> str:
    """The shell lines of docs/operations.md that begin with this comment."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.S)
    [block] = [block for block in blocks if block.startswith(f"# {first}\n")]
    return str(block)


@dataclass(slots=True)
class Drill:
    """One drill: the machine that is lost, the other disk with the backup, and what was written down."""

    stack: Stack
    backup: Path
    to_a_moment: bool
    with_the_command: bool = True  # without it the drill must find doubles, or it proves nothing
    seconds: dict[str, float] = field(default_factory=dict)
    said: str = ""  # by `masteria restore`
    until: str = ""  # the moment that is restored to
    number: str = ""
    channel_id: str = ""
    templates: dict[str, str] = field(default_factory=dict)  # their ids by name
    friends: str = ""  # their import
    campaign_id: str = ""
    crashed_at: datetime = NEVER
    report: str = ""  # what was measured

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Write down how long a step takes."""
        began = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - began

    @property
    def folders(self) -> dict[str, str]:
        """What the manual calls "Your folders"."""
        data = self.stack.home / "postgres"
        return {"BACKUP": str(self.backup), "DATA": str(data), "UNTIL": self.until, "PATH": PATH}

    def type(self, *blocks: str) -> str:
        """Do what the manual says, in one terminal; answers with what it printed."""
        script = "\n".join(map(lines_of_the_manual, blocks))
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", script],
            cwd=ROOT,
            env=self.stack.environment | self.folders,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(self) -> list[str]:
        """All of it; answers what is not as it must be, each as a sentence."""
        with running(self.stack):
            api = self.stack.company()
            self.archive()
            self.begin(api)
            self.forget_two(api)
            self.lose_the_machine()
        self.restore()
        with running(self.stack):
            api = self.stack.sign_in(EMAIL)
            self.go_on(api)
            return self.findings(api)

    def archive(self) -> None:
        """Set up as the manual says: the log is archived from the next start on, and there is a base backup."""
        self.type(SERVER, "Archive the write-ahead log", *AS_ROOT["archive"])
        self.stack.stop()
        self.stack.start()
        with self.timed("base backup"):
            self.type(SERVER, "A base backup", "Keys and media of one machine")

    def begin(self, api: httpx.Client) -> None:
        """A campaign under way, a good part of it sent and told of; some statuses come minutes later."""
        channel = sandbox_channel(self.stack, api, rate=RATE)
        self.number, self.channel_id = channel["phone_number_id"], channel["id"]
        self.templates = {
            name: approved_template(self.stack, api, self.channel_id, category="MARKETING", name=name)
            for name in (NATAL, ANO_NOVO)
        }
        people = import_people(api, PEOPLE, willing=True)
        self.friends = import_people(api, FRIENDS, willing=True)
        self.stack.simulator("POST", "/_admin/scenario", SCENARIO)
        self.campaign_id = self.start(api, NATAL, people)
        eventually(lambda: self.accepted() > PEOPLE // 5, why="the campaign does not run")

    def start(self, api: httpx.Client, template: str, import_id: str) -> str:
        """Start a campaign to the people of an import."""
        body = {
            "name": template,
            "channel_id": self.channel_id,
            "template_id": self.templates[template],
            "audience": {"import_id": import_id},
            "variables": {"body.1": "contact.name"},
        }
        made = api.post("/v1/campaigns", json=body)
        assert made.status_code == 201, made.text
        started = api.post(f"/v1/campaigns/{made.json()['id']}/start")
        assert started.status_code == 200, started.text
        return str(made.json()["id"])

    def accepted(self) -> int:
        """What the provider has taken."""
        summary = self.stack.simulator("GET", f"/_admin/accepts/summary?phone_number_id={self.number}")
        return int(summary["accepted"])

    def forget_two(self, api: httpx.Client) -> None:
        """After the moment that is restored to, one is deleted and one opts out; the other disk knows it at once."""
        if self.to_a_moment:
            self.until = datetime.now(UTC).isoformat()
        else:
            self.wait_for_the_archive()  # some of the campaign is in it
        [gone] = api.get("/v1/contacts", params={"search": f"+{GONE}"}).json()["items"]
        assert api.delete(f"/v1/contacts/{gone['id']}").status_code == 204
        word = {"phone_number_id": self.number, "from": f"+{SILENT}", "text": "SAIR"}
        self.stack.simulator("POST", "/_admin/inbound", word)
        with self.timed("deletion and opt-out on the other disk"):
            eventually(lambda: {"erased", "opted_out"} <= self.kept(), why="the ledger was not written")
        if self.to_a_moment:
            self.wait_for_the_archive()

    def kept(self) -> set[str]:
        """The kinds of lines in the erasure ledger."""
        lines = [
            line for path in (self.backup / "ledger").glob("*") for line in path.read_text().splitlines()
        ]
        return {json.loads(line)["kind"] for line in lines}

    def wait_for_the_archive(self) -> None:
        """Until the segment that is written now lies in the archive."""
        with psycopg.connect(self.stack.database_url(), autocommit=True) as connection:
            row = connection.execute("select pg_walfile_name(pg_current_wal_lsn())").fetchone()
        assert row is not None
        segment = self.backup / "wal" / f"{row[0]}.gz"
        with self.timed("wait for a segment in the archive"):
            eventually(segment.exists, why=f"{segment.name} was not archived")

    def lose_the_machine(self) -> None:
        """All processes end at once, in the middle of the campaign, and the disk is gone."""
        assert self.accepted() < PEOPLE, "the campaign had ended"
        self.crashed_at = datetime.now(UTC)
        lose(self.stack)
        shutil.rmtree(self.stack.home)

    def restore(self) -> None:
        """Another machine, as the manual says."""
        archived = max(path.stat().st_mtime for path in (self.backup / "wal").glob("*.gz"))
        self.seconds["from the last archived segment to the loss"] = self.crashed_at.timestamp() - archived
        home = self.stack.home.with_name("new")
        home.mkdir(mode=0o711)
        self.stack = replace(self.stack, home=home, process=None)
        with self.timed("copying the backup"):
            self.type(
                "Keys and media on a new machine", "The database, to the end of its log", *AS_ROOT["restore"]
            )
        if self.to_a_moment:
            self.type("Stop at a moment before that")
        if self.with_the_command:
            with self.timed("replaying the log and `masteria restore`"):
                self.said = self.type("Make it safe to open")
        else:
            replay(home)

    def go_on(self, api: httpx.Client) -> None:
        """A person resumes the campaign, and writes to the friends again."""
        path = f"/v1/campaigns/{self.campaign_id}"
        if self.with_the_command:
            found = api.get(path).json()
            assert (found["status"], found["pause_reason"]["code"]) == ("paused", "restored"), found
            assert api.post(f"{path}/resume").status_code == 200
        again = self.start(api, ANO_NOVO, self.friends)
        for campaign in (self.campaign_id, again):
            eventually(
                lambda campaign=campaign: (
                    api.get(f"/v1/campaigns/{campaign}").json()["status"] == "completed"
                ),
                seconds=180,
                why="a campaign did not end",
            )
        eventually(
            lambda: self.stack.simulator("GET", "/_admin/state")["idle"],
            seconds=240,
            why="statuses still come",
        )
        self.type(SERVER, "When it runs again")

    def findings(self, api: httpx.Client) -> list[str]:
        """What the provider's log and the campaign's recipients say, where it is not as it must be."""
        accepts = self.stack.accepts(self.number)
        natal = Counter(each["recipient"] for each in accepts if each["template"] == NATAL)
        again = {each["recipient"] for each in accepts if each["template"] == ANO_NOVO}
        states = self.states(api)
        broken = []
        if twice := [who for who, n in natal.items() if n > 1]:
            broken.append(f"{len(twice)} people got the message twice, such as {twice[0]}")
        if lost := {who: state for who, state in states.items() if state not in (*TAKEN, "unknown")}:
            broken.append(f"{len(lost)} are neither told of as written to nor as unknown: {_few(lost)}")
        if silent := [who for who, state in states.items() if state in TAKEN and who not in natal]:
            broken.append(f"{len(silent)} are told of as written to and were not, such as {silent[0]}")
        if len(states) != PEOPLE - 1:  # the deleted one has no number any more
            broken.append(f"{len(states)} people stand in the campaign, not {PEOPLE - 1}")
        if GONE in states or api.get("/v1/contacts", params={"search": f"+{GONE}"}).json()["items"]:
            broken.append("the deleted person is back")
        [silent_one] = api.get("/v1/contacts", params={"search": f"+{SILENT}"}).json()["items"]
        if silent_one["consent"]["marketing"] != "withdrawn":
            broken.append("the opt-out is forgotten")
        friends = {phone(number) for number in range(FRIENDS)}
        if again != friends - {GONE, SILENT}:
            broken.append(f"written to again: {sorted(again)}")
        self.measure(states, accepts)
        if self.with_the_command and not any(states[who] == "unknown" for who in natal if who != GONE):
            broken.append("nobody was written to that the backup does not know of: this proves nothing")
        return broken

    def states(self, api: httpx.Client) -> dict[str, str]:
        """Each recipient's number and state, as the console shows them."""
        found: dict[str, str] = {}
        after: str | None = None
        while True:
            page = api.get(
                f"/v1/campaigns/{self.campaign_id}/recipients",
                params={"limit": 200} | ({"after": after} if after else {}),
            ).json()
            found |= {each["phone"].lstrip("+"): each["state"] for each in page["items"] if each["phone"]}
            if not (after := page["next"]):
                return found

    def measure(self, states: Mapping[str, str], accepts: Sequence[Mapping[str, Any]]) -> None:
        """Write down what the drill measured; nothing of it is a limit."""
        crash = self.crashed_at.timestamp()
        sent = {each["recipient"] for each in accepts if each["template"] == NATAL}
        unknown = {who for who, state in states.items() if state == "unknown"}
        lines = [f"Restored to {self.until or 'the end of the log'}; lost at {self.crashed_at.isoformat()}."]
        if stands_at := re.search(r"The database stands at (.+) UTC\.", self.said):
            at = datetime.fromisoformat(stands_at[1]).replace(tzinfo=UTC).timestamp()
            why = "chosen by the operator" if self.to_a_moment else "RPO"
            lines.append(f"{crash - at:8.1f} s of the database are lost ({why})")
        lines += [f"{seconds:8.1f} s {step}" for step, seconds in self.seconds.items()]
        lines += [
            self.said,
            f"{len(sent):8,} people got the message, {len(unknown & sent):,} of them are shown as unknown;",
            f"{len(unknown - sent):8,} did not get it and are shown as unknown.",
        ]
        self.report = "\n".join(lines)


def replay(home: Path) -> None:
    """PostgreSQL alone replays its log, as it does on a server of one's own."""
    server = prepare_postgres(home)
    running = RunningServer(server, spawn(server, home / "logs" / "postgres.log"))
    eventually(lambda: not (home / "postgres" / "recovery.signal").exists(), why="it was not replayed")
    running.stop()


def lose(stack: Stack) -> None:
    """SIGKILL to everything of a product, its servers and its supervisor too, with nothing started in between."""
    victims: dict[int, psutil.Process] = {}
    for each in stack.processes(""):
        victims |= {process.pid: process for process in (each, *each.children(recursive=True))}
    for process in victims.values():
        process.suspend()
    for process in victims.values():
        process.kill()
    _, alive = psutil.wait_procs(victims.values(), timeout=30)
    assert not alive, alive


def _few(states: Mapping[str, str]) -> dict[str, int]:
    return dict(Counter(states.values()))
