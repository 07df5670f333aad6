"""A provider on a socket for tests of the wire: it notes what it took, then answers, stays silent or hangs up."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

type Behaviour = Callable[[dict[str, Any]], "Answer"]


@dataclass(frozen=True)
class Answer:
    """What to do with a request: a status and body, or None to hang up without a word; `after` seconds."""

    status: int | None
    body: dict[str, Any] = field(default_factory=dict)
    after: float = 0.0
    headers: str = ""  # more of them, each line with its end


def accepted(request: dict[str, Any]) -> Answer:
    """Meta's answer to a message that it took."""
    to = str(request.get("to", request.get("recipient", "")))
    return Answer(
        200,
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": to, "wa_id": to.lstrip("+")}],
            "messages": [{"id": f"wamid.{uuid4().hex}"}],
        },
    )


def graph_error(code: int, status: int = 400) -> Answer:
    """Meta's error body."""
    return Answer(
        status, {"error": {"message": f"(#{code}) refused", "type": "OAuthException", "code": code}}
    )


class Provider:
    """Takes POSTs (and questions) on a free loopback port; `taken` holds the bodies in the order in which they were read whole."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.questions = 0  # GETs: they send nothing
        self.account: Answer = Answer(200, {"id": "1", "status": "CONNECTED"})
        self.behave: Behaviour = accepted
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            stream = connection.makefile("rb")
            while not self._stop.is_set():
                length = 0
                line = stream.readline()
                if not line:
                    return
                is_question = line.startswith(b"GET ")
                while line.strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                    line = stream.readline()
                if is_question:
                    self.questions += 1
                    answer = self.account
                else:
                    request = json.loads(stream.read(length))
                    self.taken.append(request)
                    answer = self.behave(request)
                self._stop.wait(answer.after)
                if answer.status is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                body = json.dumps(answer.body).encode()
                head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: application/json\r\n{answer.headers}"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider for the length of a block."""
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()
