"""`masteria company` and `masteria user`: companies and people, made by the operator."""

import sys
from typing import Annotated

import typer
from sqlalchemy import select

from engine.accounts.models import Company, Role
from engine.accounts.queries import find_company, find_user
from engine.accounts.service import add_member, create_company, create_user
from engine.core.errors import NotFound
from engine.core.settings import new_password
from engine.core.system import system_session

company_app = typer.Typer(help="Companies.", no_args_is_help=True)
user_app = typer.Typer(help="People and the companies they work for.", no_args_is_help=True)


@company_app.command(name="create")
def create_company_command(
    name: Annotated[str, typer.Argument(help="Its name, as people see it.")],
    slug: Annotated[
        str | None, typer.Option(help="Its short name; made from the name when not given.")
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="In which its campaigns are scheduled.")
    ] = "America/Sao_Paulo",
    locale: Annotated[str, typer.Option(help="pt_BR or en.")] = "pt_BR",
    country: Annotated[str, typer.Option(help="Where a phone number without a country is from.")] = "BR",
) -> None:
    """Make a company; answers with its short name, which signs people in."""
    with system_session() as session:
        company = create_company(
            session, name=name, slug=slug, time_zone=time_zone, locale=locale, country=country
        )
        made = f"{company.slug}  {company.id}"
    typer.echo(made)


@company_app.command(name="list")
def list_companies_command() -> None:
    """Show every company: short name, id, name."""
    with system_session() as session:
        lines = [
            f"{row.slug}  {row.id}  {row.name}"
            for row in session.scalars(select(Company).order_by(Company.slug))
        ]
    typer.echo("\n".join(lines) or "No company yet.")


@user_app.command(name="create")
def create_user_command(
    email: Annotated[str, typer.Argument(help="The address to sign in with.")],
    company: Annotated[str, typer.Option(help="The company's short name or id.")],
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.AGENT,
    name: Annotated[str, typer.Option(help="Their name.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Make a person and take them into a company; somebody known is only taken in.

    Without a password given, one is drawn and shown once.
    """
    given = sys.stdin.readline().rstrip("\n") if password_stdin else ""
    with system_session() as session:
        place = find_company(session, company)
        if place is None:
            raise NotFound(text="There is no company of this short name or id: see masteria company list.")
        user = find_user(session, email)
        known = user is not None
        drawn = "" if known or given else new_password()
        if user is None:
            user = create_user(session, email=email, password=given or drawn, name=name)
        add_member(session, place.id, user.id, role=role)
        said = f"{user.email} is {role.value} of {place.name}."
    typer.echo(said)
    if drawn:
        typer.echo(f"Password: {drawn}  (it is not shown again)")
