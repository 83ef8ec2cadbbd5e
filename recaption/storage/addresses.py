"""Which addresses a server that sends us on may send us to: those of the public internet.

A url that a user names may be of any host. What another names for it (a redirect, a line of a list
that came over the network) must not reach this machine, its network, or the service in a cloud
that hands out credentials (169.254.169.254): such an address is refused, by whatever name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Say whether a numeric address is one of the public internet, in all that it stands for."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(map(_is_public, _meanings(found)))


def are_public(addresses: Iterable[str]) -> bool:
    """Say whether there are addresses, and all of them are public."""
    found = list(addresses)
    return bool(found) and all(map(is_public, found))


def look_up(host: str) -> list[str]:
    """Return the numeric addresses of a host, as a connection would use them; none: unknown."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


def _is_public(address: Address) -> bool:
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    is_odd = address.is_multicast or address.is_reserved or is_site_local
    return address.is_global and not is_odd


def _meanings(address: Address) -> list[Address]:
    """Return the address, or the IPv4 addresses that are wrapped in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.teredo is not None:
        return list(address.teredo)
    inner = address.ipv4_mapped or address.sixtofour
    return [address] if inner is None else [inner]
