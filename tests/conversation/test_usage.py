"""The usage rule: what wins, what is summed, what is the last generation's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.events import (
    Batch,
    ContextMeasured,
    CreditsMetered,
    Event,
    Failed,
    Finish,
    KeepAlive,
    RedactedThinkingBlock,
    StopCause,
    TextDelta,
    ThinkingDelta,
    ThinkingSignature,
    TokensMeasured,
    ToolCall,
    Usage,
)
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import UpstreamFailed

EXACT = TokensMeasured(100, 7, cache_read_tokens=50, cache_write_tokens=20)


def ledger(estimated: int = 1_000, *, subtract: bool = False) -> UsageLedger:
    """A ledger for which every character is a token."""
    return UsageLedger(estimated, subtract, len)


def used(*events: Event, subtract: bool = False) -> Usage:
    book = ledger(subtract=subtract)
    book.feed(list(events))
    return book.result()


def test_nothing_measured_is_an_estimate() -> None:
    assert used(TextDelta("12345")) == Usage(1_000, 5, measured=False)


def test_the_measured_context_beats_the_estimate() -> None:
    assert used(TextDelta("12345"), ContextMeasured(4_000)) == Usage(4_000, 5, measured=True)


def test_exact_counts_beat_everything_in_any_order() -> None:
    exact = Usage(100, 7, 50, 20, measured=True)
    assert used(EXACT, TextDelta("12345"), ContextMeasured(4_000)) == exact
    assert used(ContextMeasured(4_000), TextDelta("12345"), EXACT) == exact


def test_the_output_is_taken_from_the_context_only_where_that_is_set() -> None:
    assert used(TextDelta("12345"), ContextMeasured(4_000), subtract=True).input_tokens == 3_995
    assert used(TextDelta("12345"), ContextMeasured(3), subtract=True).input_tokens == 0
    assert used(TextDelta("12345"), EXACT, subtract=True).input_tokens == 100


def test_everything_generated_is_output() -> None:
    events: list[Event] = [
        ThinkingDelta(""),
        ThinkingDelta("abc"),
        ThinkingSignature("s" * 300),
        TextDelta("de"),
        ToolCall("i", "tool", "{}"),
        RedactedThinkingBlock("r" * 300),
        KeepAlive(),
    ]
    assert used(*events).output_tokens == len("abcde" + "tool" + "{}")
    book = ledger()
    for event in events:
        book.absorb(event)
    assert book.result() == used(*events), "one by one is the same as in a batch"


def test_credits_are_summed_and_none_where_none_were_metered() -> None:
    assert used(TextDelta("x")).credits is None
    assert used(CreditsMetered(0.25), CreditsMetered(0.5)).credits == 0.75


def test_several_generations_sum_output_and_credits_and_keep_the_last_input() -> None:
    book = ledger()
    book.feed([TextDelta("12345"), ContextMeasured(4_000), CreditsMetered(0.25)])
    book.next_generation()
    assert book.result() == Usage(1_000, 5, credits=0.25), "the new generation has been estimated only"
    book.feed([TextDelta("123"), CreditsMetered(0.5), EXACT])
    assert book.result() == Usage(100, 12, 50, 20, measured=True, credits=0.75)
    book.next_generation(2_500)
    book.feed([ToolCall("i", "t", "{}")])
    assert book.result() == Usage(2_500, 15, credits=0.75)


def test_a_discarded_generation_leaves_its_credits_only() -> None:
    book = ledger()
    book.feed([TextDelta("12345"), ContextMeasured(4_000), CreditsMetered(0.25)])
    book.discard_generation()
    assert book.result() == Usage(1_000, 0, credits=0.25)
    book.feed([TextDelta("12")])
    assert book.result() == Usage(1_000, 2, credits=0.25)


def test_the_measured_prompt_has_the_cache_in_it_and_the_output_not() -> None:
    book = ledger()
    prompts = []
    for event in (TextDelta("12345"), ContextMeasured(4_000), EXACT):
        book.absorb(event)
        prompts.append(book.measured_prompt)
    assert prompts == [None, 3_995, 100 + 50 + 20]


def test_the_estimate_may_come_after_the_first_events() -> None:
    book = UsageLedger(count_output=len)
    book.feed([TextDelta("12")])
    book.estimated_input = 77
    assert book.result() == Usage(77, 2)


def test_output_is_counted_once_however_often_it_is_asked_for() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    book = UsageLedger(0, False, count)
    for _ in range(1_000):
        book.feed([TextDelta("ab")])
    assert not counted, "no counting per event"
    assert [book.result().output_tokens for _ in range(3)] == [2_000] * 3
    book.feed([Finish(StopCause.END_TURN)])
    assert len(counted) == 1
    book.feed([TextDelta("c")])
    assert book.result().output_tokens == 2_001


def test_a_batch_leaves_without_measurements_and_with_its_usage() -> None:
    book = ledger()
    text, call, end = TextDelta("12"), ToolCall("i", "t", "{}"), Finish(StopCause.STOP_SEQUENCE, "END")
    left = book.feed([text, ContextMeasured(9), call, CreditsMetered(0.5), end])
    assert left == [text, call, Finish(StopCause.STOP_SEQUENCE, "END", Usage(9, 5, measured=True, credits=0.5))]
    failed = Failed(UpstreamFailed("cut"))
    assert ledger().feed([TextDelta("12"), CreditsMetered(1.0), failed]) == [TextDelta("12"), failed]


def test_a_batch_of_deltas_is_passed_on_as_it_is() -> None:
    batch: Batch = [TextDelta("a"), ThinkingDelta("b"), KeepAlive()]
    assert ledger().feed(batch) is batch


measurements = (
    st.builds(ContextMeasured, st.integers(-5, 10_000))
    | st.builds(TokensMeasured, *[st.integers(-5, 10_000)] * 4)
    | st.builds(CreditsMetered, st.integers(0, 8).map(lambda eighths: eighths / 8))
)
content = (
    st.builds(TextDelta, st.text(max_size=5))
    | st.builds(ThinkingDelta, st.text(max_size=5))
    | st.builds(ToolCall, st.just("i"), st.text(max_size=3), st.just("{}"))
    | st.just(KeepAlive())
)


@given(st.lists(measurements | content, max_size=20), st.data(), st.booleans())
def test_batches_do_not_matter_and_no_count_is_negative(events: list[Event], data: st.DataObject, less: bool) -> None:
    whole, cut = ledger(subtract=less), ledger(subtract=less)
    left = whole.feed(list(events))
    at, kept = 0, []
    while at < len(events):
        size = data.draw(st.integers(1, 5))
        kept += cut.feed(events[at : at + size])
        at += size
    assert (
        kept
        == left
        == [event for event in events if isinstance(event, (TextDelta, ThinkingDelta, ToolCall, KeepAlive))]
    )
    usage = whole.result()
    assert cut.result() == usage
    assert min(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) >= 0
    measured = any(isinstance(event, (ContextMeasured, TokensMeasured)) for event in events)
    assert usage.measured is measured


def test_a_discarded_generation_leaves_no_count_behind() -> None:
    book = ledger()
    book.feed([TextDelta("a long piece")])
    assert book.result().output_tokens == 12
    book.discard_generation()
    book.feed([TextDelta("short")])
    assert book.result().output_tokens == 5, "as many pieces as before, but other ones"
