"""Checks DATABASE_URL as operators paste it, and turns it into the form that the driver takes."""

import os
import re
import ssl
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_KINDS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")

FOREIGN = frozenset({
    "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssencmode",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "sslcompression", "sslsni", "schema", "connection_limit", "pool_timeout", "socket_timeout", "pgbouncer",
    "statement_cache_size",
})  # fmt: skip
"""Parameters of other clients, dropped: our driver would hand them to the server, which refuses them."""

TAKEN = frozenset({
    "application_name", "database", "dbname", "gsslib", "host", "krbsrvname", "options", "passfile", "password",
    "port", "service", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcrl", "sslkey",
    "sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "target_session_attrs", "user",
})  # fmt: skip
"""Parameters that our driver understands, or that the server takes as a setting of the session."""

FILES = ("passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert")
VERIFYING = frozenset({"verify-ca", "verify-full"})
STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where Debian, Red Hat and Alpine keep the certificates that the machine trusts, as one file."""

_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::(\d{1,5}))?")
_ILLEGIBLE = "hôte ou port illisible ; dans un mot de passe, @ : / ? # s'écrivent %40 %3A %2F %3F %23"

Pairs = list[tuple[str, str]]


def normalized(text: str) -> str:
    """The same address for our driver; ValueError with a sentence in French that never quotes a value."""
    address, _, query = text.partition("?")
    scheme, _, rest = address.partition("://")
    if scheme not in {"postgres", "postgresql"} or not rest:
        raise ValueError("commence par postgres:// ou postgresql://")
    authority, slash, database = rest.partition("/")
    user, at, places = authority.rpartition("@")
    for place in places.split(","):
        _check_place(place)
    if "@" in user or "@" in database or "#" in text:  # the rest of a password that holds @ or /
        raise ValueError(_ILLEGIBLE)
    pairs = _pairs(query)
    kept = _trusting(_translated([(name, value) for name, value in pairs if name not in FOREIGN]))
    if "[" in places and "," in places:
        address, kept = f"{scheme}://{user}{at}{slash}{database}", [*_as_parameters(places), *kept]
    return text if kept == pairs else address + ("?" + urlencode(kept) if kept else "")


def _check_place(place: str) -> None:
    """ValueError if this is no `host:port`, as after a password that was not escaped."""
    found = _PLACE.fullmatch(place)
    if found is None or int(found[2] or 1) not in range(1, 65536):
        raise ValueError(_ILLEGIBLE)


def _as_parameters(places: str) -> Pairs:
    """Several hosts with an IPv6 address among them, as parameters: Python 3.11.2 reads no such list in an address."""
    found = [match for place in places.split(",") if (match := _PLACE.fullmatch(place))]
    hosts = ",".join(match[1] or "localhost" for match in found)
    return [("host", hosts), ("port", ",".join(match[2] or "5432" for match in found))]


def _pairs(query: str) -> Pairs:
    """The parameters; ValueError for one that no client of PostgreSQL takes."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("paramètres illisibles après le « ? » : nom=valeur, séparés par &") from None
    values = dict(pairs)
    for name in values:
        _check_name(name)
    for name, allowed in (("sslmode", SSL_MODES), ("target_session_attrs", SESSION_KINDS), ("schema", ("public",))):
        if values.get(name, allowed[0]) not in allowed:
            raise ValueError(f"valeurs possibles de {name} : {', '.join(allowed)}")
    return pairs


def _check_name(name: str) -> None:
    """ValueError for an unknown parameter, which the server would refuse at every connection."""
    known = TAKEN | FOREIGN | {"ssl"}
    if name in known:
        return
    meant = get_close_matches(name, sorted(known), n=1)
    hint = f"voulez-vous dire {meant[0]} ?" if meant else "un réglage de session s'écrit options=-c%20nom%3Dvaleur"
    shown = name if re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) else "(illisible)"
    raise ValueError(f"paramètre inconnu après le « ? » : {shown} ; {hint}")


def _translated(pairs: Pairs) -> Pairs:
    """Replaces `ssl=true` by `sslmode=require`, as psql reads it."""
    if ("ssl", "true") not in pairs:
        if any(name == "ssl" for name, _ in pairs):
            raise ValueError("valeurs possibles de ssl : true ; sinon écrivez sslmode=…")
        return pairs
    rest = [(name, value) for name, value in pairs if name != "ssl"]
    return rest if any(name == "sslmode" for name, _ in rest) else [*rest, ("sslmode", "require")]


def _trusting(pairs: Pairs) -> Pairs:
    """Replaces `sslrootcert=system` by the machine's own file; ValueError for a file that is not readable."""
    kept = _with_system_store(pairs) if ("sslrootcert", "system") in pairs else pairs
    for name, value in kept:
        if name in FILES and not os.access(value, os.R_OK):
            raise ValueError(f"{name} nomme un fichier qui manque ou que ce compte ne peut pas lire")
    values = dict(kept)
    if values.get("sslmode") in VERIFYING and "sslrootcert" not in values and not _has_own_roots():
        raise ValueError(f"sslmode={values['sslmode']} demande aussi sslrootcert, par exemple sslrootcert=system")
    return kept


def _with_system_store(pairs: Pairs) -> Pairs:
    """As psql does: with the machine's certificates only `verify-full` is allowed, which also checks the host name."""
    mode = dict(pairs).get("sslmode", "verify-full")
    if mode != "verify-full":
        raise ValueError("sslrootcert=system ne va qu'avec sslmode=verify-full")
    rest = [(name, value) for name, value in pairs if name not in {"sslmode", "sslrootcert"}]
    return [*rest, ("sslmode", mode), ("sslrootcert", _system_store())]


def _system_store() -> str:
    found = [path for path in (ssl.get_default_verify_paths().cafile, *STORES) if path and Path(path).is_file()]
    if not found:
        raise ValueError("sslrootcert=system : cette machine n'a pas de fichier de certificats (ca-certificates)")
    return found[0]


def _has_own_roots() -> bool:
    """Whether the certificates are where psql looks for them by default."""
    named = os.environ.get("PGSSLROOTCERT")
    return os.access(named or Path(os.environ.get("HOME", "/"), ".postgresql", "root.crt"), os.R_OK)


class Place(NamedTuple):
    """One server of an address; the driver finds a host or port that is None (a socket, PGPORT)."""

    host: str | None = None
    port: int | None = None


def places(url: str) -> list[Place]:
    """Every server that the address names: `a,b:6432` are `a` and `b:6432`.

    Without a host, PGHOST and PGPORT count; a service of pg_service.conf is left to the driver.
    """
    address, _, query = url.partition("?")
    values = dict(parse_qsl(query, keep_blank_values=True))
    authority = address.partition("://")[2].partition("/")[0].rpartition("@")[2]
    ports = values.get("port") or os.environ.get("PGPORT") or ""
    if authority:
        found = [match for place in authority.split(",") if (match := _PLACE.fullmatch(place))]
        hosts, given = [unquote(match[1]) for match in found], [match[2] for match in found]
    else:
        named = values.get("host") or ("" if "service" in values else os.environ.get("PGHOST")) or ""
        hosts = [host for host in named.split(",") if host]
        given = [None] * len(hosts)
    each = ports.split(",") if "," in ports else [ports] * len(hosts)
    pairs = zip(hosts, given, [*each, *[""] * len(hosts)], strict=False)
    return [Place(host.strip("[]") or None, _port(own or shared)) for host, own, shared in pairs] or [Place()]


def _port(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def wanted_session(url: str) -> str | None:
    """`target_session_attrs` from the address, else from PGTARGETSESSIONATTRS; None if neither has it."""
    values = dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
    found = values.get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
    return found if found in SESSION_KINDS else None
