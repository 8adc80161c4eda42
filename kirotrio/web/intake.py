"""How a request's body comes in: counted while it arrives, one body and all bodies together.

The framework checks the size of a chunked body only once it holds it whole (TRIO_STACK, trap 4), so it never sees
one: bytes are counted here, as they arrive, and what is too much is dropped, not kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from kirotrio.classes import define
from kirotrio.errors import DeadlineExceeded, KirotrioError, Overloaded, TooLarge


@define
class Inflight:
    """All bytes of all bodies that are held at this moment."""

    ceiling: int
    held: int = 0

    def take(self, count: int) -> bool:
        if self.held + count > self.ceiling:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        self.held -= count


class BodyIntake:
    """One request's body. `add` is called by whoever receives; `whole` by whoever needs the body.

    `declared`: the bytes that the client says it will send, if it says so.
    """

    __slots__ = (
        "_held",
        "_inflight",
        "_max_body",
        "_pieces",
        "_refusal",
        "_seen",
        "_unwanted",
        "_waiting",
        "complete",
        "invite",
    )

    def __init__(self, inflight: Inflight, max_body: int, declared: int | None) -> None:
        self._inflight = inflight
        self._max_body = max_body
        self._pieces: list[bytes] = []
        self._held = 0
        self._seen = 0
        self.complete = False
        """Whether the last byte has come."""
        self.invite: Callable[[], Awaitable[None]] | None = None
        """Asks a client for the body that waits to be asked; None: it does not wait."""
        self._waiting: trio.Event | None = None
        self._unwanted = False
        self._refusal: KirotrioError | None = None
        if declared is not None:
            if declared > max_body:
                self._refuse(self._too_large())
            elif inflight.held + declared > inflight.ceiling:
                self._refuse(self._overloaded())

    def add(self, piece: bytes, *, last: bool) -> None:
        self._seen += len(piece)
        if self._refusal is None and piece and not self._unwanted:
            if self._seen > self._max_body:
                self._refuse(self._too_large())
            elif not self._inflight.take(len(piece)):
                self._refuse(self._overloaded())
            else:
                self._held += len(piece)
                self._pieces.append(piece)
        if last:
            self.complete = True
            self._wake()

    async def whole(self, patience: float) -> bytes:
        """The complete body. Raises TooLarge or Overloaded as soon as that is known, DeadlineExceeded after
        `patience` seconds. Returns at once where all of it is there."""
        if not self.complete and self._refusal is None:
            with trio.move_on_after(patience):
                invite, self.invite = self.invite, None
                if invite is not None:
                    await invite()
                while not self.complete and self._refusal is None:
                    await self._more()
        if self._refusal is not None:
            raise self._refusal
        if not self.complete:
            raise DeadlineExceeded(f"the body did not arrive within {patience:g} seconds (deadlines.prepare)")
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def run_out(self, patience: float) -> None:
        """Let a body that nobody wants arrive and drop it, for `patience` seconds at most.

        A client that is still sending would otherwise meet a closed connection instead of its answer. One that waits
        to be asked for the body sends none.
        """
        if not self.complete:
            self._unwanted = True
            self.release()
            if self.invite is None:
                with trio.move_on_after(patience):
                    while not self.complete:
                        await self._more()

    def release(self) -> None:
        """Nobody holds the bytes any more."""
        self._pieces = []
        self._inflight.give_back(self._held)
        self._held = 0

    async def _more(self) -> None:
        self._waiting = trio.Event()
        await self._waiting.wait()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set()

    def _refuse(self, error: KirotrioError) -> None:
        self._refusal = error
        self._wake()
        self.release()

    def _too_large(self) -> KirotrioError:
        return TooLarge(f"the body is larger than the {self._max_body} bytes that are accepted (server.max_body)")

    def _overloaded(self) -> KirotrioError:
        return Overloaded(
            f"more than {self._inflight.ceiling} bytes of requests are being read (server.max_inflight); "
            "try again in a moment",
            retry_after=2.0,
        )
