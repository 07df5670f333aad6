"""A broker that hangs: whoever puts a bell down is told so, and puts the next one down when it is well again."""

import pytest
from kombu.exceptions import OperationalError

from engine.scheduler.app import app
from tests.faults.proxy import Proxy


@pytest.mark.timeout(20)
def test_a_bell_for_a_broker_that_hangs_is_given_up(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = app.conf.broker_transport_options
    monkeypatch.setitem(options, "socket_timeout", options["socket_timeout"] / 10)
    with (
        Proxy.before(valkey_url) as network,
        app.connection_for_write(network.address_of(valkey_url)) as line,
    ):

        def ring() -> None:
            app.send_task("job", ("send",), queue="nobody", connection=line, retry=False)

        ring()
        with network.hanging(), pytest.raises(OperationalError):
            ring()
        ring()
