"""The answer half of the waist: generation events.

One answer is: any number of deltas, completed tool calls and measurements, then exactly one `Finish` or
`Failed`. Nothing follows these two. `KeepAlive` and `Accepted` may stand anywhere before them. Measurements never
reach a dialect: the usage ledger absorbs them and puts its result into `Finish.usage`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from kirotrio.classes import define, frozen
from kirotrio.errors import KirotrioError

# The types that are not frozen are values like all the others, and nobody changes them; but they are made once a delta,
# and a frozen class of attrs takes twice as long to make.


@define(unsafe_hash=True)
class TextDelta:
    text: str


@define
class TextDeltas:
    """Deltas in a row, as one value: each leaves as a delta of its own. None of them is empty."""

    texts: list[str]


@define(unsafe_hash=True)
class ThinkingDelta:
    """A piece of thinking; "" only opens the block."""

    text: str


@define
class ThinkingDeltas:
    """Deltas in a row, as one value: each leaves as a delta of its own. None of them is empty."""

    texts: list[str]


@frozen
class ThinkingSignature:
    """Ends the thinking block before it; may stand alone where the upstream omits the thinking itself."""

    signature: str


@frozen
class RedactedThinkingBlock:
    data: str


@frozen
class ToolCall:
    """A complete call. `arguments` is the text of a JSON object, exactly as generated ("{}" if none was)."""

    id: str
    name: str
    arguments: str


@frozen
class ServerToolCall:
    """The server runs one of its own tools. `id` is of letters and digits, unique in the answer; dialects prefix it.

    `tool` is which (whatever the client calls it), `input` has `query` or `url`, or is what the model made of it.
    """

    id: str
    tool: Literal["web_search", "web_fetch"]
    input: Mapping[str, Any]


@frozen
class SearchResult:
    """`page_age` is a date in words ("January 2, 2006"), None where unknown; `snippet` is what was found."""

    url: str
    title: str
    snippet: str = ""
    page_age: str | None = None


@frozen
class SearchFinished:
    """What the search of this id found. `error`: `unavailable`, `max_uses_exceeded`, `too_many_requests`,
    `invalid_tool_input`, `query_too_long`, or "" (KIRO_PROTOCOL 9)."""

    id: str
    results: tuple[SearchResult, ...] = ()
    error: str = ""


@frozen
class FetchFinished:
    """What the fetch of this id brought: the text of a page or document.

    `retrieved_at` is RFC 3339. `error`: as of `SearchFinished`, or `url_too_long`, `url_not_allowed`,
    `url_not_accessible`, `unsupported_content_type`.
    """

    id: str
    url: str
    title: str = ""
    text: str = ""
    media_type: str = "text/plain"
    retrieved_at: str = ""
    error: str = ""


@frozen
class Citation:
    """The text from `start` to `end` names a source that was found: characters, counted over all the answer's text.

    It follows the text that it is about, in the same run of text. `cited_text` is at most 150 characters of the source.
    """

    url: str
    title: str
    cited_text: str
    start: int
    end: int


@frozen
class Accepted:
    """The upstream has taken the request on and has yet to say anything."""


@frozen
class ContextMeasured:
    """The upstream's own measure of the whole context, this answer included, in tokens."""

    total_tokens: int


@frozen
class TokensMeasured:
    """Exact counts. `input_tokens` excludes what was read from or written to a cache."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@frozen
class CreditsMetered:
    credits: float


class StopCause(enum.Enum):
    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    CONTEXT_FULL = "context_full"
    REFUSAL = "refusal"


@frozen
class Usage:
    """Counts for the client. `measured` is False while the input count is an estimate."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int = 0
    """How many of the output tokens were thinking."""
    measured: bool = False
    credits: float | None = None
    web_searches: int = 0
    web_fetches: int = 0


@frozen
class Finish:
    cause: StopCause
    stop_sequence: str | None = None
    usage: Usage = Usage()


@frozen
class Failed:
    error: KirotrioError


@frozen
class KeepAlive:
    """Nothing was sent to this client for a while: let it see a sign of life."""


ContentEvent: TypeAlias = (
    TextDelta
    | TextDeltas
    | ThinkingDelta
    | ThinkingDeltas
    | ThinkingSignature
    | RedactedThinkingBlock
    | ToolCall
    | ServerToolCall
    | SearchFinished
    | FetchFinished
    | Citation
)
Measurement: TypeAlias = ContextMeasured | TokensMeasured | CreditsMetered
Event: TypeAlias = ContentEvent | Measurement | Finish | Failed | KeepAlive | Accepted
Batch: TypeAlias = list[Event]
"""Everything that one upstream read produced (ARCHITECTURE, rule 2)."""


def singly(batch: Iterable[Event]) -> Iterator[Event]:
    """The same events with every run taken apart, for whoever looks at each delta."""
    for event in batch:
        if isinstance(event, TextDeltas):
            yield from map(TextDelta, event.texts)
        elif isinstance(event, ThinkingDeltas):
            yield from map(ThinkingDelta, event.texts)
        else:
            yield event
