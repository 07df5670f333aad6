"""Who is asking: tokens, user, company, role."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tokens:
    """A fresh pair of tokens; the access token lives `expires_in` seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Membership:
    """A company somebody belongs to, and as what."""

    id: str
    name: str
    slug: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in."""

    id: str
    email: str
    name: str = ""
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Company:
    """The company the session is for."""

    id: str
    name: str
    slug: str = ""
    time_zone: str = "UTC"
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Me:
    """The caller: user, company, role, and the sign-in session."""

    user: User
    company: Company
    role: str
    companies: tuple[Membership, ...] = ()
    session_id: str | None = None
