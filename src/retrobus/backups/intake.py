"""Rows of the predecessor's files made into rows of our tables, with a word about all that had to be decided."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy import Table

from retrobus.model.field_errors import field_errors
from retrobus.model.rows import Row, defaults, fold, unique_columns
from retrobus.model.schemas import EventCreation, MemberCreation, VehicleCreation, Wire, moment_of
from retrobus.model.tables import KEY, PARTICIPANTS_MAX, RESOURCES, key_column, number_column, stored_columns
from retrobus.model.wire import camel

PARIS = ZoneInfo("Europe/Paris")
DAYS = frozenset({"date", "miseEnCirculation", "birthDate", "membershipStartDate", "membershipEndDate"})
"""Fields that mean a day: the predecessor wrote some of them as midnight in Paris."""

MODELS: dict[str, type[Wire]] = {"Vehicle": VehicleCreation, "Event": EventCreation, "Member": MemberCreation}
FORGIVEN = {"Vehicle": ("caracteristiques", "gallery")}
"""Lists shown beside the facts: when they cannot be read, the row comes in without them."""

UNCHECKED = {
    "created_by": "createdBy",
    "current_participants": "currentParticipants",
    "password_hash": "password",
}
"""Columns that the API never takes from a client as they are, and their names in the file."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_NUMBER = 2**31 - 1
KEPT = 1000
"""Rejects that are listed; all are counted."""

_HASH = re.compile(r"\$(2[abxy]?|argon2(id|i|d))\$.{20,300}", re.ASCII)
_MEMBER_ID = re.compile(r"[^/\x00-\x1f\x7f-\x9f]+")
_SPACE = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that does not come in, and why; `key` is None if the row names none."""

    resource: str
    key: str | None
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A row that comes in: what the file did not say, and a password that waits to be hashed."""

    resource: str
    row: Row
    missing: frozenset[str] = frozenset()
    password: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """What the row is addressed by."""
        key: str = self.row[key_column(RESOURCES[self.resource]).name]
        return key


class _Unfit(ValueError):
    """Why a row does not come in."""


@dataclass(slots=True)
class Intake:
    """Takes the rows of one file in their order, each key and each unique value once."""

    public_when_missing: bool = False
    moment: datetime = EPOCH
    """Stands for a missing createdAt: the time of the backup."""

    rejects: list[Reject] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    refused: set[tuple[str, str]] = field(default_factory=set)
    """Resource and key of every reject: nothing may conclude that the backup does not have them."""

    remarks: Counter[str] = field(default_factory=Counter)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)
    _positions: Counter[str] = field(default_factory=Counter)

    def take(self, resource: str, raw: Any, convert: Callable[[str, Any], Taken] | None = None) -> Taken | None:
        """The row; None after noting why not."""
        self._positions[resource] += 1
        try:
            taken = (convert or self._convert)(resource, raw)
            self._claim(taken)
        except (_Unfit, RecursionError, UnicodeEncodeError) as error:
            reason = str(error) if isinstance(error, _Unfit) else "valeurs illisibles"
            self.reject(resource, _key_of(resource, raw), reason)
            return None
        return taken

    def reject(self, resource: str, key: str | None, reason: str) -> None:
        """Notes a row that does not come in."""
        self.rejected[resource] += 1
        if key is not None:
            self.refused.add((resource, key))
        if len(self.rejects) < KEPT:
            self.rejects.append(Reject(resource, key, self._positions[resource], reason))

    def _claim(self, taken: Taken) -> None:
        """Each key, e-mail, matricule and member number belongs to the first row that has it."""
        table = RESOURCES[taken.resource]
        key = key_column(table).name
        claims = [(key, taken.key), *_unique_values(table, taken.row)]
        for column, value in claims:
            if (table.name, column, value) in self._seen:
                raise _Unfit(f"{camel(column)} : déjà pris par une autre ligne du backup")
        self._seen.update((table.name, column, value) for column, value in claims)

    def _convert(self, resource: str, raw: Any) -> Taken:
        if not isinstance(raw, dict):
            raise _Unfit("objet attendu")
        table, values = RESOURCES[resource], {name: _day(name, value) for name, value in raw.items()}
        self._note_days(raw, values)
        row, given = self._checked(resource, values)
        row |= self._stamps(raw, given) | _extras_of(resource, raw)
        given |= {column for column, name in UNCHECKED.items() if name in raw}
        if resource == "Vehicle" and "is_public" not in given:
            row["is_public"] = self.public_when_missing
            self.remarks["Vehicle : isPublic absent"] += 1
        whole = {column.name: row[column.name] for column in stored_columns(table)}
        return Taken(resource, whole, frozenset(whole) - given - _never_missing(table), _clear_password(raw))

    def _note_days(self, raw: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        moved = sum(values[name] is not raw[name] for name in DAYS & raw.keys())
        self.remarks["dates à minuit de Paris, ramenées au jour même"] += moved

    def _checked(self, resource: str, values: dict[str, Any]) -> tuple[Row, set[str]]:
        """Column values by the API's own rules, and which columns the file named."""
        model, table = MODELS[resource], RESOURCES[resource]
        required = {c.name for c in stored_columns(table) if not c.nullable and c.name in model.model_fields}
        said = {n: v for n, v in values.items() if v is not None or n not in {camel(name) for name in required}}
        said.pop("password", None)
        if said.get("role") == "":
            del said["role"]
        try:
            found = model.model_validate(said)
        except ValidationError as error:
            self._forgive(resource, said, field_errors(error))
            found = model.model_validate(said)
        row = {name: value for name, value in defaults(table).items() if name in model.model_fields}
        return row | found.model_dump(exclude_unset=True), set(found.model_fields_set)

    def _forgive(self, resource: str, said: dict[str, Any], errors: list[tuple[str, str]]) -> None:
        unforgiven = [(name, text) for name, text in errors if name not in FORGIVEN.get(resource, ())]
        if unforgiven:
            raise _Unfit("; ".join(f"{name} : {text}" for name, text in unforgiven))
        for name, _ in errors:
            del said[name]
            self.remarks[f"{resource} : {name} illisible, laissé vide"] += 1

    def _stamps(self, raw: Mapping[str, Any], given: set[str]) -> Row:
        """CreatedAt and updatedAt, each standing in for the other; the version is Postgres' to give."""
        found = {name: _moment(camel(name), raw) for name in ("created_at", "updated_at")}
        given.update(name for name, value in found.items() if value is not None)
        created = found["created_at"] or found["updated_at"] or self.moment
        return {"created_at": created, "updated_at": found["updated_at"] or created, "version": 0}


def _never_missing(table: Table) -> frozenset[str]:
    number = number_column(table)
    kept = {"version", "token_epoch", key_column(table).name}
    return frozenset(kept if number is None else kept | {number.name})


def _unique_values(table: Table, row: Row) -> list[tuple[str, str]]:
    key = key_column(table).name
    return [
        (column, fold(row[column]) if folded else row[column])
        for column, folded in unique_columns(table)
        if column != key and row[column] is not None
    ]


def _key_of(resource: str, raw: Any) -> str | None:
    value = raw.get(key_column(RESOURCES[resource]).name) if isinstance(raw, dict) else None
    return str(value)[:KEY] if isinstance(value, str | int) else None


def _day(name: str, value: Any) -> Any:
    """That day at 00:00 UTC for what is exactly midnight in Paris; anything else as it is."""
    if name not in DAYS or not isinstance(value, str) or len(value) < len("2025-01-01T00:00Z"):
        return value
    try:
        local = moment_of(value).astimezone(PARIS)
    except ValueError:
        return value  # the field's own rule says what is wrong
    if local.time() != datetime.min.time() or not local.utcoffset():
        return value
    return local.replace(tzinfo=UTC)


def _moment(name: str, raw: Mapping[str, Any]) -> datetime | None:
    value = raw.get(name)
    if value is None:
        return None
    try:
        return moment_of(value)
    except ValueError as error:
        raise _Unfit(f"{name} : {error}") from None


def _extras_of(resource: str, raw: Mapping[str, Any]) -> Row:
    """The columns that are no field of the API's models."""
    if resource == "Vehicle":
        return {"id": _count(raw.get("id"), LARGEST_NUMBER) or None}
    if resource == "Event":
        if not isinstance(raw.get("id"), str):
            raise _Unfit("id : ce champ est obligatoire")
        return {"current_participants": _count(raw.get("currentParticipants"), PARTICIPANTS_MAX)}
    return _identity(raw)


def _identity(raw: Mapping[str, Any]) -> Row:
    key, creator, password = raw.get("id"), raw.get("createdBy"), raw.get("password")
    if not isinstance(key, str) or not _MEMBER_ID.fullmatch(key) or len(key) > KEY:
        raise _Unfit("id : 1 à 100 caractères, sans « / »")
    if isinstance(raw["email"], str) and _SPACE.search(raw["email"].strip()):
        raise _Unfit("email : sans espace")
    if not isinstance(password, str | None):
        raise _Unfit("password : texte attendu")
    key.encode()
    known = isinstance(creator, str) and len(creator) <= KEY and _MEMBER_ID.fullmatch(creator)
    return {
        "id": key,
        "created_by": creator if known else None,
        "password_hash": password if password and _HASH.fullmatch(password) else None,
        "token_epoch": 0,
    }


def _clear_password(raw: Mapping[str, Any]) -> str | None:
    password = raw.get("password")
    if not isinstance(password, str) or not password or _HASH.fullmatch(password):
        return None
    password.encode()
    return password


def _count(value: Any, largest: int) -> int:
    return value if type(value) is int and 0 < value <= largest else 0
