"""How many tokens a conversation has, as well as can be told before the upstream measures it, and how many an answer.

Each figure has one way of being told, whatever was asked before and whichever process is asked. The prompt of an
answer: `estimate` looks at samples of the text (`conversation.sampling`), half a millisecond whatever the size. What
the model's own vocabulary and the upstream's own prompt make of that is learned from measured answers
(`conversation.calibration`). What an answer puts out, and what a limit leaves of it: `count_text`, every token of
cl100k (`vocabulary.counting`). A prompt of which a client asks for nothing but the count: `estimate_closely`, every
token of cl100k too, by the usual encoder, which is faster by the megabyte and dear to have; it remembers what was
counted per turn and per tool: a conversation that grows costs its new part (plus one hash over the rest, about 1 ms a
megabyte).

Where the vocabulary cannot be had, both count characters (`quick_count`), and `problem` tells why.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import orjson

from kirotrio.conversation.calibration import Calibration, Correction
from kirotrio.conversation.request import (
    Conversation,
    Document,
    Image,
    Json,
    Part,
    RedactedThinking,
    RemoteFile,
    ResultPart,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
)
from kirotrio.conversation.sampling import sampled_count
from kirotrio.conversation.tool_loading import loaded_tools
from kirotrio.errors import KirotrioError

if TYPE_CHECKING:
    from tiktoken import Encoding

    from kirotrio.conversation.vocabulary.counting import Vocabulary

__all__ = ["TokenEstimator", "load_encoding", "load_vocabulary", "quick_count"]

SLICE = 16_000
"""Characters encoded in one go: a megabyte of blanks overflows the encoder's stack. Costs at most 0.04 %."""
REMEMBERED = 16_384
"""Turns and tools whose count is kept; about 4 MB."""

IMAGE_TOKENS = 1_500
"""For any image: what a large one costs; small ones are over-estimated."""
_TEXTUAL = ("json", "xml", "yaml", "toml", "javascript", "sql")
"""Ends of media types whose base64 is text, at four bytes a token. Of other documents only the name goes upstream."""
_TEXTS = "texts"
"""Of a tool."""
TURN_TOKENS = 4
PART_TOKENS = 3
TOOL_TOKENS = 8
"""For the marks around each turn, part and tool, which no text shows."""

_EXCHANGE_PRIOR = 50_000.0
"""Tokens for which both ways of counting are taken to agree, until conversations counted in both ways outweigh it."""
_EXCHANGE_MOST = 5_000_000.0
"""Beyond so many tokens the older counts fade."""

_AT_ONCE = 8_000
"""Characters of ASCII, a quarter as many others: counted in some milliseconds, and in 20 at the very worst."""

_START = {"claude": Correction(1.15, 4_000.0)}
"""Claude's vocabulary cuts finer than cl100k; the offset is the middle of what was seen (KIRO_PROTOCOL 7.2)."""
_START_OTHERWISE = Correction(1.0, 4_000.0)

_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003ffff]+"
)


def quick_count(text: str) -> int:
    """About how many tokens: a quarter of the characters, two thirds of the Chinese, Japanese and Korean ones.

    At least 1 for any text, so pieces of one or two characters are over-counted.
    """
    if not text:
        return 0
    wide = 0 if text.isascii() else len(text) - len(_WIDE.sub("", text))
    return round((len(text) - wide) / 4 + wide / 1.5) or 1


def load_vocabulary() -> Vocabulary:
    """The vocabulary that answers are counted by: some milliseconds and 2 MB, on first need and not before."""
    from kirotrio.conversation.vocabulary.counting import Vocabulary

    return Vocabulary()


def load_encoding() -> Encoding:
    """The encoder for prompts: 100 to 200 ms and 50 MB, on first need and not before."""
    from kirotrio.conversation.vocabulary.encoder import load_encoding

    return load_encoding()


class TokenEstimator:
    """Counts tokens, remembers, and learns. The application owns one; any thread may use it.

    `load` brings the encoder for prompts on first need, `load_counting` what counts answers; both raise KirotrioError.
    `corrections` are those that an earlier run had learned. `tell` is told, once, why the vocabulary cannot be had.
    """

    def __init__(
        self,
        load: Callable[[], Encoding] = load_encoding,
        corrections: Mapping[str, Correction] | None = None,
        load_counting: Callable[[], Vocabulary] = load_vocabulary,
        tell: Callable[[str], object] | None = None,
    ) -> None:
        self.problem = ""
        """Why the vocabulary could not be had; tokens are then told from characters."""
        self._load = load
        self._load_counting = load_counting
        self._tell = tell
        self._encoding: Encoding | None = None
        self._vocabulary: Vocabulary | None = None
        self._loading = threading.Lock()
        self._counts: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._counting = threading.Lock()
        self._exchange = (_EXCHANGE_PRIOR, _EXCHANGE_PRIOR)
        """Tokens of the same conversations, by the vocabulary and by samples."""
        self._calibrations = {
            family: Calibration.beginning_with(correction) for family, correction in (corrections or {}).items()
        }

    @property
    def ready(self) -> bool:
        """Whether `count_text` counts at once: what it needs is loaded, or cannot be had."""
        return self._vocabulary is not None or bool(self.problem)

    def ensure_ready(self) -> None:
        """Load what `count_text` needs unless it is there or could not be had. Some milliseconds and a file to be
        read, once: call it in a thread. Whoever comes meanwhile waits for the same."""
        if self.ready:
            return
        with self._loading:
            if not self.ready:
                try:
                    self._vocabulary = self._load_counting()
                except KirotrioError as error:
                    self._lack(error)

    def ensure_loaded(self) -> None:
        """Load the encoder for prompts unless it is there or could not be had. Takes 200 ms once: call it in a
        thread."""
        if self._encoding is not None or self.problem:
            return
        with self._loading:
            if self._encoding is None and not self.problem:
                try:
                    self._encoding = self._load()
                except KirotrioError as error:
                    self._lack(error)

    def _lack(self, error: KirotrioError) -> None:
        self.problem = error.message
        if self._tell is not None:
            self._tell(error.message)

    def estimate(self, conversation: Conversation, family: str) -> int:
        """The input tokens that the upstream will measure for a model of `family`; about 1 ms for 200 turns."""
        return self._calibration(family).current.apply(self.sample(conversation))

    def estimate_closely(self, conversation: Conversation, family: str) -> int:
        """The same from every token; loads the encoder on first need.

        Encodes 5 to 20 MB a second: call it in a thread. Where there is no vocabulary it is `estimate`.
        """
        self.ensure_loaded()
        if self._encoding is None:
            return self.estimate(conversation, family)
        counted: float = self.count(conversation)
        correction = self._calibration(family).current
        rate = self._exchanged(counted, self.sample(conversation))
        # What was learned was learned from samples: the count is put into their terms.
        return correction.apply(counted if correction.changed_at is None else counted / rate)

    def sample(self, conversation: Conversation) -> int:
        """About the tokens of the conversation in our own vocabulary, without it and before any correction."""
        texts: list[str] = []
        flat = 0
        for _, told, more in _weighed(conversation):
            texts += told
            flat += more
        return flat + sampled_count(texts)

    def count(self, conversation: Conversation) -> int:
        """The tokens of the conversation in our own vocabulary, before any correction."""
        return sum(self._remembered(kind, texts, flat) for kind, texts, flat in _weighed(conversation))

    def count_text(self, text: str) -> int:
        """The tokens of one text, never more than it has bytes in UTF-8; the same at any time and in any process.

        Loads what it needs if that is still to be done. 0.2 to 8 MB a second (`vocabulary.counting`): call it in a
        thread unless `counts_at_once`.
        """
        self.ensure_ready()
        vocabulary = self._vocabulary
        return quick_count(text) if vocabulary is None else vocabulary.count(text)

    def counts_at_once(self, text: str) -> bool:
        """Whether counting this text is work for the event loop: nothing has to be loaded, and it is no long text."""
        return self.ready and len(text) <= (_AT_ONCE if text.isascii() else _AT_ONCE // 4)

    @staticmethod
    def quick_count(text: str) -> int:
        """`quick_count`, for whoever holds the estimator."""
        return quick_count(text)

    def learn(self, family: str, estimated: int, measured: int, now: float) -> bool:
        """Learn from one answer: `estimate` had said `estimated`, the upstream measured `measured` input tokens.

        Never from what `estimate_closely` says. `now` is epoch seconds. Returns whether the correction has changed,
        which happens at most once a day.
        """
        return self._calibration(family).learn(estimated, measured, now)

    def corrections(self) -> dict[str, Correction]:
        """What has been learned so far, by family, to be given to the next run."""
        return {
            family: calibration.current
            for family, calibration in self._calibrations.items()
            if calibration.current.changed_at is not None
        }

    def _calibration(self, family: str) -> Calibration:
        calibration = self._calibrations.get(family)
        if calibration is None:
            start = _START.get(family, _START_OTHERWISE)
            calibration = self._calibrations.setdefault(family, Calibration.beginning_with(start))
        return calibration

    def _exchanged(self, counted: float, sampled: float) -> float:
        """Tokens by the vocabulary for one by samples, in what this gateway's people send; `counted`: once more."""
        with self._counting:
            by_vocabulary, by_samples = self._exchange
            if by_vocabulary > _EXCHANGE_MOST:
                by_vocabulary, by_samples = by_vocabulary / 2, by_samples / 2
            self._exchange = by_vocabulary + counted, by_samples + sampled
            return self._exchange[0] / self._exchange[1]

    def _remembered(self, kind: str, texts: tuple[str, ...], flat: int) -> int:
        """The tokens of these texts plus `flat`, encoded only if they were not met before."""
        encoding = self._encoding
        if encoding is None:
            return flat + sum(map(quick_count, texts))
        key = (hash((kind, flat, texts)), sum(map(len, texts)))
        with self._counting:
            known = self._counts.get(key)
            if known is not None:
                self._counts.move_to_end(key)
                return known
        count = flat + sum(_encoded(encoding, text) for text in texts)
        with self._counting:
            self._counts[key] = count
            if len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
        return count


def _encoded(encoding: Encoding, text: str) -> int:
    count = 0
    for start in range(0, len(text), SLICE):
        piece = text[start : start + SLICE]
        try:
            # Never `encode`: that one refuses text with `<|endoftext|>` in it.
            count += len(encoding.encode_ordinary(piece))
        except BaseException as panic:
            # The encoder's panic derives from BaseException and cannot be imported.
            if type(panic).__name__ != "PanicException":
                raise
            count += quick_count(piece)
    return count


def _weighed(conversation: Conversation) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Kind, texts, and the tokens of what is no text: of each system text, turn and tool, and of the schema."""
    for text in conversation.system:
        yield "system", (text,), TURN_TOKENS
    for turn in conversation.turns:
        texts: list[str] = []
        flat = TURN_TOKENS + PART_TOKENS * len(turn.parts)
        for part in turn.parts:
            if type(part) is Text:
                texts.append(part.text)
            else:
                flat += _part(part, texts)
        yield turn.role, tuple(texts), flat
    for tool in _offered(conversation):
        yield "tool", _texts_of(tool), TOOL_TOKENS
    if conversation.output_schema is not None and conversation.output_schema.schema is not None:
        yield "schema", (_json(conversation.output_schema.schema),), TOOL_TOKENS


def _part(part: Part | ResultPart, texts: list[str]) -> int:
    """Adds the texts of a part; returns the tokens of what is no text. The common kinds come first."""
    kind = type(part)
    if kind is Text or kind is Thinking:
        texts.append(cast("Text | Thinking", part).text)
        return 0
    if kind is ToolResult:
        content = cast("ToolResult", part).content
        return sum([PART_TOKENS + _part(inner, texts) for inner in content])
    if kind is ToolUse or kind is ServerToolUse:
        use = cast("ToolUse | ServerToolUse", part)
        texts += (use.name, _json(use.input))
        return 0
    return _rare_part(part, texts)


def _rare_part(part: Part | ResultPart, texts: list[str]) -> int:
    match part:
        case Image():
            return IMAGE_TOKENS
        case RemoteFile(_, kind):
            return IMAGE_TOKENS if kind == "image" else 0
        case Document(media_type, contents, title, context):
            texts += [text for text in (title, context) if text]
            if part.is_text:
                texts.append(contents)
            elif media_type.partition(";")[0].strip().lower().endswith(_TEXTUAL):
                return len(contents) * 3 // 16
        case ServerToolResult(_, _, content):
            texts.append(_json(content))
        case ToolReference(name):
            texts.append(name)
        case RedactedThinking(sealed):
            # Base64 of something that had about four bytes a token.
            return len(sealed) // 5
    return 0


def _offered(conversation: Conversation) -> Iterator[Tool]:
    """The tools that the upstream is told of: not withheld, not run by a server, not waiting to be loaded."""
    if conversation.tool_choice.mode == "none":
        return
    loaded = loaded_tools(conversation)
    for tool in conversation.tools:
        if (tool.input_schema is not None or not tool.kind) and (not tool.deferred or tool.name in loaded):
            yield tool


def _texts_of(tool: Tool) -> tuple[str, ...]:
    texts: tuple[str, ...] | None = tool.worked_out.get(_TEXTS)
    if texts is None:
        texts = tool.worked_out[_TEXTS] = (tool.name, tool.description, _json(tool.input_schema))
    return texts


def _json(value: Json) -> str:
    if not value:
        return ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Too deep, or with surrogates or keys that are no texts: the strings and figures alone will do for a count.
        return " ".join(_leaves(value))


def _leaves(value: Json) -> Iterator[str]:
    """Every key and scalar of a JSON value, without recursion: its depth is the client's choice."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, Mapping):
            yield from map(str, inner)
            waiting += inner.values()
        elif isinstance(inner, list | tuple):
            waiting += inner
        else:
            yield str(inner)
