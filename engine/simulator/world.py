"""The business side: apps, tokens, WhatsApp accounts, numbers, templates, media. Held in memory, written through."""

import asyncio
import secrets
import time
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar

import orjson

from engine.simulator import ids
from engine.simulator.people import digits_of
from engine.simulator.store import Store

SCOPES = ["whatsapp_business_management", "whatsapp_business_messaging", "business_management"]
DEFAULT_RATE = 80  # messages per second of a number (Meta, throughput page, 2026)


@cache
def _digits(display_phone_number: str) -> str:
    """Kept, as every send asks for it."""
    return digits_of(display_phone_number)


@dataclass(frozen=True, slots=True)
class App:
    """A Meta app: signs webhooks, owns tokens."""

    KIND: ClassVar[str] = "app"
    id: str
    name: str
    secret: str
    callback_url: str = ""
    fields: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and what it reaches. `expires_at` 0 means never."""

    KIND: ClassVar[str] = "token"
    id: str
    app_id: str
    waba_ids: list[str]
    issued_at: int
    expires_at: int = 0
    type: str = "SYSTEM_USER"
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))


@dataclass(frozen=True, slots=True)
class Waba:
    """A WhatsApp Business Account. `subscriptions`: app id to override URL ("" = the app's own)."""

    KIND: ClassVar[str] = "waba"
    id: str
    name: str
    business_id: str
    currency: str = "BRL"
    timezone_id: str = "25"
    subscriptions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Number:
    """A business phone number. `rate` in messages per second."""

    KIND: ClassVar[str] = "number"
    id: str
    waba_id: str
    display_phone_number: str
    verified_name: str
    tier: str = "TIER_10K"
    rate: int = DEFAULT_RATE
    status: str = "CONNECTED"
    quality_rating: str = "GREEN"
    registered: bool = True
    pin: str = ""
    override_url: str = ""
    scenario: dict[str, Any] | None = None
    profile: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)

    @property
    def digits(self) -> str:
        """The number as WhatsApp spells it."""
        return _digits(self.display_phone_number)


@dataclass(frozen=True, slots=True)
class Template:
    """A message template in one language. `review_at`: when its review ends, 0 when it is over."""

    KIND: ClassVar[str] = "template"
    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: list[dict[str, Any]]
    parameter_format: str = "POSITIONAL"
    status: str = "PENDING"
    rejected_reason: str = "NONE"
    quality: str = "UNKNOWN"
    created_at: int = 0
    updated_at: int = 0
    review_at: float = 0.0
    message_send_ttl_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """A stored file: uploaded by a number, or sent to it by a person."""

    KIND: ClassVar[str] = "media"
    id: str
    number_id: str
    mime_type: str
    sha256: str
    file_size: int
    expires_at: float
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A resumable upload under way or done (`handle` set)."""

    KIND: ClassVar[str] = "upload"
    id: str
    app_id: str
    file_name: str
    file_length: int
    file_type: str
    offset: int = 0
    handle: str = ""


Thing = App | Token | Waba | Number | Template | Media | Upload


class World:
    """All businesses of this simulator, by id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.apps: dict[str, App] = {}
        self.tokens: dict[str, Token] = {}
        self.wabas: dict[str, Waba] = {}
        self.numbers: dict[str, Number] = {}
        self.templates: dict[str, Template] = {}
        self.media: dict[str, Media] = {}
        self.uploads: dict[str, Upload] = {}
        self.by_name: dict[tuple[str, str, str], Template] = {}
        self._shelves: dict[type[Thing], dict[str, Any]] = {
            App: self.apps, Token: self.tokens, Waba: self.wabas, Number: self.numbers,
            Template: self.templates, Media: self.media, Upload: self.uploads,
        }  # fmt: skip
        self._load()

    def _load(self) -> None:
        kinds = {kind.KIND: kind for kind in self._shelves}
        for kind, data in self._store.connection.execute("select kind, data from objects"):
            known = {f.name for f in fields(kinds[kind])}
            self._shelve(kinds[kind](**{k: v for k, v in orjson.loads(data).items() if k in known}))

    def _shelve(self, thing: Thing) -> None:
        self._shelves[type(thing)][thing.id] = thing
        if isinstance(thing, Template):
            self.by_name[thing.waba_id, thing.name, thing.language] = thing

    def put(self, thing: Thing) -> asyncio.Future[None]:
        """Adds or replaces a thing; await the answer to have it committed."""
        self._shelve(thing)
        return self._store.write(
            "insert or replace into objects values (?, ?, ?)",
            (thing.KIND, thing.id, orjson.dumps(asdict(thing))),
        )

    def drop(self, thing: Thing) -> asyncio.Future[None]:
        """Removes a thing."""
        self._shelves[type(thing)].pop(thing.id, None)
        if isinstance(thing, Template):
            self.by_name.pop((thing.waba_id, thing.name, thing.language), None)
        return self._store.write("delete from objects where kind = ? and id = ?", (thing.KIND, thing.id))

    def clear(self) -> None:
        """Removes everything."""
        for shelf in self._shelves.values():
            shelf.clear()
        self.by_name.clear()
        self._store.write("delete from objects")

    def numbers_of(self, waba_id: str) -> list[Number]:
        """The numbers of an account, in order of id."""
        return sorted((n for n in self.numbers.values() if n.waba_id == waba_id), key=lambda n: n.id)

    def templates_of(self, waba_id: str) -> list[Template]:
        """The templates of an account, newest first."""
        return sorted(
            (t for t in self.templates.values() if t.waba_id == waba_id), key=lambda t: t.id, reverse=True
        )

    def app_of(self, waba_id: str) -> App | None:
        """The app that may reach an account."""
        token = next((t for t in self.tokens.values() if waba_id in t.waba_ids), None)
        return self.apps.get(token.app_id) if token else None


@dataclass(frozen=True, slots=True)
class Account:
    """All that is needed to connect a number."""

    waba_id: str
    phone_number_id: str
    display_phone_number: str
    verified_name: str
    business_id: str
    app_id: str
    app_secret: str
    access_token: str
    tier: str
    rate: int


def account_of(world: World, number: Number) -> Account:
    """The number with the ids and secrets around it."""
    waba = world.wabas[number.waba_id]
    token = next(t for t in world.tokens.values() if waba.id in t.waba_ids)
    return Account(
        waba_id=waba.id,
        phone_number_id=number.id,
        display_phone_number=number.display_phone_number,
        verified_name=number.verified_name,
        business_id=waba.business_id,
        app_id=token.app_id,
        app_secret=world.apps[token.app_id].secret,
        access_token=token.id,
        tier=number.tier,
        rate=number.rate,
    )


async def open_account(
    world: World,
    *,
    display_phone_number: str = "",
    verified_name: str = "Loja Exemplo",
    tier: str = "TIER_10K",
    rate: int = DEFAULT_RATE,
    waba_id: str = "",
    business_id: str = "",
    phone_number_id: str = "",
    app_secret: str = "",
    access_token: str = "",
) -> Account:
    """A number with its business, app and token; with `waba_id` of an existing account, one more number there.

    With `business_id` of an existing business, a further account of it.
    """
    now = int(time.time())
    waba = world.wabas.get(waba_id)
    if waba is None:
        app = App(
            id=ids.object_id("66"), name=f"{verified_name} app", secret=app_secret or secrets.token_hex(16)
        )
        waba = Waba(
            id=waba_id or ids.object_id("33"),
            name=verified_name,
            business_id=business_id or ids.object_id("22"),
        )
        token = Token(id=access_token or ids.access_token(), app_id=app.id, waba_ids=[waba.id], issued_at=now)
        for thing in (app, waba, token, greeting(waba.id, now)):
            world.put(thing)
    number = Number(
        id=phone_number_id or ids.object_id("44"),
        waba_id=waba.id,
        display_phone_number=display_phone_number or _next_number(world),
        verified_name=verified_name,
        tier=tier,
        rate=rate,
    )
    await world.put(number)
    return account_of(world, number)


def _next_number(world: World) -> str:
    """A Brazilian mobile of São Paulo that no other account here has."""
    return f"+55 11 94002-{8900 + len(world.numbers):04d}"


def greeting(waba_id: str, now: int) -> Template:
    """The approved template that every new account has."""
    return Template(
        id=ids.object_id("77"),
        waba_id=waba_id,
        name="hello_world",
        language="en_US",
        category="UTILITY",
        components=[
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome and congratulations!! This message shows that you can send."},
            {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
        ],
        status="APPROVED",
        quality="GREEN",
        created_at=now,
        updated_at=now,
    )
