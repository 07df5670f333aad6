"""A thousand people opt out while a blast goes out: once it is written down, nobody is written to any more."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.contacts.consent import BY_KEYWORD, hear, withdraw_consent
from engine.contacts.models import ConsentState
from engine.core.clock import now
from engine.messaging.models import MessageState
from tests.messaging.sending import provider, queue_blast, send, shop, tally
from tests.provider import Answer, Provider, accepted
from tests.workshop import Shop, messages_of

__all__ = ["provider", "shop"]

PEOPLE = 1000
BEGINS_AT, WAITS_AT = (
    50,
    400,
)  # calls that were taken when the storm begins, and when the provider waits for it
FAR = 150  # opt-outs by then
PATIENCE = 60.0


class Storm:
    """People opt out, those who would be written to last first; `written_at` is when each one's word stood for sure."""

    def __init__(self, shop: Shop, people: list[UUID]) -> None:
        self.written_at: dict[UUID, datetime] = {}
        self.begins, self.is_far = threading.Event(), threading.Event()
        self.faults: list[Exception] = []
        self._shop = shop
        self._waiting = deque(reversed(people))

    @contextmanager
    def raging(self) -> Iterator[None]:
        """Four at a time, from when it begins; the block ends when all have opted out."""
        threads = [threading.Thread(target=self._rage) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.begins.set()
            for thread in threads:
                thread.join(PATIENCE)

    def _rage(self) -> None:
        self.begins.wait(PATIENCE)
        try:
            while self._waiting:
                self._opt_out(self._waiting.popleft())
        except IndexError:
            return  # another one took the last
        except Exception as error:  # noqa: BLE001 - asserted by the test
            self.faults.append(error)
            self.is_far.set()

    def _opt_out(self, person: UUID) -> None:
        """Every other one writes it to us, the rest are noted down by somebody of the company."""
        with self._shop.work.session() as session:
            if person.int % 2:
                hear(session, person, state=ConsentState.WITHDRAWN, source=BY_KEYWORD, said_at=now())
            else:
                withdraw_consent(session, person, source="by phone")
        self.written_at[person] = now()  # the clock of this machine is PostgreSQL's too
        if len(self.written_at) >= FAR:
            self.is_far.set()


def test_nobody_is_marked_after_their_opt_out_was_committed(provider: Provider, shop: Shop) -> None:
    gate_id = queue_blast(shop, PEOPLE, category="MARKETING")
    storm = Storm(shop, [message.contact_id for message in messages_of(shop) if message.contact_id])

    def take(request: dict[str, Any]) -> Answer:
        if len(provider.taken) >= BEGINS_AT:
            storm.begins.set()
        if len(provider.taken) >= WAITS_AT:
            storm.is_far.wait(PATIENCE)  # neither runs away from the other
        return accepted(request)

    provider.behave = take
    with storm.raging():
        send(PATIENCE)

    messages = messages_of(shop)
    called = [message for message in messages if message.called_at is not None]
    skipped = [message for message in messages if message.state == MessageState.SKIPPED]
    late = [
        message.id
        for message in called
        if message.contact_id
        and message.called_at
        and message.called_at > storm.written_at[message.contact_id]
    ]
    assert storm.faults == []
    assert len(storm.written_at) == PEOPLE
    assert late == []
    assert {message.reason_code for message in skipped} == {"opted_out"}
    assert tally(shop, gate_id) == {
        MessageState.ACCEPTED: len(called),
        MessageState.SKIPPED: len(skipped),
    }
    assert len(called) + len(skipped) == PEOPLE
    assert len(called) >= BEGINS_AT
    assert len(skipped) >= FAR
    assert sorted(request["to"] for request in provider.taken) == sorted(
        message.address for message in called
    )
