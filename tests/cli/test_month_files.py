"""What an operator may hold out by mistake, and what may become of a manifest, is told in a sentence."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.cli.month_files import MANIFEST, MonthRefused, read_manifest
from engine.core.bootstrap import DatabaseUrls


@pytest.mark.parametrize("written", ["0000-01", "1969-12", "9999-12", "2026-13", "2026-9", "٢٠٢٦-09"])
def test_what_is_no_month_is_told_in_a_sentence(written: str, tmp_path: Path) -> None:
    for command, option in (("export-month", "--into"), ("drop-month", "--from")):
        answer = CliRunner().invoke(app, [command, written, option, str(tmp_path)])
        assert (answer.exit_code, "is no month" in answer.output) == (2, True)


def test_a_month_that_is_gone_makes_no_empty_export(database: DatabaseUrls, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["export-month", "2001-01", "--into", str(tmp_path)])

    assert "There are no messages of 2001-01" in str(answer.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"[]", b"null", b'"messages"', None])
def test_a_manifest_that_is_none_is_told_in_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)

    with pytest.raises(MonthRefused, match=re.escape(str(path))):
        read_manifest(tmp_path)
