"""The ledger: what the simulator was sent and what became of its streams (`/_sim/requests`, `/_sim/streams`).

Times are given twice: `monotonic`, which on one machine all processes share, to measure by; `time` (seconds since
the epoch) to read. Secrets of the sign-in calls and the Authorization header are left out.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.simulator.answers import Call

MOST_REQUESTS = 200
MOST_STREAMS = 1000
MOST_BYTES = 64 * 1024 * 1024
"""Bodies that are kept, in all; beyond it the oldest requests go."""

_SECRET_MEMBERS = frozenset(
    ("refreshToken", "accessToken", "clientSecret", "refresh_token", "access_token", "client_secret", "deviceCode")
)
_SECRET_HEADERS = frozenset(("authorization", "cookie"))


class State(enum.Enum):
    """What became of a stream."""

    OPEN = "open"
    FINISHED = "finished"
    """Sent to its end, as it was meant to end: a cut that a control asked for is `cut`."""
    CUT = "cut"
    CLOSED_BY_PEER = "closed_by_peer"
    CANCELLED = "cancelled"
    """The simulator itself was stopped."""


class Phase(enum.Enum):
    """How far a stream came: together with the state it says when the peer left."""

    BEFORE_HEAD = "before_head"
    BEFORE_FIRST_EVENT = "before_first_event"
    STREAMING = "streaming"
    STALLED = "stalled"
    ENDING = "ending"
    """Its last bytes are on their way, so that whoever reads them may begin the next one before this one is closed."""


@frozen
class Instant:
    monotonic: float
    time: float

    def document(self) -> dict[str, float]:
        return {"monotonic": self.monotonic, "time": self.time}


@define
class StreamRecord:
    """One event stream. `bytes_sent` counts what was handed to the network, chunk framing included."""

    number: int
    request_id: str
    conversation: str
    model: str
    account: str
    opened: Instant
    state: State = State.OPEN
    phase: Phase = Phase.BEFORE_HEAD
    closed: Instant | None = None
    bytes_sent: int = 0
    events_sent: int = 0

    def document(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "request_id": self.request_id,
            "conversation_id": self.conversation,
            "model": self.model,
            "account": self.account,
            "state": self.state.value,
            "phase": self.phase.value,
            "opened": self.opened.document(),
            "closed": self.closed.document() if self.closed else None,
            "bytes_sent": self.bytes_sent,
            "events_sent": self.events_sent,
        }


@define
class RequestRecord:
    """One request and what it was answered."""

    number: int
    call: Call
    at: Instant
    operation: str = ""
    account: str = ""
    status: int = 0
    note: str = ""

    def document(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "request_id": self.call.request_id,
            "at": self.at.document(),
            "method": self.call.method,
            "path": self.call.path,
            "query": dict(self.call.query),
            "headers": {
                name: "redacted" if name in _SECRET_HEADERS else value for name, value in self.call.headers.items()
            },
            "body": _readable(self.call.body),
            "operation": self.operation,
            "account": self.account,
            "answered": {"status": self.status, "note": self.note},
        }


@define
class Ledger:
    """Bounded in number and bytes. `clock` gives monotonic seconds, `wall` seconds since the epoch."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    requests: deque[RequestRecord] = field(factory=deque)
    streams: deque[StreamRecord] = field(factory=deque)
    _numbers: int = 0
    _held: int = 0
    _changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def now(self) -> Instant:
        return Instant(self.clock(), self.wall())

    def note_request(self, call: Call) -> RequestRecord:
        record = RequestRecord(self._next(), call, self.now())
        self.requests.append(record)
        self._held += len(call.body)
        while len(self.requests) > MOST_REQUESTS or (self._held > MOST_BYTES and len(self.requests) > 1):
            self._held -= len(self.requests.popleft().call.body)
        return record

    def open_stream(self, *, request_id: str, conversation: str, model: str, account: str) -> StreamRecord:
        record = StreamRecord(self._next(), request_id, conversation, model, account, self.now())
        self.streams.append(record)
        if len(self.streams) > MOST_STREAMS:
            # The oldest that is not running: a running one is still of interest, however old.
            done = next((one for one in self.streams if one.state is not State.OPEN), self.streams[0])
            self.streams.remove(done)
        self.wake()
        return record

    def close_stream(self, record: StreamRecord, state: State, at: Instant | None = None) -> None:
        record.state = state
        record.closed = at or self.now()
        self.wake()

    def wake(self) -> None:
        """Tell those in `until` that something has changed."""
        self._changed.unpark_all()

    async def until(self, holds: Callable[[Ledger], bool]) -> None:
        """Wait until `holds(ledger)`; it is asked at every opening, phase and end of a stream. Cancellation is safe."""
        await trio.lowlevel.checkpoint()
        while not holds(self):
            await self._changed.park()

    def clear_requests(self) -> None:
        self.requests.clear()
        self._held = 0

    def clear_streams(self) -> None:
        """Forget the streams that have ended."""
        self.streams = deque(record for record in self.streams if record.state is State.OPEN)

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers


def _readable(body: bytes) -> Any:
    """The decoded body, without the secrets of a sign-in call; text where it is not JSON, None where it is empty."""
    if not body:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
    if isinstance(document, Mapping):
        return {name: "redacted" if name in _SECRET_MEMBERS else value for name, value in document.items()}
    return document
