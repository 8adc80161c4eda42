"""One request as the relay takes it, and the long-lived neighbours that answering needs."""

from __future__ import annotations

import enum
from functools import partial

import trio
from attrs import field, frozen

from kirotrio.accounts.model_lists import ModelLists
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Conversation
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.kiro.client import Transport
from kirotrio.relay.ports import Lender
from kirotrio.relay.prepared_files import PreparedFiles
from kirotrio.relay.standing import Standing
from kirotrio.relay.streams import Streams
from kirotrio.telemetry.log import Log

LARGE = 256 * 1024
"""Bytes of a body from which on work on the whole of it belongs in a thread, so that it keeps nobody else waiting."""


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
    credential: str | None = field(default=None, repr=False)
    """A refresh token that the caller brought along."""
    key_id: str = ""
    size: int = 0
    """Bytes of the client's body: how much work anything is that looks at the whole of it."""


@frozen
class Relay:
    """Everything that outlives a request. The application owns it."""

    settings: Settings
    transport: Transport
    lender: Lender
    models: ModelLists
    estimator: TokenEstimator
    log: Log
    streams: Streams = field(factory=Streams)
    standing: Standing = field(factory=Standing)
    extraction: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, 2))
    """Documents that are read at one time, each in a process of its own."""
    files: PreparedFiles = field()

    @files.default
    def _default_files(self) -> PreparedFiles:
        documents = self.settings.documents
        return PreparedFiles(documents.max_kept, documents.keep, trio.current_time)
