"""Entries as Kiro's messages (KIRO_PROTOCOL 2.3, 2.4, 2.7).

Each call of an assistant entry gets exactly one result in the entry behind it: what came back, or an error result
where nothing did. Images of tool results are lifted into the message that holds the results (trap 11), with a number
in their place and, from two on, one line that says which image belongs to which call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kirotrio.conversation.request import Diagnostic, Document, Image, RemoteFile, Text, ToolReference
from kirotrio.kiro.pairing import AssistantEntry, Call, Entry, Outcome, Picture, UserEntry
from kirotrio.kiro.parts import (
    EMPTY_ASSISTANT,
    EMPTY_RESULT,
    EMPTY_USER,
    FAILED_RESULT,
    MISSING_RESULT,
    MOVED_RESULT,
    document_text,
    image_block,
    image_placeholder,
    reference_text,
    remote_placeholder,
)
from kirotrio.kiro.wellformed import repair_noted, repair_text


def render(
    entries: list[Entry],
    *,
    model: str,
    origin: str,
    tool_names: Mapping[str, str],
    takes_images: bool,
    notes: list[Diagnostic],
) -> list[dict[str, Any]]:
    """One message per entry. `tool_names` gives the name to send for each name that the entries use."""
    messages: list[dict[str, Any]] = []
    calls: list[Call] = []
    for entry in entries:
        if isinstance(entry, AssistantEntry):
            messages.append({"assistantResponseMessage": _assistant_message(entry, tool_names)})
            calls = entry.calls
        else:
            message = _UserMessage(takes_images, notes)
            messages.append({"userInputMessage": message.build(entry, calls, model, origin)})
            calls = []
    return messages


def _assistant_message(entry: AssistantEntry, tool_names: Mapping[str, str]) -> dict[str, Any]:
    content = "\n\n".join([text for text in entry.texts if text and not text.isspace()])
    message: dict[str, Any] = {"content": content or ("" if entry.calls else EMPTY_ASSISTANT)}
    if entry.calls:
        message["toolUses"] = [
            {"toolUseId": call.sent_id, "name": tool_names[call.name], "input": call.input} for call in entry.calls
        ]
    if entry.reasoning is not None:
        message["reasoningContent"] = entry.reasoning
    return message


class _UserMessage:
    """Collects one user message: its text, its images, its results."""

    def __init__(self, takes_images: bool, notes: list[Diagnostic]) -> None:
        self._takes_images = takes_images
        self._notes = notes
        self._texts: list[str] = []
        self._images: list[dict[str, Any]] = []
        self._lifted: list[str] = []

    def build(self, entry: UserEntry, calls: list[Call], model: str, origin: str) -> dict[str, Any]:
        results = [self._result(call) for call in calls]
        for piece in entry.pieces:
            if isinstance(piece, str):
                self._texts.append(piece)
            elif isinstance(piece, Picture):
                self._texts.extend(self._image(piece.image, piece.path))
            else:
                self._orphan(piece)
        if len(self._lifted) > 1:
            self._texts.insert(0, f"[images of tool results: {', '.join(self._lifted)}]")
        content = "\n\n".join(self._texts)
        if not content and not results:
            content = MOVED_RESULT if entry.moved else EMPTY_USER
        message: dict[str, Any] = {"content": content, "modelId": model, "origin": origin}
        if self._images:
            message["images"] = self._images
        if results:
            message["userInputMessageContext"] = {"toolResults": results}
        return message

    def _image(self, image: Image, path: str) -> list[str]:
        """Attach the image; what is to be said in its place where that is not possible."""
        block, lost = image_block(image) if self._takes_images else (None, "this model reads no images")
        if block is None:
            self._notes.append(Diagnostic(path, lost))
            return [image_placeholder(image)]
        self._images.append(block)
        return []

    def _result(self, call: Call) -> dict[str, Any]:
        failed = any(outcome.result.is_error for outcome in call.outcomes)
        if not call.outcomes:
            self._notes.append(Diagnostic(call.path, "this tool use has no result; an error result was put in"))
            texts, failed = [MISSING_RESULT], True
        else:
            texts = self._texts_of(call)
            if failed:
                texts.insert(0, FAILED_RESULT)
        return {
            "toolUseId": call.sent_id,
            "content": [{"text": text} for text in texts],
            "status": "error" if failed else "success",
        }

    def _texts_of(self, call: Call) -> list[str]:
        texts: list[str] = []
        for outcome in call.outcomes:
            texts.extend(self._outcome_texts(outcome, call))
        return texts or [EMPTY_RESULT]

    def _outcome_texts(self, outcome: Outcome, call: Call | None) -> list[str]:
        """The texts of one result; its images are attached, with their number left in place."""
        texts: list[str] = []
        for index, part in enumerate(outcome.result.content):
            path = f"{outcome.path}.content.{index}"
            match part:
                case Text():
                    text = repair_noted(part.text, path, self._notes)
                    if text and not text.isspace():
                        texts.append(text)
                case Image():
                    texts.extend(self._image(part, path) or [self._lift(call)])
                case Document():
                    text, lost = document_text(part)
                    if lost:
                        self._notes.append(Diagnostic(path, lost))
                    texts.append(text)
                case RemoteFile():
                    texts.append(remote_placeholder(part))
                case ToolReference():
                    texts.append(reference_text(part.tool_name))
        return texts

    def _lift(self, call: Call | None) -> str:
        number = len(self._images)
        source = f"{repair_text(call.name)} ({call.sent_id})" if call else "a call that is not in this conversation"
        self._lifted.append(f"image {number} from {source}")
        return f"[image {number} of this message]"

    def _orphan(self, outcome: Outcome) -> None:
        identifier = repair_text(outcome.result.tool_use_id)
        texts = self._outcome_texts(outcome, None) or [EMPTY_RESULT]
        if outcome.result.is_error:
            texts.insert(0, FAILED_RESULT)
        self._texts.append("\n".join([f"[result of the tool call {identifier}]", *texts]))
