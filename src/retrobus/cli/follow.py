"""`retrobus follow`: prints every change of a service as it happens, and keeps a copy that holds no deleted row."""

from __future__ import annotations

import json
import os
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from retrobus.cli.terminal import stop

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENCE, LONGEST_PAUSE = 45.0, 10.0  # seconds without a byte on a dead line; seconds between two attempts


class MustForgetError(Exception):
    """The cursor is of another database, or of before an erasure."""


class RefusedError(Exception):
    """The service refuses the request for good; the text is its own."""


class LocalCopy:
    """The rows by resource and key, and the cursor behind them. A file takes them only when they are whole."""

    def __init__(self, into: Path | None, since: Path | None) -> None:
        self._into, self._since = into, since
        self.rows: dict[str, dict[str, Any]] = {}
        self.cursor: str | None = None
        if into is not None and into.exists():
            kept = json.loads(into.read_text(encoding="utf-8"))
            self.rows, self.cursor = kept["rows"], kept["cursor"]
        elif into is None and since is not None and since.exists():
            self.cursor = since.read_text(encoding="utf-8").strip() or None

    def apply(self, item: dict[str, Any]) -> None:
        """Prints a change and applies it, unless a later state of its key is known."""
        typer.echo(json.dumps(item, ensure_ascii=False))
        rows = self.rows.setdefault(item["resource"], {})
        if item["version"] >= rows.get(item["key"], item)["version"]:
            rows.pop(item["key"], None)
            if not item["deleted"]:
                rows[item["key"]] = {"version": item["version"], "row": item["row"]}

    def keep(self) -> None:
        """Writes copy and cursor; each file is the old one or the new one, never half of it."""
        whole = json.dumps({"cursor": self.cursor, "rows": self.rows}, ensure_ascii=False, indent=1)
        for path, text in ((self._into, whole), (self._since, self.cursor or "")):
            if path is not None:
                beside = path.with_name(f".{path.name}.{os.getpid()}")
                beside.write_text(text + "\n", encoding="utf-8")
                beside.replace(path)


class FeedClient:
    """The feed of one service, for the holder of a token or for the public."""

    def __init__(self, base_url: str, token: str | None) -> None:
        self._place = urlsplit(base_url)
        self._path = self._place.path.rstrip("/") + ("/public/changes" if token is None else "/api/changes")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def read(self, copy: LocalCopy) -> None:
        """Reads pages until the copy is whole."""
        page: dict[str, Any] = {"more": True}
        while page["more"]:
            page = json.load(self._get("", copy.cursor))
            for item in page["changes"]:
                copy.apply(item)
            copy.cursor = page["cursor"]
        copy.keep()

    def stream(self, copy: LocalCopy) -> None:
        """Applies the events of one connection until it ends."""
        for name, cursor, data in _events(self._get("/stream", copy.cursor)):
            if name == "problem":
                raise MustForgetError if data["code"] == "resync_required" else OSError(data["title"])
            if name == "message":
                copy.apply(data)
            copy.cursor = cursor or copy.cursor
            if name == "current":
                copy.keep()
        raise OSError("le service a terminé le suivi")

    def _get(self, path: str, cursor: str | None) -> HTTPResponse:
        kind = HTTPSConnection if self._place.scheme == "https" else HTTPConnection
        connection = kind(str(self._place.hostname), self._place.port, timeout=SILENCE)
        query = urlencode({} if cursor is None else {"since": cursor})
        connection.request("GET", f"{self._path}{path}?{query}", headers=self._headers)
        answer = connection.getresponse()
        if answer.status == 410:
            raise MustForgetError
        if answer.status >= 500 or answer.status == 429:
            raise OSError(f"réponse {answer.status}")
        if answer.status != 200:
            raise RefusedError(f"{answer.status} {answer.read(300).decode(errors='replace').strip()}")
        return answer


def _events(lines: HTTPResponse) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, id and data of each event of a stream; a comment is a line without a name."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        fields[name] = value
        if line == b"\n":
            if "data" in fields:
                yield fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def follow(
    base_url: Annotated[str, typer.Option("--base-url", help="Adresse du service.")],
    token: Annotated[
        str | None, typer.Option("--token", envvar="TOKEN", help="Jeton d'un membre ; sans lui, ce que voit le public.")
    ] = None,
    *,
    since: Annotated[Path | None, typer.Option("--since", help="Fichier où le curseur est repris et gardé.")] = None,
    into: Annotated[Path | None, typer.Option("--into", help="Fichier JSON d'une copie toujours entière.")] = None,
    poll: Annotated[float | None, typer.Option("--poll", min=0.1, help="Demande toutes les N secondes.")] = None,
    once: Annotated[bool, typer.Option("--once", help="S'arrête quand la copie est à jour.")] = False,
) -> None:
    """Suit les changements, suppressions comprises : une ligne JSON pour chacun, sans fin."""
    if urlsplit(base_url).scheme not in {"http", "https"} or not urlsplit(base_url).hostname:
        raise stop("--base-url : http(s)://hôte[:port] attendu")
    client, copy, pause = FeedClient(base_url, token), LocalCopy(into, since), 0.25
    while True:
        try:
            client.read(copy)
            if once:
                return
            pause = 0.25
            time.sleep(poll) if poll else client.stream(copy)
        except MustForgetError:
            typer.echo("⚠️  curseur périmé : la copie est oubliée et relue", err=True)
            copy.rows, copy.cursor = {}, None
        except RefusedError as error:
            raise stop(f"le service refuse : {error}") from None
        except (OSError, HTTPException, ValueError) as error:
            typer.echo(f"⚠️  {error} : nouvel essai dans {pause:g} s", err=True)
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
