"""A translator of answers, Kiro's events in short, and how an answer ended."""

from __future__ import annotations

from kirotrio.conversation.events import (
    ContextMeasured,
    CreditsMetered,
    Event,
    Failed,
    Finish,
    StopCause,
    ThinkingSignature,
)
from kirotrio.errors import KirotrioError
from kirotrio.kiro.events import (
    AssistantText,
    ContextUsage,
    KiroEvent,
    Metadata,
    Metering,
    ToolUseFragment,
)
from kirotrio.kiro.translate import AnswerTranslator

TAIL: list[KiroEvent] = [Metadata("END_TURN"), ContextUsage(10), Metering(0.5, "credit")]
MEASURED: list[Event] = [ContextMeasured(20_000), CreditsMetered(0.5)]
TAG = ThinkingSignature("kt1.tag")


def translator(*, tags: bool = False, names: dict[str, str] | None = None) -> AnswerTranslator:
    return AnswerTranslator(
        window=200_000,
        tag_thinking=tags,
        show_signature=lambda signature: f"kt1.m.h.{signature}",
        tag_signature="kt1.tag",
        tool_names=names or {},
    )


def run(events: list[KiroEvent], *, tags: bool = False) -> list[Event]:
    answer = translator(tags=tags)
    return answer.feed(events) + answer.end()


def texts(*pieces: str) -> list[KiroEvent]:
    return [AssistantText(piece) for piece in pieces]


def call(call_id: str = "t", name: str = "ls", arguments: str = '{"p":1}') -> list[KiroEvent]:
    half = len(arguments) // 2
    return [
        ToolUseFragment(call_id, name),
        ToolUseFragment(call_id, name, arguments[:half]),
        ToolUseFragment(call_id, name, arguments[half:]),
        ToolUseFragment(call_id, name, None, stop=True),
    ]


def failure(events: list[Event]) -> KirotrioError:
    last = events[-1]
    assert isinstance(last, Failed), events
    return last.error


def finish(events: list[Event]) -> StopCause:
    last = events[-1]
    assert isinstance(last, Finish), events
    return last.cause


def end_of(cause: StopCause) -> list[Event]:
    return [*MEASURED, Finish(cause)]
