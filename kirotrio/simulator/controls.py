"""How a person tells the simulated model what to do: `[[name=value …]]` in the last user message.

A value is a bare word, or JSON where it holds blanks or structure (`text="two words"`, `input={"command": "ls"}`).
Pairs may stand in one bracket or in several; a later one wins. A bracket that does not begin with a control's
name is ordinary text (a wiki link, a shell test); one that does is read strictly, so that a typing error is told
and not ignored. Where a message says nothing, the settings `simulator.*` hold.

Beyond the names of CONTRACT:

head_ms       pause before the head of the answer
no_head=1     no head at all: silence until the peer leaves
think         auto (as the request asked: native fields, or `<thinking_mode>` in the prompt), tag, native, none;
              by itself `auto` for scenario=thinking, `native` for scenario=native-thinking, else `none`
redacted=1    native thinking comes as `redactedContent`
text          the answer itself, word for word
tool, input   the tool to call and its arguments; input_chars fills the first text argument up to that length
tool_form     fragments, object (snapshots instead of text), absent (no input at all), truncated (no `stop`),
              invalid (`stop`, but not JSON)
tail          modern, older (no metadataEvent), usage (metadataEvent with tokenUsage), none
stop          the stopReason of metadataEvent
cut           where `cut_after` cuts: half (in a frame, connection closed), boundary (between frames, connection
              closed), half-terminated and boundary-terminated (the same, but HTTP ends properly), reset (TCP RST)
corrupt_at    which event is damaged: its number from 1, or the first of an event type; 2 by itself
retry_after   the Retry-After of `status`
fail_scenario what the attempts that `fail_first` fails do; by itself they are refused with `status`, or break
              as `exception`, `cut_after`, `stall_after`, `corrupt` or `no_head` say, or get a 500
key           what `fail_first` counts by, in place of conversation and message
rounds        how often the tools are called before the answer, results coming back in between; 1 by itself
search        in a query of web search: what comes of it: found, empty, rpc-error (JSON-RPC's own), tool-error
              (`isError`), index-error (inside the result), broken (no JSON)

`cut_after` and `stall_after` count every event but the first frame of a stream, which only names it. 0 in a message
means: a head, and nothing more. The count of `fail_first` begins anew after each success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

import orjson
from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.config.settings import SimulatorSettings
from kirotrio.simulator.refusals import RefusalTable

SCENARIOS: Final = ("text", "thinking", "native-thinking", "tools", "parallel-tools", "web-search", "long", "empty")
LARGEST_ANSWER: Final = 64 * 1024 * 1024
"""Characters that `events` times `size` may come to."""


class ControlError(ValueError):
    """A control that cannot be followed; the message says which and what would be right."""


@frozen
class Controls:
    """What one request asks for. None: the scenario's own, or never."""

    scenario: str = "text"
    events: int | None = None
    size: int | None = None
    gap_ms: float = 0.0
    first_ms: float = 0.0
    head_ms: float = 0.0
    context_pct: float | None = None
    split: int = 0
    status: str = ""
    exception: str = ""
    cut_after: int | None = None
    cut: str = "half"
    stall_after: int | None = None
    no_head: bool = False
    corrupt: str = ""
    corrupt_at: str = "2"
    fail_first: int = 0
    fail_scenario: str = ""
    key: str = ""
    retry_after: str = ""
    think: str = ""
    redacted: bool = False
    text: str | None = None
    tool: str = ""
    input: dict[str, Any] | None = None
    input_chars: int = 0
    tool_form: str = "fragments"
    tail: str = "modern"
    stop: str = ""
    rounds: int = 1
    search: str = "found"

    def succeeding(self) -> Controls:
        """The same without anything that goes wrong: what `fail_first` gives in the end."""
        return evolve(
            self, status="", exception="", cut_after=None, stall_after=None, no_head=False, corrupt="", fail_first=0
        )

    @property
    def breaks_stream(self) -> bool:
        """Whether something goes wrong other than a refusal."""
        return bool(
            self.exception
            or self.corrupt
            or self.no_head
            or self.cut_after is not None
            or self.stall_after is not None
            or self.fail_scenario
        )


def from_settings(settings: SimulatorSettings) -> Controls:
    """The settings as controls: 0 stands for "the scenario's own" or "never" there."""
    return Controls(
        scenario=_choice(*SCENARIOS)("scenario", settings.scenario),
        events=settings.events or None,
        size=settings.size or None,
        gap_ms=settings.gap_ms,
        first_ms=settings.first_ms,
        context_pct=settings.context_pct or None,
        split=settings.split,
        status=settings.status,
        exception=settings.exception,
        cut_after=settings.cut_after or None,
        stall_after=settings.stall_after or None,
        corrupt=_choice("", "crc", "prelude", "json")("corrupt", settings.corrupt),
        fail_first=settings.fail_first,
    )


def check_names(controls: Controls, refusals: RefusalTable) -> None:
    """Raise ControlError for a `status` or `exception` that names nothing the service says."""
    named = ", ".join(dict.fromkeys(row.name for row in refusals.rows))
    if controls.status and not _known(controls.status, refusals):
        raise ControlError(f"status: {controls.status!r} is no error; there are 400 to 599 and {named}")
    if controls.exception and not (_known(controls.exception, refusals) or _EXCEPTION.fullmatch(controls.exception)):
        raise ControlError(
            f"exception: {controls.exception!r} is no exception; there are error, names that end in Exception, Error "
            f"or Event, and {named}"
        )


def _known(name: str, refusals: RefusalTable) -> bool:
    try:
        refusals.find(name)
    except KeyError:
        return False
    return True


def read_controls(message: str, defaults: Controls) -> Controls:
    """`defaults` as the brackets in `message` change them. Raises ControlError."""
    found: dict[str, Any] = {}
    position = 0
    while (opening := _OPENING.search(message, position)) is not None:
        if opening[1] in _READERS:
            pairs, position = _read_bracket(message, opening.start(1))
            found.update(pairs)
        else:
            position = opening.end()
    controls = evolve(defaults, **found) if found else defaults
    if (controls.events or 1) * (controls.size or 1) > LARGEST_ANSWER:
        raise ControlError(f"events × size: at most {LARGEST_ANSWER} characters")
    return controls


def without_controls(message: str) -> str:
    """The message as a person reads it: brackets that hold controls are taken out."""
    kept: list[str] = []
    start = position = 0
    while (opening := _OPENING.search(message, position)) is not None:
        position = opening.end()
        if opening[1] in _READERS:
            kept.append(message[start : opening.start()])
            _, position = _read_bracket(message, opening.start(1))
            start = position
    return "".join([*kept, message[start:]])


def _read_bracket(message: str, position: int) -> tuple[dict[str, Any], int]:
    """The pairs from `position` to the closing brackets, and where these end."""
    pairs: dict[str, Any] = {}
    while True:
        position = _BLANKS.match(message, position).end()  # type: ignore[union-attr] # matches nothing as well
        if message.startswith("]]", position):
            return pairs, position + 2
        pair = _NAME.match(message, position)
        if pair is None:
            raise ControlError(f"expected name=value or ]] at {message[position : position + 20]!r}")
        name = pair[1]
        reader = _READERS.get(name)
        if reader is None:
            raise ControlError(f"{name}: no such control; there are {', '.join(sorted(_READERS))}")
        value, position = _read_value(name, message, pair.end())
        pairs[name] = reader(name, value)


def _read_value(name: str, message: str, position: int) -> tuple[Any, int]:
    if message[position : position + 1] in ("{", "[", '"'):
        try:
            value, end = _JSON.raw_decode(message, position)
        except (json.JSONDecodeError, RecursionError):
            raise ControlError(f"{name}: this is not JSON: {message[position : position + 40]!r}") from None
        try:
            orjson.dumps(value)
        except orjson.JSONEncodeError:  # half of a surrogate pair, a number of more than 64 bits, endless nesting
            raise ControlError(f"{name}: this cannot be sent as JSON: {message[position : position + 40]!r}") from None
        return value, end
    word = _WORD.match(message, position)
    if word is None:
        raise ControlError(f"{name}: a value is missing after the equals sign")
    return word[0], word.end()


_EXCEPTION = re.compile(r"error|[A-Za-z]+(?:Exception|Error|Event)")
_OPENING = re.compile(r"\[\[\s*([a-z_]+)=")
_NAME = re.compile(r"([A-Za-z_]+)=")
_BLANKS = re.compile(r"[\s,]*")
_WORD = re.compile(r"(?:(?!\]\])\S)+")
_JSON = json.JSONDecoder()


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value not in allowed:
            raise ControlError(f"{name}: {value!r} is none of {', '.join(filter(None, allowed))}")
        return str(value)

    return read


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        if not (isinstance(value, str) and value.isdecimal() and least <= int(value) <= most):
            raise ControlError(f"{name}: {value!r} is not a whole number from {least} to {most}")
        return int(value)

    return read


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1e9:
        raise ControlError(f"{name}: {value!r} is not a number from 0")
    return number


def _flag(name: str, value: Any) -> bool:
    return _choice("0", "1")(name, value) == "1"


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ControlError(f"{name}: {value!r} is not a word")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ControlError(f"{name}: {value!r} is not a JSON object")
    return value


_COUNT = _whole(0, 10_000_000)
_READERS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "scenario": _choice(*SCENARIOS),
    "events": _COUNT,
    "size": _whole(1, 8 * 1024 * 1024),
    "gap_ms": _number,
    "first_ms": _number,
    "head_ms": _number,
    "context_pct": _number,
    "split": _COUNT,
    "status": _word,
    "exception": _word,
    "cut_after": _COUNT,
    "cut": _choice("half", "boundary", "half-terminated", "boundary-terminated", "reset"),
    "stall_after": _COUNT,
    "no_head": _flag,
    "corrupt": _choice("crc", "prelude", "json"),
    "corrupt_at": _word,
    "fail_first": _COUNT,
    "fail_scenario": _choice(*SCENARIOS),
    "key": _word,
    "retry_after": _word,
    "think": _choice("auto", "tag", "native", "none"),
    "redacted": _flag,
    "text": _word,
    "tool": _word,
    "input": _object,
    "input_chars": _whole(0, 8 * 1024 * 1024),
    "tool_form": _choice("fragments", "object", "absent", "truncated", "invalid"),
    "tail": _choice("modern", "older", "usage", "none"),
    "stop": _word,
    "rounds": _COUNT,
    "search": _choice("found", "empty", "rpc-error", "tool-error", "index-error", "broken"),
}
