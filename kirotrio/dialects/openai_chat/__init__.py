"""The OpenAI Chat Completions dialect: its JSON to a Conversation, generation events to its SSE or JSON. Pure."""

from kirotrio.dialects.openai_chat.decode import DecodedChat, decode_chat
from kirotrio.dialects.openai_chat.encode import ChatBody, ChatStream

__all__ = ["ChatBody", "ChatStream", "DecodedChat", "decode_chat"]
