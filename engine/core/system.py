"""Sessions across tenants, under the role that row-level security does not bind.

Who may import this module is listed in the import contracts: sign-in, intake, claiming in the dispatcher, relay,
sweeper, CLI. Everybody else opens `engine.core.db.tenant_session`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from engine.core.db import OF_JOB, Limits, connect_engine, transaction_on
from engine.core.settings import settings


@cache
def system_engine() -> Engine:
    """The engine of the system role (BYPASSRLS)."""
    return connect_engine(settings().database_system_url, pool_size=5)


@contextmanager
def system_session(limits: Limits = OF_JOB) -> Iterator[Session]:
    """A transaction that sees every tenant's rows; commits when the block ends well."""
    with transaction_on(system_engine(), None, limits) as session:
        yield session
