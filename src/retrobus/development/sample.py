"""The invented collection with which development and tests start."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from uuid import NAMESPACE_URL, uuid5


def vehicles() -> list[dict[str, object]]:
    """Every vehicle as column values, without what PostgreSQL makes (id, version, timestamps)."""
    return _rows("vehicles")


def events() -> list[dict[str, object]]:
    """Every event as column values; `vehicle_id` is the parc of a vehicle of this collection."""
    return _rows("events")


def members() -> list[dict[str, object]]:
    """Every member as column values, without password; the same e-mail always gives the same id."""
    return [{"id": _member_id(str(row["email"])), **row} for row in _rows("members")]


def collection() -> dict[str, list[dict[str, object]]]:
    """The whole collection, by name of the resource."""
    return {"Vehicle": vehicles(), "Event": events(), "Member": members()}


def with_admin() -> dict[str, list[dict[str, object]]]:
    """The whole collection and an ADMIN: what a service in development without a database holds."""
    admin: dict[str, object] = {
        "id": "admin", "email": "admin@example.org", "role": "ADMIN", "membership_status": "ACTIVE"
    }  # fmt: skip
    return {**collection(), "Member": [*members(), admin]}


def _rows(table: str) -> list[dict[str, object]]:
    # Read each time: a caller that changes a row must not change the next caller's collection.
    written = json.loads(files("retrobus").joinpath("sample.json").read_text(encoding="utf-8"))
    defaults, rows = written[table]["defaults"], written[table]["rows"]
    return [{column: _value(column, raw) for column, raw in (defaults | row).items()} for row in rows]


def _value(column: str, raw: object) -> object:
    convert = _CONVERSIONS.get(column)
    return raw if raw is None or convert is None else convert(raw)


def _member_id(email: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"mailto:{email}"))


def _midnight(day: object) -> datetime:
    return datetime.fromisoformat(str(day)).replace(tzinfo=UTC)


def _money(amount: object) -> Decimal:
    return Decimal(str(amount))


def _quantity(number: object) -> float:
    return float(str(number))


def _json_text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False)


_CONVERSIONS: dict[str, Callable[[object], object]] = {
    "mise_en_circulation": _midnight,
    "date": _midnight,
    "birth_date": _midnight,
    "membership_start_date": _midnight,
    "membership_end_date": _midnight,
    "adult_price": _money,
    "child_price": _money,
    "payment_amount": _money,
    "fuel": _quantity,
    "mileage": _quantity,
    "caracteristiques": _json_text,
    "gallery": _json_text,
    "extras": _json_text,
    "permissions": _json_text,
    "created_by": lambda email: _member_id(str(email)),
}
