"""`retrobus serve` in front of the cluster, and what its /ready and its log say."""

import json
import os
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from clustering.configuration import ROLE
from clustering.nodes import Cluster, Stuck, until
from clustering.programs import free_ports

from retrobus.accounts.tokens import TokenRules, Tokens

SECRET = "a-secret-for-the-cluster-and-nothing-else"
ADMIN = "cluster-admin"
MEMBER = "INSERT INTO member (id, email, role) VALUES ('cluster-admin', 'cluster@example.org', 'ADMIN')"
PLACES = {
    "A": "the leader's host last",
    "B": "the leader's host first",
    "C": "haproxy",
    "D": "the leader's host first, without target_session_attrs",
    "E": "PgBouncer in transaction mode, then haproxy",
}


def token() -> str:
    """A token of the member who sends every request."""
    rules = TokenRules((SECRET,), "retrobus", "retrobus-api", 80_000)
    return Tokens(rules).issue({"id": ADMIN, "role": "ADMIN", "token_epoch": 0})[0]


def url(letter: str, cluster: Cluster, user: str = ROLE) -> str:
    """The DATABASE_URL of a service, given the node that leads now."""
    leader = cluster.leader
    ports = [node.places.postgres for node in (leader, *cluster.others(leader))]
    if letter == "A":
        ports.reverse()
    if letter in "CE":
        port = cluster.proxy_port if letter == "C" else cluster.pooler_port
        return f"postgresql://{user}@127.0.0.1:{port}/retrobus?sslmode=disable"
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    wish = "" if letter == "D" else "&target_session_attrs=read-write"
    return f"postgresql://{user}@{hosts}/retrobus?sslmode=disable{wish}"


@dataclass
class Told:
    """What /ready and the log said while the service ran."""

    reasons: Counter[str] = field(default_factory=Counter)
    ready: Counter[bool] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    unconfirmed: int = 0
    """How often /ready said that no standby confirms commits."""

    failover: dict[str, Any] | None = None
    entries: int = 0


class Service:
    """One process of the service; `command` is the `retrobus` under test."""

    def __init__(self, letter: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.letter = letter
        self.told = Told()
        [self.port] = free_ports(1)
        folder.mkdir()
        self._log = folder / "service.log"
        settings = {"JWT_SECRET": SECRET, "APP_ENV": "test", "LOG_FORMAT": "json", "PORT": str(self.port)}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "serve"],
                cwd=folder,
                env=dict(os.environ) | settings | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def wait_until_ready(self) -> None:
        """Returns when /ready is true, and no journal waits; Stuck with the end of the log if it does not come."""
        try:
            until(lambda: self._process.poll() is not None or self._is_settled(), f"service {self.letter} ready", 60)
        except Stuck as error:
            raise Stuck(f"{error}; /ready: {self._status()}") from None
        if self._process.poll() is not None:
            raise Stuck(f"service {self.letter} ended: {self._log.read_text(errors='replace')[-600:]}")

    def watch(self) -> None:
        """From now on asks /ready twice a second, until the service ends."""
        self._watcher.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            status = self._status()
            if not status:
                continue
            told = self.told
            told.ready[bool(status["ready"])] += 1
            told.reasons[str(status.get("reason"))] += 1
            reason = (status["durability"] or {}).get("reason")
            told.reasons[f"durability: {reason}"] += reason is not None
            told.unconfirmed += reason is not None
            told.waiting[str(status["journal"].get("waiting"))] += bool(status["journal"]["entries"])
            told.entries = max(told.entries, status["journal"]["entries"])
            told.failover = status.get("failover") or told.failover

    def _is_settled(self) -> bool:
        status = self._status()
        return bool(status) and status["ready"] and status["database"] == "up" and not status["journal"]["entries"]

    def _status(self) -> dict[str, Any]:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=8) as answer:
                return dict(json.load(answer))
        except HTTPError as error:
            return dict(json.load(error))
        except (OSError, ValueError):
            return {}

    def logged(self, words: str) -> int:
        """The number of lines of the log that contain these words."""
        return self._log.read_text(errors="replace").count(words)

    def end(self) -> None:
        """Kills it: its memory is not needed any more."""
        self._ended.set()
        self._process.kill()
        self._process.wait(30)


def prepare(command: list[str], cluster: Cluster) -> None:
    """Makes the database, its schema, the service's role and the member who writes."""
    leader = cluster.leader
    leader.sql("CREATE DATABASE retrobus", database="postgres")
    leader.sql(f"CREATE ROLE {ROLE} LOGIN", database="postgres")
    owner = f"postgresql://postgres@127.0.0.1:{leader.places.postgres}/retrobus?sslmode=disable"
    environment = dict(os.environ) | {"DATABASE_URL": owner, "APP_ENV": "test"}
    subprocess.run([*command, "db", "upgrade"], env=environment, check=True, capture_output=True)
    granted = subprocess.run(
        [*command, "db", "grant", "--role", ROLE], env=environment, capture_output=True, check=False
    )
    if granted.returncode:  # a build from before this command
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            leader.sql(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {ROLE}")
    leader.sql(MEMBER)
