"""People and imports over HTTP, as the console and other programs ask for them."""

import csv
import io
import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from engine.accounts.models import Role
from engine.contacts.imports.run import run_import
from engine.contacts.imports.service import MAX_BYTES
from engine.core.db import Work
from engine.core.ids import TenantId
from tests.api.conftest import Caller, World, base_url, world

__all__ = ["base_url", "world"]

PEOPLE = b"Nome;Celular;Etiquetas\nAna;(71) 98000-0102;vip\nBia;123;\n"
ANA = {"name": "Ana", "phone": "(71) 98000-0102", "tags": ["vip"], "fields": {"Cidade": "Salvador"}}


@pytest.fixture
def caller(world: World) -> Caller:
    """An owner."""
    return world.caller()


def send(caller: Caller, content: bytes = PEOPLE, **parts: object) -> httpx.Response:
    """The answer to an upload."""
    data = {name: json.dumps(value) for name, value in parts.items()}
    return caller.http.post("/v1/contacts/imports", files={"file": ("clientes.csv", content)}, data=data)


def finish(caller: Caller, answer: httpx.Response) -> httpx.Response:
    """The import after a worker has run it."""
    import_id = answer.json()["id"]
    run_import(Work(TenantId(caller.tenant_id)), UUID(import_id))
    return caller.http.get(f"/v1/contacts/imports/{import_id}")


def test_a_person_is_added_shown_changed_and_removed(caller: Caller) -> None:
    added = caller.http.post("/v1/contacts", json=ANA)
    path = f"/v1/contacts/{added.json()['id']}"
    shown = caller.http.get(path)
    changed = caller.http.patch(path, json={"name": "Ana Lima", "fields": {"cidade": None}})
    removed = caller.http.delete(path)

    assert added.status_code == 201
    assert added.json() == shown.json()
    assert shown.json() | {"id": 0, "created_at": 0} == {
        "id": 0, "name": "Ana", "phone": "+5571980000102", "tags": ["vip"], "fields": {"cidade": "Salvador"},
        "identities": [{"kind": "phone", "value": "+5571980000102"}], "consent": {"marketing": "none"},
        "created_at": 0, "last_inbound_at": None, "revision": 1,
    }  # fmt: skip
    assert (changed.json()["name"], changed.json()["fields"]) == ("Ana Lima", {})
    assert removed.status_code == 204
    assert caller.http.get(path).status_code == 404


def test_the_list_is_searched_and_counted(caller: Caller) -> None:
    caller.http.post("/v1/contacts", json=ANA)
    caller.http.post("/v1/contacts", json={"name": "Bia"})

    found = caller.http.get("/v1/contacts", params={"search": "98000-0102"}).json()
    tagged = caller.http.get("/v1/contacts", params={"tag": "vip"}).json()

    assert [item["name"] for item in found["items"]] == [item["name"] for item in tagged["items"]] == ["Ana"]
    assert (found["total"], found["total_is_capped"], found["next"]) == (1, False, None)
    assert caller.http.get("/v1/contacts").json()["total"] == 2
    assert caller.http.get("/v1/contacts/tags").json()["items"] == [
        {"tag": "vip", "contacts": 1, "is_capped": False}
    ]
    assert caller.http.get("/v1/contacts/fields").json()["items"][0]["field"] == "cidade"


def test_an_opt_out_survives_deletion_and_import(caller: Caller) -> None:
    path = f"/v1/contacts/{caller.http.post('/v1/contacts', json=ANA).json()['id']}"
    said = caller.http.put(
        f"{path}/consent", json={"purpose": "marketing", "state": "withdrawn", "source": "STOP"}
    )
    caller.http.delete(path)

    finish(caller, send(caller, consent={"purpose": "marketing", "source": "Ficha"}))

    assert said.json()["consent"] == {"marketing": "withdrawn"}
    assert caller.http.get("/v1/contacts").json()["items"][0]["consent"] == {"marketing": "withdrawn"}


def test_a_file_is_previewed_without_being_kept(caller: Caller) -> None:
    answer = caller.http.post("/v1/contacts/imports/preview", files={"file": ("x.csv", PEOPLE)})

    assert answer.json() == {
        "columns": [
            {"name": "Nome", "guess": "name", "samples": ["Ana", "Bia"]},
            {"name": "Celular", "guess": "phone", "samples": ["(71) 98000-0102", "123"]},
            {"name": "Etiquetas", "guess": "tags", "samples": ["vip"]},
        ],
        "encoding": "utf-8", "separator": ";", "has_header": True, "rows_sampled": 2, "problems": [],
    }  # fmt: skip
    assert caller.http.get("/v1/contacts/imports").json()["items"] == []


def test_a_preview_says_what_is_wrong(caller: Caller) -> None:
    answer = caller.http.post(
        "/v1/contacts/imports/preview",
        files={"file": ("x.csv", bytes(5000))},
        headers={"Accept-Language": "en"},
    )

    assert answer.json()["problems"][0]["code"] == "not_a_table"
    assert answer.json()["problems"][0]["text"].startswith("This is not a table")


def test_a_file_is_imported_and_its_rejects_come_back(caller: Caller) -> None:
    taken = send(caller, mapping={"Nome": "name", "Celular": "phone"}, tags=["feira"])

    done = finish(caller, taken).json()
    rejects = caller.http.get(
        f"/v1/contacts/imports/{done['id']}/rejects.csv", headers={"Accept-Language": "en"}
    )

    assert (taken.status_code, taken.json()["status"]) == (202, "queued")
    assert [done[name] for name in ("status", "total", "created", "updated", "rejected", "progress")] == [
        "completed", 2, 1, 0, 1, 1.0,
    ]  # fmt: skip
    rows = list(csv.reader(io.StringIO(rejects.text.removeprefix("\ufeff")), delimiter=";"))
    assert rows[0] == ["Nome", "Celular", "Etiquetas", "line", "reason"]
    assert rows[1][:4] == ["Bia", "123", "", "3"]
    assert "attachment" in rejects.headers["content-disposition"]
    assert caller.http.get("/v1/contacts").json()["items"][0]["tags"] == ["feira"]


@pytest.mark.parametrize(
    ("content", "parts", "field", "code"),
    [
        (b"", {}, "file", "empty_file"),
        (b"nome;cidade\nAna;Salvador\n", {}, "mapping", "no_phone_column"),
        (b"nome;fone\n", {}, "file", "no_rows"),
        (PEOPLE, {"mapping": {"Fax": "phone"}}, "mapping.Fax", "unknown_column"),
        (PEOPLE, {"mapping": {"Nome": "name"}}, "mapping", "no_phone_column"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), {}, "file", "old_excel"),
    ],
)
def test_a_file_that_does_not_do_is_refused_with_a_reason(
    caller: Caller, content: bytes, parts: dict[str, object], field: str, code: str
) -> None:
    answer = send(caller, content, **parts)

    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["fields"]] == [(field, code)]
    assert caller.http.get("/v1/contacts/imports").json()["items"] == []


@pytest.mark.parametrize(
    ("part", "value"), [("mapping", "not json"), ("tags", "{}"), ("consent", '{"source": ""}')]
)
def test_a_part_that_is_not_as_described_is_refused(caller: Caller, part: str, value: str) -> None:
    answer = caller.http.post("/v1/contacts/imports", files={"file": ("x.csv", PEOPLE)}, data={part: value})

    assert answer.status_code == 422
    assert answer.json()["fields"]


def zeros(total: int) -> Iterator[bytes]:
    """A form with a file of zeros, piece by piece."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="z.csv"\r\n\r\n'
    piece = bytes(1024 * 1024)
    for _ in range(total // len(piece)):
        yield piece
    yield b"\r\n--x--\r\n"


@pytest.mark.parametrize(("size", "status"), [(200 * 1024 * 1024, 422), (MAX_BYTES + 5 * 1024 * 1024, 413)])
def test_a_file_of_zeros_is_answered(caller: Caller, size: int, status: int) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    answer = caller.http.post("/v1/contacts/imports", content=zeros(size), headers=headers, timeout=60)

    assert answer.status_code == status
    assert answer.json()["code"] in {"invalid", "too_large"}


def test_the_same_upload_twice_under_one_key_is_one_import(caller: Caller) -> None:
    files = {"file": ("clientes.csv", PEOPLE)}
    answers = [
        caller.http.post("/v1/contacts/imports", files=files, headers={"Idempotency-Key": "k1"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert len(caller.http.get("/v1/contacts/imports").json()["items"]) == 1


def test_an_agent_writes_contacts_but_imports_none_and_an_analyst_neither(world: World) -> None:
    company = world.company()
    agent = world.caller(Role.AGENT, company)
    analyst = world.caller(Role.ANALYST, company)

    assert agent.http.post("/v1/contacts", json=ANA).status_code == 201
    assert send(agent).status_code == 403
    assert analyst.http.get("/v1/contacts").status_code == 200
    assert analyst.http.post("/v1/contacts", json=ANA).status_code == 403


def test_another_company_gets_not_found_for_all_of_it(world: World, caller: Caller) -> None:
    contact_id = caller.http.post("/v1/contacts", json=ANA).json()["id"]
    import_id = send(caller).json()["id"]
    stranger = world.caller()

    asked = [
        stranger.http.get(f"/v1/contacts/{contact_id}"),
        stranger.http.patch(f"/v1/contacts/{contact_id}", json={"name": "x"}),
        stranger.http.delete(f"/v1/contacts/{contact_id}"),
        stranger.http.put(f"/v1/contacts/{contact_id}/consent", json={"state": "granted", "source": "x"}),
        stranger.http.get(f"/v1/contacts/imports/{import_id}"),
        stranger.http.get(f"/v1/contacts/imports/{import_id}/rejects.csv"),
    ]

    assert [answer.status_code for answer in asked] == [404] * len(asked)
    assert caller.http.get(f"/v1/contacts/{contact_id}").json()["name"] == "Ana"


def test_a_taken_phone_names_its_contact(caller: Caller) -> None:
    first = caller.http.post("/v1/contacts", json=ANA).json()

    again = caller.http.post("/v1/contacts", json=ANA | {"name": "Outra"})

    assert (again.status_code, again.json()["code"], again.json()["contact_id"]) == (
        409,
        "phone_taken",
        first["id"],
    )


MOST = 2**53 - 1


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"fields": {"a": 10**400}}, "fields.a", "out_of_range"),
        ({"fields": {"a": MOST + 1}}, "fields.a", "out_of_range"),
        ({"fields": {"a": -MOST - 1}}, "fields.a", "out_of_range"),
        ({"fields": {"a": "x" * 1001}}, "fields.a", "too_long"),
        ({"fields": {"x" * 61: "a"}}, f"fields.{'x' * 61}", "too_long"),
        ({"fields": {"!?": "a"}}, "fields.!?", "bad_value"),
        ({"fields": {"a": "b\0c"}}, "fields.a", "not_text"),
        ({"fields": {"a": ["b"]}}, "fields.a", "bad_value"),
        ({"fields": {"a": {"b": 1}}}, "fields.a", "bad_value"),
        ({"tags": ["x" * 61]}, "tags.0", "too_long"),
        ({"tags": ["a\0b"]}, "tags.0", "not_text"),
        ({"name": "x" * 201}, "name", "too_long"),
        ({"name": "a\0b"}, "name", "not_text"),
        ({"name": "a\ud800b"}, "name", "not_text"),
        ({"consent": {"source": " "}}, "consent.source", "no_source"),
    ],
)
def test_nothing_is_dropped_from_a_person_unseen(
    caller: Caller, given: dict[str, object], field: str, code: str
) -> None:
    body = json.dumps({"name": "Ana"} | given)

    answer = caller.http.post("/v1/contacts", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["fields"]] == [(field, code)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400"])
def test_what_is_no_number_is_none(caller: Caller, value: str) -> None:
    body = f'{{"name": "Ana", "fields": {{"a": {value}}}}}'

    answer = caller.http.post("/v1/contacts", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["fields"][0]["code"]) == (422, "not_a_number")


def test_the_longest_of_all_comes_back_as_it_was(caller: Caller) -> None:
    given = {
        "name": "n" * 200,
        "tags": ["t" * 60],
        "fields": {"f" * 60: "v" * 1000, "most": MOST, "least": -MOST, "share": 0.5, "ok": True},
    }

    made = caller.http.post("/v1/contacts", json=given).json()

    assert {name: made[name] for name in given} == given


def test_a_person_keeps_a_name_or_a_phone(caller: Caller) -> None:
    path = f"/v1/contacts/{caller.http.post('/v1/contacts', json=ANA).json()['id']}"

    without_name = caller.http.patch(path, json={"name": ""})
    without_phone = caller.http.patch(path, json={"phone": None})
    both = caller.http.patch(path, json={"name": "", "phone": None})

    assert (without_name.status_code, without_name.json()["name"]) == (200, "")
    for answer, field in ((without_phone, "phone"), (both, "name")):
        assert answer.status_code == 422
        assert [(one["field"], one["code"]) for one in answer.json()["fields"]] == [(field, "nothing_given")]
    assert caller.http.get(path).json()["phone"] == "+5571980000102"


@pytest.mark.parametrize(
    ("parts", "field", "code"),
    [
        ({"mapping": "not json"}, "mapping", "not_json"),
        ({"tags": "["}, "tags", "not_json"),
        ({"consent": '{"source": " "}'}, "consent.source", "no_source"),
        ({"file": "Nome;Fone"}, "file", "not_a_file"),
    ],
)
def test_a_part_that_does_not_fit_is_named_in_our_words(
    caller: Caller, parts: dict[str, str], field: str, code: str
) -> None:
    file = {} if "file" in parts else {"file": ("x.csv", PEOPLE)}
    form = {name: (None, value) for name, value in parts.items()}

    answer = caller.http.post("/v1/contacts/imports", files=file | form)  # type: ignore[arg-type]

    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["fields"]] == [(field, code)]
    assert "UploadFile" not in answer.text


def test_an_import_is_cancelled_with_the_reason(world: World, caller: Caller) -> None:
    import_id = send(caller).json()["id"]
    path = f"/v1/contacts/imports/{import_id}/cancel"
    analyst = world.caller(Role.ANALYST, caller.tenant_id)

    forbidden = analyst.http.post(path)
    cancelled = caller.http.post(path, headers={"Accept-Language": "en"})
    again = caller.http.post(path)

    assert forbidden.status_code == 403
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "failed")
    assert cancelled.json()["error"] == {
        "code": "cancelled",
        "text": "Somebody cancelled this import. The rows taken until then are kept.",
    }
    assert (again.status_code, again.json()["code"]) == (409, "import_ended")


def test_the_people_of_an_import_are_listed_searched_and_paged_apart(caller: Caller) -> None:
    caller.http.post("/v1/contacts", json={"name": "Zoe", "phone": "+5571980000999"})
    file = "Nome;Celular;Etiquetas\n" + "".join(
        f"Ana {number};(71) 98000-01{number:02d};{'vip' if number % 2 else 'nova'}\n" for number in range(5)
    )
    import_id = finish(caller, send(caller, file.encode())).json()["id"]

    def names(**asked: object) -> tuple[list[str], int]:
        page = caller.http.get("/v1/contacts", params={"import_id": import_id, **asked}).json()
        return sorted(one["name"] for one in page["items"]), page["total"]

    first = caller.http.get("/v1/contacts", params={"import_id": import_id, "limit": 3}).json()
    rest = caller.http.get(
        "/v1/contacts", params={"import_id": import_id, "limit": 3, "after": first["next"]}
    ).json()

    assert names() == ([f"Ana {number}" for number in range(5)], 5)
    assert names(tag="vip") == (["Ana 1", "Ana 3"], 2)
    assert names(search="ana 2") == (["Ana 2"], 1)
    assert names(search="zoe") == ([], 0)
    assert names(search="98000-0104", tag="nova") == (["Ana 4"], 1)
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 5
    assert rest["next"] is None


def test_the_people_of_an_import_of_another_company_are_nobody(caller: Caller, world: World) -> None:
    import_id = finish(caller, send(caller)).json()["id"]
    other = world.caller()

    assert other.http.get("/v1/contacts", params={"import_id": import_id}).json()["items"] == []
