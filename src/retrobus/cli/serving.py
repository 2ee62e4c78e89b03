"""`retrobus serve` and `retrobus dev`: the service alone, or with a database, a sample and an ADMIN."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from retrobus import logbook
from retrobus.cli.terminal import CONFIGURATION, DEFAULT_DATA, stop
from retrobus.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import uvicorn


def serve(
    host: str | None = typer.Option(None, help="Adresse d'écoute (HOST)."),
    port: int | None = typer.Option(None, min=0, max=65535, help="Port d'écoute (PORT)."),
    workers: int = typer.Option(1, min=1, max=64, help="Processus."),
) -> None:
    """Sert l'API ; ne crée et ne vide jamais rien."""
    settings = Settings()
    if settings.jwt_secret is None:
        raise stop("JWT_SECRET manque : donnez-lui la sortie de « openssl rand -base64 48 ».", CONFIGURATION)
    _check_start(settings, workers)
    logbook.configure(settings.log_format, settings.log_level)
    address = (host or settings.host, settings.port if port is None else port)
    with _listening(*address) as listener, _counting_together(workers):
        _run(_configured(settings), listener, workers)


def dev(
    port: int | None = typer.Option(None, min=0, max=65535, help="Port d'écoute (PORT, sinon 3001)."),
    data: Path = typer.Option(DEFAULT_DATA, help="Dossier de la base de développement."),  # noqa: B008 - typer reads it so
    reload: bool = typer.Option(True, help="Redémarre quand le code change."),  # noqa: FBT001 - typer reads it so
) -> None:
    """Démarre tout : PostgreSQL embarqué, schéma, collection d'exemple, administrateur, service."""
    from retrobus.cli.development import prepared

    settings = Settings()
    if settings.app_env == "production" and "app_env" in settings.model_fields_set:
        raise stop("APP_ENV=production : retrobus dev est pour le développement, voir retrobus serve.", CONFIGURATION)
    os.environ["APP_ENV"] = settings.app_env if "app_env" in settings.model_fields_set else "development"
    address = (settings.host, settings.port if port is None else port)
    with _listening(*address) as listener, prepared(data, f"http://localhost:{listener.getsockname()[1]}"):
        _check_start(Settings())
        listener.listen()  # a client that comes before the service waits, instead of being refused
        _run(_configured(Settings()), listener, reload=reload)


def _check_start(settings: Settings, workers: int = 1) -> None:
    """Ends the program with one sentence if the service would refuse to start with these settings."""
    from retrobus.toggles import CannotStart, check_start, check_way, needs_mirror

    try:
        check_start(settings)
        asyncio.run(check_way(settings))
    except CannotStart as error:
        raise stop(f"{error}.", CONFIGURATION) from None
    if workers > 1 and needs_mirror(settings):
        raise stop("Avec une des trois bascules, un seul processus : --workers 1.", CONFIGURATION)


def _run(config: uvicorn.Config, listener: socket.socket, workers: int = 1, *, reload: bool = False) -> None:
    """Serves until Ctrl-C or SIGTERM; the exit code of a service that cannot start is that of the program."""
    from uvicorn.supervisors import ChangeReload

    from retrobus.serving.open_files import raise_limit
    from retrobus.serving.server import PoliteServer
    from retrobus.serving.workers import Workers

    raise_limit()
    try:
        if reload:
            config.reload_dirs = [Path(__file__).resolve().parents[1]]
            ChangeReload(config, target=PoliteServer(config, reloads=True).run, sockets=[listener]).run()
        elif workers > 1:
            config.workers = workers
            supervisor = Workers(config, [listener])
            supervisor.run()
            if supervisor.failure is not None:
                raise typer.Exit(supervisor.failure)
        else:
            PoliteServer(config).run([listener])
    except KeyboardInterrupt:
        return  # Ctrl-C is how a service ends


@contextmanager
def _counting_together(workers: int) -> Iterator[None]:
    """With several processes: a folder in which each writes its metrics, so that /metrics gives the sum of all."""
    from retrobus.metrics import FOLDER

    if workers == 1 or FOLDER in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="retrobus-metrics-") as folder:
        os.environ[FOLDER] = folder
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address of the service; the command ends with one sentence if that fails."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # HOST=:: is for IPv4 clients too
        try:
            listener.bind((host, port))
        except OSError as error:
            raise stop(_why_not(error, host, port)) from None
        listener.set_inheritable(True)
        yield listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Le port {port} de {host} est déjà pris : arrêtez l'autre programme, ou changez PORT (ou --port)."
    if error.errno == errno.EACCES:
        return f"Le port {port} est réservé au système : changez PORT (ou --port), par exemple 3001."
    return f"{host} n'est pas une adresse de cette machine : changez HOST."


def _configured(settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the service."""
    import uvicorn

    from retrobus.serving.server import LONGEST_ANSWER

    return uvicorn.Config(
        "retrobus.cli.worker:application",
        factory=True,
        http="retrobus.serving.connection:HttpConnection",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=LONGEST_ANSWER,
        timeout_keep_alive=75,  # longer than proxies: none may send a request on a connection that closes
    )
