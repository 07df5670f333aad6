"""The component kit in a real browser, through its gallery."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console import gallery_samples as data

pytestmark = pytest.mark.browser


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
    expect(page.get_by_text("Each percentage is a share of the step above it.")).to_be_visible()


def test_the_map_names_the_busiest_hour(page: Page) -> None:
    page.goto("/console")

    cell = page.locator(".map [data-d='1'][data-h='15']")
    cell.hover()

    expect(page.locator(".map .tip")).to_contain_text(f"Tuesday, 3:00 PM to 4:00 PM: {data.CELLS[1][15]}")


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


def test_escape_answers_a_question_with_no(page: Page) -> None:
    play(page, "confirm")
    expect(page.get_by_role("alertdialog")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.locator(".toast")).to_have_text("Kept.")


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


def test_a_window_with_unsaved_work_is_not_closed_without_a_word(page: Page) -> None:
    page.goto("/console/form")
    page.get_by_role("button", name="Drawer").click()
    name = page.get_by_role("dialog").locator("[data-field=name] input")
    name.fill("Ana")

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keep editing").click()
    expect(name).to_have_value("Ana")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Leave").click()

    expect(page.locator("dialog")).to_have_count(0)


def test_a_template_half_written_is_kept_in_words(page: Page) -> None:
    page.goto("/console/template")
    page.locator("[data-field=body] textarea").fill("Oi")

    page.locator("aside [data-nav=overview]").click()

    expect(page.get_by_role("alertdialog")).to_contain_text("What you typed will be lost.")


def test_the_list_of_tags_goes_when_one_was_chosen(page: Page) -> None:
    page.goto("/console/form")
    page.get_by_role("button", name="Dialog").click()
    box = page.get_by_role("dialog").locator("[data-field=tags] input")
    box.fill("feira")
    expect(page.get_by_role("listbox")).to_be_visible()

    page.keyboard.press("Enter")

    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(page.get_by_role("dialog").locator("[data-field=tags] .tag").last).to_contain_text("feira")


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


def test_a_button_that_lacks_something_says_so_itself(page: Page) -> None:
    page.goto("/console/template")
    buttons = page.locator("[data-field=buttons] li")
    last = buttons.count() - 1 if buttons.count() else 0
    buttons.nth(last).locator("input").first.fill("")

    page.get_by_role("button", name="Submit for approval").click()

    expect(page.locator("[data-field=buttons] .err")).to_have_count(1)
    expect(buttons.nth(last).locator(".err")).to_have_text("Please fill in this field")


def test_examples_say_which_part_they_are_of(page: Page) -> None:
    page.goto("/console/template")

    expect(page.locator("[data-variable='body.1'] small")).to_have_text("Message")


def test_a_column_chosen_twice_is_pointed_out(page: Page) -> None:
    page.goto("/console/import")

    page.locator("[data-column='Obs. interna'] .sel").click()
    page.get_by_role("option", name="Phone").click()

    expect(page.get_by_text("Phone is chosen for more than one column")).to_be_visible()


def test_a_campaign_is_paused_and_resumed(page: Page) -> None:
    page.goto("/console/live")

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("h2")).to_contain_text("Paused")
    page.wait_for_timeout(900)  # a second press within 800 ms is the other half of a double click
    page.get_by_role("button", name="Resume").click()

    expect(page.locator("h2")).to_contain_text("Sending")


def test_a_campaign_says_why_nothing_leaves_and_leads_to_where_it_is_mended(page: Page) -> None:
    page.goto("/console/halted")

    said = page.locator("[data-reason=token_refused]")
    expect(said).to_contain_text("Meta refuses the access token.")
    expect(said.get_by_role("link", name="Open the connection")).to_have_attribute(
        "href", re.compile("/connections/.+")
    )
    expect(page.get_by_text("Working out the time left")).to_have_count(0)


def test_a_campaign_that_stopped_for_a_reason_of_its_own_leads_to_no_connection(page: Page) -> None:
    page.goto("/console/stopped")

    expect(page.locator("[data-reason=template_gone]")).to_contain_text("was deleted")
    expect(page.get_by_role("link", name="Open the connection")).to_have_count(0)


def test_a_campaign_cancelled_before_anything_left_did_nothing(page: Page) -> None:
    page.goto("/console/ended")

    expect(page.get_by_label("Progress").first).to_contain_text("0%")
    expect(page.get_by_label("Progress").first).to_contain_text("0 of 40")
    expect(page.locator(".fun .t i")).to_have_count(0)


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
