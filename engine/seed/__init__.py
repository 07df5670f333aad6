"""The demo company: a shop with two believable months behind it, so that no screen is empty at the first start."""

import secrets

from engine.accounts.models import Role
from engine.accounts.queries import find_user
from engine.accounts.service import add_member, create_company, create_user
from engine.core.clock import now
from engine.core.db import Work
from engine.core.ids import TenantId
from engine.core.settings import SettingsError, settings
from engine.core.system import system_session
from engine.seed.history import date_back, write_history
from engine.seed.people import write_people
from engine.seed.sandbox import connect_sandbox

OWNER = "owner@demo.example"
COMPANY = "Loja Aurora"
SLUG = "demo"
COLLEAGUES = (
    ("gerente@demo.example", "Bruna Teixeira", Role.MANAGER),
    ("atendente@demo.example", "Caio Rezende", Role.AGENT),
    ("analista@demo.example", "Lívia Sampaio", Role.ANALYST),
)


def seed_demo() -> bool:
    """Make the demo company; False when its owner is there already. Safe to repeat after being interrupted.

    SettingsError in production: its people would sign in with an empty password.
    """
    if settings().is_production:
        raise SettingsError("Production has no demo company: nothing was changed.")
    with system_session() as session:
        if find_user(session, OWNER) is not None:
            return False
        company = create_company(session, name=COMPANY, slug=f"{SLUG}-{secrets.token_hex(2)}")
    work = Work(TenantId(company.id))
    channel, templates = connect_sandbox(work)
    people = write_people(work, now())
    write_history(work, channel, templates, people, now())
    date_back(work, now())
    # The people who sign in come last: a company without them is a half-made one, and the next start makes another.
    with system_session() as session:
        owner = create_user(
            session, email=OWNER, password=settings().demo_password, name="Marina Duarte", any_password=True
        )
        add_member(session, company.id, owner.id, role=Role.OWNER)
        for email, name, role in COLLEAGUES:
            colleague = create_user(
                session, email=email, password=settings().demo_password, name=name, any_password=True
            )
            add_member(session, company.id, colleague.id, role=role)
    return True
