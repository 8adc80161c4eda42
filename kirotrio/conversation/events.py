"""The answer half of the waist: generation events.

One answer is: any number of deltas, completed tool calls and measurements, then exactly one `Finish` or
`Failed`. Nothing follows these two. `KeepAlive` may stand anywhere before them. Measurements never reach a
dialect: the usage ledger absorbs them and puts its result into `Finish.usage`.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from attrs import frozen

from kirotrio.errors import KirotrioError


@frozen
class TextDelta:
    text: str


@frozen
class ThinkingDelta:
    """A piece of thinking; "" only opens the block."""

    text: str


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
    measured: bool = False
    credits: float | None = None


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


ContentEvent: TypeAlias = TextDelta | ThinkingDelta | ThinkingSignature | RedactedThinkingBlock | ToolCall
Measurement: TypeAlias = ContextMeasured | TokensMeasured | CreditsMetered
Event: TypeAlias = ContentEvent | Measurement | Finish | Failed | KeepAlive
Batch: TypeAlias = list[Event]
"""Everything that one upstream read produced (ARCHITECTURE, rule 2)."""
