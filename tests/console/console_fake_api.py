"""A tiny stand-in of the engine's API for the console's tests: believable answers, a log of what was asked.

Run it alone: `uvicorn tests.console.console_fake_api:app`. The password is `secret`; `many@demo.example` has two
companies.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Form, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from engine.client import CLIENT_HEADER
from tests.console.console_fake_data import (
    COMPANIES,
    PASSWORD,
    USERS,
    Store,
    ago,
    campaign,
    contact,
    overview_of,
)

VERBS = {
    "start": "running",
    "pause": "paused",
    "resume": "running",
    "cancel": "cancelled",
    "retry-failed": "running",
}
OPEN_PATHS = frozenset({"/v1/auth/token", "/v1/auth/refresh", "/v1/auth/logout"})


class ProblemError(Exception):
    """An answer of 400 and above."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "type": "about:blank",
            "title": detail,
            "status": status,
            "code": code,
            "detail": detail,
        } | more


def listing(items: list[Any], request: Request, **more: Any) -> dict[str, Any]:
    """One page of a list; the cursor is the place."""
    start = int(request.query_params.get("after") or 0)
    limit = int(request.query_params.get("limit") or 50)
    rest = start + limit < len(items)
    return {"items": items[start : start + limit], "next": str(start + limit) if rest else None} | more


def store_of(request: Request) -> Store:
    """What the stand-in holds."""
    held: Store = request.app.state.store
    return held


type TheStore = Annotated[Store, Depends(store_of)]
router = APIRouter()


def caller(request: Request) -> tuple[str, str]:
    """Who asks, and for which company."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    known: tuple[str, str] | None = request.app.state.store.tokens.get(token)
    if known is None:
        raise ProblemError(401, "unauthorized", "Entre de novo.")
    return known


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.post("/v1/auth/token")
async def token(
    store: TheStore, request: Request, username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "", company: Annotated[str, Form()] = "",
) -> dict[str, Any]:  # fmt: skip
    store.said_of_tries.append(request.headers.get(CLIENT_HEADER, ""))
    if username == "barred@demo.example" and password == PASSWORD:
        english = request.headers.get("accept-language") == "en"
        raise ProblemError(403, "user_disabled", "Switched off." if english else "Acesso desligado.")
    if username not in USERS or password != PASSWORD:
        if next(store.tries) > 10:
            raise ProblemError(429, "too_many_tries", "Espere um pouco.")
        raise ProblemError(401, "wrong_password", "E-mail ou senha errados.")
    roles = USERS[username][1]
    chosen = next((slug for slug in roles if company in {slug, COMPANIES[slug]["id"]}), "")
    if not chosen and len(roles) > 1:
        companies = [COMPANIES[slug] | {"role": role} for slug, role in roles.items()]
        raise ProblemError(409, "company_required", "Escolha a empresa.", companies=companies)
    return store.pair(username, chosen or next(iter(roles)))


@router.post("/v1/auth/refresh")
async def refresh(store: TheStore, request: Request) -> dict[str, Any]:
    known = store.refresh.pop((await request.json())["refresh_token"], None)
    if known is None:
        raise ProblemError(401, "refresh_spent", "Entre de novo.")
    store.refreshes += 1
    return store.pair(*known)


@router.post("/v1/auth/company")
async def company(store: TheStore, request: Request) -> dict[str, Any]:
    email, _ = caller(request)
    wanted = (await request.json())["company"]
    slug = next((slug for slug in USERS[email][1] if wanted in {slug, COMPANIES[slug]["id"]}), None)
    if slug is None:
        raise ProblemError(403, "forbidden", "Sem acesso.")
    return store.pair(email, slug)


@router.post("/v1/auth/logout", status_code=204)
async def logout(store: TheStore) -> None:
    store.tokens.clear()


@router.patch("/v1/me")
@router.get("/v1/me")
async def me(store: TheStore, request: Request) -> dict[str, Any]:
    email, slug = caller(request)
    if request.method == "PATCH":
        store.locales[email] = (await request.json())["locale"]
    name, roles = USERS[email]
    return {
        "user": {"id": str(UUID(int=900 + list(USERS).index(email))), "email": email, "name": name,
                 "locale": store.locales.get(email)},
        "company": COMPANIES[slug] | {"time_zone": "America/Sao_Paulo", "locale": "pt_BR"},
        "role": roles[slug],
        "companies": [COMPANIES[one] | {"role": role} for one, role in roles.items()],
        "session_id": f"session-of-{email}",
    }  # fmt: skip


@router.get("/v1/channels")
async def channels(store: TheStore, request: Request) -> dict[str, Any]:
    return listing(store.channels, request)


@router.get("/v1/channels/{channel_id}")
@router.post("/v1/channels/{channel_id}/check")
async def channel(store: TheStore, channel_id: str) -> dict[str, Any]:
    return found(store.channels, channel_id)


@router.patch("/v1/channels/{channel_id}")
async def change_channel(store: TheStore, channel_id: str, body: dict[str, Any]) -> dict[str, Any]:
    channel: dict[str, Any] = found(store.channels, channel_id)
    if "paused" in body:
        channel |= {
            "status": "paused" if body["paused"] else "connected",
            "revision": channel["revision"] + 1,
        }
    return channel


@router.post("/v1/channels", status_code=201)
async def connect(store: TheStore, request: Request) -> dict[str, Any]:
    body = await request.json()
    store.channels.append(store.channel(len(store.channels), body["name"], "connected", body["environment"]))
    return store.channels[-1]


@router.get("/v1/contacts/tags")
async def tags() -> dict[str, Any]:
    return {"items": [{"tag": tag, "contacts": 40 + n} for n, tag in enumerate(("vip", "newsletter", "são paulo"))],
            "next": None}  # fmt: skip


@router.get("/v1/contacts/fields")
async def fields() -> dict[str, Any]:
    return {"items": [{"field": "cidade", "contacts": 140}], "next": None}


@router.get("/v1/contacts/imports")
async def imports(store: TheStore, request: Request) -> dict[str, Any]:
    return listing(store.imports, request)


@router.post("/v1/contacts/imports/preview")
async def preview_import(request: Request) -> dict[str, Any]:
    held = (await request.body())[:4096].decode("latin-1")
    guesses = (("Nome", "name", ["Ana", "Bruno"]), ("Celular", "phone", ["(11) 98765-4321", "11 91234-5678"]),
               ("Cidade", "field.cidade", ["Recife"]), ("Obs", "skip", []))  # fmt: skip
    return {"columns": [{"name": n, "guess": g, "samples": s} for n, g, s in guesses], "encoding": "latin-1",
            "separator": ";", "has_header": True, "rows_sampled": 200,
            "problems": [] if "csv" in held else ["?"]}  # fmt: skip


@router.post("/v1/contacts/imports", status_code=202)
async def start_import(store: TheStore, request: Request) -> dict[str, Any]:
    store.lengths.append(int(request.headers.get("content-length", 0)))
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    store.asked.append(("BYTES", "/v1/contacts/imports", size))
    return {"id": store.imports[1]["id"]}


@router.get("/v1/contacts/imports/{import_id}")
async def one_import(store: TheStore, import_id: str) -> dict[str, Any]:
    return found(store.imports, import_id)


@router.post("/v1/contacts/imports/{import_id}/cancel")
async def cancel_import(store: TheStore, import_id: str) -> dict[str, Any]:
    row = found(store.imports, import_id)
    row |= {
        "status": "failed",
        "error": {"code": "cancelled", "text": "Cancelled."},
        "revision": row["revision"] + 1,
    }
    return row


@router.get("/v1/contacts/imports/{import_id}/rejects.csv")
async def rejects() -> PlainTextResponse:
    return PlainTextResponse("Nome,line,reason\nZé,3,Telefone incompleto\n", media_type="text/csv")


@router.get("/v1/contacts")
async def contacts(store: TheStore, request: Request) -> dict[str, Any]:
    search, tag = request.query_params.get("search", "").lower(), request.query_params.get("tag")
    people = store.contacts[:3] if request.query_params.get("import_id") else store.contacts
    items = [one for one in people if search in one["name"].lower() and (not tag or tag in one["tags"])]
    return listing(items, request, total=len(items), total_is_capped=False)


@router.post("/v1/contacts", status_code=201)
async def add_contact(store: TheStore, request: Request) -> dict[str, Any]:
    body = await request.json()
    if body.get("phone") == "123":
        fault = {"field": "phone", "code": "phone_invalid", "detail": "Este telefone está incompleto."}
        raise ProblemError(422, "invalid", "Confira os campos.", fields=[fault])
    store.contacts.insert(0, contact(len(store.contacts)) | {"name": body["name"]})
    return store.contacts[0]


@router.get("/v1/contacts/{contact_id}")
async def one_contact(store: TheStore, contact_id: str) -> dict[str, Any]:
    return found(store.contacts, contact_id)


@router.delete("/v1/contacts/{contact_id}", status_code=204)
async def delete_contact(store: TheStore, contact_id: str) -> None:
    store.contacts.remove(found(store.contacts, contact_id))


@router.get("/v1/templates")
async def templates(store: TheStore, request: Request) -> dict[str, Any]:
    status = request.query_params.get("status")
    return listing([one for one in store.templates if not status or one["status"] == status], request)


@router.get("/v1/templates/{template_id}")
async def one_template(store: TheStore, template_id: str) -> dict[str, Any]:
    return found(store.templates, template_id)


@router.post("/v1/templates/{template_id}/preview")
async def preview(store: TheStore, template_id: str, request: Request) -> dict[str, Any]:
    given = (await request.json()).get("variables", {})
    text = next(
        part["text"] for part in found(store.templates, template_id)["components"] if part["type"] == "BODY"
    )
    missing = []
    for number, value in (("1", "Ana"), ("2", "30%")):
        if given.get(f"body.{number}"):
            text = text.replace(f"{{{{{number}}}}}", value)
        elif f"{{{{{number}}}}}" in text:
            missing.append(f"body.{number}")
    return {"header": {"format": "TEXT", "text": "Black Friday"}, "body": text, "missing": missing,
            "footer": "Responda SAIR para não receber mais", "buttons": [{"type": "QUICK_REPLY", "text": "Quero!"}]}  # fmt: skip


@router.get("/v1/analytics/overview")
async def overview(period: str) -> dict[str, Any]:
    days = {"today": 1, "7d": 7, "30d": 30, "90d": 90}[period]
    return overview_of(days)


def found(items: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """One item by id, or 404."""
    for item in items:
        if item["id"] == wanted:
            return item
    raise ProblemError(404, "not_found", "Não encontramos isso.")


@router.get("/v1/campaigns")
async def campaigns(store: TheStore, request: Request) -> dict[str, Any]:
    status, search = request.query_params.get("status"), request.query_params.get("search", "").lower()
    items = [one for one in store.campaigns if search in one["name"].lower()]
    return listing([one for one in items if not status or one["status"] == status], request)


@router.post("/v1/campaigns/audience")
async def audience(store: TheStore) -> dict[str, Any]:
    return {"matched": 5000, "will_send": 4904, "daily_limit": store.daily_limit, "samples": [{"contact_id": store.contacts[0]["id"],
            "name": "Ana Souza", "phone": "+5511980000000", "preview": "Olá Ana!"}],
            "excluded": [{"reason": "opted_out", "text": "Pediram para não receber", "n": 81},
                         {"reason": "missing_variable", "text": "Sem nome", "n": 15}]}  # fmt: skip


@router.post("/v1/campaigns", status_code=201)
async def create(store: TheStore, request: Request) -> dict[str, Any]:
    body = await request.json()
    store.campaigns.insert(
        0, campaign(50 + len(store.campaigns), body["name"], "draft", audience=body["audience"])
    )
    return store.campaigns[0]


@router.get("/v1/campaigns/{campaign_id}/failures")
async def failures() -> dict[str, Any]:
    return {"items": [{"code": "131026", "text": "O número não usa WhatsApp", "action": "Confira o número", "n": 48},
                      {"code": "130429", "text": "Limite da Meta", "action": "Tente de novo", "n": 14}]}  # fmt: skip


@router.get("/v1/campaigns/{campaign_id}/exclusions")
async def exclusions() -> dict[str, Any]:
    return {"items": [{"reason": "opted_out", "text": "Pediram para não receber", "n": 81}]}


@router.get("/v1/campaigns/{campaign_id}/recipients.csv")
async def recipients_csv(campaign_id: str) -> PlainTextResponse:
    if campaign_id == "none":
        raise ProblemError(404, "not_found", "Não encontramos isso.")
    headers = {"content-disposition": 'attachment; filename="recipients.csv"'}
    return PlainTextResponse("name,state\nAna,read\n", media_type="text/csv", headers=headers)


@router.get("/v1/campaigns/{campaign_id}/recipients")
async def recipients(store: TheStore, request: Request) -> dict[str, Any]:
    states = ("read", "delivered", "failed", "queued", "sent")
    items = [{"contact_id": one["id"], "name": one["name"], "phone": one["phone"], "state": states[n % 5],
              "reason": {"code": "131026", "text": "O número não usa WhatsApp"} if n % 5 == 2 else None,
              "message_id": None, "accepted_at": ago(minutes=3), "sent_at": ago(minutes=3), "delivered_at": None,
              "read_at": None, "failed_at": None, "replied_at": ago(minutes=1) if n % 7 == 0 else None}
             for n, one in enumerate(store.contacts)]  # fmt: skip
    wanted = request.query_params.get("state")
    return listing([one for one in items if not wanted or one["state"] == wanted], request)


@router.get("/v1/campaigns/{campaign_id}")
async def one(store: TheStore, campaign_id: str) -> dict[str, Any]:
    return found(store.campaigns, campaign_id)


@router.patch("/v1/campaigns/{campaign_id}")
async def change(store: TheStore, campaign_id: str, request: Request) -> dict[str, Any]:
    item, body = found(store.campaigns, campaign_id), await request.json()
    if (body.get("scheduled_at") or "9") < "2026":
        fault = {"field": "scheduled_at", "code": "past_time", "detail": "Este horário já passou."}
        raise ProblemError(422, "invalid", "Confira os campos.", fields=[fault])
    item.update(body)
    return item


@router.delete("/v1/campaigns/{campaign_id}", status_code=204)
async def delete(store: TheStore, campaign_id: str) -> None:
    store.campaigns.remove(found(store.campaigns, campaign_id))


@router.post("/v1/campaigns/{campaign_id}/test-send", status_code=202)
async def test_send() -> dict[str, Any]:
    return {}


@router.post("/v1/campaigns/{campaign_id}/{verb}", status_code=202)
async def act(store: TheStore, campaign_id: str, verb: str) -> dict[str, Any]:
    item = found(store.campaigns, campaign_id)
    if verb == "pause" and item["status"] != "running":
        raise ProblemError(409, "wrong_state", "A campanha não está enviando.", state=item["status"])
    item.update(status=VERBS[verb], revision=item["revision"] + 1)
    return item


def make_fake_api(store: Store | None = None) -> FastAPI:
    """The stand-in over a store."""
    app = FastAPI()
    app.state.store = held = store or Store()

    @app.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> JSONResponse:
        return JSONResponse(error.body, error.status, media_type="application/problem+json")

    @app.middleware("http")
    async def remember(request: Request, call_next: Any) -> Any:
        body = await request.body() if "json" in request.headers.get("content-type", "") else b""
        held.asked.append((request.method, request.url.path, body))
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        is_open = not request.url.path.startswith("/v1/") or request.url.path in OPEN_PATHS
        if not is_open and token not in held.tokens:
            return JSONResponse(ProblemError(401, "unauthorized", "Entre de novo.").body, 401)
        if held.is_away:
            return JSONResponse(ProblemError(503, "http_503", "Volte logo.").body, 503)
        if status := held.refused.get(request.url.path):
            return JSONResponse(ProblemError(status, "nothing", "Não há nada aqui.").body, status)
        if gate := held.gates.get(request.url.path):
            await gate.wait()
        return await call_next(request)

    app.include_router(router)
    return app


app = make_fake_api()
