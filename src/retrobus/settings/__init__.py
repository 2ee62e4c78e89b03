"""Every environment variable of the service, read once and checked at start."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from retrobus.database.url import normalized
from retrobus.settings.env_files import check_env_files, env_files
from retrobus.settings.origins import network, origin

DEV_ORIGINS = "http://localhost:5173,http://localhost:3000,http://127.0.0.1:5173,http://127.0.0.1:3000"
Words = Annotated[tuple[str, ...], NoDecode]
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
SHORTEST_SECRET, SHORTEST_TOKEN = 32, 16


class Settings(BaseSettings):
    """One attribute per variable; a later file of `env_files` wins, and the process environment wins over all."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8",
        extra="ignore",
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    def __init__(self, **values: Any) -> None:
        if "_env_file" not in values:
            check_env_files()
            values["_env_file"] = env_files()
        super().__init__(**values)

    app_env: Literal["development", "production", "test"] = Field(
        "production", description="development, production or test; `retrobus dev` refuses production."
    )
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL: postgres:// or postgresql://, with ?sslmode=, several hosts, target_session_attrs.",
        examples=["postgresql://retrobus_service:password@127.0.0.1:5432/retrobus"],
    )
    database_timeout: float = Field(
        2.0, ge=0.2, le=60, description="Seconds within which a vanished or hung PostgreSQL is noticed."
    )
    database_pool_size: int = Field(20, ge=1, le=200, description="Connections to PostgreSQL, at most.")
    database_statement_cache: int = Field(
        200,
        ge=0,
        le=10_000,
        description="Prepared statements kept per connection; 0 behind PgBouncer or another pooler.",
    )
    load_backup_at_boot: bool = Field(
        False, description="At boot, if PostgreSQL does not answer, fill the mirror from the selected backup."
    )
    enable_memory_fallback: bool = Field(
        False, description="Answer from the in-memory mirror while PostgreSQL is unavailable, and say so."
    )
    enable_runtime_state_save: bool = Field(
        False, description="Keep the mirror and its journal on disk (runtime-state.json, journal.jsonl)."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(3001, ge=0, le=65535, description="Port to listen on.")
    jwt_secret: SecretStr | None = Field(
        None,
        description="Signs access tokens: at least 32 bytes, needed by `retrobus serve` and `retrobus token`.",
        examples=["the output of: openssl rand -base64 48"],
    )
    jwt_previous_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Former secrets, comma-separated: they still verify tokens, they sign none."
    )
    jwt_issuer: str = Field("retrobus", min_length=1, description="The iss of tokens.")
    jwt_audience: str = Field("retrobus-api", min_length=1, description="The aud of tokens.")
    access_token_ttl: int = Field(
        43_200, ge=60, le=86_400, description="Seconds that a token lives (12 h; at most 24 h)."
    )
    backups_dir: Path = Field(Path("backups"), description="Folder of backups, snapshot and journal.")
    backup_schedule: Words = Field(
        (),
        description="Times of day of automatic backups, local, comma-separated; none without a value.",
        examples=["03:30"],
    )
    backup_keep: int = Field(
        14, ge=1, le=10_000, description="Ordinary backups that an automatic one leaves in the folder, itself included."
    )
    backup_keep_safety_days: int = Field(
        90,
        ge=1,
        le=3650,
        description="Days that BACKUP_SCHEDULE and --keep leave safety backups in the folder; the newest one stays.",
    )
    runtime_state_debounce: float = Field(
        0.75, ge=0, le=60, description="Seconds between the first change and the writing of runtime-state.json."
    )
    runtime_state_max_delay: float = Field(
        5.0, ge=0.1, le=600, description="Seconds after which a change is in runtime-state.json, whatever the load."
    )
    journal_max_age: float = Field(
        7.0, gt=0, le=365, description="Days after which a journal found at boot is no longer replayed by itself."
    )
    max_body_bytes: int = Field(1 << 20, ge=1024, le=1 << 26, description="Bytes of the largest request body.")
    max_image_body_bytes: int = Field(
        8 << 20,
        ge=1024,
        le=1 << 27,
        description="Bytes of the largest body of a write to a vehicle (images as data URLs).",
    )
    studio: bool = Field(True, description="Serve the page for volunteers at /studio/.")
    cors_origins: Words = Field(
        tuple(DEV_ORIGINS.split(",")),
        description="Origins, comma-separated, that browsers may call from; * is refused.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Bearer token for /metrics from elsewhere than this machine; at least 16 characters.",
        examples=["the output of: openssl rand -hex 16"],
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies, comma-separated, whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="console (for people) or json (for machines)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error; debug shows every read."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @field_validator("cors_origins", "jwt_previous_secrets", "backup_schedule", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _words(value) if isinstance(value, str) else value

    @field_validator("log_level", "log_format", "app_env", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _only_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(origin, origins)))

    @field_validator("backup_schedule")
    @classmethod
    def _only_times(cls, times: tuple[str, ...]) -> tuple[str, ...]:
        if not all(TIME_OF_DAY.fullmatch(text) for text in times):
            raise ValueError("heures séparées par des virgules attendues, comme 03:30,15:30")
        return times

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _only_addresses(cls, proxies: str) -> str:
        try:
            return ",".join(proxy if proxy == "*" else network(proxy) for proxy in _words(proxies))
        except ValueError:
            raise ValueError("adresses IP ou réseaux séparés par des virgules attendus, ou *") from None

    @field_validator("database_url")
    @classmethod
    def _a_postgres_url(cls, url: SecretStr | None) -> SecretStr | None:
        return None if url is None else SecretStr(normalized(url.get_secret_value()))

    @field_validator("jwt_secret")
    @classmethod
    def _a_strong_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not _is_strong(secret):
            raise ValueError(f"au moins {SHORTEST_SECRET} octets, par exemple ceux de : openssl rand -base64 48")
        return secret

    @field_validator("jwt_previous_secrets")
    @classmethod
    def _strong_secrets(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_is_strong(secret) for secret in secrets):
            raise ValueError(f"chacun d'au moins {SHORTEST_SECRET} octets")
        return secrets

    @field_validator("metrics_token")
    @classmethod
    def _a_long_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"au moins {SHORTEST_TOKEN} caractères")
        return token

    @property
    def toggles(self) -> dict[str, bool]:
        """The three toggles by variable name."""
        return {
            "LOAD_BACKUP_AT_BOOT": self.load_backup_at_boot,
            "ENABLE_MEMORY_FALLBACK": self.enable_memory_fallback,
            "ENABLE_RUNTIME_STATE_SAVE": self.enable_runtime_state_save,
        }


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _is_strong(secret: SecretStr) -> bool:
    return len(secret.get_secret_value().encode()) >= SHORTEST_SECRET
