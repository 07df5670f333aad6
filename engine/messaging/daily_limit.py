"""The people a portfolio may begin to write to within 24 hours: counted here, because the provider only refuses.

WhatsApp's messaging limit is of the portfolio, over all its accounts and their numbers, counts each person once, and has
no clean error: what is sent beyond it fails, and costs the number's quality. So a person is counted before they are
marked, and what would be one too many waits. Counted in slots of ten minutes: room comes back up to ten minutes after it
could, never before. Until the provider has told whose an account is, the account stands for its portfolio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.core.db import TENANT_DEFAULT, Base, run

SLOT = timedelta(minutes=10)
WINDOW = timedelta(hours=24)
# Meta's words for the limit (September 2026); TIER_UNLIMITED, and a word that we do not know, are none.
LIMITS: Mapping[str, int] = {
    "TIER_50": 50,
    "TIER_250": 250,
    "TIER_1K": 1_000,
    "TIER_2K": 2_000,
    "TIER_10K": 10_000,
    "TIER_100K": 100_000,
}


class ReachedPerson(Base):
    """When a portfolio last began to write to somebody; `person` is a hash of their address."""

    __tablename__ = "reached_people"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    portfolio: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class ReachSlot(Base):
    """How many people a portfolio began to write to within ten minutes who had not been written to for a day."""

    __tablename__ = "reach_slots"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    portfolio: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[int]


def limit_of(word: str | None) -> int | None:
    """How many people a day; None is no limit."""
    return LIMITS.get(word or "")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a portfolio may still do today; `wait` are the seconds until some room comes back."""

    limit: int
    used: int
    wait: float

    @property
    def left(self) -> int:
        """How many people more."""
        return max(self.limit - self.used, 0)


_USED = """
select coalesce(sum(n), 0)::int as used,
       coalesce(extract(epoch from min(slot) + %(slot)s + %(window)s - now()), 0)::float as wait
from reach_slots
where portfolio = %(portfolio)s and slot > now() - %(window)s - %(slot)s and n > 0
"""


def budget_of(session: Session, portfolio: str, limit: int) -> Budget:
    """How a portfolio stands now."""
    row = run(session, _USED, portfolio=portfolio, slot=SLOT, window=WINDOW)[0]
    return Budget(limit, row.used, row.wait)


_TAKE = """
with asked as (
  select hashtextextended(address, 0) as person, min(place) as place
  from unnest(%(addresses)s::text[]) with ordinality as a(address, place) group by 1
), fresh as materialized (
  select person from asked
  where not exists (select from reached_people r where r.portfolio = %(portfolio)s and r.person = asked.person
                    and r.at > now() - %(window)s)
  order by place limit %(left)s
), kept as (
  insert into reached_people (portfolio, person) select %(portfolio)s, person from fresh order by person
  on conflict (tenant_id, portfolio, person) do update set at = now()
), counted as (
  insert into reach_slots (portfolio, slot, n)
  select %(portfolio)s, date_bin(%(slot)s, now(), 'epoch'), n from (select count(*) as n from fresh) f where n > 0
  on conflict (tenant_id, portfolio, slot) do update set n = reach_slots.n + excluded.n
)
select address from unnest(%(addresses)s::text[]) as a(address)
where hashtextextended(address, 0) not in (select person from fresh)
  and not exists (select from reached_people r where r.portfolio = %(portfolio)s
                  and r.person = hashtextextended(address, 0) and r.at > now() - %(window)s)
"""


def _lock(session: Session, portfolio: str) -> None:
    run(
        session,
        """select pg_advisory_xact_lock(
             hashtextextended('reach:' || current_setting('app.tenant_id') || ':' || %(portfolio)s, 0))""",
        portfolio=portfolio,
    )


# Who was written to in the account's own name counts for the portfolio. A person of both counts once, in the slot of the
# portfolio: the other slot keeps them too, which errs to the safe side for what is left of a day.
_MOVE = """
with gone as (
  delete from reached_people where portfolio = %(account)s returning person, at
), people as (
  insert into reached_people (portfolio, person, at) select %(portfolio)s, person, at from gone order by person
  on conflict (tenant_id, portfolio, person) do update set at = greatest(reached_people.at, excluded.at)
), slots as (
  delete from reach_slots where portfolio = %(account)s returning slot, n
)
insert into reach_slots (portfolio, slot, n) select %(portfolio)s, slot, n from slots order by slot
on conflict (tenant_id, portfolio, slot) do update set n = reach_slots.n + excluded.n
"""


def carry_over(session: Session, account: str, portfolio: str) -> None:
    """Whom an account wrote to today in its own name counts for its portfolio from now on.

    The first thing that a transaction locks, as `take` is.
    """
    for name in sorted({account, portfolio}):
        _lock(session, name)
    run(session, _MOVE, account=account, portfolio=portfolio)


def take(session: Session, portfolio: str, limit: int, addresses: Sequence[str]) -> tuple[set[str], Budget]:
    """Count these people as written to, in their order, as far as the limit goes; answers with those for whom it does not.

    Whoever takes of the same portfolio waits for this transaction, so that two together do not take too much. It is the
    first thing that a transaction locks.
    """
    _lock(session, portfolio)
    budget = budget_of(session, portfolio, limit)
    rows = run(
        session,
        _TAKE,
        portfolio=portfolio,
        addresses=list(addresses),
        left=budget.left,
        window=WINDOW,
        slot=SLOT,
    )
    return {row.address for row in rows}, budget
