"""What the round asks of a tool that the server runs, and what comes of one call."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from kirotrio.classes import frozen
from kirotrio.conversation.events import FetchFinished, SearchFinished, ServerToolCall
from kirotrio.conversation.request import Conversation, Tool

Finished: TypeAlias = SearchFinished | FetchFinished


@frozen
class Outcome:
    """`event` for the client; `text` for the model, with whether it tells of a failure.

    `ran`: something was really searched or fetched, which is what counts as a use.
    """

    event: Finished
    text: str
    ran: bool = True

    @property
    def failed(self) -> bool:
        return bool(self.event.error)


class ServerTool(Protocol):
    """`name` is what the client calls it; `max_uses` how often it may be run for one request.

    `carried`: a later turn brings back what was found (`WebSearch`).
    """

    @property
    def kind(self) -> Literal["web_search", "web_fetch"]: ...

    @property
    def name(self) -> str: ...

    @property
    def max_uses(self) -> int: ...

    @property
    def carried(self) -> bool: ...

    def offered(self, name: str) -> Tool:
        """What the model is told, under a name that no tool of the client's has."""

    async def run(self, call: ServerToolCall, conversation: Conversation) -> Outcome:
        """Run one call. Failures are told in the outcome. Cancellation closes every connection."""

    def refused(self, call: ServerToolCall, error: str, reason: str) -> Outcome:
        """The outcome of a call that is not run."""
