"""Slows down who guesses passwords, without letting them lock out anybody else: one count over all processes."""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

WINDOW = 900.0
"""Seconds for which a wrong password counts, from the first one on."""

PER_PAIR, PER_ADDRESS, PER_ACCOUNT = 10, 50, 100
LIMITS = (PER_PAIR, PER_ADDRESS, PER_ACCOUNT)
REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Try:
    """Under what one try at a password counts: three keys that tell neither the account nor the address."""

    pair: bytes
    address: bytes
    account: bytes

    @property
    def keys(self) -> tuple[bytes, bytes, bytes]:
        """In the order of LIMITS."""
        return self.pair, self.address, self.account


@dataclass(frozen=True, slots=True)
class Seen:
    """The tries counted under a key, the seconds until they are forgotten, and whether a right password came since."""

    tries: int = 0
    left: float = 0.0
    trusted: bool = False


def wait_for(seen: tuple[Seen, Seen, Seen]) -> float:
    """Seconds to wait before one more try, from what was seen under its three keys; 0 means now.

    Promise: an address from which an account has logged in is never stopped by what others try on that account.
    """
    waits = [found.left if found.tries >= limit else 0.0 for found, limit in zip(seen, LIMITS, strict=True)]
    if seen[0].trusted:
        waits[2] = 0.0
    return max(0.0, *waits)


class Uncounted(Exception):
    """The shared count cannot be asked now."""


class Counts(Protocol):
    """Where tries are counted. `Uncounted` if it cannot be asked."""

    async def wait_of(self, address: bytes) -> float:
        """Seconds before this address may try any account."""

    async def admit(self, one: Try) -> float:
        """Counts a try before its password is looked at, and gives 0; or counts nothing and gives the seconds to wait.

        Tries that come side by side, to whatever process, are counted one after the other.
        """

    async def succeeded(self, one: Try) -> None:
        """Takes the count of this try back: its password was right, and its address is trusted from now on."""


class MemoryCounts:
    """The count of one process; forgets the least recent keys first, so it cannot grow."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[float, int, bool]] = OrderedDict()

    def _of(self, key: bytes) -> Seen:
        start, tries, trusted = self._seen.get(key, (0.0, 0, False))
        left = start + WINDOW - time.monotonic()
        return Seen(tries, left, trusted) if left > 0 else Seen(trusted=trusted)

    def _put(self, key: bytes, start: float, tries: int, *, trusted: bool) -> None:
        self._seen[key] = (start, tries, trusted)
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    async def wait_of(self, address: bytes) -> float:
        """See `Counts`."""
        found = self._of(address)
        return found.left if found.tries >= PER_ADDRESS else 0.0

    async def admit(self, one: Try) -> float:
        """See `Counts`."""
        wait = wait_for((self._of(one.pair), self._of(one.address), self._of(one.account)))
        for key in () if wait else one.keys:
            found = self._of(key)
            start = time.monotonic() - (WINDOW - found.left if found.tries else 0.0)
            self._put(key, start, found.tries + 1, trusted=found.trusted)
        return wait

    async def succeeded(self, one: Try) -> None:
        """See `Counts`."""
        self._put(one.pair, time.monotonic(), 0, trusted=True)
        for key in (one.address, one.account):
            start, tries, trusted = self._seen.get(key, (0.0, 0, False))
            self._put(key, start, max(tries - 1, 0), trusted=trusted)


class Throttle:
    """Counts tries per (account, address), per address and per account, whatever name the account was given.

    All processes of the service share one count in Postgres. While Postgres cannot be asked each counts for itself.
    """

    def __init__(self, secret: bytes, shared: Counts | None = None) -> None:
        self._secret = secret[:64]
        self._shared = shared
        self._own = MemoryCounts()

    async def wait_of(self, address: str) -> float:
        """Seconds before this address may try any account again: known before an account is looked up."""
        key = self._key(f"address {_network(address)}")
        if self._shared is not None:
            try:
                return await self._shared.wait_of(key)
            except Uncounted:
                pass
        return await self._own.wait_of(key)

    async def admit(self, account: str, address: str) -> float:
        """Counts a try; seconds to wait if there were too many, and then it must not be made."""
        one = self._try(account, address)
        if self._shared is not None:
            try:
                return await self._shared.admit(one)
            except Uncounted:
                pass
        return await self._own.admit(one)

    async def succeeded(self, account: str, address: str) -> None:
        """Notes a right password: this address is trusted for this account from now on."""
        one = self._try(account, address)
        await self._own.succeeded(one)
        if self._shared is not None:
            try:
                await self._shared.succeeded(one)
            except Uncounted:
                return

    def _try(self, account: str, address: str) -> Try:
        where = _network(address)
        return Try(
            *(self._key(text) for text in (f"pair {account}\n{where}", f"address {where}", f"account {account}"))
        )

    def _key(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._secret, digest_size=16).digest()


def _network(address: str) -> str:
    """An IPv6 customer has a whole /64 of addresses: they count as one. An IPv4 address is itself in any spelling."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
