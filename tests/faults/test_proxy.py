"""The bad network does what it says, to a server that gives back what it hears."""

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    """Gives back what it hears."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while heard := self.request.recv(65536):
                self.request.sendall(heard)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with Proxy.before(f"tcp://127.0.0.1:{server.server_address[1]}/0") as proxy:
            yield proxy
        server.shutdown()


def line(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=1.0)


def heard(connection: socket.socket, amount: int) -> bytes:
    """So many bytes, or fewer when the other end has said that it ends."""
    got = b""
    while len(got) < amount and (piece := connection.recv(amount - len(got))):
        got += piece
    return got


def said_back(proxy: Proxy, words: bytes) -> bytes:
    """What comes back of these words on a connection of their own."""
    with line(proxy) as connection:
        connection.sendall(words)
        return heard(connection, len(words))


def test_what_goes_in_comes_out_and_an_end_is_passed_on(proxy: Proxy) -> None:
    said = bytes(range(256)) * 2000
    with line(proxy) as connection:
        threading.Thread(target=connection.sendall, args=(said,)).start()

        assert heard(connection, len(said)) == said
        connection.shutdown(socket.SHUT_WR)
        assert heard(connection, 1) == b""


def test_a_delay_holds_each_direction(proxy: Proxy) -> None:
    proxy.delay(0.1)
    with line(proxy) as connection:
        began = time.monotonic()
        connection.sendall(b"oi")
        heard(connection, 2)

        assert 0.2 <= time.monotonic() - began < 0.8


def test_a_throttle_lets_so_many_bytes_a_second_by(proxy: Proxy) -> None:
    proxy.throttle(100_000)
    with line(proxy) as connection:
        began = time.monotonic()
        connection.sendall(b"x" * 20_000)
        heard(connection, 20_000)

        assert 0.3 <= time.monotonic() - began < 1.5


def test_who_hangs_takes_connections_and_says_nothing_and_later_ones_serve(proxy: Proxy) -> None:
    with line(proxy) as before:
        before.sendall(b"a")
        heard(before, 1)
        with proxy.hanging(), line(proxy) as during:
            for connection in (before, during):
                connection.settimeout(0.2)
                connection.sendall(b"b")
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        with line(proxy) as after:
            after.sendall(b"c")
            assert heard(after, 1) == b"c"
        with pytest.raises(TimeoutError):
            before.recv(1)


def test_who_reads_nothing_fills_the_wire(proxy: Proxy) -> None:
    with proxy.hanging(), line(proxy) as connection:
        connection.settimeout(0.3)

        with pytest.raises(TimeoutError):
            connection.sendall(b"x" * 32 * 1024 * 1024)


def test_a_reset_ends_what_is_open_and_no_more(proxy: Proxy) -> None:
    with line(proxy) as connection:
        connection.sendall(b"a")
        heard(connection, 1)
        proxy.reset()

        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with line(proxy) as later:
        later.sendall(b"b")
        assert heard(later, 1) == b"b"


def test_who_refuses_resets_everybody_until_it_passes_on(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        said_back(proxy, b"a")
    proxy.pass_on()
    assert said_back(proxy, b"b") == b"b"


def test_an_answer_is_cut_in_its_middle(proxy: Proxy) -> None:
    proxy.cut_after(10)
    with line(proxy) as connection:
        connection.sendall(b"0123456789abc")

        with pytest.raises(ConnectionResetError):
            heard(connection, 13)


def test_when_the_server_resets_the_other_end_hears_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # noqa: SIM117 (the lines would not fit)
        with Proxy("127.0.0.1", server.getsockname()[1]) as proxy, line(proxy) as connection:
            behind, _ = server.accept()
            behind.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            behind.close()

            with pytest.raises(ConnectionResetError):
                connection.recv(1)


def test_an_address_is_told_by_way_of_the_proxy(proxy: Proxy) -> None:
    there = f"redis://:word@127.0.0.1:{proxy._behind[1]}/2"

    assert proxy.address_of(there) == f"redis://:word@127.0.0.1:{proxy.port}/2"
