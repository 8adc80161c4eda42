"""A conversation's turns as entries in which user and assistant alternate (KIRO_PROTOCOL 2.8, 2.9).

What comes out begins with a user entry and ends with one, the message to be answered. Turns of one role in a row
become one entry; a system turn joins the user entry where it stands (trap 34); a part that only the other role may
send (a tool result in an assistant turn) changes the role there. Earlier thinking is carried as 8.3 says. Linear in
the number of parts.
"""

from __future__ import annotations

from typing import Any

from kirotrio.classes import frozen
from kirotrio.conversation.request import (
    Conversation,
    Diagnostic,
    Document,
    Image,
    Part,
    RedactedThinking,
    RemoteFile,
    Role,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.kiro.pairing import AssistantEntry, Call, Entry, Outcome, Picture, UserEntry, pair
from kirotrio.kiro.parts import CONTINUE, document_text, remote_placeholder, server_result_text, server_use_text
from kirotrio.kiro.thinking import Own, Tag, unwrap_signature
from kirotrio.kiro.wellformed import repair_json, repair_noted

BILLING_HEADER = "x-anthropic-billing-header:"

OPENING_TAG = "<thinking>"
CLOSING_TAG = "</thinking>"
ESCAPED_CLOSING_TAG = "&lt;/thinking&gt;"


@frozen(kw_only=True)
class ThinkingCarriage:
    """Which earlier thinking may travel: `tags` as tag text, `signatures` with the upstream's own signature.

    Signatures are good for one `model` on the account of `account_hash` only.
    """

    model: str
    account_hash: str
    tags: bool
    signatures: bool


def system_text(conversation: Conversation, notes: list[Diagnostic]) -> str:
    """The system texts, joined by blank lines, without Claude Code's attribution line (CLIENTS B 5.1)."""
    texts: list[str] = []
    for index, text in enumerate(conversation.system):
        path = f"system.{index}"
        kept = text
        if text.startswith(BILLING_HEADER):
            # The header is one line and a block of its own; whatever a proxy may have joined to it stays.
            kept = text.partition("\n")[2]
            notes.append(Diagnostic(path, "the client's attribution line is not for the model; left out"))
        if kept and not kept.isspace():
            texts.append(repair_noted(kept, path, notes))
    return "\n\n".join(texts)


def entries_of(conversation: Conversation, carriage: ThinkingCarriage, notes: list[Diagnostic]) -> list[Entry]:
    """The alternating entries, first and last a user entry, tool results paired."""
    fold = _Fold(carriage, notes)
    for number, turn in enumerate(conversation.turns):
        fold.add(turn, turn.path or f"messages.{number}")
    entries = fold.entries
    last = entries[-1] if entries else None
    end = (conversation.turns[-1].path if conversation.turns else "") or "messages"
    if isinstance(last, AssistantEntry) and last.is_empty:
        entries.pop()
        notes.append(Diagnostic(end, "the conversation ends with an empty assistant turn; left out"))
    if not entries or isinstance(entries[0], AssistantEntry):
        entries.insert(0, UserEntry())
    last = entries[-1]
    if isinstance(last, AssistantEntry):
        # Calls without results are answered by the results that `render` fills in; only text wants a continuation.
        entries.append(UserEntry([] if last.calls else [CONTINUE]))
        notes.append(Diagnostic(end, "upstream does not continue an assistant turn; asked for in a user turn instead"))
    pair(entries, notes)
    return entries


class _Fold:
    """Takes turns in order and builds the entries."""

    def __init__(self, carriage: ThinkingCarriage, notes: list[Diagnostic]) -> None:
        self.entries: list[Entry] = []
        self._carriage = carriage
        self._notes = notes

    def add(self, turn: Turn, path: str) -> None:
        text_before = False
        role = turn.role
        for index, part in enumerate(turn.parts):
            at = f"{path}.content.{index}"
            if type(part) is Text:
                self._say(repair_noted(part.text, at, self._notes), role, continued=text_before)
                text_before = True
            else:
                self._add_part(part, role, at)
                text_before = False
        if not turn.parts:
            # The entry keeps its place: dropping it would make one turn of its neighbours.
            self._assistant() if turn.role == "assistant" else self._user()

    def _user(self) -> UserEntry:
        if self.entries:
            last = self.entries[-1]
            if isinstance(last, UserEntry):
                return last
        entry = UserEntry()
        self.entries.append(entry)
        return entry

    def _assistant(self) -> AssistantEntry:
        if self.entries:
            last = self.entries[-1]
            if isinstance(last, AssistantEntry):
                return last
        entry = AssistantEntry()
        self.entries.append(entry)
        return entry

    def _note(self, path: str, message: str) -> None:
        self._notes.append(Diagnostic(path, message))

    def _say(self, text: str, role: Role, *, continued: bool = False) -> None:
        """`continued`: directly after a text of the same turn, which for an assistant is one text cut in blocks."""
        if role == "assistant":
            groups = self._assistant().groups
            if continued and groups:
                groups[-1].append(text)
            else:
                groups.append([text])
        elif text and not text.isspace():
            self._user().pieces.append(f"<system>\n{text}\n</system>" if role == "system" else text)
        else:
            self._user()

    def _add_part(self, part: Part, role: Role, path: str) -> None:
        """Of any kind but text."""
        match part:
            case ToolUse():
                self._add_use(part, role, path)
            case ToolResult():
                if role == "assistant":
                    self._note(path, "a tool result in an assistant turn; sent in a user turn of its own")
                self._user().pieces.append(Outcome(part, path))
            case Image():
                if role == "assistant":
                    self._note(path, "an image in an assistant turn; sent in a user turn of its own")
                self._user().pieces.append(Picture(part, path))
            case Document():
                text, lost = document_text(part)
                if lost:
                    self._note(path, lost)
                self._say(text, role)
            case RemoteFile():
                self._note(path, f"the {part.kind} at this address was not fetched")
                self._say(remote_placeholder(part), role)
            case Thinking() | RedactedThinking():
                self._add_thinking(part, role, path)
            case ServerToolUse():
                self._note(path, "upstream has no server tools in history; sent as text")
                self._say(server_use_text(part), role)
            case ServerToolResult():
                self._note(path, "upstream has no results of server tools in history; sent as text")
                self._say(server_result_text(part), role)

    def _add_use(self, use: ToolUse, role: Role, path: str) -> None:
        if role != "assistant":
            self._note(path, f"a tool use in a {role} turn; sent in an assistant turn of its own")
        arguments = repair_json(use.input)
        if arguments is not use.input and arguments != use.input:
            self._note(path, "lone surrogates were replaced, or what lay deeper than 100 levels was cut")
        self._assistant().calls.append(Call(use.id, use.name, arguments, path))

    def _add_thinking(self, part: Thinking | RedactedThinking, role: Role, path: str) -> None:
        if role != "assistant":
            self._user()
            self._note(path, f"thinking in a {role} turn; left out")
            return
        entry = self._assistant()
        if isinstance(part, RedactedThinking):
            signature, text = part.data, ""
        else:
            signature, text = part.signature, repair_noted(part.text, path, self._notes)
        origin = unwrap_signature(signature)
        if isinstance(origin, Own):
            content: dict[str, Any]
            if isinstance(part, RedactedThinking):
                content = {"redactedContent": origin.signature}
            else:
                content = {"reasoningText": {"text": text, "signature": origin.signature}}
            self._carry_signed(entry, origin, content, path)
        elif isinstance(part, Thinking) and (isinstance(origin, Tag) or not signature):
            self._carry_tagged(entry, text, path)
        else:
            self._note(path, "thinking that was signed elsewhere; left out")

    def _carry_signed(self, entry: AssistantEntry, origin: Own, content: dict[str, Any], path: str) -> None:
        carriage = self._carriage
        if not carriage.signatures:
            self._note(path, "signed thinking; left out, since its signature was refused")
        elif not origin.fits(carriage.model, carriage.account_hash):
            self._note(
                path, f"thinking signed by {origin.model} for one account; left out for another model or account"
            )
        else:
            if entry.reasoning is not None:
                self._note(path, "upstream takes one thinking block an answer: the one before this is left out")
            entry.reasoning = content

    def _carry_tagged(self, entry: AssistantEntry, text: str, path: str) -> None:
        if not text or text.isspace():
            return
        if self._carriage.tags:
            entry.groups.append([f"{OPENING_TAG}{text.replace(CLOSING_TAG, ESCAPED_CLOSING_TAG)}{CLOSING_TAG}"])
        else:
            self._note(path, "unsigned thinking; left out, since this request does not think in tags")
