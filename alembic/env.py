"""Migrations run as the owner role, one transaction each, under an advisory lock so that two starts do not race."""

from alembic import context
from sqlalchemy import create_engine, text

from engine.core.db import Base
from engine.core.settings import settings

MIGRATION_LOCK = 7_220_190_514  # any constant of ours

if context.is_offline_mode():
    context.configure(url=settings().database_owner_url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    url = settings().database_owner_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        context.configure(
            connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
