"""The Anthropic Messages dialect: its JSON to a Conversation, generation events to its SSE or JSON. Pure."""

from kirotrio.dialects.anthropic.decode import SESSION_HEADER, DecodedRequest, decode_count_tokens, decode_request
from kirotrio.dialects.anthropic.encode import MessageBody, MessageStream
from kirotrio.dialects.anthropic.errors import error_body, error_event
from kirotrio.dialects.anthropic.messages import Remembered
from kirotrio.dialects.anthropic.schema import AnthropicMessagesRequest, AnthropicTool
from kirotrio.dialects.anthropic.web_search import extract_search_query, has_web_search_tool

__all__ = [
    "SESSION_HEADER",
    "AnthropicMessagesRequest",
    "AnthropicTool",
    "DecodedRequest",
    "MessageBody",
    "MessageStream",
    "Remembered",
    "decode_count_tokens",
    "decode_request",
    "error_body",
    "error_event",
    "extract_search_query",
    "has_web_search_tool",
]
