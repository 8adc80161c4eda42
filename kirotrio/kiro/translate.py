"""Kiro's events to generation events: what the upstream said, in the waist's words (KIRO_PROTOCOL 3.3 to 3.5, 8).

Pure: no clock, no log; what somebody should be told is put into `notes`. One event is translated at a time, so the
result does not depend on how events were batched. A run of texts is translated as one where it goes through as it is.
Nothing is invented, nothing compared with what came before it: every text event becomes one delta, save where the tag
parser has to hold or split it.

Where blocks end. A tag-mode thinking block gets its signature when the first text behind it comes, when a tool call
completes, or at the end. Before a completed tool call what the parser holds is let go, so that block order is arrival
order: ahead of any text or tag that means `flush` (blanks alone do not decide the matter: a thinking block may still
follow the call); inside an open block it means `settle`, and thinking that comes after the call is a second
block, since an unclosed block stays thinking to its end.

A failure takes with it what the parser held (less than a tag, or blanks): giving it out would turn a failure before
the first event, which may be retried, into one after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from kirotrio.conversation.events import (
    ContextMeasured,
    CreditsMetered,
    Event,
    Failed,
    Finish,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    ThinkingSignature,
    TokensMeasured,
)
from kirotrio.conversation.thinking import KiroThinkingTagParser, SegmentType, TextSegment
from kirotrio.errors import EmptyAnswer, KirotrioError, Recovery, UpstreamFailed, UpstreamOverloaded
from kirotrio.kiro.errors import from_exception
from kirotrio.kiro.event_types import (
    AssistantText,
    AssistantTexts,
    BrokenPayload,
    Citation,
    Code,
    ContextUsage,
    InitialResponse,
    InvalidState,
    KiroEvent,
    MessageMetadata,
    Metadata,
    Metering,
    ModelUnavailable,
    Reasoning,
    ReasoningTexts,
    StreamException,
    ToolOutcome,
    ToolUseFragment,
    WebLinks,
)
from kirotrio.kiro.toolcalls import ToolCalls

_TEXT_EVENTS = frozenset({"assistantResponseEvent", "reasoningContentEvent", "reasoningEvent"})
_TAIL_EVENTS = frozenset({"metadataEvent", "contextUsageEvent", "meteringEvent"})
_CUT_OFF = frozenset({"MAX_TOKENS", "LENGTH"})
_MOST_NOTES = 20


class AnswerTranslator:
    """One answer. `feed` events as they come; `end` when the byte stream has ended cleanly.

    The last event of all is `Finish` or `Failed`: normally from `end`, but from `feed` where an exception or an
    unusable event ends the answer. After it both return nothing.

    `window` is the model's context in tokens. `tag_thinking` turns the parsing of `<thinking>` on, until native
    reasoning is seen. `show_signature` wraps an upstream signature for the client; `tag_signature` is what tag-mode
    blocks carry. `tool_names` leads from the names sent upstream back to the client's own. `account` is named in
    errors.

    `began`: an event with content came, so the upstream is generating and will charge for it. `content_filtered`: the
    upstream withheld its answer. `notes`: sentences for the log, each once.
    """

    def __init__(
        self,
        *,
        window: int,
        tag_thinking: bool,
        show_signature: Callable[[str], str],
        tag_signature: str,
        tool_names: Mapping[str, str],
        account: str = "",
    ) -> None:
        self.began = False
        self.upstream_stop_reason: str | None = None
        self.conversation_id: str | None = None
        self.request_id: str | None = None
        self.notes: list[str] = []
        # No method: the calls have it too, and each answer would be a cycle, which only the collector frees.
        self._note = partial(_note_once, self.notes)
        self._window = window
        self._account = account
        self._show_signature = show_signature
        self._tag_signature = tag_signature
        self._parser = KiroThinkingTagParser() if tag_thinking else None
        self._calls = ToolCalls(tool_names, self._note)
        self._tag_block_open = False
        self._thought = False
        self._spoke = False
        self._only_blanks = True
        self._context_full = False
        self._length_exceeded = False
        self._tail_seen = False
        self._unavailable: ModelUnavailable | None = None
        self._ended = False

    @property
    def empty(self) -> bool:
        """Whether nothing was generated: no text, no thinking, no tool call, not even a broken one."""
        return not (self._spoke or self._thought or self._calls.completed or self._calls.broken)

    @property
    def broken_tools(self) -> int:
        """How many tool calls were withheld (so far: what is still open counts at the end)."""
        return self._calls.broken

    @property
    def content_filtered(self) -> bool:
        return self._stop_reason == "CONTENT_FILTERED"

    def feed(self, events: Iterable[KiroEvent]) -> list[Event]:
        """What these events mean, in order."""
        out: list[Event] = []
        for event in events:
            if self._ended:
                break
            if isinstance(event, AssistantText):
                self._text(event, out)
            elif isinstance(event, AssistantTexts):
                self._texts(event.contents, out)
            else:
                self._other(event, out)
        return out

    def end(self) -> list[Event]:
        """What was held, and the end: the byte stream is over and was whole."""
        out: list[Event] = []
        if not self._ended:
            self._conclude(out)
        return out

    # Content

    def _text(self, event: AssistantText, out: list[Event]) -> None:
        self.began = True
        if event.content:
            parser = self._parser
            if parser is None or (parser.plain and not self._only_blanks and not self._tag_block_open):
                self._spoke = True
                out.append(TextDelta(event.content))
                # It would change nothing any more, whatever may still come.
                self._parser = None
            else:
                self._segments(parser.push_and_parse(event.content), out)
        if event.stop_reason is not None:
            self.upstream_stop_reason = event.stop_reason
        if event.conversation_id is not None:
            self.conversation_id = event.conversation_id

    def _texts(self, contents: list[str], out: list[Event]) -> None:
        """The same for a run: what the parser passes on unchanged stays one."""
        self.began = True
        if "" in contents:
            contents = [content for content in contents if content]
        parser, at = self._parser, 0
        if parser is None and contents:
            self._spoke = True
            out.append(TextDeltas(contents))
            return
        while parser is not None and at < len(contents):
            begin, at = at, parser.unchanged(contents, at)
            if at == begin:
                self._segments(parser.push_and_parse(contents[at]), out)
                at += 1
                continue
            run = contents[begin:at] if at - begin < len(contents) else contents
            if parser.plain:
                self._close_tag_block(out)
                self._spoke = True
                self._only_blanks = self._only_blanks and "".join(run).isspace()
                out.append(TextDeltas(run))
            else:
                self._thought = True
                self._tag_block_open = True
                out.append(ThinkingDeltas(run))

    def _segments(self, segments: list[TextSegment], out: list[Event]) -> None:
        for segment in segments:
            if segment.type is SegmentType.THINKING:
                self._thought = True
                self._tag_block_open = True
                out.append(ThinkingDelta(segment.content))
            elif segment.content:
                self._close_tag_block(out)
                self._spoke = True
                self._only_blanks = self._only_blanks and segment.content.isspace()
                out.append(TextDelta(segment.content))

    def _close_tag_block(self, out: list[Event]) -> None:
        if self._tag_block_open:
            self._tag_block_open = False
            out.append(ThinkingSignature(self._tag_signature))

    def _end_tags(self, parser: KiroThinkingTagParser, held: list[TextSegment], out: list[Event]) -> None:
        self._segments(held, out)
        self._close_tag_block(out)
        if parser.unclosed:
            self._note("a thinking block was never closed; it stays thinking to its end")

    def _reasoning(self, event: Reasoning, out: list[Event]) -> None:
        self.began = True
        if self._parser is not None:
            self._end_tags(self._parser, self._parser.turn_off(), out)
            self._parser = None
        if event.text:
            self._thought = True
            out.append(ThinkingDelta(event.text))
        if event.signature:
            self._thought = True
            out.append(ThinkingSignature(self._show_signature(event.signature)))
        if event.redacted:
            self._thought = True
            out.append(RedactedThinkingBlock(self._show_signature(event.redacted)))

    def _reasoning_texts(self, texts: list[str], out: list[Event]) -> None:
        self._reasoning(Reasoning(), out)
        if "" in texts:
            texts = [text for text in texts if text]
        if texts:
            self._thought = True
            out.append(ThinkingDeltas(texts))

    def _tool_use(self, event: ToolUseFragment, out: list[Event]) -> None:
        self.began = True
        try:
            call = self._calls.add(event)
        except UpstreamFailed as error:
            self._fail(error, out)
            return
        if call is not None:
            self._let_go(out)
            out.append(call)

    def _let_go(self, out: list[Event]) -> None:
        """A tool call leaves now: what came before it leaves first."""
        parser = self._parser
        if parser is None:
            return
        if parser.is_thinking_mode:
            parser.settle()
        else:
            self._segments(parser.flush(), out)
            if self._only_blanks:
                self._parser = KiroThinkingTagParser()
        self._close_tag_block(out)

    # All that is not content

    def _other(self, event: KiroEvent, out: list[Event]) -> None:
        if isinstance(event, ToolUseFragment):
            self._tool_use(event, out)
        elif isinstance(event, Reasoning):
            self._reasoning(event, out)
        elif isinstance(event, ReasoningTexts):
            self._reasoning_texts(event.texts, out)
        elif isinstance(event, ContextUsage):
            self._tail_seen = True
            self._context_full = self._context_full or event.percentage >= 100
            out.append(ContextMeasured(round(event.percentage / 100 * self._window)))
        elif isinstance(event, Metering):
            self._metering(event, out)
        elif isinstance(event, Metadata):
            self._metadata(event, out)
        elif isinstance(event, InitialResponse | MessageMetadata):
            self._remember_ids(event)
        elif isinstance(event, StreamException):
            self._exception(event, out)
        elif isinstance(event, BrokenPayload):
            self._broken_payload(event, out)
        elif isinstance(event, InvalidState):
            said = event.message or "no reason given"
            error = UpstreamFailed(f"The upstream gave its answer up: {said}", upstream_reason=event.reason or None)
            self._fail(error, out)
        elif isinstance(event, ModelUnavailable):
            # Unconfirmed on the wire, and perhaps only a notice: it decides nothing if an answer comes all the same.
            self._unavailable = event
            self._note(f"the upstream says that the model is not available for now: {event.message}")
        elif isinstance(event, Citation | Code | ToolOutcome | WebLinks):
            self._note(f"the upstream sent {type(event).__name__} events, which are not shown to the client")

    def _metering(self, event: Metering, out: list[Event]) -> None:
        self._tail_seen = True
        if event.unit is None or event.unit.lower() in ("credit", "credits"):
            out.append(CreditsMetered(event.usage))
        else:
            self._note(f"the upstream metered in {event.unit}, not in credits; passed over")

    def _metadata(self, event: Metadata, out: list[Event]) -> None:
        self._tail_seen = True
        self._remember_ids(event)
        if event.stop_reason is not None:
            self.upstream_stop_reason = event.stop_reason
        usage = event.token_usage
        if usage is not None:
            self._context_full = self._context_full or (usage.context_percentage or 0) >= 100
            out.append(TokensMeasured(usage.uncached_input, usage.output, usage.cache_read, usage.cache_write))

    def _remember_ids(self, event: InitialResponse | MessageMetadata | Metadata) -> None:
        if event.conversation_id is not None:
            self.conversation_id = event.conversation_id
        if not isinstance(event, MessageMetadata) and event.request_id is not None:
            self.request_id = event.request_id

    def _exception(self, event: StreamException, out: list[Event]) -> None:
        if event.type == "ContentLengthExceededException":
            self._length_exceeded = True
            self._conclude(out)
        else:
            self._fail(from_exception(event.type, event.message, event.reason, account=self._account), out)

    def _broken_payload(self, event: BrokenPayload, out: list[Event]) -> None:
        self._note(f"a payload could not be read: {event.event_type}")
        if event.event_type in _TEXT_EVENTS:
            self.began = True
            message = "A part of the upstream's text could not be read, so the answer would not be whole."
            self._fail(UpstreamFailed(message, recovery=Recovery.RETRY), out)
        elif event.event_type == "toolUseEvent":
            self.began = True
            self._calls.lose_fragment()
        elif event.event_type in _TAIL_EVENTS:
            self._tail_seen = True

    # The end

    @property
    def _stop_reason(self) -> str:
        return (self.upstream_stop_reason or "").upper()

    def _fail(self, error: KirotrioError, out: list[Event]) -> None:
        self._ended = True
        out.append(Failed(error))

    def _conclude(self, out: list[Event]) -> None:
        if self._parser is not None:
            self._end_tags(self._parser, self._parser.flush(), out)
        self._calls.end()
        if self.empty and not (self.content_filtered or self._context_full or self._length_exceeded):
            self._fail(self._no_answer(), out)
            return
        cause = self._cause()
        if self._thought and not self._spoke and not self._calls.completed:
            # Clients wait for ever on an answer that is thinking only (KIRO_PROTOCOL, trap 22).
            out.append(TextDelta(" "))
        self._ended = True
        out.append(Finish(cause))

    def _cause(self) -> StopCause:
        """KIRO_PROTOCOL 3.4: derived, since the upstream's own stop reason says END_TURN to tool calls."""
        if self.content_filtered:
            return StopCause.REFUSAL
        if self._context_full:
            return StopCause.CONTEXT_FULL
        if self._calls.broken or self._length_exceeded:
            return StopCause.MAX_TOKENS
        if not self._tail_seen:
            self._note("the answer ended without the upstream's usual tail; it counts as cut off")
            return StopCause.MAX_TOKENS
        if self._calls.completed:
            return StopCause.TOOL_USE
        if not self._spoke or self._stop_reason in _CUT_OFF:
            return StopCause.MAX_TOKENS
        return StopCause.END_TURN

    def _no_answer(self) -> KirotrioError:
        if self._unavailable is None:
            message = "The upstream ended its answer without any text, thinking or tool call."
            return EmptyAnswer(message, recovery=Recovery.RETRY)
        other = self._unavailable.recommended_model
        instead = f" It recommends {other} in the meantime." if other else ""
        return UpstreamOverloaded(
            f"The upstream says that this model is not available for now: {self._unavailable.message}{instead}",
            recovery=Recovery.RETRY,
            upstream_reason="MODEL_TEMPORARILY_UNAVAILABLE",
        )


def _note_once(notes: list[str], note: str) -> None:
    if len(notes) < _MOST_NOTES and note not in notes:
        notes.append(note)
