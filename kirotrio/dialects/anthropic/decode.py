"""The body of `POST /v1/messages` and of its `count_tokens` as a Conversation (CLIENTS A and B 5.1).

Bodies are open lists: what is known but has no channel upstream, and what is not known at all, is noted in the
conversation's diagnostics. Refused is only what is malformed, what would change the answer if it were ignored
(message threads), and what there is no store for (sources by file id); always with the path.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

import attrs
import orjson
from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.conversation.growing import LATEST, Memory, Rest, begun, further, rest_of
from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Json,
    Limits,
    OutputSchema,
    Role,
)
from kirotrio.conversation.thinking import read_thinking
from kirotrio.dialects.anthropic.content import read_texts
from kirotrio.dialects.anthropic.messages import Messages, NeedsWhole, Remembered
from kirotrio.dialects.anthropic.schema import REQUEST_FIELDS, AnthropicMessagesRequest
from kirotrio.dialects.anthropic.tools import ToolOffer, read_tool_choice, read_tools
from kirotrio.dialects.anthropic.web_search import direct_query
from kirotrio.dialects.body import read_object
from kirotrio.dialects.reading import Reading
from kirotrio.dialects.structure import structure
from kirotrio.errors import BodyInvalid, KirotrioError, ThreadsUnsupported

SESSION_HEADER = "x-claude-code-session-id"

_IGNORED = {
    "billing_policy": "billing is the subscription's",
    "cache_control": "the upstream caches by itself",
    "compaction": "the upstream cannot compact; the answer is an ordinary one",
    "container": "the upstream has no containers",
    "context_management": "the history is sent as it is",
    "diagnostics": "the upstream does not explain its cache",
    "fallback_credit_token": "the upstream has no fallback credits",
    "fallbacks": "the upstream serves the model that was asked for",
    "inference_geo": "the upstream's region is the account's",
    "mcp_servers": "the upstream calls no MCP servers of a client",
    "service_tier": "the upstream has one tier",
    "speed": "the upstream has one speed",
    "user_profile_id": "the upstream has no user profiles",
    "workspace_id": "the upstream has no workspaces",
}
"""Fields of the newest SDK types that have no channel upstream, and why."""

_KNOWN = REQUEST_FIELDS | _IGNORED.keys() | {"thread"}

# fmt: off
_BETAS = frozenset(
    {
        "advanced-tool-use", "advisor-tool", "claude-code", "code-execution", "compact", "computer-use",
        "context-1m", "context-management", "dev-full-thinking", "effort", "extended-cache-ttl", "fallback-credit",
        "fast-mode", "files-api", "fine-grained-tool-streaming", "inline-tools", "interleaved-thinking",
        "mcp-client", "message-threads", "mid-conversation-output-config", "mid-conversation-system-clear-at",
        "mid-conversation-tool-changes", "model-context-window-exceeded", "oauth", "output-128k", "output-300k",
        "pdfs", "per-turn-control", "prompt-caching", "server-side-fallback", "skills", "structured-outputs",
        "task-budgets", "thinking-binding-controls", "thinking-display-updates", "thinking-token-count",
        "token-counting", "token-efficient-tools", "tool-search-tool",
    }
)
# fmt: on
_BETA_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


@frozen
class DecodedRequest:
    """`stream` is false for `count_tokens`."""

    conversation: Conversation
    stream: bool = False


def decode_request(
    body: bytes | Json,
    *,
    betas: tuple[str, ...] = (),
    session_header: str | None = None,
    default_thinking: bool = True,
    memory: Memory[Remembered] | None = None,
) -> DecodedRequest:
    """Decodes a Messages request; `body` is the bytes as received, or the JSON already decoded.

    `betas` are the values of `anthropic-beta`, `session_header` is `x-claude-code-session-id`, `default_thinking`
    the setting for a client that says nothing about thinking, `memory` what spares reading what an earlier body said;
    it changes nothing else. Raises BodyInvalid, whose message begins with the path, and ThreadsUnsupported.
    """
    known = memory.find(body) if memory is not None and isinstance(body, bytes) else None
    if known is not None and isinstance(body, bytes):
        rest = rest_of(body, known, "messages")
        if rest is not None:
            # What is wrong is found again in the whole body, where paths are those of the client.
            with contextlib.suppress(KirotrioError, NeedsWhole):
                return _decode(body, betas, session_header, default_thinking, counting=False, memory=memory, rest=rest)
    return _decode(body, betas, session_header, default_thinking, counting=False, memory=memory)


def decode_count_tokens(
    body: bytes | Json,
    *,
    betas: tuple[str, ...] = (),
    session_header: str | None = None,
    default_thinking: bool = True,
) -> DecodedRequest:
    """The same for `count_tokens`, which has no `max_tokens`. Raises BodyInvalid."""
    return _decode(body, betas, session_header, default_thinking, counting=True)


def _decode(
    body: bytes | Json,
    betas: tuple[str, ...],
    session_header: str | None,
    default_thinking: bool,
    *,
    counting: bool,
    memory: Memory[Remembered] | None = None,
    rest: Rest[Remembered] | None = None,
) -> DecodedRequest:
    """`rest`: all that is to be read of the body. Raises NeedsWhole where that is not enough after all."""
    sent, mended = read_object(body) if rest is None else (rest.document, False)
    if sent.get("thread") is not None:
        raise ThreadsUnsupported("thread: message threads are not kept here; send the whole conversation instead")
    known = rest.beginning.made if rest is not None else None
    remembers = memory is not None and isinstance(body, bytes) and memory.wants(body)
    tools_sent = sent.get("tools")
    # `structure` is spared what is known.
    tools_text = orjson.dumps(tools_sent) if remembers and tools_sent and not mended else b""
    offer = known.offer if known is not None and known.offer is not None and tools_text == known.tools else None
    request = structure(
        sent if offer is None else {name: value for name, value in sent.items() if name != "tools"},
        AnthropicMessagesRequest,
    )
    reading = Reading()
    if mended:
        reading.note("", "halves of surrogate pairs in the body's texts were replaced by U+FFFD")
    _note_ignored(sent, request, betas, reading)
    if not request.model:
        raise BodyInvalid("model", "must not be empty")
    messages = Messages(known)
    turns, turn_effort = messages.read(request.messages, sent["messages"])
    reading.take_over(messages.reading)
    tool_notes: Mapping[str, str] = {}
    if offer is None:
        of_tools = Reading(tool_changes=reading.tool_changes)
        offer = read_tools(request.tools or (), tools_sent or (), of_tools)
        reading.take_over(of_tools)
        tool_notes = of_tools.notes
    elif reading.tool_changes:
        raise NeedsWhole
    elif known is not None:
        tool_notes = known.tool_notes
        reading.recall(tool_notes)
    if rest is not None and offer.web_search is not None:
        raise NeedsWhole  # whose words it searches for, only the first message tells
    choice = read_tool_choice(request.tool_choice, offer.names)
    web_search = offer.web_search
    if web_search is not None and choice.mode != "none" and offer.names == (web_search.name,):
        web_search = attrs.evolve(web_search, direct_query=direct_query(request))
    config = request.output_config
    thinking, sentences = read_thinking(
        request.thinking,
        default=default_thinking,
        effort=turn_effort if turn_effort is not None else config and config.effort,
        accepted=reading.thinking_seen or any("thinking" in beta for beta in betas),
    )
    for sentence in sentences:
        reading.note("thinking", sentence)
    conversation = Conversation(
        model=request.model,
        turns=turns,
        system=() if request.system is None else read_texts(request.system, "system", reading),
        tools=offer.tools,
        tool_choice=choice,
        web_search=web_search,
        web_fetch=offer.web_fetch,
        thinking=thinking,
        limits=_read_limits(request, reading, counting=counting),
        session=_read_session(request.metadata, session_header),
        output_schema=_read_schema(request),
        diagnostics=reading.diagnostics,
    )
    if memory is not None and remembers and isinstance(body, bytes) and not mended:
        lasting = not reading.tool_changes and offer.web_search is None
        _remember(
            memory, body, rest, messages.kept, sent["messages"], (tools_text, offer, tool_notes) if lasting else None
        )
    return DecodedRequest(conversation, bool(request.stream) and not counting)


def _remember(
    memory: Memory[Remembered],
    body: bytes,
    rest: Rest[Remembered] | None,
    kept: Remembered | None,
    sent: list[Json],
    tools: tuple[bytes, ToolOffer, Mapping[str, str]] | None,
) -> None:
    """`kept` is what was made of all messages but the latest, `sent` what was read."""
    if kept is None and rest is None:
        return
    beginning = None
    if kept is not None:
        if tools is not None:
            kept = kept.with_tools(*tools)
        following = sent[-LATEST]
        if rest is None:
            beginning = begun(body, following, len(kept.turns), kept)
        else:
            beginning = further(rest, len(sent) - LATEST, following, kept)
    if beginning is None and rest is not None:
        made = rest.beginning.made
        known_tools = tools is None or tools[0] == made.tools
        beginning = (
            rest.beginning if known_tools or tools is None else evolve(rest.beginning, made=made.with_tools(*tools))
        )
    if beginning is not None:
        memory.keep(evolve(beginning, beside=len(beginning.made.tools)))


def _note_ignored(
    sent: dict[str, Any], request: AnthropicMessagesRequest, betas: tuple[str, ...], reading: Reading
) -> None:
    reading.note_unknown("", sent, _KNOWN, "the request")
    if not sent.keys().isdisjoint(_IGNORED):
        for name, why in _IGNORED.items():
            if sent.get(name) is not None:
                reading.note(name, f"ignored: {why}")
    for name in ("temperature", "top_p", "top_k"):
        if getattr(request, name) is not None:
            reading.note(name, f"ignored: the upstream has no channel for {name}")
    if request.output_config is not None and request.output_config.task_budget is not None:
        reading.note("output_config.task_budget", "ignored: the upstream has no task budgets")
    for beta in {part.strip() for entry in betas for part in entry.split(",")}:
        if beta and _BETA_DATE.sub("", beta) not in _BETAS:
            reading.note("anthropic-beta", f"beta {beta[:80]!r} is not known here")


def _read_limits(request: AnthropicMessagesRequest, reading: Reading, *, counting: bool) -> Limits:
    max_tokens = request.max_tokens
    if max_tokens is None:
        if not counting:
            raise BodyInvalid("max_tokens", "field required: an integer, the most tokens to generate")
    elif max_tokens < 0:
        raise BodyInvalid("max_tokens", "must be at least 0")
    elif max_tokens == 0:
        reading.note("max_tokens", "0 asks to fill a cache only; the upstream has no such request")
    # An empty sequence would stop every answer before it begins.
    sequences = tuple(dict.fromkeys(filter(None, request.stop_sequences or ())))
    if len(sequences) < len(request.stop_sequences or ()):
        reading.note("stop_sequences", "empty and repeated sequences are left out")
    return Limits(max_tokens, sequences)


def _read_session(metadata: Json, header: str | None) -> ClientSession | None:
    """Who goes on talking: the header, else `metadata.user_id` in the three forms that clients give it."""
    if header and header.strip():
        return ClientSession(header.strip(), SESSION_HEADER)
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str) or not user.strip():
        return None
    if user.lstrip().startswith("{"):
        try:
            session = orjson.loads(user).get("session_id")
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            session = None
        if isinstance(session, str) and session:
            return ClientSession(session, "metadata.user_id.session_id")
    _, marker, session = user.rpartition("_session_")  # user_…_account_…_session_…, of older Claude Code versions
    if marker and session:
        return ClientSession(session, "metadata.user_id.session_id")
    return ClientSession(user, "metadata.user_id")


def _read_schema(request: AnthropicMessagesRequest) -> OutputSchema | None:
    path = "output_config.format"
    wanted = request.output_config.format if request.output_config is not None else None
    if wanted is None:  # where the beta had it
        path, wanted = "output_format", request.output_format
    if wanted is None:
        return None
    if wanted.type != "json_schema":
        raise BodyInvalid(f"{path}.type", 'must be "json_schema"')
    if wanted.schema is None:
        raise BodyInvalid(f"{path}.schema", "field required: a JSON schema")
    return OutputSchema(wanted.schema, strict=True, path=path)
