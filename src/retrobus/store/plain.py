"""Plain writes: those that one statement does, because nothing has to be looked at first."""

from retrobus.store import statements
from retrobus.store.contract import Delete, Insert, Row, Terms, Update, Write
from retrobus.store.statements import Statement


def is_plain(write: Write) -> bool:
    """Whether nothing has to be looked at before the write: no Idempotency-Key, no decision about the present row."""
    resource, terms = write.resource, write.terms
    if terms.once is not None or terms.caller is None:
        return False
    match write:
        case Insert():
            return True
        case Update(change=change):
            return not callable(change) and bool(change) and not resource.keep_one.keys() & change.keys()
        case Delete():
            return write.check is None and terms.match is None and not resource.keep_one


def single(write: Write, *, whole: bool) -> tuple[Statement, Row]:
    """The statement of a plain write, and its own values."""
    resource, match = write.resource, write.terms.match
    if isinstance(write, Insert):
        return statements.add_alone(resource, frozenset(write.values), whole=whole), write.values
    if isinstance(write, Delete):
        return statements.remove_alone(resource), {"row_key": write.key}
    changes = {} if callable(write.change) else write.change
    asked = match is not None and "*" not in match.etags
    named = changes | {"row_key": write.key} | ({"etags": list(match.etags)} if match is not None and asked else {})
    return statements.change_alone(resource, frozenset(changes), whole=whole, match=asked), named


def opened_by(terms: Terms, nonce: int) -> Row:
    """The values that prove access and mark the write."""
    caller = terms.caller
    access = {} if caller is None else {"caller_id": caller.id, "caller_epoch": caller.epoch}
    return access | {"nonce": nonce}
