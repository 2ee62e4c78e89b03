"""The tables besides those of the three resources; their triggers and functions are in the migrations."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from retrobus.model.columns import Moment, choice, long_text, metadata
from retrobus.model.events import event
from retrobus.model.limits import SHORT
from retrobus.model.members import member
from retrobus.model.vehicles import vehicle

__all__ = ["event", "member", "metadata", "vehicle"]
"""A module that imports `metadata` from here gets every table in it."""

CAUSES = ("api", "sql", "clean", "reset", "restore", "erase")
"""Who deleted a row, as its tombstone says it."""

REVISION = "0016"
"""The migration that this code expects. A test compares it with the newest one; to ask Alembic would cost 9 MiB."""

deletion = Table(
    "deletion",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("resource", String(20, collation="C"), nullable=False),
    long_text("key", nullable=False),
    Column("deleted_at", Moment(), nullable=False, server_default=func.now()),
    long_text("actor"),
    choice("cause", CAUSES),
    Column("batch", BigInteger, nullable=False),
    Column("nonce", BigInteger),
    Column("shown", Boolean, nullable=False, server_default=text("false")),
    Index("deletion_resource_key", "resource", "key"),
    Index("deletion_shown", "version", postgresql_where=text("shown")),
)

idempotency = Table(
    "idempotency",
    metadata,
    long_text("member_id", nullable=False),
    Column("method", String(10, collation="C"), nullable=False),
    long_text("path", nullable=False),
    Column("key", String(SHORT, collation="C"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    long_text("answer", nullable=False),
    long_text("etag", nullable=False),
    long_text("row_key", nullable=False),
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
    long_text("key", nullable=False),
    choice("operation", ("insert", "update", "delete"), 10),
    Column("entry", JSONB, nullable=False),
    long_text("reason", nullable=False),
    Column("created_at", Moment(), nullable=False, server_default=func.now()),
    choice("resolution", ("applied", "discarded"), 10, nullable=True),
    Column("resolved_at", Moment()),
    Index("conflict_journal_sequence", "journal", "sequence", unique=True),
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
"""Which database this is, and where the identity was given (see `retrobus.database.identity`)."""

version_guard = Table(
    "version_guard",
    metadata,
    Column("timeline", String(8, collation="C"), primary_key=True),
    Index("version_guard_single", text("(true)"), unique=True),
)
"""One row: the timeline of PostgreSQL's write-ahead log on which versions were last drawn."""

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
"""Tries at passwords, counted for keyed hashes of account and address; all processes of the service share them."""

erasure = Table(
    "erasure",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True),
    Column("erased_at", Moment(), nullable=False, server_default=func.now()),
)
"""Fingerprints of erased members, made with the key of this database, by which a restore recognises them."""

erasure_key = Table(
    "erasure_key",
    metadata,
    Column("inner_pad", LargeBinary, nullable=False),
    Column("outer_pad", LargeBinary, nullable=False),
    Index("erasure_key_single", text("(true)"), unique=True),
)
