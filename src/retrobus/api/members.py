"""Members: all records for managers, their own for each member; only an ADMIN touches ADMINs, roles and permissions."""

from fastapi import Response

from retrobus.accounts.changes import with_epoch
from retrobus.accounts.passwords import hash_password
from retrobus.accounts.roles import ADMIN
from retrobus.api.answers import DONE, created, listing, row
from retrobus.api.bodies import IGNORED, Body
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.queries import one_of, text
from retrobus.api.rights import MANAGERS_ONLY, MEMBERS, is_admin
from retrobus.api.sheets import DIALECT, SHEET, sheet
from retrobus.model.members import (
    MEMBER_STATUSES,
    MEMBERSHIP_STATUSES,
    MemberChange,
    MemberCreation,
    OwnChange,
    refusal,
)
from retrobus.model.patterns import MEMBER_KEY
from retrobus.model.resources import MEMBER
from retrobus.store.contract import (
    Caller,
    Change,
    Delete,
    Document,
    Insert,
    Page,
    Row,
    Update,
)
from retrobus.store.errors import (
    FieldError,
    Forbidden,
    Invalid,
)

router = Routes("members", "/api/members", id=MEMBER_KEY)
FILTERS = (
    one_of("status", MEMBER_STATUSES),
    one_of("membershipStatus", MEMBERSHIP_STATUSES),
    text("email", fold=True),
)
CHANGE = Body(MemberChange, MEMBER)
CHANGE_BY_ID = Body(MemberChange, MEMBER, key=MEMBER_KEY, schema="MemberChangeById")
KEY = Body(None, MEMBER, key=MEMBER_KEY, schema="MemberKey")


@router.declare(Route("GET", "", MANAGERS_ONLY, listing("MemberList", "members"), filters=FILTERS))
async def list_members(call: Call) -> Page:
    """Members by last name, first name and id."""
    return await call.store.find(MEMBER, call.query(MEMBER, "list"), caller=call.who)


@router.declare(Route("GET", ".csv", MANAGERS_ONLY, SHEET, filters=FILTERS, asks=DIALECT))
async def export_members(call: Call) -> Response:
    """Every member that passes the filters, as a CSV file for spreadsheets."""
    return await sheet(call, MEMBER)


@router.declare(Route("POST", "", MANAGERS_ONLY, created("Member"), body=Body(MemberCreation, MEMBER)))
async def create_member(call: Call) -> Document:
    """Creates a member; e-mails are unique without regard to case."""
    values, terms = await _with_hash(call.values), call.terms()
    _refuse_rights(call.who, values, {"role": "MEMBER", "permissions": "[]", "email": "", "matricule": None})
    values |= {"id": call.new_id(), "created_by": call.who.id}
    return await call.store.write(Insert(MEMBER, values, terms))


@router.declare(Route("GET", "/me", MEMBERS, row("Member")))
async def get_own_member(call: Call) -> Document:
    """The caller's own record."""
    return await call.store.get(MEMBER, call.who.id, view="one", caller=call.who)


@router.declare(Route("PUT", "/me", MEMBERS, row("Member"), body=Body(OwnChange)))
async def update_own_member(call: Call) -> Document:
    """Changes what members may change of their own record."""
    return await call.store.write(Update(MEMBER, call.who.id, call.values, call.terms()))


@router.declare(Route("GET", "/{id}", MANAGERS_ONLY, row("Member")))
async def get_member(call: Call) -> Document:
    """One member."""
    return await call.store.get(MEMBER, call.key, view="one", caller=call.who)


@router.declare(Route("PUT", "/{id}", MANAGERS_ONLY, row("Member"), body=CHANGE))
@router.declare(Route("PATCH", "/{id}", MANAGERS_ONLY, row("Member"), body=CHANGE, name="patchMember"))
async def update_member(call: Call) -> Document:
    """Changes the fields that are sent; a new password, role or status ends the member's tokens."""
    values = await _with_hash(call.values)
    return await call.store.write(Update(MEMBER, call.key, _change(call.who, values), call.terms()))


@router.declare(Route("PUT", "", MANAGERS_ONLY, row("Member"), body=CHANGE_BY_ID))
@router.declare(Route("PATCH", "", MANAGERS_ONLY, row("Member"), body=CHANGE_BY_ID, name="patchMemberByBody"))
async def update_member_by_body(call: Call) -> Document:
    """Changes the member whose `id` is in the body."""
    return await update_member(call)


@router.declare(Route("DELETE", "/{id}", MANAGERS_ONLY, DONE))
async def delete_member(call: Call) -> Document:
    """Deletes a member for good."""

    def check(old: Row) -> None:
        if old["role"] == ADMIN and not is_admin(call.who):
            raise Forbidden("Seul un ADMIN peut supprimer un ADMIN.")

    return await call.store.write(Delete(MEMBER, call.key, call.terms(), check))


@router.declare(Route("DELETE", "", MANAGERS_ONLY, DONE, body=KEY))
async def delete_member_by_body(call: Call) -> Document:
    """Deletes the member whose `id` is in the body."""
    return await delete_member(call)


@router.declare(Route("POST", "/{id}/terminate", MANAGERS_ONLY, DONE, body=IGNORED))
async def terminate_member(call: Call) -> Document:
    """Ends a membership: status `terminated`, membershipStatus `CANCELLED`, tokens revoked. Any body is ignored."""
    values = {"status": "terminated", "membership_status": "CANCELLED"}
    return await call.store.write(Update(MEMBER, call.key, _change(call.who, values), call.terms()))


async def _with_hash(values: Row) -> Row:
    """The values with the password's hash in place of the password."""
    password = values.pop("password", None)
    return values if password is None else values | {"password_hash": await hash_password(password)}


def _change(who: Caller, values: Row) -> Change:
    """The change of a row to these values, refused if the caller has no right to make it.

    The store calls it when the present row is locked: what is allowed depends on the role that the row has now.
    """

    def change(old: Row) -> Row:
        changed = {name: value for name, value in values.items() if old[name] != value}
        if changed and old["role"] == ADMIN and not is_admin(who):
            raise Forbidden("Seul un ADMIN peut modifier un ADMIN.")
        _refuse_rights(who, changed, old)
        return with_epoch(old, changed)

    return change


def _refuse_rights(who: Caller, values: Row, old: Row) -> None:
    """Refuses rights that the caller may not give, and logins that are wrong; values that stay as they are may stay."""
    named = ("role", "permissions", "email", "matricule")
    changed = {name for name in named if name in values and values[name] != old[name]}
    if changed & {"role", "permissions"} and not is_admin(who):
        raise Forbidden("Seul un ADMIN peut donner un rôle ou des permissions.")
    for name in named:
        reason = refusal(name, values[name]) if name in changed else None
        if reason is not None:
            raise Invalid([FieldError(name, reason)])
