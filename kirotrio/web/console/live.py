"""Server-sent events for pages: what changes is sent as it does, until the reader leaves or may see it no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio
from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError
from kirotrio.relay.ports import Sink
from kirotrio.web.console.headers import EVENT_HEADERS, SECURE_ONLY
from kirotrio.web.console.visit import Visit, open_visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply

_KEEP_ALIVE: Final = 15.0
"""Seconds without an event after which one shows that the connection lives; pages wait for it (live.js)."""
_LOOK_AGAIN: Final = 5.0
"""Seconds between two looks whether the reader is still signed in."""
_RETRY: Final = b"retry: 3000\n\n"
OVER: Final = "over"
"""The event after which there is nothing more to tell: the page asks no more."""


def event(name: str, data: str) -> bytes:
    """One event. The name is ours; the data may have any lines."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n")).replace("\r", "")
    return f"event: {name}\n{lines}\n".encode("utf-8", "replace")


_HERE: Final = event("here", "here")
_GONE: Final = event("gone", "gone")


def gone(visit: Visit) -> Reply:
    """The whole answer to a page that listens, though its person may not (any more). An EventSource cannot read the
    page that it would be sent to, nor an error: it would ask again for ever."""
    headers = {**EVENT_HEADERS, **(SECURE_ONLY if visit.secure else {})}
    return Reply(_GONE, 200, headers, cookies=visit.keeps)


def listens(incoming: Incoming) -> bool:
    """Whether a page's EventSource asks."""
    return "text/event-stream" in incoming.headers.get("accept", "")


@frozen
class Live:
    """An answer that calls `tell` every `every` seconds and sends what it gives where that has changed.

    `tell`: the events by name, as the text (mostly markup) that htmx puts in. It may raise a KirotrioError, which ends
    nothing: it is tried again. Once it has told `OVER`, all is told. Ends as well where the visit's person is no longer
    the one who has signed in, which the page is told by an event `gone`: then it asks no more. Where the gateway
    drains, the answer just ends, and the page asks until a gateway is there. A reader who leaves is a cancellation.
    """

    gateway: Gateway
    visit: Visit = field(repr=False)
    tell: Callable[[], Awaitable[dict[str, str]]]
    every: float = 1.0

    async def run(self, sink: Sink) -> None:
        await sink.start(200, {**EVENT_HEADERS, **(SECURE_ONLY if self.visit.secure else {})})
        await sink.write(_RETRY)
        last = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_drained, nursery.cancel_scope)
            last = await self._send(sink)
            nursery.cancel_scope.cancel()
        await sink.finish(last)

    async def _until_drained(self, scope: trio.CancelScope) -> None:
        await self.gateway.draining.wait()
        scope.cancel()

    async def _send(self, sink: Sink) -> bytes:
        """Until the person may not see it any more, or all is told. Gives what is to be said at the end."""
        last: dict[str, str] = {}
        told = looked = trio.current_time()
        while True:
            try:
                now = await self.tell()
            except KirotrioError:
                now = {}
            changed = b"".join(event(name, text) for name, text in now.items() if last.get(name) != text)
            last.update(now)
            if OVER in now:
                return changed
            if changed:
                await sink.write(changed)
                told = trio.current_time()
            elif trio.current_time() - told >= _KEEP_ALIVE:
                await sink.write(_HERE)
                told = trio.current_time()
            await trio.sleep(self.every)
            if trio.current_time() - looked >= _LOOK_AGAIN:
                looked = trio.current_time()
                if not await self._still_there():
                    return _GONE

    async def _still_there(self) -> bool:
        """Where the store is away, nobody is sent away for it."""
        try:
            seen = await open_visit(self.gateway, self.visit.incoming)
        except KirotrioError:
            return True
        if seen.session is None or self.visit.session is None:
            return seen.session is self.visit.session
        return seen.session.id == self.visit.session.id and seen.user.role == self.visit.user.role
