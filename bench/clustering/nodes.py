"""Two or three PostgreSQL servers under Patroni, with etcd, haproxy and PgBouncer, on loopback."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import asyncpg
from clustering import configuration
from clustering.configuration import ROLE, Places, Rules
from clustering.programs import Program, found, free_ports, hand_over, kill_server, private

from retrobus.development import process_tree

DEADLINE = 120.0


class Stuck(Exception):
    """The cluster did not reach the state that the run needs; the text says which."""


def until(condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Waits for a condition; Stuck if it does not come."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise Stuck(f"{what}: not within {deadline:.0f} s")
        time.sleep(0.1)


class Node:
    """One Patroni with its PostgreSQL."""

    def __init__(self, places: Places, rules: Rules) -> None:
        self.places = places
        private(places.folder)
        self._config = places.folder / "patroni.yml"
        self._config.write_text(configuration.patroni(places, rules))
        hand_over(self._config)
        self._patroni: Program | None = None

    def start(self) -> None:
        """Starts Patroni, which starts PostgreSQL."""
        self._patroni = Program(self.places.folder / "patroni.log", found("patroni") or "", str(self._config))

    @property
    def postmaster(self) -> int | None:
        """The process id of its PostgreSQL; None if it does not run."""
        with suppress(OSError, ValueError):
            pid = int((self.places.data / "postmaster.pid").read_text().split()[0])
            return pid if process_tree.is_alive(pid) else None
        return None

    def kill(self) -> None:
        """Kills Patroni, then PostgreSQL."""
        if self._patroni is not None:
            self._patroni.kill()
        kill_server(self.postmaster)

    def freeze(self) -> None:
        """SIGSTOP of Patroni and of PostgreSQL with its children."""
        self.freeze_patroni()
        if self.postmaster is not None:
            process_tree.freeze(self.postmaster)

    def freeze_patroni(self) -> None:
        """SIGSTOP of Patroni alone."""
        if self._patroni is not None:
            self._patroni.send(SIGSTOP)

    def thaw_postgres(self) -> None:
        """SIGCONT of PostgreSQL alone."""
        if self.postmaster is not None:
            process_tree.thaw(self.postmaster)

    def thaw_patroni(self) -> None:
        """SIGCONT of Patroni alone."""
        if self._patroni is not None:
            self._patroni.send(SIGCONT)

    def children(self, title: str) -> list[int]:
        """The process ids of its PostgreSQL's children with these words in their title, such as `walsender`."""
        pids = process_tree.family(self.postmaster)[1:] if self.postmaster else []
        return [pid for pid in pids if title in _title(pid)]

    def is_leader(self) -> bool:
        """Whether its Patroni says that it leads and PostgreSQL takes writes."""
        return self._rest("/primary")[0] == 200

    def is_synchronous(self) -> bool:
        """Whether its Patroni says that the leader waits for it."""
        return self._rest("/synchronous")[0] == 200

    def _rest(self, path: str, body: dict[str, str] | None = None) -> tuple[int, str]:
        patience = 1.5 if body is None else 60
        connection = HTTPConnection("127.0.0.1", self.places.rest, timeout=patience)
        try:
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def hand_over_to(self, other: "Node") -> None:
        """A planned switchover."""
        status, text = self._rest("/switchover", {"leader": self.places.name, "candidate": other.places.name})
        if status not in {200, 202}:
            raise Stuck(f"switchover: {status} {text}")

    def sql(self, statement: str, *values: str, database: str = "retrobus") -> list[Any]:
        """The rows of a statement, as superuser; OSError or PostgresError if it cannot be asked."""
        return asyncio.run(self._sql(statement, values, database))

    async def _sql(self, statement: str, values: tuple[str, ...], database: str) -> list[Any]:
        connection: Any = await asyncpg.connect(
            host="127.0.0.1",
            port=self.places.postgres,
            user="postgres",
            database=database,
            timeout=5,
            ssl=False,
        )
        try:
            return list(await connection.fetch(statement, *values, timeout=20))
        finally:
            connection.terminate()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Cluster:
    """etcd, the nodes, haproxy, PgBouncer; everything is ended by `end`, whatever state it is in."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self._folder = folder
        self._rules = rules
        ports = free_ports(4 + 2 * rules.nodes)
        self._etcd_ports, self.proxy_port, self.pooler_port = ports[:2], ports[2], ports[3]
        pairs = zip(ports[4::2], ports[5::2], strict=True)
        places = [Places(f"n{i}", folder / f"n{i}", sql, rest, ports[0]) for i, (sql, rest) in enumerate(pairs, 1)]
        self.nodes = [Node(place, rules) for place in places]
        self.etcd_port = ports[0]
        self.proxy_socket = folder / "haproxy.socket"
        self.struck = 0.0
        """When the fault took the leader away, on the monotonic clock; 0.0: when it began."""

        self._others: list[Program] = []
        self._etcd: Program | None = None

    def start(self) -> None:
        """Returns when the first node leads and the others follow."""
        private(self._folder / "etcd")
        client, peer = (f"http://127.0.0.1:{port}" for port in self._etcd_ports)
        words = {
            "name": "e1",
            "data-dir": str(self._folder / "etcd" / "data"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"e1={peer}",
        }
        options = [text for name, value in words.items() for text in (f"--{name}", value)]
        self._etcd = Program(
            self._folder / "etcd.log", found("etcd") or "", *options, "--unsafe-no-fsync", "--enable-v2"
        )
        self._start_ways()
        self.nodes[0].start()
        until(self.nodes[0].is_leader, "the first node leads")
        for node in self.nodes[1:]:
            node.start()
        self.wait_until_whole()

    def _start_ways(self) -> None:
        """haproxy, which leads to the leader, and PgBouncer in front of it."""
        proxy = self._written(
            "haproxy.cfg",
            configuration.haproxy(self.proxy_port, self.proxy_socket, [each.places for each in self.nodes]),
        )
        pooler = self._written("pgbouncer.ini", configuration.pgbouncer(self.pooler_port, self.proxy_port, ROLE))
        for name, words in (("haproxy", ("-db", "-f", proxy)), ("pgbouncer", (pooler,))):
            self._others.append(Program(self._folder / f"{name}.log", found(name) or "", *words))

    def _written(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text)
        hand_over(path)
        return str(path)

    def freeze_etcd(self, number: int) -> None:
        """SIGSTOP or SIGCONT of etcd: it is away without closing a connection."""
        if self._etcd is not None:
            self._etcd.send(SIGSTOP if number == SIGSTOP else SIGCONT)

    @property
    def leader(self) -> Node:
        """The node that leads; Stuck if none does."""
        found_leader = [node for node in self.nodes if node.is_leader()]
        if len(found_leader) != 1:
            raise Stuck(f"{len(found_leader)} nodes lead")
        return found_leader[0]

    def others(self, node: Node) -> list[Node]:
        """The nodes beside this one: the synchronous standby first."""
        return sorted((each for each in self.nodes if each is not node), key=lambda each: not each.is_synchronous())

    def wait_until_whole(self) -> None:
        """Returns when one node leads and the others receive all that it writes."""
        until(self._is_whole, "a leader and standbys that follow it")

    def _is_whole(self) -> bool:
        try:
            [row] = self.leader.sql(
                "SELECT count(*) FILTER (WHERE state = 'streaming') AS all,"
                " count(*) FILTER (WHERE sync_state = 'sync') AS sync FROM pg_stat_replication"
                " WHERE application_name IN ('n1', 'n2', 'n3')",
                database="postgres",
            )
        except (Stuck, OSError, asyncpg.PostgresError):
            return False
        return bool(row["all"] == self._rules.nodes - 1 and (row["sync"] or not self._rules.synchronous))

    def end(self) -> None:
        """Ends every process, by its id."""
        for node in self.nodes:
            node.kill()
        for program in (*self._others, *([self._etcd] if self._etcd else [])):
            program.kill()
