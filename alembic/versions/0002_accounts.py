"""Companies, users, their passwords, memberships, sign-in sessions and refresh tokens."""

from alembic import op

from engine.core.rls import APP_ROLE, CURRENT_TENANT, SYSTEM_ROLE, protect, system_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid, id uuid not null,"


def upgrade() -> None:
    op.execute(
        """create table companies (
            id uuid not null, name text not null, slug text not null,
            time_zone text not null default 'America/Sao_Paulo', locale text not null default 'pt_BR',
            country text not null default 'BR', created_at timestamptz not null default now(),
            constraint pk_companies primary key (id),
            constraint uq_companies_slug unique (slug),
            constraint ck_companies_locale check (locale in ('pt_BR', 'en')))"""
    )
    op.execute(
        """create table users (
            id uuid not null, email text not null, name text not null default '', locale text,
            disabled_at timestamptz, created_at timestamptz not null default now(),
            constraint pk_users primary key (id),
            constraint uq_users_email unique (email),
            constraint ck_users_locale check (locale in ('pt_BR', 'en')))"""
    )
    # Apart from users, so that a role that may read names can never read a hash.
    op.execute(
        """create table passwords (
            user_id uuid not null, hash text not null, changed_at timestamptz not null default now(),
            constraint pk_passwords primary key (user_id),
            constraint fk_passwords_user foreign key (user_id) references users (id) on delete cascade)"""
    )
    op.execute(
        f"""create table memberships ({TENANT}
            user_id uuid not null, role text not null, created_at timestamptz not null default now(),
            constraint pk_memberships primary key (tenant_id, id),
            constraint uq_memberships_user unique (tenant_id, user_id),
            constraint ck_memberships_role check (role in ('owner', 'manager', 'agent', 'analyst')),
            constraint fk_memberships_company foreign key (tenant_id) references companies (id) on delete cascade,
            constraint fk_memberships_user foreign key (user_id) references users (id) on delete cascade)"""
    )
    op.execute("create index ix_memberships_user_id on memberships (user_id)")
    op.execute(
        f"""create table sign_in_sessions ({TENANT}
            user_id uuid not null, generation integer not null default 1, client_sha256 bytea not null,
            created_at timestamptz not null default now(), rotated_at timestamptz not null default now(),
            expires_at timestamptz not null, ended_at timestamptz, ended_why text,
            constraint pk_sign_in_sessions primary key (tenant_id, id),
            constraint fk_sign_in_sessions_member foreign key (tenant_id, user_id)
                references memberships (tenant_id, user_id) on delete cascade)"""
    )
    op.execute("create index ix_sign_in_sessions_user on sign_in_sessions (tenant_id, user_id)")
    op.execute(
        f"""create table refresh_tokens ({TENANT}
            session_id uuid not null, generation integer not null, secret_sha256 bytea not null,
            created_at timestamptz not null default now(),
            constraint pk_refresh_tokens primary key (tenant_id, id),
            constraint fk_refresh_tokens_session foreign key (tenant_id, session_id)
                references sign_in_sessions (tenant_id, id) on delete cascade)"""
    )
    op.execute("create index ix_refresh_tokens_session on refresh_tokens (tenant_id, session_id)")
    for table in ("memberships", "sign_in_sessions", "refresh_tokens"):
        for statement in protect(table):
            op.execute(statement)
    for table in ("companies", "users", "passwords"):
        for statement in system_only(table):
            op.execute(statement)
    # Of no tenant, yet fenced: a company's session sees its own company and the people who work there, no others.
    fence("companies", f"id = {CURRENT_TENANT}")
    fence("users", "exists (select 1 from memberships where memberships.user_id = users.id)")
    op.execute(f"grant select on companies, users to {APP_ROLE}")
    op.execute(f"grant update (name, locale) on users to {APP_ROLE}")
    # Readiness compares the schema's revision with the code's.
    op.execute(f"grant select on alembic_version to {APP_ROLE}, {SYSTEM_ROLE}")


def fence(table: str, condition: str) -> None:
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy tenant on {table} to {APP_ROLE} using ({condition})")


def downgrade() -> None:
    op.execute(f"revoke select on alembic_version from {APP_ROLE}, {SYSTEM_ROLE}")
    for table in ("users", "companies"):
        op.execute(f"drop policy tenant on {table}")
    for table in ("refresh_tokens", "sign_in_sessions", "memberships", "passwords", "users", "companies"):
        op.execute(f"drop table {table}")
