"""Tool uses and their results, brought together (KIRO_PROTOCOL 2.8, trap 1).

A conversation is a list of entries in which user and assistant alternate. A user entry holds what was said in it, in
order; the results that belong to the calls of the entry before it hang on those calls, so that a mismatch cannot be
expressed. Linear in the number of parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.request import Diagnostic, Image, Json, ToolResult
from kirotrio.kiro.names import upstream_tool_use_id


@define(eq=False)
class Outcome:
    """A tool result of the client's, where it stood."""

    result: ToolResult
    path: str


@define(eq=False)
class Call:
    """A tool use of an assistant entry. `sent_id` is its id upstream; `outcomes` are what came back, in order."""

    client_id: str
    name: str
    input: Mapping[str, Json]
    path: str
    sent_id: str = ""
    outcomes: list[Outcome] = field(factory=list)


@define(eq=False)
class Picture:
    """An image of the user's, where it stood."""

    image: Image
    path: str


Piece: TypeAlias = str | Picture | Outcome


@define(eq=False)
class UserEntry:
    """What the user said: texts and images, and, before `pair`, results. `moved`: a late result was taken out."""

    pieces: list[Piece] = field(factory=list)
    moved: bool = False


@define(eq=False)
class AssistantEntry:
    """What the model said. A group of `groups` is text without a break; `reasoning` is ready for the wire."""

    groups: list[list[str]] = field(factory=list)
    calls: list[Call] = field(factory=list)
    reasoning: dict[str, Any] | None = None

    @property
    def is_empty(self) -> bool:
        return not self.calls and self.reasoning is None and all(text.isspace() or not text for text in self.texts)

    @property
    def texts(self) -> Iterable[str]:
        return map("".join, self.groups)


Entry: TypeAlias = UserEntry | AssistantEntry


def pair(entries: list[Entry], notes: list[Diagnostic]) -> None:
    """Hang every result on its call, in place; what belongs to no call is left among the pieces.

    A result belongs to the unanswered call of the same id in the entry directly before it, else to the latest
    unanswered one further back (it came late), else, where that call has an answer in this very entry, to the same
    call once more (several outputs for one call).
    """
    unanswered: dict[str, list[Call]] = {}
    sent_ids: set[str] = set()
    preceding: dict[str, list[Call]] = {}
    for entry in entries:
        if isinstance(entry, AssistantEntry):
            entry.calls = _distinct(entry.calls, notes)
            preceding = {}
            for call in entry.calls:
                _give_id(call, sent_ids, notes)
                unanswered.setdefault(call.client_id, []).append(call)
                preceding.setdefault(call.client_id, []).append(call)
        elif Outcome in map(type, entry.pieces):
            _claim(entry, preceding, unanswered, notes)


def _distinct(calls: list[Call], notes: list[Diagnostic]) -> list[Call]:
    """Without the repeats of a call, as a client leaves them that sent one answer twice."""
    if len(calls) < 2:
        return calls
    kept: list[Call] = []
    by_id: dict[str, list[Call]] = {}
    for call in calls:
        same_id = by_id.setdefault(call.client_id, [])
        if any(call.name == other.name and call.input == other.input for other in same_id):
            notes.append(Diagnostic(call.path, f"repeats the tool use {call.client_id!r}; sent once"))
            continue
        same_id.append(call)
        kept.append(call)
    return kept


def _give_id(call: Call, sent_ids: set[str], notes: list[Diagnostic]) -> None:
    occurrence = 0
    call.sent_id = upstream_tool_use_id(call.client_id)
    while call.sent_id in sent_ids:
        occurrence += 1
        call.sent_id = upstream_tool_use_id(call.client_id, occurrence)
    sent_ids.add(call.sent_id)
    if occurrence:
        notes.append(
            Diagnostic(call.path, f"the tool use id {call.client_id!r} was used before; sent as {call.sent_id}")
        )


def _claim(
    entry: UserEntry, preceding: dict[str, list[Call]], unanswered: dict[str, list[Call]], notes: list[Diagnostic]
) -> None:
    pieces: list[Piece] = []
    for piece in entry.pieces:
        if not isinstance(piece, Outcome):
            pieces.append(piece)
            continue
        identifier = piece.result.tool_use_id
        here = preceding.get(identifier, [])
        waiting = unanswered.get(identifier, [])
        call = here[0] if here and not here[0].outcomes else next((call for call in here if not call.outcomes), None)
        if call is not None:
            waiting.remove(call)
            call.outcomes.append(piece)
        elif waiting:
            waiting.pop().outcomes.append(piece)
            entry.moved = True
            notes.append(Diagnostic(piece.path, f"the result of {identifier!r} came late; moved behind its tool use"))
        elif here:
            _add_outcome(here[-1], piece, notes)
        else:
            notes.append(Diagnostic(piece.path, f"no tool use has the id {identifier!r}; the result is sent as text"))
            pieces.append(piece)
    entry.pieces = pieces


def _add_outcome(call: Call, outcome: Outcome, notes: list[Diagnostic]) -> None:
    if any(outcome.result == earlier.result for earlier in call.outcomes):
        notes.append(Diagnostic(outcome.path, f"repeats the result of {call.client_id!r}; sent once"))
    else:
        call.outcomes.append(outcome)
        notes.append(Diagnostic(outcome.path, f"a further result of {call.client_id!r}; joined with the first"))
