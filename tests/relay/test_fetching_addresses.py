"""Nothing but the public internet is called, however an address is written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.config.networks import read_networks
from kirotrio.relay.addresses import may_call

INNER_4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
INNER_6 = [
    "::/128",
    "::1/128",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


def within(networks: list[str]) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    def one(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
        kind = IPv4Address if network.version == 4 else IPv6Address
        return st.integers(int(network[0]), int(network[-1])).map(kind)

    return st.sampled_from([read_networks(text)[0] for text in networks]).flatmap(one)


@given(within(INNER_4))
def test_no_inner_ipv4_address_is_called_in_any_form(address):
    number = int(address)
    forms = {
        "plain": address,
        "mapped": IPv6Address((0xFFFF << 32) | number),
        "compatible": IPv6Address(number),
        "NAT64": IPv6Address((0x64FF9B << 96) | number),
        "local NAT64": IPv6Address((0x64FF9B0001 << 80) | number),
        "6to4": IPv6Address((0x2002 << 112) | (number << 80)),
        "Teredo server": IPv6Address((0x20010000 << 96) | (number << 64)),
        "Teredo client": IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    }
    for form, written in forms.items():
        assert not may_call(written), f"{written} ({form} of {address}) may be called"


@given(within(INNER_6))
def test_no_inner_ipv6_address_is_called(address):
    assert not may_call(address)


@pytest.mark.parametrize("text", INNER_4 + INNER_6)
def test_an_inner_network_is_inner_from_end_to_end(text):
    (network,) = read_networks(text)
    assert not may_call(network[0])
    assert not may_call(network[-1])


@given(st.ip_addresses())
def test_what_python_calls_inner_is_never_called(address):
    if isinstance(address, IPv6Address) and any(
        address in IPv6Network(form) for form in ("64:ff9b::/96", "::ffff:0:0/96")
    ):
        return  # judged by the IPv4 address within
    inner = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast, address.is_reserved)
    if any(inner) or address.is_unspecified:
        assert not may_call(address)


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255"),
        *("192.0.1.0", "192.88.98.255", "192.88.100.0", "198.17.255.255", "198.20.0.0"),
    ],
)
def test_public_ipv4_addresses_are_called_in_each_form_that_leads_to_them(text):
    address = IPv4Address(text)
    assert may_call(address)
    assert may_call(IPv6Address(f"::ffff:{text}"))
    assert may_call(IPv6Address(f"64:ff9b::{text}")), "the way to IPv4 from a network that has IPv6 alone"


@pytest.mark.parametrize(
    "text", ["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::1", "2001:200::", "3fff:1000::"]
)
def test_public_ipv6_addresses_are_called(text):
    assert may_call(IPv6Address(text))


@given(within(INNER_4))
def test_an_allowed_network_is_called_and_no_other(address):
    allowed = read_networks("10.0.0.0/8, fd00::/8")
    assert may_call(address, allowed) == (address in IPv4Network("10.0.0.0/8"))
    assert may_call(IPv6Address((0xFFFF << 32) | int(address)), allowed) == may_call(address, allowed)
