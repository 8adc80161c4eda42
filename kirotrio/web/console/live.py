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

_KEEP_ALIVE: Final = 15.0
"""Seconds without an event after which a comment shows that the connection lives."""
_LOOK_AGAIN: Final = 5.0
"""Seconds between two looks whether the reader is still signed in."""
_RETRY: Final = b"retry: 3000\n\n"


def event(name: str, data: str) -> bytes:
    """One event. The name is ours; the data may have any lines."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n")).replace("\r", "")
    return f"event: {name}\n{lines}\n".encode("utf-8", "replace")


@frozen
class Live:
    """An answer that calls `tell` every `every` seconds and sends what it gives where that has changed.

    `tell`: the events by name, as the text (mostly markup) that htmx puts in. It may raise a KirotrioError, which ends
    nothing: it is tried again. Ends once the gateway drains, or the visit's person is no longer the one who has signed
    in, which the page is told by an event `gone`. A reader who leaves is a cancellation.
    """

    gateway: Gateway
    visit: Visit = field(repr=False)
    tell: Callable[[], Awaitable[dict[str, str]]]
    every: float = 1.0

    async def run(self, sink: Sink) -> None:
        await sink.start(200, {**EVENT_HEADERS, **(SECURE_ONLY if self.visit.secure else {})})
        await sink.write(_RETRY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_drained, nursery.cancel_scope)
            await self._send(sink)
            nursery.cancel_scope.cancel()
        await sink.finish(event("gone", "gone"))

    async def _until_drained(self, scope: trio.CancelScope) -> None:
        await self.gateway.draining.wait()
        scope.cancel()

    async def _send(self, sink: Sink) -> None:
        """Until the person may not see it any more."""
        last: dict[str, str] = {}
        told = looked = trio.current_time()
        while True:
            try:
                now = await self.tell()
            except KirotrioError:
                now = {}
            changed = b"".join(event(name, text) for name, text in now.items() if last.get(name) != text)
            last.update(now)
            if changed:
                await sink.write(changed)
                told = trio.current_time()
            elif trio.current_time() - told >= _KEEP_ALIVE:
                await sink.write(b": here\n\n")
                told = trio.current_time()
            await trio.sleep(self.every)
            if trio.current_time() - looked >= _LOOK_AGAIN:
                looked = trio.current_time()
                if not await self._still_there():
                    return

    async def _still_there(self) -> bool:
        """Where the store is away, nobody is sent away for it."""
        try:
            seen = await open_visit(self.gateway, self.visit.incoming)
        except KirotrioError:
            return True
        if seen.session is None or self.visit.session is None:
            return seen.session is self.visit.session
        return seen.session.id == self.visit.session.id and seen.user.role == self.visit.user.role
