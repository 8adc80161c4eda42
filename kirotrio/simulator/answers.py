"""What goes in and out of the simulated service, as values: a call, a plain reply, a stream."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import orjson
from attrs import field

from kirotrio.classes import frozen


class Flavour(enum.Enum):
    """The generations of the protocol (KIRO_PROTOCOL, table A/B/C), and the control plane's own namespace."""

    REST = "com.amazon.aws.codewhisperer"
    RPC = "com.amazon.aws.codewhisperer#"
    RUNTIME = "com.amazon.kiro.runtimeservice#"
    CONTROL = "com.amazon.kiro.controlplane#"

    @property
    def content_type(self) -> str:
        """The content type that requests must have and that errors are given in."""
        return "application/json" if self is Flavour.REST else "application/x-amz-json-1.0"


@frozen
class Call:
    """One request, read to its end. Header names are lower-case; `query` keeps the last value of a name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    request_id: str = field(factory=lambda: str(uuid.uuid4()))


@frozen
class Reply:
    """A plain answer. It leaves after `delay` seconds, or never (`silent`: until the peer leaves)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0
    silent: bool = False
    note: str = ""
    """Why, for `GET /_sim/requests`."""
    account: str = ""


class Ending(enum.Enum):
    """How a stream ends once its last step was sent."""

    FINISH = "finish"
    STALL = "stall"
    CLOSE = "close"
    """The connection is closed without the terminator of the chunked encoding."""
    RESET = "reset"


@frozen
class Step:
    """Bytes that leave together, `pause` seconds after the step before. `events` of them are counted as sent."""

    pause: float
    frames: bytes
    events: int


@frozen
class Stream:
    """An event stream that is about to be sent: a head after `head_delay` seconds (None: never), then the steps.

    `steps` makes them as they are needed; its last item is the ending, which may depend on how many there were.
    """

    headers: Mapping[str, str]
    steps: Iterator[Step | Ending]
    head_delay: float | None = 0.0
    split: int = 0
    """Bytes per write; 0: each step in one."""
    account: str = ""
    model: str = ""
    conversation: str = ""
    note: str = ""


Answer: TypeAlias = Reply | Stream


def json_reply(document: Any, *, status: int = 200, flavour: Flavour = Flavour.REST, account: str = "") -> Reply:
    return Reply(status, {"content-type": flavour.content_type}, orjson.dumps(document), account=account)
