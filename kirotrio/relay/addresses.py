"""Which addresses of the network may be fetched from: those of the public internet alone.

A client names an address and this machine calls it, from inside its own network. So nothing is called that only
this network can reach, in whatever form it is written. Sources: the IANA registries of special-purpose IPv4 and IPv6
addresses (RFC 6890). They are spelled out here because what `ipaddress.is_global` says differs between the supported
Pythons.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Final

from kirotrio.config.networks import Address, Network

_NOT_PUBLIC: Final = frozenset(
    {
        *("localhost", "local", "internal", "alt", "onion", "test", "invalid", "example"),
        *("home.arpa", "lan", "home", "corp", "mail", "intranet", "private", "localdomain"),
    }
)
"""Endings of names that no public site has: the IANA registry of special-use names, names that ICANN has set aside,
and what routers and companies use for their own."""

_SPECIAL_4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local: the metadata services of clouds, too
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

_GLOBAL_6: Final = IPv6Network("2000::/3")
"""All that is global unicast; loopback, link-local, unique-local and multicast addresses lie outside."""

_SPECIAL_6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
"""Teredo and 6to4 hold an IPv4 address within. Both are out of use, so that none of theirs is worth a closer look."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def may_call(address: Address, allowed: tuple[Network, ...] = ()) -> bool:
    """Whether `address` is of the public internet, or lies in one of the networks that are `allowed` all the same."""
    if any(address in network for network in allowed):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    if address in _MAPPED or address in _NAT64:
        # What is called in the end is the IPv4 address in the last four bytes.
        return may_call(IPv4Address(address.packed[-4:]), allowed)
    return address in _GLOBAL_6 and not any(address in network for network in _SPECIAL_6)


def names_public_site(host: str) -> bool:
    """Whether a name that does not resolve here may be left to somebody else to resolve: it has a dot, does not end in
    a number as addresses do, and not in what only stands for names of some inner network."""
    labels = host.lower().rstrip(".").split(".")
    if len(labels) < 2 or not all(labels) or labels[-1][0].isdigit():
        return False
    return not any(".".join(labels[start:]) in _NOT_PUBLIC for start in range(len(labels)))
