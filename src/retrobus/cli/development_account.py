"""The administrator of `retrobus dev`: an invented password and a token, both good again at the next start."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrobus.accounts.changes import change_account, with_epoch
from retrobus.accounts.passwords import check_password, hash_password
from retrobus.cli.members import find_account, signed
from retrobus.database.url import normalized
from retrobus.development.postgres_programs import private_file
from retrobus.development.running import running_url
from retrobus.settings import Settings
from retrobus.store.confirmed import confirmed

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrobus.database.connection import AnyConnection

ADMIN_EMAIL = "admin@example.org"
SECRET, PASSWORD = "jwt-secret", "admin-password"
"""Files in the folder of the development database."""


def kept_secret(data: Path) -> str:
    """What signs the tokens of this checkout."""
    return _kept(data / SECRET, lambda: secrets.token_urlsafe(48))


def kept_password(data: Path) -> str:
    """The password that the administrator of this checkout was given: twelve letters and figures."""
    return _kept(data / PASSWORD, lambda: secrets.token_hex(6))


def use_running(data: Path) -> bool:
    """Takes database and secret of the `retrobus dev` that runs with this folder, where no setting names others.

    False, and nothing is taken, if none runs, in production, or if DATABASE_URL is another database.
    """
    settings, url = Settings(), running_url(data / "postgres")
    given = settings.database_url
    if url is None or (settings.app_env == "production" and "app_env" in settings.model_fields_set):
        return False
    if given is not None and given.get_secret_value() != normalized(url):
        return False
    os.environ["DATABASE_URL"] = url
    if settings.jwt_secret is None:
        os.environ["JWT_SECRET"] = kept_secret(data)
    return True


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A random text of this checkout: made once, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        fresh = path.with_suffix(".new")
        with open(fresh, "w", opener=private_file) as file:
            file.write(make())
        fresh.rename(path)
    return path.read_text().strip()


async def login_lines(connection: AnyConnection, base: str, data: Path, *, own: bool) -> list[str]:
    """What a developer logs in with, and pastes into another terminal.

    `own`: the database belongs to this checkout, so an administrator without a password is given one. In any other
    database no account is changed.
    """
    row = await find_account(connection, ADMIN_EMAIL)
    if row is None or row["status"] != "active":
        cure = f"create-admin --email {ADMIN_EMAIL}" if row is None else f"enable {ADMIN_EMAIL}"
        return [f"{ADMIN_EMAIL} n'est plus un compte actif : retrobus member {cure}, puis retrobus token"]
    if own and row["password_hash"] is None:
        await _give_password(connection, row["id"], kept_password(data))
        row = await find_account(connection, ADMIN_EMAIL) or row
    return [*await _form(row, base, data), "", *_pasted(row, base)]


async def _give_password(connection: AnyConnection, member_id: str, password: str) -> None:
    found = await hash_password(password)
    async with confirmed(connection):
        await change_account(connection, member_id, lambda old: with_epoch(old, {"password_hash": found}))


async def _form(row: dict[str, Any], base: str, data: Path) -> list[str]:
    """The password for the login form, or why it is not known."""
    again = f"retrobus member set-password {ADMIN_EMAIL}"
    if row["password_hash"] is None:
        return [f"{ADMIN_EMAIL} n'a pas de mot de passe : {again}"]
    if not (data / PASSWORD).exists():
        return [f"Le mot de passe de {ADMIN_EMAIL} n'est pas connu ici ; pour en choisir un autre : {again}"]
    password = kept_password(data)
    if not (await check_password(password, row["password_hash"]))[0]:
        return [f"Le mot de passe de {ADMIN_EMAIL} a été changé depuis ; pour en choisir un autre : {again}"]
    where = f"Connexion (Studio, formulaire du site, ou POST {base}/api/auth/login), en développement seulement :"
    return [where, "", f"adresse       {ADMIN_EMAIL}", f"mot de passe  {password}"]


def _pasted(row: dict[str, Any], base: str) -> list[str]:
    return [
        "À coller dans un autre terminal :",
        "",
        f"export TOKEN={signed(Settings(), row)}",
        f'curl -H "Authorization: Bearer $TOKEN" {base}/api/events',
        f'curl -H "Authorization: Bearer $TOKEN" {base}/api/vehicles',
        f"curl {base}/public/vehicles",
    ]
