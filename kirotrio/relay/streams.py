"""The answers that are being given right now: for graceful stops and, later, the console."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError
from kirotrio.relay.register import Register


@frozen(eq=False)
class LiveAnswer:
    """One running answer. `end` makes it finish at once with the dialect's legal error."""

    request_id: str
    model: str
    began_at: float
    end: Callable[[KirotrioError], None] = field(repr=False)


class Streams(Register[LiveAnswer]):
    """The register of live answers; the application owns it."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False
        """The process ends at once: answers that are cancelled from here on were not left by their clients."""
        self._closed: KirotrioError | None = None

    def add(self, one: LiveAnswer) -> None:
        super().add(one)
        if self._closed is not None:
            one.end(self._closed)

    def close(self, error: KirotrioError) -> None:
        """End every answer with the dialect's legal form of `error`, those that are yet to come included."""
        self._closed = error
        self.end_all(error)

    def end_all(self, error: KirotrioError) -> None:
        for answer in self:
            answer.end(error)
