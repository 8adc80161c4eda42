"""Addresses and networks of the internet, as settings and header fields write them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_LONGEST: Final = 128
"""Characters beyond which nothing is an address, with its brackets, zone and port."""


def read_network(text: str) -> Network:
    """`10.0.0.0/8`, `fd00::/8`, or an address alone; one of IPv4 inside IPv6 is that of IPv4. Raises ValueError."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96 and network.subnet_of(_MAPPED):
        inner = ipaddress.IPv4Address(network.network_address.packed[-4:])
        return ipaddress.IPv4Network((inner, network.prefixlen - 96))
    return network


def read_networks(text: str) -> tuple[Network, ...]:
    """The networks of a setting of the form "networks": separated by commas. Raises ValueError."""
    return tuple(read_network(part) for part in text.split(",") if part.strip())


def read_address(text: str) -> Address | None:
    """The address of one party of a connection, as systems and header fields write it: `192.0.2.1`, `192.0.2.1:80`,
    `2001:db8::1`, `[2001:db8::1]:80`. None: it is none.

    An address of IPv4 inside IPv6 is that of IPv4, as a socket for both kinds names its clients; a zone is left out.
    """
    text = text.strip(" \t")
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text, closed, rest = text[1:].partition("]")
        if not closed or ":" not in text or not _is_port(rest):
            return None
    elif text.count(":") == 1:
        text, colon, port = text.partition(":")
        if not _is_port(colon + port):
            return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


def within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether it lies in one of them; what has no address lies in none."""
    return address is not None and any(address in network for network in networks)


def _is_port(rest: str) -> bool:
    """What may stand behind an address: nothing, or a port."""
    return rest == "" or (rest[0] == ":" and rest[1:].isascii() and rest[1:].isdigit() and len(rest) <= 6)
