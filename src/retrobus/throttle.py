"""Slows down whoever guesses passwords, without letting them lock out anybody else."""

import time
from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, ip_address

WINDOW = 900.0
PER_PAIR, PER_ADDRESS, PER_ACCOUNT = 10, 50, 100
REMEMBERED = 20_000


class _Failures:
    """Failures per key in the current window; forgets the least recent keys first, so it cannot grow."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until this key may try again; 0 if it may now."""
        start, count = self._seen.get(key, (0.0, 0))
        left = start + WINDOW - time.monotonic()
        return left if count >= self._limit and left > 0 else 0.0

    def add(self, key: str) -> None:
        now = time.monotonic()
        start, count = self._seen.pop(key, (now, 0))
        self._seen[key] = (start, count + 1) if start + WINDOW > now else (now, 1)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def forget(self, key: str) -> None:
        self._seen.pop(key, None)


class Throttle:
    """Counts failures per (account, address), per address and per account, whatever name the account was given.

    Promise: an address from which an account has logged in is never stopped by what others try on that account.
    """

    def __init__(self) -> None:
        self._pairs, self._addresses = _Failures(PER_PAIR), _Failures(PER_ADDRESS)
        self._accounts = _Failures(PER_ACCOUNT)
        self._trusted: OrderedDict[str, None] = OrderedDict()

    def wait_of(self, address: str) -> float:
        """Seconds before this address may try any account again: known before an account is looked up."""
        return self._addresses.wait(_network(address))

    def wait(self, account: str, address: str) -> float:
        """Seconds before this address may try this account again; 0 means now."""
        where = _network(address)
        pair = f"{account}\n{where}"
        others = 0.0 if pair in self._trusted else self._accounts.wait(account)
        return max(self._pairs.wait(pair), self._addresses.wait(where), others)

    def failed(self, account: str, address: str) -> None:
        """Notes a wrong password."""
        where = _network(address)
        self._pairs.add(f"{account}\n{where}")
        self._addresses.add(where)
        self._accounts.add(account)

    def succeeded(self, account: str, address: str) -> None:
        """Notes a right password: this address is trusted for this account from now on."""
        pair = f"{account}\n{_network(address)}"
        self._pairs.forget(pair)
        self._trusted[pair] = None
        self._trusted.move_to_end(pair)
        if len(self._trusted) > REMEMBERED:
            self._trusted.popitem(last=False)


def _network(address: str) -> str:
    """An IPv6 customer has a whole /64 of addresses: they count as one. An IPv4 address is itself in any spelling."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
