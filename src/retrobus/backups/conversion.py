"""Makes rows of the predecessor's files into rows of our tables, and remarks on every value that had to be guessed."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from retrobus.backups.intake import Illegible, Taken, Unfit
from retrobus.model.events import EventCreation
from retrobus.model.field_errors import field_errors
from retrobus.model.fields import Wire
from retrobus.model.limits import KEY, NUMBER_MAX, PARTICIPANTS_MAX
from retrobus.model.members import MemberCreation
from retrobus.model.names import camel
from retrobus.model.quantities import moment_of
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import Row, defaults
from retrobus.model.vehicles import VehicleCreation

PARIS = ZoneInfo("Europe/Paris")
DAYS = frozenset({"date", "miseEnCirculation", "birthDate", "membershipStartDate", "membershipEndDate"})
"""Fields that mean a day: the predecessor wrote some of them as midnight in Paris."""

INSTANTS = DAYS | {"createdAt", "updatedAt"}
"""Fields that the predecessor's database keeps as a UTC timestamp without its zone."""

FORGIVEN = ("caracteristiques", "gallery")
"""Lists shown beside the facts: when they cannot be read, the vehicle comes in without them."""

UNCHECKED = {
    "created_by": "createdBy",
    "current_participants": "currentParticipants",
    "password_hash": "password",
}
"""Columns that the API never takes from a client as they are, and their names in the file."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH = re.compile(r"\$(2[abxy]?|argon2(id|i|d))\$.{20,300}", re.ASCII)
_MEMBER_ID = re.compile(r"[^/\x00-\x1f\x7f-\x9f]+")
_ZONELESS = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?", re.ASCII)
_SPACE = re.compile(r"\s")


@dataclass(slots=True)
class Conversion:
    """One file's rows. `moment`, the time of the backup, stands for a missing createdAt; `remarks` are counted."""

    public_when_missing: bool = False
    moment: datetime = EPOCH
    remarks: Counter[str] = field(default_factory=Counter)

    def taken(self, resource: Resource, raw: Any) -> Taken:
        """The row; Unfit if no table can hold it."""
        if not isinstance(raw, dict) or isinstance(raw, Illegible):
            raise Unfit(raw.reason if isinstance(raw, Illegible) else "objet attendu")
        raw = {name: _zoned(name, value) for name, value in raw.items()}
        values = {name: _day(name, value) for name, value in raw.items()}
        moved = sum(values[name] is not raw[name] for name in DAYS & raw.keys())
        self.remarks["dates à minuit de Paris, ramenées au jour même"] += moved
        row, given = self._checked(resource, values)
        row |= self._stamps(raw, given) | UNMODELLED[resource](raw)
        given |= {column for column, name in UNCHECKED.items() if name in raw}
        if resource is VEHICLE and "is_public" not in given:
            row["is_public"] = self.public_when_missing
            self.remarks["Vehicle : isPublic absent"] += 1
        whole = {column.name: row[column.name] for column in resource.columns}
        never = {"version", "token_epoch", resource.key, resource.number}
        return Taken(resource.name, whole, frozenset(whole) - given - never, _clear_password(raw))

    def _checked(self, resource: Resource, values: dict[str, Any]) -> tuple[Row, set[str]]:
        """Column values by the API's own rules, and the columns that the file names."""
        model = MODELS[resource]
        required = {camel(c.name) for c in resource.columns if not c.nullable and c.name in model.model_fields}
        said = {name: value for name, value in values.items() if value is not None or name not in required}
        said.pop("password", None)
        if said.get("role") == "":
            del said["role"]
        try:
            found = model.model_validate(said)
        except ValidationError as error:
            self._forgive(said, field_errors(error))
            found = model.model_validate(said)
        row = {name: value for name, value in defaults(resource).items() if name in model.model_fields}
        return row | found.model_dump(exclude_unset=True), set(found.model_fields_set)

    def _forgive(self, said: dict[str, Any], errors: list[tuple[str, str]]) -> None:
        unforgiven = [f"{name} : {text}" for name, text in errors if name not in FORGIVEN]
        if unforgiven:
            raise Unfit("; ".join(unforgiven))
        for name, _ in errors:
            del said[name]
            self.remarks[f"Vehicle : {name} illisible, laissé vide"] += 1

    def _stamps(self, raw: Mapping[str, Any], given: set[str]) -> Row:
        """CreatedAt and updatedAt, each standing in for the other; the file says no author, PostgreSQL the version."""
        found = {name: _moment(camel(name), raw) for name in ("created_at", "updated_at")}
        given.update(name for name, value in found.items() if value is not None)
        created = found["created_at"] or found["updated_at"] or self.moment
        updated = found["updated_at"] or created
        return {"created_at": created, "updated_at": updated, "updated_by": None, "version": 0}


def _zoned(name: str, value: Any) -> Any:
    """The instant with its zone, if `json_agg` wrote it of a column without one: the predecessor stored UTC."""
    if name in INSTANTS and isinstance(value, str) and _ZONELESS.fullmatch(value):
        return f"{value}Z"
    return value


def _day(name: str, value: Any) -> Any:
    """That day at 00:00 UTC for a day that is exactly midnight in Paris; any other value as it is."""
    if name not in DAYS or not isinstance(value, str) or len(value) < len("2025-01-01T00:00Z"):
        return value
    try:
        local = moment_of(value).astimezone(PARIS)
    except ValueError:
        return value  # the model of the API says what is wrong with it
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
        raise Unfit(f"{name} : {error}") from None


def _of_a_vehicle(raw: Mapping[str, Any]) -> Row:
    return {"id": _count(raw.get("id"), NUMBER_MAX) or None}


def _of_an_event(raw: Mapping[str, Any]) -> Row:
    if not isinstance(raw.get("id"), str):
        raise Unfit("id : ce champ est obligatoire")
    return {"current_participants": _count(raw.get("currentParticipants"), PARTICIPANTS_MAX)}


def _of_a_member(raw: Mapping[str, Any]) -> Row:
    key, creator, password = raw.get("id"), raw.get("createdBy"), raw.get("password")
    key = checked_member_id(key)
    if isinstance(raw["email"], str) and _SPACE.search(raw["email"].strip()):
        raise Unfit("email : sans espace")
    if not isinstance(password, str | None):
        raise Unfit("password : texte attendu")
    known = isinstance(creator, str) and len(creator) <= KEY and _MEMBER_ID.fullmatch(creator)
    return {
        "id": key,
        "created_by": creator if known else None,
        "password_hash": password if password and _HASH.fullmatch(password) else None,
        "token_epoch": 0,
    }


def checked_member_id(key: Any) -> str:
    """The id of a member, if it can stand in an address."""
    if not isinstance(key, str) or not _MEMBER_ID.fullmatch(key) or len(key) > KEY:
        raise Unfit("id : 1 à 100 caractères, sans « / »")
    key.encode()  # UnicodeEncodeError for a lone surrogate, which no column holds
    return key


MODELS: dict[Resource, type[Wire]] = {VEHICLE: VehicleCreation, EVENT: EventCreation, MEMBER: MemberCreation}
"""What the API checks of a new row."""

UNMODELLED: dict[Resource, Callable[[Mapping[str, Any]], Row]] = {
    VEHICLE: _of_a_vehicle,
    EVENT: _of_an_event,
    MEMBER: _of_a_member,
}
"""The columns that are no field of the API's models."""


def _clear_password(raw: Mapping[str, Any]) -> str | None:
    password = raw.get("password")
    if not isinstance(password, str) or not password or _HASH.fullmatch(password):
        return None
    password.encode()
    return password


def _count(value: Any, largest: int) -> int:
    return value if type(value) is int and 0 < value <= largest else 0
