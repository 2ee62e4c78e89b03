"""What an error of the driver means, without a server: the other tests have real servers make each of them."""

import errno
import socket
import ssl
from typing import Any

import asyncpg
import pytest

from retrobus.database.errors import (
    AT_OPENING,
    KINDS,
    MEANINGS,
    READ_ONLY,
    CannotConnect,
    Meaning,
    PoolerInTheWay,
    column_of,
    is_refusal,
    is_unavailable,
    meaning_of,
    reason_of,
    state_of,
)
from retrobus.store import errors as store
from retrobus.store.refusals import hindrance, tells_state, translate


def of_state(state: str, **fields: str) -> asyncpg.PostgresError:
    """An error as the server sends it; `fields` by the letters of PostgreSQL's protocol."""
    return asyncpg.PostgresError.new({"C": state, "M": "the server's text", "S": "ERROR", **fields})


AWAY = ("08000", "08003", "08006", "57P01", "57P02", "57P03", "57P05")
SAID_NO = {
    "RB401": (Meaning.NO_ACCESS, store.Unauthenticated),
    "RB409": (Meaning.IN_PROGRESS, store.InProgress),
    "22001": (Meaning.INVALID, store.Invalid),
    "22P02": (Meaning.INVALID, store.Invalid),
    "23502": (Meaning.INVALID, store.Invalid),
    "23503": (Meaning.INVALID, store.Invalid),
    "23514": (Meaning.INVALID, store.Invalid),
    "23505": (Meaning.TAKEN, store.Conflict),
    "40001": (Meaning.AGAIN, store.Busy),
    "40P01": (Meaning.AGAIN, store.Busy),
    "53300": (Meaning.BUSY, store.Busy),
    "53400": (Meaning.BUSY, store.Busy),
    "55P03": (Meaning.BUSY, store.Busy),
    "57014": (Meaning.BUSY, store.Busy),
    "25006": (Meaning.READ_ONLY, store.ReadOnly),
    "53100": (Meaning.READ_ONLY, store.ReadOnly),
    "53200": (Meaning.READ_ONLY, store.ReadOnly),
    "58030": (Meaning.READ_ONLY, store.ReadOnly),
    "42501": (Meaning.RIGHT, store.MissingRight),
    "42P01": (Meaning.OUTDATED, store.SchemaOutdated),
    "42703": (Meaning.OUTDATED, store.SchemaOutdated),
    "42883": (Meaning.OUTDATED, store.SchemaOutdated),
    "26000": (Meaning.STATEMENT_LOST, store.StatementLost),
    "42P05": (Meaning.STATEMENT_LOST, store.StatementLost),
}
"""Each state by which the server says no: what it means, and the error of the contract."""


def test_every_state_that_the_service_knows_is_here() -> None:
    known = {*SAID_NO, *(state[:2] for state in (*AWAY, *SAID_NO)), *AWAY}

    assert MEANINGS.keys() <= known
    assert READ_ONLY == "25006"


@pytest.mark.parametrize("state", AWAY)
def test_a_server_that_goes_is_away(state: str) -> None:
    error = of_state(state)

    assert (meaning_of(error), is_unavailable(error), is_refusal(error)) == (Meaning.AWAY, True, False)
    assert translate(error) is error


@pytest.mark.parametrize("state", SAID_NO)
def test_a_server_that_says_no_is_not_away(state: str) -> None:
    error, (meaning, kind) = of_state(state), SAID_NO[state]

    assert (state_of(error), meaning_of(error)) == (state, meaning)
    assert (is_unavailable(error), is_refusal(error)) == (False, True)
    assert type(translate(error)) is kind


@pytest.mark.parametrize("state", ["XX000", "0A000", "42601", "57000"])
def test_a_state_that_nobody_expects_is_a_bug_and_stays_itself(state: str) -> None:
    error = of_state(state)

    assert (meaning_of(error), is_unavailable(error), is_refusal(error)) == (None, False, True)
    assert translate(error) is error


@pytest.mark.parametrize(
    "error",
    [
        CannotConnect("aucun serveur"),
        CannotConnect("plein", crowded=True),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InterfaceError("cannot perform operation: the underlying connection is closed"),
        asyncpg.InternalClientError("unexpected"),
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        EOFError(),
        *(OSError(number, "network") for number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN)),
    ],
    ids=repr,
)
def test_a_line_that_is_lost_is_away(error: Exception) -> None:
    assert is_unavailable(error)
    assert not is_refusal(error)
    assert state_of(error) == ""
    assert meaning_of(error) is None


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        OSError(errno.ENOSPC, "disk"),
        FileNotFoundError(errno.ENOENT, "file"),
        OSError(),
        ValueError("connection is closed"),
        KeyError("x"),
        RuntimeError("closed"),
    ],
    ids=repr,
)
def test_a_bug_or_a_full_disk_is_neither_away_nor_a_refusal(error: Exception) -> None:
    assert not is_unavailable(error)
    assert not is_refusal(error)


def test_a_failure_to_connect_says_why_and_whether_the_server_lives() -> None:
    plain, crowded = CannotConnect("aucune réponse"), PoolerInTheWay("pgbouncer", crowded=True)

    assert (plain.reason, str(plain), plain.crowded) == ("aucune réponse", "aucune réponse", False)
    assert (crowded.reason, crowded.crowded, isinstance(crowded, CannotConnect)) == ("pgbouncer", True, True)
    assert reason_of(plain) == "aucune réponse"


@pytest.mark.parametrize("state", [*AT_OPENING, "XX000"])
def test_the_reason_names_the_state_and_never_quotes_the_server(state: str) -> None:
    said = reason_of(of_state(state))

    assert said.endswith(f" ({state})")
    assert "the server's text" not in said
    assert said.startswith(AT_OPENING.get(state, "le serveur refuse la connexion"))


OPENING = {
    "08003": "coupée", "08P01": "protocole", "28000": "mot de passe", "28P01": "mot de passe", "3D000": "n'existe pas",
    "42501": "droit", "53300": "toutes les connexions", "55000": "n'accepte pas", "57P01": "s'arrête",
    "57P02": "brutalement", "57P03": "démarre",
}  # fmt: skip


def test_each_state_of_an_opening_has_its_own_sentence() -> None:
    assert OPENING.keys() == AT_OPENING.keys()
    assert all(word in AT_OPENING[state] for state, word in OPENING.items())


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TimeoutError(), "aucune réponse"),
        (ConnectionRefusedError(), "aucun serveur"),
        (ssl.SSLCertVerificationError(), "certificat"),
        (ssl.SSLError(), "TLS"),
        (socket.gaierror(), "nom d'hôte"),
        (PermissionError(), "droits"),
        (FileNotFoundError(), "manque"),
        (ConnectionResetError(), "coupée"),
        (EOFError(), "coupée"),
        (asyncpg.TargetServerAttributeNotMatched("x"), "target_session_attrs"),
        (asyncpg.ClientConfigurationError("x"), "DATABASE_URL"),
        (ValueError("x"), "DATABASE_URL"),
        (OSError(), "réseau"),
        (asyncpg.InterfaceError("x"), "fermée"),
        (KeyError("x"), "la connexion échoue"),
    ],
    ids=repr,
)
def test_an_error_without_a_state_has_its_sentence_and_its_name(error: Exception, word: str) -> None:
    said = reason_of(error)

    assert word in said
    assert said.endswith(f" ({type(error).__name__})")


def test_the_bare_error_of_the_driver_means_that_tls_is_refused() -> None:
    assert reason_of(ConnectionError("x")) == "le serveur n'accepte pas la demande de TLS (sslmode)"
    assert next(kind for kind, _ in KINDS if issubclass(ConnectionError, kind)) is ConnectionError


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"c": "title", "t": "event", "n": "event_date_check"}, "title"),
        ({"t": "event", "n": "event_title_check"}, "title"),
        ({"t": "event", "n": "event_vehicle_id_fkey"}, "vehicle_id"),
        ({"t": "member", "n": "member_email_key"}, "email"),
        ({"t": "member", "n": "member_email"}, "email"),
        ({"t": "event", "n": "event_pkey"}, "id"),
        ({"t": "event", "n": "autre_title_check"}, "autre_title"),
        ({}, ""),
    ],
    ids=repr,
)
def test_a_violated_constraint_names_its_column(fields: dict[str, str], column: str) -> None:
    assert column_of(of_state("23514", **fields)) == column


def test_a_refused_value_names_the_field_and_what_is_wrong() -> None:
    fields: dict[str, Any] = {"t": "event", "n": "event_vehicle_id_fkey"}
    missing, wrong = (translate(of_state(state, **fields)) for state in ("23503", "23514"))
    taken = translate(of_state("23505", t="member", n="member_email_key"))

    assert isinstance(missing, store.Invalid)
    assert isinstance(wrong, store.Invalid)
    assert isinstance(taken, store.Conflict)
    assert missing.errors == [store.FieldError("vehicle_id", "désigne une ligne qui n'existe pas")]
    assert wrong.errors == [store.FieldError("vehicle_id", "valeur refusée")]
    assert (taken.field, str(taken)) == ("email", "cette valeur est déjà prise.")


def test_a_number_that_cannot_be_sent_is_a_refused_value() -> None:
    found = translate(OverflowError("int too big"))

    assert isinstance(found, store.Invalid)
    assert found.errors == [store.FieldError("", "valeur hors des limites")]


def test_a_missing_right_keeps_the_server_s_text_which_names_the_object() -> None:
    assert str(translate(of_state("42501"))) == "the server's text"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (of_state("25006"), "ce serveur refuse les écritures (25006)"),
        (of_state("55P03"), "une autre transaction tient les tables (55P03)"),
        (of_state("53100"), "le disque de PostgreSQL est plein (53100)"),
        (of_state("57014"), "une réplique ou un verrou se fait attendre (57014)"),
        (of_state("40001"), "PostgreSQL a interrompu le rejeu (40001)"),
        (TimeoutError(), "PostgreSQL a interrompu le rejeu (TimeoutError)"),
    ],
    ids=repr,
)
def test_what_hinders_a_replay_is_said_in_words(error: Exception, said: str) -> None:
    assert hindrance(error) == said


@pytest.mark.parametrize(
    ("error", "tells"),
    [
        (store.NotFound(), True),
        (store.Stale(), True),
        (store.InProgress(), False),
        (of_state("23505"), True),
        (of_state("23503"), True),
        (of_state("40001"), False),
        (of_state("22P02"), False),
        (TimeoutError(), False),
    ],
    ids=repr,
)
def test_only_some_refusals_tell_what_is_stored(error: Exception, *, tells: bool) -> None:
    assert tells_state(error) is tells
