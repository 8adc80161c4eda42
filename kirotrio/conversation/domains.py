"""Which addresses a client's domain lists let through.

An entry is a domain without a scheme, which covers its subdomains, and perhaps a path, which covers what lies below
it: `example.com`, `docs.example.com`, `example.com/blog`. One `*` in the path stands for any characters
(`example.com/*/articles`). Hosts are compared in their IDNA form in lower case, paths decoded and without dot segments,
so that `/blog/../admin` does not pass for something below `/blog`.

A scheme and a leading `*.`, which clients write though nobody asks for them, are passed over. An entry that is none
admits nothing, and blocks nothing.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from kirotrio.classes import frozen

_NO_URL = re.compile(r"[\s\\\x00-\x1f\x7f]")
"""What parsers of addresses do not agree about: two of them could see two hosts."""


def admits(url: str, allowed: Iterable[str], blocked: Iterable[str]) -> bool:
    """Whether a page of this address may be shown: it is http or https, in `allowed` unless that is empty, and not in
    `blocked`. Never raises."""
    place = _place(url)
    if place is None:
        return False
    wanted = tuple(allowed)
    if wanted and not any(map(place.within, wanted)):
        return False
    return not any(map(place.within, blocked))


@frozen
class _Place:
    host: str
    path: str

    def within(self, entry: str) -> bool:
        """Whether this entry of a list covers the place."""
        domain, slash, path = _bare(entry).partition("/")
        host = _host(domain.partition(":")[0])
        if not host or (self.host != host and not self.host.endswith("." + host)):
            return False
        if not slash or not path:
            return True
        wanted = "/" + path
        pattern = re.escape(_path(wanted)).replace(r"\*", ".*", 1)
        return re.match(rf"{pattern}(?:/|$)", self.path, re.DOTALL) is not None


def _bare(entry: str) -> str:
    entry = entry.strip()
    scheme, marks, rest = entry.partition("://")
    bare = rest if marks and scheme.lower() in ("http", "https") else entry
    return bare.removeprefix("*.")


def _place(url: str) -> _Place | None:
    if _NO_URL.search(url):
        return None
    try:
        parts = urlsplit(url)
        host = _host(parts.hostname or "")
    except ValueError:
        return None
    return _Place(host, _path(parts.path)) if host and parts.scheme in ("http", "https") else None


def _host(name: str) -> str:
    name = name.lower().rstrip(".")
    try:
        return name.encode("idna").decode().lower()
    except UnicodeError:
        return "" if not name.isascii() else name


def _path(path: str) -> str:
    """Decoded, without dot segments and repeated slashes, and without a slash at its end."""
    plain = posixpath.normpath("/" + unquote(path).lstrip("/"))
    return "" if plain == "/" else plain
