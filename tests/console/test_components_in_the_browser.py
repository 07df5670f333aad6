"""The component kit in a real browser, through its gallery."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, Route, expect, sync_playwright

from tests.console import gallery_samples as data

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE_MS = 30_000  # a busy machine is slow, not wrong
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    """The address of a running gallery."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tests.console.gallery", str(port)])
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{address}/console", timeout=10)
            break
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield started
    started.close()


@pytest.fixture
def page(browser: Browser, gallery: str) -> Iterator[Page]:
    """A desk-sized page at the gallery; the test fails when the page complains or asks another host."""
    yield from opened(browser, gallery, width=1440, height=900)


@pytest.fixture
def phone(browser: Browser, gallery: str) -> Iterator[Page]:
    """The same at the size of a phone."""
    yield from opened(browser, gallery, width=390, height=844)


def opened(browser: Browser, gallery: str, *, width: int, height: int) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        base_url=gallery,
        service_workers="block",
        has_touch=width < 500,
    )
    page, complaints = context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda said: complaints.append(said.text) if is_complaint(said.type, said.text) else None
    )
    page.on("request", lambda asked: complaints.append(asked.url) if is_foreign(asked.url, gallery) else None)
    yield page
    context.close()
    assert complaints == []


def is_complaint(kind: str, text: str) -> bool:
    return (kind == "error" and "the server responded with a status of" not in text) or "No label for" in text


def is_foreign(url: str, gallery: str) -> bool:
    return not url.startswith((gallery, "blob:", "data:"))


def test_every_page_of_the_gallery_is_drawn_without_complaint(page: Page) -> None:
    page.goto("/console")

    for route in ("campaigns", "live", "audience", "template", "import", "form", "states", "overview"):
        page.locator(f"aside [data-nav={route}]").click()
        expect(page.locator(f"[data-view={route}] .sheet")).to_be_visible()
    page.wait_for_timeout(500)


def test_a_deep_link_and_the_back_button_lead_to_their_pages(page: Page) -> None:
    page.goto("/console/campaigns")
    page.locator("[data-row=c3] td").nth(1).click()
    expect(page.locator("[data-view=live]")).to_be_visible()

    page.go_back()

    expect(page.locator("[data-view=campaigns]")).to_be_visible()
    assert page.url.endswith("/console/campaigns")


def test_figures_count_in_the_reader_s_way(page: Page) -> None:
    page.goto("/console?lang=pt-BR")

    expect(page.locator("[data-kpi=sent] .v")).to_have_text("128.402")
    expect(page.locator("[data-kpi=delivered_rate] .v")).to_have_text(re.compile(r"97,2\s?%"))
    expect(page.locator("[data-kpi=reply] .v")).to_have_text(re.compile("3\\s?min"))


def test_the_funnel_shows_each_step_s_share_of_the_one_before(page: Page) -> None:
    page.goto("/console")

    expect(page.locator("[data-step=read] small")).to_have_text("68%")


def test_the_map_names_the_busiest_hour(page: Page) -> None:
    page.goto("/console")

    cell = page.locator(".map [data-d='1'][data-h='15']")
    cell.hover()

    expect(page.locator(".map .tip")).to_contain_text(f"Tuesday, 3:00 PM to 4:00 PM: {data.CELLS[1][15]}")


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


def test_the_palette_goes_places_by_keyboard(page: Page) -> None:
    page.goto("/console")
    expect(page.locator("[data-view=overview]")).to_be_visible()

    page.keyboard.press("Control+k")
    page.keyboard.type("form")
    page.keyboard.press("Enter")

    expect(page.locator("[data-view=form]")).to_be_visible()


def test_the_palette_finds_what_the_server_knows(page: Page) -> None:
    page.goto("/console")
    expect(page.locator("[data-view=overview]")).to_be_visible()

    page.keyboard.press("Control+k")
    page.keyboard.type("ana sou")

    expect(page.get_by_role("option", name="Ana Souza")).to_be_visible()


def test_a_question_is_asked_and_answered(page: Page) -> None:
    play(page, "confirm")
    expect(page.get_by_role("alertdialog")).to_contain_text("This cannot be undone.")

    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()

    expect(page.locator(".toast")).to_have_text("Deleted.")


def test_the_pill_says_when_live_updates_rest(page: Page) -> None:
    play(page, "paused")

    expect(page.locator(".pill")).to_have_text("Live updates paused")


def play(page: Page, action: str) -> None:
    page.goto("/console")
    expect(page.locator("[data-view=overview]")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type(action)
    page.keyboard.press("Enter")


def test_dark_mode_is_kept(page: Page) -> None:
    page.goto("/console")

    page.get_by_label("Switch to dark mode").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_form_shows_the_server_s_errors_at_their_fields(page: Page) -> None:
    page.goto("/console/form")
    page.locator("[data-field=access_token] input").fill("wrong")

    page.get_by_role("button", name="Save").click()

    expect(page.locator("[data-field=access_token] .err")).to_have_text("Meta does not know this token.")
    expect(page.locator("[data-field=access_token] input")).to_be_focused()


def test_a_form_asks_for_what_is_required(page: Page) -> None:
    page.goto("/console/form")

    page.get_by_role("button", name="Save").click()

    expect(page.locator("[data-field=access_token] .err")).to_have_text("Please fill in this field")


def test_unsaved_work_is_not_left_without_a_word(page: Page) -> None:
    page.goto("/console/form")
    page.locator("[data-field=name] input").fill("Other")

    page.locator("aside [data-nav=overview]").click()
    page.get_by_role("button", name="Keep editing").click()

    expect(page.locator("[data-view=form]")).to_be_visible()
    assert page.url.endswith("/console/form")


def test_a_file_is_sent_over_http_and_its_answer_shown(page: Page) -> None:
    def take(route: Route) -> None:
        route.fulfill(status=413, json={"detail": "The file is too big."})

    page.route("**/upload", take)
    page.goto("/console/form")

    page.locator("[data-field=file] input").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": b"name\nAna"}
    )

    expect(page.locator("[data-field=file]")).to_contain_text("The file is too big.")


SIZES = """window.sizes = []
const send = XMLHttpRequest.prototype.send
XMLHttpRequest.prototype.send = function (form) { window.sizes.push(form.get("file").size); return send.call(this, form) }"""


@pytest.mark.parametrize(("name", "sent"), [("people.xlsx", 2_000_000), ("people.csv", 1_000_000)])
def test_only_what_can_be_cut_is_shown_from_its_beginning(page: Page, name: str, sent: int) -> None:
    page.add_init_script(SIZES)
    page.route("**/upload", lambda route: route.fulfill(json={"columns": []}))
    page.goto("/console/form")

    page.locator("[data-field=file] input").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": b"x" * 2_000_000}
    )

    expect(page.locator("[data-field=file]")).to_contain_text("Choose another file")
    assert page.evaluate("window.sizes") == [sent]


def test_lists_to_choose_from_bear_the_name_of_their_field(page: Page) -> None:
    page.goto("/console/form")

    page.locator("[data-field=zone] .sel").click()
    expect(page.get_by_role("listbox", name="Time zone")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("[data-field=tags] input").click()

    expect(page.get_by_role("listbox", name="Tags")).to_be_visible()


def test_a_select_is_chosen_by_keyboard(page: Page) -> None:
    page.goto("/console/form")
    box = page.locator("[data-field=zone] .sel")

    box.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("manaus")
    page.keyboard.press("Enter")

    expect(box).to_have_text("America/Manaus")


def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page) -> None:
    page.goto("/console/form")
    page.get_by_role("button", name="Dialog").click()
    expect(page.locator("dialog [data-field=name] input")).to_be_focused()

    page.keyboard.press("Escape")

    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Dialog")).to_be_focused()


def test_a_dialog_at_the_side_is_as_high_as_the_window(page: Page) -> None:
    page.goto("/console/form")

    page.get_by_role("button", name="Drawer").click()
    expect(page.locator("dialog")).to_contain_text("Ana Souza")
    page.wait_for_timeout(400)  # it slides in

    box = page.locator("dialog").bounding_box()
    assert box is not None
    assert (box["x"] + box["width"], box["height"]) == (1440, 900)


def test_the_audience_says_who_is_left_out(page: Page) -> None:
    page.goto("/console/audience")
    expect(page.locator("[data-reason=no_consent] b")).to_have_text("−121")

    page.get_by_text("People with tags").click()
    page.get_by_role("combobox", name="People with tags").fill("vip")
    page.keyboard.press("Enter")

    expect(page.locator(".wf .sum .n")).to_have_text("1,194")


def test_a_picture_at_another_host_is_drawn_as_a_sign(page: Page) -> None:
    page.goto("/console/audience")

    expect(page.locator(".bub .md")).to_have_text("Image")
    expect(page.locator(".bub img")).to_have_count(0)


def test_a_variable_may_be_a_fixed_text(page: Page) -> None:
    page.goto("/console/audience")

    page.locator("[data-variable='body.2'] .sel").click()
    page.get_by_role("option", name="Fixed text").click()

    expect(page.locator("[data-variable='body.2'] input")).to_be_focused()


def test_the_template_is_previewed_while_it_is_written(page: Page) -> None:
    page.goto("/console/template")

    page.locator("[data-field=body] textarea").fill("Oi _{{1}}_, até {{2}}")

    expect(page.locator(".bub .tx")).to_have_text("Oi Ana, até #48213")
    expect(page.locator(".bub .tx i")).to_have_text("Ana")


def test_a_column_chosen_twice_is_pointed_out(page: Page) -> None:
    page.goto("/console/import")

    page.locator("[data-column='Obs. interna'] .sel").click()
    page.get_by_role("option", name="Phone").click()

    expect(page.get_by_text("Phone is chosen for more than one column")).to_be_visible()


def test_a_campaign_is_paused_and_resumed(page: Page) -> None:
    page.goto("/console/live")

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("h2")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()

    expect(page.locator("h2")).to_contain_text("Sending")


def test_a_draft_with_a_time_is_scheduled_not_sent(page: Page) -> None:
    page.goto("/console/planned")

    page.get_by_role("button", name="Schedule").click()

    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("Schedule this campaign?")
    expect(question).to_contain_text("It starts by itself")
    expect(question).not_to_contain_text("at once")


def test_what_cannot_be_undone_is_asked_first(page: Page) -> None:
    page.goto("/console/live")

    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Cancel campaign").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("Nothing more will be sent.")
    page.get_by_role("alertdialog").get_by_role("button", name="Cancel campaign").click()

    expect(page.locator("h2")).to_contain_text("Cancelled")


def test_states_say_what_went_wrong_and_what_to_do(page: Page) -> None:
    page.goto("/console/states")

    expect(page.get_by_role("alert").get_by_text("The funnel could not be loaded")).to_be_visible()
    expect(page.get_by_role("button", name="New campaign")).to_be_visible()


def test_a_secret_is_shown_on_demand(page: Page) -> None:
    page.goto("/console/states")
    expect(page.locator("[data-row=token]")).not_to_contain_text("8f2ac61b90d4")

    page.locator("[data-row=token]").get_by_label("Show").click()

    expect(page.locator("[data-row=token] code")).to_have_text("8f2ac61b90d4")


def test_a_phone_has_a_bar_below_and_the_rest_under_more(phone: Page) -> None:
    phone.goto("/console")
    expect(phone.locator(".tb .it")).to_have_count(5)

    phone.get_by_role("button", name="More").click()
    phone.get_by_role("dialog").get_by_text("Forms").click()

    expect(phone.locator("[data-view=form]")).to_be_visible()


@pytest.mark.parametrize(
    "route", ["", "/campaigns", "/live", "/audience", "/template", "/import", "/form", "/states"]
)
def test_nothing_is_wider_than_a_phone(phone: Page, route: str) -> None:
    phone.goto(f"/console{route}")
    expect(phone.locator(".vw:not([hidden]) .sheet")).to_be_visible()
    phone.wait_for_timeout(400)

    too_wide = phone.locator(".vw:not([hidden])").evaluate("view => view.scrollWidth - view.clientWidth")

    assert too_wide <= 0
