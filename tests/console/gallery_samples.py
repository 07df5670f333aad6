"""Made-up data for the gallery: a company's month, always the same."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

type Row = dict[str, object]

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = (
    "Ana Souza",
    "Bruno Lima",
    "Carla Mendes",
    "Diego Rocha",
    "Elena Petrova",
    "Farid Haddad",
    "Grace Okafor",
)
TITLES = ("Black Friday", "Welcome", "Cart recovery", "NPS survey", "Renewal", "Flash sale", "Restock")
STATUSES = ("running", "scheduled", "paused", "completed", "draft", "completed", "completed", "cancelled")
STATUS_TONES = {
    "draft": "neutral",
    "scheduled": "violet",
    "running": "info",
    "paused": "warning",
    "completed": "success",
    "cancelled": "neutral",
}
STATUS_WORDS = {key: key.capitalize() for key in STATUS_TONES} | {"running": "Sending"}


def iso(moment: datetime) -> str:
    """The instant as the API writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def wave(n: int, base: float, swing: float, phase: float = 0.0) -> list[float]:
    """A course that rises and falls and rises a little in all."""
    return [base + i * base / (n * 4) + swing * math.sin(i * 0.9 + phase) for i in range(n)]


KPIS: list[Row] = [
    {"key": "sent", "label": "Messages sent", "value": 128402, "previous": 114237, "unit": "count",
     "spark": wave(24, 400, 60)},
    {"key": "delivered_rate", "label": "Delivery rate", "value": 0.972, "previous": 0.966, "unit": "ratio",
     "spark": wave(24, 90, 3, 1)},
    {"key": "read_rate", "label": "Read rate", "value": 0.684, "previous": 0.695, "unit": "ratio",
     "spark": wave(24, 60, 8, 2)},
    {"key": "reply", "label": "First reply time", "value": 192, "previous": 209, "unit": "seconds", "good": "down",
     "spark": wave(24, 200, 30, 3)[::-1]},
    {"key": "cost", "label": "Spent", "value": 1_284_500_000, "previous": 1_284_500_000, "unit": "money",
     "spark": wave(24, 40, 4, 4)},
]  # fmt: skip

FUNNEL: list[Row] = [
    {"key": "accepted", "label": "Accepted", "value": 128402},
    {"key": "delivered", "label": "Delivered", "value": 124807},
    {"key": "read", "label": "Read", "value": 85370},
    {"key": "replied", "label": "Replied", "value": 31204},
]

CELLS = [
    [max(0, round(90 * math.exp(-(((h - 15) / 5) ** 2)) * (1 if d < 5 else 0.35) + 14 * math.sin(d * 7 + h * 3)))
     for h in range(24)] for d in range(7)
]  # fmt: skip

COLUMNS: list[Row] = [
    {"key": "name", "label": "Campaign", "kind": "strong", "sub": "template", "sortable": True, "phone": "title"},
    {"key": "status", "label": "Status", "kind": "badge", "tones": STATUS_TONES, "words": STATUS_WORDS,
     "live": ["running"], "phone": "side"},
    {"key": "total", "label": "Audience", "kind": "number", "sortable": True},
    {"key": "progress", "label": "Progress", "kind": "progress"},
    {"key": "read", "label": "Read", "kind": "percent"},
    {"key": "tags", "label": "Tags", "kind": "tags", "phone": "hide"},
    {"key": "updated_at", "label": "Updated", "kind": "ago", "sortable": True},
]  # fmt: skip

CAMPAIGNS: list[Row] = [
    {
        "id": f"c{n}",
        "name": f"{TITLES[n % 7]} #{n}",
        "template": ("oferta_novembro", "boas_vindas", "carrinho")[n % 3],
        "status": STATUSES[n % 8],
        "total": 1000 + (n * 7919) % 84000,
        "progress": 0.0 if STATUSES[n % 8] in {"draft", "scheduled"} else 1 - (n % 9) / 40,
        "read": 0.4 + (n * 37 % 40) / 100,
        "tags": ["vip", "sudeste", "novos", "inverno"][: n % 5],
        "updated_at": iso(NOW - timedelta(hours=n * n * 2, minutes=3)),
    }
    for n in range(213)
]

CAMPAIGN: Row = {
    "id": "c0", "name": "Black Friday: early access", "status": "running", "template_name": "oferta_novembro",
    "channel_id": "ch0", "channel_name": "Loja (sandbox)", "started_at": iso(NOW - timedelta(minutes=22)), "completed_at": None,
    "scheduled_at": None, "created_at": iso(NOW - timedelta(days=2)), "rate_per_second": 38.4, "seconds_left": 41,
    "revision": 7,
    "counts": {"total": 5000, "queued": 1402, "dispatching": 24, "accepted": 120, "sent": 311, "delivered": 1180,
               "read": 1622, "failed": 141, "unknown": 12, "skipped": 188, "cancelled": 0, "replied": 402},
}  # fmt: skip

FAILURES: list[Row] = [
    {"code": "undeliverable", "text": "The number is not on WhatsApp", "n": 83,
     "action": "Check the number, or reach this person another way."},
    {"code": "spam_limit", "text": "Meta held it back to protect the person", "n": 41,
     "action": "Wait a day before trying again."},
    {"code": "paused_template", "text": "The template is paused", "n": 17, "action": "See its quality in Templates."},
]  # fmt: skip

EXCLUSIONS: list[Row] = [
    {"reason": "no_consent", "text": "No consent for marketing", "n": 121},
    {"reason": "opted_out", "text": "Opted out", "n": 49},
    {"reason": "duplicate", "text": "Same number twice", "n": 18},
]

MESSAGE: Row = {
    "header": {"format": "IMAGE", "media": "https://scontent.example/header.jpg"},
    "body": "Olá *Ana*, a Black Friday começou mais cedo para você! 🎉\n\nUse o cupom ```VIP20``` em "
    "https://loja.example/vip até _sexta-feira_. Pedido {{2}}.",
    "footer": "Responda SAIR para não receber mais",
    "buttons": [{"type": "URL", "text": "Ver ofertas"}, {"type": "QUICK_REPLY", "text": "Falar com alguém"}],
    "missing": ["body.2"],
}

TEMPLATE: Row = {
    "name": "oferta_novembro", "language": "pt_BR", "category": "MARKETING",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Acesso antecipado"},
        {"type": "BODY", "text": "Olá *{{1}}*, seu pedido {{2}} saiu para entrega.",
         "example": {"body_text": [["Ana", "#48213"]]}},
        {"type": "FOOTER", "text": "Responda SAIR para não receber mais"},
        {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Acompanhar", "url": "https://loja.example/p/{{1}}", "example": ["48213"]}]},
    ],
}  # fmt: skip

IMPORT_COLUMNS: list[Row] = [
    {"name": "Nome completo", "guess": "name", "samples": ["Ana Souza", "Bruno Lima", "Carla Mendes"]},
    {
        "name": "WhatsApp",
        "guess": "phone",
        "samples": ["(11) 98765-4321", "+55 21 99876-5432", "11987650000"],
    },
    {"name": "Cidade", "guess": "field.cidade", "samples": ["São Paulo", "Rio de Janeiro", ""]},
    {"name": "Grupo", "guess": "tags", "samples": ["vip", "novos; sudeste", "vip"]},
    {"name": "Obs. interna", "guess": "skip", "samples": ["", "", ""]},
]
TARGETS: list[Row] = [
    {"value": "name", "label": "Name", "once": True, "icon": "User"},
    {"value": "phone", "label": "Phone", "once": True, "icon": "Phone"},
    {"value": "tags", "label": "Tags", "icon": "Tags"},
    {"value": "skip", "label": "Do not import", "icon": "Ban"},
]

FIELDS: list[Row] = [
    {"kind": "section", "label": "Number", "help": "What Meta shows in WhatsApp Manager."},
    {"name": "name", "kind": "text", "label": "Name", "required": True, "placeholder": "Loja", "half": True},
    {"name": "environment", "kind": "segmented", "label": "Environment", "half": True, "watch": True,
     "options": [{"value": "live", "label": "Live", "icon": "Radio"},
                 {"value": "sandbox", "label": "Sandbox", "icon": "FlaskConical"}]},
    {"name": "access_token", "kind": "password", "label": "Access token", "required": True,
     "help": "A system user's token that does not expire."},
    {"name": "zone", "kind": "select", "label": "Time zone", "half": True,
     "options": [{"value": f"z{n}", "label": z, "hint": "UTC−03:00"} for n, z in enumerate(
         ("America/Sao_Paulo", "America/Bahia", "America/Belem", "America/Fortaleza", "America/Manaus",
          "America/Recife", "America/Rio_Branco", "America/Cuiaba", "Europe/Lisbon"))]},
    {"name": "rate", "kind": "number", "label": "Rate", "unit": "per second", "half": True, "min": 1},
    {"name": "tags", "kind": "tags", "label": "Tags", "optional": True,
     "suggestions": [{"value": "vip", "hint": "1,204 contacts"}, {"value": "sudeste"}, {"value": "novos"}]},
    {"name": "at", "kind": "datetime", "label": "Start at", "half": True},
    {"name": "on", "kind": "date", "label": "Valid until", "half": True},
    {"name": "file", "kind": "file", "label": "Contacts", "upload": {
        "url": "/upload", "accept": ".csv,.xlsx", "max_bytes": 200_000_000, "first_bytes": 1_000_000, "whole": ".xlsx"}},
    {"name": "about", "kind": "textarea", "label": "Notes", "optional": True},
    {"name": "consent", "kind": "radio", "label": "Consent", "options": [
        {"value": "granted", "label": "They agreed to marketing", "hint": "You can show when and how.",
         "icon": "ShieldCheck"},
        {"value": "none", "label": "I don't know", "hint": "Only service messages will reach them."}]},
    {"name": "notify", "kind": "switch", "label": "Tell me when it is done", "help": "By e-mail."},
    {"name": "webhook", "kind": "copy", "label": "Webhook address"},
    {"kind": "note", "label": "Sandbox numbers talk to the simulator only.", "when": {"environment": ["sandbox"]}},
]  # fmt: skip
VALUES: Row = {
    "name": "Loja", "environment": "sandbox", "zone": "z0", "rate": 80, "tags": ["vip"], "consent": "granted",
    "notify": True, "webhook": "https://app.example/hooks/whatsapp_cloud/0192f0c1", "at": iso(NOW),
}  # fmt: skip

DETAILS: list[Row] = [
    {"key": "status", "label": "Status", "value": "Connected", "kind": "badge", "tone": "success"},
    {"key": "webhook", "label": "Webhook address", "value": "https://app.example/hooks/whatsapp_cloud/0192f0c1",
     "kind": "copy", "hint": "Paste it in Meta's app under WhatsApp, Configuration."},
    {"key": "token", "label": "Verify token", "value": "8f2ac61b90d4", "kind": "secret"},
    {"key": "sent", "label": "Last sent", "value": iso(NOW - timedelta(minutes=3)), "kind": "ago"},
    {"key": "quality", "label": "Quality", "value": None},
]  # fmt: skip


def count_audience(audience: Mapping[str, object]) -> Row:
    """How many an audience reaches, as the API would answer."""
    matched = 5000 if audience.get("all") else 1240
    left = [{**row, "n": max(1, int(str(row["n"])) * matched // 5000)} for row in EXCLUSIONS]
    samples = [{"contact_id": str(i), "name": name, "phone": None, "preview": "Olá, a Black Friday começou!"}
               for i, name in enumerate(NAMES[:3])]  # fmt: skip
    will_send = matched - sum(int(str(row["n"])) for row in left)
    return {"matched": matched, "will_send": will_send, "excluded": left, "samples": samples}
