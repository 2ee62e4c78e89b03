"""Pure functions about the head of a request: its client, its path, its offer of another protocol."""

from collections.abc import Iterator
from ipaddress import IPv6Address
from urllib.parse import unquote

UPGRADING = frozenset({b"upgrade", b"http2-settings"})
"""Headers that offer another protocol, and the words by which `Connection:` announces them."""

Address = tuple[str, int]


def plain(client: Address | None) -> Address | None:
    """The client's own address: a socket for IPv4 and IPv6 gives `::ffff:192.0.2.7` for the client 192.0.2.7."""
    if client is None or not client[0].startswith("::ffff:"):
        return client
    mapped = IPv6Address(client[0]).ipv4_mapped
    return client if mapped is None else (str(mapped), client[1])


def decoded(path: bytes) -> str:
    """The path as text; UnicodeDecodeError if it is not ASCII."""
    text = path.decode("ascii")
    return unquote(text) if "%" in text else text


def lines_without_upgrade(headers: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The header lines of a request that offers no other protocol.

    Example: `Connection: Upgrade, HTTP2-Settings, close` becomes `connection: close`.
    """
    for name, value in headers:
        if name == b"connection":
            words = [word.strip() for word in value.split(b",")]
            yield b"connection: " + b", ".join(word for word in words if word.lower() not in UPGRADING)
        elif name not in UPGRADING:
            yield name + b": " + value
