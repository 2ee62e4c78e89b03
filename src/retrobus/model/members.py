"""Members: their table, their roles and states, and what clients may send of one."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema
from sqlalchemy import Boolean, Column, Index, Integer, Numeric, String, Table, text

from retrobus.model.columns import (
    NAME_SORT,
    at_most,
    between,
    check,
    in_years,
    json_list,
    metadata,
    moment,
    one_of,
    prose,
    small_json,
    sort_key,
    stamps,
    wire,
    words,
)
from retrobus.model.fields import (
    NULLABLE,
    UNCHANGED,
    Email,
    Instant,
    Long,
    Matricule,
    Money,
    Password,
    Permissions,
    Short,
    Wire,
)
from retrobus.model.limits import KEY, MONEY_MAX, SHORT
from retrobus.model.texts import lowered

ROLES = (
    "MEMBER", "DRIVER", "BUREAU", "ADMIN", "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL",
)  # fmt: skip
Role = Annotated[Short, WithJsonSchema({"type": "string", "enum": list(ROLES)}, mode="validation")]
"""Any text: the route compares it with ROLES beside the row, since a role from old data may stay as it is."""

MembershipType = Literal["STANDARD", "FAMILY", "STUDENT", "HONORARY", "LIFETIME", "BIENFAITEUR"]
MembershipStatus = Literal["PENDING", "ACTIVE", "EXPIRED", "SUSPENDED", "CANCELLED"]
PaymentMethod = Literal["CASH", "CHECK", "CARD", "TRANSFER", "BANK_TRANSFER", "HELLOASSO", "PAYPAL"]
Status = Literal["active", "terminated", "disabled"]
MEMBERSHIP_TYPES: tuple[str, ...] = get_args(MembershipType)
MEMBERSHIP_STATUSES: tuple[str, ...] = get_args(MembershipStatus)
PAYMENT_METHODS: tuple[str, ...] = get_args(PaymentMethod)
MEMBER_STATUSES: tuple[str, ...] = get_args(Status)

member = Table(
    "member",
    metadata,
    Column("id", String(KEY, collation="C"), primary_key=True),
    words("first_name", SHORT, nullable=False, default=""),
    words("last_name", SHORT, nullable=False, default=""),
    words("email", SHORT, nullable=False),
    words("phone", SHORT),
    words("address", SHORT),
    words("city", SHORT),
    words("postal_code", SHORT),
    moment("birth_date"),
    words("member_number", SHORT),
    words("matricule", SHORT),
    words("membership_type", 20, nullable=False, default="STANDARD"),
    words("membership_status", 20, nullable=False, default="PENDING"),
    moment("membership_start_date"),
    moment("membership_end_date"),
    Column("payment_amount", Numeric(9, 2)),
    words("payment_method", 20),
    Column("newsletter", Boolean, nullable=False, server_default=text("true")),
    Column("has_linked_access", Boolean, nullable=False, server_default=text("false")),
    prose("notes"),
    words("role", SHORT, nullable=False, default="MEMBER"),
    words("status", 20, nullable=False, default="active"),
    json_list("permissions"),
    words("created_by", KEY),
    prose("password_hash"),
    Column("token_epoch", Integer, nullable=False, server_default=text("0")),
    *stamps(),
    *wire("wire"),
    sort_key("last_name", NAME_SORT),
    sort_key("first_name", NAME_SORT),
    Index("member_email", text('lower(email COLLATE "C")'), unique=True),
    Index("member_matricule", text('lower(matricule COLLATE "C")'), unique=True),
    Index("member_member_number", "member_number", unique=True),
    Index("member_sort_last_name_sort_first_name_id", "sort_last_name", "sort_first_name", "id"),
    Index("member_version", "version"),
    check("member", "id", "id <> '' AND id !~ '[/[:cntrl:]]'"),
    check("member", "email", "email <> '' AND email !~ '[[:cntrl:][:space:]]'"),
    in_years("member", "birth_date"),
    in_years("member", "membership_start_date"),
    in_years("member", "membership_end_date"),
    one_of("member", "membership_type", MEMBERSHIP_TYPES),
    one_of("member", "membership_status", MEMBERSHIP_STATUSES),
    one_of("member", "payment_method", PAYMENT_METHODS),
    one_of("member", "status", MEMBER_STATUSES),
    between("member", "payment_amount", 0, MONEY_MAX),
    at_most("member", "notes"),
    check("member", "role", "role <> ''"),
    small_json("member", "permissions", "array"),
    info={
        "resource": "Member",
        "key": "id",
        "order": (("sort_last_name", "asc"), ("sort_first_name", "asc"), ("id", "asc")),
        "keep_one": {"role": "ADMIN", "status": "active"},
    },
)


class OwnChange(Wire):
    """Fields of their own record that members may change."""

    phone: Annotated[Short | None, NULLABLE] = UNCHANGED
    address: Annotated[Short | None, NULLABLE] = UNCHANGED
    city: Annotated[Short | None, NULLABLE] = UNCHANGED
    postal_code: Annotated[Short | None, NULLABLE] = UNCHANGED
    birth_date: Annotated[Instant | None, NULLABLE] = UNCHANGED
    newsletter: bool = UNCHANGED


class MemberChange(OwnChange):
    """Fields of a member that a manager may change."""

    first_name: Short = UNCHANGED
    last_name: Short = UNCHANGED
    email: Email = UNCHANGED
    member_number: Annotated[Short | None, NULLABLE] = UNCHANGED
    matricule: Annotated[Matricule | None, NULLABLE] = UNCHANGED
    membership_type: MembershipType = UNCHANGED
    membership_status: MembershipStatus = UNCHANGED
    membership_start_date: Annotated[Instant | None, NULLABLE] = UNCHANGED
    membership_end_date: Annotated[Instant | None, NULLABLE] = UNCHANGED
    payment_amount: Annotated[Money | None, NULLABLE] = UNCHANGED
    payment_method: Annotated[PaymentMethod | None, NULLABLE] = UNCHANGED
    has_linked_access: bool = UNCHANGED
    notes: Annotated[Long | None, NULLABLE] = UNCHANGED
    role: Role = UNCHANGED
    status: Annotated[Status, BeforeValidator(lowered)] = UNCHANGED
    permissions: Permissions = UNCHANGED
    password: Annotated[Password | None, NULLABLE, Field(json_schema_extra={"writeOnly": True})] = UNCHANGED


class MemberCreation(MemberChange):
    """A new member: the e-mail is needed."""

    email: Email
