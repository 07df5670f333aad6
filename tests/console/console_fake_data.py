"""What the stand-in API of the console's tests holds: people, campaigns, templates, figures."""

import asyncio
import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

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
COUNTS = [
    "total",
    "queued",
    "dispatching",
    "accepted",
    "sent",
    "delivered",
    "read",
    "failed",
    "unknown",
    "skipped",
    "cancelled",
    "replied",
]


CHANNEL = str(UUID(int=10))


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
    gaps = [{"key": f"body.{n}", "example": ("Ana", "30%")[n - 1]} for n in (1, 2) if f"{{{{{n}}}}}" in body]
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
        # Answers to a path wait for its event; all fail while the stand-in is away.
        self.gates: dict[str, asyncio.Event] = {}
        self.is_away = False
        self.refused: dict[str, int] = {}  # paths that name nothing, with the status that says so
        self.tries = itertools.count(1)
        self.tokens: dict[str, tuple[str, str]] = {}
        self.refresh: dict[str, tuple[str, str]] = {}
        self.serial = itertools.count(1)
        self.refreshes = 0
        self.daily_limit: dict[str, int] | None = None
        self.lengths: list[int] = []  # what uploads said of their size
        self.locales: dict[str, str] = {}
        self.said_of_tries: list[str] = []  # whose tries the console said they are
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
        self.channels = [
            self.channel(0, "Vendas", "connected", "live"),
            self.channel(1, "Teste", "attention", "sandbox"),
        ]
        self.imports = [
            self.imported(0, "clientes.csv", "completed"),
            self.imported(1, "feira.xlsx", "running"),
        ]

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


def overview_of(days: int) -> dict[str, Any]:
    """A believable course of so many days."""
    hourly = days <= 7
    steps = days * 24 if hourly else days
    points = []
    for place in range(steps):
        at = NOW - (timedelta(hours=steps - place) if hourly else timedelta(days=steps - place))
        wave = (
            40 + 35 * math.sin((at.hour - 8) / 24 * 2 * math.pi)
            if hourly
            else 900 + 300 * math.sin(place / 3)
        )
        sent = max(0, int(wave + 9 * math.sin(place * 1.7)))
        points.append({"at": iso(at), "sent": sent, "delivered": int(sent * 0.96), "read": int(sent * 0.68),
                       "failed": int(sent * 0.03), "received": int(sent * 0.2)})  # fmt: skip
    total = sum(point["sent"] for point in points)
    spark = [point["sent"] for point in points[-24:]]
    kpis = [("sent", total, total * 0.89, "count"), ("delivered_rate", 0.962, 0.956, "ratio"),
            ("read_rate", 0.684, 0.695, "ratio"), ("replied", int(total * 0.11), total * 0.1, "count"),
            ("received", int(total * 0.2), total * 0.17, "count"), ("failed_rate", 0.021, 0.026, "ratio")]  # fmt: skip
    funnel = [
        ("accepted", total),
        ("delivered", int(total * 0.96)),
        ("read", int(total * 0.68)),
        ("replied", int(total * 0.11)),
    ]
    cells = [[int(max(0, 30 * math.sin((hour - 6) / 18 * math.pi)) * (1.0 if day < 5 else 0.45)) for hour in range(24)]
             for day in range(7)]  # fmt: skip
    return {
        "period": {"from": points[0]["at"], "to": iso(NOW), "time_zone": "America/Sao_Paulo"},
        "kpis": [{"key": key, "value": value, "previous": previous, "unit": unit, "spark": spark}
                 for key, value, previous, unit in kpis],
        "timeseries": {"step": "hour" if hourly else "day", "points": points},
        "funnel": [{"key": key, "value": value} for key, value in funnel],
        "heatmap": {"measure": "received", "cells": cells}, "revision": 1,
        "recent": [{"at": iso(NOW), "channel_id": CHANNEL, "measures": {"accepted": 10, "read": 2}, "revision": 12}],
    }  # fmt: skip
