"""Tables in a real browser: paging, searching, choosing, opening, and cells that move."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console import gallery_samples as data

pytestmark = pytest.mark.browser


def test_a_table_pages_forth_and_back(page: Page) -> None:
    page.goto("/console/campaigns")
    expect(page.locator(".ft [role=status]")).to_have_text("1–25 of 213")

    page.get_by_label("Next page").click()
    expect(page.locator(".ft [role=status]")).to_have_text("26–50 of 213")
    page.get_by_label("Previous page").click()

    expect(page.locator("tbody tr").first).to_have_attribute("data-row", "c0")


def test_a_table_searches_filters_and_says_when_nothing_is_left(page: Page) -> None:
    page.goto("/console/campaigns")
    page.get_by_role("button", name="Paused").click()
    expect(page.locator("tbody tr").first).to_have_attribute("data-row", "c2")

    page.get_by_label("Search…").fill("nowhere")
    expect(page.get_by_text("No results")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()

    expect(page.locator("tbody tr")).to_have_count(25)


def test_a_table_sorts_by_a_header(page: Page) -> None:
    page.goto("/console/campaigns")

    page.get_by_role("button", name="Audience").click()

    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Audience")
    least = min(data.CAMPAIGNS, key=lambda row: int(str(row["total"])))
    expect(page.locator("tbody tr").first).to_have_attribute("data-row", str(least["id"]))


def test_a_cell_changes_in_place_when_a_fact_arrives(page: Page) -> None:
    page.goto("/console/campaigns")

    page.locator("[data-row=c0] .menu button").click()
    page.get_by_role("menuitem", name="Pause").click()

    expect(page.locator("[data-row=c0] [data-col=status]")).to_have_text("Paused")
    expect(page.locator("[data-row=c0] [data-col=status]")).to_have_class(re.compile("hot"))


def test_selected_rows_bring_the_bar_of_actions(page: Page) -> None:
    page.goto("/console/campaigns")

    page.locator("[data-row=c1] .ck").click()
    page.locator("[data-row=c2] .ck").click()

    expect(page.get_by_role("toolbar")).to_contain_text("2 selected")


def test_what_was_deleted_is_chosen_no_more(page: Page) -> None:
    page.goto("/console/campaigns")
    page.locator("[data-row=c1] .ck").click()

    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()

    expect(page.locator("[data-row=c1]")).to_have_count(0)
    expect(page.get_by_role("toolbar")).to_have_count(0)


def test_nothing_stays_chosen_that_a_filter_may_hide(page: Page) -> None:
    page.goto("/console/campaigns")
    page.locator("[data-row=c1] .ck").click()

    page.get_by_role("button", name="Paused").click()

    expect(page.locator("tbody tr").first).to_have_attribute("data-row", "c2")
    expect(page.get_by_role("toolbar")).to_have_count(0)


def test_a_row_is_a_link_and_the_arrows_lead_from_one_to_the_next(page: Page) -> None:
    page.goto("/console/campaigns")
    first = page.get_by_role("link", name=re.compile("#0"))
    expect(first).to_have_attribute("href", "/console/live")

    first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-row=c1] a")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_role("toolbar")).to_contain_text("1 selected")
    page.keyboard.press("Enter")

    expect(page.locator("[data-view=live]")).to_be_visible()
    page.go_back()
    expect(page.locator("[data-view=campaigns]")).to_be_visible()


def test_a_page_fetched_anew_flashes_no_more(page: Page) -> None:
    page.goto("/console/campaigns")
    page.locator("[data-row=c0] .menu button").click()
    page.get_by_role("menuitem", name="Pause").click()
    expect(page.locator("[data-row=c0] [data-col=status]")).to_have_class(re.compile("hot"))

    page.get_by_label("Next page").click()
    expect(page.locator("tbody tr").first).to_have_attribute("data-row", "c25")
    page.get_by_label("Previous page").click()

    expect(page.locator("[data-row=c0] [data-col=status]")).not_to_have_class(re.compile("hot"))
