"""One request as the relay takes it, and the long-lived neighbours that answering needs."""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import trio
from attrs import field

from kirotrio.access.grant import Spending
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.session import session_identity
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.kiro.client import Transport
from kirotrio.relay.ports import Lender
from kirotrio.relay.prepared_files import PreparedFiles
from kirotrio.relay.prices import Prices
from kirotrio.relay.ration import Ration
from kirotrio.relay.streams import Streams
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.log import Log
from kirotrio.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from kirotrio.telemetry.traces import Traces

LARGE = 2 * 1024 * 1024
"""Bytes of a body from which on work on the whole of it belongs in a thread, so that it keeps nobody else waiting.

Decoding takes some 2 ms a megabyte and building as much. A thread may keep the interpreter for 5 ms before it has to
give way, so nobody would wait less for a thread with less work than that; and a hop costs 0.3 ms of its own.
"""
_SHOWN = 128
"""Characters, which are more than any model's name has."""


class Mode(enum.Enum):
    LIVE = "live"
    """Every batch leaves as it comes."""
    BUFFERED = "buffered"
    """Only signs of life leave before the end; then everything, with the measured count at its head."""
    JSON = "json"
    """One body at the end."""


@frozen
class AnswerRequest:
    conversation: Conversation
    mode: Mode
    request_id: str
    wish: Wish = field()
    """Which account may answer."""
    key_id: str = ""
    size: int = 0
    """Bytes of the client's body: how much work anything is that looks at the whole of it."""
    surface: str = ""
    """Which of our APIs was asked, for the record."""
    client: str = ""
    """The client's User-Agent."""
    address: str = ""
    """Where it asks from, "" where that is not known."""
    traceparent: str = ""
    """The client's place in a trace (W3C Trace Context), "" for none."""
    taken_at: float | None = None
    """When the request came, Trio's time; None: when its answer began."""
    spending: Spending | None = None
    """What is counted of it; None for a key without limits."""
    key_name: str = ""
    """What people call the key, "" for one that was not given out."""

    @property
    def model_shown(self) -> str:
        """The model that was asked for, as far as records and lines show what a client made up."""
        return self.conversation.model[:_SHOWN]

    @wish.default
    def _any_account(self) -> Wish:
        return Wish(session=session_identity(self.conversation), model=self.conversation.model)


def _forget(record: RequestRecord) -> None:
    """For a relay whose owner keeps no records."""


@frozen
class Relay:
    """Everything that outlives a request. The application owns it."""

    settings: Settings
    transport: Transport
    lender: Lender
    models: ModelLists
    estimator: TokenEstimator
    log: Log
    record: Callable[[RequestRecord], None] = field(default=_forget)
    """Takes what happened to each request; never waits."""
    prices: Prices = field(factory=Prices)
    """What answers cost, for those that end before they are told."""
    refusals: Ration = field(factory=Ration)
    """Of refused requests that are recorded."""
    metrics: Metrics = field(factory=Metrics)
    """What is counted of all requests."""
    traces: Traces | None = None
    """Takes the spans of each request, where they are wanted; never waits."""
    streams: Streams = field(factory=Streams)
    extraction: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, 2))
    """Documents that are read at one time, each in a process of its own."""
    counting: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, 1))
    """Answers that were cut and whose output is counted at one time: more threads would keep the event loop waiting."""
    files: PreparedFiles = field()

    @files.default
    def _default_files(self) -> PreparedFiles:
        documents = self.settings.documents
        return PreparedFiles(documents.max_kept, documents.keep, trio.current_time)
