"""instructions_work.py: the work whose instructions are counted; scripts/instructions.py runs it under valgrind.

Every input is fixed and made before anything is counted. Each piece of work is done WARM_UPS times first, so that the
interpreter has specialised its bytecode and every table has its entries, then COUNTED times between two marks. A mark
is a call of `os.getppid`, which nothing else here calls: callgrind begins a new file at each. Without valgrind a mark
does nothing. Prints the names of the work in order, each with how many items one pass of it handles.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

from attrs import frozen

from kirotrio.conversation.events import (
    Citation,
    Event,
    Finish,
    StopCause,
    TextDeltas,
    ThinkingDelta,
    ThinkingDeltas,
    Usage,
    singly,
)
from kirotrio.conversation.events import ThinkingSignature as Signature
from kirotrio.conversation.events import ToolCall as Call
from kirotrio.conversation.request import (
    Conversation,
    Diagnostic,
    Image,
    Part,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.conversation.thinking import KiroThinkingTagParser
from kirotrio.conversation.vocabulary.counting import Vocabulary
from kirotrio.dialects.anthropic.encode import MessageBody, MessageStream
from kirotrio.dialects.openai_chat.encode import ChatBody, ChatStream
from kirotrio.dialects.openai_responses.echo import ResponseEcho
from kirotrio.dialects.openai_responses.encode import ResponseBody, ResponseStream
from kirotrio.kiro.event_reader import EventReader
from kirotrio.kiro.event_types import KiroEvent
from kirotrio.kiro.eventstream import encode_event
from kirotrio.kiro.history import ThinkingCarriage, entries_of
from kirotrio.kiro.messages import render
from kirotrio.kiro.model_table import MODEL_TABLE
from kirotrio.kiro.request import RequestOptions, build_request
from kirotrio.kiro.thinking import TAG_SIGNATURE, wrap_signature
from kirotrio.kiro.translate import AnswerTranslator

WARM_UPS: Final = 4
COUNTED: Final = 2

MODEL: Final = "claude-sonnet-4.5"
EVENTS: Final = 300
"""Text events of an answer."""
TURNS: Final = 120
CUT: Final = 700
"""Bytes of a read that cuts frames."""
CREATED: Final = 1_700_000_000


@frozen
class Work:
    """One row of the table. `run` does it once and gives what tells that it was done: the same every time."""

    name: str
    items: int
    run: Callable[[], object]


class Stream(Protocol):
    """What the three dialects' streams have in common."""

    def start(self, usage: Usage) -> bytes: ...
    def encode(self, batch: list[Event], /) -> bytes: ...


class Body(Protocol):
    """What the three dialects' bodies have in common."""

    def add(self, batch: list[Event], /) -> None: ...
    def body(self) -> bytes: ...


# -- inputs ----------------------------------------------------------------------------------------------------------

_WORDS = ("the answer ", "is here,\n", 'a "quote" ', "naïve – ", "if x < 3:\n  ", "日本語 ", "return x;", " and so on")
"""Pieces as models give them: about twelve characters, some to be escaped, some not ASCII."""


def _pieces(count: int) -> list[str]:
    return [f"{_WORDS[number % len(_WORDS)]}{number}" for number in range(count)]


def _text_event(text: str) -> bytes:
    return encode_event("assistantResponseEvent", json.dumps({"content": text, "modelId": MODEL}).encode())


def _frames() -> list[bytes]:
    """An answer as Kiro sends it: text, a tool call in fragments, the tail."""
    call = {"toolUseId": "tooluse_abc", "name": "read_file"}
    fragments = [{**call, "input": part} for part in ('{"path": ', '"src/main', '.py", "lines"', ": [1, 200]}")]
    return [
        *map(_text_event, _pieces(EVENTS)),
        *(encode_event("toolUseEvent", json.dumps(fragment).encode()) for fragment in fragments),
        encode_event("toolUseEvent", json.dumps({**call, "stop": True}).encode()),
        encode_event("contextUsageEvent", b'{"contextUsagePercentage":12.5}'),
        encode_event("meteringEvent", b'{"unit":"credit","unitPlural":"credits","usage":0.0421}'),
    ]


def _thought() -> list[str]:
    """Text that begins with a thinking block, in pieces that cut both tags; with mentions of the closing tag in it."""
    inside = _pieces(EVENTS // 2)
    inside[20:20] = ["it ends with `</think", "ing>` they say ", "<", "/think", "er> or <b>"]
    return ["\n<thin", "king>\nFirst, ", *inside, ".</thinki", "ng>\n", "\n", *_pieces(EVENTS // 2)]


def _answer() -> list[Event]:
    """One answer with all that most answers are of."""
    written = json.dumps({"path": "src/main.py", "text": "".join(_pieces(600))})
    return [
        ThinkingDelta(""),
        ThinkingDeltas(_pieces(EVENTS // 5)),
        Signature(wrap_signature(MODEL, "0123abcd", "c2lnbmF0dXJl" * 20)),
        TextDeltas(_pieces(EVENTS)),
        Citation("https://example.com/a", "A page", "what it says", 3, 40),
        Call("tooluse_1", "read_file", '{"path": "src/main.py", "lines": [1, 200]}'),
        Call("tooluse_2", "write_file", written),
        Finish(StopCause.TOOL_USE, None, Usage(1200, 900, 30_000, 400, 100, True, 0.04)),
    ]


def _sound_turns() -> Iterator[Turn]:
    """A coding session as it should be: each answer thinks, speaks and calls two tools, whose results come back."""
    text = "".join(_pieces(40))
    yield Turn("user", (Text(text),))
    for number in range(TURNS // 2):
        calls = [ToolUse(f"toolu_{number}_{one}", f"tool_{one}", {"path": f"src/{number}.py"}) for one in range(2)]
        thought = Thinking(text, TAG_SIGNATURE)
        yield Turn("assistant", (thought, Text(text), *calls))
        yield Turn("user", tuple(ToolResult(call.id, (Text(text), Text("done"))) for call in calls))


def _broken_turns() -> Iterator[Turn]:
    """The same with what clients leave in histories: roles that repeat, results late, twice, missing or of nobody."""
    picture = Image("image/png", base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(200)).decode())
    late: list[Part] = []
    for number, turn in enumerate(_sound_turns()):
        parts = list(turn.parts)
        match number % 12:
            case 2:  # one result comes with the next turn of the user
                late.append(parts.pop())
            case 4:
                parts = [*late, *parts, parts[0], ToolResult("toolu_of_nobody", (Text("left over"),))]
                late.clear()
            case 6:  # no result at all
                parts = [Text("never mind \ud83d")]
            case 8:
                parts = [picture, ToolResult(f"toolu_{number // 2 - 1}_0", (picture, Text("shown")), is_error=True)]
            case 9:
                parts = [Thinking("signed elsewhere", "c2lnbmF0dXJl"), *parts, parts[-1]]
            case 10:
                yield Turn("user", (Text("in the middle"),))
                yield Turn("system", (Text("a reminder"),))
        yield Turn(turn.role, tuple(parts))
    yield Turn("assistant", (Text("What I will do:"),))


def _tools() -> tuple[Tool, ...]:
    schema = {
        "type": "object",
        "properties": {f"field_{number}": {"type": "string", "description": "a field"} for number in range(8)},
        "required": ["field_0"],
    }
    return tuple(Tool(f"tool_{number}", "What this tool does. " * 10, schema) for number in range(30))


_WORDS_OF_PROSE = """
    a about above account after again all also always an and another answer any are as ask at back be because been
    before behind between body both bounded but by cache call can cannot cancelled change channel check client close
    come connection could count day default did do does done each either end enough even event every example few file
    find first follow for found from further gateway get give goes gone good had half has have held here hold how if in
    inside is it its itself keep kept know large last later least less let like limit line list little load long look
    made make many may mean memory message might model more most much must name nearly need never new next no nobody
    not nothing now number of off often on once one only open or order other otherwise our out over own part pass place
    point put question quite rather read reason request right row run said same say second see send several shall short
    should side since small so some soon space stands start stays still stop stream such sure take tell than that the
    their them then there these they thing this those through time to together token too two under until up upstream
    use value very wait want was way we well went were what when where which while who whole why will with without word
    work would write written wrong yes yet you your asymmetrical Grzegorz backpressure misquoted kirotrio Reykjavik
"""
_CODE = """def {0}_{1}(self, {2}: dict[str, int], *, limit: float = {3}.5) -> list[tuple[str, int]]:
    found = [(name, {2}[name] + 0x{3:x}) for name in sorted({2}) if {2}[name] >= self._{1}]
    if not found:
        raise ValueError(f"no {0} in {{len({2})}} of {1}")  # {3} at most
    return found[: int(limit)]


"""
_WIDE = (
    "今天天气很好，",
    "我们去公园散步。",
    "速度を測る方法は、",
    "文書に書いてあります。",
    "빠르게 답하는 것이 ",
    "중요합니다. ",
)


def _word(number: int) -> str:
    """Always the same for a number."""
    words = _WORDS_OF_PROSE.split()
    return words[number * 2_654_435_761 % 2**32 * len(words) >> 32]


def _prose() -> str:
    words = [
        _word(number) + (".\n" if number % 15 == 14 else "," if number % 11 == 10 else "") for number in range(1500)
    ]
    return " ".join(words)


def _source_code() -> str:
    return "".join(_CODE.format(_word(one), _word(one + 1), _word(one + 2), one) for one in range(0, 60, 3))


def _wide_text() -> str:
    return "".join(f"{_WIDE[number % len(_WIDE)]}{chr(0x4E00 + number * 37 % 20_000)}" for number in range(200))


# -- work ------------------------------------------------------------------------------------------------------------


def _read(reads: list[bytes]) -> int:
    reader = EventReader()
    count = 0
    for read in reads:
        count += len(reader.feed(read))
    reader.close()
    return count


def _reader_work() -> Iterator[Work]:
    frames = _frames()
    whole = b"".join(frames)
    cut = [whole[at : at + CUT] for at in range(0, len(whole), CUT)]
    yield Work("reader, all in one read", len(frames), lambda: _read([whole]))
    yield Work("reader, a read each", len(frames), lambda: _read(frames))
    yield Work("reader, frames cut", len(frames), lambda: _read(cut))


def _translator_work() -> Iterator[Work]:
    frames = _frames()
    whole, reader = EventReader().feed(b"".join(frames)), EventReader()
    each = [reader.feed(frame) for frame in frames]

    def translate(batches: list[list[KiroEvent]]) -> object:
        translator = AnswerTranslator(
            window=200_000, tag_thinking=True, show_signature=str, tag_signature=TAG_SIGNATURE, tool_names={}
        )
        said = [len(translator.feed(batch)) for batch in batches]
        return sum(said), len(translator.end())

    yield Work("translator, all at once", len(frames), lambda: translate([whole]))
    yield Work("translator, an event each", len(frames), lambda: translate(each))


def _parser_work() -> Iterator[Work]:
    def parse(pieces: list[str]) -> object:
        parser = KiroThinkingTagParser()
        count = sum(len(parser.push_and_parse(piece)) for piece in pieces)
        return count + len(parser.flush()), parser.has_extracted_thinking

    thought, plain = _thought(), _pieces(EVENTS)
    yield Work("parser, thinking and text", len(thought), lambda: parse(thought))
    yield Work("parser, text", len(plain), lambda: parse(plain))


def _encoder_work() -> Iterator[Work]:
    answer = _answer()
    echo = ResponseEcho({"model": MODEL, "tools": [], "instructions": None, "temperature": 1.0})
    streams: dict[str, Callable[[], Stream]] = {
        "Anthropic": lambda: MessageStream(MODEL, "msg_1"),
        "Chat": lambda: ChatStream(MODEL, "chatcmpl-1", CREATED, True),
        "Responses": lambda: ResponseStream(echo, "resp_1", CREATED, clock=lambda: CREATED),
    }
    bodies: dict[str, Callable[[], Body]] = {
        "Anthropic": lambda: MessageBody(MODEL, "msg_1"),
        "Chat": lambda: ChatBody(MODEL, "chatcmpl-1", CREATED),
        "Responses": lambda: ResponseBody(echo, "resp_1", CREATED, clock=lambda: CREATED),
    }

    def write(new: Callable[[], Stream], batches: list[list[Event]]) -> int:
        stream = new()
        count = len(stream.start(Usage(1200)))
        for batch in batches:
            count += len(stream.encode(batch))
        return count

    def fill(new: Callable[[], Body]) -> int:
        body = new()
        body.add(answer)
        return len(body.body())

    each = [[event] for event in singly(answer)]
    for name, new in streams.items():
        yield Work(f"{name} stream, an event each", len(each), partial(write, new, each))
        yield Work(f"{name} stream, all at once", len(each), partial(write, new, [answer]))
    for name, new_body in bodies.items():
        yield Work(f"{name} body", len(each), partial(fill, new_body))


def _history_work() -> Iterator[Work]:
    carriage = ThinkingCarriage(model=MODEL, account_hash="0123abcd", tags=True, signatures=True)
    names = {f"tool_{number}": f"tool_{number}" for number in range(30)}
    model = next(model for model in MODEL_TABLE if model.id == MODEL)
    options = RequestOptions(conversation_id="0" * 8, profile_arn="arn:aws:x", account_hash="0123abcd")

    def repair(conversation: Conversation) -> object:
        notes: list[Diagnostic] = []
        entries = entries_of(conversation, carriage, notes)
        sent = render(entries, model=MODEL, origin="AI_EDITOR", tool_names=names, takes_images=True, notes=notes)
        return len(sent), len(notes)

    sound = Conversation(MODEL, tuple(_sound_turns()), ("You are helpful.",), _tools())
    broken = Conversation(MODEL, tuple(_broken_turns()))
    yield Work("history, nothing to repair", len(sound.turns), lambda: repair(sound))
    yield Work("history, much to repair", len(broken.turns), lambda: repair(broken))
    yield Work("request with 30 tools", len(sound.turns), lambda: len(build_request(sound, model, options).body))


def _counting_work() -> Iterator[Work]:
    vocabulary = Vocabulary()

    def count_anew(text: str) -> int:
        # What has been met before is only looked up: it is forgotten, so that a pass costs what a new answer does.
        vocabulary._counts.clear()
        vocabulary._counts._ranks.clear()
        return vocabulary.count(text)

    prose = _prose()
    for name, text in (("prose", prose), ("source code", _source_code()), ("Chinese, Japanese, Korean", _wide_text())):
        yield Work(f"tokens, {name}", vocabulary.count(text), partial(count_anew, text))
    yield Work("tokens, prose of known words", vocabulary.count(prose), partial(vocabulary.count, prose))


def all_work() -> list[Work]:
    """The rows in the table's order."""
    return [
        *_reader_work(),
        *_translator_work(),
        *_parser_work(),
        *_encoder_work(),
        *_history_work(),
        *_counting_work(),
    ]


def main() -> None:
    rows = all_work()
    for row in rows:
        done = [row.run() for _ in range(WARM_UPS)]
        if any(one != done[0] for one in done) or not done[0]:
            sys.exit(f"{row.name}: not the same result every time: {done}")
    # From here on nothing but the work itself costs anything: no collection falls into one pass and not the other.
    gc.collect()
    gc.disable()
    for row in rows:
        row.run()
        for _ in range(COUNTED):
            os.getppid()
            row.run()
        os.getppid()
    json.dump([(row.name, row.items) for row in rows], sys.stdout)


if __name__ == "__main__":
    main()
