"""What a message lives through is written into its own page: by PostgreSQL's figures, nearly all of it is heap-only.

That no index could prevent it is asked of the catalogue (tests/house/test_catalogue.py).
"""

from collections.abc import Iterator
from itertools import batched

import psycopg
import pytest

from engine.core.db import app_engine
from engine.core.system import system_engine
from engine.messaging.channels.base import StatusReceipt
from engine.messaging.receipts import apply_receipts
from tests.messaging.receiving import NOON
from tests.messaging.sending import provider, queue_blast, send, shop, states
from tests.provider import Provider
from tests.walks.stack import eventually
from tests.workshop import Shop, messages_of

__all__ = ["provider", "shop"]

PEOPLE = 300
STATUSES = ("sent", "delivered", "read")

_FIGURES = """
select coalesce(sum(n_tup_upd), 0)::int, coalesce(sum(n_tup_hot_upd), 0)::int
from pg_inherits i join pg_stat_user_tables t on t.relid = i.inhrelid where i.inhparent = 'messages'::regclass
"""
_FORGET = """
select pg_stat_reset_single_table_counters(inhrelid) from pg_inherits where inhparent = 'messages'::regclass
"""
_OTHERS = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'masteria'"


@pytest.fixture
def statistics(shop: Shop, superuser_url: str) -> Iterator[psycopg.Connection]:
    """A connection that asks what messages went through since now; pages are clean of what other tests left."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        figures(connection)
        connection.execute("vacuum messages")
        connection.execute(_FORGET)
        yield connection


def figures(connection: psycopg.Connection) -> tuple[int, int]:
    """How many updates of messages there were, and how many of them heap-only.

    A process of PostgreSQL says what it did now and then, and when it ends: so all of ours are ended first.
    """
    app_engine().dispose()
    system_engine().dispose()
    eventually(lambda: connection.execute(_OTHERS).fetchone() == (0,), seconds=20, why="somebody stays")
    updates, heap_only = connection.execute(_FIGURES).fetchone() or (0, 0)
    return updates, heap_only


def tell(shop: Shop, status: str) -> None:
    """The provider's word on every message, a hundred in a transaction."""
    for some in batched([message.id for message in messages_of(shop)], 100):
        words = [StatusReceipt("1029", f"wamid.{key}", status, NOON, send_key=key) for key in some]
        with shop.work.session() as session:
            apply_receipts(session, shop.channel_id, words)


def test_nearly_all_that_happens_to_a_message_stays_in_its_page(
    provider: Provider, shop: Shop, statistics: psycopg.Connection
) -> None:
    queue_blast(shop, PEOPLE)

    send()
    marked_and_settled = figures(statistics)
    for status in STATUSES:
        tell(shop, status)
    in_all = figures(statistics)

    assert states(shop) == {"read": PEOPLE}
    assert marked_and_settled[0] == 2 * PEOPLE
    assert in_all[0] == (2 + len(STATUSES)) * PEOPLE
    # A row grows by what it learns: when all rows of a page are told at once, the last few find no room in it.
    assert marked_and_settled[1] > 0.97 * marked_and_settled[0], marked_and_settled
    assert in_all[1] > 0.9 * in_all[0], in_all
