"""A deleted person: their words, address and files go, in pages; that messages went out stays counted."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, text

from engine.campaigns.models import CampaignRecipient
from engine.contacts.service import delete_contact
from engine.core.bootstrap import DatabaseUrls
from engine.core.errors import NotFound
from engine.core.ids import uuid7
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging import forgetting, media
from engine.messaging.models import MediaFile, Message
from engine.messaging.storage import media_store
from engine.scheduler.jobs import JOBS
from engine.scheduler.reactions import react_due
from engine.scheduler.relay import relay_due
from tests.campaigns.test_campaigns import begin, look
from tests.workshop import Shop, add_people, open_shop


@pytest.fixture
def shop(database: DatabaseUrls) -> Shop:
    return open_shop()


def write_to_us(shop: Shop, contact_id: UUID, words: str) -> UUID:
    with shop.work.session() as session:
        message = Message(
            id=uuid7(),
            direction="in",
            kind="text",
            channel_id=shop.channel_id,
            contact_id=contact_id,
            origin="contact",
            address="+5511900000000",
            body=words,
            payload={"text": words},
            state="received",
        )
        session.add(message)
        return message.id


def keep_file(shop: Shop, message_id: UUID) -> UUID:
    key = f"{shop.tenant_id}/202611/{uuid7().hex}"
    draft = settings().media_dir / "draft"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(b"a picture")
    media_store().put(key, draft)
    with shop.work.session() as session:
        file = MediaFile(
            id=uuid7(),
            channel_id=shop.channel_id,
            message_id=message_id,
            provider_media_id="1",
            filename="ana.jpg",
            status="stored",
            path=key,
        )
        session.add(file)
        return file.id


def path_of(shop: Shop, media_id: UUID) -> Path:
    with shop.work.session() as session:
        return settings().media_dir / str(media.get_media(session, media_id).path)


def react() -> None:
    for _ in range(5):
        relay_due()
        react_due()


def test_what_a_deleted_person_wrote_and_was_sent_is_blanked_and_stays_counted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PAGE", 2)
    gone, stays = add_people(shop, 2)
    campaign_id = begin(shop)
    for number in range(4):
        write_to_us(shop, gone, f"segredo {number}")
    write_to_us(shop, stays, "fica")

    with shop.work.session() as session:
        delete_contact(session, gone)
    react()

    with shop.work.session() as session:
        left = session.execute(
            select(Message.address, Message.body, Message.params, Message.payload).where(
                Message.contact_id == gone
            )
        ).all()
        kept = session.scalars(
            select(Message.body).where(Message.contact_id == stays, Message.body != "")
        ).all()
        addresses = {row.contact_id: row.address for row in session.scalars(select(CampaignRecipient)).all()}
    assert [tuple(row) for row in left] == [("", None, None, None)] * 5
    assert list(kept) == ["fica"]
    assert addresses[gone] is None
    assert addresses[stays] is not None
    assert look(shop, campaign_id)[1]["total"] == 2


def test_files_of_a_deleted_person_are_served_no_more_at_once_and_then_deleted(shop: Shop) -> None:
    gone, stays = add_people(shop, 2)
    theirs, others = (keep_file(shop, write_to_us(shop, one, "foto")) for one in (gone, stays))
    file, other = path_of(shop, theirs), path_of(shop, others)

    with shop.work.session() as session:
        delete_contact(session, gone)
    react()
    with shop.work.session() as session, pytest.raises(NotFound):
        media.get_media(session, theirs)
    with system_session() as session:
        assert JOBS["forget"].is_due(session)
    JOBS["forget"].work()

    assert not file.exists()
    assert other.exists()
    with system_session() as session:
        assert not JOBS["forget"].is_due(session)
        assert session.scalars(text("select filename from media_files where path is null")).all() == [None]
