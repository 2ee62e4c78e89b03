"""Members: their table, their roles and states, and what clients may send of one."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema
from sqlalchemy import Column, Index, Integer, Table, text

from retrobus.model import columns as column
from retrobus.model.fields import (
    UNCHANGED,
    Email,
    Instant,
    Long,
    Matricule,
    Money,
    OrNull,
    Password,
    Permissions,
    Short,
    Wire,
)
from retrobus.model.limits import KEY, SHORT
from retrobus.model.resource import Order, Resource, Unique
from retrobus.model.texts import EMAIL, lowered

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
    column.metadata,
    column.labelled("Identifiant", column.key("id", "{} <> '' AND {} !~ '[/[:cntrl:]]'")),
    column.labelled("Prénom", column.words("first_name", nullable=False, default="")),
    column.labelled("Nom", column.words("last_name", nullable=False, default="")),
    column.labelled(
        "E-mail", column.words("email", SHORT, "{} <> '' AND {} !~ '[[:cntrl:][:space:]]'", nullable=False)
    ),
    column.labelled("Téléphone", column.words("phone")),
    column.labelled("Adresse", column.words("address")),
    column.labelled("Ville", column.words("city")),
    column.labelled("Code postal", column.words("postal_code")),
    column.labelled("Date de naissance", column.moment("birth_date")),
    column.labelled("N° d’adhérent", column.words("member_number")),
    column.labelled("Matricule", column.words("matricule")),
    column.labelled("Type d’adhésion", column.choice("membership_type", MEMBERSHIP_TYPES, default="STANDARD")),
    column.labelled("État de l’adhésion", column.choice("membership_status", MEMBERSHIP_STATUSES, default="PENDING")),
    column.labelled("Début de l’adhésion", column.moment("membership_start_date")),
    column.labelled("Fin de l’adhésion", column.moment("membership_end_date")),
    column.labelled("Montant payé", column.money("payment_amount")),
    column.labelled("Mode de paiement", column.choice("payment_method", PAYMENT_METHODS, nullable=True)),
    column.labelled("Lettre d’information", column.flag("newsletter", default=True)),
    column.labelled("Accès lié", column.flag("has_linked_access")),
    column.labelled("Notes", column.prose("notes")),
    column.labelled("Rôle", column.words("role", SHORT, "{} <> ''", nullable=False, default="MEMBER")),
    column.labelled("État du compte", column.choice("status", MEMBER_STATUSES, default="active")),
    column.labelled("Permissions", column.json_list("permissions")),
    column.labelled("Créé par", column.words("created_by", KEY)),
    column.long_text("password_hash"),
    Column("token_epoch", Integer, nullable=False, server_default=text("0")),
    *column.stamps(),
    *column.wire("wire"),
    column.sort_key("last_name", column.NAME_SORT),
    column.sort_key("first_name", column.NAME_SORT),
    Index("member_email", text('lower(email COLLATE "C")'), unique=True),
    Index("member_matricule", text('lower(matricule COLLATE "C")'), unique=True),
    Index("member_member_number", "member_number", unique=True),
    Index("member_sort_last_name_sort_first_name_id", "sort_last_name", "sort_first_name", "id"),
    Index("member_version", "version"),
)

MEMBER = Resource(
    name="Member",
    plural="members",
    label="membres",
    singular="membre",
    table=member,
    key="id",
    order=(Order("sort_last_name"), Order("sort_first_name"), Order("id")),
    unique=(Unique("email", folded=True), Unique("matricule", folded=True), Unique("member_number")),
    keep_one={"role": "ADMIN", "status": "active"},
    reference="created_by",
    secret=frozenset({"password_hash", "token_epoch"}),
)


def refusal(column: str, value: str | None) -> str | None:
    """Why no member may be given this value in French, None if it may; a value from old data stays while unchanged."""
    if column == "role" and value not in ROLES:
        return f"valeurs possibles : {', '.join(sorted(ROLES))}"
    if column == "email" and not EMAIL.fullmatch(value or ""):
        return "adresse attendue : nom@domaine.fr"
    if column == "matricule" and "@" in (value or ""):  # else it could be the e-mail of another account
        return "sans « @ » : seule une adresse en contient"
    return None


class OwnChange(Wire):
    """Fields of their own record that members may change."""

    phone: OrNull[Short] = UNCHANGED
    address: OrNull[Short] = UNCHANGED
    city: OrNull[Short] = UNCHANGED
    postal_code: OrNull[Short] = UNCHANGED
    birth_date: OrNull[Instant] = UNCHANGED
    newsletter: bool = UNCHANGED


class MemberChange(OwnChange):
    """Fields of a member that a manager may change."""

    first_name: Short = UNCHANGED
    last_name: Short = UNCHANGED
    email: Email = UNCHANGED
    member_number: OrNull[Short] = UNCHANGED
    matricule: OrNull[Matricule] = UNCHANGED
    membership_type: MembershipType = UNCHANGED
    membership_status: MembershipStatus = UNCHANGED
    membership_start_date: OrNull[Instant] = UNCHANGED
    membership_end_date: OrNull[Instant] = UNCHANGED
    payment_amount: OrNull[Money] = UNCHANGED
    payment_method: OrNull[PaymentMethod] = UNCHANGED
    has_linked_access: bool = UNCHANGED
    notes: OrNull[Long] = UNCHANGED
    role: Role = UNCHANGED
    status: Annotated[Status, BeforeValidator(lowered)] = UNCHANGED
    permissions: Permissions = UNCHANGED
    password: Annotated[OrNull[Password], Field(json_schema_extra={"writeOnly": True, "x-label": "Mot de passe"})] = (
        UNCHANGED
    )


class MemberCreation(MemberChange):
    """A new member: the e-mail is needed."""

    email: Email
