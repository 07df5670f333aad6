"""Loaded by every Python process of the product under test: plants what MASTERIA_PLANTED names (see bugs.py)."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

sys.path.append(str(Path(__file__).parent))

from bugs import BUGS

type Change = Callable[[ModuleType], None]


class Planter(MetaPathFinder):
    """Finds modules as usual, and has those that a bug is about changed once they are loaded."""

    def __init__(self, changes: dict[str, list[Change]]) -> None:
        self._changes = changes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The usual spec, whose loader changes the module afterwards."""
        changes = self._changes.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if changes else None
        if spec is None or spec.loader is None or changes is None:
            return None
        load = spec.loader.exec_module

        def load_and_change(module: ModuleType) -> None:
            load(module)
            for change in changes:
                change(module)

        spec.loader.exec_module = load_and_change  # type: ignore[method-assign]
        return spec


def plant(names: Sequence[str]) -> None:
    """Have these bugs in this process."""
    changes: dict[str, list[Change]] = {}
    for name in names:
        for module, change in BUGS[name].items():
            changes.setdefault(module, []).append(change)
    sys.meta_path.insert(0, Planter(changes))


plant([name for name in os.environ.get("MASTERIA_PLANTED", "").split(",") if name])
