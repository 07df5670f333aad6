"""The embedded database that was put back: what is wrong with it is said in a sentence, and nothing is made anew."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.restored import RestoreRefused, database_of
from engine.cli.up import UpError, is_being_restored, run_up
from engine.core.settings import DATABASE_VARIABLES, REDIS_VARIABLE, settings, write_env_file
from engine.embedded import PASSWORDS_FILE, EmbeddedServerError, start_postgres


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with the database of a machine that stands still."""
    for name in (*DATABASE_VARIABLES, REDIS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="masteria-restored-") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setenv("MASTERIA_HOME", folder)
        settings.cache_clear()
        start_postgres(Path(folder)).stop()
        yield Path(folder)
    monkeypatch.undo()
    settings.cache_clear()


def refused() -> str:
    """What is said instead of opening it."""
    with pytest.raises(RestoreRefused) as refusal, database_of(settings()):
        raise AssertionError("it was opened")
    return str(refusal.value)


def recover(home: Path, *lines: str) -> None:
    """As an operator asks for a recovery."""
    (home / "postgres" / "recovery.signal").touch()
    with (home / "postgres" / "postgresql.auto.conf").open("a") as conf:
        conf.writelines(f"{line}\n" for line in lines)


def test_passwords_that_were_not_put_back_are_not_drawn_anew(home: Path) -> None:
    (home / PASSWORDS_FILE).unlink()

    assert f"{home / PASSWORDS_FILE} is missing" in refused()
    assert not (home / PASSWORDS_FILE).exists()


def test_passwords_of_another_database_are_told(home: Path) -> None:
    write_env_file(home / PASSWORDS_FILE, {"superuser": "another"})

    assert f"does not take the superuser's password in {PASSWORDS_FILE}" in refused()


def test_the_product_does_not_start_on_a_backup_that_was_not_made_safe(home: Path) -> None:
    recover(home, "restore_command = 'false'")

    with pytest.raises(UpError, match="run masteria restore to its end first"):
        run_up()


def test_a_restore_that_did_not_come_to_its_end_leaves_its_mark(home: Path) -> None:
    with pytest.raises(RestoreRefused, match="halfway"), database_of(settings()):
        raise RestoreRefused("halfway")
    halfway = is_being_restored(home)

    with database_of(settings()):
        pass

    assert halfway
    assert not is_being_restored(home)


def test_a_log_that_ends_before_its_target_is_told_in_the_servers_words(home: Path) -> None:
    recover(home, "restore_command = 'false'", "recovery_target_time = '2099-01-01 00:00:00+00'")

    assert "recovery ended before configured recovery target was reached" in refused()


@pytest.mark.skipif(os.geteuid() != 0, reason="only under root PostgreSQL runs as somebody else")
def test_data_that_root_has_copied_is_told_with_what_to_run(home: Path) -> None:
    os.chown(home / "postgres", 0, 0)

    with pytest.raises(EmbeddedServerError, match="run chown -R masteria "), database_of(settings()):
        raise AssertionError("it was opened")
