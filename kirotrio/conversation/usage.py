"""What an answer has used, by the one rule of CONTRACT (Usage).

Input: exact counts, else the measured context, else the estimate. Output: the exact count, else a count of
everything that was generated: text, thinking, tool calls. Several generations for one request: output and credits
are summed, input and cache counts are the last generation's.
"""

from __future__ import annotations

from collections.abc import Callable

from kirotrio.conversation.events import (
    Batch,
    ContextMeasured,
    CreditsMetered,
    Event,
    Finish,
    ServerToolCall,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    TokensMeasured,
    ToolCall,
    Usage,
)
from kirotrio.conversation.tokens import quick_count


def _always(_: str) -> bool:
    return True


class _Pieces:
    """Texts of one kind, counted together when that is asked for, and once."""

    __slots__ = ("_about", "_count", "_counted", "pieces")

    def __init__(self, count: Callable[[str], int]) -> None:
        self.pieces: list[str] = []
        self._count = count
        self._counted = (0, 0)
        """Pieces and their tokens; one value, since a thread that was given up may still be counting."""
        self._about = (0, 0)

    def tokens(self) -> int:
        pieces, tokens = self._counted
        if pieces != len(self.pieces):
            counted = self.pieces[:]
            text = "".join(counted)
            tokens = self._count(text) if text else 0
            self._counted = len(counted), tokens
        return tokens

    def about(self) -> int:
        """The tokens by characters: looks at what is new since it was asked before."""
        pieces, tokens = self._about
        if pieces != len(self.pieces):
            tokens += quick_count("".join(self.pieces[pieces:]))
            self._about = len(self.pieces), tokens
        return tokens

    def uncounted(self) -> str:
        """What `tokens` would have to count."""
        return "" if self._counted[0] == len(self.pieces) else "".join(self.pieces)


class UsageLedger:
    """Absorbs the events of one request's generations and tells what they used.

    `estimated_input` (tokens) may be set as long as nothing has asked for the result. `subtract_output` is the
    setting `usage.subtract_output`. `count_output` counts the tokens of a text; it is called once a generation with
    all that was said, and once with all that was thought, when the result is first asked for; not with what was said
    where the exact count is known. `counts_at_once` says of a text whether that takes no time worth a thread. An event
    costs a look at its type and a list append.
    """

    __slots__ = (
        "_context",
        "_count_output",
        "_counts_at_once",
        "_credits",
        "_earlier_output",
        "_earlier_thinking",
        "_fetches",
        "_metered",
        "_said",
        "_searches",
        "_subtract_output",
        "_thinking",
        "_tokens",
        "estimated_input",
    )

    def __init__(
        self,
        estimated_input: int = 0,
        subtract_output: bool = False,
        count_output: Callable[[str], int] = quick_count,
        counts_at_once: Callable[[str], bool] = _always,
    ) -> None:
        self.estimated_input = estimated_input
        self._subtract_output = subtract_output
        self._count_output = count_output
        self._counts_at_once = counts_at_once
        self._earlier_output = 0
        self._earlier_thinking = 0
        self._searches = 0
        self._fetches = 0
        self._credits: float | None = None
        self._metered: float | None = None
        self._said = _Pieces(count_output)
        self._thinking = _Pieces(count_output)
        self._tokens: TokensMeasured | None = None
        self._context: ContextMeasured | None = None

    def feed(self, batch: Batch) -> Batch:
        """Absorb a batch; give it back without measurements, and with the usage in its `Finish`.

        The very same list where nothing had to be taken out or filled in.
        """
        pieces, thinking = self._said.pieces, self._thinking.pieces
        kept: Batch | None = None
        for at, event in enumerate(batch):
            if isinstance(event, TextDelta):
                pieces.append(event.text)
            elif isinstance(event, ThinkingDelta):
                thinking.append(event.text)
            elif isinstance(event, TextDeltas):
                pieces += event.texts
            elif isinstance(event, ThinkingDeltas):
                thinking += event.texts
            elif self._absorb_rare(event):
                if kept is None:
                    kept = batch[:at]
                continue
            elif isinstance(event, Finish):
                if kept is None:
                    kept = batch[:at]
                event = self.finish(event)
            if kept is not None:
                kept.append(event)
        return batch if kept is None else kept

    def absorb(self, event: Event) -> None:
        """Take one event in."""
        if isinstance(event, TextDelta):
            self._said.pieces.append(event.text)
        elif isinstance(event, ThinkingDelta):
            self._thinking.pieces.append(event.text)
        elif isinstance(event, TextDeltas):
            self._said.pieces += event.texts
        elif isinstance(event, ThinkingDeltas):
            self._thinking.pieces += event.texts
        else:
            self._absorb_rare(event)

    def _absorb_rare(self, event: Event) -> bool:
        """Whether the event is a measurement, which goes no further."""
        if isinstance(event, ToolCall):
            self._said.pieces += (event.name, event.arguments)
        elif isinstance(event, ServerToolCall):
            self._searches += event.tool == "web_search"
            self._fetches += event.tool == "web_fetch"
        elif isinstance(event, ContextMeasured):
            self._context = event
            return True
        elif isinstance(event, TokensMeasured):
            self._tokens = event
            return True
        elif isinstance(event, CreditsMetered):
            self._credits = (self._credits or 0.0) + event.credits
            self._metered = (self._metered or 0.0) + event.credits
            return True
        return False

    def next_generation(self, estimated_input: int | None = None) -> None:
        """The generation before is over and another one begins, for the same prompt unless a new estimate is given."""
        self._earlier_output += self._output()
        self._earlier_thinking += self._thought()
        self.discard_generation()
        if estimated_input is not None:
            self.estimated_input = estimated_input

    def discard_generation(self) -> None:
        """The generation failed and nothing of it reached the client: only its credits are left of it."""
        self._said = _Pieces(self._count_output)
        self._thinking = _Pieces(self._count_output)
        self._tokens = None
        self._context = None
        self._metered = None

    @property
    def metered(self) -> float | None:
        """The credits of the present generation; None as long as they have not been told."""
        return self._metered

    def of_generation(self) -> tuple[int, int]:
        """The present generation's tokens: input, cached ones too, and output."""
        prompt = self.measured_prompt
        return self.estimated_input if prompt is None else prompt, self._output()

    @property
    def measured_prompt(self) -> int | None:
        """The prompt's tokens, cached ones included and the output left out; None where nothing was measured."""
        if self._tokens is not None:
            tokens = self._tokens
            return tokens.input_tokens + tokens.cache_read_tokens + tokens.cache_write_tokens
        if self._context is not None:
            return max(0, self._context.total_tokens - self._output())
        return None

    def ready(self) -> bool:
        """Whether the result takes no time worth a thread."""
        kinds = (self._thinking,) if self._tokens is not None else (self._said, self._thinking)
        return all(not text or self._counts_at_once(text) for text in [kind.uncounted() for kind in kinds])

    def result(self) -> Usage:
        """What has been used so far; also for answers that failed."""
        output = self._output()
        given, cached, written, measured = self.estimated_input, 0, 0, True
        if (tokens := self._tokens) is not None:
            given, cached, written = tokens.input_tokens, tokens.cache_read_tokens, tokens.cache_write_tokens
        elif self._context is not None:
            given = self._context.total_tokens - (output if self._subtract_output else 0)
        else:
            measured = False
        return Usage(
            max(0, given) if measured else given,
            self._earlier_output + output,
            max(0, cached),
            max(0, written),
            self._earlier_thinking + self._thought(),
            measured,
            self._credits,
            self._searches,
            self._fetches,
        )

    def so_far(self) -> int:
        """About how many tokens were put out up to now, for whoever looks on: takes no time worth a thread."""
        if self._tokens is not None:
            return self._earlier_output + self._output()
        return self._earlier_output + self._said.about() + self._thinking.about()

    def so_far_of_generation(self) -> int:
        """The same of the present generation alone."""
        return self.so_far() - self._earlier_output

    def finish(self, finish: Finish) -> Finish:
        """The same end with the usage of this moment."""
        return Finish(finish.cause, finish.stop_sequence, self.result())

    def _output(self) -> int:
        """The tokens that the present generation has put out."""
        if self._tokens is not None:
            return max(0, self._tokens.output_tokens)
        return self._said.tokens() + self._thinking.tokens()

    def _thought(self) -> int:
        """How many of these were thinking; never more than there were."""
        thought = self._thinking.tokens()
        return min(thought, self._output()) if self._tokens is not None else thought
