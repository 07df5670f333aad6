"""SQL that puts a table under its tenant's row-level security; used by migrations, checked by tests/house."""

APP_ROLE = "masteria_app"
SYSTEM_ROLE = "masteria_system"

CURRENT_TENANT = "(select nullif(current_setting('app.tenant_id', true), '')::uuid)"


def protect(table: str, *, app: str = "select, insert, update, delete") -> list[str]:
    """Statements that force row-level security on a tenant's table and grant it to the app and system roles."""
    return [
        f"alter table {table} enable row level security",
        f"alter table {table} force row level security",
        f"create policy tenant on {table} using (tenant_id = {CURRENT_TENANT})",
        f"grant {app} on {table} to {APP_ROLE}",
        f"grant select, insert, update, delete on {table} to {SYSTEM_ROLE}",
    ]


def system_only(table: str) -> list[str]:
    """Statements for a table of no tenant that only the system role may touch."""
    return [f"grant select, insert, update, delete on {table} to {SYSTEM_ROLE}"]
