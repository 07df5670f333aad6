"""Sessions on PostgreSQL, where the tenant is the session: row-level security sees to the rest.

Only this module commits. `tenant_session` is the one opener for a tenant's rows; sessions across tenants live in
`engine.core.system`, whose importers are listed in the import contracts.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, ClassVar, cast
from uuid import UUID

import orjson
import psycopg
from psycopg import Cursor
from psycopg.types.json import set_json_loads
from sqlalchemy import TIMESTAMP, Connection, Engine, MetaData, Text, create_engine, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column

from engine.core.errors import DatabaseAway
from engine.core.ids import TenantId, uuid7
from engine.core.settings import settings

TENANT_DEFAULT = text("nullif(current_setting('app.tenant_id', true), '')::uuid")

# A server that vanishes (a machine that is switched off, a network that drops what is sent) is noticed within seconds:
# libpq waits as long as the kernel does otherwise, a quarter of an hour and more.
CONNECTION: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
    "application_name": "masteria",
}

set_json_loads(orjson.loads)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one statement may take, how long it may wait for a lock, and a transaction for its next word; in seconds.

    `idle`: a process that stands still in the middle of a transaction holds what others wait for; the server ends it.
    `by_key`: what is asked for is named by its keys, so that a plan may look rows up and do nothing else. A month's
    partition of messages has no statistics while it is new, and the planner then reads it whole for each batch.
    """

    statement: float
    lock: float
    idle: float
    by_key: bool = False


# Somebody waits for the answer, and a place among few is held meanwhile.
OF_REQUEST = Limits(statement=10, lock=3, idle=10)
# A page of an audience or of a file takes seconds; what takes minutes is stuck.
OF_JOB = Limits(statement=120, lock=20, idle=60)
# Batches on the way out and in: rows by their ids, in the order given, so that two writers never deadlock.
OF_BATCHES = Limits(statement=60, lock=20, idle=5, by_key=True)


class Base(DeclarativeBase):
    """The tables of the product. A table is a tenant's (`TenantTable`) or is listed in tests/house as of no tenant."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        str: Text,
    }


class TenantTable:
    """A table whose rows belong to a tenant: primary key (tenant_id, id), tenant_id filled by the session."""

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)


def connect_engine(url: str, *, pool_size: int = 5) -> Engine:
    """A SQLAlchemy engine on psycopg 3 with our defaults; url is any postgresql:// address.

    DatabaseAway while no address is known: that of an embedded server is written down when it starts.
    """
    if not url:
        raise DatabaseAway()
    driver_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    # What is prepared stays with a server's connection, and a pooler gives the next transaction another one.
    pooled = {"prepare_threshold": None} if settings().database_pooled else {}
    return create_engine(
        driver_url,
        pool_size=pool_size,
        max_overflow=pool_size * 2,
        pool_timeout=10,
        pool_recycle=1800,
        hide_parameters=True,
        json_deserializer=orjson.loads,
        connect_args={**CONNECTION, **pooled},
    )


@cache
def app_engine() -> Engine:
    """The engine of the app role, which sees only the rows of the tenant that a session names."""
    return connect_engine(settings().database_url, pool_size=10)


_NAME_TENANT = """
select set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),
       set_config('idle_in_transaction_session_timeout', %s, true), set_config('app.tenant_id', %s, true)"""
_NAME_TENANT_BY_KEY = _NAME_TENANT + "".join(
    f", set_config('enable_{way}', 'off', true)" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
)


@event.listens_for(Session, "after_begin")
def _name_the_tenant(session: Session, _transaction: SessionTransaction, connection: Any) -> None:
    """Say whose rows are seen and how long a statement may take; a connection that is dead shows itself by it."""
    limits: Limits | None = session.info.get("limits")
    if limits is None:
        return
    # set_config(..., is_local=true) ends with the transaction: a pooled connection never carries a tenant over.
    connection.exec_driver_sql(
        _NAME_TENANT_BY_KEY if limits.by_key else _NAME_TENANT,
        (_ms(limits.statement), _ms(limits.lock), _ms(limits.idle), str(session.info.get("tenant_id") or "")),
    )


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


_JOIN_BY = (
    "select set_config('enable_hashjoin', %(hash)s, true), set_config('enable_nestloop', %(loop)s, true)"
)


@contextmanager
def joined_by_hash(session: Session) -> Iterator[None]:
    """Within this block rows are joined by hash alone.

    For a statement that finds its rows by an array of keys and joins them with what is said of each: a plan that was made
    while a table was nearly empty would compare each with each. On an error the transaction is lost anyway.
    """
    run(session, _JOIN_BY, hash="on", loop="off")
    yield
    usual: Limits = session.info["limits"]
    run(session, _JOIN_BY, hash="off" if usual.by_key else "on", loop="on")


@contextmanager
def waiting_for_locks(session: Session, seconds: float) -> Iterator[None]:
    """Within this block a statement waits so long for a lock, no longer; on an error the transaction is lost anyway."""
    run(session, "select set_config('lock_timeout', %(limit)s, true)", limit=_ms(seconds))
    yield
    usual: Limits = session.info["limits"]
    run(session, "select set_config('lock_timeout', %(limit)s, true)", limit=_ms(usual.lock))


@contextmanager
def transaction_on(engine: Engine, tenant_id: UUID | None, limits: Limits = OF_JOB) -> Iterator[Session]:
    """One transaction: commits at the end, rolls back on an error, says DatabaseAway when there is no database."""
    session = _opened(engine, tenant_id, limits)
    try:
        yield session
        session.commit()
    except (OperationalError, InterfaceError, InternalError) as error:
        if _is_connection_loss(error) or _is_passing(error):
            raise DatabaseAway() from error
        raise
    finally:
        session.close()
    for follow in session.info["after_commit"]:
        follow()


def _opened(engine: Engine, tenant_id: UUID | None, limits: Limits) -> Session:
    """A session whose transaction has begun on a connection that is alive.

    A server that was started anew leaves dead connections in the pool; the first that is noticed empties it, so one
    more try gets a fresh one, and nobody is told that the database is away when it is not.
    """
    for may_try_again in (True, False):
        info: dict[Any, Any] = {"tenant_id": tenant_id, "limits": limits, "after_commit": []}
        session = Session(engine, expire_on_commit=False, info=info)
        try:
            session.connection()
        except (OperationalError, InterfaceError) as error:
            session.close()
            if not _is_connection_loss(error):
                raise
            if not may_try_again:
                raise DatabaseAway() from error
        else:
            return session
    raise DatabaseAway()


def _is_connection_loss(error: OperationalError | InterfaceError | InternalError) -> bool:
    """True when the server could not be reached or went away, rather than refused the statement."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    # 25P03: this process stood still in the middle of its transaction, and the server ended it.
    return sqlstate is None or sqlstate == "25P03" or sqlstate.startswith(("08", "57P"))


def _is_passing(error: OperationalError | InterfaceError | InternalError) -> bool:
    """True for a deadlock, and for a server that is out of disk, memory or connections."""
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    return sqlstate in ("40001", "40P01") or sqlstate.startswith("53")


@contextmanager
def tenant_session(tenant_id: UUID, limits: Limits = OF_JOB) -> Iterator[Session]:
    """A transaction that sees one tenant's rows; commits when the block ends well."""
    with transaction_on(app_engine(), tenant_id, limits) as session:
        yield session


def tenant_of(session: Session) -> TenantId:
    """The tenant that this session is opened for."""
    tenant_id = session.info.get("tenant_id")
    if tenant_id is None:
        raise RuntimeError("this session is not a tenant's: open it with tenant_session()")
    return TenantId(tenant_id)


def _named_rows(cursor: Cursor[Any]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Rows as tuples with names; a column that has no name of its own has a place alone (psycopg refuses it)."""
    result = cursor.pgresult
    return (
        _row_of(*[result.fname(at) or b"" for at in range(result.nfields)]) if result is not None else tuple
    )


@lru_cache(maxsize=1024)
def _row_of(*names: bytes) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    row = namedtuple("Row", [name.decode() for name in names], rename=True)  # type: ignore[misc]
    made: Callable[[Sequence[Any]], tuple[Any, ...]] = row._make
    return made


def run(session: Session, statement: str, **values: Any) -> Sequence[Any]:
    """Rows of a statement in the driver's own style (`%(name)s`), for the paths where each microsecond is counted.

    It goes to the driver itself: SQLAlchemy takes a third as long again. Errors are SQLAlchemy's all the same.
    """
    return _fetched(session, statement, values, row_factory=_named_rows)


def run_binary(session: Session, statement: str, **values: Any) -> Sequence[tuple[Any, ...]]:
    """Plain rows of a question, in PostgreSQL's binary form: bytes come as they are, and not as text twice as long."""
    return _fetched(session, statement, values, binary=True)


def _fetched(session: Session, statement: str, values: Mapping[str, Any], **rows: Any) -> Sequence[Any]:
    connection = session.connection()
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    try:
        with driver.cursor(**rows) as cursor:
            cursor.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description is not None else []
    except psycopg.Error as error:
        raise _in_words_of_sqlalchemy(connection, statement, error) from error


def _in_words_of_sqlalchemy(connection: Connection, statement: str, error: psycopg.Error) -> Exception:
    """The same error as SQLAlchemy raises it; a connection that is lost leaves the pool."""
    is_lost = connection.dialect.is_disconnect(cast(Any, error), connection.connection.dbapi_connection, None)
    if is_lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=is_lost,
        dialect=connection.dialect,
    )  # fmt: skip


@contextmanager
def apart(session: Session) -> Iterator[None]:
    """A part of a transaction of which an error undoes nothing but itself; one at a time."""
    run(session, "savepoint apart")
    try:
        yield
    except DBAPIError:
        run(session, "rollback to savepoint apart")
        raise
    run(session, "release savepoint apart")


def array_of(values: Iterable[object]) -> str:
    """Ids, numbers or words of ours as PostgreSQL writes an array: the driver spends five times as much on a list."""
    return "{" + ",".join(map(str, values)) + "}"


def quoted_array_of(values: Sequence[str | None]) -> str:
    """Words of anybody as PostgreSQL writes an array; one of nothing but None is empty, which `unnest` fills up."""
    if all(value is None for value in values):
        return "{}"
    return "{" + ",".join(["NULL" if value is None else _escaped(value) for value in values]) + "}"


def _escaped(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def json_of(values: Mapping[str, Any] | Sequence[Any]) -> str:
    """Values by id, or in order, as one JSON text: `->>` finds each in a few steps, whatever the planner thinks of tables."""
    return orjson.dumps(values).decode()


def after_commit(session: Session, follow: Callable[[], None]) -> None:
    """Run `follow` once this transaction has committed (a bell, never an effect that must not be lost)."""
    session.info["after_commit"].append(follow)


@dataclass(frozen=True, slots=True)
class Work:
    """What a job gets that waits on the outside: it opens short sessions and keeps none open while it waits."""

    tenant_id: TenantId
    limits: Limits = OF_JOB

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A short transaction of this tenant."""
        with tenant_session(self.tenant_id, self.limits) as session:
            yield session
