"""What operators paste as DATABASE_URL, checked and made into what the driver takes."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_KINDS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")

FOREIGN = frozenset({
    "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssencmode",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "sslcompression", "sslsni", "schema", "connection_limit", "pool_timeout", "socket_timeout", "pgbouncer",
    "statement_cache_size",
})  # fmt: skip
"""Parameters of other clients: our driver would hand them to the server, which refuses what it does not know."""

_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::(\d{1,5}))?")


def normalized(text: str) -> str:
    """The same address for our driver; ValueError with a sentence in French that never quotes it."""
    address, _, query = text.partition("?")
    scheme, _, rest = address.partition("://")
    if scheme not in {"postgres", "postgresql"} or not rest:
        raise ValueError("commence par postgres:// ou postgresql://")
    for place in _places(text):
        _check_place(place)
    pairs = _pairs(query)
    kept = [(name, value) for name, value in pairs if name not in FOREIGN]
    return text if kept == pairs else address + ("?" + urlencode(kept) if kept else "")


def _places(text: str) -> list[str]:
    """Each `host:port`; what an unescaped password leaves here is no host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ["::"]
    places = parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc
    return ["::"] if parts.fragment else places.split(",")


def _check_place(place: str) -> None:
    found = _PLACE.fullmatch(place)
    if "@" in place or found is None or int(found[2] or 1) not in range(1, 65536):
        raise ValueError("hôte ou port illisible ; dans un mot de passe, @ : / ? # s'écrivent %40 %3A %2F %3F %23")


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("paramètres illisibles après le « ? » : nom=valeur, séparés par &") from None
    values = dict(pairs)
    for name, allowed in (("sslmode", SSL_MODES), ("target_session_attrs", SESSION_KINDS), ("schema", ("public",))):
        if values.get(name, allowed[0]) not in allowed:
            raise ValueError(f"valeurs possibles de {name} : {', '.join(allowed)}")
    return pairs
