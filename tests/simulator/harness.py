"""Drives a real simulator process, and receives its webhooks."""

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

ROOT = Path(__file__).parents[2]
CLIENT = httpx.Client(trust_env=False)  # one for all: making a client costs more than a call
PATIENCE = 20.0  # seconds that anything here may take before a test fails


def eventually[T](look: Callable[[], T]) -> T:
    """What `look` gives as soon as it is true."""
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return found


@dataclass(slots=True)
class Post:
    """One webhook POST as it came."""

    path: str
    raw: bytes
    signature: str

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)  # type: ignore[no-any-return]

    def is_signed_with(self, secret: str) -> bool:
        return self.signature == "sha256=" + hmac.new(secret.encode(), self.raw, hashlib.sha256).hexdigest()


@dataclass(slots=True)
class Receiver:
    """A webhook endpoint: answers the challenge and keeps what is posted. `answer`: status of its answers."""

    url: str
    verify_token: str = "a verify token"
    answer: int = 200
    posts: list[Post] = field(default_factory=list)

    def values(self, path: str, name: str) -> list[dict[str, Any]]:
        return [
            change["value"]
            for post in list(self.posts)
            if post.path == path
            for entry in post.body["entry"]
            for change in entry["changes"]
            if change["field"] == name
        ]

    def items(self, path: str, name: str) -> list[dict[str, Any]]:
        return [item for value in self.values(path, "messages") for item in value.get(name, [])]

    def statuses(self, path: str) -> list[dict[str, Any]]:
        return self.items(path, "statuses")

    def messages(self, path: str) -> list[dict[str, Any]]:
        return self.items(path, "messages")


def serve(receiver_of: Callable[[], Receiver]) -> ThreadingHTTPServer:
    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            right = query.get("hub.verify_token") == [receiver_of().verify_token]
            self._say(200 if right else 403, query["hub.challenge"][0].encode() if right else b"")

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            status = receiver_of().answer
            if status == 200:
                receiver_of().posts.append(Post(self.path, raw, self.headers["x-hub-signature-256"]))
            self._say(status, b"")

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: Any) -> None:
            """Says nothing: the test looks at what was kept."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)


@dataclass(slots=True)
class Running:
    """A simulator process and how to reach it."""

    url: str
    port: int
    state: Path
    scenario: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def admin(self, method: str, path: str, **body: Any) -> Any:
        answer = CLIENT.request(method, f"{self.url}{path}", json=body or None, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def accepts(self, **query: str | int) -> list[dict[str, Any]]:
        answer = CLIENT.get(f"{self.url}/_admin/accepts", params=query, timeout=PATIENCE)
        return answer.json()["items"]  # type: ignore[no-any-return]

    def account(self, **fields: Any) -> "Account":
        """A new business of its own, so that tests do not meet."""
        made = self.admin("POST", "/_admin/accounts", **(fields or {"verified_name": "Loja de Teste"}))
        return Account(self, made)


@dataclass(slots=True)
class Account:
    """A business at the simulator, and its calls."""

    simulator: Running
    made: dict[str, Any]

    @property
    def number(self) -> str:
        return str(self.made["phone_number_id"])

    @property
    def waba(self) -> str:
        return str(self.made["waba_id"])

    @property
    def hook(self) -> str:
        """The path under which this business's webhooks arrive."""
        return f"/{self.waba}"

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.made['access_token']}"} | kwargs.pop("headers", {})
        timeout = kwargs.pop("timeout", PATIENCE)
        url = path if path.startswith("http") else f"{self.simulator.url}/v25.0/{path}"
        return CLIENT.request(method, url, headers=headers, timeout=timeout, **kwargs)

    def subscribe(self, receiver: Receiver) -> None:
        target = {"override_callback_uri": receiver.url + self.hook, "verify_token": receiver.verify_token}
        assert self.call("POST", f"{self.waba}/subscribed_apps", json=target).json() == {"success": True}

    def choose(self, name: str, **changes: Any) -> None:
        self.simulator.admin("POST", "/_admin/scenario", name=name, phone_number_id=self.number, **changes)

    def send(
        self, to: str = "+5511900000101", *, timeout: float = PATIENCE, **message: Any
    ) -> httpx.Response:
        content = message or {
            "type": "template",
            "template": {"name": "hello_world", "language": {"code": "en_US"}},
        }
        body = {"messaging_product": "whatsapp"} | ({"to": to} if to else {}) | content
        return self.call("POST", f"{self.number}/messages", json=body, timeout=timeout)

    def greet(self, key: str, to: str = "+5511900000101", *, timeout: float = PATIENCE) -> httpx.Response:
        template = {"name": "hello_world", "language": {"code": "en_US"}}
        return self.send(
            to, timeout=timeout, type="template", template=template, biz_opaque_callback_data=key
        )

    def inbound(self, **body: Any) -> Any:
        return self.simulator.admin("POST", "/_admin/inbound", phone_number_id=self.number, **body)

    def template(self, name: str, text: str = "Seu pedido saiu hoje.", **more: Any) -> dict[str, Any]:
        body = {"type": "BODY", "text": text} | more.pop("body", {})
        wanted = {"name": name, "language": "pt_BR", "category": "UTILITY", "components": [body]} | more
        return self.call("POST", f"{self.waba}/message_templates", json=wanted).json()  # type: ignore[no-any-return]


def start(state: Path, scenario: str, port: int = 0) -> Running:
    """Starts a simulator on a state file and waits until it answers."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    own = {
        "MASTERIA_SIMULATOR_STATE": str(state),
        "MASTERIA_SIMULATOR_SCENARIO": scenario,
        "MASTERIA_SIMULATOR_URL": url,
    }
    command = [sys.executable, "-m", "uvicorn", "engine.simulator.app:app", "--port", str(port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    options += ["--timeout-graceful-shutdown", "1"]  # calls that a scenario holds would hold up the end
    process = subprocess.Popen([*command, *options], cwd=ROOT, env=os.environ | own)

    def answers() -> bool:
        assert process.poll() is None, "the simulator did not start"
        try:
            return CLIENT.get(f"{url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers)
    return Running(url, port, state, scenario, process)
