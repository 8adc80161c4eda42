"""Which rounds a conversation needs. Their files are loaded with the first conversation that needs them."""

from __future__ import annotations

from kirotrio.conversation.demands import demanding
from kirotrio.conversation.request import Conversation
from kirotrio.relay.attempts import Attempts
from kirotrio.relay.rounds.round import Generate


def with_rounds(attempts: Attempts, conversation: Conversation) -> Generate:
    """One generation, or the rounds around it that the conversation asks for."""
    generate: Generate = attempts.generate
    if _runs_server_tools(conversation):
        from kirotrio.relay.rounds.server_tools import ServerTools

        generate = ServerTools(attempts, generate)
    if demanding(conversation):
        from kirotrio.relay.rounds.repair import Repair

        generate = Repair(attempts, generate)
    return generate


def _runs_server_tools(conversation: Conversation) -> bool:
    """Whether the client asks for a tool that the server runs."""
    asked = conversation.web_search is not None or conversation.web_fetch is not None
    return asked and conversation.tool_choice.mode != "none"
