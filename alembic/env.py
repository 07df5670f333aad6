"""Migrations run as the owner role, one transaction each, under an advisory lock so that two starts do not race.

A migration waits a short while for a table that is in use: everybody who comes after it waits behind it. Who runs it
tries again (`engine/cli/database.py`).
"""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from engine.core.db import Base
from engine.core.settings import settings

MIGRATION_LOCK = 7_220_190_514  # any constant of ours
LOCK_WAIT = "2s"

if context.is_offline_mode():
    context.configure(url=settings().database_owner_url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    url = settings().database_owner_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, poolclass=NullPool)  # a failed try must not keep the lock
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text("select set_config('lock_timeout', :wait, false)"), {"wait": LOCK_WAIT})
        connection.commit()
        context.configure(
            connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()
