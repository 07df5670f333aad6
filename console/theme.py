"""The look of the console: one set of tokens, told to the browser as CSS variables and to Bokeh as a theme.

Components write `var(--c-card)` and never a colour of their own. A notebook that shows a component adds `css()`
to its page once and looks the same.
"""

from collections.abc import Mapping
from pathlib import Path

from bokeh.themes import Theme

FONT = "'Inter Variable', Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
MONO = "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, monospace"

LIGHT: Mapping[str, str] = {
    "bg": "#f7f8fa",
    "card": "#ffffff",
    "sunken": "#f2f4f7",
    "raised": "#ffffff",
    "border": "#e6e8ec",
    "border-strong": "#d3d8e0",
    "text": "#16191d",
    "soft": "#3f4754",
    "muted": "#636c7e",
    "faint": "#6a7384",
    "accent": "#0f766e",
    "accent-hover": "#0c615a",
    "accent-soft": "rgba(15, 118, 110, 0.09)",
    "on-accent": "#ffffff",
    "hover": "rgba(16, 24, 40, 0.045)",
    "ring": "rgba(15, 118, 110, 0.38)",
    "scrim": "rgba(15, 18, 25, 0.42)",
    "success": "#059669",
    "warning": "#d97706",
    "danger": "#dc2626",
    "danger-hover": "#b91c1c",
    "info": "#0284c7",
    "violet": "#6366f1",
    "neutral": "#64748b",
    "good": "#047857",
    "bad": "#c81e1e",
    "fill-from": "#0f766e",
    "fill-to": "#10b981",
    "shimmer": "#eceef2",
    "series-1": "#10b981",
    "series-2": "#6366f1",
    "series-3": "#0ea5e9",
    "series-4": "#f59e0b",
    "series-5": "#ef4444",
    "chat": "#efeae3",
    "chat-dots": "rgba(120, 100, 70, 0.09)",
    "bubble": "#ffffff",
    "bubble-text": "#111b21",
    "bubble-muted": "#667781",
    "bubble-link": "#0277b5",
    "shadow-small": "0 1px 2px rgba(16, 24, 40, 0.05)",
    "shadow": "0 4px 16px -2px rgba(16, 24, 40, 0.1), 0 2px 4px -1px rgba(16, 24, 40, 0.06)",
    "shadow-large": "0 24px 60px -12px rgba(16, 24, 40, 0.28), 0 0 0 1px rgba(16, 24, 40, 0.05)",
}

DARK: Mapping[str, str] = {
    "bg": "#0b0d10",
    "card": "#12151a",
    "sunken": "#0d1014",
    "raised": "#191d24",
    "border": "#22272e",
    "border-strong": "#363d47",
    "text": "#e6e8eb",
    "soft": "#c0c5cd",
    "muted": "#8e95a0",
    "faint": "#808791",
    "accent": "#10b981",
    "accent-hover": "#34d399",
    "accent-soft": "rgba(16, 185, 129, 0.14)",
    "on-accent": "#03130d",
    "hover": "rgba(255, 255, 255, 0.05)",
    "ring": "rgba(16, 185, 129, 0.45)",
    "scrim": "rgba(2, 4, 8, 0.62)",
    "success": "#10b981",
    "warning": "#f59e0b",
    "danger": "#ef4444",
    "danger-hover": "#f87171",
    "info": "#38bdf8",
    "violet": "#818cf8",
    "neutral": "#8391a5",
    "good": "#34d399",
    "bad": "#f87171",
    "fill-from": "#0d7d6c",
    "fill-to": "#10b981",
    "shimmer": "#1d222a",
    "series-1": "#10b981",
    "series-2": "#818cf8",
    "series-3": "#38bdf8",
    "series-4": "#fbbf24",
    "series-5": "#f87171",
    "chat": "#0c1317",
    "chat-dots": "rgba(255, 255, 255, 0.035)",
    "bubble": "#1f2c34",
    "bubble-text": "#e9edef",
    "bubble-muted": "#8696a0",
    "bubble-link": "#53bdeb",
    "shadow-small": "0 1px 2px rgba(0, 0, 0, 0.4)",
    "shadow": "0 6px 20px -4px rgba(0, 0, 0, 0.55), 0 0 0 1px rgba(255, 255, 255, 0.05)",
    "shadow-large": "0 28px 70px -12px rgba(0, 0, 0, 0.75), 0 0 0 1px rgba(255, 255, 255, 0.08)",
}

STYLE_SHEET = Path(__file__).parent / "static" / "theme.css"
# Ranges as Google Fonts and fontsource cut them: a page in Portuguese needs only the first file.
_LATIN = (
    "U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+0304,U+0308,U+0329,U+2000-206F,U+20AC,"
    "U+2122,U+2191,U+2193,U+2212,U+2215,U+FEFF,U+FFFD"
)
_LATIN_EXT = (
    "U+0100-02BA,U+02BD-02C5,U+02C7-02CC,U+02CE-02D7,U+02DD-02FF,U+0304,U+0308,U+0329,U+1D00-1DBF,U+1E00-1E9F,"
    "U+1EF2-1EFF,U+2020,U+20A0-20AB,U+20AD-20C0,U+2113,U+2C60-2C7F,U+A720-A7FF"
)
FONT_FILES = (("inter-latin-wght-normal.woff2", _LATIN), ("inter-latin-ext-wght-normal.woff2", _LATIN_EXT))


def tokens(dark: bool) -> Mapping[str, str]:
    """The tokens of one of the two modes."""
    return DARK if dark else LIGHT


def css(fonts: str = ".") -> str:
    """The style sheet of a page: font faces from the folder `fonts`, and the tokens of both modes as variables.

    It is kept as `static/theme.css`, so that browsers may cache it: `python -m console.theme` writes it anew.
    """
    faces = "".join(
        "@font-face{font-family:'Inter Variable';font-style:normal;font-weight:100 900;font-display:swap;"
        f"src:url({fonts}/{file}) format('woff2');unicode-range:{span}}}"
        for file, span in FONT_FILES
    )
    return (
        f"{faces}:root{{color-scheme:light;--c-font:{FONT};--c-mono:{MONO};{_variables(LIGHT)}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{_variables(DARK)}}}"
    )


def _variables(values: Mapping[str, str]) -> str:
    return "".join(f"--c-{name}:{value};" for name, value in values.items())


def series(dark: bool) -> list[str]:
    """Colours of chart series, in order: green, violet, blue, amber, red."""
    return [tokens(dark)[f"series-{n}"] for n in range(1, 6)]


def bokeh_theme(dark: bool) -> Theme:
    """Bokeh figures in the console's look; set it as `doc.theme`, also later, to switch modes."""
    c = tokens(dark)
    label = {"text_color": c["muted"], "text_font": FONT, "text_font_size": "11px"}
    return Theme(
        json={
            "attrs": {
                "Plot": {
                    "background_fill_color": c["card"],
                    "border_fill_color": c["card"],
                    "outline_line_color": None,
                    "min_border": 6,
                    "min_border_left": 36,
                },
                "Grid": {"grid_line_color": c["border"], "grid_line_width": 1},
                "Axis": {
                    "axis_line_color": None,
                    "major_tick_line_color": None,
                    "minor_tick_line_color": None,
                    "axis_label_text_color": c["muted"],
                    "axis_label_text_font": FONT,
                    **{f"major_label_{key}": value for key, value in label.items()},
                },
                "Legend": {
                    **{f"label_{key}": value for key, value in label.items()},
                    "background_fill_alpha": 0,
                    "border_line_color": None,
                    "orientation": "horizontal",
                    "glyph_height": 12,
                    "glyph_width": 14,
                    "spacing": 12,
                    "margin": 0,
                    "padding": 2,
                },
                "Title": {"text_color": c["text"], "text_font": FONT, "text_font_size": "13px"},
                "CrosshairTool": {"line_color": c["border-strong"]},
            }
        }
    )


if __name__ == "__main__":
    STYLE_SHEET.write_text(css() + "\n", encoding="utf-8")
