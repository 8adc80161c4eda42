"""Whom a request comes from, and who is let in by address. Pure.

A connection's other end cannot lie about its address; a header field can. So the fields that reverse proxies write are
read only where that other end is one of the proxies in `access.trusted_proxies`, and from their right end, where the
nearest proxy wrote last: what each trusted one says of who it was called by counts, and nothing that stands to the left
of the first who is not trusted. Where a word cannot be read, the last one that could be stands.

Only one of the two fields is read (`access.forwarded_header`): a proxy that writes one of them passes on what a
stranger wrote into the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kirotrio.classes import frozen
from kirotrio.config.networks import Address, Network, read_address, read_networks, within
from kirotrio.config.team import AccessSettings
from kirotrio.errors import PermissionDenied

Fields = Sequence[tuple[str, str]]

_TOKEN = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"  # noqa: S105 - the grammar's name of it
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = rf"{_TOKEN}=(?:{_TOKEN}|{_QUOTED})"
_ELEMENT: Final = re.compile(rf"{_PAIR}(?:;[ \t]*(?:{_PAIR})?)*")
_ONE_PAIR: Final = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")
_MOST_COMMAS: Final = 16
"""Inside the quotes of one proxy's word; more is not read."""


@frozen
class AddressRules:
    """The settings `access.*`, read once."""

    proxies: tuple[Network, ...] = ()
    header: str = "x-forwarded-for"
    """Which field the proxies write."""
    allow: tuple[Network, ...] = ()
    """Who is let in; empty: everybody."""
    deny: tuple[Network, ...] = ()
    """Who is not, whatever `allow` says."""

    @classmethod
    def of(cls, settings: AccessSettings) -> AddressRules:
        return cls(
            read_networks(settings.trusted_proxies),
            settings.forwarded_header,
            read_networks(settings.allow),
            read_networks(settings.deny),
        )

    def client(self, peer: str, fields: Fields) -> str:
        """The client's address in its usual spelling, "" where it has none. `peer`: the connection's other end."""
        if not self.proxies and ":" not in peer:
            return peer
        address = self._client(peer, fields)
        return "" if address is None else str(address)

    def _client(self, peer: str, fields: Fields) -> Address | None:
        address = read_address(peer)
        if not within(address, self.proxies):
            return address
        for word in self._words(fields):
            named = read_address(word)
            if named is None:
                break
            address = named
            if not within(address, self.proxies):
                break
        return address

    def _words(self, fields: Fields) -> Iterator[str]:
        """What the proxies say of who called them, the nearest proxy first."""
        values = [value for name, value in fields if name == self.header]
        if self.header == "x-forwarded-for":
            yield from reversed(",".join(values).split(",")) if values else ()
        else:
            for element in forwarded_elements(",".join(values)):
                yield element.get("for", "")

    def is_secure(self, peer: str, fields: Fields) -> bool:
        """Whether the client speaks TLS, which a trusted proxy says, and nobody else can know here."""
        if not self.proxies or not within(read_address(peer), self.proxies):
            return False
        if self.header == "forwarded":
            values = [value for name, value in fields if name == "forwarded"]
            return next(forwarded_elements(",".join(values)), {}).get("proto", "").lower() == "https"
        schemes = [value for name, value in fields if name == "x-forwarded-proto"]
        return bool(schemes) and schemes[-1].rpartition(",")[2].strip().lower() == "https"

    @property
    def admits_all(self) -> bool:
        return not self.allow and not self.deny

    def check(self, address: str) -> None:
        """Raises PermissionDenied for a client's address that is not let in."""
        if self.admits_all:
            return
        read = read_address(address)
        if within(read, self.deny) or (self.allow and not within(read, self.allow)):
            raise PermissionDenied(
                f"this gateway is not open to {address or 'clients without an address'}; its operator decides which "
                "addresses are let in (access.allow, access.deny)"
            )


def forwarded_elements(text: str) -> Iterator[Mapping[str, str]]:
    """The elements of a Forwarded field (RFC 7239), the last one first, by name in small letters; ends ahead of the
    first that is none.

    Read from the right: a quote that a stranger opened and did not close must not swallow what a proxy wrote behind it.
    """
    while text:
        start = len(text)
        for _ in range(_MOST_COMMAS):
            start = text.rfind(",", 0, start)
            matched = _ELEMENT.fullmatch(text[start + 1 :].strip(" \t"))
            if matched is not None or start < 0:
                break
        if matched is None:
            return
        yield {name.lower(): _unquoted(value) for name, value in _ONE_PAIR.findall(matched[0])}
        text = text[: max(start, 0)]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
