"""What the door takes out of, and puts into, the header fields of a request and of its answer."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from shared.access import DEV_ACTOR_HEADER

Fields = list[tuple[bytes, bytes]]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that concern one connection only (RFC 9110 7.6.1, the Proxy- ones 11.7). Trailer too: trailers are dropped."""

FRAMING: Final = frozenset({b"content-length", b"host"})
"""Never removed because a client names them in Connection: they say where the message ends and whom it is for."""

FORWARDING: Final = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
"""Fields by which a proxy tells whom it speaks for."""

DEV_ACTOR: Final = DEV_ACTOR_HEADER.lower().encode("ascii")


@lru_cache(maxsize=1024)
def is_loopback(host: str | None) -> bool:
    """Whether a peer's address is of this machine; a name, or nothing, is not."""
    if host is None:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def names_this_machine(authority: bytes) -> bool:
    """Whether a Host field (``localhost:8080``, ``127.0.0.1``, ``[::1]:8080``) means this machine itself."""
    host = authority.decode("latin-1").strip().lower()
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return host == "localhost" or host.endswith(".localhost") or is_loopback(host)


def request_fields(fields: Sequence[tuple[bytes, bytes]], *, peer: str | None, scheme: str) -> Fields:
    """The fields that go to the upstream.

    Without hop-by-hop fields. X-Forwarded-For, -Proto and -Host are what the door itself sees; what a peer says of them
    is believed only of a peer on this machine (a TLS terminator), where X-Forwarded-For is lengthened.
    X-Dev-Actor passes only when the request was made on this machine: from a loopback peer, not forwarded by anybody,
    and to a Host that is this machine's (a page of another site whose name was made to point here is refused so).
    """
    local = is_loopback(peer)
    listed = _listed_in_connection(fields)
    kept: Fields = []
    said: dict[bytes, list[bytes]] = {}
    host: bytes | None = None
    actors: Fields = []
    for name, value in fields:
        if name in HOP_BY_HOP or name in listed:
            continue
        if name in FORWARDING or name.startswith(b"x-forwarded-"):
            said.setdefault(name, []).append(value)
            continue
        if name == DEV_ACTOR:
            actors.append((name, value))
            continue
        if name == b"host":
            host = value
        kept.append((name, value))

    if local and not said and (host is None or names_this_machine(host)):
        kept += actors
    before = said.get(b"x-forwarded-for", []) if local else []
    if peer is not None:
        before = [*before, peer.encode("ascii", "replace")]
    if before:
        kept.append((b"x-forwarded-for", b", ".join(before)))
    kept.append((b"x-forwarded-proto", _told(said, b"x-forwarded-proto", local) or scheme.encode("ascii")))
    forwarded_host = _told(said, b"x-forwarded-host", local) or host
    if forwarded_host is not None:
        kept.append((b"x-forwarded-host", forwarded_host))
    kept.append((b"via", b", ".join([*said.get(b"via", []), b"1.1 door"])))
    return kept


def response_fields(fields: Sequence[tuple[bytes, bytes]]) -> Fields:
    """The fields that go to the client: all but the hop-by-hop ones."""
    listed = _listed_in_connection(fields)
    return [(name, value) for name, value in fields if name not in HOP_BY_HOP and name not in listed]


def _listed_in_connection(fields: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    listed = {option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")}
    return frozenset(listed - FRAMING) if listed else frozenset()


def _told(said: dict[bytes, list[bytes]], name: bytes, believed: bool) -> bytes | None:
    values = said.get(name) if believed else None
    return values[-1] if values else None
