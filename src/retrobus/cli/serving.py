"""`retrobus serve` and `retrobus dev`: the service alone, or with everything that it needs."""

import os
import secrets
from pathlib import Path

import typer
import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

from retrobus.cli.development import prepared
from retrobus.settings import Settings

DEFAULT_DATA = Path(".data")


def serve(
    host: str = typer.Option(None, help="Adresse d'écoute (HOST)."),
    port: int = typer.Option(None, help="Port d'écoute (PORT)."),
    workers: int = typer.Option(1, min=1, max=64, help="Processus."),
) -> None:
    """Sert l'API ; ne crée et ne vide jamais rien."""
    settings = Settings()
    for missing, name in ((settings.database_url, "DATABASE_URL"), (settings.jwt_secret, "JWT_SECRET")):
        if missing is None:
            typer.echo(f"❌ {name} manque (voir .env.example).", err=True)
            raise typer.Exit(78)
    config = configured(settings, host, port)
    if workers > 1:
        config.workers = workers
        Multiprocess(config, sockets=[config.bind_socket()]).run()
    else:
        uvicorn.Server(config).run()


def dev(
    port: int = typer.Option(None, help="Port d'écoute (PORT, sinon 3001)."),
    data: Path = typer.Option(DEFAULT_DATA, help="Dossier de la base de développement."),  # noqa: B008 - typer reads it so
    reload: bool = typer.Option(True, help="Redémarre quand le code change."),  # noqa: FBT001 - typer reads it so
) -> None:
    """Démarre tout : PostgreSQL embarqué, schéma, collection d'exemple, administrateur, service."""
    os.environ.setdefault("APP_ENV", "development")
    os.environ.setdefault("JWT_SECRET", _kept_secret(data / "jwt-secret"))
    with prepared(data, port or Settings().port):
        config = configured(Settings(), None, port)
        if reload:
            config.reload, config.reload_dirs = True, [Path(__file__).resolve().parents[1]]
            ChangeReload(config, target=uvicorn.Server(config).run, sockets=[config.bind_socket()]).run()
        else:
            uvicorn.Server(config).run()


def configured(settings: Settings, host: str | None, port: int | None) -> uvicorn.Config:
    """How uvicorn runs the service."""
    return uvicorn.Config(
        "retrobus.app:create",
        factory=True,
        host=host or settings.host,
        port=settings.port if port is None else port,
        access_log=False,
        log_level="warning",
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=30,
    )


def _kept_secret(path: Path) -> str:
    """The development secret of this checkout: random, made once, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()
