"""The demo company's number at the simulator, and its templates there."""

import time
from typing import Any

import httpx
import orjson

from engine.core.db import Work
from engine.core.settings import settings
from engine.messaging.channel_health import check_channel
from engine.messaging.connections import NewCredentials, connect_channel
from engine.messaging.models import Channel, ChannelEnvironment, ChannelKind, Template
from engine.messaging.template_desk import create_template, sync_templates

DOORS_SECONDS = 30.0

type Texts = tuple[str, str, str, tuple[str, ...], str | None, tuple[str, ...]]

# name, category, body, examples, footer, quick replies
TEMPLATES: tuple[Texts, ...] = (
    (
        "black_friday",
        "MARKETING",
        "Oi {{1}}! A Black Friday da Loja Aurora começou: {{2}} de desconto em toda a loja, só até domingo. 🖤",
        ("Ana", "30%"),
        "Responda SAIR para não receber ofertas",
        ("Quero ver", "Agora não"),
    ),
    (
        "pedido_enviado",
        "UTILITY",
        "Oi {{1}}, seu pedido {{2}} saiu para entrega hoje. Qualquer dúvida, é só responder aqui.",
        ("Ana", "48213"),
        None,
        ("Acompanhar", "Falar com alguém"),
    ),
    (
        "boas_vindas",
        "MARKETING",
        "Olá {{1}}, que bom ter você na Loja Aurora! Guarde este número: por aqui a gente responde rapidinho. 💚",
        ("Ana",),
        "Responda SAIR para não receber ofertas",
        (),
    ),
    (
        "lembrete_pagamento",
        "UTILITY",
        "Oi {{1}}, o boleto do pedido {{2}} vence amanhã. Se já pagou, pode ignorar esta mensagem.",
        ("Ana", "48213"),
        None,
        (),
    ),
    (
        "pesquisa_satisfacao",
        "UTILITY",
        "Oi {{1}}, como foi receber o pedido {{2}}? Conte para a gente em uma palavra, leva dez segundos.",
        ("Ana", "48213"),
        None,
        ("Gostei", "Pode melhorar"),
    ),
)


class SimulatorAwayError(Exception):
    """The simulator does not answer, so there is no number for the demo company."""


def connect_sandbox(work: Work) -> tuple[Channel, dict[str, Template]]:
    """The demo channel, connected and checked, and its approved templates by name."""
    account = _account()
    credentials = NewCredentials(
        phone_number_id=account["phone_number_id"],
        waba_id=account["waba_id"],
        access_token=account["access_token"],
        app_secret=account["app_secret"],
    )
    with work.session() as session:
        channel = connect_channel(
            session,
            kind=ChannelKind.WHATSAPP_CLOUD,
            name="WhatsApp da loja",
            environment=ChannelEnvironment.SANDBOX,
            credentials=credentials,
        )
    checked = check_channel(work, channel.id)
    return checked, _templates(work, channel)


def _wait_for_doors() -> None:
    """The simulator gives the number, and calls the API back for the handshake: both may be opening still."""
    until = time.monotonic() + DOORS_SECONDS
    for address in (settings().simulator_url, settings().api_url):
        while not _answers(address):
            if time.monotonic() > until:
                raise SimulatorAwayError(f"Nothing answers at {address}, so the demo company gets no number.")
            time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _account() -> dict[str, str]:
    """A new number at the simulator, of its own account, so that nothing of an earlier demo is in it."""
    _wait_for_doors()
    answer = httpx.post(
        f"{settings().simulator_url}/_admin/accounts", json={"verified_name": "Loja Aurora"}, timeout=10
    )
    account: dict[str, str] = answer.raise_for_status().json()
    return account


def _templates(work: Work, channel: Channel) -> dict[str, Template]:
    """Templates submitted as a person would, and approved at once by the simulator's reviewer."""
    made = {}
    for name, category, body, examples, footer, replies in TEMPLATES:
        components: list[dict[str, Any]] = [
            {"type": "BODY", "text": body, "example": {"body_text": [list(examples)]}}
        ]
        if footer:
            components.append({"type": "FOOTER", "text": footer})
        if replies:
            buttons = [{"type": "QUICK_REPLY", "text": reply} for reply in replies]
            components.append({"type": "BUTTONS", "buttons": buttons})
        made[name] = create_template(
            work,
            channel_id=channel.id,
            name=name,
            language="pt_BR",
            category=category,
            components=components,
        )
        _approve(made[name])
    sync_templates(work, channel.id)
    return made


def _approve(template: Template) -> None:
    httpx.post(
        f"{settings().simulator_url}/_admin/templates/{template.provider_id}",
        content=orjson.dumps({"status": "APPROVED"}),
        timeout=10,
    ).raise_for_status()
