"""From a conversation and a lent account to one ready call, and the parsers that fit its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, cast

import orjson

from kirotrio.classes import frozen
from kirotrio.config.settings import DeadlineSettings, Settings
from kirotrio.conversation.fence import FenceStripper
from kirotrio.conversation.limits import OutputLimits
from kirotrio.conversation.request import Conversation, Diagnostic
from kirotrio.conversation.thinking import shows_thinking
from kirotrio.conversation.usage import UsageLedger
from kirotrio.conversation.visibility import ThinkingVisibility
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for, shape_body
from kirotrio.kiro.models import ModelProfile
from kirotrio.kiro.request import RequestOptions, build_request, session_ids
from kirotrio.kiro.thinking import TAG_SIGNATURE, wrap_signature
from kirotrio.kiro.translate import AnswerTranslator
from kirotrio.relay.attempt import Call
from kirotrio.relay.pipeline import Pipeline
from kirotrio.relay.request import Mode
from kirotrio.relay.watch import Patience

_Shows: TypeAlias = Literal["auto", "always", "never"]


@frozen
class Generation:
    """One attempt, ready to run: parsers are fresh, nothing is shared with another attempt."""

    call: Call
    pipeline: Pipeline
    patience: Patience
    diagnostics: tuple[Diagnostic, ...]


def prepare_generation(
    conversation: Conversation,
    model: ModelProfile,
    credentials: Credentials,
    settings: Settings,
    ledger: UsageLedger,
    count_text: Callable[[str], int],
    mode: Mode,
    *,
    attempt: int,
    invocation_id: str,
    strip_signatures: bool,
    session: str = "",
) -> Generation:
    """Build the body for the account that really answers (KIRO_PROTOCOL, trap 17). Pure; no I/O.

    `session`: the conversation's `session_identity`, where that is known already.
    """
    account_hash = credentials.account_hash
    conversation_id, continuation_id = session_ids(conversation, account_hash, session)
    upstream = settings.upstream
    request = build_request(
        conversation,
        model,
        RequestOptions(
            origin=upstream.origin,
            description_max_length=settings.tools.description_max_length,
            conversation_id=conversation_id,
            continuation_id=continuation_id,
            profile_arn=credentials.profile_arn,
            account_hash=account_hash,
            strip_signatures=strip_signatures,
        ),
    )
    endpoint = endpoints(credentials.flavour, credentials.region, credentials.url).generate()
    headers = headers_for(
        credentials,
        endpoint,
        user_agent=upstream.user_agent,
        invocation_id=invocation_id,
        attempt=attempt,
        attempts=settings.relay.attempts,
    )
    may_think = request.tag_thinking or request.native_thinking
    # Where the model itself was given the limit, a cut of ours could only come too early.
    sent_upstream = "max_tokens" in request.body.get("additionalModelRequestFields", {})
    enforce = settings.limits.enforce_max_tokens == "auto" and not sent_upstream
    enforced = conversation.limits.max_tokens if enforce else None
    deadlines = settings.deadlines
    return Generation(
        call=Call(
            endpoint.method,
            endpoint.url,
            headers,
            orjson.dumps(shape_body(credentials.flavour, request.body)),
            credentials.account,
            credentials.proxy_url,
        ),
        pipeline=Pipeline(
            AnswerTranslator(
                window=model.window,
                tag_thinking=request.tag_thinking,
                show_signature=lambda signature: wrap_signature(model.id, account_hash, signature),
                tag_signature=TAG_SIGNATURE,
                tool_names=request.tool_names,
                account=credentials.account,
            ),
            OutputLimits(conversation.limits.stop_sequences, enforced, count_text),
            ThinkingVisibility(
                shown=shows_thinking(conversation.thinking, cast("_Shows", settings.thinking.show)),
                text=conversation.thinking.display != "omitted",
            ),
            ledger,
            FenceStripper() if conversation.output_schema is not None else None,
        ),
        patience=Patience(
            first_event=deadlines.first_event_thinking if may_think else deadlines.first_event,
            silence=deadlines.silence,
            # In live mode the count is not worth the wait: the answer has been shown (ARCHITECTURE, rule 1).
            tail=0.0 if mode is Mode.LIVE else deadlines.tail,
            error_body=deadlines.error_body,
            notes=(deadlines.silence_note, 2 * deadlines.silence_note),
        ),
        diagnostics=request.diagnostics,
    )


def shortest_patience(deadlines: DeadlineSettings) -> float:
    """Seconds that every generation of these settings is given, whatever it waits for."""
    return min(deadlines.first_event, deadlines.first_event_thinking, deadlines.silence, deadlines.silence_note)
