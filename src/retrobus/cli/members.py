"""`retrobus member` and `retrobus token`: accounts. No account has a default password."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import normalize

import typer

from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import CONFIGURATION, DEFAULT_DATA, ask_new_password, say, stop
from retrobus.cli.usage import Program
from retrobus.settings import Settings

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection

app = Program(help="Les comptes des membres.")

BY_EMAIL = """SELECT id, email, role, status, token_epoch, password_hash FROM member
WHERE lower(email COLLATE "C") = lower($1::text COLLATE "C")"""
ADD_ADMIN = """INSERT INTO member (id, email, role, status, membership_status, has_linked_access, password_hash)
VALUES ($1, $2, 'ADMIN', 'active', 'ACTIVE', true, $3)"""
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Lit le mot de passe sur l'entrée standard, au lieu de le demander.")
]
LONGEST_LIFE = 24 * 3600


@app.command("create-admin")
def create_admin(
    email: str = typer.Option(..., "--email", help="Adresse du nouvel administrateur."),
    *,
    password_stdin: PasswordStdin = False,
) -> None:
    """Crée un administrateur actif ; le mot de passe est demandé deux fois."""
    from retrobus.model.fields import Email
    from retrobus.model.texts import EMAIL

    email = _checked(Email, email, "adresse attendue : nom@domaine.fr")
    if not EMAIL.fullmatch(email):
        raise stop("adresse attendue : nom@domaine.fr")
    password = new_password(from_stdin=password_stdin)
    with_connection(lambda connection: add_admin(connection, email, password))
    say(f"✅ Administrateur créé : {email}")


def new_password(*, from_stdin: bool) -> str:
    """The password that the operator gives, by the rules of the API."""
    from retrobus.model.fields import Password

    given = sys.stdin.readline().rstrip("\r\n") if from_stdin else ask_new_password()
    return _checked(Password, given, "mot de passe de 10 à 200 caractères attendu")


def _checked(kind: Any, text: str, sentence: str) -> str:
    """The text in the form that the API would store; a text that the API would refuse ends the command."""
    from pydantic import TypeAdapter, ValidationError

    try:
        found: str = TypeAdapter(kind).validate_python(text)
    except ValidationError:
        raise stop(sentence) from None
    return found


async def add_admin(connection: AnyConnection, email: str, password: str | None = None) -> None:
    """Creates an active ADMIN. Without a password no one can log in: only `retrobus token` gives access."""
    from retrobus.accounts.passwords import hash_password
    from retrobus.database import sql
    from retrobus.database.errors import Meaning, ServerError, meaning_of
    from retrobus.model.ids import new_id
    from retrobus.store.confirmed import confirmed

    password_hash = None if password is None else await hash_password(password)
    try:
        async with confirmed(connection):
            await connection.execute(sql.AS_COMMAND)
            await connection.execute(ADD_ADMIN, new_id("", None), email, password_hash)
    except ServerError as error:
        if meaning_of(error) is not Meaning.TAKEN:
            raise
        raise stop(f"un membre a déjà cette adresse : retrobus member set-role {email} ADMIN") from None


def token(
    context: typer.Context,
    email: str | None = typer.Option(
        None, "--email", help="Compte pour lequel signer un jeton ; à côté de retrobus dev, sinon admin@example.org."
    ),
    ttl: str = typer.Option("12h", "--ttl", help="Durée : 30m, 12h… au plus 24h."),
) -> None:
    """Signe un jeton d'accès ; lui seul est sur la dernière ligne. À côté de retrobus dev, aucun réglage à donner."""
    seconds = _seconds(ttl)
    if Settings().jwt_secret is None or Settings().database_url is None or email is None:
        email = _beside_development(context, email)
    settings = Settings()
    if settings.jwt_secret is None:
        raise stop("JWT_SECRET manque : le même que celui du service (voir .env.example).", CONFIGURATION)
    row = with_connection(lambda connection: find_account(connection, email))
    if row is None or row["status"] != "active":
        raise stop("aucun compte actif avec cette adresse")
    typer.echo(f"Jeton de {row['email']}, valable {ttl} :", err=True)
    typer.echo(signed(settings, row, seconds))


def _beside_development(context: typer.Context, email: str | None) -> str:
    """The account to sign for; what the settings leave out is taken from a `retrobus dev` that runs in this folder."""
    from retrobus.cli.development_account import ADMIN_EMAIL, use_running

    if not use_running(DEFAULT_DATA) and email is None:
        context.fail("Missing option '--email'.")
    return email or ADMIN_EMAIL


async def find_account(connection: AnyConnection, email: str) -> dict[str, Any] | None:
    """The columns that a token is made of, and the status, of the account with this e-mail."""
    row = await connection.fetchrow(BY_EMAIL, normalize("NFC", email.strip()))
    return None if row is None else dict(row)


def signed(settings: Settings, row: dict[str, Any], seconds: int | None = None) -> str:
    """A token for this account row, signed with JWT_SECRET."""
    from retrobus.accounts.tokens import TokenRules, Tokens

    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else ""
    rules = TokenRules((secret,), settings.jwt_issuer, settings.jwt_audience, settings.access_token_ttl)
    return Tokens(rules).issue(row, seconds)[0]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,5})([smh])", text)
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not 0 < seconds <= LONGEST_LIFE:
        raise stop("durée attendue comme 30m ou 12h, au plus 24h")
    return seconds
