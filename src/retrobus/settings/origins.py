"""Who may come from where: origins of browsers, and addresses of proxies."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
EXPECTED = "chaque origine est http(s)://hôte[:port], sans chemin ; * est refusé"

ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]")
"""Characters of a host; `*.example.org` names no origin."""


def origin(text: str) -> str:
    """The origin that a browser sends for this address; ValueError if it would send none.

    A browser writes scheme and host in small letters, international names in ASCII, and leaves out the usual port:
    `HTTPS://Bus.Example.org:443/` is `https://bus.example.org`. Compared letter by letter, the first would never match.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        name = f"[{IPv6Address(host)}]" if ":" in host else host.encode("idna").decode()
    except ValueError:  # also a port that is none, or a name that is none
        raise ValueError(EXPECTED) from None
    extra = parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment
    if parts.scheme not in DEFAULT_PORTS or not name or extra or not set(name) <= ALLOWED:
        raise ValueError(EXPECTED)
    return f"{parts.scheme}://{name}" + ("" if port in {None, DEFAULT_PORTS[parts.scheme]} else f":{port}")


def network(text: str) -> str:
    """This address or network; `::ffff:192.0.2.7` as 192.0.2.7, by which such clients are known."""
    found: IPv4Network | IPv6Network = ip_network(text)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is None or found.prefixlen < 96:
        return text
    return str(ip_network(f"{mapped}/{found.prefixlen - 96}")).removesuffix("/32")
