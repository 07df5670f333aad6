"""The rest of the Graph API: templates, media, numbers, tokens."""

from typing import Any

import httpx
import pytest

from tests.simulator.harness import Account, Receiver, Running, eventually

JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 60
NAMED_BODY = {
    "type": "BODY",
    "text": "Oi {{nome}}, seu pedido {{numero}} saiu para entrega hoje.",
    "example": {
        "body_text_named_params": [
            {"param_name": "nome", "example": "Ana"},
            {"param_name": "numero", "example": "42"},
        ]
    },
}
NUMBERED_BODY = {
    "type": "BODY",
    "text": "Oi {{1}}, seu pedido {{2}} saiu para entrega hoje.",
    "example": {"body_text": [["Ana", "42"]]},
}


def code_of(answer: httpx.Response) -> int:
    return int(answer.json()["error"]["code"])


def approve(account: Account, template_id: str) -> None:
    account.simulator.admin("POST", f"/_admin/templates/{template_id}", status="APPROVED")


def test_a_template_is_reviewed_and_the_verdict_comes_by_webhook(
    account: Account, receiver: Receiver
) -> None:
    account.subscribe(receiver)

    made = account.template("pedido_enviado")

    assert (made["status"], made["category"]) == ("PENDING", "UTILITY")
    (value,) = eventually(lambda: receiver.values(account.hook, "message_template_status_update"))
    assert (value["event"], value["message_template_id"]) == ("APPROVED", int(made["id"]))
    assert (value["message_template_name"], value["reason"]) == ("pedido_enviado", "NONE")
    assert account.call("GET", made["id"]).json()["status"] == "APPROVED"


@pytest.mark.parametrize(
    ("name", "event", "reason"),
    [
        ("oferta_reject", "REJECTED", "INVALID_FORMAT"),
        ("oferta_reject_scam", "REJECTED", "SCAM"),
        ("oferta_reject_category", "REJECTED", "INCORRECT_CATEGORY"),
    ],
)
def test_a_name_decides_the_verdict(
    account: Account, receiver: Receiver, name: str, event: str, reason: str
) -> None:
    account.subscribe(receiver)

    account.template(name)

    (value,) = eventually(lambda: receiver.values(account.hook, "message_template_status_update"))
    assert (value["event"], value["reason"]) == (event, reason)


def test_a_template_may_be_approved_and_then_paused(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.template("oferta_pause_me")

    eventually(lambda: len(receiver.values(account.hook, "message_template_status_update")) == 2)
    values = receiver.values(account.hook, "message_template_status_update")

    template = {"name": "oferta_pause_me", "language": {"code": "pt_BR"}}
    assert [value["event"] for value in values] == ["APPROVED", "PAUSED"]
    assert code_of(account.send(type="template", template=template)) == 132015


def test_a_template_under_review_cannot_be_sent(account: Account) -> None:
    account.template("oferta_stay_pending")

    answer = account.send(
        type="template", template={"name": "oferta_stay_pending", "language": {"code": "pt_BR"}}
    )

    assert code_of(answer) == 132001


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ([], 132000),
        ([{"type": "text", "text": "Ana"}], 132000),
        ([{"type": "text", "text": "Ana"}, {"type": "text", "text": "4\n2"}], 132012),
        ([{"type": "text", "text": "Ana"}, {"type": "image", "image": {"id": "1"}}], 132012),
        ([{"type": "text", "text": "Ana"}, {"type": "text", "text": ""}], 131008),
        ([{"type": "text", "text": "Ana"}, {"type": "text", "text": "42"}], 200),
        ([{"type": "text", "text": "Ana", "parameter_name": "nome"}, {"type": "text", "text": "42"}], 132012),
    ],
)
def test_numbered_parameters_must_fit(account: Account, parameters: list[dict[str, Any]], code: int) -> None:
    approve(account, account.template("numerado", components=[NUMBERED_BODY])["id"])
    components = [{"type": "body", "parameters": parameters}]
    template = {"name": "numerado", "language": {"code": "pt_BR"}, "components": components}

    answer = account.send(type="template", template=template)

    assert (answer.status_code if answer.status_code == 200 else code_of(answer)) == code


@pytest.mark.parametrize(("names", "code"), [(("numero", "nome"), 200), (("nome", "outro"), 132000)])
def test_named_parameters_may_come_in_any_order(account: Account, names: tuple[str, str], code: int) -> None:
    approve(account, account.template("nomeado", components=[NAMED_BODY], parameter_format="NAMED")["id"])
    parameters = [{"type": "text", "text": "x", "parameter_name": name} for name in names]
    components = [{"type": "body", "parameters": parameters}]
    template = {"name": "nomeado", "language": {"code": "pt_BR"}, "components": components}

    answer = account.send(type="template", template=template)

    assert (answer.status_code if answer.status_code == 200 else code_of(answer)) == code


@pytest.mark.parametrize(
    ("change", "subcode"),
    [
        ({"name": "Com Maiúscula"}, 2388024),
        ({"components": [{"type": "BODY", "text": "{{1}} oi tudo bem", "example": {"body_text": [["a"]]}}]}, 2388299),
        ({"components": [{"type": "BODY", "text": "oi {{2}} tudo bem", "example": {"body_text": [["a"]]}}]}, 2388072),
        ({"components": [{"type": "BODY", "text": "oi {{1}} tudo bem"}]}, 2388043),
        ({"components": [{"type": "BODY", "text": "x" * 1025}]}, 2388040),
        ({"components": [{"type": "BODY", "text": "oi"}, {"type": "FOOTER", "text": "x" * 61}]}, 2388073),
        ({"components": [{"type": "BODY", "text": "oi"}, {"type": "HEADER", "format": "TEXT", "text": "x" * 61}]}, 2388047),
        ({"components": [{"type": "BODY", "text": "oi"}, {"type": "HEADER", "format": "IMAGE"}]}, 2388273),
        ({"components": [{"type": "BODY", "text": "oi"}, {"type": "BUTTONS", "buttons": []}]}, None),
        ({"components": []}, None),
        ({"category": "NONSENSE"}, None),
        ({"language": "portuguese"}, None),
    ],
)  # fmt: skip
def test_a_template_against_the_rules_is_refused(
    account: Account, change: dict[str, Any], subcode: int | None
) -> None:
    error = account.template(**({"name": "uma"} | change))["error"]

    assert error["code"] == 100
    assert error.get("error_subcode") == subcode


def test_a_second_template_of_the_same_name_and_language_is_refused(account: Account) -> None:
    account.template("pedido")

    assert account.template("pedido")["error"]["error_subcode"] == 2388024
    assert "id" in account.template("pedido", language="en_US")


def test_templates_are_listed_in_pages_and_filtered(account: Account) -> None:
    for n in range(5):
        account.template(f"modelo_{n}")
    path = f"{account.waba}/message_templates"
    seen, url = [], f"{path}?limit=2&fields=id,name,status"

    while url:
        page = account.call("GET", url).json()
        seen += [record["name"] for record in page["data"]]
        url = page["paging"].get("next", "")

    assert sorted(seen) == ["hello_world", *(f"modelo_{n}" for n in range(5))]
    assert [t["name"] for t in account.call("GET", f"{path}?name=modelo_3").json()["data"]] == ["modelo_3"]
    assert code_of(account.call("GET", f"{path}?fields=nonsense")) == 100


def test_a_template_is_edited_reviewed_again_and_deleted(account: Account) -> None:
    made = account.template("pedido")
    eventually(lambda: account.call("GET", made["id"]).json()["status"] == "APPROVED")

    edited = account.call("POST", made["id"], json={"components": [{"type": "BODY", "text": "Outro texto."}]})
    status = account.call("GET", made["id"]).json()["status"]
    deleted = account.call("DELETE", f"{account.waba}/message_templates?name=pedido")

    assert (edited.json(), status, deleted.json()) == ({"success": True}, "PENDING", {"success": True})
    assert code_of(account.call("GET", made["id"])) == 100


def upload(account: Account, content: bytes, mime_type: str = "image/jpeg") -> httpx.Response:
    files = {"file": ("foto.jpg", content, mime_type)}
    data = {"messaging_product": "whatsapp", "type": mime_type}
    return account.call("POST", f"{account.number}/media", data=data, files=files)


def test_media_is_uploaded_sent_downloaded_and_deleted(account: Account) -> None:
    account.choose("quick", window="ignored")
    media_id = upload(account, JPEG).json()["id"]

    record = account.call("GET", f"{media_id}?phone_number_id={account.number}").json()
    sent = account.send(type="image", image={"id": media_id})
    content = account.call("GET", record["url"])
    deleted = account.call("DELETE", media_id)

    assert (record["mime_type"], record["file_size"]) == ("image/jpeg", len(JPEG))
    assert sent.status_code == 200
    assert content.content == JPEG
    assert deleted.json() == {"success": True}
    assert code_of(account.call("GET", media_id)) == 100
    assert account.call("GET", record["url"]).status_code == 404


def test_a_media_address_cannot_be_prolonged(account: Account) -> None:
    media_id = upload(account, JPEG).json()["id"]
    url = httpx.URL(account.call("GET", media_id).json()["url"])

    longer = url.copy_set_param("ext", str(int(url.params["ext"]) + 1000))

    assert account.call("GET", str(longer)).status_code == 404


def test_media_of_another_business_is_not_seen(simulator: Running, account: Account) -> None:
    media_id = upload(account, JPEG).json()["id"]

    answer = simulator.account().call("GET", media_id)

    assert answer.json()["error"]["error_subcode"] == 33


@pytest.mark.parametrize(
    ("content", "mime_type", "code"),
    [(b"GIF89a", "image/gif", 100), (b"no jpeg", "image/jpeg", 131053), (b"", "image/jpeg", 100)],
)
def test_a_wrong_file_is_refused(account: Account, content: bytes, mime_type: str, code: int) -> None:
    assert code_of(upload(account, content, mime_type)) == code


def test_a_resumable_upload_goes_on_and_gives_a_handle_for_a_template(account: Account) -> None:
    query = f"file_name=a.jpg&file_length={len(JPEG)}&file_type=image/jpeg"
    session = account.call("POST", f"{account.made['app_id']}/uploads?{query}").json()["id"]

    account.call("POST", session, content=JPEG[:10], headers={"file_offset": "0"})
    offset = account.call("GET", session).json()["file_offset"]
    handle = account.call("POST", session, content=JPEG[10:], headers={"file_offset": "10"}).json()["h"]

    header = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [handle]}}
    made = account.template("com_foto", components=[header, {"type": "BODY", "text": "Veja a foto."}])
    approve(account, made["id"])
    template = {"name": "com_foto", "language": {"code": "pt_BR"}}
    assert offset == 10
    assert handle.startswith("4:")
    assert code_of(account.send(type="template", template=template)) == 132012


def test_a_number_and_its_account_describe_themselves(account: Account) -> None:
    fields = "id,display_phone_number,verified_name,quality_rating,throughput,status,health_status"

    number = account.call("GET", f"{account.number}?fields={fields}").json()
    listed = account.call("GET", f"{account.waba}/phone_numbers").json()["data"]
    waba = account.call("GET", f"{account.waba}?fields=id,name,currency,account_review_status").json()

    assert (number["id"], number["status"], number["quality_rating"]) == (
        account.number,
        "CONNECTED",
        "GREEN",
    )
    assert number["health_status"]["can_send_message"] == "AVAILABLE"
    assert [n["id"] for n in listed] == [account.number]
    assert (waba["currency"], waba["account_review_status"]) == ("BRL", "APPROVED")


def test_a_profile_is_kept(account: Account) -> None:
    path = f"{account.number}/whatsapp_business_profile"

    account.call(
        "POST", path, json={"messaging_product": "whatsapp", "about": "Loja", "websites": ["https://ex.test"]}
    )

    profile = account.call("GET", f"{path}?fields=about,websites").json()["data"][0]
    assert (profile["about"], profile["websites"]) == ("Loja", ["https://ex.test"])


def test_debug_token_tells_what_a_token_reaches(account: Account) -> None:
    app_token = f"{account.made['app_id']}|{account.made['app_secret']}"
    url = f"{account.simulator.url}/debug_token"

    known = httpx.get(url, params={"input_token": account.made["access_token"], "access_token": app_token})
    unknown = httpx.get(url, params={"input_token": "x", "access_token": app_token})

    data = known.json()["data"]
    assert (data["app_id"], data["is_valid"], data["expires_at"]) == (account.made["app_id"], True, 0)
    assert data["granular_scopes"][0]["target_ids"] == [account.waba]
    assert unknown.json()["data"]["is_valid"] is False


def test_a_signup_code_works_once(account: Account) -> None:
    code = account.simulator.admin("POST", "/_admin/signup_codes", phone_number_id=account.number)["code"]
    params = {
        "client_id": account.made["app_id"],
        "client_secret": account.made["app_secret"],
        "code": code,
    }
    url = f"{account.simulator.url}/v25.0/oauth/access_token"

    first, second = httpx.get(url, params=params), httpx.get(url, params=params)

    token = first.json()["access_token"]
    assert (
        account.call("GET", account.number, headers={"authorization": f"Bearer {token}"}).status_code == 200
    )
    assert code_of(second) == 100


@pytest.mark.parametrize("path", ["123", "v25.0/123/phone_numbers", "", "v25.0", "nonsense/edge/deeper"])
def test_what_does_not_exist_is_metas_100_33(account: Account, path: str) -> None:
    answer = account.call("GET", f"{account.simulator.url}/{path}")

    assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (400, 33)
