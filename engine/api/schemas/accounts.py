"""Bodies of sign-in and of the caller."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engine.accounts.models import Role
from engine.core.i18n import LOCALES

ID = "0198f2a6-7c1e-7a3b-9d52-3f0c8e1b6a11"
OTHER_ID = "0198f2a6-7c1e-7a3b-9d52-3f0c8e1b6a12"
COMPANY = {"id": OTHER_ID, "name": "Padaria Aurora", "slug": "padaria-aurora"}

type LocaleName = Literal["pt_BR", "en"]
type Named = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TokenPair(BaseModel):
    """A fresh pair of tokens; the access token is good for `expires_in` seconds, the refresh token once."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "access_token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiI…",
                "refresh_token": "mrt_AZjypnweejudUj8MjhtqEQ…",
                "token_type": "bearer",
                "expires_in": 600,
            }
        }
    )

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int


class RefreshBody(BaseModel):
    """A refresh token, to be spent or to end its sign-in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"refresh_token": "mrt_AZjypnweejudUj8MjhtqEQ…"}}
    )

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class CompanyBody(BaseModel):
    """The company to go on with: its id or its slug."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"company": "padaria-aurora"}})

    company: Named


class UserAnswer(BaseModel):
    """Who is signed in; `locale` is null until they choose a language."""

    id: UUID
    email: str
    name: str
    locale: str | None


class CompanyAnswer(BaseModel):
    """The company the sign-in is for."""

    id: UUID
    name: str
    slug: str
    time_zone: str
    locale: str


class MembershipAnswer(BaseModel):
    """A company that the caller belongs to, and as what."""

    id: UUID
    name: str
    slug: str
    role: Role


class MeAnswer(BaseModel):
    """The caller: who, for which company, as what, and where else they belong."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "user": {"id": ID, "email": "ana@aurora.example", "name": "Ana", "locale": "pt_BR"},
                "company": {**COMPANY, "time_zone": "America/Sao_Paulo", "locale": "pt_BR"},
                "role": "manager",
                "companies": [{**COMPANY, "role": "manager"}],
                "session_id": ID,
            }
        }
    )

    user: UserAnswer
    company: CompanyAnswer
    role: Role
    companies: list[MembershipAnswer]
    session_id: UUID


class MeChange(BaseModel):
    """What people may change of themselves; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Ana Lima", "locale": "en"}}
    )

    name: Named | None = None
    locale: LocaleName | None = Field(default=None, description=f"One of {', '.join(LOCALES)}.")
