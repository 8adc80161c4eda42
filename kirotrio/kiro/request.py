"""A `Conversation` as the JSON body that Kiro takes (KIRO_PROTOCOL 2). Pure; one call per attempt, nothing kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.conversation.request import Conversation, Diagnostic, OutputSchema
from kirotrio.conversation.thinking_setting import thinking_withheld
from kirotrio.kiro.history import ThinkingCarriage, entries_of, system_text
from kirotrio.kiro.messages import render
from kirotrio.kiro.models import ModelProfile
from kirotrio.kiro.pairing import AssistantEntry, Entry, UserEntry
from kirotrio.kiro.sessions import session_ids
from kirotrio.kiro.thinking import asked_budget, inject_thinking_hint, native_fields
from kirotrio.kiro.tools import offer_tools
from kirotrio.kiro.wellformed import repair_json

__all__ = ["RequestOptions", "UpstreamRequest", "build_request", "session_ids", "with_profile"]


@frozen(kw_only=True)
class RequestOptions:
    """What a body needs beyond conversation and model.

    `conversation_id` and `continuation_id` come from `session_ids`; `profile_arn` is "" where none is to be sent, and
    is that of the account that will really answer, as is `account_hash` (trap 17). `strip_signatures` leaves signed
    thinking out, after it was refused. `inject_tags` False leaves the control tags out.
    """

    conversation_id: str
    continuation_id: str | None = None
    origin: str = "AI_EDITOR"
    description_max_length: int = 10_000
    profile_arn: str = ""
    account_hash: str = ""
    strip_signatures: bool = False
    inject_tags: bool = True


@frozen
class UpstreamRequest:
    """A body ready to be sent, and what reading its answer needs.

    `tool_names`: name sent upstream → client's name. `tag_thinking`: the model was asked to think in tags.
    `native_thinking`: it reasons natively. `diagnostics`: the decoder's and this room's, in that order.
    """

    body: dict[str, Any]
    tool_names: Mapping[str, str]
    diagnostics: tuple[Diagnostic, ...]
    tag_thinking: bool
    native_thinking: bool


def build_request(conversation: Conversation, model: ModelProfile, options: RequestOptions) -> UpstreamRequest:
    """The body for this conversation, this model and one account. Never raises for what a client can send."""
    notes: list[Diagnostic] = []
    thinks = model.thinking != "none" and _thinks(conversation, notes)
    tags = thinks and model.thinking == "tags" and options.inject_tags
    carriage = ThinkingCarriage(
        model=model.id, account_hash=options.account_hash, tags=tags, signatures=not options.strip_signatures
    )
    entries = entries_of(conversation, carriage, notes)
    offer = offer_tools(
        conversation,
        _historic_names(entries),
        description_max_length=options.description_max_length,
        notes=notes,
    )
    system = [system_text(conversation, notes), *offer.system]
    if conversation.output_schema is not None:
        system.append(_schema_instruction(conversation.output_schema, notes))
    text = "\n\n".join(part for part in system if part)
    if tags:
        text = inject_thinking_hint(text, conversation.thinking)
    _speak(entries, text, offer.instruction)
    messages = render(
        entries,
        model=model.id,
        origin=options.origin,
        tool_names=offer.names,
        takes_images=model.takes_images,
        notes=notes,
    )
    current = messages.pop()
    if offer.specifications:
        context = current["userInputMessage"].setdefault("userInputMessageContext", {})
        context["tools"] = offer.specifications
    state: dict[str, Any] = {
        "agentTaskType": "vibe",
        "chatTriggerType": "MANUAL",
        "conversationId": options.conversation_id,
        "currentMessage": current,
    }
    if options.continuation_id:
        state["agentContinuationId"] = options.continuation_id
    if messages:
        state["history"] = messages
    body: dict[str, Any] = {"conversationState": state}
    if options.profile_arn:
        body["profileArn"] = options.profile_arn
    fields = _model_fields(conversation, model, thinks)
    if fields:
        body["additionalModelRequestFields"] = fields
    sent = {specification["toolSpecification"]["name"] for specification in offer.specifications}
    return UpstreamRequest(
        body=body,
        tool_names=_clients_names(offer.names, sent),
        diagnostics=(*conversation.diagnostics, *notes),
        tag_thinking=tags,
        native_thinking=model.thinking == "native" and (thinks or not model.can_disable_thinking),
    )


def with_profile(request: UpstreamRequest, profile_arn: str) -> UpstreamRequest:
    """The same request for another profile; "" for none. Signed thinking belongs to an account and is not touched."""
    body = {key: value for key, value in request.body.items() if key != "profileArn"}
    if profile_arn:
        body["profileArn"] = profile_arn
    return evolve(request, body=body)


def _thinks(conversation: Conversation, notes: list[Diagnostic]) -> bool:
    reason = thinking_withheld(conversation)
    if reason is not None:
        notes.append(Diagnostic("thinking", f"thinking is on by default but left out here: {reason}"))
    return conversation.thinking.enabled and reason is None


def _historic_names(entries: list[Entry]) -> dict[str, str]:
    """Every tool name that the entries use, and where it is used first."""
    names: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, AssistantEntry):
            for call in entry.calls:
                names.setdefault(call.name, call.path)
    return names


def _clients_names(names: Mapping[str, str], sent: set[str]) -> dict[str, str]:
    """The way back. Of several spellings of one name the offered one, which comes first, is the client's."""
    clients: dict[str, str] = {}
    for client, upstream in names.items():
        if upstream in sent:
            clients.setdefault(upstream, client)
    return clients


def _speak(entries: list[Entry], system: str, instruction: str) -> None:
    """Put the system text ahead of the first message (2.9) and a line at the end of the last."""
    first, last = entries[0], entries[-1]
    if system and isinstance(first, UserEntry):
        first.pieces.insert(0, system)
    if instruction and isinstance(last, UserEntry):
        last.pieces.append(instruction)


def _schema_instruction(schema: OutputSchema, notes: list[Diagnostic]) -> str:
    notes.append(Diagnostic(schema.path, "upstream enforces no schema; asked for in text, checked in the answer"))
    if schema.schema is None:
        return "Answer with one JSON object, and with nothing else: no Markdown fence, no words around it."
    text = orjson.dumps(repair_json(schema.schema)).decode()
    return (
        "Answer with one JSON value that is valid against this JSON schema, and with nothing else: no Markdown fence, "
        f"no words around it.\n{text}"
    )


def _model_fields(conversation: Conversation, model: ModelProfile, thinks: bool) -> dict[str, Any] | None:
    """`additionalModelRequestFields`, for the models whose schema has any (2.5)."""
    if model.thinking != "native" or model.family == "other":
        return None
    setting = conversation.thinking
    return native_fields(
        model.family,
        enabled=thinks,
        effort=setting.effort,
        efforts=model.efforts,
        default_effort=model.default_effort,
        can_disable=model.can_disable_thinking,
        display=setting.display,
        max_tokens=conversation.limits.max_tokens if model.accepts_max_tokens else None,
        budget=asked_budget(setting),
    )
