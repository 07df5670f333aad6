"""Bringing contacts from a file, from choosing it to writing to them, and an import on its way."""

import json

import pytest

from console.views.campaign_editor import CampaignEditor
from console.views.contacts import Contacts
from console.views.import_wizard import ImportWizard
from console.views.imports import ImportPage
from tests.console.console_fake_data import Store
from tests.console.console_setup import Ear, ask, asked_paths, confirming, enter, fact, make_tab, say


def test_a_file_becomes_columns_then_an_import_with_what_the_people_agreed_to() -> None:
    store = Store()
    view = ImportWizard(make_tab(store))
    mapping, file = Ear(view.mapping), Ear(view.file)
    enter(view)
    preview = {
        "columns": [{"name": "Fone", "guess": "phone", "samples": ["11 9"]}, {"name": "Obs", "guess": "skip"}],
        "rows_sampled": 3, "problems": [{"code": "few_rows", "text": "Só 3 linhas."}],
    }  # fmt: skip

    say(view.file, "uploaded", name="file", answer=preview)
    say(view.mapping, "next")
    say(view.people, "submit", values={"tags": ["feira"], "consent": True, "source": "estande"})

    assert mapping.last("columns")["columns"][0]["name"] == "Fone"
    assert view.notice.text == "Só 3 linhas."
    parts = file.sent[-1]["extra"]
    assert json.loads(parts["mapping"]) == {"Fone": "phone"}
    assert json.loads(parts["consent"]) == {"purpose": "marketing", "source": "estande"}


def test_without_a_column_for_the_phone_there_is_no_going_on() -> None:
    view = ImportWizard(make_tab())
    enter(view)
    columns = [{"name": "Obs", "guess": "skip"}]
    lacking = [{"code": "no_phone_column", "text": "Nenhuma coluna tem telefones."}]
    answer = {"columns": columns, "rows_sampled": 1, "problems": lacking}
    say(view.file, "uploaded", name="file", answer=answer)

    say(view.mapping, "next")

    assert view.stepper.current == "columns"
    assert "notice" in view.page.hidden  # the table of columns asks for the phone itself


@pytest.mark.parametrize("columns", [[], [{"name": "Nome", "guess": "name"}]], ids=["nothing", "heading"])
def test_a_file_with_nobody_in_it_is_refused_where_it_was_chosen(columns: list[dict[str, str]]) -> None:
    view = ImportWizard(make_tab())
    file = Ear(view.file)
    enter(view)

    problems = [{"code": "empty_file", "text": "O arquivo está vazio."}]
    answer = {"columns": columns, "rows_sampled": 0, "problems": problems}
    say(view.file, "uploaded", name="file", answer=answer)

    assert view.stepper.current == "file"
    assert file.last("errors")["errors"] == {"file": "O arquivo está vazio."}


def test_what_there_is_to_say_of_a_file_stands_over_its_columns_alone() -> None:
    view = ImportWizard(make_tab())
    enter(view)
    columns = [{"name": "Fone", "guess": "phone"}]
    say(view.file, "uploaded", name="file", answer={"columns": columns, "rows_sampled": 3, "problems": ["?"]})
    shown = ["notice" not in view.page.hidden]

    say(view.mapping, "next")
    shown.append("notice" not in view.page.hidden)
    say(view.people, "submit", values={})
    shown.append("notice" not in view.page.hidden)
    say(view.stepper, "step", key="file")
    shown.append("notice" not in view.page.hidden)

    assert shown == [True, False, False, False]


def test_who_came_with_an_import_can_be_written_to_at_once() -> None:
    store = Store()
    page = ImportPage(make_tab(store))
    done = store.imports[0]
    enter(page, import_id=done["id"])
    offered = {str(one["key"]): one.get("path") for one in page.notice.actions}

    editor = CampaignEditor(page.tab)
    page.tab.shell.route = str(offered["campaign"])
    enter(editor)

    assert offered["seen"] == f"/contacts?import={done['id']}"
    assert editor.draft.audience == {"import_id": done["id"]}


def test_who_came_with_an_import_is_listed_under_the_name_of_its_file() -> None:
    store = Store()
    tab = make_tab(store)
    view, done = Contacts(tab), store.imports[0]
    ear = Ear(view.table)
    tab.shell.route = f"/contacts?import={done['id']}"

    enter(view)
    ask(view.table, filters={"import": done["id"]})

    assert ear.last("reset")["filters"] == {"import": done["id"]}
    assert [option["label"] for option in view.table.filters[0]["options"]] == [done["filename"]]
    assert len(ear.last("page")["rows"]) == 3


def test_what_a_table_was_narrowed_to_waits_until_it_is_on_screen_and_no_longer() -> None:
    store = Store()
    view = Contacts(make_tab(store))
    ear = Ear(view.table)

    view.table.reset(filters={"tag": "vip"})  # nobody hears it: the table is not there yet
    ask(view.table)
    say(view.table, "ready")
    again = len(ear.of("reset"))
    ask(view.table, seq=2, filters={"tag": "vip"})
    say(view.table, "ready")

    assert (again, len(ear.of("reset"))) == (2, 2)


def test_a_running_import_moves_and_offers_its_rejected_rows_when_done() -> None:
    store = Store()
    view = ImportPage(make_tab(store))
    progress, shell = Ear(view.progress), Ear(view.tab.shell)
    running = store.imports[1]
    enter(view, import_id=running["id"])

    view.take([fact("import.changed", running | {"revision": 2, "status": "completed", "rejected": 12})])
    say(view.notice, "action", key="rejects")

    assert progress.last("progress")["share"] == 1.0
    assert view.notice.title == "12 rows were not taken"
    assert shell.sent[-1]["path"] == f"/files/imports/{running['id']}/rejects.csv"


@pytest.mark.parametrize("sure", [True, False])
def test_a_running_import_is_stopped_once_confirmed(sure: bool) -> None:
    store = Store()
    view = ImportPage(make_tab(store))
    running = store.imports[1]
    enter(view, import_id=running["id"])
    offered = view.page.actions

    with confirming(view.tab, answer=sure) as asked:
        say(view.page, "action", key="cancel")

    assert [action["label"] for action in offered] == ["Stop import"]
    assert asked == ["Stop this import?"]
    stopped = asked_paths(store) == [f"/v1/contacts/imports/{running['id']}/cancel"]
    assert (stopped, view.page.actions == []) == (sure, sure)
    assert view.notice.text == ("Cancelled." if sure else "")


def test_an_import_that_has_ended_has_nothing_to_stop() -> None:
    store = Store()
    view = ImportPage(make_tab(store))

    enter(view, import_id=store.imports[0]["id"])

    assert view.page.actions == []
