"""Words a person reads: where they are marked, how they are translated, and how figures are written.

Message ids are English. The catalogues are the `.po` files beside this module, compiled in memory at the
first use. Gaps are named, `{name}`; a plural has its number in `{n}`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations

LOCALE_DIR = Path(__file__).parent / "locale"
DOMAIN = "console"
LANGUAGES = {"pt_BR": "Português (Brasil)", "en": "English"}
DEFAULT_LOCALE = "pt_BR"


def N_(message: str) -> str:  # noqa: N802 - the name gettext tools know
    """Mark a message for the catalogues without translating it yet."""
    return message


@cache
def catalogue(locale: str) -> Translations:
    """The compiled catalogue of a language."""
    with (LOCALE_DIR / locale / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        messages = read_po(file, locale=locale, domain=DOMAIN)
    compiled = BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


@dataclass(frozen=True, slots=True)
class Words:
    """Speaks one language in one time zone: `words("Hello {name}", name=…)`, `words.plural(…)`, figures."""

    locale: str = DEFAULT_LOCALE
    time_zone: str = "UTC"
    _told: Translations = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_told", catalogue(self.locale))

    def __call__(self, message: str, /, **gaps: object) -> str:
        """The message in the reader's language, its gaps filled."""
        told = self._told.gettext(message) if message else ""
        return told.format(**gaps) if gaps else told

    def plural(self, one: str, other: str, n: int, /, **gaps: object) -> str:
        """The singular or plural, as the language has it for `n`; `{n}` is written as people write figures."""
        return self._told.ngettext(one, other, n).format(n=self.number(n), **gaps)

    @property
    def tag(self) -> str:
        """The language as browsers and HTTP want it: `pt-BR`."""
        return self.locale.replace("_", "-")

    def instant(self, moment: datetime) -> str:
        """A date with its time of day, in the reader's time zone."""
        here = moment.astimezone(ZoneInfo(self.time_zone))
        return f"{format_date(here, locale=self.locale)}, {format_time(here, 'short', locale=self.locale)}"

    def number(self, value: float) -> str:
        """A figure with the thousands parted."""
        return format_decimal(value, locale=self.locale)


def choose_locale(user: str | None = None, cookie: str | None = None, accept_language: str = "") -> str:
    """The language to speak: the user's setting, else the cookie, else what the browser asks for."""
    for wish in (user, cookie, *_wishes(accept_language)):
        found = _known(wish)
        if found:
            return found
    return DEFAULT_LOCALE


def _known(wish: str | None) -> str | None:
    if not wish:
        return None
    language = wish.replace("-", "_").split("_")[0].lower()
    return next((locale for locale in LANGUAGES if locale.split("_")[0].lower() == language), None)


def _wishes(accept_language: str) -> Iterable[str]:
    """The languages of an Accept-Language header, best first."""
    weighed = []
    for part in accept_language.split(","):
        tag, _, parameters = part.strip().partition(";")
        quality = parameters.strip().removeprefix("q=")
        try:
            weighed.append((float(quality) if quality else 1.0, tag))
        except ValueError:
            continue
    return [tag for quality, tag in sorted(weighed, key=lambda one: -one[0]) if tag and quality > 0]
