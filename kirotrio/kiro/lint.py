"""What the service rejects in a request body, by path (KIRO_PROTOCOL 2.1-2.8, 11).

The strict reading throughout: where probes disagree, what anybody saw rejected is a violation. What depends on the
account (which models, which profile, how much quota) or on an unknown figure (how many images, how much context) is
not judged here; nor are unknown members below the root, which the service ignores.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import orjson

from kirotrio.conversation.request import Json
from kirotrio.kiro.lint_fields import lint_fields
from kirotrio.kiro.lint_tools import lint_tool_name, lint_tools
from kirotrio.kiro.model_table import ModelProfile
from kirotrio.kiro.names import TOOL_USE_ID
from kirotrio.kiro.violation import Findings, Violation

__all__ = ["Violation", "violations"]

_ROOT = frozenset({"conversationState", "profileArn", "agentMode", "additionalModelRequestFields"})
_TRIGGERS = frozenset({"MANUAL", "DIAGNOSTIC", "INLINE_CHAT"})
_TASK_TYPES = frozenset({"vibe", "spectask"})
# fmt: off
_ORIGINS = frozenset({
    "AI_EDITOR", "CHATBOT", "CLI", "CONSOLE", "DOCUMENTATION", "GITLAB", "IDE", "INLINE_CHAT", "KIRO_CLI",
    "MARKETING", "MD", "MD_CE", "MD_IDE", "MOBILE", "OPENSEARCH_DASHBOARD", "Q_DEV_BEXT", "SAGE_MAKER",
    "SERVICE_INTERNAL", "SM_AI_STUDIO_IDE", "UNIFIED_SEARCH", "UNKNOWN",
})
# fmt: on
_IMAGE_FORMATS = frozenset({"png", "jpeg", "gif", "webp"})
_STATUSES = frozenset({"success", "error"})
_PROFILE_ARN = re.compile(r"arn:aws[\w-]*:codewhisperer:[a-z0-9-]+:\d{12}:profile/[A-Za-z0-9]+")

_USER = "userInputMessage"
_ASSISTANT = "assistantResponseMessage"


def violations(body: Json, model: ModelProfile | None = None) -> list[Violation]:
    """Everything in the decoded JSON `body` that the service would reject; nothing means that it would be taken.

    With `model`, its fields are held against what that model allows. Never raises, whatever the body.
    """
    findings = Findings()
    root = findings.object(body, "")
    if root is None:
        return findings.found
    for name in root:
        if name not in _ROOT:
            findings.add(name, f"no member of the request; there are {', '.join(sorted(_ROOT))}")
    _lint_unicode(root, findings)
    if "profileArn" in root and not (
        isinstance(root["profileArn"], str) and _PROFILE_ARN.fullmatch(root["profileArn"])
    ):
        findings.invalid_value(
            "profileArn", "is no profile's ARN: leave it out or give a real one", "Invalid profileArn."
        )
    if "agentMode" in root:
        findings.text(root["agentMode"], "agentMode")
    if "additionalModelRequestFields" in root:
        lint_fields(root["additionalModelRequestFields"], "additionalModelRequestFields", model, findings)
    state = findings.object(root.get("conversationState"), "conversationState")
    if state is not None:
        _Conversation(findings).lint(state)
    return findings.found


def _lint_unicode(root: Json, findings: Findings) -> None:
    """Lone surrogates. The whole body is scanned in C; only a guilty one is searched for the place."""
    try:
        orjson.dumps(root)
    except TypeError:
        pending: list[tuple[Json, str]] = [(root, "")]
        while pending:
            value, path = pending.pop()
            if isinstance(value, dict):
                pending.extend((member, f"{path}.{key}" if path else str(key)) for key, member in value.items())
                pending.extend((key, path) for key in value)
            elif isinstance(value, list):
                pending.extend((item, f"{path}.{index}") for index, item in enumerate(value))
            elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
                findings.add(path, "holds a lone UTF-16 surrogate, which is no Unicode text")


class _Conversation:
    """Checks `conversationState`: its members, then every message, then how they follow each other."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._used: dict[str, str] = {}

    def lint(self, state: Mapping[str, Json]) -> None:
        findings = self._findings
        path = "conversationState"
        findings.choice(state.get("chatTriggerType"), f"{path}.chatTriggerType", _TRIGGERS)
        if "agentTaskType" in state:
            findings.choice(state["agentTaskType"], f"{path}.agentTaskType", _TASK_TYPES)
        for name in ("conversationId", "agentContinuationId"):
            if name in state:
                findings.text(state[name], f"{path}.{name}")
        history = findings.array(state.get("history", []), f"{path}.history")
        calls: list[str] | None = [] if isinstance(state.get("history", []), list) else None
        previous = ""
        for index, message in enumerate(history):
            at = f"{path}.history.{index}"
            role = self._role(message, at)
            if role == _ASSISTANT and index == 0:
                findings.add(at, "the history begins with a user message")
            elif role and role == previous:
                findings.add(at, "user and assistant messages alternate: merge what one of them said in a row")
            previous = role
            calls = self._message(message, role, at, calls)
        if previous == _USER:
            findings.add(f"{path}.history.{len(history) - 1}", "the history ends with an assistant message")
        self._current(state.get("currentMessage"), f"{path}.currentMessage", calls)

    def _role(self, message: Json, path: str) -> str:
        """Which member of the union it is; "" if none."""
        if isinstance(message, dict) and len(message) == 1:
            name = next(iter(message))
            if name in (_USER, _ASSISTANT):
                return str(name)
        self._findings.add(path, f"has to hold exactly one of {_USER} and {_ASSISTANT}")
        return ""

    def _message(self, message: Json, role: str, path: str, calls: list[str] | None) -> list[str] | None:
        """Checks one message of the history; the calls that the next one has to answer, None if not known."""
        if not role:
            return None
        at = f"{path}.{role}"
        members = self._findings.object(message[role], at)
        if members is None:
            return None
        if role == _USER:
            self._user(members, at, calls)
            return []
        if calls:
            self._findings.mismatch(at, f"the results of {', '.join(calls)} have to come before")
        return self._assistant(members, at)

    def _current(self, message: Json, path: str, calls: list[str] | None) -> None:
        findings = self._findings
        union = findings.object(message, path)
        if union is None:
            return
        if set(union) != {_USER}:
            findings.invalid_value(
                path,
                f"holds exactly a {_USER}: upstream does not continue an assistant message",
                "The conversation must end with a user message; assistant message prefill is not supported.",
            )
            return
        at = f"{path}.{_USER}"
        members = findings.object(union[_USER], at)
        if members is None:
            return
        context = self._user(members, at, calls)
        names: set[str] = set()
        if "tools" in context:
            tools = f"{at}.userInputMessageContext.tools"
            names = lint_tools(findings.array(context["tools"], tools), tools, findings)
        for name, used_at in self._used.items():
            if name not in names:
                findings.found.append(
                    Violation(
                        used_at,
                        f"the history uses the tool {name}, so tools[] has to specify it",
                        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
                        "TOOL_CONFIG_MISSING",
                    )
                )

    def _user(self, message: Mapping[str, Json], path: str, calls: list[str] | None) -> Mapping[str, Json]:
        """Checks one user message; its context, empty if it has none."""
        findings = self._findings
        content = findings.text(message.get("content"), f"{path}.content", empty=True)
        if "origin" in message:
            findings.choice(message["origin"], f"{path}.origin", _ORIGINS)
        if "modelId" in message and not (isinstance(message["modelId"], str) and message["modelId"]):
            findings.found.append(
                Violation(
                    f"{path}.modelId",
                    "has to be a model's id",
                    "Invalid model ID. Please select a different model to continue.",
                    "INVALID_MODEL_ID",
                )
            )
        images = findings.array(message.get("images", []), f"{path}.images")
        for index, image in enumerate(images):
            self._image(image, f"{path}.images.{index}")
        context: Mapping[str, Json] = {}
        if "userInputMessageContext" in message:
            at = f"{path}.userInputMessageContext"
            context = findings.object(message["userInputMessageContext"], at) or {}
            if message["userInputMessageContext"] == {}:
                findings.add(at, "an empty context is rejected: leave the member out")
        results = findings.array(context.get("toolResults", []), f"{path}.userInputMessageContext.toolResults")
        if content == "" and not results:
            findings.add(f"{path}.content", "may be empty only beside tool results")
        self._results(results, f"{path}.userInputMessageContext.toolResults", calls)
        return context

    def _image(self, image: Json, path: str) -> None:
        findings = self._findings
        block = findings.object(image, path)
        if block is None:
            return
        findings.choice(block.get("format"), f"{path}.format", _IMAGE_FORMATS)
        source = findings.object(block.get("source"), f"{path}.source")
        if source is not None:
            encoded = findings.text(source.get("bytes"), f"{path}.source.bytes")
            if encoded is not None and not _is_base64(encoded):
                findings.add(f"{path}.source.bytes", "has to be base64 without a data: prefix")

    def _results(self, results: list[Json], path: str, calls: list[str] | None) -> None:
        findings = self._findings
        seen: set[str] = set()
        for index, result in enumerate(results):
            at = f"{path}.{index}"
            members = findings.object(result, at)
            if members is None:
                continue
            identifier = self._tool_use_id(members, at)
            if identifier in seen:
                findings.mismatch(f"{at}.toolUseId", "a second result for one tool use: join them")
            elif identifier and calls is not None and identifier not in calls:
                findings.mismatch(f"{at}.toolUseId", "no tool use of the message directly before has this id")
            seen.add(identifier)
            if "status" in members:
                findings.choice(members["status"], f"{at}.status", _STATUSES)
            self._result_content(members.get("content"), f"{at}.content")
        missing = [identifier for identifier in calls or [] if identifier not in seen]
        if missing:
            findings.mismatch(path, f"has no result for {', '.join(missing)} of the message directly before")

    def _result_content(self, content: Json, path: str) -> None:
        findings = self._findings
        blocks = findings.array(content, path)
        if isinstance(content, list) and not blocks:
            findings.add(path, "must not be empty: say that there is no result")
        for index, block in enumerate(blocks):
            members = findings.object(block, f"{path}.{index}")
            if members is not None and "text" in members:
                findings.text(members["text"], f"{path}.{index}.text")

    def _assistant(self, message: Mapping[str, Json], path: str) -> list[str]:
        """Checks one assistant message; the ids of its calls."""
        findings = self._findings
        content = findings.text(message.get("content"), f"{path}.content", empty=True)
        if "modelId" in message:
            findings.add(f"{path}.modelId", "no member of an assistant message: leave it out")
        uses = findings.array(message.get("toolUses", []), f"{path}.toolUses")
        if content == "" and not uses:
            findings.add(f"{path}.content", "may be empty only beside tool uses")
        identifiers: list[str] = []
        for index, use in enumerate(uses):
            at = f"{path}.toolUses.{index}"
            members = findings.object(use, at)
            if members is None:
                continue
            identifier = self._tool_use_id(members, at)
            if identifier in identifiers:
                findings.duplicate(f"{at}.toolUseId", "a second tool use with this id")
            elif identifier:
                identifiers.append(identifier)
            name = lint_tool_name(members.get("name"), f"{at}.name", findings)
            if name is not None:
                self._used.setdefault(name.lower(), f"{at}.name")
            findings.object(members.get("input"), f"{at}.input")
        if "reasoningContent" in message:
            self._reasoning(message["reasoningContent"], f"{path}.reasoningContent")
        return identifiers

    def _reasoning(self, value: Json, path: str) -> None:
        findings = self._findings
        union = findings.object(value, path)
        if union is None:
            return
        if set(union) == {"reasoningText"}:
            text = findings.object(union["reasoningText"], f"{path}.reasoningText")
            if text is not None:
                findings.text(text.get("text"), f"{path}.reasoningText.text", empty=True)
                if not isinstance(text.get("signature"), str) or not text["signature"]:
                    findings.found.append(
                        Violation(
                            f"{path}.reasoningText.signature",
                            "thinking is taken back with its signature only",
                            "Thinking block has no valid signature",
                            "THINKING_SIGNATURE_INVALID",
                        )
                    )
        elif set(union) == {"redactedContent"}:
            findings.text(union["redactedContent"], f"{path}.redactedContent")
        else:
            findings.add(path, "has to hold exactly one of reasoningText and redactedContent")

    def _tool_use_id(self, members: Mapping[str, Json], path: str) -> str:
        identifier = members.get("toolUseId")
        if isinstance(identifier, str) and TOOL_USE_ID.fullmatch(identifier):
            return identifier
        self._findings.add(f"{path}.toolUseId", "has to be 1 to 64 of a-z A-Z 0-9 _ -")
        return identifier if isinstance(identifier, str) else ""


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
