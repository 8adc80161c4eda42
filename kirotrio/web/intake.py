"""How a request's body comes in: counted while it arrives, one body and all bodies together.

The framework checks the size of a chunked body only once it holds it whole (TRIO_STACK, trap 4), so it never sees
one: bytes are counted here, as they arrive, and what is too much is dropped, not kept.
"""

from __future__ import annotations

import trio
from attrs import define

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
    """One request's body. `add` is called by whoever receives; `whole` by whoever needs the body."""

    def __init__(self, inflight: Inflight, max_body: int, declared: int | None) -> None:
        self._inflight = inflight
        self._max_body = max_body
        self._pieces: list[bytes] = []
        self._held = 0
        self._seen = 0
        self._complete = trio.Event()
        self._decided = trio.Event()
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
            self._complete.set()
            self._decided.set()

    async def whole(self, patience: float) -> bytes:
        """The complete body. Raises TooLarge or Overloaded as soon as that is known, DeadlineExceeded after
        `patience` seconds."""
        with trio.move_on_after(patience) as deadline:
            await self._decided.wait()
        if self._refusal is not None:
            raise self._refusal
        if deadline.cancelled_caught:
            raise DeadlineExceeded(f"the body did not arrive within {patience:g} seconds (deadlines.prepare)")
        body = b"".join(self._pieces)
        self._pieces = []
        return body

    async def run_out(self, patience: float) -> None:
        """Let a body that nobody wants arrive and drop it, for `patience` seconds at most.

        A client that is still sending would otherwise meet a closed connection instead of its answer.
        """
        if not self._complete.is_set():
            self._unwanted = True
            self.release()
            with trio.move_on_after(patience):
                await self._complete.wait()

    def release(self) -> None:
        """Nobody holds the bytes any more."""
        self._pieces = []
        self._inflight.give_back(self._held)
        self._held = 0

    def _refuse(self, error: KirotrioError) -> None:
        self._refusal = error
        self._decided.set()
        self.release()

    def _too_large(self) -> KirotrioError:
        return TooLarge(f"the body is larger than the {self._max_body} bytes that are accepted (server.max_body)")

    def _overloaded(self) -> KirotrioError:
        return Overloaded(
            f"more than {self._inflight.ceiling} bytes of requests are being read (server.max_inflight); "
            "try again in a moment",
            retry_after=2.0,
        )
