"""The answers that are being given right now: for graceful stops, the console and `kirotrio top`.

What is told of one is looked up when it is asked for: an answer that nobody looks at does no more for it than to stand
in the register.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable

import trio
from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError
from kirotrio.relay.register import Register
from kirotrio.relay.tally import Tally


class LiveState(enum.Enum):
    """How far an answer is."""

    QUEUED = "queued"
    """It waits for a place on an account."""
    PREPARING = "preparing"
    """It has one; its images and documents are fetched, its token is refreshed, or it waits to be tried again."""
    ASKED = "asked"
    """The upstream was asked and has not answered."""
    ACCEPTED = "accepted"
    """The upstream's answer has a head and nothing behind it."""
    ANSWERING = "answering"
    FINISHING = "finishing"
    """A generation is over: what is held is written, or tools of the gateway's own run."""
    ENDING = "ending"
    """It was told to end."""


@frozen
class Glance:
    """What can be told of an answer at one moment. `output_tokens` are those so far: counted by characters as long as
    the upstream has not measured them. `first_event_at` is Trio's time."""

    state: LiveState
    account: str = ""
    attempts: int = 0
    """Begun so far."""
    output_tokens: int = 0
    first_event_at: float | None = None


@frozen(eq=False)
class LiveAnswer:
    """One running answer. `end` makes it finish at once with the dialect's legal error. `began_at` is Trio's time,
    `began` the same by the wall clock (epoch seconds)."""

    request_id: str
    model: str
    began_at: float
    end: Callable[[KirotrioError], None] = field(repr=False)
    glance: Callable[[], Glance] = field(default=lambda: Glance(LiveState.QUEUED), repr=False)
    key_id: str = ""
    surface: str = ""
    mode: str = ""
    key_name: str = ""
    owner: str = ""
    """The id of the user whose key it came with."""
    began: float = field()

    @began.default
    def _by_the_wall(self) -> float:
        return round(time.time() - (trio.current_time() - self.began_at), 6)

    def row(self) -> LiveRow:
        """All that can be told of it now."""
        glance, began_at = self.glance(), self.began_at
        first = glance.first_event_at
        return LiveRow(
            id=self.request_id,
            model=self.model,
            surface=self.surface,
            mode=self.mode,
            key_id=self.key_id,
            key_name=self.key_name,
            owner=self.owner,
            account=glance.account,
            state=glance.state.value,
            began=self.began,
            age=round(trio.current_time() - began_at, 3),
            first_event_seconds=None if first is None else round(first - began_at, 3),
            output_tokens=glance.output_tokens,
            attempts=glance.attempts,
        )


@frozen(kw_only=True)
class LiveRow:
    """One running answer as it is told to people, and between processes. `began`: when the request was taken, in epoch
    seconds by the clock of the machine that answers it; it never changes, unlike `age`, the seconds since then as far
    as is known where this is told. `first_event_seconds` are since then, too; `state` is a `LiveState`'s value;
    `worker` is 0 where there is one process. `owner`: the id of the user whose key it came with, "" for the gateway's
    own. `gateway`: the name of the one that gives it, where there are several on one database; `told`: how old in
    seconds what is told of it is, but for its `age`, which goes on."""

    id: str
    model: str
    surface: str
    mode: str
    key_id: str
    account: str
    state: str
    began: float
    age: float
    first_event_seconds: float | None
    output_tokens: int
    attempts: int
    worker: int = 0
    key_name: str = ""
    owner: str = ""
    gateway: str = ""
    told: float = 0.0


class Streams(Register[LiveAnswer]):
    """The register of live answers; the application owns it."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False
        """The process ends at once: answers that are cancelled from here on were not left by their clients."""
        self.tally = Tally()
        """What became of those that are over."""
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

    def end_one(self, request_id: str, error: KirotrioError, owner: str | None = None) -> bool:
        """End this answer; False where there is none of this id (any more), or, with `owner`, it is not this user's."""
        found = [answer for answer in self if answer.request_id == request_id and owner in (None, answer.owner)]
        for answer in found:
            answer.end(error)
        return bool(found)
