"""Facts about the options that a restore prints in its plan: pasted as they are, they bring back the rows they name."""

import json
import random
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import Api, run_sql
from retrobus.words import plural

Terminal = Callable[..., tuple[int, str, str]]
KEYS = {
    "vehicle": ["920", "Bus 920", "l'été $HOME", "batch:7", "member:shared", "-x", "--apply", "shared"],
    "event": ["e1", "e2", "e3", "~e4", "-e5", "shared"],
    "member": ["m1", "m2", "m3", "m 4;ls", "batch:", "shared"],
}
INSERT = {
    "vehicle": "INSERT INTO vehicle (parc, modele) VALUES ('{key}', '{word}')",
    "event": "INSERT INTO event (id, title, date) VALUES ('{key}', '{word}', '2026-06-01')",
    "member": "INSERT INTO member (id, email, notes) VALUES ('{key}', '{email}', '{word}')",
}
NAMES = {"vehicle": "parc", "event": "id", "member": "id"}
WORDS = {"vehicle": "modele", "event": "title", "member": "notes"}
Place = tuple[str, str]
PLACES: list[Place] = [(table, key) for table, keys in KEYS.items() for key in keys]


def put(url: str, place: Place, word: str, email: str | None = None) -> None:
    table, key = place
    email = email or f"{PLACES.index(place)}@example.org"
    run_sql(url, INSERT[table].format(key=key.replace("'", "''"), word=word, email=email))


def delete(url: str, places: list[Place], cause: str = "") -> None:
    """Deletes rows in one transaction, as psql does, or as the program does that gives this cause."""
    parts = []
    for table, key in places:
        quoted = key.replace("'", "''")
        parts.append(f"DELETE FROM {table} WHERE {NAMES[table]} = '{quoted}';")
    run_sql(url, f"DO $$ BEGIN PERFORM set_config('retrobus.cause', '{cause}', true); {' '.join(parts)} END $$")


def rows(url: str) -> dict[Place, str]:
    """Every row that is here, by table and key, with the word that tells its state."""
    found: dict[Place, str] = {}
    for table, name in NAMES.items():
        found |= {(table, key): word for key, word in run_sql(url, f"SELECT {name}, {WORDS[table]} FROM {table}")}
    return found


class Restores:
    """One backup, and the commands that an operator types about it."""

    def __init__(self, terminal: Terminal, url: str) -> None:
        self.url = url
        self._terminal = terminal
        code, said, _ = terminal("backup", "create", "--json", url=url)
        assert code == 0
        self.name = json.loads(said)["name"]

    def plan(self, *options: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._run("--json", *options))
        return document

    def text(self, *options: str) -> str:
        return self._run(*options)

    def apply(self, *options: str) -> dict[Place, str]:
        """The rows that the command changed or brought back."""
        before = rows(self.url)
        self._run("--apply", "--yes", *options)
        return {place: word for place, word in rows(self.url).items() if before.get(place) != word}

    def _run(self, *options: str) -> str:
        code, said, error = self._terminal("restore", self.name, *options, url=self.url)
        assert code in {0, 3}, error
        return said


@pytest.fixture
def restores(terminal: Terminal, database: str) -> Restores:
    """A backup of every key, each row in its first state."""
    for place in PLACES:
        put(database, place, "first")
    return Restores(terminal, database)


def named(plan: dict[str, Any]) -> Iterator[tuple[str, set[Place]]]:
    """Each option of a plan, and the rows that it promises."""
    offered = [row for row in plan["buried"] if row["option"]]
    for row in offered:
        yield row["option"], {(row["resource"].lower(), row["key"])}
    for batch, count in plan["batches"].items():
        promised = {(row["resource"].lower(), row["key"]) for row in offered if row["batch"] == int(batch)}
        assert len(promised) == count
        yield f"--include-deleted batch:{batch}", promised


def test_every_key_comes_back_by_the_option_that_is_printed_for_it(restores: Restores) -> None:
    for place in PLACES:
        delete(restores.url, [place])
    printed = [line.rsplit(" : ", 1)[1] for line in restores.text().splitlines() if "--include-deleted" in line]
    options = list(named(restores.plan()))

    assert {place for _, promised in options for place in promised} == set(PLACES)
    assert {option for option, _ in options} >= set(printed)
    for option, promised in options:
        assert set(restores.apply(*shlex.split(option))) == promised
    assert restores.plan()["buried"] == []


def test_a_row_that_was_deleted_again_is_named_by_its_last_deletion(restores: Restores) -> None:
    pair = [("event", "e1"), ("event", "e2")]
    delete(restores.url, pair)
    [first] = restores.plan()["batches"]
    restores.apply("--include-deleted", f"batch:{first}")
    delete(restores.url, pair)
    again = restores.plan()

    [second] = again["batches"]
    assert second != first
    assert restores.apply("--include-deleted", f"batch:{first}") == {}
    told = restores.text("--include-deleted", f"batch:{first}")
    assert f"--include-deleted batch:{first} n'annule la suppression d'aucune ligne de ce backup" in told
    assert set(restores.apply("--include-deleted", f"batch:{second}")) == set(pair)


def test_batches_of_more_rows_than_are_listed_are_named_with_their_true_counts(
    terminal: Terminal, database: str
) -> None:
    run_sql(
        database,
        "INSERT INTO event (id, title, date) SELECT 'e' || n, 'x', '2026-06-01' FROM generate_series(1000, 2450) n",
    )
    restores = Restores(terminal, database)
    run_sql(
        database,
        "DELETE FROM event WHERE id < 'e2300'",
        "DELETE FROM event WHERE id < 'e2400'",
        *(f"DELETE FROM event WHERE id = 'e{n}'" for n in range(2400, 2403)),
    )
    plan, text = restores.plan(), restores.text()

    assert list(plan["batches"].values()) == [1300, 100, 1, 1, 1]
    assert plan["counts"]["Event"]["buried"] == 1403
    assert len(plan["buried"]) == 1000
    assert "… et 1383 autres (--json)" in text
    for batch, count in plan["batches"].items():
        assert f"{plural(count, 'ligne')} : --include-deleted batch:{batch}" in text
        assert len(restores.apply("--include-deleted", f"batch:{batch}")) == count


def test_every_list_that_is_cut_says_how_many_it_leaves_out(terminal: Terminal, database: str) -> None:
    run_sql(
        database,
        "INSERT INTO event (id, title, date) SELECT 'e' || n, 'x', '2026-06-01' FROM generate_series(1, 1200) n",
    )
    restores = Restores(terminal, database)
    run_sql(
        database,
        "UPDATE event SET title = 'y'",
        "INSERT INTO event (id, title, date) SELECT 'f' || n, 'x', '2026-06-01' FROM generate_series(1, 1100) n",
    )

    text = restores.text("--replace")

    assert "… et 1180 autres" in text
    assert "… et 1080 autres" in text


def test_a_row_that_cannot_come_back_has_no_option_but_a_reason(restores: Restores) -> None:
    delete(restores.url, [("member", "m1"), ("member", "m2"), ("event", "e1")])
    put(restores.url, ("member", "m2"), "new")
    run_sql(
        restores.url, f"INSERT INTO member (id, email) VALUES ('other', '{PLACES.index(('member', 'm1'))}@example.org')"
    )

    plan, text = restores.plan(), restores.text()

    assert [row["key"] for row in plan["buried"] if row["option"]] == ["e1"]
    assert plan["batches"] == {}
    assert "membre m1 supprimé depuis" in text
    assert "ne revient pas : email : déjà pris ici par other" in text
    assert "ne revient pas : de retour depuis, laissé tel quel" in text


def test_the_deletion_of_one_table_is_named_by_its_resource(restores: Restores) -> None:
    delete(restores.url, [("event", "shared"), ("vehicle", "shared")])

    options = [row["option"] for row in restores.plan()["buried"]]

    assert options == ["--include-deleted vehicle:shared", "--include-deleted event:shared"]
    assert set(restores.apply("--include-deleted", "shared")) == {("event", "shared"), ("vehicle", "shared")}


def test_a_batch_without_a_number_is_refused_in_one_sentence(restores: Restores, terminal: Terminal) -> None:
    code, _, said = terminal("restore", restores.name, "--include-deleted", "batch:x", url=restores.url)

    assert (code, said) == (1, "❌ --include-deleted batch:N attend un nombre\n")


class History:
    """Things that happen to the rows between a backup and its restore, the same for the same seed."""

    def __init__(self, restores: Restores, api: Api, draw: random.Random) -> None:
        self.restores = restores
        self.api = api
        self.draw = draw
        self.steps = 0

    def go_on(self) -> None:
        happenings = [self.sql, self.clean, self.by_api, self.recreate, self.bring_back, self.take_email, self.erase]
        self.steps += 1
        self.draw.choices(happenings, [3, 1, 1, 1, 3, 1, 1])[0]()

    def some(self, places: list[Place], most: int) -> list[Place]:
        return self.draw.sample(places, min(len(places), self.draw.randint(1, most)))

    @property
    def here(self) -> list[Place]:
        found = rows(self.restores.url)
        return [place for place in PLACES if place in found]

    @property
    def gone(self) -> list[Place]:
        found = rows(self.restores.url)
        return [place for place in PLACES if place not in found]

    def sql(self) -> None:
        delete(self.restores.url, self.some(self.here, 5))

    def clean(self) -> None:
        delete(self.restores.url, self.some(self.here, 5), "clean")

    def erase(self) -> None:
        delete(self.restores.url, self.some([place for place in self.here if place[0] == "member"], 1), "erase")

    def by_api(self) -> None:
        for _, key in self.some([place for place in self.here if place[0] == "event"], 1):
            gone = self.api.delete(f"/api/events/{key}", headers=self.api.person("ADMIN").headers)
            assert gone.is_success

    def recreate(self) -> None:
        for place in self.some(self.gone, 2):
            put(self.restores.url, place, f"again {self.steps}", f"again-{PLACES.index(place)}@example.org")

    def take_email(self) -> None:
        for place in self.some([place for place in self.gone if place[0] == "member"], 1):
            values = f"('t{self.steps}', '{PLACES.index(place)}@example.org')"
            run_sql(self.restores.url, f"INSERT INTO member (id, email) VALUES {values} ON CONFLICT DO NOTHING")

    def bring_back(self) -> None:
        options = [option for option, _ in named(self.restores.plan())]
        for option in self.draw.sample(options, min(len(options), 1)):
            self.restores.apply(*shlex.split(option))


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happened_before_the_options_do_what_they_say(
    restores: Restores, fresh_api: Api, seed: int, *, replace: bool
) -> None:
    draw = random.Random(seed)
    history = History(restores, fresh_api, draw)
    for _ in range(14):
        history.go_on()
    mode = ["--replace"] if replace else []
    restores.apply(*mode)  # what comes back without any option

    while options := list(named(restores.plan(*mode))):
        option, promised = draw.choice(options)
        assert set(restores.apply(*mode, *shlex.split(option))) == promised, option
    left = restores.plan(*mode)
    assert all(row["erased"] or row["obstacle"] for row in left["buried"])
