"""The console's few settings, from the environment (`MASTERIA_…`) and, outside production, the home folder.

The console knows neither the database nor the engine: it needs the API's address, Redis, and a key for the
sign-ins it keeps.
"""

import base64
import binascii
import os
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

KEY_BYTES = 32


class ConsoleSettingsError(Exception):
    """The settings do not allow a start; the text is one sentence for the operator."""


class Environment(StrEnum):
    """Where this deployment stands; production is strict."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


def default_home() -> Path:
    """`.masteria` in the checkout, or in the working directory when installed elsewhere."""
    root = Path(__file__).resolve().parents[1]
    return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / ".masteria"


class ConsoleSettings(BaseSettings):
    """The settings of one console process; `console_settings()` gives the one in force."""

    model_config = SettingsConfigDict(
        env_prefix="MASTERIA_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    environment: Environment = Environment.DEVELOPMENT
    home: Path = Field(default_factory=default_home)
    redis_url: str = Field(default="", repr=False)
    api_port: int = Field(default=8000, ge=1, le=65535)
    api_url: str = ""
    console_port: int = Field(default=5006, ge=1, le=65535)
    # Where browsers find the console. Behind a proxy neither the scheme nor the host of a request need be theirs.
    console_url: str = ""
    # Seals the sign-ins kept in Redis and signs page tokens. Every console process needs the same one. Without
    # it, it is derived from the master key; give it, and the console never needs to see the master key.
    console_key: str = Field(default="", repr=False)
    master_key: str = Field(default="", repr=False)
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")
    # How long a sign-in lasts without being used.
    console_session_days: int = Field(default=14, ge=1, le=90)
    # The largest file taken for an import, in MiB; the API takes no larger one.
    upload_limit_mb: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _derive(self) -> Self:
        url = (self.api_url or f"http://127.0.0.1:{self.api_port}").rstrip("/")
        object.__setattr__(self, "api_url", url)  # the model is frozen for everyone else
        object.__setattr__(self, "console_url", self.console_url.rstrip("/"))
        return self

    @property
    def is_production(self) -> bool:
        """True where nothing may be guessed."""
        return self.environment is Environment.PRODUCTION

    @property
    def upload_limit(self) -> int:
        """The largest file taken for an import, in bytes."""
        return self.upload_limit_mb * 1024 * 1024

    @property
    def is_https(self) -> bool:
        """True where browsers come over https, whatever a proxy in front makes of it."""
        return self.console_url.startswith("https://")

    def is_secure(self, scheme: str) -> bool:
        """Whether a request of this scheme (http, https, ws, wss) left its browser over TLS: its cookies may say so."""
        return self.is_https or scheme in {"https", "wss"}

    @property
    def console_host(self) -> str:
        """Host and port in `console_url`, as a browser's Origin names them; empty where it is not set."""
        return urlsplit(self.console_url).netloc

    def key_for(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose; keys of different purposes tell nothing of each other."""
        root = _decode(self.console_key or self.master_key)
        return HKDF(SHA256(), KEY_BYTES, salt=b"masteria", info=f"console:{purpose}".encode()).derive(root)


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConsoleSettingsError(
            "MASTERIA_CONSOLE_KEY (or MASTERIA_MASTER_KEY) must be 32 bytes in base64: openssl rand -base64 32."
        )
    return key


@cache
def console_settings() -> ConsoleSettings:
    """The settings in force, read once per process; raises ConsoleSettingsError where they don't suffice."""
    try:
        given = ConsoleSettings()
        if not given.is_production:
            given = ConsoleSettings(_env_file=_env_files(given.home))
    except ValidationError as error:
        raise ConsoleSettingsError(" ".join(map(_sentence, error.errors()))) from None
    _decode(given.console_key or given.master_key)
    if not given.redis_url:
        raise ConsoleSettingsError("MASTERIA_REDIS_URL is not set: the console lives on Redis.")
    _check_console_url(given)
    return given


def _sentence(fault: ErrorDetails) -> str:
    """What is wrong with one setting, on one line, without its value (it may be a secret)."""
    return f"MASTERIA_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}."


def _check_console_url(given: ConsoleSettings) -> None:
    if given.is_production and not given.console_url:
        raise ConsoleSettingsError(
            "MASTERIA_CONSOLE_URL is not set: name the address browsers use, as https://console.example.com."
        )
    if given.console_url and not (
        given.console_url.startswith(("http://", "https://")) and given.console_host
    ):
        raise ConsoleSettingsError(
            "MASTERIA_CONSOLE_URL must be an address such as https://console.example.com."
        )


def _env_files(home: Path) -> tuple[Path, ...]:
    """What the engine left for one machine: drawn secrets, and where the embedded Redis listens."""
    files = [home / "secrets.env"]
    if not os.environ.get("MASTERIA_REDIS_URL"):
        files.append(home / "run" / "redis.env")
    return tuple(files)
