"""What every dialect's stream of server-sent events has in common."""

from __future__ import annotations

from collections.abc import Iterable

from kirotrio.conversation.events import Event, Failed, KeepAlive, Usage
from kirotrio.dialects.blocks import Blocks
from kirotrio.errors import KirotrioError


class EventStream(Blocks):
    """Blocks that are written down as bytes: the operations append to `_out`, which is handed out once a batch."""

    def __init__(self, usage: Usage) -> None:
        super().__init__(usage)
        self._out: list[bytes] = []

    def encode(self, batch: Iterable[Event]) -> bytes:
        """The events of one batch; every delta stays an event of its own. b"" after the end."""
        self.feed(batch)
        out = self._out
        if len(out) == 1:
            return out.pop()
        return self._taken()

    def keep_alive(self) -> bytes:
        """A sign of life; legal at any moment, also before the beginning. b"" after the end."""
        return self.encode((KeepAlive(),))

    def failure(self, error: KirotrioError) -> bytes:
        """The error that ends the stream; b"" if it has ended already."""
        return self.encode((Failed(error),))

    def _taken(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out
