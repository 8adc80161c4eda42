"""Scripts, style and pictures of the pages: each under an address with the hash of its content, kept by browsers.

The addresses are known one by one, so that no path leads to any other file.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

from kirotrio.classes import frozen
from kirotrio.web.console.headers import FILE_HEADERS
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HASH = 16
"""Characters of the hash that stand in an address."""


@frozen
class Asset:
    """One file. `name` is its path below `static/`."""

    name: str
    address: str
    kind: str
    body: bytes

    async def __call__(self, gateway: Gateway, incoming: Incoming) -> Reply:
        return Reply(self.body, 200, {**FILE_HEADERS, "content-type": self.kind})


@functools.cache
def assets() -> Mapping[str, Asset]:
    """All of them by name; read once."""
    found = {}
    for path in sorted(_FOLDER.rglob("*")):
        if path.suffix in _TYPES:
            name, body = path.relative_to(_FOLDER).as_posix(), path.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:_HASH]
            found[name] = Asset(name, f"/console/static/{digest}/{name}", _TYPES[path.suffix], body)
    return found


def asset(name: str) -> str:
    """The address of a file, for templates. Raises KeyError for one that is not there."""
    return assets()[name].address


def routes() -> tuple[Route, ...]:
    return tuple(Route("GET", one.address, one) for one in assets().values())
