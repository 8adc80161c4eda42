"""The answers that are being given right now: for graceful stops and, later, the console."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

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

    def end_all(self, error: KirotrioError) -> None:
        for answer in self:
            answer.end(error)
