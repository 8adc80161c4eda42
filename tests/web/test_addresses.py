"""Whom a request comes from, whatever its sender writes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.config.networks import Address, read_address, read_networks
from kirotrio.config.team import AccessSettings
from kirotrio.errors import PermissionDenied
from kirotrio.web.addresses import AddressRules, forwarded_elements

PROXY, OTHER_PROXY = "10.0.0.1", "fd00::7"
WORDS = ("x-forwarded-for", "forwarded")

ADDRESSES = st.ip_addresses()
STRANGERS = ADDRESSES.filter(lambda one: not any(one in network for network in read_networks("10.0.0.0/8, fd00::/8")))
PIECES = st.sampled_from(
    [
        "for=",
        "For=",
        '"',
        "\\",
        ",",
        ";",
        "=",
        " ",
        "[",
        "]",
        ":",
        "10.0.0.1",
        "fd00::7",
        "192.0.2.1",
        "unknown",
        "_x",
        "by=",
    ]
)
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=40),
    st.lists(PIECES, max_size=12).map("".join),
    st.lists(ADDRESSES.map(str), max_size=4).map(", ".join),
    st.lists(ADDRESSES.map(lambda one: f"for={quoted(one)}"), max_size=4).map(", ".join),
)
FIELDS = st.lists(st.tuples(st.sampled_from([*WORDS, "x-forwarded-proto", "x-real-ip", "host"]), VALUES), max_size=5)


def quoted(address: Address | str) -> str:
    """As Forwarded has it."""
    text = str(address)
    return f'"[{text}]"' if ":" in text else text


def plain(address: Address) -> str:
    """How an address is told, however it was written."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address).partition("%")[0]


def rules(header: str = "x-forwarded-for", proxies: str = "10.0.0.0/8, fd00::/8", **more: str) -> AddressRules:
    return AddressRules.of(AccessSettings(trusted_proxies=proxies, forwarded_header=header, **more))


@given(STRANGERS, FIELDS, st.sampled_from(WORDS), st.sampled_from(["", "10.0.0.0/8, fd00::/8", "fd00::1"]))
def test_no_header_changes_whom_an_untrusted_peer_is_taken_for(stranger, fields, header, proxies) -> None:
    taken = AddressRules.of(AccessSettings(trusted_proxies=proxies, forwarded_header=header))
    assert taken.client(str(stranger), fields) == plain(stranger)
    assert not taken.is_secure(str(stranger), fields)


@given(STRANGERS, FIELDS, st.sampled_from(WORDS), st.booleans(), st.booleans())
@example("198.51.100.1", [("forwarded", 'for="10.0.0.1')], "forwarded", True, False)
@example("198.51.100.1", [("x-forwarded-for", "10.0.0.1,")], "x-forwarded-for", True, True)
def test_no_header_that_a_stranger_sends_through_a_trusted_proxy_hides_him(
    stranger, fields, header, same_line, two_hops
) -> None:
    stranger = ipaddress.ip_address(str(stranger))
    hops = [stranger, ipaddress.ip_address(OTHER_PROXY)] if two_hops else [stranger]
    words = [f"for={quoted(hop)};proto=http" if header == "forwarded" else str(hop) for hop in hops]
    for word in words:
        last = max((place for place, (name, _) in enumerate(fields) if name == header), default=None)
        if same_line and last is not None:
            fields = [*fields]
            fields[last] = (header, f"{fields[last][1]}, {word}")
        else:
            fields = [*fields, (header, word)]
    assert rules(header).client(PROXY, fields) == plain(stranger)


@given(STRANGERS, VALUES)
def test_a_host_that_the_proxy_quotes_does_not_speak_for_the_proxy(stranger, host) -> None:
    escaped = host.replace("\\", "\\\\").replace('"', '\\"').replace(",", "", max(0, host.count(",") - 8))
    field = f'for=192.0.2.9, for={quoted(stranger)};host="{escaped}"'
    assert rules("forwarded").client(PROXY, [("forwarded", field)]) == plain(stranger)


@pytest.mark.parametrize(
    ("field", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.1.2.3, fd00::1", "192.0.2.1"),
        ("10.1.2.3, fd00::1", "10.1.2.3"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%<script>", "fe80::1"),
        ("192.0.2.1, garbage", PROXY),
        ("192.0.2.1, garbage, 10.9.9.9", "10.9.9.9"),
        ("192.0.2.1, unknown", PROXY),
        ("192.0.2.1,", PROXY),
        ("[192.0.2.1]", PROXY),
        ("192.0.2.1:port", PROXY),
        ("", PROXY),
    ],
)
def test_proxies_are_believed_from_the_right_up_to_the_first_stranger(field: str, client: str) -> None:
    assert rules().client(PROXY, [("x-forwarded-for", field)]) == client
    assert rules().client(f"::ffff:{PROXY}", [("x-forwarded-for", field)]) == client


@pytest.mark.parametrize(
    ("field", "client"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ('For="[2001:db8::1]:4711";Proto=https;by=10.0.0.1', "2001:db8::1"),
        ('for="192.0.2.1:80"; proto=http', "192.0.2.1"),
        ("for=203.0.113.9, for=192.0.2.1, for=10.1.1.1", "192.0.2.1"),
        ("for=192.0.2.1, for=_hidden", PROXY),
        ("for=192.0.2.1, for=unknown", PROXY),
        ("for=192.0.2.1, proto=https", PROXY),
        ("for=192.0.2.1, @", PROXY),
        ("for=2001:db8::1", PROXY),
        ('for="192.0.2.1', PROXY),
        ("", PROXY),
    ],
)
def test_forwarded_is_read_where_the_proxies_write_it(field: str, client: str) -> None:
    assert rules("forwarded").client(PROXY, [("forwarded", field), ("x-forwarded-for", "203.0.113.77")]) == client
    assert rules().client(PROXY, [("forwarded", field)]) == PROXY, "the field that the proxies do not write is not read"


def test_fields_of_one_name_are_one_list() -> None:
    fields = [
        ("x-forwarded-for", "203.0.113.9"),
        ("host", "x"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-for", PROXY),
    ]
    assert rules().client(PROXY, fields) == "192.0.2.1"


@given(st.text(max_size=400))
def test_any_text_is_an_address_or_none(text: str) -> None:
    address = read_address(text)
    assert address is None or read_address(str(address)) == address


@given(VALUES)
def test_any_text_has_elements_or_none(text: str) -> None:
    assert all(isinstance(element, dict) for element in forwarded_elements(text))


@pytest.mark.parametrize(
    ("header", "fields", "secure"),
    [
        ("x-forwarded-for", [("x-forwarded-proto", "https")], True),
        ("x-forwarded-for", [("x-forwarded-proto", "http, HTTPS ")], True),
        ("x-forwarded-for", [("x-forwarded-proto", "https, http")], False),
        ("x-forwarded-for", [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], False),
        ("x-forwarded-for", [("forwarded", "proto=https")], False),
        ("x-forwarded-for", [], False),
        ("forwarded", [("forwarded", "for=192.0.2.1;proto=https")], True),
        ("forwarded", [("forwarded", "proto=https, for=192.0.2.1;proto=http")], False),
        ("forwarded", [("x-forwarded-proto", "https")], False),
    ],
)
def test_only_a_trusted_proxy_says_that_the_client_speaks_tls(header, fields, secure) -> None:
    assert rules(header).is_secure(PROXY, fields) is secure
    assert rules(header).is_secure("192.0.2.1", fields) is False
    assert rules(header, proxies="").is_secure(PROXY, fields) is False


@pytest.mark.parametrize(
    ("allow", "deny", "address", "admitted"),
    [
        ("", "", "192.0.2.1", True),
        ("", "", "", True),
        ("10.0.0.0/8, fd00::/8", "", "10.1.2.3", True),
        ("10.0.0.0/8, fd00::/8", "", "fd00::1", True),
        ("10.0.0.0/8, fd00::/8", "", "192.0.2.1", False),
        ("10.0.0.0/8", "", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "", "10.1.2.3", True),
        ("10.0.0.0/8", "", "", False),
        ("", "192.0.2.0/24", "192.0.2.1", False),
        ("", "192.0.2.0/24", "", True),
        ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", False),
        ("10.1.2.3", "10.0.0.0/8", "10.1.2.3", False),
    ],
)
def test_who_is_denied_is_not_let_in_nor_who_is_not_allowed(allow, deny, address, admitted) -> None:
    check = rules(allow=allow, deny=deny).check
    if admitted:
        check(address)
    else:
        with pytest.raises(PermissionDenied, match=r"access\.allow"):
            check(address)
