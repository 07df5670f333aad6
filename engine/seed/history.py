"""The demo company's past two months: campaigns with their funnels, and the conversations that came of them.

Messages are written as the engine would have left them, and every counter is then derived from the rows.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign, CampaignPulse, CampaignRecipient
from engine.core.db import Work, run
from engine.core.ids import uuid7, uuid7_at
from engine.messaging.models import Channel, Conversation, Gate, Message, ProviderMessage, Template
from engine.messaging.templates import snapshot_for
from engine.seed.people import Person
from engine.seed.talk import conversation_about

# name, template, days ago, hour, tag (None: everyone), share delivered, read, replied
# Two months, so that the overview has thirty days to compare thirty days with.
PAST = (
    ("Novos na loja", "boas_vindas", 57, 10, "novos", 0.95, 0.71, 0.09),
    ("Pesquisa pós-compra", "pesquisa_satisfacao", 51, 15, "clientes", 0.94, 0.66, 0.18),
    ("Lembrete de boleto", "lembrete_pagamento", 45, 9, "atacado", 0.97, 0.79, 0.06),
    ("Pedidos a caminho", "pedido_enviado", 38, 14, "clientes", 0.96, 0.75, 0.05),
    ("Sentimos a sua falta", "boas_vindas", 33, 11, "inativos", 0.91, 0.52, 0.04),
    ("Boas-vindas de outubro", "boas_vindas", 29, 10, "novos", 0.96, 0.74, 0.10),
    ("Pesquisa de satisfação", "pesquisa_satisfacao", 23, 15, "clientes", 0.95, 0.69, 0.21),
    ("Lembrete de pagamento", "lembrete_pagamento", 17, 9, "atacado", 0.98, 0.81, 0.07),
    ("Esquenta Black Friday VIP", "black_friday", 11, 11, "vip", 0.97, 0.83, 0.24),
    ("Pedidos enviados da semana", "pedido_enviado", 6, 14, "clientes", 0.97, 0.77, 0.06),
    ("Black Friday antecipada", "black_friday", 2, 10, None, 0.955, 0.71, 0.13),
)
DAILY_WRITERS = (4, 11)
DAYS = 58
SECOND = timedelta(seconds=1)
FAILURES = (("undeliverable", "131026", 0.8), ("marketing_limit", "131049", 0.2))


@dataclass(frozen=True, slots=True)
class Tale:
    """What everything in the story rests on; `moment` is the present."""

    channel: Channel
    templates: Mapping[str, Template]
    people: Sequence[Person]
    moment: datetime
    chance: random.Random


@dataclass(slots=True)
class Rows:
    """What will be inserted, table by table."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    recipients: list[dict[str, Any]] = field(default_factory=list)
    provider_ids: list[dict[str, Any]] = field(default_factory=list)
    conversations: dict[UUID, dict[str, Any]] = field(default_factory=dict)


def write_history(
    work: Work,
    channel: Channel,
    templates: Mapping[str, Template],
    people: Sequence[Person],
    moment: datetime,
) -> None:
    """The campaigns that were, daily conversations, a draft and a scheduled campaign."""
    tale = Tale(channel, templates, people, moment, random.Random(7))  # noqa: S311 - a story, no secret
    with work.session() as session:
        for past in PAST:
            _campaign(session, tale, past)
        rows = Rows()
        for days_ago in range(DAYS, -1, -1):
            _daily(rows, tale, moment - timedelta(days=days_ago))
        _insert(session, rows)
        _plans(session, tale)
        _derive_counters(session)


def _campaign(
    session: Session, tale: Tale, past: tuple[str, str, int, int, str | None, float, float, float]
) -> None:
    chance = tale.chance
    name, template_name, days_ago, hour, tag, delivered, read, replied = past
    template = tale.templates[template_name]
    began = (tale.moment - timedelta(days=days_ago)).replace(
        hour=hour + 3, minute=0, second=12, microsecond=0
    )
    variables: dict[str, Any] = {"body.1": "contact.first_name"}
    if "{{2}}" in template.components[0]["text"]:
        variables["body.2"] = {"text": "30%"} if template_name == "black_friday" else "field.pedido"
    snapshot = snapshot_for(session, template.id, variables)
    gate = Gate(id=uuid7_at(began))
    session.add(gate)
    session.flush()
    audience = {"tags": [tag]} if tag else {"all": True}
    campaign = Campaign(
        id=uuid7_at(began - timedelta(hours=2)),
        name=name,
        channel_id=tale.channel.id,
        template_id=template.id,
        audience=audience,
        variables=variables,
        status="completed",
        gate_id=gate.id,
        snapshot_id=snapshot.id,
        started_at=began,
        frozen_at=began + SECOND,
        created_at=began - timedelta(hours=2),
        excluded={},
        recipients=0,
        replied=0,
        revision=9,
    )
    session.add(campaign)
    session.flush()
    rows, excluded = Rows(), 0
    shares = (delivered, read, replied)
    newest = uuid7_at(began)  # ids carry the time: who came later was not there yet
    audience_people = [
        person for person in tale.people if person.id < newest and (tag is None or tag in person.tags)
    ]
    for index, person in enumerate(audience_people):
        called = began + SECOND * (1 + index / 20)
        reason = _exclusion(person, template)
        if reason is not None:
            excluded += 1
            campaign.excluded = {**campaign.excluded, reason: campaign.excluded.get(reason, 0) + 1}
        message = None if reason else _sent(rows, tale, campaign, person, called=called, shares=shares)
        answered = message and message["read_at"] and chance.random() < replied / max(read, 0.01)
        rows.recipients.append(
            {
                "id": uuid7_at(began + SECOND * index / 1000),
                "campaign_id": campaign.id,
                "contact_id": person.id,
                "address": person.phone,
                "message_id": message["id"] if message else None,
                "excluded": reason,
                "replied_at": None,
            }
        )
        if message and answered:
            at = _answer(rows, tale, person, message, template)
            rows.recipients[-1]["replied_at"] = at
            campaign.replied += 1 if at else 0
    campaign.recipients = len(audience_people)
    campaign.completed_at = began + SECOND * (3 + len(audience_people) / 20)
    session.flush()
    _insert(session, rows)
    _pulses(session, campaign)


def _exclusion(person: Person, template: Template) -> str | None:
    if template.category != "MARKETING" or person.consent == "granted":
        return None
    return "opted_out" if person.consent == "withdrawn" else "no_consent"


def _sent(
    rows: Rows,
    tale: Tale,
    campaign: Campaign,
    person: Person,
    *,
    called: datetime,
    shares: tuple[float, float, float],
) -> dict[str, Any]:
    """One message of a campaign and how far it came."""
    chance = tale.chance
    delivered, read, _ = shares
    accepted = called + SECOND * chance.uniform(0.1, 0.5)
    sent = accepted + SECOND * chance.uniform(0.2, 1.5)
    arrives, reads = chance.random() < delivered, chance.random() < read / delivered
    delivered_at = sent + SECOND * chance.uniform(1, 9) if arrives else None
    read_at = delivered_at + SECOND * chance.expovariate(1 / 2400) if delivered_at and reads else None
    failed = not arrives and chance.random() < 0.85
    code, provider_code = FAILURES[0][:2] if chance.random() < FAILURES[0][2] else FAILURES[1][:2]
    second = (
        "30%" if campaign.variables.get("body.2") == {"text": "30%"} else str(48_000 + len(rows.messages))
    )
    params = {"body.1": person.name.split()[0]}
    if "body.2" in campaign.variables:
        params["body.2"] = second
    message = {
        "id": uuid7_at(called),
        "direction": "out",
        "kind": "template",
        "channel_id": campaign.channel_id,
        "contact_id": person.id,
        "conversation_id": None,
        "gate_id": campaign.gate_id,
        "origin": "campaign",
        "origin_id": campaign.id,
        "snapshot_id": campaign.snapshot_id,
        "address": person.phone,
        "params": params,
        "body": None,
        "provider_id": f"wamid.demo{uuid7().hex}",
        "state": "failed" if failed else "read" if read_at else "delivered" if delivered_at else "sent",
        "attempt": 1,
        "reason_code": code if failed else None,
        "reason": {"provider_code": provider_code} if failed else None,
        "created_at": called,
        "occurred_at": None,
        "called_at": called,
        "accepted_at": accepted,
        "sent_at": sent,
        "delivered_at": delivered_at,
        "read_at": read_at,
        "failed_at": sent + SECOND * 4 if failed else None,
    }
    _add(rows, message)
    return message


def _answer(
    rows: Rows, tale: Tale, person: Person, message: dict[str, Any], template: Template
) -> datetime | None:
    """The conversation that began with a campaign's message; when the person first answered."""
    begin: datetime = message["read_at"] + SECOND * tale.chance.uniform(20, 900)
    if begin >= tale.moment:
        return None
    conversation = _conversation(rows, tale.channel, person, begin)
    message["conversation_id"] = conversation["id"]
    words = conversation_about(template.name, person.name, tale.chance)
    _talk(rows, tale, conversation, person, words=words, at=begin)
    return begin


def _daily(rows: Rows, tale: Tale, day: datetime) -> None:
    """People who write by themselves, mostly in shop hours and less on weekends."""
    chance = tale.chance
    weekend = day.weekday() >= 5
    for _ in range(chance.randint(*DAILY_WRITERS) // (2 if weekend else 1)):
        hour = min(max(int(chance.gauss(14, 3.6)), 7), 22)
        begin = day.replace(hour=0, minute=0) + timedelta(hours=hour + 3, minutes=chance.random() * 60)
        person = chance.choice(tale.people)
        if begin < tale.moment:
            conversation = _conversation(rows, tale.channel, person, begin)
            words = conversation_about("shop", person.name, chance)
            _talk(rows, tale, conversation, person, words=words, at=begin)


def _conversation(rows: Rows, channel: Channel, person: Person, begin: datetime) -> dict[str, Any]:
    return rows.conversations.setdefault(
        person.id,
        {
            "id": uuid7_at(begin),
            "channel_id": channel.id,
            "contact_id": person.id,
            "unread": 0,
            "last_message_at": begin,
            "created_at": begin,
            "window_expires_at": None,
            "last_message_id": None,
            "last_message_text": None,
            "last_message_kind": "text",
            "last_message_direction": "in",
        },
    )


def _talk(
    rows: Rows,
    tale: Tale,
    conversation: dict[str, Any],
    person: Person,
    *,
    words: Iterable[tuple[str, str]],
    at: datetime,
) -> None:
    for direction, text in words:
        if at >= tale.moment:
            return
        message = _utterance(tale, conversation, person, direction=direction, text=text, at=at)
        _add(rows, message)
        if at >= conversation["last_message_at"]:
            conversation |= {
                "last_message_at": at,
                "last_message_id": message["id"],
                "last_message_text": text,
                "last_message_direction": direction,
            }
            recent = tale.moment - at < timedelta(hours=20)
            conversation["unread"] = conversation["unread"] + 1 if direction == "in" and recent else 0
        if direction == "in":
            conversation["window_expires_at"] = at + timedelta(hours=24)
        at += SECOND * tale.chance.uniform(25, 420)


def _utterance(
    tale: Tale, conversation: dict[str, Any], person: Person, *, direction: str, text: str, at: datetime
) -> dict[str, Any]:
    chance = tale.chance
    outgoing = direction == "out"
    later = [at + SECOND * wait for wait in (0.4, 1.2, chance.uniform(2, 6), chance.uniform(8, 600))]
    reached = [instant if outgoing and instant < tale.moment else None for instant in later]
    names = ("accepted", "sent", "delivered", "read")
    known = [name for name, instant in zip(names, reached, strict=True) if instant]
    return {
        "id": uuid7_at(at),
        "direction": direction,
        "kind": "text",
        "channel_id": conversation["channel_id"],
        "contact_id": person.id,
        "conversation_id": conversation["id"],
        "gate_id": None,
        "origin": "agent" if outgoing else "contact",
        "origin_id": None,
        "snapshot_id": None,
        "address": person.phone,
        "params": None,
        "body": text,
        "provider_id": f"wamid.demo{uuid7().hex}",
        "state": (known[-1] if known else "accepted") if outgoing else "received",
        "attempt": 1 if outgoing else 0,
        "reason_code": None,
        "reason": None,
        "created_at": at,
        "occurred_at": None if outgoing else at,
        "called_at": at if outgoing else None,
        **{f"{name}_at": instant for name, instant in zip(names, reached, strict=True)},
        "failed_at": None,
    }


def _add(rows: Rows, message: dict[str, Any]) -> None:
    rows.messages.append(message)
    rows.provider_ids.append(
        {
            "channel_id": message["channel_id"],
            "provider_id": message["provider_id"],
            "message_id": message["id"],
        }
    )


def _insert(session: Session, rows: Rows) -> None:
    if rows.conversations:
        known = {
            row.contact_id: row.id
            for row in run(
                session,
                "select contact_id, id from conversations where contact_id = any(%(people)s)",
                people=list(rows.conversations),
            )
        }
        fresh = []
        for contact_id, conversation in rows.conversations.items():
            if contact_id in known:
                _join(rows, conversation["id"], known[contact_id])
            else:
                fresh.append(conversation)
        if fresh:
            session.execute(insert(Conversation), fresh)
    session.execute(insert(Message), rows.messages)
    session.execute(insert(ProviderMessage), rows.provider_ids)
    if rows.recipients:
        session.execute(insert(CampaignRecipient), rows.recipients)


def _join(rows: Rows, ours: UUID, theirs: UUID) -> None:
    """Messages of a thread that was begun before go into that thread."""
    for message in rows.messages:
        if message["conversation_id"] == ours:
            message["conversation_id"] = theirs


def _pulses(session: Session, campaign: Campaign) -> None:
    """The campaign's course, from its rows, every ten seconds while it sent and every ten minutes for six hours."""
    if campaign.started_at is None or campaign.completed_at is None:
        return
    moments = [campaign.started_at]
    while moments[-1] < campaign.completed_at:
        moments.append(moments[-1] + SECOND * 10)
    while moments[-1] < campaign.completed_at + timedelta(hours=6):
        moments.append(moments[-1] + timedelta(minutes=10))
    rows = run(
        session,
        """select t.at, count(m.id) as total,
             count(*) filter (where m.called_at > t.at) as queued,
             count(*) filter (where m.called_at <= t.at and m.read_at <= t.at) as read,
             count(*) filter (where m.delivered_at <= t.at and (m.read_at is null or m.read_at > t.at)) as delivered,
             count(*) filter (where m.failed_at <= t.at) as failed,
             count(*) filter (where r.replied_at <= t.at) as replied
           from unnest(%(moments)s::timestamptz[]) as t(at)
           join campaign_recipients r on r.campaign_id = %(campaign)s
           join messages m on m.tenant_id = r.tenant_id and m.id = r.message_id
           group by t.at order by t.at""",
        moments=moments,
        campaign=campaign.id,
    )
    skipped = sum(campaign.excluded.values())
    pulses = []
    for row in rows:
        known = row.queued + row.read + row.delivered + row.failed
        counts = {
            "total": row.total + skipped,
            "queued": row.queued,
            "dispatching": 0,
            "accepted": 0,
            "sent": row.total - known,
            "delivered": row.delivered,
            "read": row.read,
            "failed": row.failed,
            "unknown": 0,
            "skipped": skipped,
            "cancelled": 0,
            "replied": row.replied,
        }
        pulses.append({"campaign_id": campaign.id, "at": row.at, "counts": counts})
    session.execute(insert(CampaignPulse), pulses)


def _plans(session: Session, tale: Tale) -> None:
    """One campaign in preparation, one for next week."""
    for name, template, status, at in (
        ("Natal: aviso de entrega", "pedido_enviado", "draft", None),
        ("Boas-vindas de dezembro", "boas_vindas", "scheduled", tale.moment + timedelta(days=9)),
    ):
        gate = Gate(id=uuid7())
        session.add(gate)
        session.flush()
        variables = {"body.1": "contact.first_name"}
        if template == "pedido_enviado":
            variables["body.2"] = "field.pedido"
        session.add(
            Campaign(
                id=uuid7(),
                name=name,
                channel_id=tale.channel.id,
                template_id=tale.templates[template].id,
                audience={"tags": ["novos"]},
                variables=variables,
                status=status,
                scheduled_at=at,
                gate_id=gate.id,
                excluded={},
            )
        )
    session.flush()


def _derive_counters(session: Session) -> None:
    """Tallies and quarter-hours from the rows, as the sending and receiving paths would have counted them."""
    run(
        session,
        """insert into message_tallies (gate_id, state, n)
           select gate_id, state, count(*) from messages where gate_id is not null and counted group by 1, 2""",
    )
    run(
        session,
        """insert into activity (bucket, channel_id, measure, n)
           select date_bin('15 minutes', at, 'epoch'), channel_id, measure, count(*) from (
             select m.channel_id, e.measure, e.at from messages m cross join lateral (values
               ('accepted', m.accepted_at), ('sent', m.sent_at), ('delivered', m.delivered_at), ('read', m.read_at),
               ('failed', m.failed_at), ('received', case when m.direction = 'in' then m.occurred_at end)
             ) as e(measure, at)
             union all
             select c.channel_id, 'replied', r.replied_at from campaign_recipients r
             join campaigns c on c.tenant_id = r.tenant_id and c.id = r.campaign_id
           ) events where at is not null group by 1, 2, 3""",
    )
    run(
        session,
        """update contacts p set last_inbound_at = x.at from (
             select contact_id, max(occurred_at) as at from messages where direction = 'in' group by 1) x
           where x.contact_id = p.id""",
    )
    run(
        session,
        """update channels c set last_sent_at = x.at from (
             select channel_id, max(accepted_at) as at from messages where direction = 'out' group by 1) x
           where x.channel_id = c.id""",
    )


def date_back(work: Work, moment: datetime) -> None:
    """Have the number and its templates be older than what was sent by them."""
    since = moment - timedelta(days=DAYS + 2)
    with work.session() as session:
        for table in (Channel, Template):
            session.execute(update(table).values(created_at=since))
