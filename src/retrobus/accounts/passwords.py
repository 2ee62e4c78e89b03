"""Password hashes: made and checked off the event loop, two at a time."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from unicodedata import normalize
from weakref import WeakKeyDictionary

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

BCRYPT_BYTES = 72
"""Bytes of a password that bcrypt counts."""

# The parameters that OWASP gives for argon2id with 19 MiB: logins side by side must not fill the memory.
_hashes = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1), BcryptHasher()))
_NO_PASSWORD = _hashes.hash(secrets.token_urlsafe())
"""What a password is compared with when the account has none or does not exist: no password fits."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """Two hashes at a time on one event loop, however many applications run there."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(2))


async def hash_password(password: str) -> str:
    """An argon2id hash of the NFC form: keyboards differ in how they compose é."""
    async with _turn():
        return await asyncio.to_thread(_hashes.hash, normalize("NFC", password))


async def check_password(
    password: str, password_hash: str | None, admit: Callable[[], Awaitable[None]] | None = None
) -> tuple[bool, str | None]:
    """Whether the password is right, and a better hash to keep if the stored one is of an old kind.

    Takes as long for an unknown account (no hash) as for a known one. `admit` is awaited when the turn of this password
    has come, and raises if a limit forbids the try: of many passwords sent side by side, those beyond the limit are
    never compared.
    """
    known, better = False, None
    for form in dict.fromkeys((normalize("NFC", password), password)):  # imported hashes are of the form once typed
        async with _turn():
            if admit is not None:
                await admit()
                admit = None
            known, better = await asyncio.to_thread(_verify, form, password_hash or _NO_PASSWORD)
        if known:
            break
    return known and password_hash is not None, better


def _verify(password: str, password_hash: str) -> tuple[bool, str | None]:
    counted = _counted(password, password_hash)
    try:
        known, better = _hashes.verify_and_update(counted, password_hash)
    except (PwdlibError, ValueError):  # an unknown or damaged hash, or more bytes than bcrypt takes: a wrong password
        _hashes.verify(password, _NO_PASSWORD)
        return False, None
    # The better hash is of the whole password: the next login is compared with all of it.
    return known, _hashes.hash(password) if better is not None and counted != password else better


def _counted(password: str, password_hash: str) -> str | bytes:
    """What the hash was made of: bcrypt counts 72 bytes, and an older program dropped the rest silently."""
    return password.encode()[:BCRYPT_BYTES] if password_hash.startswith("$2") else password
