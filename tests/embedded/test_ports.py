"""Whether a port can be listened at, of an address that is ours or not."""

import socket

import pytest

from engine.embedded.server import free_port, port_is_free


def test_a_port_that_is_taken_is_free_on_another_address() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        free = [port_is_free(port), port_is_free(port, "127.0.0.2")]

    assert free == [False, True]


@pytest.mark.parametrize(("port", "host"), [(65536, "127.0.0.1"), (9100, "192.0.2.1")])
def test_what_is_no_place_of_this_machine_is_not_free(port: int, host: str) -> None:
    assert not port_is_free(port, host)
