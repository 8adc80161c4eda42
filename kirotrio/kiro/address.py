"""An address that can be called, in the shape in which a request carries it (RFC 3986).

In place of httpx's URL, whose import alone takes 150 ms at start. Tests hold it against that.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote, urljoin

from kirotrio.classes import frozen

PORTS: Final = {"http": 80, "https": 443}

_LONGEST: Final = 65536
_PARTS: Final = re.compile(
    r"(?:([a-zA-Z][a-zA-Z0-9+.-]*)?:)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
_AUTHORITY: Final = re.compile(r"(?:(.*)@)?(\[.*\]|[^:@]*)(?::(.*))?")
_NAME: Final = re.compile(r"[a-z0-9._~!$&'()*+,;=-]+")
_LIKE_IPV4: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_PRINTED: Final = "".join(chr(code) for code in range(0x21, 0x7F))
_IN_QUERY: Final = "".join(letter for letter in _PRINTED if letter not in '"#<>')
_IN_PATH: Final = "".join(letter for letter in _IN_QUERY if letter not in "?`{}")


class NoAddress(ValueError):
    """The text is no address that http or https could call."""


class OtherScheme(NoAddress):
    """It is an address, but of no host over http or https."""


@frozen
class Address:
    """`host` as it is looked up: in lower case, in ASCII, without brackets. `port` is None where it is the usual one.

    `target` is what a request asks for, path and query. `fragment` is never sent. `has_user`: a user name or a password
    stood in it, and was left out.
    """

    scheme: str
    host: str
    port: int | None
    target: str
    fragment: str | None = None
    has_user: bool = False

    @property
    def connects_to(self) -> int:
        """The port."""
        return self.port or PORTS[self.scheme]

    @property
    def netloc(self) -> str:
        """Host and, where it is not the usual one, port: the field `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        fragment = "" if self.fragment is None else f"#{self.fragment}"
        return f"{self.scheme}://{self.netloc}{self.target}{fragment}"


def parse_address(url: str, base: Address | None = None) -> Address:
    """`url`, or what it stands for where it was found at `base`. Raises NoAddress."""
    if len(url) > _LONGEST or any(letter.isascii() and not letter.isprintable() for letter in url):
        raise NoAddress(url)
    if base is not None:
        if url.startswith("///"):  # a host is named, and it is empty; `urljoin` takes it for none
            raise NoAddress(url)
        try:
            url = urljoin(str(base), url)
        except ValueError:
            raise NoAddress(url) from None
    match = _PARTS.fullmatch(url)
    if match is None:
        raise NoAddress(url)
    scheme, authority, path, query, fragment = match.groups()
    scheme = (scheme or "").lower()
    if scheme not in PORTS:
        raise OtherScheme(url)
    parts = _AUTHORITY.fullmatch(authority or "")
    if parts is None or (path and not path.startswith("/")):
        raise NoAddress(url)
    host, port = _host(parts[2]), _port(parts[3])
    if not host:
        raise OtherScheme(url)
    target = _quoted(_without_dots(path), _IN_PATH) or "/"
    if query is not None:
        target += f"?{_quoted(query, _IN_QUERY)}"
    if fragment is not None:
        fragment = _quoted(fragment, _IN_QUERY)
    return Address(scheme, host, None if port == PORTS[scheme] else port, target, fragment, bool(parts[1]))


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4."""
    if "/." not in path:
        return path
    kept: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            if kept and kept != [""]:
                kept.pop()
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _quoted(text: str, safe: str) -> str:
    """What may not stand in a request is escaped; escapes that are there stay as they are."""
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise NoAddress(text) from None


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise NoAddress(text)
    return int(text)


def _host(text: str) -> str:
    try:
        if text.startswith("["):
            IPv6Address(text[1:-1])
            return text[1:-1]
        if _LIKE_IPV4.fullmatch(text):
            return str(IPv4Address(text))
    except AddressValueError:
        raise NoAddress(text) from None
    if text.isascii():
        name = text.lower()
        if name and not _NAME.fullmatch(name):
            raise NoAddress(text)
        return name
    # Rare, and its tables are large.
    import idna

    try:
        return idna.encode(text.lower()).decode("ascii")
    except idna.IDNAError:
        raise NoAddress(text) from None
