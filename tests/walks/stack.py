"""The whole product as its users start it: `masteria up` in a folder of its own, driven over HTTP and by its CLI."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis

from engine.embedded.server import free_port, kept_passwords, port_is_free

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0
PASSWORD = "ponte-azul-19-janelas"
EMAIL = "dona@walk.example"


def eventually[T](look: Callable[[], T], *, seconds: float = PATIENCE, why: str = "it never came") -> T:
    """What `look` gives as soon as it is true."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, why
        time.sleep(0.1)
    return found


def free_ports_in_a_row(amount: int) -> int:
    """The first of so many ports that follow each other and are free."""
    while True:
        first = free_port()
        if all(port_is_free(port) for port in range(first, first + amount)):
            return first


class SignedIn(httpx.Auth):
    """A person's access token, asked for anew once it has ended; a fault may last longer than one."""

    requires_response_body = True

    def __init__(self, asking: httpx.Request) -> None:
        self._asking = asking
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """The request with the token, or with a new one where that is refused."""
        if self._token:
            answer = yield self._signed(request)
            if answer.status_code != 401:
                return
        told = yield self._asking
        if told.is_success:
            self._token = told.json()["access_token"]
            yield self._signed(request)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass
class Stack:
    """A running product."""

    home: Path
    api_port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)
    simulator_port: int = field(default_factory=free_port)
    demo: bool = False
    planted: str = ""  # bugs of tests/faults/planted, with a comma between
    settings: Mapping[str, str] = field(default_factory=dict)  # more of them, as an operator sets them
    process: subprocess.Popen[str] | None = None

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def console_url(self) -> str:
        """Where the console answers."""
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def simulator_url(self) -> str:
        """Where the simulator answers."""
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the product's processes and its CLI are told."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MASTERIA_")}
        return (
            clean
            | {
                "MASTERIA_HOME": str(self.home),
                "MASTERIA_ENVIRONMENT": "development" if self.demo else "test",
                "MASTERIA_API_PORT": str(self.api_port),
                "MASTERIA_CONSOLE_PORT": str(self.console_port),
                "MASTERIA_SIMULATOR_PORT": str(self.simulator_port),
                "MASTERIA_DEMO_PASSWORD": PASSWORD,
            }
            | self._bugs
            | self.settings
        )

    @property
    def _bugs(self) -> dict[str, str]:
        if not self.planted:
            return {}
        return {"PYTHONPATH": str(ROOT / "tests/faults/planted"), "MASTERIA_PLANTED": self.planted}

    def start(self) -> None:
        """`masteria up`, until everything answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "up"],
            cwd=ROOT,
            env=self.environment,
            stdout=(self.home / "up.txt").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        eventually(self._is_ready, seconds=180, why="the product did not come up")

    def _is_ready(self) -> bool:
        said = (self.home / "up.txt").read_text()
        assert self.process is not None
        assert self.process.poll() is None, said
        return "Master IA is ready" in said

    def stop(self) -> float:
        """Ctrl-C; answers with the seconds until everything was down."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        return time.monotonic() - began

    def cli(self, *arguments: str) -> str:
        """What `masteria …` prints."""
        return subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            input=PASSWORD + "\n",
        ).stdout

    def processes(self, words: str) -> list[psutil.Process]:
        """This product's processes whose command holds these words."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            try:
                ours = process.environ().get("MASTERIA_HOME") == str(self.home)
            except psutil.Error:
                continue
            if ours and words in " ".join(process.info["cmdline"] or []):
                found.append(process)
        return found

    def kill(self, words: str) -> int:
        """SIGKILL all of them at once, as a machine that loses power; the supervisor starts them anew."""
        victims = self.processes(words)
        for victim in victims:
            victim.suspend()
        for victim in victims:
            victim.kill()
        return len(victims)

    def valkey(self) -> "redis.Redis":
        """The product's Valkey."""
        settings = (self.home / "run" / "redis.env").read_text()
        [line] = [line for line in settings.splitlines() if line.startswith("MASTERIA_REDIS_URL=")]
        return redis.Redis.from_url(line.partition("=")[2].strip('"'))

    def database_url(self, database: str = "masteria") -> str:
        """The superuser's address of a database of the product's PostgreSQL."""
        password = kept_passwords(self.home)["superuser"]
        port = json.loads((self.home / "run" / "ports.json").read_text())["postgres"]
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/{database}"

    def simulator(self, method: str, path: str, body: Any = None) -> Any:
        """An admin call to the simulator."""
        answer = httpx.request(method, self.simulator_url + path, json=body, timeout=30, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def accepts(self, number: str) -> list[dict[str, Any]]:
        """The provider's own log of a number, oldest first: the only witness of what was sent."""
        found: list[dict[str, Any]] = []
        after: Any = 0
        while True:
            page = self.simulator("GET", f"/_admin/accepts?phone_number_id={number}&limit=1000&after={after}")
            found += page["items"]
            if not page.get("next"):
                return found
            after = page["next"]

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Client:
        """A client of the API with somebody's token, which it renews."""
        client = httpx.Client(base_url=self.api_url, timeout=60, trust_env=False)
        asking = client.build_request(
            "POST", "/v1/auth/token", data={"username": email, "password": password}
        )
        client.auth = SignedIn(asking)
        answer = client.get("/v1/me")
        assert answer.status_code == 200, answer.text
        return client

    def company(self) -> httpx.Client:
        """A new company with an owner, who is signed in."""
        self.cli("company", "create", "Loja do Passeio")
        self.cli(
            "user", "create", EMAIL, "--company", "loja-do-passeio", "--role", "owner", "--password-stdin"
        )
        return self.sign_in(EMAIL)


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """A product for the length of a block; what it wrote stays in its home for a look after a failure."""
    stack.start()
    try:
        yield stack
    finally:
        if stack.process is not None and stack.process.poll() is None:
            stack.stop()


@contextmanager
def running_apart(*, planted: str = "", settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A product in a folder of its own, of which nothing stays; with bugs and settings where they are named."""
    with tempfile.TemporaryDirectory(prefix="masteria-apart-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        with running(Stack(home, planted=planted, settings=settings or {})) as stack:
            yield stack


def sandbox_channel(stack: Stack, api: httpx.Client, *, rate: int = 1000) -> dict[str, Any]:
    """A sandbox channel on a new number of the simulator, connected."""
    number = {"verified_name": "Loja do Passeio", "rate": 1000, "tier": "TIER_UNLIMITED"}
    account = stack.simulator("POST", "/_admin/accounts", number)
    body = {
        "kind": "whatsapp_cloud",
        "name": "Passeio",
        "environment": "sandbox",
        "credentials": {
            name: account[name] for name in ("phone_number_id", "waba_id", "access_token", "app_secret")
        },
        "rate_per_second": rate,
    }
    answer = api.post("/v1/channels", json=body)
    assert answer.status_code == 201, answer.text
    channel: dict[str, Any] = answer.json()
    assert channel["status"] == "connected", json.dumps(channel)
    return channel


def approved_template(stack: Stack, api: httpx.Client, channel_id: str, **changes: Any) -> str:
    """A template that the simulator's reviewer has approved, known to the product by its webhook."""
    body = {
        "channel_id": channel_id,
        "name": "novidade",
        "language": "pt_BR",
        "category": "UTILITY",
        "components": [
            {"type": "BODY", "text": "Oi {{1}}, chegou novidade.", "example": {"body_text": [["Ana"]]}}
        ],
    }
    answer = api.post("/v1/templates", json=body | changes)
    assert answer.status_code == 201, answer.text
    template_id: str = answer.json()["id"]
    for template in stack.simulator("GET", "/_admin/state")["templates"]:
        if template["status"] == "PENDING":
            stack.simulator("POST", f"/_admin/templates/{template['id']}", {"status": "APPROVED"})
    eventually(
        lambda: api.get(f"/v1/templates/{template_id}").json()["status"] == "approved", why="not approved"
    )
    return template_id


def import_people(api: httpx.Client, amount: int, *, first: int = 0, willing: bool = False) -> str:
    """People from a messy file, who want marketing when `willing`; answers with the import's id, which has ended."""
    lines = ["Nome;Celular;Cidade"]
    lines += [
        f"Pessoa {number};(11) 9{10_000_000 + number:08d};Santos" for number in range(first, first + amount)
    ]
    file = "\r\n".join(lines).encode("cp1252")
    answer = api.post(
        "/v1/contacts/imports",
        files={"file": ("clientes.csv", file, "text/csv")},
        data={"consent": json.dumps({"purpose": "marketing", "source": "feira"})} if willing else {},
    )
    assert answer.status_code == 202, answer.text
    import_id: str = answer.json()["id"]

    def ended() -> bool:
        return bool(api.get(f"/v1/contacts/imports/{import_id}").json()["status"] in ("completed", "failed"))

    eventually(ended, why="the import did not end")
    return import_id
