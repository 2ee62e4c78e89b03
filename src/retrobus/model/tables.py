"""The database: every table as SQLAlchemy Core sees it; triggers and functions are in the migrations."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID
from sqlalchemy.sql import quoted_name

SHORT, TITLE, LONG, URL, KEY, PARC = 200, 300, 20_000, 2_000, 100, 50
JSON_BYTES, GALLERY_ENTRIES, PERMISSIONS = 65_536, 100, 100
MONEY_MAX, FUEL_MAX, MILEAGE_MAX, PARTICIPANTS_MAX = 1_000_000, 100, 100_000_000, 1_000_000
FIRST_YEAR, LAST_YEAR = 1800, 2200
NUMBER_MAX = 2**31 - 1

EVENT_STATUSES = ("DRAFT", "PUBLISHED", "ARCHIVED")
MEMBERSHIP_TYPES = ("STANDARD", "FAMILY", "STUDENT", "HONORARY", "LIFETIME", "BIENFAITEUR")
MEMBERSHIP_STATUSES = ("PENDING", "ACTIVE", "EXPIRED", "SUSPENDED", "CANCELLED")
PAYMENT_METHODS = ("CASH", "CHECK", "CARD", "TRANSFER", "BANK_TRANSFER", "HELLOASSO", "PAYPAL")
ROLES = (
    "MEMBER", "DRIVER", "BUREAU", "ADMIN", "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL",
)  # fmt: skip
MEMBER_STATUSES = ("active", "terminated", "disabled")
NAME_KEY, PARC_KEY = "retrobus_name_key", "retrobus_parc_key"
CAUSES = ("api", "sql", "clean", "reset", "restore", "erase")

metadata = MetaData(naming_convention={"pk": "%(table_name)s_pkey", "uq": "%(table_name)s_%(column_0_name)s"})
REVISION = "0009"
"""The migration that this code expects; a test compares it with the newest one (Alembic itself costs 9 MiB)."""

row_version = "row_version"
"""The one sequence from which every version of every table is drawn (created by the first migration)."""


class Moment(TIMESTAMP):
    """timestamptz(3): an instant to the millisecond."""

    def __init__(self) -> None:
        super().__init__(timezone=True, precision=3)


def _words(name: str, length: int, *, nullable: bool = True, default: str | None = None) -> Column[Any]:
    """A text column whose order is that of its bytes, so that memory and Postgres sort alike."""
    server_default = None if default is None else text(f"'{default}'")
    return Column(name, String(length, collation="C"), nullable=nullable, server_default=server_default)


def _moment(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, Moment(), nullable=nullable)


def _json(name: str, *, nullable: bool = False, default: str | None = "[]") -> Column[Any]:
    return Column(name, JSONB, nullable=nullable, server_default=None if default is None else text(f"'{default}'"))


def _stamps() -> list[Column[Any]]:
    return [
        Column("created_at", Moment(), nullable=False, server_default=func.now()),
        Column("updated_at", Moment(), nullable=False, server_default=func.now()),
        Column("version", BigInteger, nullable=False),
    ]


def _wire(*names: str) -> list[Column[Any]]:
    """Pieces of the row's wire JSON, written by the table's trigger and by nothing else."""
    return [Column(name, Text(collation="C"), nullable=False) for name in names]


def _sort_key(source: str, function: str) -> Column[Any]:
    """What a list is sorted by, in place of the text itself; `retrobus.model.sorting` computes the same in memory."""
    key = Computed(f"{function}({source})", persisted=True)
    return Column(f"sort_{source}", Text(collation="C"), key, info={"source": source, "function": function})


def _check(table: str, column: str, rule: str) -> CheckConstraint:
    """A rule of one column: its name tells which field an error is about."""
    return CheckConstraint(rule, name=quoted_name(f"{table}_{column}_check", quote=None))


def _one_of(table: str, column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return _check(table, column, f"{column} IN ({listed})")


def _between(table: str, column: str, low: int, high: int) -> CheckConstraint:
    return _check(table, column, f"{column} BETWEEN {low} AND {high}")


def _in_years(table: str, column: str) -> CheckConstraint:
    return _check(
        table,
        column,
        f"{column} >= '{FIRST_YEAR}-01-01 00:00:00+00' AND {column} < '{LAST_YEAR + 1}-01-01 00:00:00+00'",
    )


def _long(table: str, column: str, limit: int = LONG) -> CheckConstraint:
    return _check(table, column, f"char_length({column}) <= {limit}")


def _small_json(table: str, column: str, kind: str) -> CheckConstraint:
    return _check(table, column, f"jsonb_typeof({column}) = '{kind}' AND octet_length({column}::text) <= {JSON_BYTES}")


vehicle = Table(
    "vehicle",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    _words("parc", PARC, nullable=False),
    _words("type", SHORT, nullable=False, default="Bus"),
    _words("modele", SHORT, nullable=False, default=""),
    _words("marque", SHORT),
    _words("subtitle", SHORT),
    _words("immat", SHORT),
    _words("etat", SHORT, nullable=False, default="disponible"),
    _moment("mise_en_circulation"),
    _words("energie", SHORT),
    Column("description", Text(collation="C")),
    Column("history", Text(collation="C")),
    _json("caracteristiques"),
    _json("gallery"),
    Column("background_image", Text(collation="C")),
    _words("background_position", SHORT),
    Column("is_public", Boolean, nullable=False, server_default=text("false")),
    Column("fuel", Float(53)),
    Column("mileage", Float(53)),
    *_stamps(),
    *_wire("wire_public", "wire_images", "wire_private"),
    _sort_key("parc", PARC_KEY),
    Index("vehicle_parc", "parc", unique=True),
    Index("vehicle_sort_parc_parc", "sort_parc", "parc"),
    Index("vehicle_version", "version"),
    _check("vehicle", "parc", "parc <> '' AND parc = btrim(parc) AND parc !~ '[/[:cntrl:]]'"),
    _long("vehicle", "description"),
    _long("vehicle", "history"),
    _in_years("vehicle", "mise_en_circulation"),
    _small_json("vehicle", "caracteristiques", "array"),
    _check(
        "vehicle",
        "gallery",
        f"jsonb_typeof(gallery) = 'array' AND jsonb_array_length(gallery) <= {GALLERY_ENTRIES}",
    ),
    _check(
        "vehicle",
        "background_image",
        f"char_length(background_image) <= {URL} OR starts_with(background_image, 'data:')",
    ),
    _between("vehicle", "fuel", 0, FUEL_MAX),
    _between("vehicle", "mileage", 0, MILEAGE_MAX),
    info={"resource": "Vehicle", "key": "parc", "number": "id", "order": (("sort_parc", "asc"), ("parc", "asc"))},
)

event = Table(
    "event",
    metadata,
    Column("id", String(KEY, collation="C"), primary_key=True),
    _words("title", TITLE, nullable=False),
    _moment("date", nullable=False),
    _words("time", 5),
    _words("location", SHORT),
    Column("description", Text(collation="C")),
    _words("hello_asso_url", URL),
    _words("layout", SHORT),
    Column("adult_price", Numeric(9, 2)),
    Column("child_price", Numeric(9, 2)),
    Column(
        "vehicle_id",
        String(PARC, collation="C"),
        ForeignKey("vehicle.parc", name="event_vehicle_id_fkey", ondelete="SET NULL", onupdate="CASCADE"),
    ),
    _words("status", 20, nullable=False, default="DRAFT"),
    _json("extras", nullable=True, default=None),
    Column("max_participants", Integer),
    Column("current_participants", Integer, nullable=False, server_default=text("0")),
    *_stamps(),
    *_wire("wire"),
    Index("event_date_id", text("date DESC"), "id"),
    Index("event_vehicle_id", "vehicle_id"),
    Index("event_version", "version"),
    _check("event", "id", "id ~ '^[A-Za-z0-9._~-]+$' AND id NOT IN ('.', '..')"),
    _check("event", "title", "btrim(title) <> ''"),
    _in_years("event", "date"),
    _check("event", "time", "time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'"),
    _long("event", "description"),
    _between("event", "adult_price", 0, MONEY_MAX),
    _between("event", "child_price", 0, MONEY_MAX),
    _one_of("event", "status", EVENT_STATUSES),
    _small_json("event", "extras", "object"),
    _between("event", "max_participants", 0, PARTICIPANTS_MAX),
    _between("event", "current_participants", 0, PARTICIPANTS_MAX),
    info={"resource": "Event", "key": "id", "order": (("date", "desc"), ("id", "asc"))},
)

member = Table(
    "member",
    metadata,
    Column("id", String(KEY, collation="C"), primary_key=True),
    _words("first_name", SHORT, nullable=False, default=""),
    _words("last_name", SHORT, nullable=False, default=""),
    _words("email", SHORT, nullable=False),
    _words("phone", SHORT),
    _words("address", SHORT),
    _words("city", SHORT),
    _words("postal_code", SHORT),
    _moment("birth_date"),
    _words("member_number", SHORT),
    _words("matricule", SHORT),
    _words("membership_type", 20, nullable=False, default="STANDARD"),
    _words("membership_status", 20, nullable=False, default="PENDING"),
    _moment("membership_start_date"),
    _moment("membership_end_date"),
    Column("payment_amount", Numeric(9, 2)),
    _words("payment_method", 20),
    Column("newsletter", Boolean, nullable=False, server_default=text("true")),
    Column("has_linked_access", Boolean, nullable=False, server_default=text("false")),
    Column("notes", Text(collation="C")),
    _words("role", SHORT, nullable=False, default="MEMBER"),
    _words("status", 20, nullable=False, default="active"),
    _json("permissions"),
    _words("created_by", KEY),
    Column("password_hash", Text(collation="C")),
    Column("token_epoch", Integer, nullable=False, server_default=text("0")),
    *_stamps(),
    *_wire("wire"),
    _sort_key("last_name", NAME_KEY),
    _sort_key("first_name", NAME_KEY),
    Index("member_email", text('lower(email COLLATE "C")'), unique=True),
    Index("member_matricule", text('lower(matricule COLLATE "C")'), unique=True),
    Index("member_member_number", "member_number", unique=True),
    Index("member_sort_last_name_sort_first_name_id", "sort_last_name", "sort_first_name", "id"),
    Index("member_version", "version"),
    _check("member", "id", "id <> '' AND id !~ '[/[:cntrl:]]'"),
    _check("member", "email", "email <> '' AND email !~ '[[:cntrl:][:space:]]'"),
    _in_years("member", "birth_date"),
    _in_years("member", "membership_start_date"),
    _in_years("member", "membership_end_date"),
    _one_of("member", "membership_type", MEMBERSHIP_TYPES),
    _one_of("member", "membership_status", MEMBERSHIP_STATUSES),
    _one_of("member", "payment_method", PAYMENT_METHODS),
    _one_of("member", "status", MEMBER_STATUSES),
    _between("member", "payment_amount", 0, MONEY_MAX),
    _long("member", "notes"),
    _check("member", "role", "role <> ''"),
    _small_json("member", "permissions", "array"),
    info={
        "resource": "Member",
        "key": "id",
        "order": (("sort_last_name", "asc"), ("sort_first_name", "asc"), ("id", "asc")),
        "keep_one": {"role": "ADMIN", "status": "active"},
    },
)

deletion = Table(
    "deletion",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("resource", String(20, collation="C"), nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("deleted_at", Moment(), nullable=False, server_default=func.now()),
    Column("actor", Text(collation="C")),
    Column("cause", String(20, collation="C"), nullable=False),
    Column("batch", BigInteger, nullable=False),
    Index("deletion_resource_key", "resource", "key"),
    _one_of("deletion", "cause", CAUSES),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("member_id", Text(collation="C"), nullable=False),
    Column("method", String(10, collation="C"), nullable=False),
    Column("path", Text(collation="C"), nullable=False),
    Column("key", String(SHORT, collation="C"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("answer", Text(collation="C"), nullable=False),
    Column("etag", Text(collation="C"), nullable=False),
    Column("row_key", Text(collation="C"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("member_id", "method", "path", "key"),
    Index("idempotency_created_at", "created_at"),
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("journal", UUID(as_uuid=False), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("resource", String(20, collation="C"), nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("operation", String(10, collation="C"), nullable=False),
    Column("entry", JSONB, nullable=False),
    Column("reason", Text(collation="C"), nullable=False),
    Column("created_at", Moment(), nullable=False, server_default=func.now()),
    Column("resolution", String(10, collation="C")),
    Column("resolved_at", Moment()),
    Index("conflict_journal_sequence", "journal", "sequence", unique=True),
    _one_of("conflict", "operation", ("insert", "update", "delete")),
    _one_of("conflict", "resolution", ("applied", "discarded")),
)

database_identity = Table(
    "database_identity",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True, server_default=func.gen_random_uuid()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("system_identifier", BigInteger),
    Column("server_major", Integer),
    Column("database_oid", BigInteger),
    Column("written_by", BigInteger),
    Index("database_identity_single", text("(true)"), unique=True),
)
"""Which database this is, and where the identity was given (see `retrobus.database.home`)."""

version_guard = Table(
    "version_guard",
    metadata,
    Column("timeline", String(8, collation="C"), primary_key=True),
    Index("version_guard_single", text("(true)"), unique=True),
)
"""One row: the timeline of the write-ahead log on which versions were last drawn."""

replay = Table(
    "replay",
    metadata,
    Column("journal", UUID(as_uuid=False), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

schema_support = Table(
    "schema_support",
    metadata,
    Column("oldest", String(32, collation="C"), primary_key=True),
    Index("schema_support_single", text("(true)"), unique=True),
)
"""The oldest revision whose code works with this schema."""

login_throttle = Table(
    "login_throttle",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("tries", Integer, nullable=False, server_default=text("1")),
    Column("trusted", Boolean, nullable=False, server_default=text("false")),
    Index("login_throttle_started_at", "started_at"),
    prefixes=["UNLOGGED"],
)
"""Tries at passwords under keyed hashes of account and address; shared by all processes of the service."""

erasure = Table(
    "erasure",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True),
    Column("erased_at", Moment(), nullable=False, server_default=func.now()),
)
"""By what erased members are known again, hashed with the key of this database."""

erasure_key = Table(
    "erasure_key",
    metadata,
    Column("inner_pad", LargeBinary, nullable=False),
    Column("outer_pad", LargeBinary, nullable=False),
    Index("erasure_key_single", text("(true)"), unique=True),
)

RESOURCES: dict[str, Table] = {table.info["resource"]: table for table in (vehicle, event, member)}
SECRET_COLUMNS = frozenset({"password_hash", "token_epoch"})
"""Columns that no answer ever holds."""


def key_column(table: Table) -> Column[Any]:
    """The column by which the API addresses a row."""
    column: Column[Any] = table.c[table.info["key"]]
    return column


def number_column(table: Table) -> Column[Any] | None:
    """The column that the database numbers by itself, if the table has one: it says nothing and addresses nothing."""
    name = table.info.get("number")
    return None if name is None else table.c[name]


def order_of(table: Table) -> tuple[tuple[Column[Any], bool], ...]:
    """The total order of lists: (column, descending) pairs."""
    return tuple((table.c[name], way == "desc") for name, way in table.info["order"])


def is_derived(column: Column[Any]) -> bool:
    """Whether Postgres computes this column from the others: a piece of wire JSON or a sort key."""
    return column.name == "wire" or column.name.startswith(("wire_", "sort_"))


@lru_cache
def stored_columns(table: Table) -> tuple[Column[Any], ...]:
    """The columns that hold facts: all but those that Postgres computes from them."""
    return tuple(column for column in table.columns if not is_derived(column))
