"""Back to the first start: delete what the embedded servers and a run have written."""

import os
import shutil
from pathlib import Path

from engine.cli.supervisor import sweep
from engine.cli.up import is_running
from engine.core.settings import DATABASE_VARIABLES, settings
from engine.embedded import data_directories


class ResetRefused(Exception):  # noqa: N818 (reads as what happened)
    """The data may not be deleted now; the text is a sentence for the operator."""


def reset_home(home: Path) -> None:
    """Delete the data of this home; its secrets stay, so that the password one has learnt stays right."""
    if settings().is_production:
        raise ResetRefused("This is production: reset deletes all data and does not run here.")
    if any(os.environ.get(name) for name in DATABASE_VARIABLES):
        raise ResetRefused(
            "The database is on a server of yours: reset only empties the embedded one. "
            f"Unset {', '.join(DATABASE_VARIABLES)}, or drop and bootstrap that database yourself."
        )
    if is_running(home):
        raise ResetRefused("Master IA is running: stop it first (Ctrl-C where it runs).")
    sweep(home)
    for folder in data_directories(home):
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    for item in home.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.suffix != ".env":
            item.unlink()
