"""What connections need of the server that they belong to, and the server of whoever answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from kirotrio.relay.register import Register
from kirotrio.telemetry.log import Log
from kirotrio.web.exchange import Exchange
from kirotrio.web.http1 import Malformed, RequestHead
from kirotrio.web.incoming import Reply
from kirotrio.web.intake import BodyIntake

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

KEEP_ALIVE: Final = 130.0
"""Seconds for which an idle connection is kept: longer than reverse proxies keep theirs (nginx 60 s, Caddy 120 s), or
one of them would send a request into a connection that is closed at that moment."""


class Front(Protocol):
    """Who answers what the connections bring."""

    def intake(self, head: RequestHead) -> BodyIntake:
        """Where the body of this request goes."""

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request to its end. Cancelled when the client leaves."""

    def malformed(self, malformed: Malformed) -> Reply:
        """What somebody reads whose request cannot be read. Its connection ends with it."""

    async def application(self) -> ASGIFramework:
        """The same over ASGI, for what is not HTTP/1.1."""


class Guest(Protocol):
    """A connection, as its server sees it."""

    def hurry(self, seconds: float) -> None:
        """Let a write that is waiting now wait no longer than this."""

    async def close_idle(self) -> None:
        """Close it as soon as it has nothing to answer."""


class Host(Protocol):
    """The server of a connection."""

    @property
    def front(self) -> Front: ...

    @property
    def log(self) -> Log: ...

    @property
    def connections(self) -> Register[Guest]: ...

    @property
    def write_deadline(self) -> float:
        """Seconds that a client has for each piece that it does not read."""

    @property
    def closing(self) -> bool:
        """Whether no connection is kept for another request."""

    def date(self) -> str:
        """The line of a head that names the time."""
