"""The OpenAI Responses dialect: its JSON to a Conversation, generation events to its events or JSON. Pure."""

from kirotrio.dialects.openai_responses.decode import (
    SESSION_HEADER,
    DecodedResponses,
    References,
    decode_responses,
    read_request,
    references,
)
from kirotrio.dialects.openai_responses.echo import ResponseEcho
from kirotrio.dialects.openai_responses.encode import ResponseBody, ResponseStream
from kirotrio.dialects.openai_responses.errors import failed_error
from kirotrio.dialects.openai_responses.shown import shown

__all__ = [
    "SESSION_HEADER",
    "DecodedResponses",
    "References",
    "ResponseBody",
    "ResponseEcho",
    "ResponseStream",
    "decode_responses",
    "failed_error",
    "read_request",
    "references",
    "shown",
]
