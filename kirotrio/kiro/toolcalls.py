"""Fragments of tool calls, interleaved, to complete calls in their order of completion (KIRO_PROTOCOL 3.3).

A call is `open` from its first fragment until its `stop`. It then leaves if, and only if, its arguments are the text
of one JSON object; otherwise it is *broken* and never leaves, since a client that was given half a command
might run it. Pieces are kept in a list and joined once, so the work is linear in the bytes of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from attrs import Factory

from kirotrio.classes import define
from kirotrio.conversation.events import ToolCall
from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.event_types import ToolUseFragment


@define
class _OpenCall:
    name: str | None
    after_loss: bool
    """A fragment had been lost before this call's first one was seen: it may have been its real first one."""
    pieces: list[str] = Factory(list)
    broken: bool = False


class ToolCalls:
    """The calls of one answer. `tool_names` leads from the names sent upstream back to the client's own.

    `completed` and `broken` count calls; a lost fragment that belongs to no open call counts as one broken call by
    itself, so `broken` may be one too high for each. `note` is told of each call that broke, and why.
    """

    def __init__(self, tool_names: Mapping[str, str], note: Callable[[str], None]) -> None:
        self._tool_names = tool_names
        self._note = note
        self._open: dict[str, _OpenCall] = {}
        self._stopped: set[str] = set()
        self._lost_fragment = False
        self.completed = 0
        self.broken = 0

    def add(self, fragment: ToolUseFragment) -> ToolCall | None:
        """The call that this fragment completes, if it does and the call is sound.

        Raises `UpstreamFailed` where an id is used again after its call stopped, or a call changes its name.
        """
        call = self._open.get(fragment.id)
        if call is None:
            if fragment.id in self._stopped:
                raise UpstreamFailed(
                    f"The upstream used the id of tool call {fragment.id} again after that call ended."
                )
            call = self._open[fragment.id] = _OpenCall(fragment.name, self._lost_fragment)
        elif fragment.name is not None and fragment.name != call.name:
            if call.name is not None:
                raise UpstreamFailed(
                    f"The upstream renamed tool call {fragment.id} from {call.name} to {fragment.name} half-way."
                )
            call.name = fragment.name
        given = fragment.input
        if isinstance(given, str):
            call.pieces.append(given)
        elif given is not None:
            # A snapshot stands for all that came before it. An empty one is the same as none yet, whatever follows.
            call.pieces = [orjson.dumps(given).decode()] if given else []
        return self._complete(fragment.id, call) if fragment.stop else None

    def lose_fragment(self) -> None:
        """A fragment could not be read, and nobody knows whose it was: every open call counts as broken."""
        self._lost_fragment = True
        if not self._open:
            self.broken += 1
        for call_id, call in self._open.items():
            self._break(call_id, call, "a part of its arguments could not be read")

    def end(self) -> None:
        """The answer is over: calls that are still open were cut."""
        for call_id, call in self._open.items():
            self._break(call_id, call, "the answer ended before its arguments did")
        self._open.clear()

    def _complete(self, call_id: str, call: _OpenCall) -> ToolCall | None:
        del self._open[call_id]
        self._stopped.add(call_id)
        arguments = "".join(call.pieces)
        if call.name is None:
            self._break(call_id, call, "it has no name")
        elif not arguments and call.after_loss:
            self._break(call_id, call, "its arguments may have been in a part that could not be read")
        elif arguments and not _is_object(arguments):
            self._break(call_id, call, "its arguments are not a JSON object")
        if call.broken or call.name is None:
            return None
        self.completed += 1
        return ToolCall(call_id, self._tool_names.get(call.name, call.name), arguments or "{}")

    def _break(self, call_id: str, call: _OpenCall, why: str) -> None:
        if not call.broken:
            call.broken = True
            self.broken += 1
            self._note(f"tool call {call_id} ({call.name or 'without a name'}) was withheld: {why}")


def _is_object(text: str) -> bool:
    # A proper suffix of an object's text never parses as an object itself, so a call that lost its beginning
    # cannot pass here.
    try:
        return type(orjson.loads(text)) is dict
    except ValueError:
        return False
