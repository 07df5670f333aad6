"""Where the simulator keeps its state, which scenario it starts with, and the address others know it by."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PORT = 8100


@dataclass(frozen=True, slots=True)
class Config:
    """What the environment says."""

    state_path: Path
    scenario: str
    base_url: str


def read_config() -> Config:
    """The settings in force: the product's own names, read from the environment.

    The simulator reads them itself, so that it starts without a database URL, a master key or the product at all.
    """
    home = Path(os.environ.get("MASTERIA_HOME", ".masteria"))
    port = int(os.environ.get("MASTERIA_SIMULATOR_PORT", DEFAULT_PORT))
    return Config(
        state_path=Path(os.environ.get("MASTERIA_SIMULATOR_STATE", home / "simulator.db")),
        scenario=os.environ.get("MASTERIA_SIMULATOR_SCENARIO", "calm"),
        base_url=os.environ.get("MASTERIA_SIMULATOR_URL", f"http://127.0.0.1:{port}").rstrip("/"),
    )
