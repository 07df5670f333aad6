"""Who a campaign is for, and why somebody is left out: one query, asked for a preview and for the freezing alike.

Freezing walks the contacts in keyset pages. A page's recipients, messages, due work, counters and the checkpoint are
one transaction, so a worker that dies in the middle loses and repeats nothing.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign, Exclusion
from engine.contacts.models import ContactImport, ContactTag, ImportStatus
from engine.core.db import run
from engine.core.errors import Invalid
from engine.core.i18n import N_
from engine.messaging import ledger
from engine.messaging.models import MessageState, Origin
from engine.messaging.policy import REFUSAL_TEXTS, Refusal
from engine.messaging.restoring import RESTORED, count_doubted
from engine.messaging.sources import SqlParams

FIRST_PAGE = 500  # small, so that the first message leaves at once
PAGE = 5_000
SAMPLES = 3
MOST_TAGS = 100
TAG_LENGTH = 200

EXCLUSION_TEXTS = {
    Exclusion.NO_IDENTITY: N_("There is no WhatsApp number for this person."),
    Exclusion.OPTED_OUT: REFUSAL_TEXTS[Refusal.OPTED_OUT],
    Exclusion.NO_CONSENT: N_("This person has not agreed to get marketing messages."),
    Exclusion.DUPLICATE: N_("Another person in this audience has the same number."),
    Exclusion.MISSING_VARIABLE: N_("A value that the template needs is missing for this person."),
}

# The same of several people at once, as it stands beside a count.
GROUP_TEXTS: Mapping[str, str] = {
    Exclusion.NO_IDENTITY: N_("No WhatsApp number"),
    Exclusion.OPTED_OUT: N_("Asked not to get marketing messages"),
    Exclusion.NO_CONSENT: N_("Have not agreed to get marketing messages"),
    Exclusion.DUPLICATE: N_("Same number as another person in this audience"),
    Exclusion.MISSING_VARIABLE: N_("A value that the template needs is missing"),
    Refusal.PERSON_DELETED: N_("Deleted from the contacts"),
}


@dataclass(frozen=True, slots=True)
class Blast:
    """What freezing has to know: to whom, over what, and what fills the template."""

    audience: Mapping[str, Any]
    portfolio: str
    is_marketing: bool
    params: SqlParams


@dataclass(frozen=True, slots=True)
class Sample:
    """One person who will get the message, with the values that fill it."""

    contact_id: UUID
    name: str
    address: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """How many people match, how many are left out and why, and a few of those who are not."""

    matched: int
    will_send: int
    excluded: Mapping[Exclusion, int]
    samples: tuple[Sample, ...]


def check_audience(session: Session, audience: Mapping[str, Any]) -> None:
    """Raise Invalid, in the user's words, unless this names an audience that exists."""
    if len(audience) != 1 or next(iter(audience)) not in ("all", "tags", "import_id"):
        raise Invalid.field(
            "audience", "unknown_audience", "Choose who gets it: everyone, people with a tag, or an import."
        )
    if "all" in audience and audience["all"] is not True:
        raise Invalid.field("audience.all", "unknown_audience", 'Write {"all": true} to choose everyone.')
    if "tags" in audience:
        _check_tags(session, audience["tags"])
    if "import_id" in audience:
        _check_import(session, audience["import_id"])


def is_being_read(session: Session, audience: Mapping[str, Any]) -> bool:
    """Whether this audience is an import whose people are still coming in."""
    if "import_id" not in audience:
        return False
    status = session.scalar(
        select(ContactImport.status).where(ContactImport.id == UUID(str(audience["import_id"])))
    )
    return status in (ImportStatus.QUEUED, ImportStatus.RUNNING)


def _check_import(session: Session, import_id: object) -> None:
    found = None
    with contextlib.suppress(ValueError):
        found = session.scalar(select(ContactImport.id).where(ContactImport.id == UUID(str(import_id))))
    if found is None:
        raise Invalid.field(
            "audience.import_id",
            "unknown_import",
            "We could not find this import. Choose one from the list.",
        )


def _check_tags(session: Session, tags: object) -> None:
    if not isinstance(tags, list) or not all(isinstance(tag, str) and len(tag) <= TAG_LENGTH for tag in tags):
        raise Invalid.field("audience.tags", "bad_tags", 'Write tags as a list of words: {"tags": ["vip"]}.')
    if not tags:
        raise Invalid.field("audience.tags", "no_tags", "Choose at least one tag.")
    if len(tags) > MOST_TAGS:
        raise Invalid.field("audience.tags", "too_many_tags", "Choose at most %(most)s tags.", most=MOST_TAGS)
    known = set(session.scalars(select(ContactTag.tag).where(ContactTag.tag.in_(tags)).distinct()))
    unknown = [tag for tag in tags if tag not in known]
    if unknown:
        raise Invalid.field(
            "audience.tags",
            "unknown_tag",
            "Nobody has the tag %(tag)s. Choose one from the list.",
            tag=unknown[0],
        )


# `page` is one keyset page of the audience; `found` says for each person where to write and with what.
_FOUND = """
with page as (
  select p.id, p.name, p.phone, p.fields, p.marketing_consent from contacts p
  where p.id > %(after)s and <whom> order by p.id limit %(limit)s
), found as (
  select page.*,
    coalesce(page.phone, (select i.value from contact_identities i where i.contact_id = page.id and i.kind = 'phone'
                          order by i.id limit 1),
             (select i.value from contact_identities i where i.contact_id = page.id and i.kind = 'bsuid'
                and i.scope = %(portfolio)s order by i.id limit 1)) as address,
    <missing> as missing, <params> as params
  from page
)
"""

# Why a person gets nothing, by themselves; and because somebody before them has the same number.
_BY_THEMSELVES = """
      when address is null then 'no_identity'
      when %(marketing)s and marketing_consent = 'withdrawn' then 'opted_out'
      when %(marketing)s and marketing_consent <> 'granted' then 'no_consent'
      when missing is not null then 'missing_variable'
"""
_BY_ANOTHER = "when row_number() over (partition by address order by id) > 1 then 'duplicate'"

_JUDGED = f"""
, judged as materialized (
  select id as contact_id, name, address, params, missing, uuidv7() as message_id,
    case {_BY_THEMSELVES} {_BY_ANOTHER} end as excluded
  from found
)
"""  # noqa: S608 - our own words

_WHOM = {
    "all": "true",
    "tags": "exists (select from contact_tags t where t.contact_id = p.id and t.tag = any(%(tags)s))",
    "import_id": (
        "exists (select from import_contacts t where t.contact_id = p.id and t.import_id = %(import_id)s)"
    ),
}


def _found(blast: Blast) -> tuple[str, dict[str, Any]]:
    key = next(iter(blast.audience))
    statement = (
        _FOUND.replace("<whom>", _WHOM[key])
        .replace("<missing>", blast.params.missing)
        .replace("<params>", blast.params.params)
    )
    values = {
        **blast.params.binds,
        "portfolio": blast.portfolio,
        "marketing": blast.is_marketing,
        "tags": list(blast.audience.get("tags", [])),
        "import_id": str(blast.audience["import_id"]) if "import_id" in blast.audience else None,
    }
    return statement, values


# Nothing but the counts is gathered: an audience may be a million people, and this is asked at each edit.
_COUNT = f"""
select coalesce(excluded, '') as excluded, count(*) as n
from (select case {_BY_THEMSELVES} {_BY_ANOTHER} end as excluded from found) judged group by 1
"""  # noqa: S608 - our own words

# Stops at the first few. Those of one number may stand side by side here, so a few more are read than shown.
_SAMPLES = f"""
select id, name, address, params from found where case {_BY_THEMSELVES} end is null order by id limit %(read)s
"""  # noqa: S608 - our own words


def preview(session: Session, blast: Blast) -> Waterfall:
    """What freezing would do now."""
    statement, values = _found(blast)
    values |= {"after": UUID(int=0), "limit": None}
    counts = {row.excluded: row.n for row in run(session, statement + _COUNT, **values)}
    will_send = counts.pop("", 0)
    rows = run(session, statement + _SAMPLES, **values, read=4 * SAMPLES) if will_send else ()
    people: dict[str, Sample] = {}
    for row in rows:
        people.setdefault(row.address, Sample(row.id, row.name, row.address, row.params or {}))
    samples = tuple(people.values())[:SAMPLES]
    excluded = {Exclusion(reason): n for reason, n in counts.items()}
    return Waterfall(will_send + sum(excluded.values()), will_send, excluded, samples)


# Whether an earlier page has the same address is left to the unique index: a look-up of ours would be planned while
# the table is still empty, and scan the whole campaign for each person.
_FREEZE = """
, people as (
  insert into campaign_recipients (id, campaign_id, contact_id, address, message_id)
  select uuidv7(), %(campaign)s, contact_id, address, message_id from judged where excluded is null order by contact_id
  on conflict (tenant_id, campaign_id, address) where excluded is null do nothing
  returning contact_id
), settled as materialized (
  select judged.*, case when excluded is null and contact_id not in (select p.contact_id from people p) then 'duplicate'
                        else excluded end as reason
  from judged
), left_out as (
  insert into campaign_recipients (id, campaign_id, contact_id, address, excluded, excluded_detail)
  select uuidv7(), %(campaign)s, contact_id, address, reason, case when reason = 'missing_variable' then missing end
  from settled where reason is not null order by contact_id
), queued as (
  insert into messages (id, direction, kind, channel_id, contact_id, gate_id, origin, origin_id, snapshot_id, address,
                        params, state, reason_code)
  select message_id, 'out', 'template', %(channel)s, contact_id, %(gate)s, %(origin)s, %(campaign)s, %(snapshot)s,
         address, params, %(state)s, %(reason)s
  from settled where reason is null order by message_id
), spans as (
  select (array_agg(message_id order by message_id))[1] as first_id,
         (array_agg(message_id order by message_id desc))[1] as last_id, count(*) as amount
  from (select message_id, (row_number() over (order by message_id) - 1) / %(span)s as span
        from settled where reason is null) numbered group by span
)
select (select (array_agg(contact_id order by contact_id desc))[1] from judged) as last_contact,
       (select count(*) from judged) as matched,
       coalesce((select jsonb_object_agg(reason, n) from
         (select reason, count(*) as n from settled where reason is not null group by 1) e), '{}') as excluded,
       coalesce((select jsonb_agg(jsonb_build_array(first_id, last_id, amount) order by first_id) from spans), '[]')
         as spans
"""


@dataclass(frozen=True, slots=True)
class FrozenPage:
    """One page of an audience as it was written: how many matched, who was left out and why, the messages' ranges."""

    last_contact: UUID | None
    matched: int
    excluded: Mapping[str, int]
    spans: tuple[tuple[UUID, UUID, int], ...]
    is_last: bool


def freeze_page(session: Session, campaign: Campaign, blast: Blast, *, doubted: bool = False) -> FrozenPage:
    """Write the recipients and messages of the next page of a running campaign's audience; `keep_page` must follow.

    `doubted` messages are not to be sent: a database that is lost may have sent them (`restoring.py`).
    """
    statement, values = _found(blast)
    limit = PAGE if campaign.freeze_after else FIRST_PAGE
    values |= {
        "after": campaign.freeze_after or UUID(int=0),
        "limit": limit,
        "campaign": campaign.id,
        "channel": campaign.channel_id,
        "gate": campaign.gate_id,
        "snapshot": campaign.snapshot_id,
        "origin": Origin.CAMPAIGN,
        "state": MessageState.UNKNOWN if doubted else MessageState.QUEUED,
        "reason": RESTORED if doubted else None,
        "span": ledger.RANGE_SIZE,
    }
    row = run(session, statement + _JUDGED + _FREEZE, **values)[0]
    spans = tuple((UUID(first), UUID(last), amount) for first, last, amount in row.spans)
    return FrozenPage(row.last_contact, row.matched, row.excluded, spans, is_last=row.matched < limit)


def keep_page(session: Session, campaign: Campaign, page: FrozenPage, *, doubted: bool = False) -> None:
    """The checkpoint, due work and counters of a page, in the transaction that wrote it; the campaign is locked by us."""
    if not page.matched:
        return
    campaign.freeze_after = page.last_contact
    campaign.recipients += page.matched
    campaign.excluded = dict(Counter(campaign.excluded) + Counter(page.excluded))
    if doubted:
        count_doubted(session, campaign.gate_id, sum(amount for _, _, amount in page.spans))
    else:
        ledger.queue_bulk(session, channel_id=campaign.channel_id, gate_id=campaign.gate_id, spans=page.spans)
