"""Keeps the catalogues: `python -m console.catalogues` brings both `.po` files up to date with the code.

Messages are marked with `_("…")`, `N_("…")`, `words("…")` or `….plural("one", "other", n)`. Old messages go,
new ones come empty (the English one repeats its id) and a test fails until they are translated.
"""

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from console.i18n import DOMAIN, LANGUAGES, LOCALE_DIR

KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "N_": None, "plural": (1, 2)}
PACKAGE = Path(__file__).parent
JINJA = {"extensions": "jinja2.ext.i18n", "silent": "false"}
HEADER = "# Words of the console. `python -m console.catalogues` keeps the list in step with the code."

type MessageId = str | tuple[str, str]


def sources() -> Iterator[tuple[str, Path]]:
    """Every file that may hold messages, with the way to read it."""
    skipped = {"node_modules", "locale", "__pycache__"}
    for path in sorted(PACKAGE.rglob("*")):
        if skipped & set(path.parts):
            continue
        if path.suffix == ".py":
            yield "python", path
        elif path.suffix in {".html", ".webmanifest"}:
            yield "jinja2.ext:babel_extract", path


def used_messages() -> dict[MessageId, list[str]]:
    """Every message of the console's code, with the files that use it."""
    found: dict[MessageId, list[str]] = {}
    for method, path in sources():
        options = JINJA if "jinja2" in method else {}
        for _line, message, _comments, _context in extract_from_file(
            method, path, keywords=KEYWORDS, options=options
        ):
            key = message if isinstance(message, str) else (message[0], message[1])
            place = path.relative_to(PACKAGE.parent).as_posix()
            places = found.setdefault(key, [])
            if place not in places:
                places.append(place)
    found.pop("", None)
    return found


def catalogue_path(locale: str) -> Path:
    """Where a language's catalogue lies."""
    return LOCALE_DIR / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


def read_catalogue(locale: str) -> Catalog:
    """A language's catalogue as it is now, empty where there is none yet."""
    path = catalogue_path(locale)
    if not path.exists():
        return Catalog(locale=locale, domain=DOMAIN)
    with path.open("rb") as file:
        return read_po(file, locale=locale, domain=DOMAIN)


def update(locale: str) -> list[MessageId]:
    """Brings one catalogue up to date; gives the messages that still lack words."""
    known = read_catalogue(locale)
    fresh = Catalog(
        locale=locale, domain=DOMAIN, project="Master IA", version="1", header_comment=HEADER, fuzzy=False,
        last_translator="Master IA", language_team=locale, msgid_bugs_address="",
        creation_date=known.creation_date, revision_date=known.creation_date,
    )  # fmt: skip
    missing: list[MessageId] = []
    for message, places in sorted(used_messages().items(), key=lambda one: str(one[0])):
        before = known.get(message[0] if isinstance(message, tuple) else message)
        words = before.string if before is not None and before.id == message else ""
        if not words or (isinstance(words, tuple) and not all(words)):
            words = message if locale == "en" else ""
            if not words:
                missing.append(message)
        fresh.add(message, words, locations=[(place, 0) for place in places])
    path = catalogue_path(locale)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, fresh, width=110, sort_output=True, omit_header=False, include_lineno=False)
    return missing


def main() -> None:
    """Brings every catalogue up to date and says what lacks words."""
    for locale in LANGUAGES:
        missing = update(locale)
        print(f"{locale}: {len(missing)} without words", *map(repr, missing), sep="\n  ")  # noqa: T201


if __name__ == "__main__":
    main()
