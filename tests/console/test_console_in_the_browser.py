"""The whole console in a real browser, over the stand-in API and a real Redis."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from redis import Redis

from engine.client import channel_of
from tests.console.console_fake_data import COMPANIES, overview_of
from tests.console.serving import Serving, serving

pytestmark = pytest.mark.browser

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def console(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Redis.from_url(valkey_url) as client:
        client.flushdb()
    home: Path = tmp_path_factory.mktemp("console")
    with serving(valkey_url, home) as running:
        yield running


@pytest.fixture(scope="module")
def context(console: Serving, chromium: str) -> Iterator[BrowserContext]:
    """A browser somebody has signed in with, in English."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-US")
        context.set_default_timeout(PATIENCE_MS)
        form = {"email": "owner@demo.example", "password": "secret"}
        context.request.post(f"{console.url}/sign-in", form=form, headers={"origin": console.url})
        yield context
        browser.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    yield page
    page.close()


def tell(valkey_url: str, kind: str, data: dict[str, object]) -> None:
    """Publishes a fact to Acme."""
    with Redis.from_url(valkey_url) as client:
        client.publish(
            channel_of(COMPANIES["acme"]["id"]), json.dumps({"kind": kind, "id": "f", "data": data})
        )


def test_a_screen_loads_without_an_error_or_a_request_to_elsewhere(page: Page, console: Serving) -> None:
    strangers: list[str] = []
    errors: list[str] = []
    page.on("request", lambda one: strangers.append(one.url) if not is_own(one.url, console) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda one: errors.append(one.text) if is_complaint(one) else None)

    page.goto(f"{console.url}/console")
    [sent] = [kpi["value"] for kpi in overview_of(30)["kpis"] if kpi["key"] == "sent"]
    expect(page.get_by_text(f"{sent:,}").first).to_be_visible(timeout=PATIENCE_MS)

    assert (strangers, errors) == ([], [])


def is_complaint(one: ConsoleMessage) -> bool:
    """Whether the page reports an error, or lacks a word."""
    return one.type == "error" or "No label for" in one.text


def is_own(url: str, console: Serving) -> bool:
    """Whether an address is the console's, or holds its content in itself."""
    return url.startswith((console.url, console.url.replace("http", "ws"), "data:", "blob:"))


def test_a_fact_moves_the_screen_without_a_reload(page: Page, console: Serving, valkey_url: str) -> None:
    running = console.store.campaigns[0]
    page.goto(f"{console.url}/console/campaigns/{running['id']}")
    expect(page.get_by_text("61.8%").first).to_be_visible(timeout=PATIENCE_MS)
    counts = running["counts"] | {"queued": 0, "dispatching": 0, "delivered": 3184}

    tell(
        valkey_url,
        "campaign.changed",
        {"id": running["id"], "revision": 9, "status": "completed", "counts": counts},
    )

    expect(page.get_by_text("Completed").first).to_be_visible(timeout=PATIENCE_MS)


def test_back_and_forward_lead_through_the_screens(page: Page, console: Serving) -> None:
    page.goto(f"{console.url}/console/campaigns")
    expect(page.get_by_text("Pesquisa de satisfação").first).to_be_visible(timeout=PATIENCE_MS)

    page.get_by_role("link", name="Contacts").first.click()
    expect(page.get_by_text("Bruno Lima").first).to_be_visible(timeout=PATIENCE_MS)
    page.go_back()
    expect(page.get_by_text("Pesquisa de satisfação").first).to_be_visible(timeout=PATIENCE_MS)
    page.go_forward()

    expect(page.get_by_text("Bruno Lima").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.url.endswith("/console/contacts")


def test_no_script_of_the_page_can_read_the_sign_in(page: Page, console: Serving) -> None:
    page.goto(f"{console.url}/console")

    assert "masteria" not in page.evaluate("document.cookie")


def test_the_period_chosen_is_still_there_after_a_reload(page: Page, console: Serving) -> None:
    page.goto(f"{console.url}/console")
    expect(page.locator("[data-kpi=sent]")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("tab", name="7 days").click()
    page.wait_for_url("**/console/?period=7d", timeout=PATIENCE_MS)

    page.reload()

    expect(page.get_by_role("tab", name="7 days")).to_have_attribute(
        "aria-selected", "true", timeout=PATIENCE_MS
    )
    assert page.url.endswith("/console/?period=7d")


def test_a_search_for_a_template_chooses_nothing_that_was_not_looked_for(
    page: Page, console: Serving
) -> None:
    page.goto(f"{console.url}/console/campaigns/new")
    box = page.locator("[data-field=template_id] .sel")
    box.click(timeout=PATIENCE_MS)

    page.keyboard.type("pedido")
    expect(page.get_by_role("option")).to_have_count(1)  # the stand-in sends all, whatever is looked for
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    if page.get_by_role("listbox").count():  # the answer was not there yet
        page.keyboard.press("Enter")

    expect(box).to_contain_text("confirmacao_pedido")


def test_a_long_name_pushes_nothing_off_the_screen(page: Page, console: Serving) -> None:
    console.store.contacts[0]["name"] = "Maria Aparecida " * 12
    page.set_viewport_size({"width": 1440, "height": 900})

    page.goto(f"{console.url}/console/contacts")
    expect(page.get_by_text("Bruno Lima").first).to_be_visible(timeout=PATIENCE_MS)

    box = page.locator(".bx:visible")
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") <= 0


@pytest.mark.parametrize("route", ["contacts", "templates"])
def test_a_phone_shows_cards_whole(page: Page, console: Serving, route: str) -> None:
    console.store.contacts[0]["name"] = "Maria Aparecida " * 12
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto(f"{console.url}/console/{route}")
    expect(page.locator(".cd .badge").first).to_be_visible(timeout=PATIENCE_MS)

    edges = page.locator(".cd").evaluate_all("cards => cards.map(card => card.getBoundingClientRect().right)")
    badges = page.locator(".cd .badge").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().right)"
    )
    assert max(edges + badges) <= 390


def test_without_network_the_page_speaks_the_language_chosen_last(
    page: Page, console: Serving, context: BrowserContext
) -> None:
    kept = "caches.match('/offline').then(kept => kept ? kept.text() : '')"
    page.goto(f"{console.url}/console")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    first = page.evaluate(kept)

    page.goto(f"{console.url}/language/pt-BR?next=/console")
    page.wait_for_function(f"{kept}.then(text => text.includes('pt-BR'))")

    assert '<html lang="en"' in first
    context.clear_cookies(name="lang")


def test_signing_out_in_one_tab_leads_the_others_out(
    page: Page, console: Serving, context: BrowserContext
) -> None:
    page.goto(f"{console.url}/console/templates")
    expect(page.get_by_text("confirmacao_pedido").first).to_be_visible(timeout=PATIENCE_MS)

    context.request.post(f"{console.url}/sign-out", headers={"origin": console.url})

    page.wait_for_url("**/sign-in?ended=1", timeout=PATIENCE_MS)
    expect(page.get_by_text("Your session has ended")).to_be_visible()
