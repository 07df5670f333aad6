"""The wire with servers of every manner: what an outcome says, and that nothing is ever written twice."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.core import dialing, wire
from engine.core.http import Failure, HttpRequest, HttpResponse
from engine.core.wire import Wire
from tests.provider import running_provider

HEADERS = {"Authorization": "Bearer t0ken"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Line:
    """A connection as the server of a test has it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.stream = sock.makefile("rb")

    def head(self) -> bytes:
        """The next request's head; empty when the other side has gone."""
        lines = []
        while (line := self.stream.readline()).strip():
            lines.append(line)
        return b"".join(lines)

    def request(self) -> bytes:
        """The next request, whole."""
        head = self.head()
        length = next(
            (int(line[15:]) for line in head.splitlines() if line.startswith(b"Content-Length:")), 0
        )
        return head + b"\r\n" + self.stream.read(length)

    def say(self, words: bytes) -> None:
        """Answer."""
        self.sock.sendall(words)

    def hang_up(self) -> None:
        """Close, seen by the other side at once."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def server(
    serve: Callable[[Line], object], *, secure: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[int]:
    """The port of a server that serves each connection on a thread."""
    listener = socket.create_server((host, 0))
    open_ones: list[socket.socket] = []

    def handle(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            sock = secure.wrap_socket(sock, server_side=True) if secure else sock
            serve(Line(sock))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                open_ones.append(sock)
                threading.Thread(target=handle, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in open_ones:
            sock.close()


def answering(words: bytes) -> Callable[[Line], None]:
    """A server that answers each request with the same words."""

    def serve(line: Line) -> None:
        while line.request().strip():
            line.say(words)

    return serve


def ask(one: Wire, url: str, *, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Any:
    """One POST and its outcome."""
    one.begin(HttpRequest("POST", url, HEADERS if headers is None else headers, body), "call")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for token, outcome in one.collect(0.05):
            assert token == "call"
            return outcome
    raise AssertionError("no outcome")


@pytest.fixture
def line() -> Iterator[Wire]:
    one = Wire(4)
    yield one
    assert one.under_way == 0
    one.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key, of 127.0.0.1 and localhost, that nobody but a test trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> ssl.SSLContext:
    """What a server of that certificate listens with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> Iterator[Wire]:
    """A wire that trusts that certificate."""
    one = Wire(4, tls=lambda: ssl.create_default_context(cafile=str(certificate)))
    yield one
    one.close()


def test_a_request_is_written_as_http_asks(line: Wire) -> None:
    seen: list[bytes] = []

    def serve(one: Line) -> None:
        while (request := one.request()).strip():
            seen.append(request)
            one.say(OK)

    with server(serve) as port:
        assert ask(line, f"http://127.0.0.1:{port}/v25.0/1/messages?a=b", body=b'{"to": 1}').body == b"ok"
        line.begin(HttpRequest("GET", f"http://127.0.0.1:{port}", {}), "call")
        while not line.collect(0.05):
            pass

    host = b"Host: 127.0.0.1:%d\r\nAccept: */*\r\n" % port
    assert seen == [
        b"POST /v25.0/1/messages?a=b HTTP/1.1\r\n"
        + host
        + b'Authorization: Bearer t0ken\r\nContent-Length: 9\r\n\r\n{"to": 1}',
        b"GET / HTTP/1.1\r\n" + host + b"\r\n",
    ]


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde",
    ],
)
def test_answers_come_in_many_forms(line: Wire, words: bytes) -> None:
    with server(answering(words)) as port:
        answers = [ask(line, f"http://127.0.0.1:{port}") for _ in range(2)]

    assert answers == [HttpResponse(200, b"abcde", {})] * 2


def test_an_answer_may_last_until_the_line_ends(line: Wire) -> None:
    def serve(one: Line) -> None:
        one.request()
        one.say(b"HTTP/1.1 200 OK\r\n\r\nabcde")
        one.hang_up()

    with server(serve) as port:
        assert ask(line, f"http://127.0.0.1:{port}") == HttpResponse(200, b"abcde", {})


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 2_000_000,
    ],
    ids=["nothing", "half-a-head", "half-a-body", "half-a-piece", "another-protocol", "too-much"],
)
def test_an_answer_that_is_none_leaves_open_what_became_of_the_call(line: Wire, words: bytes) -> None:
    seen: list[bytes] = []

    def serve(one: Line) -> None:
        seen.append(one.request())
        with contextlib.suppress(OSError):
            one.say(words)
        one.hang_up()

    with server(serve) as port:
        outcome = ask(line, f"http://127.0.0.1:{port}")

    assert isinstance(outcome, Failure)
    assert not outcome.never_left
    assert len(seen) == 1


def test_a_connection_that_the_server_closed_while_it_rested_is_not_written_to(line: Wire) -> None:
    closed = threading.Event()
    seen: list[bytes] = []

    def serve(one: Line) -> None:
        seen.append(one.request())
        one.say(OK)
        one.hang_up()
        closed.set()

    with server(serve) as port:
        first = ask(line, f"http://127.0.0.1:{port}")
        assert closed.wait(5)
        time.sleep(2 * wire.LOOKED_AT_AFTER)  # nobody looks meanwhile: the process does something else
        second = ask(line, f"http://127.0.0.1:{port}")

    assert first == second == HttpResponse(200, b"ok", {})
    assert len(seen) == 2


def test_a_body_that_is_more_than_the_line_takes_at_once_arrives_whole(line: Wire) -> None:
    body = bytes(range(256)) * 40_000
    seen: list[bytes] = []

    def serve(one: Line) -> None:
        time.sleep(0.2)
        seen.append(one.request().partition(b"\r\n\r\n")[2])
        one.say(OK)
        seen.append(one.request().partition(b"\r\n\r\n")[2])
        one.say(OK)

    with server(serve) as port:
        assert ask(line, f"http://127.0.0.1:{port}", body=body).status == 200
        assert ask(line, f"http://127.0.0.1:{port}", body=b"small").status == 200

    assert seen == [body, b"small"]


def test_no_more_connections_than_calls_may_be_under_way(line: Wire) -> None:
    with contextlib.ExitStack() as several:
        providers = [several.enter_context(running_provider()) for _ in range(7)]
        for provider in providers * 2:
            assert ask(line, provider.url, body=b'{"to": "+1"}').status == 200
            assert line._amount <= 4

        assert [len(provider.taken) for provider in providers] == [2] * 7


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1/", {"Authorization": "Bearer t0ken\r\nX: y"}),
        ("http://127.0.0.1:1/", {"Authorization": "Bearer t0k\u00e9n"}),
        ("http://127.0.0.1:1/t0ken x", {}),
        ("http://127.0.0.1:1/t0ken\r\nX: y", {}),
        ("http://127.0.0.1:99999/t0ken", {}),
        ("ftp://127.0.0.1/t0ken", {}),
        ("http:///t0ken", {}),
    ],
)
def test_what_can_not_be_written_never_leaves_and_is_not_repeated(
    line: Wire, url: str, headers: dict[str, str]
) -> None:
    outcome = ask(line, url, headers=headers)

    assert outcome.never_left
    assert outcome.detail in {"InvalidURL", "LocalProtocolError"}


@pytest.mark.parametrize("url", ["http://nobody.invalid", "http://a..b", "http://" + "x" * 70])
def test_a_name_that_nobody_has_has_never_left(line: Wire, url: str) -> None:
    outcome = ask(line, url)

    assert outcome.never_left


def test_a_second_answer_to_one_request_is_not_taken_for_that_to_the_next(line: Wire) -> None:
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"

    def serve(one: Line) -> None:
        one.request()
        one.say(OK + other[:-2])
        if one.request().strip():
            one.say(other[-2:] + OK)

    with server(serve) as port:
        answers = [ask(line, f"http://127.0.0.1:{port}") for _ in range(2)]

    assert all(not isinstance(answer, HttpResponse) or answer.body != b"other" for answer in answers)


def test_the_next_address_is_tried_and_what_worked_is_tried_first(
    line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()

    class Watched(socket.socket):
        def connect_ex(self, address: Any) -> int:
            tried.append(address)
            return super().connect_ex(address)

    with server(answering(OK)) as port:
        somebody = ("127.0.0.1", port)
        found = [(socket.AF_INET, nobody), (socket.AF_INET, somebody)]
        monkeypatch.setattr(dialing, "_addresses", lambda _host, _port, flags=0: list(found))
        monkeypatch.setattr(dialing.socket, "socket", Watched)
        answers = []
        for _ in range(2):
            answers.append(ask(line, "http://provider.test"))
            line._rested(next(iter(line._resting)), float("inf"))
        monkeypatch.undo()

    assert [answer.status for answer in answers] == [200, 200]
    assert tried == [nobody, somebody, somebody]


def test_calls_go_over_tls_to_whom_the_certificate_names(trusting: Wire, secure: ssl.SSLContext) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000

    with server(answering(large), secure=secure) as port:
        answers = [
            ask(trusting, f"https://{host}:{port}") for host in ("127.0.0.1", "localhost", "127.0.0.1")
        ]

    assert [len(answer.body) for answer in answers] == [200_000] * 3


def test_a_certificate_that_is_not_trusted_gets_no_word_of_the_request(
    line: Wire, secure: ssl.SSLContext
) -> None:
    seen: list[bytes] = []
    with server(lambda one: seen.append(one.request()), secure=secure) as port:
        outcome = ask(line, f"https://127.0.0.1:{port}")

    assert outcome.never_left
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.detail
    assert seen == []


def test_a_server_that_does_not_greet_has_taken_nothing(
    trusting: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "CONNECT_SECONDS", 0.3)
    with server(lambda one: time.sleep(3)) as port:
        outcome = ask(trusting, f"https://127.0.0.1:{port}")

    assert outcome.never_left
    assert "no connection" in outcome.detail


def proxy(
    seen: list[bytes], says: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
) -> Callable[[Line], None]:
    """A proxy that notes what it is asked for and leads there."""

    def serve(one: Line) -> None:
        head = one.head()
        seen.append(head)
        host, _, port = head.split()[1].decode().removeprefix("http://").partition("/")[0].rpartition(":")
        if not head.startswith(b"CONNECT"):
            one.say(OK)
            return
        one.say(says)
        if not says.startswith(b"HTTP/1.1 200"):
            return
        with socket.create_connection((host, int(port))) as behind:
            back = threading.Thread(target=pour, args=(behind, one.sock), daemon=True)
            back.start()
            pour(one.sock, behind)

    return serve


def pour(source: socket.socket, target: socket.socket) -> None:
    """All that one side says, to the other."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def through(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Name a proxy in the environment, for everybody."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://us%40er:pa55@127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_proxy_that_the_environment_names_is_gone_through(
    trusting: Wire, secure: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    with server(answering(OK), secure=secure) as port, server(proxy(seen)) as door:
        through(monkeypatch, door)
        answers = [ask(trusting, f"https://127.0.0.1:{port}"), ask(trusting, f"http://127.0.0.1:{port}/a")]

    assert [answer.body for answer in answers] == [b"ok", b"ok"]
    asked = [request.split(b"\r\n") for request in seen]
    assert [lines[0] for lines in asked] == [
        b"CONNECT 127.0.0.1:%d HTTP/1.1" % port,
        b"POST http://127.0.0.1:%d/a HTTP/1.1" % port,
    ]
    assert all(b"Proxy-Authorization: Basic dXNAZXI6cGE1NQ==" in lines for lines in asked)
    assert b"t0ken" not in seen[0]


def test_a_proxy_is_asked_for_an_address_of_version_6_in_brackets(
    trusting: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    with server(proxy(seen, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")) as door:
        through(monkeypatch, door)
        ask(trusting, "https://[::1]:1")

    assert seen[0].splitlines()[:2] == [b"CONNECT [::1]:1 HTTP/1.1", b"Host: [::1]:1"]


def test_a_proxy_that_refuses_has_let_nothing_through(
    trusting: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(proxy([], b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as door:
        through(monkeypatch, door)
        outcome = ask(trusting, "https://127.0.0.1:1")

    assert outcome.never_left
    assert "407" in outcome.detail


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("soon", None), (3600, 3600), (-3600, None)])
def test_a_brake_may_name_seconds_or_a_moment(line: Wire, said: str | int, seconds: int | None) -> None:
    if isinstance(said, int):
        said = format_datetime(datetime.now(UTC) + timedelta(seconds=said), usegmt=True)
    words = f"HTTP/1.1 429 Too Many\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n".encode()
    with server(answering(words)) as port:
        headers = ask(line, f"http://127.0.0.1:{port}").headers

    assert headers == {} if seconds is None else abs(int(headers["retry-after"]) - seconds) < 60
