"""Which rounds a conversation needs."""

from __future__ import annotations

from kirotrio.conversation.demands import demanding
from kirotrio.conversation.request import Conversation
from kirotrio.relay.attempts import Attempts
from kirotrio.relay.rounds.repair import Repair
from kirotrio.relay.rounds.round import Generate
from kirotrio.relay.rounds.server_tools import ServerTools, runs_server_tools


def with_rounds(attempts: Attempts, conversation: Conversation) -> Generate:
    """One generation, or the rounds around it that the conversation asks for."""
    generate: Generate = attempts.generate
    if runs_server_tools(conversation):
        generate = ServerTools(attempts, generate)
    if demanding(conversation):
        generate = Repair(attempts, generate)
    return generate
