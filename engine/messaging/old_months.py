"""A month of messages goes when its time is over: first all that points at it, in pieces, and then its partition whole.

Messages are found by their month alone, as a month is a range of ids; all of this is across companies, on system
sessions. What comes of it in other floors is theirs (`campaigns/old_months.py`); who may do it, and that it lies in
files before, is the operator's command (`engine/cli/months.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.core.db import Limits, run, waiting_for_locks
from engine.core.ids import uuid7_floor

OF_MONTHS = Limits(statement=3600, lock=20, idle=60)  # some of it reads a table from end to end
OF_PAGES = Limits(statement=120, lock=20, idle=60, by_key=True)
PAGE = 5_000
FILES = 500
# A partition that is dropped locks all of messages, and whoever comes behind waits with it: so not for long.
LOCK_SECONDS = 2.0
# Ids begin with the milliseconds since 1970, and dates end with the year 9999.
FIRST_YEAR, LAST_YEAR = 1970, 9999


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of UTC, by which messages are parted; `2026-09` as text."""

    year: int
    number: int

    @classmethod
    def read(cls, text: str) -> Self:
        """The month that a text names; ValueError when it names none."""
        found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
        if found is None:
            raise ValueError(f"{text} is no month: write it as 2026-09.")
        if not FIRST_YEAR <= int(found[1]) < LAST_YEAR:
            raise ValueError(f"{text} is no month that ids of messages can name: write it as 2026-09.")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def holding(cls, day: date) -> Self:
        """The month of a day."""
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def partition(self) -> str:
        """The name of the table that holds it."""
        return f"messages_{self.year:04d}{self.number:02d}"

    @property
    def first_day(self) -> date:
        """The day it begins with."""
        return date(self.year, self.number, 1)

    @property
    def next(self) -> "Month":
        """The month after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def floor(self) -> UUID:
        """The smallest id of a message of this month."""
        return uuid7_floor(round(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp() * 1000))

    @property
    def ids(self) -> dict[str, UUID]:
        """Its ids as the values `floor` and `ceiling` of a statement: from the one, and below the other."""
        return {"floor": self.floor, "ceiling": self.next.floor}

    def since(self, other: "Month") -> int:
        """How many months lie from the other to this one."""
        return (self.year - other.year) * 12 + self.number - other.number


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that belong to a month: a table, which of it (`%(floor)s`, `%(ceiling)s`), in which order.

    What does not go (`goes` is false) is needed to read the rest, and stays where it is.
    """

    table: str
    which: str
    order: str
    goes: bool = True


BY_MESSAGE = "message_id >= %(floor)s and message_id < %(ceiling)s"
MESSAGES = Part("messages", "id >= %(floor)s and id < %(ceiling)s", "tenant_id, id")
PARTS = (
    MESSAGES,
    Part("provider_messages", BY_MESSAGE, "tenant_id, channel_id, provider_id"),
    Part("send_attempts", BY_MESSAGE, "tenant_id, id"),
    Part("media_files", BY_MESSAGE, "tenant_id, id"),
    Part(
        "template_snapshots",
        """(tenant_id, id) in (
             select tenant_id, snapshot_id from messages where id >= %(floor)s and id < %(ceiling)s)""",
        "tenant_id, id",
        goes=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Messages of a month that lie side by side: after one key (company, id), up to another, which is among them."""

    month: Month
    after: tuple[UUID, UUID]
    last: tuple[UUID, UUID]

    @property
    def values(self) -> dict[str, UUID]:
        """The values of `OF_PAGE`."""
        return self.month.ids | {
            "after_tenant": self.after[0],
            "after_id": self.after[1],
            "last_tenant": self.last[0],
            "last_id": self.last[1],
        }


FROM_THE_FIRST = (UUID(int=0), UUID(int=0))
OF_PAGE = """
m.id >= %(floor)s and m.id < %(ceiling)s and (m.tenant_id, m.id) > (%(after_tenant)s, %(after_id)s)
and (m.tenant_id, m.id) <= (%(last_tenant)s, %(last_id)s)
"""


def current(session: Session) -> Month:
    """The month that it is, by the database's clock."""
    return Month.holding(run(session, "select (now() at time zone 'UTC')::date as today")[0].today)


def has_partition(session: Session, month: Month) -> bool:
    """Whether the month still has a table of its own."""
    return bool(
        run(
            session,
            """select from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent = 'public.messages'::regclass and c.relname = %(name)s""",
            name=month.partition,
        )
    )


def is_there(session: Session, month: Month) -> bool:
    """Whether the month has a table, or messages in that of nobody's month."""
    found = run(
        session,
        "select from messages where id >= %(floor)s and id < %(ceiling)s limit 1",
        **month.ids,
    )
    return bool(found) or has_partition(session, month)


def waiting(session: Session, month: Month) -> int:
    """How many messages of a month are still to be sent, or under way."""
    rows = run(
        session,
        """select count(*) as n from messages
           where id >= %(floor)s and id < %(ceiling)s and state in ('queued', 'dispatching')""",
        **month.ids,
    )
    return int(rows[0].n)


def page_after(session: Session, month: Month, after: tuple[UUID, UUID]) -> Page | None:
    """The next messages of a month, or None when there is none."""
    rows = run(
        session,
        """select tenant_id, id from messages
           where id >= %(floor)s and id < %(ceiling)s and (tenant_id, id) > (%(tenant)s, %(id)s)
           order by tenant_id, id limit %(limit)s""",
        **month.ids,
        tenant=after[0],
        id=after[1],
        limit=PAGE,
    )
    return Page(month, after, (rows[-1].tenant_id, rows[-1].id)) if rows else None


_LET_GO = f"""
with page as materialized (
  select m.tenant_id, m.id, m.channel_id, m.provider_id from messages m where {OF_PAGE}
), known as (
  delete from provider_messages k using page
  where k.tenant_id = page.tenant_id and k.channel_id = page.channel_id and k.provider_id = page.provider_id
    and k.message_id = page.id
)
delete from send_attempts a using page where a.tenant_id = page.tenant_id and a.message_id = page.id
"""  # noqa: S608 - our own words


def let_go(session: Session, page: Page) -> None:
    """Delete what is kept of these messages beside them: the provider's names for them, calls that did not end well."""
    run(session, _LET_GO, **page.values)


# A message that is known by another name than its own, say: few, if any, and no index finds them.
_LEFTOVERS = (
    f"delete from provider_messages where {BY_MESSAGE}",  # noqa: S608
    f"delete from send_attempts where {BY_MESSAGE}",  # noqa: S608
    # The words of a thread go with its last message; a person who writes again makes another summary.
    """update conversations
       set last_message_id = null, last_message_text = null, last_message_kind = null, last_message_direction = null,
         unread = 0, revision = revision + 1
       where last_message_id >= %(floor)s and last_message_id < %(ceiling)s""",
)


def let_go_of_the_rest(session: Session, month: Month) -> None:
    """After all pages: what no page found, and the summaries of threads that end in this month."""
    for statement in _LEFTOVERS:
        run(session, statement, **month.ids)


def files_of(session: Session, month: Month, *, limit: int = FILES) -> Sequence[Row[Any]]:
    """Some of the files that came with a month's messages: rows of (tenant_id, id, path)."""
    return run(
        session,
        f"select tenant_id, id, path from media_files where {BY_MESSAGE} order by tenant_id, id limit %(limit)s",  # noqa: S608
        **month.ids,
        limit=limit,
    )


def forget_files(session: Session, files: Sequence[Row[Any]]) -> None:
    """Delete the rows of files, which are no longer in the store."""
    run(
        session,
        """delete from media_files f using unnest(%(tenants)s::uuid[], %(ids)s::uuid[]) as gone(tenant_id, id)
           where f.tenant_id = gone.tenant_id and f.id = gone.id""",
        tenants=[file.tenant_id for file in files],
        ids=[file.id for file in files],
    )


def drop(session: Session, month: Month) -> None:
    """Drop the partition; whoever can't have the lock at once raises PostgreSQL's LockNotAvailable."""
    with waiting_for_locks(session, LOCK_SECONDS):
        run(session, "select drop_message_partition(%(month)s)", month=month.first_day)
