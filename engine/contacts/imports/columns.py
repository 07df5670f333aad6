"""What each column of a file is taken for: guessed from its name and its cells, or said by the person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.contacts.imports.layout import Layout
from engine.contacts.imports.phones import read_phone
from engine.contacts.imports.rejects import OUR_COLUMNS
from engine.contacts.wording import field_name
from engine.core.errors import FieldProblem, Invalid
from engine.core.i18n import N_

NAME: Final = "name"
PHONE: Final = "phone"
TAGS: Final = "tags"
SKIP: Final = "skip"
FIELD: Final = "field."

# Portuguese and English, folded as field_name() folds them; the earlier in the list, the better the guess.
PHONE_WORDS = (
    "whatsapp", "whats_app", "whats", "wpp", "zap", "wa_id", "celular", "cel", "cell", "cellphone", "mobile",
    "mobile_phone", "movel", "telemovel", "telefone_celular", "phone_number", "phone", "telefone", "fone", "tel",
    "telephone", "numero_de_telefone", "numero_whatsapp", "msisdn", "numero", "number", "contato", "contact",
)  # fmt: skip
NAME_WORDS = (
    "nome_completo", "nome", "full_name", "name", "nome_do_cliente", "nome_cliente", "cliente", "customer",
    "customer_name", "client", "contato", "contact", "contact_name", "nome_do_contato", "razao_social", "pessoa",
    "primeiro_nome", "first_name", "nome_fantasia", "lead", "aluno", "paciente",
)  # fmt: skip
SURNAME_WORDS = ("sobrenome", "last_name", "surname", "ultimo_nome")
TAG_WORDS = (
    "tags",
    "tag",
    "etiquetas",
    "etiqueta",
    "marcadores",
    "marcador",
    "labels",
    "label",
    "grupos",
    "grupo",
)
# Columns of long digits that are no phones.
NUMBER_WORDS = frozenset(
    {
        "cpf",
        "cnpj",
        "rg",
        "cep",
        "id",
        "codigo",
        "cod",
        "pedido",
        "matricula",
        "data",
        "valor",
        "nascimento",
        "ie",
    }
)
# Names that promise a phone only when the cells keep it.
VAGUE_WORDS = frozenset({"numero", "number", *NAME_WORDS})
ENOUGH = 0.5  # of the cells of a phone column are phones


@dataclass(frozen=True, slots=True)
class Column:
    """A column, what it is taken for, and a few of its cells."""

    name: str
    guess: str
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which cells make a person: the numbers of the columns for each purpose."""

    names: tuple[int, ...]
    phones: tuple[int, ...]
    tags: tuple[int, ...]
    fields: tuple[tuple[int, str], ...]
    width: int


def guess_columns(layout: Layout, rows: Sequence[Sequence[str]], *, region: str) -> list[Column]:
    """The columns of a file with what they seem to be."""
    cells = {
        name: [row[index] for row in rows if index < len(row) and row[index]]
        for index, name in enumerate(layout.columns)
    }
    phone = _phone_column(cells, region)
    names = _name_columns({name: seen for name, seen in cells.items() if name != phone}, layout.has_header)
    guesses: dict[str, str] = {}
    for name, seen in cells.items():
        guesses[name] = _guess(name, seen, phone=phone, names=names, taken=set(guesses.values()))
    return [Column(name, guesses[name], tuple(dict.fromkeys(seen))[:3]) for name, seen in cells.items()]


def _guess(
    name: str, seen: Sequence[str], *, phone: str | None, names: Sequence[str], taken: set[str]
) -> str:
    if name == phone:
        return PHONE
    if name in names:
        return NAME
    key = field_name(name)
    if key in TAG_WORDS:
        return TAGS
    if not seen or not key or key in OUR_COLUMNS or FIELD + key in taken:
        return SKIP
    return FIELD + key


def _phone_column(cells: Mapping[str, Sequence[str]], region: str) -> str | None:
    """The column whose name promises a phone and whose cells keep the promise; or only the one, or the other."""
    share = {name: _share_of_phones(seen[:50], region) for name, seen in cells.items()}
    named = sorted(
        (name for name in cells if _rank(name, PHONE_WORDS) is not None),
        key=lambda name: (share[name] < ENOUGH, _rank(name, PHONE_WORDS)),
    )
    for name in named:
        if share[name] >= ENOUGH or (field_name(name) not in VAGUE_WORDS and share[name] > 0):
            return name
    by_cells = [
        name
        for name in cells
        if share[name] >= ENOUGH and not NUMBER_WORDS & set(field_name(name).split("_"))
    ]
    if by_cells:
        return max(by_cells, key=lambda name: share[name])
    return next((name for name in named if field_name(name) not in VAGUE_WORDS), None)


def _share_of_phones(seen: Sequence[str], region: str) -> float:
    return sum(read_phone(cell, region) is not None for cell in seen) / len(seen) if seen else 0.0


def _name_columns(cells: Mapping[str, Sequence[str]], has_header: bool) -> list[str]:
    """The column of names, and the one of surnames beside it."""
    ranked = sorted(
        (rank, name) for name in cells if (rank := _rank(name, NAME_WORDS, whole=True)) is not None
    )
    if ranked:
        surnames = [name for name in cells if field_name(name) in SURNAME_WORDS]
        return [ranked[0][1], *surnames[:1]]
    if has_header:
        return []
    wordy = [name for name, seen in cells.items() if seen and all(_is_wordy(cell) for cell in seen[:20])]
    return wordy[:1]


def _is_wordy(cell: str) -> bool:
    return "@" not in cell and sum(sign.isalpha() or sign.isspace() for sign in cell) > len(cell) * 0.8


def _rank(name: str, words: Sequence[str], *, whole: bool = False) -> int | None:
    """How good a name is among the words: a place in the list, later when the word is only a part of the name."""
    key = field_name(name)
    if key in words:
        return words.index(key)
    if whole:
        return None
    parts = key.split("_")
    found = [place for place, word in enumerate(words) if word in parts]
    return len(words) + found[0] if found else None


def guessed_mapping(columns: Sequence[Column]) -> dict[str, str]:
    """The guesses as a mapping."""
    return {column.name: column.guess for column in columns if column.guess != SKIP}


def checked_mapping(mapping: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """A mapping of the person's, its columns and targets known; Invalid names what is not."""
    problems: list[FieldProblem] = []
    checked: dict[str, str] = {}
    known = {field_name(name): name for name in reversed(layout.columns)}
    for given, target in mapping.items():
        column = given if given in layout.columns else known.get(field_name(given) or given)
        if column is None:
            text = N_("There is no column “%(column)s” in this file.")
            problems.append(FieldProblem(f"mapping.{given}", "unknown_column", text, {"column": given[:100]}))
        elif (cleaned := _checked_target(target)) is None:
            text = N_("A column is taken for “name”, “phone”, “tags”, a “field.…” of your own, or “skip”.")
            problems.append(FieldProblem(f"mapping.{given}", "unknown_target", text, {}))
        elif cleaned != SKIP:
            checked[column] = cleaned
    if problems:
        raise Invalid(fields=problems)
    return checked


def _checked_target(target: str) -> str | None:
    if target in {NAME, PHONE, TAGS, SKIP}:
        return target
    key = field_name(target.removeprefix(FIELD)) if target.startswith(FIELD) else ""
    return FIELD + key if key else None


def plan_of(layout: Layout, mapping: Mapping[str, str]) -> Plan:
    """Where in a row to find what."""
    targets = [mapping.get(name, SKIP) for name in layout.columns]

    def places(wanted: str) -> tuple[int, ...]:
        return tuple(index for index, target in enumerate(targets) if target == wanted)

    fields = [
        (index, target.removeprefix(FIELD))
        for index, target in enumerate(targets)
        if target.startswith(FIELD)
    ]
    return Plan(places(NAME), places(PHONE), places(TAGS), tuple(fields), len(targets))
