"""Every environment variable of the service, read once and checked at start."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEV_ORIGINS = "http://localhost:5173,http://localhost:3000,http://127.0.0.1:5173,http://127.0.0.1:3000"
Words = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """One attribute per variable; `.env`, then `.env.local`, then the process environment wins."""

    model_config = SettingsConfigDict(
        env_file=(".env", ".env.local"),
        env_file_encoding="utf-8",
        extra="ignore",
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    app_env: Literal["development", "production", "test"] = Field(
        "production", description="development, production or test; production refuses weak secrets."
    )
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL: postgres:// or postgresql://, with ?sslmode=, several hosts, target_session_attrs.",
    )
    database_timeout: float = Field(
        2.0, ge=0.2, le=60, description="Seconds within which a vanished or hung PostgreSQL is noticed."
    )
    database_pool_size: int = Field(10, ge=1, le=200, description="Connections to PostgreSQL, at most.")
    database_statement_cache: int = Field(
        200,
        ge=0,
        le=10_000,
        description="Prepared statements kept per connection; 0 behind PgBouncer in transaction mode.",
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
        None, description="Signs access tokens; at least 32 bytes, needed by serve and token."
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
    max_body_bytes: int = Field(1 << 20, ge=1024, le=1 << 26, description="Largest request body.")
    max_image_body_bytes: int = Field(
        8 << 20,
        ge=1024,
        le=1 << 27,
        description="Largest body of a write to a vehicle (images as data URLs).",
    )
    cors_origins: Words = Field(
        tuple(DEV_ORIGINS.split(",")),
        description="Origins, comma-separated, that browsers may call from; * is refused.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Bearer token for /metrics from elsewhere than this machine; at least 16 characters.",
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies, comma-separated, whose X-Forwarded-For and -Proto are believed."
    )
    log_format: Literal["console", "json"] = Field("console", description="console or json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug shows every read.")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return _split(value)

    @field_validator("jwt_previous_secrets", mode="before")
    @classmethod
    def _split_secrets(cls, value: object) -> object:
        return _split(value)

    @field_validator("log_level", "log_format", "app_env", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _only_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
                raise ValueError("each origin is scheme://host[:port] without a path; * is refused")
        return origins

    @field_validator("database_url")
    @classmethod
    def _a_postgres_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgres://", "postgresql://")):
            raise ValueError("it starts with postgres:// or postgresql://")
        return url

    @field_validator("jwt_secret")
    @classmethod
    def _a_strong_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("at least 32 bytes: python -c 'import secrets; print(secrets.token_urlsafe(48))'")
        return secret

    @field_validator("metrics_token")
    @classmethod
    def _a_long_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 16:
            raise ValueError("at least 16 characters")
        return token

    @model_validator(mode="after")
    def _strong_previous_secrets(self) -> "Settings":
        if any(len(secret.get_secret_value().encode()) < 32 for secret in self.jwt_previous_secrets):
            raise ValueError("JWT_PREVIOUS_SECRETS: each at least 32 bytes")
        return self

    @property
    def toggles(self) -> dict[str, bool]:
        """The three toggles by variable name."""
        return {
            "LOAD_BACKUP_AT_BOOT": self.load_backup_at_boot,
            "ENABLE_MEMORY_FALLBACK": self.enable_memory_fallback,
            "ENABLE_RUNTIME_STATE_SAVE": self.enable_runtime_state_save,
        }


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def complaints(error: ValidationError) -> list[str]:
    """One sentence per bad variable, without its value."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"]).upper() or "configuration"
        lines.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
    return lines
