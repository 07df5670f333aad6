"""Every setting of the deployment, read once from the environment (`MASTERIA_…`).

In development what is missing is made: secrets are drawn at the first start and kept in
`{home}/secrets.env`, and the addresses of the embedded servers are read from `{home}/run/`. In production
nothing is made or guessed: what is missing or weak stops the start with one sentence.
"""

import base64
import binascii
import os
import re
import secrets
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

KEY_BYTES = 32
SECRETS_FILE = "secrets.env"
DATABASE_FILE = "database.env"
REDIS_FILE = "redis.env"
DATABASE_VARIABLES = ("MASTERIA_DATABASE_URL", "MASTERIA_DATABASE_SYSTEM_URL", "MASTERIA_DATABASE_OWNER_URL")
REDIS_VARIABLE = "MASTERIA_REDIS_URL"
# prometheus_client's: the folder in which the processes of one worker put their counts together.
COUNTS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(?P<port>\d{1,5})")
GRAPH_VERSION = re.compile(r"v\d+\.\d+")
LAST_PORT = 65532  # the other workers of a machine take the three ports after it
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
WEAK_PASSWORDS = frozenset({"admin", "change-me", "changeme", "masteria", "password", "postgres", "secret"})
# Without the look-alikes l, o, 0 and 1: people type it.
READABLE = "abcdefghijkmnpqrstuvwxyz23456789"


class SettingsError(Exception):
    """The settings do not allow a start; the text is one sentence per fault, for the operator."""


class Environment(StrEnum):
    """Where this deployment stands; production is strict about secrets."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


def project_root() -> Path:
    """The checkout that holds this package, or the working directory when it is installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else Path.cwd()


class Settings(BaseSettings):
    """The settings of one deployment; `settings()` gives the one in force."""

    model_config = SettingsConfigDict(
        env_prefix="MASTERIA_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    environment: Environment = Environment.DEVELOPMENT
    home: Path = Field(default_factory=lambda: project_root() / ".masteria")
    spool_dir: Path = Path()
    media_dir: Path = Path()
    ledger_dir: Path = Path()

    database_url: str = Field(default="", repr=False)
    database_system_url: str = Field(default="", repr=False)
    database_owner_url: str = Field(default="", repr=False)
    redis_url: str = Field(default="", repr=False)
    # True when the app's and the system role's addresses lead to a pooler that hands out a connection for a
    # transaction and no longer (PgBouncer, `pool_mode = transaction`): nothing is left on a connection then.
    database_pooled: bool = False

    api_port: int = Field(default=8000, ge=1, le=65535)
    console_port: int = Field(default=5006, ge=1, le=65535)
    simulator_port: int = Field(default=8100, ge=1, le=65535)
    api_url: str = ""
    public_url: str = ""
    simulator_url: str = ""
    graph_url: str = "https://graph.facebook.com"
    graph_version: str = "v25.0"

    master_key: str = Field(default="", repr=False)
    signing_key: str = Field(default="", repr=False)
    # The console's, by which the API knows that it is the console that names a person's address.
    console_key: str = Field(default="", repr=False)
    # Whose word about the caller's address counts (X-Forwarded-For): addresses and networks, parted by commas.
    trusted_proxies: str = "127.0.0.1"
    demo_password: str = Field(default="", repr=False)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    # Where a worker tells Prometheus what it counted, as address:port; nowhere when empty.
    metrics_listen: str = ""

    @field_validator("metrics_listen")
    @classmethod
    def _can_be_listened_at(cls, given: str) -> str:
        found = LISTEN.fullmatch(given)
        if given and (found is None or not 1 <= int(found["port"]) <= LAST_PORT):
            raise ValueError(f"it names an address and a port up to {LAST_PORT}, as in 127.0.0.1:9100")
        return given

    @field_validator("graph_version")
    @classmethod
    def _is_a_version(cls, given: str) -> str:
        if not GRAPH_VERSION.fullmatch(given):
            raise ValueError("it has the form of v25.0")
        return given

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, given: str) -> str:
        if given and not given.startswith(REDIS_SCHEMES):
            raise ValueError("it is an address as redis://:password@host:6379/0")
        return given

    @field_validator("api_url", "public_url", "simulator_url", "graph_url")
    @classmethod
    def _is_on_the_web(cls, given: str) -> str:
        if given and not (given.startswith(("http://", "https://")) and urlsplit(given).netloc):
            raise ValueError("it is an address as https://api.example.com")
        return given

    @model_validator(mode="after")
    def _derive(self) -> Self:
        """Fill in what follows from another setting: addresses from ports, folders from home."""
        home = self.home.expanduser().resolve()
        api_url = self.api_url or f"http://127.0.0.1:{self.api_port}"
        derived = {
            "home": home,
            "spool_dir": _under(home, self.spool_dir, "spool"),
            "media_dir": _under(home, self.media_dir, "media"),
            "ledger_dir": _under(home, self.ledger_dir, "ledger"),
            "api_url": api_url.rstrip("/"),
            "public_url": (self.public_url or api_url).rstrip("/"),
            "simulator_url": (self.simulator_url or f"http://127.0.0.1:{self.simulator_port}").rstrip("/"),
            "graph_url": self.graph_url.rstrip("/"),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # the model is frozen for everyone else
        return self

    @property
    def is_production(self) -> bool:
        """True where secrets must be given and the demo company must not exist."""
        return self.environment is Environment.PRODUCTION

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of `metrics_listen`, where there is one."""
        found = LISTEN.fullmatch(self.metrics_listen)
        return (found["host"].strip("[]"), int(found["port"])) if found else None

    @property
    def master_key_bytes(self) -> bytes:
        """The 32 bytes of the key that encrypts each tenant's data key."""
        return decode_key("MASTERIA_MASTER_KEY", self.master_key)

    @property
    def signing_key_bytes(self) -> bytes:
        """The 32 bytes (RFC 8032 seed) of the Ed25519 private key that signs access tokens."""
        return decode_key("MASTERIA_SIGNING_KEY", self.signing_key)

    @property
    def console_key_bytes(self) -> bytes | None:
        """The 32 bytes of the key shared with the console, which derives it alike; None where there is none."""
        if self.console_key:
            return decode_key("MASTERIA_CONSOLE_KEY", self.console_key)
        return decode_key("MASTERIA_MASTER_KEY", self.master_key) if self.master_key else None


def _under(home: Path, given: Path, name: str) -> Path:
    return home / name if given == Path() else given.expanduser().resolve()


@cache
def settings() -> Settings:
    """The settings in force, read once per process; `settings.cache_clear()` reads them anew."""
    return read_settings()


def read_settings() -> Settings:
    """Read the settings from the environment and, outside production, from the files in home."""
    try:
        bare = Settings()
        if not bare.is_production:
            load_or_make_secrets(bare.home)
            bare = Settings(_env_file=_env_files(bare.home))
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from None
    faults = production_faults(bare) if bare.is_production else key_faults(bare) + address_faults(bare)
    if faults:
        raise SettingsError("\n".join(faults))
    return bare


def _env_files(home: Path) -> tuple[Path, ...]:
    """Files that fill what the environment leaves open; embedded addresses never mix with given ones."""
    files = [home / SECRETS_FILE]
    if not any(os.environ.get(name) for name in DATABASE_VARIABLES):
        files.append(home / "run" / DATABASE_FILE)
    if not os.environ.get(REDIS_VARIABLE):
        files.append(home / "run" / REDIS_FILE)
    return tuple(files)


def load_or_make_secrets(home: Path) -> dict[str, str]:
    """The secrets kept in `{home}/secrets.env`; what is missing is drawn and written there (mode 0600)."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"MASTERIA_HOME: {home} can't be used as a folder ({error.strerror}). Name another."
        ) from error
    path = home / SECRETS_FILE
    kept = read_env_file(path)
    makers = {
        "MASTERIA_MASTER_KEY": new_key,
        "MASTERIA_SIGNING_KEY": new_key,
        "MASTERIA_DEMO_PASSWORD": new_password,
    }
    missing = {name: make() for name, make in makers.items() if not kept.get(name)}
    if not missing:
        return kept
    if path.exists():
        write_env_file(path, kept | missing)
        return kept | missing
    # Several processes may start at once on an empty home: the first link wins, the others read what it wrote.
    draft = home / f"{SECRETS_FILE}.{os.getpid()}"
    write_env_file(draft, missing)
    try:
        os.link(draft, path)
    except FileExistsError:
        return read_env_file(path)
    finally:
        draft.unlink()
    return missing


def read_env_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file, or nothing when there is no file."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    parted = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in parted}


def write_env_file(path: Path, values: dict[str, str]) -> None:
    """Write `NAME=value` lines that only the owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    draft.replace(path)


def new_key() -> str:
    """A fresh 32-byte key in base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def new_password() -> str:
    """A fresh password of about 59 bits that can be read aloud, as `abcd-efgh-jkmn`."""
    return "-".join("".join(secrets.choice(READABLE) for _ in range(4)) for _ in range(3))


def decode_key(name: str, text: str) -> bytes:
    """The bytes of a base64 key; raises SettingsError naming the setting when it is not 32 bytes."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{name} must be {KEY_BYTES} bytes in base64 (make one: openssl rand -base64 32)."
        )
    return key


def key_faults(given: Settings) -> list[str]:
    """One sentence for each key that is missing, malformed or guessable."""
    faults = []
    for name, text in (
        ("MASTERIA_MASTER_KEY", given.master_key),
        ("MASTERIA_SIGNING_KEY", given.signing_key),
    ):
        if not text:
            faults.append(f"{name} is not set (make one: openssl rand -base64 32).")
            continue
        faults += _faults_of_key(name, text)
    if given.console_key:
        faults += _faults_of_key("MASTERIA_CONSOLE_KEY", given.console_key)
    return faults


def _faults_of_key(name: str, text: str) -> list[str]:
    try:
        key = decode_key(name, text)
    except SettingsError as error:
        return [str(error)]
    if len(set(key)) < KEY_BYTES // 4:
        return [f"{name} is guessable: it repeats itself (make one: openssl rand -base64 32)."]
    return []


def address_faults(given: Settings) -> list[str]:
    """One sentence when only one of the addresses that every process needs is given."""
    needed = (given.database_url, given.database_system_url)
    missing = [name for name, url in zip(DATABASE_VARIABLES[:2], needed, strict=True) if not url]
    if len(missing) == 1 or (len(missing) == 2 and given.database_owner_url):
        return [f"Set {' and '.join(missing)} too: each database role has its own address."]
    return []


def production_faults(given: Settings) -> list[str]:
    """One sentence for each reason not to start in production."""
    faults = key_faults(given)
    if given.master_key and given.master_key == given.signing_key:
        faults.append("MASTERIA_MASTER_KEY and MASTERIA_SIGNING_KEY must differ.")
    if given.demo_password:
        faults.append("MASTERIA_DEMO_PASSWORD is set: production has no demo company, unset it.")
    # The owner's address is for migrations alone: a process that only serves need not hold it.
    urls = (given.database_url, given.database_system_url, given.database_owner_url)
    addresses = dict(zip((*DATABASE_VARIABLES, REDIS_VARIABLE), (*urls, given.redis_url), strict=True))
    for name, url in addresses.items():
        if not url and name != DATABASE_VARIABLES[2]:
            faults.append(f"{name} is not set: production uses servers, not the embedded ones.")
        elif _password_is_weak(url):
            faults.append(f"{name} carries a default password: choose another.")
    users = [urlsplit(url).username for url in urls if url]
    if len(set(users)) < len(users):
        faults.append(
            "Each database address must name a role of its own: masteria bootstrap-database makes them."
        )
    return faults


def _password_is_weak(url: str) -> bool:
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    return bool(password) and (password.lower() in WEAK_PASSWORDS or password == parts.username)


def _sentences(error: ValidationError) -> str:
    """What is wrong with each setting, without repeating its value (it may be a secret)."""
    return "\n".join(
        f"MASTERIA_{'_'.join(str(part) for part in fault['loc']).upper()}: {_in_plain_words(fault)}."
        for fault in error.errors()
    )


def _in_plain_words(fault: ErrorDetails) -> str:
    """What does not fit, as an operator says it; the library speaks of patterns and inputs."""
    kind, told = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return str(told["error"])
    if kind in ("enum", "literal_error"):
        return f"choose one of {', '.join(re.findall(r"'([^']*)'", told['expected']))}"
    if kind.startswith("int_"):
        return "it is a whole number"
    if kind.startswith("bool_"):
        return "it is 1 or 0"
    return str(fault["msg"])
