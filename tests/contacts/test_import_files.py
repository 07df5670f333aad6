"""Files as people send them: recognised, guessed, or refused in plain words."""

import csv
import io
import zipfile
from datetime import date
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from engine.contacts.imports.columns import checked_mapping, guess_columns
from engine.contacts.imports.layout import recognise
from engine.contacts.imports.lines import CsvRecords
from engine.contacts.imports.problems import BadFile
from engine.contacts.imports.service import preview_file
from engine.core.errors import Invalid

TABLE = "Nome;Celular\nJoão Gonçalves;(71) 98000-0102\nInês;71980000103\n"


def workbook(*rows: list[object]) -> bytes:
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_in_any_encoding_separator_and_line_end(
    encoding: str, separator: str, end: str
) -> None:
    content = TABLE.replace(";", separator).replace("\n", end).encode(encoding)

    found = recognise(BytesIO(content))

    assert found.layout.columns == ("Nome", "Celular")
    assert found.rows == [["João Gonçalves", "(71) 98000-0102"], ["Inês", "71980000103"]]


def test_an_accent_in_the_last_row_of_a_long_file_decides_its_encoding() -> None:
    content = b"nome,fone\n" + b"Ana,71980000102\n" * 100_000 + "Inês,71980000103\n".encode("cp1252")

    assert recognise(BytesIO(content)).layout.encoding == "cp1252"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b" \r\n \n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (b"nome,fone\n", "no_rows"),
        (b"nome;fone\n\n;;\n", "no_rows"),
        (bytes(3_000_000), "not_a_table"),
        (b"%PDF-1.7 stuff", "not_a_table"),
        (bytes(range(256)) * 40, "not_a_table"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)), "not_a_table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "old_excel"),
        (b"PK\x03\x04 but no zip", "corrupt_spreadsheet"),
        (zipped(**{"content.xml": b"<x/>"}), "other_spreadsheet"),
        (zipped(**{"photo.txt": b"hello"}), "not_a_table"),
        (zipped(xl__workbook=b""), "not_a_table"),
        (workbook(["nome", "fone"])[:-200], "corrupt_spreadsheet"),
        (workbook(["nome", "fone"]), "no_rows"),
    ],
)
def test_what_is_no_table_of_people_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(BadFile) as raised:
        recognise(BytesIO(content))

    assert raised.value.code == code


def test_a_small_spreadsheet_that_unpacks_to_gigabytes_is_refused_unopened() -> None:
    bomb = zipped(**{"xl/workbook.xml": b"<workbook/>", "xl/worksheets/sheet1.xml": bytes(60_000_000)})

    with pytest.raises(BadFile) as raised:
        recognise(BytesIO(bomb))

    assert len(bomb) < 100_000
    assert raised.value.code == "too_much_inside"


def test_a_spreadsheet_is_read_as_it_looks() -> None:
    content = workbook(
        ["Nome", "WhatsApp", "Desde", "Nota", "Ativo"],
        ["Ana", 5571980000102, date(2024, 3, 1), 9.5, True],
        [None, None, None, None, None],
        ["Bia", "71 98000-0103", None, 7.0, None],
    )

    found = recognise(BytesIO(content))

    assert found.layout.kind == "xlsx"
    assert found.rows == [
        ["Ana", "5571980000102", "2024-03-01", "9.5", "1"],
        ["Bia", "71 98000-0103", "", "7"],
    ]


def test_the_first_megabyte_of_a_large_spreadsheet_asks_for_the_whole() -> None:
    preview = preview_file(BytesIO(workbook(["nome", "fone"], ["Ana", "x"])[:2000]), whole=False, region="BR")

    assert [problem.code for problem in preview.problems] == ["whole_file_needed"]


HUGE = b"0" * 2_000_000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (HUGE, "no_rows"),
        (b"nome,fone\nAna,71980000102\n" + HUGE, None),
        (b'nome,fone\n"Ana,71980000102\n' + b"x" * 200_000 + b"\nBia,71980000103\n", None),
        (b'nome,fone\n"Ana,71980000102\n' + (b"x" * 5_000 + b"\n") * 150, None),
        (b"sep= \r\nnome fone\r\nAna 71980000102\r\n", None),
        (b'sep="\nnome,fone\nAna,71980000102\n', None),
        (b"sep=\r\nnome,fone\r\nAna,71980000102\r\n", None),
    ],
)
def test_lines_of_any_length_and_quotes_left_open_break_nothing(content: bytes, code: str | None) -> None:
    preview = preview_file(BytesIO(content), whole=True, region="BR")

    assert [problem.code for problem in preview.problems] == ([code] if code else [])


@pytest.mark.parametrize(
    "content",
    [
        "nome~telefone\nAna~21981110015\nBia~21981110016\n",
        "Ana#21981110015\nBia#21981110016\n",
        "telefone^nome\n+55 21 98111-0015^Ana\n(21) 98111-0016^Bia Sá\n",
        "nome:telefone\nAna: 21981110015\n",
    ],
)
def test_a_separator_that_is_none_of_ours_is_asked_about(content: str) -> None:
    preview = preview_file(BytesIO(content.encode()), whole=True, region="BR")

    assert [problem.code for problem in preview.problems] == ["wrong_separator"]


@pytest.mark.parametrize(
    "content",
    [
        "telefone\n(21) 98111-0015\n+55 21 98111-0016\n",
        "fone\nTel: 21981110015\nTel: 21981110016\n",
        "contato\nAna 21981110015\nBia 21981110016\n",
        "sep=;\nnome~telefone\nAna~21981110015\nBia~21981110016\n",
        "telefone\n21981110015\n21981110016\nJosé~21981110017\n",
    ],
)
def test_one_column_of_phones_is_no_question(content: str) -> None:
    preview = preview_file(BytesIO(content.encode()), whole=True, region="BR")

    assert "wrong_separator" not in [problem.code for problem in preview.problems]


@pytest.mark.parametrize("has_heading", [True, False])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_more_columns_than_we_take_are_told_as_such(kind: str, has_heading: bool) -> None:
    heading: list[object] = ["Fone", *[f"Campo {number}" for number in range(200)]]
    row: list[object] = ["71980000102", *range(200)]
    rows = [heading, row] if has_heading else [row, row]
    content = workbook(*rows) if kind == "xlsx" else _lines_of(rows)

    with pytest.raises(BadFile) as raised:
        recognise(BytesIO(content))

    assert raised.value.code == "too_many_columns"


def test_empty_cells_beyond_the_last_column_are_none() -> None:
    content = b"Nome;Fone" + b";" * 300 + b"\nAna;71980000102" + b";" * 300 + b"\n"

    assert recognise(BytesIO(content)).layout.columns[:2] == ("Nome", "Fone")


def _lines_of(rows: list[list[object]]) -> bytes:
    return "".join(";".join(map(str, row)) + "\n" for row in rows).encode()


@pytest.mark.parametrize(
    ("heading", "row", "guesses"),
    [
        ("Nome;Celular", "Ana;71980000102", ["name", "phone"]),
        ("CLIENTE;TELEFONE;E-MAIL", "Ana;71980000102;a@b.co", ["name", "phone", "field.e_mail"]),
        ("Full name;Phone number;Tags", "Ana;71980000102;a,b", ["name", "phone", "tags"]),
        ("Contato;Telefone", "Ana;71980000102", ["name", "phone"]),
        ("Nome;Contato", "Ana;71980000102", ["name", "phone"]),
        ("Nome;Telefone;WhatsApp", "Ana;7133334444;71980000102", ["name", "field.telefone", "phone"]),
        ("Nome;CPF;Fone", "Ana;71980000102;71980000103", ["name", "field.cpf", "phone"]),
        ("Primeiro nome;Sobrenome;Cel.", "Ana;Lima;71980000102", ["name", "name", "phone"]),
        ("Pessoa;Zap Comercial", "Ana;71980000102", ["name", "phone"]),
        ("Nome;Coluna X", "Ana;71980000102", ["name", "phone"]),
        ("Nome;Cidade", "Ana;Salvador", ["name", "field.cidade"]),
        ("Nome;Número", "Ana;42", ["name", "field.numero"]),
        ("nome;fone;line;reason", "Ana;71980000102;2;x", ["name", "phone", "skip", "skip"]),
    ],
)
def test_columns_are_guessed_from_their_names_and_cells(heading: str, row: str, guesses: list[str]) -> None:
    found = recognise(BytesIO(f"{heading}\n{row}\n".encode()))

    columns = guess_columns(found.layout, found.rows, region="BR")

    assert [column.guess for column in columns] == guesses


def test_a_file_without_a_heading_gets_letters_for_columns() -> None:
    found = recognise(BytesIO(b"Ana Lima,71980000102\nBia,71980000103\n"))

    columns = guess_columns(found.layout, found.rows, region="BR")

    assert not found.layout.has_header
    assert [(column.name, column.guess) for column in columns] == [("A", "name"), ("B", "phone")]


def test_columns_of_one_name_are_told_apart() -> None:
    layout = recognise(BytesIO(b"Fone,Fone,,Fone\n1,2,3,4\n")).layout

    assert layout.columns == ("Fone", "Fone (2)", "C", "Fone (3)")


def test_a_mapping_is_taken_with_small_differences_and_refused_with_large_ones() -> None:
    layout = recognise(BytesIO(TABLE.encode())).layout

    assert checked_mapping({"celular ": "phone", "NOME": "field.Apelido"}, layout) == {
        "Celular": "phone",
        "Nome": "field.apelido",
    }
    with pytest.raises(Invalid) as raised:
        checked_mapping({"Fax": "phone", "Nome": "surname", "Celular": "field."}, layout)
    assert [problem.code for problem in raised.value.fields] == [
        "unknown_column",
        "unknown_target",
        "unknown_target",
    ]


def test_a_quote_left_open_costs_no_other_row() -> None:
    lines = ['"Ana,1\n', *[f"Bia {number},{number}\n" for number in range(300)]]

    records = list(CsvRecords(iter(lines), ","))

    assert records[0] == (1, ['"Ana', "1"])
    assert [line for line, _ in records] == list(range(1, 302))
    assert records[-1] == (301, ["Bia 299", "299"])


def test_a_quote_left_open_near_the_end_costs_no_other_row() -> None:
    records = list(CsvRecords(iter(["a,1\n", '"b,2\n', "c,3\n"]), ","))

    assert records == [(1, ["a", "1"]), (2, ['"b', "2"]), (3, ["c", "3"])]


def test_a_cell_may_have_several_lines() -> None:
    records = list(CsvRecords(iter(['a,"one\n', 'two"\n', "b,3\n"]), ","))

    assert records == [(1, ["a", "one\ntwo"]), (3, ["b", "3"])]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=8))
def test_what_a_writer_wrote_is_read_back(rows: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)

    records = CsvRecords(iter(io.StringIO(written.getvalue(), newline="")), ",")

    assert [cells for _, cells in records] == rows


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_file_whatever_breaks_the_preview(content: bytes) -> None:
    preview = preview_file(BytesIO(content), whole=True, region="BR")

    assert preview.columns or preview.problems
