"""A tiny stand-in of the engine's API for the console's tests: believable answers, a log of what was asked.

Run it alone: `uvicorn --app-dir tests/console console_fake_api:app`. Passwords are `secret`; `many@demo.example` has two companies.
"""

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, PlainTextResponse

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
PASSWORD = "secret"
NAMES = ("Ana Souza", "Bruno Lima", "Carla Mendes", "Diego Rocha", "Elisa Prado", "Fábio Nunes", "Gabriela Reis",
         "Hugo Castro", "Isabela Dias", "João Pereira", "Karina Lopes", "Lucas Moraes")  # fmt: skip
COMPANIES = {
    "acme": {"id": str(UUID(int=1)), "name": "Acme Varejo", "slug": "acme"},
    "globex": {"id": str(UUID(int=2)), "name": "Globex", "slug": "globex"},
}
USERS = {
    "owner@demo.example": ("Dana Keller", {"acme": "owner"}),
    "analyst@demo.example": ("Ari Lemos", {"acme": "analyst"}),
    "many@demo.example": ("Mia Torres", {"acme": "owner", "globex": "manager"}),
}
COUNTS = ("total queued dispatching accepted sent delivered read failed unknown skipped cancelled replied").split()


def iso(moment: datetime) -> str:
    """An instant as the API writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def ago(**span: float) -> str:
    """An instant before now."""
    return iso(NOW - timedelta(**span))


def counts(**given: int) -> dict[str, int]:
    """A campaign's counts; what is not named is zero."""
    return {name: given.get(name, 0) for name in COUNTS}


def campaign(number: int, name: str, status: str, **fields: Any) -> dict[str, Any]:
    """One campaign."""
    return {
        "id": str(UUID(int=100 + number)), "name": name, "status": status, "channel_id": str(UUID(int=10)),
        "channel_name": "Vendas", "template_id": str(UUID(int=20)), "template_name": "black_friday",
        "audience": {"all": True}, "variables": {"body.1": "contact.name", "body.2": {"text": "30%"}},
        "scheduled_at": None, "started_at": None, "paused_at": None, "completed_at": None,
        "created_at": ago(days=number), "created_by": None, "counts": counts(), "rate_per_second": 0,
        "seconds_left": None, "revision": 1,
    } | fields  # fmt: skip


def contact(number: int) -> dict[str, Any]:
    """One contact."""
    name = f"{NAMES[number % len(NAMES)]}" + (f" {number // len(NAMES) + 1}" if number >= len(NAMES) else "")
    phone = f"+55119{80000000 + number * 7919:08d}"
    return {
        "id": str(UUID(int=1000 + number)), "name": name, "phone": phone,
        "identities": [{"kind": "phone", "value": phone}],
        "tags": [tag for place, tag in enumerate(("vip", "newsletter", "são paulo")) if number % (place + 2) == 0],
        "fields": {"cidade": "São Paulo" if number % 2 else "Recife"},
        "consent": {"marketing": ("granted", "granted", "none", "withdrawn")[number % 4]},
        "created_at": ago(days=number % 60), "last_inbound_at": ago(hours=number * 3) if number % 3 else None,
        "revision": 1,
    }  # fmt: skip


def template(number: int, name: str, status: str, category: str, body: str) -> dict[str, Any]:
    """One template."""
    gaps = [{"key": f"body.{n}", "example": ("Ana", "30%")[n - 1]} for n in (1, 2) if "{{%d}}" % n in body]
    return {
        "id": str(UUID(int=20 + number)), "channel_id": str(UUID(int=10)), "name": name, "language": "pt_BR",
        "category": category, "status": status, "quality": None, "variables": gaps, "created_at": ago(days=20 + number),
        "status_reason": "O texto promete um prêmio." if status == "rejected" else None, "revision": 1,
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Black Friday"},
            {"type": "BODY", "text": body},
            {"type": "FOOTER", "text": "Responda SAIR para não receber mais"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Quero!"}]},
        ],
    }  # fmt: skip


class Store:
    """What the stand-in holds; a test reads `asked` and changes the rest."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.tries = itertools.count(1)
        self.tokens: dict[str, tuple[str, str]] = {}
        self.refresh: dict[str, tuple[str, str]] = {}
        self.serial = itertools.count(1)
        self.refreshes = 0
        running = counts(total=5000, queued=1850, dispatching=24, accepted=130, sent=420, delivered=1310, read=1104,
                         failed=62, unknown=4, skipped=96, replied=211)  # fmt: skip
        done = counts(total=12840, delivered=3920, read=8411, failed=301, skipped=208, replied=1320)
        self.campaigns = [
            campaign(1, "Black Friday: clientes VIP", "running", counts=running, started_at=ago(minutes=4),
                     rate_per_second=78.4, seconds_left=24),
            campaign(2, "Volta às aulas", "paused", counts=counts(total=900, queued=410, delivered=290, read=180, failed=8,
                     skipped=12, replied=31), started_at=ago(hours=5), paused_at=ago(hours=4)),
            campaign(3, "Lembrete de consulta", "scheduled", scheduled_at=iso(NOW + timedelta(days=1))),
            campaign(4, "Pesquisa de satisfação", "draft"),
            campaign(5, "Frete grátis no fim de semana", "completed", counts=done, started_at=ago(days=6),
                     completed_at=ago(days=6, hours=-1)),
        ]  # fmt: skip
        self.contacts = [contact(number) for number in range(140)]
        text = "Olá {{1}}! Hoje tudo com {{2}} de desconto. Toque no botão e garanta o seu."
        self.templates = [
            template(0, "black_friday", "approved", "MARKETING", text),
            template(1, "confirmacao_pedido", "approved", "UTILITY", "Seu pedido saiu para entrega."),
            template(2, "convite_loja", "pending", "MARKETING", "Venha conhecer a loja nova!"),
            template(3, "sorteio", "rejected", "MARKETING", "Você ganhou! {{1}}"),
        ]
        self.channels = [self.channel(0, "Vendas", "connected", "live"), self.channel(1, "Teste", "attention", "sandbox")]
        self.imports = [self.imported(0, "clientes.csv", "completed"), self.imported(1, "feira.xlsx", "running")]

    @staticmethod
    def channel(number: int, name: str, status: str, environment: str) -> dict[str, Any]:
        """One channel."""
        reason = {"code": "token_refused", "text": "A Meta recusou o token de acesso. Gere outro."}
        return {
            "id": str(UUID(int=10 + number)), "kind": "whatsapp_cloud", "name": name, "environment": environment,
            "status": status, "status_reason": reason if status == "attention" else None,
            "phone_number": "+5511987654321", "display_name": "Acme Varejo", "quality": "GREEN", "rate_per_second": 80,
            "webhook_url": f"https://hooks.example/whatsapp_cloud/{UUID(int=10 + number)}", "verify_token": "tok-verify-1",
            "last_webhook_at": ago(minutes=1), "last_sent_at": ago(minutes=2), "created_at": ago(days=90), "revision": 1,
        }  # fmt: skip

    @staticmethod
    def imported(number: int, filename: str, status: str) -> dict[str, Any]:
        """One import."""
        done = status == "completed"
        return {
            "id": str(UUID(int=500 + number)), "filename": filename, "status": status, "total": 4200 if done else 1300,
            "created": 3900 if done else 1200, "updated": 260 if done else 90, "rejected": 40 if done else 10,
            "progress": 1.0 if done else 0.31, "error": None, "created_at": ago(days=number + 1),
            "finished_at": ago(days=number + 1) if done else None, "revision": 1,
        }  # fmt: skip

    def pair(self, email: str, company: str) -> dict[str, Any]:
        """A fresh pair of tokens."""
        number = next(self.serial)
        self.tokens[f"access-{number}"] = (email, company)
        self.refresh[f"refresh-{number}"] = (email, company)
        return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "token_type": "bearer",
                "expires_in": 900}  # fmt: skip


class Problem(Exception):
    """An answer of 400 and above."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": "about:blank", "title": detail, "status": status, "code": code, "detail": detail} | more


def listing(items: list[Any], request: Request, **more: Any) -> dict[str, Any]:
    """One page of a list; the cursor is the place."""
    start = int(request.query_params.get("after") or 0)
    limit = int(request.query_params.get("limit") or 50)
    rest = start + limit < len(items)
    return {"items": items[start : start + limit], "next": str(start + limit) if rest else None} | more


def make_fake_api(store: Store | None = None) -> FastAPI:
    """The stand-in over a store."""
    app = FastAPI()
    app.state.store = held = store or Store()

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return JSONResponse(error.body, error.status, media_type="application/problem+json")

    @app.middleware("http")
    async def remember(request: Request, call_next: Any) -> Any:
        body = await request.body() if "json" in request.headers.get("content-type", "") else b""
        held.asked.append((request.method, request.url.path, body))
        return await call_next(request)

    add_account_routes(app, held)
    add_data_routes(app, held)
    add_campaign_routes(app, held)
    return app


def caller(request: Request) -> tuple[str, str]:
    """Who asks, and for which company."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    known: tuple[str, str] | None = request.app.state.store.tokens.get(token)
    if known is None:
        raise Problem(401, "unauthorized", "Entre de novo.")
    return known


def add_account_routes(app: FastAPI, store: Store) -> None:
    """Signing in, and who am I."""

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/auth/token")
    async def token(
        username: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "",
        company: Annotated[str, Form()] = "",
    ) -> dict[str, Any]:  # fmt: skip
        if username not in USERS or password != PASSWORD:
            if next(store.tries) > 10:
                raise Problem(429, "too_many_tries", "Espere um pouco.")
            raise Problem(401, "wrong_password", "E-mail ou senha errados.")
        roles = USERS[username][1]
        chosen = next((slug for slug in roles if company in {slug, COMPANIES[slug]["id"]}), "")
        if not chosen and len(roles) > 1:
            companies = [COMPANIES[slug] | {"role": role} for slug, role in roles.items()]
            raise Problem(409, "company_required", "Escolha a empresa.", companies=companies)
        return store.pair(username, chosen or next(iter(roles)))

    @app.post("/v1/auth/refresh")
    async def refresh(request: Request) -> dict[str, Any]:
        known = store.refresh.pop((await request.json())["refresh_token"], None)
        if known is None:
            raise Problem(401, "refresh_spent", "Entre de novo.")
        store.refreshes += 1
        return store.pair(*known)

    @app.post("/v1/auth/company")
    async def company(request: Request) -> dict[str, Any]:
        email, _ = caller(request)
        wanted = (await request.json())["company"]
        slug = next((slug for slug in USERS[email][1] if wanted in {slug, COMPANIES[slug]["id"]}), None)
        if slug is None:
            raise Problem(403, "forbidden", "Sem acesso.")
        return store.pair(email, slug)

    @app.post("/v1/auth/logout", status_code=204)
    async def logout() -> None:
        store.tokens.clear()

    @app.patch("/v1/me")
    @app.get("/v1/me")
    async def me(request: Request) -> dict[str, Any]:
        email, slug = caller(request)
        name, roles = USERS[email]
        return {
            "user": {"id": str(UUID(int=900 + list(USERS).index(email))), "email": email, "name": name, "locale": None},
            "company": COMPANIES[slug] | {"time_zone": "America/Sao_Paulo", "locale": "pt_BR"},
            "role": roles[slug],
            "companies": [COMPANIES[one] | {"role": role} for one, role in roles.items()],
            "session_id": f"session-of-{email}",
        }  # fmt: skip


def add_data_routes(app: FastAPI, store: Store) -> None:
    """Channels, contacts, templates, figures."""

    @app.get("/v1/channels")
    async def channels(request: Request) -> dict[str, Any]:
        return listing(store.channels, request)

    @app.get("/v1/channels/{channel_id}")
    @app.post("/v1/channels/{channel_id}/check")
    async def channel(channel_id: str) -> dict[str, Any]:
        return found(store.channels, channel_id)

    @app.post("/v1/channels", status_code=201)
    async def connect(request: Request) -> dict[str, Any]:
        body = await request.json()
        store.channels.append(store.channel(len(store.channels), body["name"], "connected", body["environment"]))
        return store.channels[-1]

    @app.get("/v1/contacts/tags")
    async def tags() -> dict[str, Any]:
        return {"items": [{"tag": tag, "contacts": 40 + n} for n, tag in enumerate(("vip", "newsletter", "são paulo"))],
                "next": None}  # fmt: skip

    @app.get("/v1/contacts/fields")
    async def fields() -> dict[str, Any]:
        return {"items": [{"field": "cidade", "contacts": 140}], "next": None}

    @app.get("/v1/contacts/imports")
    async def imports(request: Request) -> dict[str, Any]:
        return listing(store.imports, request)

    @app.post("/v1/contacts/imports/preview")
    async def preview_import(request: Request) -> dict[str, Any]:
        held = (await request.body())[:4096].decode("latin-1")
        guesses = (("Nome", "name", ["Ana", "Bruno"]), ("Celular", "phone", ["(11) 98765-4321", "11 91234-5678"]),
                   ("Cidade", "field.cidade", ["Recife"]), ("Obs", "skip", []))  # fmt: skip
        return {"columns": [{"name": n, "guess": g, "samples": s} for n, g, s in guesses], "encoding": "latin-1",
                "separator": ";", "has_header": True, "rows_sampled": 200,
                "problems": [] if "csv" in held else ["?"]}  # fmt: skip

    @app.post("/v1/contacts/imports", status_code=202)
    async def start_import(request: Request) -> dict[str, Any]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        store.asked.append(("BYTES", "/v1/contacts/imports", size))
        return {"id": store.imports[1]["id"]}

    @app.get("/v1/contacts/imports/{import_id}")
    async def one_import(import_id: str) -> dict[str, Any]:
        return found(store.imports, import_id)

    @app.get("/v1/contacts/imports/{import_id}/rejects.csv")
    async def rejects() -> PlainTextResponse:
        return PlainTextResponse("Nome,line,reason\nZé,3,Telefone incompleto\n", media_type="text/csv")

    @app.get("/v1/contacts")
    async def contacts(request: Request) -> dict[str, Any]:
        search, tag = request.query_params.get("search", "").lower(), request.query_params.get("tag")
        items = [one for one in store.contacts if search in one["name"].lower() and (not tag or tag in one["tags"])]
        return listing(items, request, total=len(items), total_is_capped=False)

    @app.post("/v1/contacts", status_code=201)
    async def add_contact(request: Request) -> dict[str, Any]:
        body = await request.json()
        if body.get("phone") == "123":
            fault = {"field": "phone", "code": "phone_invalid", "detail": "Este telefone está incompleto."}
            raise Problem(422, "invalid", "Confira os campos.", fields=[fault])
        store.contacts.insert(0, contact(len(store.contacts)) | {"name": body["name"]})
        return store.contacts[0]

    @app.get("/v1/contacts/{contact_id}")
    async def one_contact(contact_id: str) -> dict[str, Any]:
        return found(store.contacts, contact_id)

    @app.get("/v1/templates")
    async def templates(request: Request) -> dict[str, Any]:
        status = request.query_params.get("status")
        return listing([one for one in store.templates if not status or one["status"] == status], request)

    @app.get("/v1/templates/{template_id}")
    async def one_template(template_id: str) -> dict[str, Any]:
        return found(store.templates, template_id)

    @app.post("/v1/templates/{template_id}/preview")
    async def preview(template_id: str, request: Request) -> dict[str, Any]:
        given = (await request.json()).get("variables", {})
        text = next(part["text"] for part in found(store.templates, template_id)["components"] if part["type"] == "BODY")
        missing = []
        for number, value in (("1", "Ana"), ("2", "30%")):
            if given.get(f"body.{number}"):
                text = text.replace("{{%s}}" % number, value)
            elif "{{%s}}" % number in text:
                missing.append(f"body.{number}")
        return {"header": {"format": "TEXT", "text": "Black Friday"}, "body": text, "missing": missing,
                "footer": "Responda SAIR para não receber mais", "buttons": [{"type": "QUICK_REPLY", "text": "Quero!"}]}  # fmt: skip

    @app.get("/v1/analytics/overview")
    async def overview(period: str) -> dict[str, Any]:
        days = {"today": 1, "7d": 7, "30d": 30, "90d": 90}[period]
        return overview_of(days)


def overview_of(days: int) -> dict[str, Any]:
    """A believable course of so many days."""
    hourly = days <= 7
    steps = days * 24 if hourly else days
    points = []
    for place in range(steps):
        at = NOW - (timedelta(hours=steps - place) if hourly else timedelta(days=steps - place))
        wave = 40 + 35 * math.sin((at.hour - 8) / 24 * 2 * math.pi) if hourly else 900 + 300 * math.sin(place / 3)
        sent = max(0, int(wave + 9 * math.sin(place * 1.7)))
        points.append({"at": iso(at), "sent": sent, "delivered": int(sent * 0.96), "read": int(sent * 0.68),
                       "failed": int(sent * 0.03), "received": int(sent * 0.2)})  # fmt: skip
    total = sum(point["sent"] for point in points)
    spark = [point["sent"] for point in points[-24:]]
    kpis = [("sent", total, total * 0.89, "count"), ("delivered_rate", 0.962, 0.956, "ratio"),
            ("read_rate", 0.684, 0.695, "ratio"), ("replied", int(total * 0.11), total * 0.1, "count"),
            ("received", int(total * 0.2), total * 0.17, "count"), ("failed_rate", 0.021, 0.026, "ratio")]  # fmt: skip
    funnel = [("accepted", total), ("delivered", int(total * 0.96)), ("read", int(total * 0.68)), ("replied", int(total * 0.11))]
    cells = [[int(max(0, 30 * math.sin((hour - 6) / 18 * math.pi)) * (1.0 if day < 5 else 0.45)) for hour in range(24)]
             for day in range(7)]  # fmt: skip
    return {
        "period": {"from": points[0]["at"], "to": iso(NOW), "time_zone": "America/Sao_Paulo"},
        "kpis": [{"key": key, "value": value, "previous": previous, "unit": unit, "spark": spark}
                 for key, value, previous, unit in kpis],
        "timeseries": {"step": "hour" if hourly else "day", "points": points},
        "funnel": [{"key": key, "value": value} for key, value in funnel],
        "heatmap": {"measure": "received", "cells": cells}, "revision": 1,
    }  # fmt: skip


def found(items: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """One item by id, or 404."""
    for item in items:
        if item["id"] == wanted:
            return item
    raise Problem(404, "not_found", "Não encontramos isso.")


VERBS = {"start": "running", "pause": "paused", "resume": "running", "cancel": "cancelled", "retry-failed": "running"}


def add_campaign_routes(app: FastAPI, store: Store) -> None:
    """Campaigns and their verbs."""

    @app.get("/v1/campaigns")
    async def campaigns(request: Request) -> dict[str, Any]:
        status, search = request.query_params.get("status"), request.query_params.get("search", "").lower()
        items = [one for one in store.campaigns if search in one["name"].lower()]
        return listing([one for one in items if not status or one["status"] == status], request)

    @app.post("/v1/campaigns/audience")
    async def audience() -> dict[str, Any]:
        return {"matched": 5000, "will_send": 4904, "samples": [{"contact_id": store.contacts[0]["id"],
                "name": "Ana Souza", "phone": "+5511980000000", "preview": "Olá Ana!"}],
                "excluded": [{"reason": "opted_out", "text": "Pediram para não receber", "n": 81},
                             {"reason": "missing_variable", "text": "Sem nome", "n": 15}]}  # fmt: skip

    @app.post("/v1/campaigns", status_code=201)
    async def create(request: Request) -> dict[str, Any]:
        body = await request.json()
        store.campaigns.insert(0, campaign(50 + len(store.campaigns), body["name"], "draft", audience=body["audience"]))
        return store.campaigns[0]

    @app.get("/v1/campaigns/{campaign_id}/failures")
    async def failures() -> dict[str, Any]:
        return {"items": [{"code": "131026", "text": "O número não usa WhatsApp", "action": "Confira o número", "n": 48},
                          {"code": "130429", "text": "Limite da Meta", "action": "Tente de novo", "n": 14}]}  # fmt: skip

    @app.get("/v1/campaigns/{campaign_id}/exclusions")
    async def exclusions() -> dict[str, Any]:
        return {"items": [{"reason": "opted_out", "text": "Pediram para não receber", "n": 81}]}

    @app.get("/v1/campaigns/{campaign_id}/recipients.csv")
    async def recipients_csv() -> PlainTextResponse:
        headers = {"content-disposition": 'attachment; filename="recipients.csv"'}
        return PlainTextResponse("name,state\nAna,read\n", media_type="text/csv", headers=headers)

    @app.get("/v1/campaigns/{campaign_id}/recipients")
    async def recipients(request: Request) -> dict[str, Any]:
        states = ("read", "delivered", "failed", "queued", "sent")
        items = [{"contact_id": one["id"], "name": one["name"], "phone": one["phone"], "state": states[n % 5],
                  "reason": {"code": "131026", "text": "O número não usa WhatsApp"} if n % 5 == 2 else None,
                  "message_id": None, "accepted_at": ago(minutes=3), "sent_at": ago(minutes=3), "delivered_at": None,
                  "read_at": None, "failed_at": None, "replied_at": ago(minutes=1) if n % 7 == 0 else None}
                 for n, one in enumerate(store.contacts)]  # fmt: skip
        wanted = request.query_params.get("state")
        return listing([one for one in items if not wanted or one["state"] == wanted], request)

    @app.get("/v1/campaigns/{campaign_id}")
    async def one(campaign_id: str) -> dict[str, Any]:
        return found(store.campaigns, campaign_id)

    @app.patch("/v1/campaigns/{campaign_id}")
    async def change(campaign_id: str, request: Request) -> dict[str, Any]:
        item = found(store.campaigns, campaign_id)
        item.update(await request.json())
        return item

    @app.post("/v1/campaigns/{campaign_id}/test-send", status_code=202)
    async def test_send() -> dict[str, Any]:
        return {}

    @app.post("/v1/campaigns/{campaign_id}/{verb}", status_code=202)
    async def act(campaign_id: str, verb: str) -> dict[str, Any]:
        item = found(store.campaigns, campaign_id)
        if verb == "pause" and item["status"] != "running":
            raise Problem(409, "wrong_state", "A campanha não está enviando.", state=item["status"])
        item.update(status=VERBS[verb], revision=item["revision"] + 1)
        return item


app = make_fake_api()
