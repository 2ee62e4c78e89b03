"""What is read from a backup of our own and from a copied database, line by line and without any database."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from retrobus.backups import BadBackup, lines
from retrobus.backups.conversion import EPOCH
from retrobus.backups.formats import Hints, Reading, open_reading, read_backup
from retrobus.backups.intake import Damaged, TableRead, Taken, Tombstone
from retrobus.backups.manifest import DATA, FORMAT, MANIFEST, Manifest
from retrobus.backups.predecessor_copy import CopiedTable, Copy
from retrobus.model.names import camel
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import completed, encode

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAME = "backup_2026-01-31T14-05-06-000Z"
TOMBSTONE = {
    "resource": "Vehicle", "key": "415", "deletedAt": "2026-05-01T14:00:00.000+02:00", "cause": "api", "batch": 7,
    "actor": "m1",
}  # fmt: skip


def said(resource: Resource, **values: Any) -> dict[str, Any]:
    """A row as our file says it."""
    row = completed(resource, {"version": 3, "created_at": AT, "updated_at": AT, **values})
    return {camel(name): value for name, value in encode(resource, row).items()}


VEHICLES = [said(VEHICLE, parc="920", id=1, fuel=62.5), said(VEHICLE, parc="921", id=2)]
EVENTS = [said(EVENT, id="e1", title="Fête", date=AT, adult_price=Decimal("12.50"))]


def table(name: str, rows: list[dict[str, Any]], end: str, count: int | None = None) -> str:
    told = ",".join(f"\n{json.dumps(row, ensure_ascii=False)}" for row in rows)
    return f'"{name}": {{"count": {len(rows) if count is None else count}, "data": [{told}]}}{end}'


def content(tombstones: list[dict[str, Any]] | None = None, **wrong: int) -> bytes:
    """The data of a backup of ours; `wrong` are counts that it announces wrongly."""
    told = f'{{"format": "{FORMAT}", "timestamp": "2026-05-01T12:00:00.000Z", "tables": {{\n'
    told += table("Vehicle", VEHICLES, ",\n", wrong.get("Vehicle"))
    told += table("Event", EVENTS, ",\n", wrong.get("Event"))
    told += table("members", [], "},\n", wrong.get("members"))
    told += table("tombstones", [TOMBSTONE] if tombstones is None else tombstones, "}\n", wrong.get("Tombstones"))
    return told.encode()


def manifest(**values: Any) -> Manifest:
    counts = {"Vehicle": 2, "Event": 1, "members": 0, "tombstones": 1}
    return Manifest(
        **({"name": NAME, "timestamp": "2026-05-01T12:00:00.000Z", "format": FORMAT, "counts": counts} | values)
    )


def reading(data: bytes, **values: Any) -> Reading:
    return Reading(BytesIO(data), NAME, manifest(**values))


def tables_of(data: bytes) -> list[tuple[str, list[Any], Any]]:
    found = []
    for one in lines.tables(BytesIO(data)):
        assert one.rows is not None
        found.append((one.name, list(one.rows), one.announced))
    return found


def test_a_file_of_ours_is_read_line_by_line() -> None:
    assert tables_of(content()) == [
        ("Vehicle", VEHICLES, 2), ("Event", EVENTS, 1), ("members", [], 0), ("tombstones", [TOMBSTONE], 1),
    ]  # fmt: skip
    assert tables_of(content([])) == [
        ("Vehicle", VEHICLES, 2),
        ("Event", EVENTS, 1),
        ("members", [], 0),
        ("tombstones", [], 0),
    ]


@pytest.mark.parametrize("end", ["]}\n", "]},\n", "]}},\n", "]}}\n"])
def test_a_table_ends_as_any_table_of_ours_does(end: str) -> None:
    data = f'{{"format": "retrobus-x"\n"Event": {{"count": 2, "data": [\n{{"id":"e1"}},\n{{"id":"e2"}}{end}'

    assert tables_of(data.encode()) == [("Event", [{"id": "e1"}, {"id": "e2"}], 2)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"format": "autre"}\n',
        content().replace(b'{"format"', b'{ "format"'),
        content().replace(b'"count": 2', b'"count": x'),
        content().replace(b'{"parc"', b'{parc"', 1).replace(b'"parc": "920"', b'"parc": 920 1'),
        content()[:-40],
        content()[: content().index(b'"Event"') - 3],
        content().replace("Fête".encode(), b"F\xeate"),
    ],
    ids=["nothing", "another format", "another head", "another table", "no JSON", "cut", "cut in a table", "no UTF-8"],
)
def test_a_file_of_ours_that_is_cut_or_changed_gives_no_row(data: bytes) -> None:
    with pytest.raises(Damaged, match="coupé ou mal formé"):
        tables_of(data)


def test_a_line_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    data = content()
    longest = max(len(line) for line in data.splitlines(keepends=True))
    monkeypatch.setattr(lines, "LARGEST_LINE", longest)
    fits = tables_of(data)
    monkeypatch.setattr(lines, "LARGEST_LINE", longest - 1)

    with pytest.raises(Damaged, match="dépasse"):
        tables_of(data)
    assert len(fits) == 4


def test_a_line_may_have_thirty_two_mebibytes_and_no_more_is_read() -> None:
    class Counted(BytesIO):
        asked: int | None = None

        def readline(self, size: int | None = -1, /) -> bytes:
            self.asked = size
            return super().readline(size)

    file = Counted(content())
    next(iter(lines.tables(file)))

    assert file.asked == lines.LARGEST_LINE + 1 == 33_554_433


def test_the_name_of_a_table_is_found_at_its_first_line() -> None:
    assert lines.table_in(b'"Event": {"count": 2, "data": [\n') == "Event"
    assert lines.table_in(b'"members": {"count": 0, "data": []}},\n') == "members"
    assert lines.table_in(b'{"id":"e1"},\n') is None


def test_a_row_of_ours_comes_back_value_for_value() -> None:
    vehicle, event = lines.taken(VEHICLE, VEHICLES[0]), lines.taken(EVENT, EVENTS[0])

    assert (vehicle.resource, vehicle.key, vehicle.missing) == ("Vehicle", "920", frozenset())
    assert vehicle.row == completed(
        VEHICLE, {"version": 3, "created_at": AT, "updated_at": AT, "parc": "920", "id": 1, "fuel": 62.5}
    )
    assert (type(vehicle.row["fuel"]), event.row["adult_price"], event.row["child_price"]) == (
        float,
        Decimal("12.50"),
        None,
    )
    assert (event.row["date"], event.row["created_at"].tzinfo) == (AT, UTC)


def test_a_number_that_json_writes_without_a_point_is_a_number_of_its_column() -> None:
    vehicle = lines.taken(VEHICLE, VEHICLES[0] | {"fuel": 62, "mileage": None})
    event = lines.taken(EVENT, EVENTS[0] | {"adultPrice": 12.1})

    assert (type(vehicle.row["fuel"]), vehicle.row["mileage"]) == (float, None)
    assert event.row["adult_price"] == Decimal("12.1")


def test_columns_that_an_older_file_lacks_have_their_defaults_and_are_named() -> None:
    older = {name: value for name, value in EVENTS[0].items() if name not in {"status", "layout"}}

    taken = lines.taken(EVENT, older)

    assert taken.missing == {"status", "layout"}
    assert (taken.row["status"], taken.row["layout"], taken.row["title"]) == ("DRAFT", None, "Fête")


@pytest.mark.parametrize(
    "raw",
    [
        {"id": None}, {"date": "hier"}, {"date": 12}, {"adultPrice": "douze"}, {"id": 7}, {"id": "\ud800"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_row_of_ours_that_cannot_be_read_is_damage(raw: dict[str, Any]) -> None:
    with pytest.raises(Damaged, match="une ligne de Event est illisible"):
        lines.taken(EVENT, EVENTS[0] | raw)


@pytest.mark.parametrize("raw", [None, [], "e1"])
def test_what_is_no_row_is_damage(raw: Any) -> None:
    with pytest.raises(Damaged, match="une ligne de Event est illisible"):
        lines.taken(EVENT, raw)


def test_a_deletion_of_ours_says_what_when_why_and_by_whom() -> None:
    assert lines.tombstone(TOMBSTONE) == Tombstone("Vehicle", "415", AT, "api", 7, "m1")


@pytest.mark.parametrize("raw", [None, {}, TOMBSTONE | {"deletedAt": "hier"}, {**TOMBSTONE, "deletedAt": 3}], ids=repr)
def test_a_deletion_that_cannot_be_read_is_damage(raw: Any) -> None:
    with pytest.raises(Damaged, match="une suppression y est illisible"):
        lines.tombstone(raw)


def test_a_backup_of_ours_gives_rows_and_deletions_in_the_order_of_the_file() -> None:
    backup = reading(content())

    found = list(backup)

    assert [one.key for one in found] == ["920", "921", "e1", "415"]
    assert [type(one) for one in found] == [Taken, Taken, Taken, Tombstone]
    assert (backup.ours, backup.shape, backup.timestamp) == (True, FORMAT, AT)
    assert dict(backup.read) == {"Vehicle": 2, "Event": 1, "Member": 0, "tombstones": 1}
    assert (backup.foreign, backup.warnings, backup.intake.rejects) == ({}, [], [])


def test_before_it_is_read_a_backup_has_no_shape() -> None:
    assert reading(content()).shape == ""
    assert Reading(BytesIO(), "x", None).ours is False
    assert reading(content()).position("920") == 0


@pytest.mark.parametrize("name", ["Vehicle", "Event", "members", "Tombstones"])
def test_a_count_that_disagrees_is_damage_in_a_file_of_ours(name: str) -> None:
    with pytest.raises(BadBackup, match=f"{NAME} est endommagé : (?i:{name}) : .*Rien n'en a été lu"):
        list(reading(content(None, **{name: 9})))


def test_a_count_of_the_manifest_that_disagrees_is_damage_and_each_is_named() -> None:
    with pytest.raises(
        BadBackup, match=r"Vehicle : 9 lignes annoncées, 2 lues; manifest.json : 7 lignes annoncées, 4 lues"
    ):
        list(reading(content(), counts={"Vehicle": 9}, total=7))


def test_a_total_that_agrees_is_no_damage() -> None:
    assert len(list(reading(content(), total=4))) == 4


def test_a_table_that_comes_twice_is_damage() -> None:
    twice = content().replace(b'"Event"', b'"Vehicle"')

    with pytest.raises(BadBackup, match="la table Vehicle y est deux fois"):
        list(reading(twice))


def test_another_table_that_comes_twice_is_damage_without_its_name() -> None:
    data = f'{{"format": "{FORMAT}"\n' + table("autre", [{"a": 1}], ",\n") + table("autre", [], "}\n")

    with pytest.raises(BadBackup, match="une table y est deux fois"):
        list(reading(data.encode()))


def test_a_file_without_a_table_of_ours_is_damage() -> None:
    data = f'{{"format": "{FORMAT}"\n' + table("autre", [{"a": 1}], "}\n")

    with pytest.raises(BadBackup, match="aucune table Vehicle, Event ou members"):
        list(reading(data.encode()))


def test_rows_of_other_tables_are_counted_and_not_taken() -> None:
    data = f'{{"format": "{FORMAT}"\n' + table("Event", EVENTS, ",\n") + table("autre", [{"a": 1}], "}\n")
    backup = reading(data.encode(), counts={})

    assert [one.key for one in backup] == ["e1"]
    assert backup.foreign == {"autre": 1}


def the_copy(*rows: bytes, **values: Any) -> Copy:
    told = b"".join(rows)
    return Copy("hôte/base", BytesIO(told), "2026-05-01T12:00:00.000Z", **values)


def test_a_copied_database_gives_its_rows_and_says_what_else_it_has() -> None:
    row = json.dumps({"id": "e1", "title": "Fête", "date": "2026-05-01T00:00:00"}).encode()
    copy = the_copy(
        b'"e1"\t' + row + b"\n",
        tables=[CopiedTable("Event", EVENT, 1), CopiedTable("members", MEMBER, 0)],
        foreign={"flash": 3},
        warnings=["remarque"],
    )

    with open_reading(copy, Hints(public_when_missing=True)) as backup:
        (taken,) = backup

    assert isinstance(taken, Taken)
    assert (taken.key, taken.row["created_at"]) == ("e1", AT)
    assert (backup.name, backup.shape, backup.ours, backup.timestamp) == ("hôte/base", "PostgreSQL", False, AT)
    assert backup.foreign == {"flash": 3}
    assert backup.warnings[0] == "remarque"


def predecessor(folder: Path, name: str, said: Any, hints: Hints | None = None) -> Reading:
    path = folder / name
    path.write_text(json.dumps(said), encoding="utf-8")
    with open_reading(path, hints) as backup:
        list(backup)
    return backup


OLD_EVENT = {"id": "e1", "title": "Fête", "date": "2026-05-01T00:00:00"}


@pytest.mark.parametrize(
    ("name", "said_at", "expected"),
    [
        ("backup-2025-12-01T14-05-06-000Z.json", {}, datetime(2025, 12, 1, 14, 5, 6, tzinfo=UTC)),
        ("backup-2025-12-01T14-05-06-000Z.json", {"timestamp": "2026-05-01T12:00:00Z"}, AT),
        ("backup-2025-12-01T14-05-06-000Z.json", {"savedAt": "2026-05-01T12:00:00Z"}, AT),
        ("export.json", {"timestamp": "hier", "savedAt": "2026-05-01T12:00:00Z"}, AT),
        ("export.json", {}, None),
    ],
    ids=repr,
)
def test_the_time_of_a_file_stands_for_a_missing_createdat(
    tmp_path: Path, name: str, said_at: dict[str, str], expected: datetime | None
) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"Event": [OLD_EVENT], **said_at}), encoding="utf-8")

    with open_reading(path) as backup:
        (taken,) = backup

    assert isinstance(taken, Taken)
    assert backup.timestamp == expected
    assert taken.row["created_at"] == (expected or EPOCH)


def test_a_bare_array_takes_the_time_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "events-2025-12-01T14-05-06.json"
    path.write_text(json.dumps([OLD_EVENT]), encoding="utf-8")

    with open_reading(path, Hints(table=EVENT)) as backup:
        (taken,) = backup

    assert isinstance(taken, Taken)
    assert (backup.shape, taken.key) == ("A", "e1")
    assert taken.row["created_at"] == datetime(2025, 12, 1, 14, 5, 6, tzinfo=UTC)


def test_a_bare_array_without_a_time_is_of_the_epoch_and_needs_a_table(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps([OLD_EVENT]), encoding="utf-8")

    with open_reading(path, Hints(table=EVENT)) as backup:
        (taken,) = backup
    with open_reading(path) as unknown, pytest.raises(BadBackup, match="--table"):
        list(unknown)

    assert isinstance(taken, Taken)
    assert taken.row["created_at"] == EPOCH


def test_a_table_of_ours_without_rows_is_damage_and_any_other_is_passed_over(tmp_path: Path) -> None:
    backup = predecessor(tmp_path, "a.json", {"tables": {"Event": {"data": []}, "autre": {"data": 3}}})

    with pytest.raises(BadBackup, match="la table Vehicle n'a pas de lignes"):
        predecessor(tmp_path, "b.json", {"tables": {"Event": {"data": []}, "Vehicle": {"data": 3}}})
    assert backup.foreign == {}


def test_what_the_predecessor_calls_tombstones_is_no_deletion_of_ours(tmp_path: Path) -> None:
    backup = predecessor(tmp_path, "a.json", {"Event": [OLD_EVENT], "tombstones": [{"a": 1}]})

    assert dict(backup.read) == {"Event": 1, "tombstones": 1}
    assert backup.foreign == {}


def test_a_count_that_disagrees_in_a_file_of_the_predecessor_is_a_remark(tmp_path: Path) -> None:
    backup = predecessor(
        tmp_path, "a.json", {"tables": {"Event": {"count": 3, "data": [OLD_EVENT]}, "x": {"data": [1]}}}
    )

    assert backup.warnings[0] == "Event : 3 lignes annoncées, 1 lue"
    assert TableRead("x", None).announced is None


def test_a_whole_backup_of_ours_has_every_row_and_every_deletion(tmp_path: Path) -> None:
    data = content([TOMBSTONE, TOMBSTONE | {"key": "416"}])
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / DATA).write_bytes(data)
    counts = {"Vehicle": 2, "Event": 1, "members": 0, "tombstones": 2}
    said = manifest(counts=counts, size=len(data), sha256=sha256(data).hexdigest())
    (folder / MANIFEST).write_bytes(said.written())

    backup = read_backup(folder)

    assert [row["parc"] for row in backup.rows["Vehicle"]] == ["920", "921"]
    assert [row["id"] for row in backup.rows["Event"]] == ["e1"]
    assert [tombstone.key for tombstone in backup.tombstones] == ["415", "416"]


def test_a_vehicle_without_a_number_takes_the_number_of_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Vehicle": [{"parc": "a"}, {"parc": "b", "id": 1}]}), encoding="utf-8")

    vehicles = read_backup(path).rows["Vehicle"]

    assert {row["parc"]: row["id"] for row in vehicles} == {"a": 2, "b": 1}
