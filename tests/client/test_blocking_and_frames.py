"""The blocking face, for scripts and notebooks, and answers as data frames."""

import asyncio

import httpx
import pytest

from engine.client import BlockingApi, frame_of, heatmap_frame, read_as, series_frame
from engine.client.answers import Contact, Overview
from tests.console.console_fake_api import make_fake_api
from tests.console.console_fake_data import overview_of


@pytest.fixture
def api() -> BlockingApi:
    transport = httpx.ASGITransport(make_fake_api())
    return BlockingApi("http://api.test", transport=transport).sign_in("owner@demo.example", "secret")


def test_a_script_asks_without_awaiting(api: BlockingApi) -> None:
    with api:
        me = api.accounts.me()

    assert (me.company.name, me.role) == ("Acme Varejo", "owner")


def test_a_whole_list_becomes_one_frame_indexed_by_id(api: BlockingApi) -> None:
    with api:
        frame = api.frame(api.contacts.all())

    assert len(frame) == 140
    assert frame.index.name == "id"
    assert str(frame["created_at"].dtype).endswith("UTC]")


def test_it_works_where_a_loop_is_running_already_as_in_a_notebook(api: BlockingApi) -> None:
    async def cell() -> int:
        return len(api.frame(api.campaigns.list()))

    with api:
        assert asyncio.run(cell()) == 5


def test_nothing_can_be_asked_before_signing_in() -> None:
    with BlockingApi("http://api.test") as api, pytest.raises(AttributeError, match="sign in first"):
        api.campaigns.list()


def test_figures_become_frames_of_instants_and_of_weekdays() -> None:
    overview = read_as(Overview, overview_of(7))

    assert list(series_frame(overview).columns) == ["sent", "delivered", "read", "failed", "received"]
    assert heatmap_frame(overview).shape == (7, 24)


def test_no_items_make_an_empty_frame() -> None:
    nobody: list[Contact] = []

    assert frame_of(nobody).empty
