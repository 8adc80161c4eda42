"""The Anthropic Messages dialect: its JSON to a Conversation, generation events to its SSE or JSON. Pure."""

from kirotrio.dialects.anthropic.decode import SESSION_HEADER, DecodedRequest, decode_count_tokens, decode_request
from kirotrio.dialects.anthropic.encode import MessageBody, MessageStream
from kirotrio.dialects.anthropic.errors import error_body, error_event
from kirotrio.dialects.anthropic.models import ModelListing, model_object, models_page
from kirotrio.dialects.anthropic.schema import AnthropicMessagesRequest, AnthropicTool

__all__ = [
    "SESSION_HEADER",
    "AnthropicMessagesRequest",
    "AnthropicTool",
    "DecodedRequest",
    "MessageBody",
    "MessageStream",
    "ModelListing",
    "decode_count_tokens",
    "decode_request",
    "error_body",
    "error_event",
    "model_object",
    "models_page",
]
