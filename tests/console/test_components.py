"""The component kit without a browser: what Python promises to the browser and to the views."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from console import components, theme
from console.components import (
    CampaignLive,
    Component,
    KpiCards,
    LiveTable,
    Message,
    Page,
    Query,
    Reader,
    Shell,
    Slot,
)
from console.components.base import find_bundle

KIT = Path(components.__file__).parent
SOURCES = KIT / "src"
FRONTEND = KIT.parent / "frontend"
KINDS = [getattr(components, name) for name in components.__all__]
CLASSES = [
    kind for kind in KINDS if isinstance(kind, type) and issubclass(kind, Component) and kind is not Component
]


def heard(component: Component, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Everything the component sends to the browser from now on."""
    sent: list[Message] = []
    monkeypatch.setattr(component, "_send_msg", sent.append)
    return sent


def test_each_class_has_a_source_of_the_same_name() -> None:
    sources = {path.stem for path in SOURCES.glob("[A-Z]*.jsx")}

    assert {kind.__name__ for kind in CLASSES} == sources


def test_every_component_is_on_some_screen() -> None:
    screens = [*(KIT.parent / "views").glob("*.py"), KIT.parent / "app.py"]
    used = {word for path in screens for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}

    assert {kind.__name__ for kind in CLASSES} - used == set()


def test_the_reader_s_words_fill_every_label() -> None:
    kpis = KpiCards(Reader(translate=str.upper, locale="pt-BR", time_zone="America/Sao_Paulo"))

    assert kpis.labels["retry"] == "TRY AGAIN"
    assert set(kpis.labels) == set(KpiCards.LABELS)
    assert (kpis.locale, kpis.time_zone) == ("pt-BR", "America/Sao_Paulo")


def test_a_single_label_may_be_said_otherwise() -> None:
    table = LiveTable(labels={"search": "Search campaigns…"})

    assert table.labels["search"] == "Search campaigns…"
    assert table.labels["next"] == "Next page"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_words_spoken_by_name_have_a_label(kind: type[Component]) -> None:
    source = (SOURCES / f"{kind.__name__}.jsx").read_text(encoding="utf-8")

    spoken = set(re.findall(r"""\bt\("([\w.]+)"[,)]""", source))

    known = set(kind.LABELS) | {key.removesuffix(".one").removesuffix(".other") for key in kind.LABELS}
    assert spoken <= known


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_plurals_come_in_pairs(kind: type[Component]) -> None:
    ones = {key.removesuffix(".one") for key in kind.LABELS if key.endswith(".one")}
    others = {key.removesuffix(".other") for key in kind.LABELS if key.endswith(".other")}

    assert ones == others


def test_what_was_drawn_is_sent_again_when_the_browser_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    kpis = KpiCards()
    kpis.draw([{"key": "sent", "label": "Sent", "value": 1, "unit": "count"}])
    kpis.patch("sent", value=2)
    sent = heard(kpis, monkeypatch)

    kpis._handle_msg({"type": "ready"})

    assert sent == [
        {"type": "items", "items": [{"key": "sent", "label": "Sent", "value": 2, "unit": "count"}]}
    ]


def test_data_take_the_place_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kpis = KpiCards()
    kpis.fail("The server is away.")
    kpis.draw([])
    sent = heard(kpis, monkeypatch)

    kpis._handle_msg({"type": "ready"})

    assert [message["type"] for message in sent] == ["items"]


def test_listeners_hear_their_event_only() -> None:
    table, told = LiveTable(), list[Message]()
    table.on("open", told.append)

    table._handle_msg({"type": "open", "id": "7"})
    table._handle_msg({"type": "selection", "ids": []})

    assert told == [{"type": "open", "id": "7"}]


def test_a_query_is_typed() -> None:
    query = LiveTable.query_of(
        {"type": "query", "seq": 3, "search": "ana", "filters": {"status": "draft"}, "after": None, "limit": 25,
         "sort": {"key": "name", "descending": True}}
    )  # fmt: skip

    assert query == Query(3, "ana", {"status": "draft"}, "name", True, None, 25)


def test_an_older_fact_does_not_move_a_campaign_back(monkeypatch: pytest.MonkeyPatch) -> None:
    live = CampaignLive()
    live.draw({"id": "c", "status": "paused", "revision": 5})
    live.patch({"status": "running", "revision": 4})
    sent = heard(live, monkeypatch)

    live._handle_msg({"type": "ready"})

    assert sent[0]["campaign"] == {"id": "c", "status": "paused", "revision": 5}


@pytest.mark.parametrize("ok", [True, False])
def test_a_question_waits_for_its_answer(monkeypatch: pytest.MonkeyPatch, ok: bool) -> None:
    shell = Shell()
    sent = heard(shell, monkeypatch)

    async def asked() -> bool:
        question = asyncio.create_task(shell.confirm("Delete?"))
        await asyncio.sleep(0)
        shell._handle_msg({"type": "confirmed", "id": sent[-1]["id"], "ok": ok})
        return await question

    assert asyncio.run(asked()) is ok


def test_a_page_places_its_slots() -> None:
    kpis, table = KpiCards(), LiveTable()

    page = Page.of(
        None, Slot(kpis), Slot(table, key="list", span=6, title="All", card=True), title="Campaigns"
    )

    assert page.items == [kpis, table]
    assert [(place["key"], place["span"]) for place in page.layout] == [("", 12), ("list", 6)]
    assert set(page.layout[0]) == {field.name for field in fields(Slot)} - {"content"}


def test_the_style_sheet_says_what_the_tokens_say() -> None:
    assert theme.STYLE_SHEET.read_text(encoding="utf-8").strip() == theme.css(), "python -m console.theme"


def test_both_modes_have_the_same_tokens() -> None:
    assert theme.LIGHT.keys() == theme.DARK.keys()


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [("text", "bg"), ("text", "card"), ("soft", "card"), ("muted", "bg"), ("muted", "card"), ("muted", "sunken"), ("faint", "card"),
     ("faint", "raised"),
     ("accent", "card"), ("on-accent", "accent"), ("good", "card"), ("bad", "card"), ("bubble-text", "bubble"),
     ("bubble-link", "bubble")],
)  # fmt: skip
def test_text_stands_out_from_its_ground(tokens: dict[str, str], text: str, ground: str) -> None:
    light, dark = sorted((luminance(tokens[text]), luminance(tokens[ground])), reverse=True)

    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_an_unbuilt_kit_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="make widgets"):
        find_bundle(tmp_path)


def test_the_bundle_asks_no_other_host() -> None:
    code = find_bundle().read_text(encoding="utf-8")

    hosts = set(re.findall(r"""https?://([\w.-]+)""", code))

    # Namespaces of SVG and MathML, React's links to explanations, and placeholders.
    assert hosts <= {"www.w3.org", "reactjs.org"}


def test_the_kit_stays_clear_of_panel_s_material_components() -> None:
    ask = "import sys, console.components; sys.exit('panel_material_ui' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0


@pytest.mark.skipif(
    shutil.which("node") is None or not (FRONTEND / "node_modules").is_dir(), reason="needs Node and npm ci"
)
def test_the_committed_bundle_is_what_the_sources_give() -> None:
    built = subprocess.run(
        ["node", "build.mjs", "--check"],
        cwd=FRONTEND,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stderr


def test_static_files_of_the_service_worker_exist() -> None:
    script = (KIT.parent / "static" / "sw.js").read_text(encoding="utf-8")

    assert '"/offline"' in script
    assert (KIT.parent / "templates" / "offline.html").is_file()
