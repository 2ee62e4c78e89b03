"""The proof that followers hold no ghost: writers of every kind, six followers, and what their copies differ by."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import httpx

from faults.proxy import Proxy, proxy
from harness import LONGEST, SECRET, TOKENS, Api, Process, process, run_sql, until

Rows = dict[str, dict[str, Any]]
FOLLOWERS = {"poll": ("--poll", "0.2"), "stream": (), "public": (), "member": (), "sleeper": (), "cut": ()}
ADMIN, MEMBER = "chef", "membre"
PEOPLE = f"""INSERT INTO member (id, email, role) VALUES ('{ADMIN}', 'chef@example.org', 'ADMIN'),
('{MEMBER}', 'membre@example.org', 'MEMBER') ON CONFLICT DO NOTHING"""
CHECKS, WRITES = 3, 50
"""Comparisons and transactions of a run, at least."""


def changes(random: Random) -> list[str]:
    """SQL of one writer's transaction; a pair of vehicles always says the same, at whatever instant it is read."""
    number = random.randrange(8)
    one, other, event = f"g{number}", f"d{number}", f"e{random.randrange(12)}"
    text, shown = f"état {random.random()}", random.choice(("true", "false"))
    status = random.choice(("PUBLISHED", "DRAFT"))
    return random.choice(
        [
            [f"INSERT INTO vehicle (parc, etat, is_public) VALUES ('{parc}', '{text}', {shown})"
             f" ON CONFLICT (parc) DO UPDATE SET etat = excluded.etat, is_public = excluded.is_public"
             for parc in (one, other)],
            [f"DELETE FROM vehicle WHERE parc IN ('{one}', '{other}')"],
            [f"UPDATE vehicle SET etat = '{text}' WHERE parc IN ('{one}', '{other}')"],
            [f"UPDATE vehicle SET parc = parc || '-{number}' WHERE parc IN ('{one}', '{other}')"],
            [(f"INSERT INTO event (id, title, date, status, vehicle_id) VALUES ('{event}', '{text}', now(),"
             f" '{status}', (SELECT min(parc) FROM vehicle)) ON CONFLICT (id) DO UPDATE"
             f" SET title = excluded.title, status = excluded.status")],
            [f"DELETE FROM event WHERE id = '{event}'"],
            [(f"INSERT INTO member (id, email) VALUES ('m{number}', 'm{number}@example.org') ON CONFLICT (id)"
             f" DO UPDATE SET city = '{text}'")],
            [f"DELETE FROM member WHERE id = 'm{number}'"],
            [f"UPDATE member SET city = '{text}' WHERE id = '{MEMBER}'"],
            ["TRUNCATE event"] if number == 0 else [f"UPDATE event SET status = '{status}'"],
        ]
    )  # fmt: skip


class Proof:
    """One service, its writers and its followers."""

    def __init__(self, url: str, api: Api, folder: Path, seed: int) -> None:
        self.url, self.api, self.folder, self.seed = url, api, folder, seed
        self.writes = self.checks = 0
        self.differences: list[str] = []
        self._quiet, self._over = threading.Event(), threading.Event()
        self._turns = [threading.Lock() for _ in range(4)]
        self._processes: dict[str, Process] = {}
        self._addresses: dict[str, str] = {}

    # --- writers ----------------------------------------------------------------------------------

    def writing(self, number: int, write: Callable[[Random], None]) -> threading.Thread:
        """Writes until it is over, but not while the copies are compared."""

        def run() -> None:
            random = Random(f"{self.seed}-{number}")
            while not self._over.is_set():
                with self._turns[number], suppress(asyncpg.PostgresError, httpx.HTTPError, OSError):
                    if not self._quiet.is_set():
                        write(random)
                        self.writes += 1
                self._over.wait(random.random() / 10)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def by_api(self, random: Random) -> None:
        headers, key = self._headers(ADMIN), f"a{random.randrange(6)}"
        made = self.api.post("/api/events", json={"id": key, "title": "x", "date": "2026-05-01"}, headers=headers)
        if made.status_code == 409:
            status = random.choice(("PUBLISHED", "DRAFT"))
            self.api.patch(f"/api/events/{key}", json={"status": status}, headers=headers)
            if random.random() < 0.5:
                self.api.delete(f"/api/events/{key}", headers=headers)

    def by_psql(self, random: Random) -> None:
        asyncio.run(self._transaction(changes(random), lambda: 0.0, commits=True))

    def paused(self, random: Random) -> None:
        """Pauses between its statements, also before the first; one in five is undone."""
        statements, commits = changes(random) + changes(random), random.random() < 0.8
        asyncio.run(self._transaction(statements, lambda: random.choice((0.0, 0.05, 0.4, 1.5)), commits=commits))

    async def _transaction(self, statements: list[str], pause: Callable[[], float], *, commits: bool) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("SET lock_timeout = '1s'; BEGIN")
            for statement in statements:
                await asyncio.sleep(pause())  # the pause is what is tried: a transaction that stays open
                await connection.execute(statement)
            await asyncio.sleep(pause())
            await connection.execute("COMMIT" if commits else "ROLLBACK")
        finally:
            await connection.close()

    def by_restore(self, random: Random) -> None:
        """Restores the first backup, in place of everything or beside it, or resets the database."""
        doing = random.choice(("restore", "replace", "reset"))
        backups = sorted((self.folder / "backups").glob("backup_*"))
        arguments = ["db", "reset", "--yes"] if doing == "reset" else ["restore", backups[0].name, "--apply", "--yes"]
        self.command(*arguments, *(["--replace"] if doing == "replace" else []))
        run_sql(self.url, PEOPLE)
        self._over.wait(random.random() * 3)

    def command(self, *arguments: str) -> None:
        """One command of the operator."""
        done = Process(list(arguments), self.folder, {"DATABASE_URL": self.url, "JWT_SECRET": SECRET})
        done.wait()

    # --- followers --------------------------------------------------------------------------------

    def _headers(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token(who)}"}

    def _token(self, who: str) -> str:
        rows = run_sql(self.url, f"SELECT id, role, token_epoch FROM member WHERE id = '{who}'")
        return TOKENS.issue(dict(rows[0]))[0] if rows else "x"

    def start(self, name: str) -> None:
        """Starts a follower, or starts it again with a new token: a reset ends every token."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        asked = ["follow", "--base-url", self._addresses.get(name, str(self.api.base_url)), "--into", "copy.json"]
        token = {} if name == "public" else {"TOKEN": self._token(MEMBER if name == "member" else ADMIN)}
        self._processes[name] = Process([*asked, *FOLLOWERS[name]], folder, token)

    def disturbing(self, proxy: Proxy) -> None:
        """Puts one follower to sleep, cuts the line of another, and starts again those that ended."""
        random, cut = Random(self.seed), False
        while not self._over.wait(random.random() / 2):
            for name, found in list(self._processes.items()):
                if found.popen.poll() is not None:
                    self.start(name)
            asleep = self._quiet.is_set() or random.random() < 0.5
            self._processes["sleeper"].popen.send_signal(signal.SIGCONT if asleep else signal.SIGSTOP)
            cut = not cut and not self._quiet.is_set()
            proxy.become("reset" if cut else "pass")

    # --- the judgement ----------------------------------------------------------------------------

    def held(self, name: str) -> Rows:
        """The rows of a copy, as its file has them now."""
        path = self.folder / name / "copy.json"
        kept = json.loads(path.read_text()) if path.exists() else {"rows": {}}
        return {kind: {key: one["row"] for key, one in rows.items()} for kind, rows in kept["rows"].items() if rows}

    def lists(self, name: str) -> Rows:
        """What the lists answer to whom this follower follows for."""
        headers = {} if name == "public" else self._headers(MEMBER if name == "member" else ADMIN)
        prefix = "/public" if name == "public" else "/api"
        found = {
            "Vehicle": self._list(f"{prefix}/vehicles", "parc", headers),
            "Event": self._list(f"{prefix}/events", "id", headers),
        }
        if name == "member":
            found["Member"] = {MEMBER: self.api.get("/api/members/me", headers=headers).json()}
        elif name != "public":
            found["Member"] = self._list("/api/members", "id", headers)
        return {kind: rows for kind, rows in found.items() if rows}

    def _list(self, path: str, key: str, headers: dict[str, str]) -> dict[str, Any]:
        found = self.api.get(path, headers=headers).raise_for_status().json()
        rows = found if isinstance(found, list) else next(value for value in found.values() if isinstance(value, list))
        return {row[key]: row for row in rows}

    def compare(self) -> None:
        """Stops the writers, and waits until each copy is what the lists are; notes the copies that never become so."""
        self._quiet.set()
        with ExitStack() as stack:
            for turn in self._turns:
                stack.enter_context(turn)
            for name in FOLLOWERS:
                wanted = self.lists(name)
                try:
                    until(partial(self._equals, name, wanted))
                except AssertionError:
                    self.differences.append(f"{name}: {difference(self.held(name), wanted)}")
        self.checks += 1
        self._quiet.clear()

    def _equals(self, name: str, wanted: Rows) -> bool:
        return self.held(name) == wanted

    def watch_pairs(self) -> None:
        """Notes every copy that holds one vehicle of a pair as no instant had it."""
        while not self._over.wait(0.2):
            for name in FOLLOWERS:
                vehicles = self.held(name).get("Vehicle", {})
                for key, row in vehicles.items():
                    if key[0] == "g" and vehicles.get(f"d{key[1:]}", {}).get("etat") != row["etat"]:
                        self.differences.append(f"{name}: half of the pair {key} at an instant that never was")

    def is_thin(self) -> bool:
        """Whether a run of few seconds has not done enough yet to prove anything."""
        return self.checks < CHECKS or self.writes < WRITES

    def run(self, seconds: float, proxy: Proxy) -> None:
        """Writes, follows and compares for so long, or for longer on a slow machine, and once more at the end."""
        run_sql(self.url, PEOPLE)
        self.command("backup", "create")
        self._addresses["cut"] = f"http://127.0.0.1:{proxy.port}"
        for name in FOLLOWERS:
            self.start(name)
        threads = [self.writing(n, w) for n, w in enumerate((self.by_api, self.by_psql, self.paused, self.by_restore))]
        for extra in (lambda: self.disturbing(proxy), self.watch_pairs):
            threads.append(threading.Thread(target=extra, daemon=True))
            threads[-1].start()
        end, random = time.monotonic() + seconds, Random(self.seed)
        while time.monotonic() < end or (self.is_thin() and time.monotonic() < end + LONGEST):
            # at random instants: no event says when a copy must be right
            time.sleep(min(2 + random.random() * 6, max(end - time.monotonic(), 1)))
            self.compare()
        self._over.set()
        for thread in threads:
            thread.join()
        for found in self._processes.values():
            found.popen.send_signal(signal.SIGCONT)
            found.popen.kill()
            found.wait()


def difference(held: Rows, wanted: Rows) -> str:
    """What a copy has too much, lacks, or has otherwise."""
    told = []
    for kind in held.keys() | wanted.keys():
        here, there = held.get(kind, {}), wanted.get(kind, {})
        told += [f"{kind} {key} is a ghost" for key in here.keys() - there.keys()]
        told += [f"{kind} {key} is missing" for key in there.keys() - here.keys()]
        told += [f"{kind} {key} is old" for key in here.keys() & there.keys() if here[key] != there[key]]
    return ", ".join(sorted(told)) or "equal, but late"


@contextmanager
def proving(url: str, folder: Path, seed: int) -> Iterator[tuple[Proof, Proxy]]:
    """A proof with a service of its own."""
    with process(url, folder) as (api, _), proxy(api.base_url.port or 80) as line:
        yield Proof(url, api, folder, seed), line
