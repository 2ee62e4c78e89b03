"""`retrobus verify`: asks a live service from outside, as its clients do, and leaves no event behind."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from retrobus.cli.inspection import Inspection
from retrobus.cli.terminal import AsJson, answer, stop
from retrobus.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what HOST says of a service that listens everywhere
USUAL_PORT = 3001


def _address(settings: Settings) -> str:
    """Where a service with these settings is reached from this machine."""
    host = EVERYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port or USUAL_PORT}"


@contextmanager
def _ended_gently() -> Iterator[None]:
    """Lets SIGTERM end the block like Ctrl-C, so that the event is deleted."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def verify(
    token: Annotated[
        str, typer.Option("--token", envvar="TOKEN", help="Jeton d'un gestionnaire ; mieux : dans la variable TOKEN.")
    ],
    *,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Adresse du service ; sans elle, celle de HOST et de PORT.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Vérifie un service de l'extérieur : listes depuis PostgreSQL, création, suppression, accès."""
    base_url = base_url or _address(Settings())
    place = urlsplit(base_url)
    if place.scheme not in {"http", "https"} or not place.hostname:
        raise stop("--base-url : http(s)://hôte[:port] attendu")
    inspection = Inspection(base_url, token)
    with _ended_gently():
        inspection.run()
    good = all(check.ok for check in inspection.checks)
    if as_json:
        answer({"ok": good, "address": base_url, "checks": [asdict(check) for check in inspection.checks]})
    for check in () if as_json else inspection.checks:
        typer.echo(f"{'✅' if check.ok else '❌'} {check.name} : {check.found}")
    if not good:
        raise typer.Exit(1)
