"""What a race found, as a table and a picture for the docs."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import SENDING

TITLES = {
    "product": "Master IA",
    "floor": "The floor",
    "express": "Express, one INSERT per request",
    "apply": "Master IA: one status applied",
} | {peer.name: peer.title for peer in SENDING}
NOT_COUNTED = ("simulator", "PostgreSQL for peers")
NAMED = 'font-family="system-ui, sans-serif" aria-label="CPU for each piece of work"'
BAR, GAP, LEFT, WIDTH = 22, 12, 350, 920


def write_report(folder: Path, name: str, found: Mapping[str, Any]) -> None:
    """`<name>.json`, `<name>.md` and `<name>.svg` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = table(found["rounds"])
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / f"{name}.md").write_text(as_markdown(rows))
    (folder / f"{name}.svg").write_text(as_picture([row for row in rows if row["title"] != TITLES["apply"]]))


def table(rounds: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each contender: the medians of its rounds, cheapest first."""
    names = [run["name"] for run in rounds[0]]
    rows = []
    for name in names:
        runs = [run for done in rounds for run in done if run["name"] == name]
        rates = [rate for run in runs if (rate := run.get("messages_per_second") or run.get("per_second"))]
        parts: dict[str, float] = {}
        for part in {part for run in runs for part in run["cpu_us_by_part"] if part not in NOT_COUNTED}:
            parts[part] = statistics.median(run["cpu_us_by_part"].get(part, 0.0) for run in runs)
        rows.append(
            {
                "title": TITLES.get(name, name),
                "cpu_us": statistics.median(run["cpu_us"] for run in runs),
                "rate": statistics.median(rates) if rates else None,
                "parts": dict(sorted(parts.items(), key=lambda part: -part[1])),
            }
        )
    return sorted(rows, key=lambda row: row["cpu_us"])


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table."""
    lines = ["| contender | CPU µs | per second | where it goes (µs) |", "| --- | ---: | ---: | --- |"]
    for row in rows:
        parts = ", ".join(f"{part} {value:.0f}" for part, value in row["parts"].items() if value >= 0.5)
        rate = f"{row['rate']:,.0f}" if row["rate"] else ""
        lines.append(f"| {row['title']} | {row['cpu_us']:,.0f} | {rate} | {parts} |")
    return "\n".join(lines) + "\n"


def as_picture(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as bars, drawn to one scale."""
    most = max(row["cpu_us"] for row in rows)
    height = len(rows) * (BAR + GAP) + GAP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="14" role="img" {NAMED}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, row in enumerate(rows):
        top = GAP + number * (BAR + GAP)
        length = max((WIDTH - LEFT - 110) * row["cpu_us"] / most, 2)
        colour = "#0f766e" if row["title"] == "Master IA" else "#94a3b8"
        out += [
            f'<text x="{LEFT - 10}" y="{top + 16}" text-anchor="end" fill="#0f172a">{row["title"]}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3" fill="{colour}"/>',
            f'<text x="{LEFT + length + 8:.1f}" y="{top + 16}" fill="#0f172a">{row["cpu_us"]:,.0f} µs</text>',
        ]
    return "\n".join([*out, "</svg>"]) + "\n"
