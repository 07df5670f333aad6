"""`masteria company` and `masteria user`: companies and people, made and looked after by the operator."""

import sys
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.accounts.models import Company, Role, User
from engine.accounts.queries import find_company, find_user
from engine.accounts.service import (
    add_member,
    change_role,
    create_company,
    create_user,
    disable_user,
    enable_user,
    remove_member,
    set_password,
)
from engine.core.errors import NotFound
from engine.core.settings import new_password
from engine.core.system import system_session

company_app = typer.Typer(help="Companies.", no_args_is_help=True)
user_app = typer.Typer(help="People and the companies they work for.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The address they sign in with.")]
InCompany = Annotated[str, typer.Option("--company", help="The company's short name or id.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


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
    company: InCompany,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.AGENT,
    name: Annotated[str, typer.Option(help="Their name.")] = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Make a person and take them into a company; somebody known is only taken in.

    Without a password given, one is drawn and shown once.
    """
    given = _password_given(password_stdin)
    with system_session() as session:
        place = _company(session, company)
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


@user_app.command(name="password")
def set_password_command(email: Email, password_stdin: PasswordStdin = False) -> None:
    """Give somebody another password, and end all their sign-ins; without one given it is drawn and shown once."""
    given = _password_given(password_stdin)
    drawn = "" if given else new_password()
    with system_session() as session:
        user = _user(session, email)
        set_password(session, user.id, given or drawn)
        said = f"{user.email} has a new password and has to sign in again."
    typer.echo(said)
    if drawn:
        typer.echo(f"Password: {drawn}  (it is not shown again)")


@user_app.command(name="role")
def change_role_command(
    email: Email,
    role: Annotated[Role, typer.Argument(help="What they may do from now on.")],
    company: InCompany,
) -> None:
    """Make somebody something else in a company; a company keeps at least one owner."""
    with system_session() as session:
        user, place = _user(session, email), _company(session, company)
        change_role(session, place.id, user.id, role=role)
        said = f"{user.email} is {role.value} of {place.name}."
    typer.echo(said)


@user_app.command(name="remove")
def remove_member_command(email: Email, company: InCompany) -> None:
    """Let somebody go from a company: their sign-ins to it end at once; what they did stays."""
    with system_session() as session:
        user, place = _user(session, email), _company(session, company)
        remove_member(session, place.id, user.id)
        said = f"{user.email} no longer belongs to {place.name}."
    typer.echo(said)


@user_app.command(name="disable")
def disable_user_command(email: Email) -> None:
    """Bar somebody from every company, at once."""
    with system_session() as session:
        disable_user(session, _user(session, email).id)
    typer.echo(f"{email} can no longer sign in; masteria user enable lets them in again.")


@user_app.command(name="enable")
def enable_user_command(email: Email) -> None:
    """Let a barred person sign in again."""
    with system_session() as session:
        enable_user(session, _user(session, email).id)
    typer.echo(f"{email} can sign in again.")


def _company(session: Session, company: str) -> Company:
    place = find_company(session, company)
    if place is None:
        raise NotFound(text="There is no company of this short name or id: see masteria company list.")
    return place


def _user(session: Session, email: str) -> User:
    user = find_user(session, email)
    if user is None:
        raise NotFound(text="There is nobody with this e-mail address.")
    return user


def _password_given(password_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\n") if password_stdin else ""
