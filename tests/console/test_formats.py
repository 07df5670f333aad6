"""How the browser writes figures: phones in groups, short spans without full stops."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from console import components

FORMATS = Path(components.__file__).parent / "src" / "kit" / "format.js"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


def write(tmp_path: Path, expression: str, locale: str = "pt-BR") -> object:
    """What an expression over the formats `f` of a reader gives."""
    (tmp_path / "format.mjs").write_text(FORMATS.read_text(encoding="utf-8"), encoding="utf-8")
    script = (
        f'import {{formats}} from "./format.mjs"; const f = formats("{locale}", "America/Sao_Paulo", "BRL");'
        f"console.log(JSON.stringify({expression}))"
    )
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_phones_are_written_in_groups(tmp_path: Path) -> None:
    numbers = ["+5511961000001", "+551130001234", "+16502530000", "+351912345678", "+447911123456", "123", ""]

    assert write(tmp_path, f"{json.dumps(numbers)}.map(f.phone)") == [
        "+55 11 96100-0001", "+55 11 3000-1234", "+1 650 253 0000", "+351 912 345 678", "+44 791 112 3456", "123", "–",
    ]  # fmt: skip


def test_a_phone_within_a_sentence_is_written_in_groups_too(tmp_path: Path) -> None:
    sentence = '"+5511961000001 já pertence a outro contato, +16502530000."'

    assert write(tmp_path, f"f.phones({sentence})") == (
        "+55 11 96100-0001 já pertence a outro contato, +1 650 253 0000."
    )


@pytest.mark.parametrize(("locale", "told"), [("en", "8 min ago"), ("pt-BR", "há 8 min")])
def test_a_short_while_ago_has_no_full_stop(tmp_path: Path, locale: str, told: str) -> None:
    assert write(tmp_path, "f.ago(new Date(Date.now() - 480000).toISOString())", locale) == told
