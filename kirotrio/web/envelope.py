"""In which dialect a path refuses: whoever cannot be answered still reads a form that its client knows."""

from __future__ import annotations

from kirotrio.errors import KirotrioError
from kirotrio.web.incoming import Reply, new_request_id

_OPENAI = ("/v1/chat/", "/v1/responses")
_ANTHROPIC = ("/v1/messages",)


def speaks_openai(path: str, anthropic_version: str | None) -> bool:
    """Whether the client behind this path reads OpenAI's errors.

    Paths that both have, and those under /v1 that nobody has, go by the header that every Anthropic client sends.
    """
    bare = path.removeprefix("/cc")
    if bare.startswith(_OPENAI):
        return True
    if bare.startswith(_ANTHROPIC) or not bare.startswith("/v1/"):
        return False
    return anthropic_version is None


def refusal(error: KirotrioError, path: str, anthropic_version: str | None, request_id: str | None = None) -> Reply:
    """An error as the dialect of its path writes it, or as a page. That is loaded with the first of them."""
    if path.startswith("/console"):
        from kirotrio.web.console.bare import bare_failure

        return bare_failure(error, request_id or new_request_id())
    from kirotrio.dialects import anthropic, openai_errors

    request_id = request_id or new_request_id()
    encoded = openai_errors.error_body if speaks_openai(path, anthropic_version) else anthropic.error_body
    status, headers, body = encoded(error, request_id)
    return Reply(body, status, {**headers, "request-id": request_id, "x-request-id": request_id})
