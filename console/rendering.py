"""Plain pages (sign-in, messages) and the page a tab loads, from the Jinja templates."""

import hashlib
from functools import cache
from pathlib import Path

import bokeh
import panel as pn
from jinja2 import Environment, FileSystemLoader, Template

from console.i18n import Words

HERE = Path(__file__).parent
STATIC_DIR = HERE / "static"
TEMPLATES_DIR = HERE / "templates"
STATIC_PATH = "/assets"


@cache
def static(name: str) -> str:
    """The address of a static file; it changes with the content, so browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC_DIR / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?v={digest}"


@cache
def environment() -> Environment:
    """Our plain pages; whatever is put into them is escaped."""
    made = Environment(loader=FileSystemLoader(TEMPLATES_DIR), autoescape=True)
    made.globals["static"] = static
    return made


@cache
def tab_template() -> Template:
    """The page a tab loads. Panel and Bokeh hand it markup as plain strings, so nothing is escaped here:
    only values of ours go in (language, mode, addresses), never anything a person typed.
    """
    panel, core = Path(pn.__file__).parent / "_templates", Path(bokeh.__file__).parent / "core" / "_templates"
    made = Environment(loader=FileSystemLoader([TEMPLATES_DIR, panel, core]), autoescape=False)  # noqa: S701
    made.globals["static"] = static
    return made.get_template("console.html")


def render(name: str, words: Words, *, dark: bool, **values: object) -> str:
    """One plain page in the reader's language and colours."""
    return environment().get_template(name).render(_=words, lang=words.tag, dark=dark, **values)
