"""Slows down a client that guesses passwords, without letting it lock other members out."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol, TypeVar

T = TypeVar("T")

WINDOW = 900.0
"""Seconds for which a wrong password counts, from the first one on."""

PER_PAIR, PER_ADDRESS, PER_ACCOUNT = 10, 50, 100
LIMITS = (PER_PAIR, PER_ADDRESS, PER_ACCOUNT)
"""Wrong passwords after which a try must wait: from one address for one account, from one address, for one account."""

ALIAS = 12
"""Letters and figures by which the log tells an account."""

REMEMBERED = 20_000
"""Keys that one process counts by itself."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try at a password, by the three keys under which it counts; no key tells the account or the address."""

    pair: bytes
    address: bytes
    account: bytes

    @property
    def keys(self) -> tuple[bytes, bytes, bytes]:
        """In the order of LIMITS."""
        return self.pair, self.address, self.account


@dataclass(frozen=True, slots=True)
class Seen:
    """What is counted under one key: tries, seconds until they are forgotten, whether a right password was given."""

    tries: int = 0
    left: float = 0.0
    trusted: bool = False


def wait_for(seen: tuple[Seen, Seen, Seen]) -> float:
    """Seconds to wait before one more try, from the counts of its three keys; 0 means now.

    An address from which the member has logged in is never stopped by tries that others make on the same account.
    """
    waits = [found.left if found.tries >= limit else 0.0 for found, limit in zip(seen, LIMITS, strict=True)]
    if seen[0].trusted:
        waits[2] = 0.0
    return max(0.0, *waits)


class Uncounted(Exception):
    """The shared count cannot be asked now."""


class Counts(Protocol):
    """A place that counts tries: PostgreSQL for all processes, or the memory of one. Raises `Uncounted` when away."""

    async def wait_of(self, address: bytes) -> float:
        """Seconds before this address may try any account."""

    async def admit(self, one: Try) -> float:
        """Counts a try before its password is compared, and gives 0; or counts nothing and gives the seconds to wait.

        Tries that come side by side, to one process or several, are counted one after the other.
        """

    async def succeeded(self, one: Try) -> None:
        """Takes the count of this try back, since its password was right; trusts its address from now on."""


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
    """Counts tries by account and address, by address and by account; the account may or may not exist.

    All processes of the service share one count in PostgreSQL. While that cannot be asked, each counts for itself.
    """

    def __init__(self, secret: bytes, shared: Counts | None = None) -> None:
        self._secret = secret[:64]
        self._shared = shared
        self._own = MemoryCounts()

    async def wait_of(self, address: str) -> float:
        """Seconds before this address may try any account again: known before an account is looked up."""
        key = self._key(f"address {_network(address)}")
        return await self._asked(lambda counts: counts.wait_of(key))

    async def admit(self, account: str, address: str) -> float:
        """Counts a try and gives 0; or gives the seconds to wait, and then the password must not be compared."""
        one = self._try(account, address)
        return await self._asked(lambda counts: counts.admit(one))

    async def succeeded(self, account: str, address: str) -> None:
        """Notes a right password: this address is trusted for this account from now on."""
        one = self._try(account, address)
        await self._own.succeeded(one)
        if self._shared is not None:
            with suppress(Uncounted):
                await self._shared.succeeded(one)

    async def _asked(self, ask: Callable[[Counts], Awaitable[T]]) -> T:
        """The answer of the shared count, or of this process's own while PostgreSQL cannot be asked."""
        if self._shared is not None:
            with suppress(Uncounted):
                return await ask(self._shared)
        return await ask(self._own)

    def _try(self, account: str, address: str) -> Try:
        where = _network(address)
        return Try(
            *(self._key(text) for text in (f"pair {account}\n{where}", f"address {where}", f"account {account}"))
        )

    def alias(self, name: str) -> str:
        """A name without an account, as the log tells it: a client may have typed an e-mail or a password there.

        The same name has the same alias; without the secret no one finds the name from it.
        """
        return f"inconnu-{self._key(f'alias {name}').hex()[:ALIAS]}"

    def _key(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._secret, digest_size=16).digest()


def alias_of(member_id: str) -> str:
    """An account as the log tells it. A hash of the id alone, so that an operator finds the account in psql."""
    return hashlib.sha256(member_id.encode()).hexdigest()[:ALIAS]


def _network(address: str) -> str:
    """What counts as one address: the /64 of an IPv6 address, since a customer has all of it, or an IPv4 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
