"""Messaging: what is due is sent, what came in is understood, what a lost worker left is taken over."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from uuid import UUID

from sqlalchemy.orm import Session

from engine.core.db import OF_BATCHES, run, tenant_session, waiting_for_locks
from engine.core.system import system_session
from engine.messaging import forgetting, intake, ledger, media, receipts, recovery
from engine.messaging.dispatch import Dispatcher
from engine.scheduler.clearing import clear
from engine.scheduler.job import Job, each
from engine.scheduler.queues import EVENTS, SEND
from engine.scheduler.queues import JOBS as SLOW
from engine.scheduler.shutdown import stopping

SLICE_SECONDS = 15.0
MONTHS_AHEAD = 3
PARTITION_LOCK_SECONDS = 2.0  # it comes again within the hour, months before anybody needs it


@cache
def _dispatcher() -> Dispatcher:
    """This process's dispatcher: its connections to providers are kept from slice to slice."""
    return Dispatcher(stop=stopping)


def forget_dispatcher() -> None:
    """For a child that was forked from a process which has sent itself: two must not write into one wire book."""
    if _dispatcher.cache_info().currsize:
        _dispatcher().abandon()
        _dispatcher.cache_clear()


def _send() -> bool:
    called = _dispatcher().run(SLICE_SECONDS)
    if stopping.is_set() or not called:
        return False
    with system_session() as session:
        return ledger.is_due(session)


def _recover() -> bool:
    """Ranges whose holder is gone go back; a transaction a tenant, so that one tenant's fault keeps no other waiting."""
    with system_session() as session:
        lost = recovery.expired(session)
    each("recover", lost.items(), _recover_for)
    with system_session() as session:
        recovery.clear_books(session)
    return False


def _recover_for(found: tuple[UUID, Sequence[UUID]]) -> None:
    tenant_id, works = found
    with tenant_session(tenant_id, OF_BATCHES) as session:
        recovery.recover(session, works)


def _recover_due(session: Session) -> bool:
    return bool(run(session, "select 1 from due_sends where lease_until < now() limit 1"))


def _retry_parked() -> bool:
    with system_session() as session:
        tenants = run(session, "select distinct tenant_id from parked_receipts where due_at <= now()")
    return each("parked", [row.tenant_id for row in tenants], _retry_parked_for)


def _retry_parked_for(tenant_id: UUID) -> int:
    with tenant_session(tenant_id, OF_BATCHES) as session:
        return receipts.retry_parked(session)


def _parked_due(session: Session) -> bool:
    return bool(run(session, "select 1 from parked_receipts where due_at <= now() limit 1"))


def _forget() -> bool:
    with system_session() as session:
        return forgetting.delete_files(session)


def _partitions() -> bool:
    """Make the months ahead. A new one locks all of messages, and whoever comes behind waits with it: so not for long."""
    for ahead in range(MONTHS_AHEAD + 1):
        with system_session() as session, waiting_for_locks(session, PARTITION_LOCK_SECONDS):
            run(
                session,
                "select ensure_message_partition((now() + make_interval(months => %(ahead)s))::date)",
                ahead=ahead,
            )
    return False


def _once_an_hour(name: str, deed: Callable[[], bool]) -> bool:
    """Do it, unless another clock has had it done this hour: two beats do no harm."""
    with system_session() as session:
        taken = run(
            session,
            """insert into periodic_slots (job, slot) values (%(job)s, date_trunc('hour', now()))
               on conflict do nothing returning job""",
            job=name,
        )
    return deed() if taken else False


def _by_the_clock(_session: Session) -> bool:
    return False


JOBS = (
    # Where workers share no folder, only those beside a killed sender have its book. First, so that it is sent at once.
    Job("recover here", SEND, recovery.is_left_here, _recover, is_of_here=True),
    Job("send", SEND, ledger.is_due, _send),
    Job("recover", EVENTS, _recover_due, _recover),
    Job("intake", EVENTS, intake.is_due, intake.understand_due, pause=0.05),
    Job("parked", EVENTS, _parked_due, _retry_parked),
    Job("media", SLOW, media.is_due, media.fetch_due_media),
    Job("forget", SLOW, forgetting.files_wait, _forget, look_every=60.0),
    Job(
        "partitions", SLOW, _by_the_clock, partial(_once_an_hour, "partitions", _partitions), look_every=3600
    ),
    Job("clear", SLOW, _by_the_clock, partial(_once_an_hour, "clear", clear), look_every=3600),
)
