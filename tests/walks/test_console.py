"""A newcomer's first hour on the screen: a messy file, a template, a campaign paused and resumed, people who read and reply.

One browser, one company, the parts in the order in which a person does them; each begins where the one before ended.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright
from prometheus_client.parser import text_string_to_metric_families

from tests.walks.browser import launch, sign_in
from tests.walks.stack import EMAIL, Stack, eventually, sandbox_channel

pytestmark = pytest.mark.browser

PEOPLE = 300
BROKEN_ROW = "José Inválido;12;Praça"
RATE = 30  # a second: slow enough that a person has time to press Pause
PATIENCE_MS = 30_000


@dataclass
class Desk:
    """A signed-in browser, and all that went wrong in it."""

    context: BrowserContext
    page: Page
    url: str
    strangers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> Page:
        """Notes each request to elsewhere and each error of a page."""
        own = (self.url, self.url.replace("http", "ws", 1), "data:", "blob:")
        page.on("request", lambda one: None if one.url.startswith(own) else self.strangers.append(one.url))
        page.on("websocket", lambda one: None if one.url.startswith(own) else self.strangers.append(one.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda one: self.errors.append(one.text) if one.type == "error" else None)
        return page

    def open(self, path: str) -> None:
        """Goes to a screen by its address."""
        self.page.goto(f"{self.url}/console{path}")

    def button(self, name: str) -> Locator:
        """The button of this name that shows."""
        return self.page.get_by_role("button", name=name, exact=True).locator("visible=true").first


@pytest.fixture(scope="module")
def desk(stack: Stack, api: httpx.Client, chromium: str) -> Iterator[Desk]:
    sandbox_channel(stack, api, rate=RATE)
    stack.simulator("POST", "/_admin/scenario", {"name": "quick"})
    assert api.patch("/v1/me", json={"locale": "en"}).status_code == 200
    with sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-US")
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        desk = Desk(context, context.new_page(), stack.console_url)
        desk.listen(desk.page)
        sign_in(desk.page, stack, EMAIL)
        yield desk
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a spreadsheet of Brazil saves: Latin-1, semicolons, phones as people write them, a row that is none."""
    people = [f"Conceição {one};(11) 9{20_000_000 + one:08d};São Vicente" for one in range(PEOPLE)]
    made = tmp_path_factory.mktemp("files") / "clientes.csv"
    made.write_bytes("\r\n".join(["Nome;Celular;Cidade", *people, BROKEN_ROW, ""]).encode("latin-1"))
    return made


def figure(page: Page, name: str) -> Locator:
    """A headline of a campaign's page."""
    return page.locator(f"[data-head={name}] dd > span.num")


def shown(page: Page, name: str) -> int:
    """What a headline says now."""
    return int(figure(page, name).inner_text().replace(",", ""))


def test_a_messy_file_becomes_contacts_and_the_broken_row_comes_back_with_its_reason(
    desk: Desk, file: Path
) -> None:
    desk.open("/contacts/imports/new")
    desk.page.locator("input[type=file]").set_input_files(file)
    expect(desk.page.locator("[data-column=Celular]")).to_contain_text("(11) 920000000")
    expect(desk.page.locator("[data-column=Cidade]")).to_contain_text("São Vicente")

    desk.button("Continue").click()
    desk.page.locator("[data-field=tags] input").fill("walk")
    desk.page.keyboard.press("Enter")
    desk.page.get_by_text("These people agreed to receive marketing messages").click()
    desk.page.get_by_label("Where did they agree?").fill("balcão")
    desk.button("Start import").click()

    expect(desk.page.get_by_text("1 row was not taken")).to_be_visible()
    with desk.page.expect_download() as download:
        desk.button("Download these rows").click()
    rejects = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    separator = csv.Sniffer().sniff(rejects.splitlines()[0], ";,").delimiter
    [row] = list(csv.DictReader(io.StringIO(rejects), delimiter=separator))
    assert row["Nome"] == "José Inválido"
    assert str(PEOPLE + 2) in row.values()


def test_a_template_is_written_and_its_approval_shows_without_a_reload(desk: Desk, stack: Stack) -> None:
    desk.open("/templates/new")
    desk.page.locator("[data-field=name] input").fill("novidade_da_loja")
    desk.page.locator("[data-field=body] textarea").fill("Oi {{1}}, chegou novidade na loja.")
    desk.page.locator("[data-field=examples] input").fill("Ana")
    expect(desk.page.get_by_role("figure")).to_contain_text("Oi Ana, chegou novidade na loja.")
    desk.page.locator("button[type=submit]:visible").click()
    row = desk.page.locator("[data-row]", has_text="novidade_da_loja")
    expect(row).to_contain_text(re.compile("In review|Approved"))  # the simulator's reviewer may be quicker

    for template in stack.simulator("GET", "/_admin/state")["templates"]:
        if template["status"] == "PENDING":
            stack.simulator("POST", f"/_admin/templates/{template['id']}", {"status": "APPROVED"})

    expect(row).to_contain_text("Approved")


def test_a_campaign_is_written_in_steps_and_started(desk: Desk) -> None:
    desk.open("/campaigns/new")
    desk.page.locator("[data-field=name] input").fill("Novidade de novembro")
    desk.page.locator("[data-field=template_id] button[role=combobox]").click()
    desk.page.get_by_role("option", name="novidade_da_loja").click()
    desk.button("Continue").click()
    desk.page.get_by_role("radiogroup", name="Audience").get_by_text("Everyone").click()
    expect(desk.page.locator(".wf .sum")).to_contain_text(str(PEOPLE))
    desk.button("Continue").click()
    variable = desk.page.locator("[data-variable='body.1'] button[role=combobox]")
    variable.click()
    desk.page.get_by_role("option", name="Name", exact=True).click()
    desk.button("Continue").click()

    desk.button("Start sending").click()
    desk.page.get_by_role("alertdialog").get_by_role("button", name="Start sending").click()

    desk.page.wait_for_url("**/console/campaigns/*-*")
    expect(figure(desk.page, "total")).to_have_text(str(PEOPLE))


def test_figures_move_by_themselves_until_a_pause_holds_them(desk: Desk) -> None:
    page = desk.page
    page.evaluate("window.never_reloaded = true")
    eventually(lambda: shown(page, "delivered") > 0, why="nobody was reached on screen")
    seen = shown(page, "delivered")
    eventually(lambda: shown(page, "delivered") > seen, why="the figure stood still")

    page.locator("[data-command=pause]").click()

    expect(page.locator(".cl[data-status=paused]")).to_be_visible()
    expect(page.get_by_text("Nothing is sent while paused")).to_be_visible()
    assert page.evaluate("window.never_reloaded")
    assert 0 < shown(page, "delivered") < PEOPLE


def test_resumed_in_one_tab_it_completes_in_both_and_people_read_and_reply(desk: Desk) -> None:
    second = desk.listen(desk.context.new_page())
    second.goto(desk.page.url)
    expect(second.locator(".cl[data-status=paused]")).to_be_visible()

    second.locator("[data-command=resume]").click()

    for page in (desk.page, second):
        expect(page.locator(".cl[data-status=completed]")).to_be_visible()
        eventually(lambda page=page: shown(page, "read") > 0, why="nobody read")  # type: ignore[misc]
        eventually(lambda page=page: shown(page, "replied") > 0, why="nobody replied")  # type: ignore[misc]
        expect(figure(page, "delivered")).to_have_text(str(PEOPLE))
    assert desk.page.evaluate("window.never_reloaded")
    second.close()


def test_each_worker_tells_prometheus_what_its_processes_counted_together(desk: Desk, stack: Stack) -> None:
    host, _, first = stack.settings["MASTERIA_METRICS_LISTEN"].partition(":")
    told = {
        worker: {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(
                httpx.get(f"http://{host}:{int(first) + place}/metrics").text
            )
            for sample in family.samples
        }
        for place, worker in enumerate(("send", "events", "audiences", "jobs"))
    }

    accepted = stack.simulator("GET", "/_admin/accepts/summary")["accepted"]
    assert told["send"]["masteria_sends_total", "whatsapp_cloud", "accepted"] == accepted >= PEOPLE
    for worker, job in (("events", "intake"), ("audiences", "freeze"), ("jobs", "import")):
        assert told[worker]["masteria_jobs_total", job, "done"] > 0


def test_nothing_was_asked_of_elsewhere_and_no_error_was_said(desk: Desk) -> None:
    assert (desk.strangers, desk.errors) == ([], [])


def test_signing_out_closes_every_tab(desk: Desk) -> None:
    second = desk.context.new_page()
    second.goto(f"{desk.url}/console/contacts")
    expect(second.get_by_text("Conceição").first).to_be_visible()

    desk.page.get_by_role("button", name="Your account").click()
    desk.page.get_by_role("menuitem", name="Sign out").click()

    desk.page.wait_for_url("**/sign-in**")
    second.wait_for_url("**/sign-in**")
    second.goto(f"{desk.url}/console/contacts")
    assert "/sign-in" in second.url
