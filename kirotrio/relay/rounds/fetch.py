"""One page or document that the model asked to read, fetched by us."""

from __future__ import annotations

import datetime
from typing import Literal
from urllib.parse import unquote, urlsplit

import trio

from kirotrio.classes import frozen
from kirotrio.conversation.domains import admits
from kirotrio.conversation.events import FetchFinished, ServerToolCall
from kirotrio.conversation.mentions import mentioned
from kirotrio.conversation.request import Conversation, Tool, WebFetch
from kirotrio.conversation.tokens import quick_count
from kirotrio.errors import KirotrioError
from kirotrio.relay.documents import DocumentUnreadable, extract_text, readable, says_nothing
from kirotrio.relay.fetching import FetchRefused, fetch
from kirotrio.relay.request import Relay
from kirotrio.relay.rounds.tool import Outcome

LONGEST_URL = 250
"""Characters, as Anthropic's own tool takes them."""
_MOST_TOKENS = 100_000
"""Of one text where the client names no number; never more than a quarter of the model's window."""
_CODES = frozenset({"url_too_long", "url_not_allowed", "url_not_accessible", "unsupported_content_type"})
_DESCRIPTION = (
    "Fetches the page or document at an address and returns its text. Only addresses that stand in the conversation, "
    "written by the user or found by a tool, can be fetched."
)


@frozen
class FetchTool:
    """`window` is the model's context in tokens."""

    wanted: WebFetch
    relay: Relay
    window: int
    request_id: str = ""

    @property
    def kind(self) -> Literal["web_fetch"]:
        return "web_fetch"

    @property
    def max_uses(self) -> int:
        most = self.relay.settings.fetch.max_uses
        return most if self.wanted.max_uses is None else min(most, self.wanted.max_uses)

    @property
    def carried(self) -> bool:
        return self.wanted.carried

    @property
    def name(self) -> str:
        return self.wanted.name

    def offered(self, name: str) -> Tool:
        url = {"type": "string", "description": "the whole address, which begins with http:// or https://"}
        schema = {"type": "object", "properties": {"url": url}, "required": ["url"]}
        return Tool(name, _DESCRIPTION, schema, path=self.wanted.path)

    async def run(self, call: ServerToolCall, conversation: Conversation) -> Outcome:
        url = call.input.get("url")
        if not isinstance(url, str) or not url.strip():
            return self.refused(call, "invalid_tool_input", "A fetch needs a url that is a text.")
        if len(url) > LONGEST_URL:
            reason = f"The address has {len(url)} characters; at most {LONGEST_URL} are taken."
            return self.refused(call, "url_too_long", reason)
        if not self._admits(url):
            return self.refused(call, "url_not_allowed", "The request does not admit this address.")
        if not mentioned(url, conversation):
            reason = "This address does not stand in the conversation, and only those that do can be fetched."
            return self.refused(call, "url_not_allowed", reason)
        began = trio.current_time()
        outcome = await self._fetched(call, url)
        host, seconds = urlsplit(url).hostname, round(trio.current_time() - began, 3)
        if outcome.event.error:
            self.relay.log.warning(
                "web fetch failed", request_id=self.request_id, host=host, code=outcome.event.error, error=outcome.text
            )
        else:
            self.relay.log.debug("web fetch", request_id=self.request_id, host=host, seconds=seconds)
        return outcome

    def refused(self, call: ServerToolCall, error: str, reason: str) -> Outcome:
        return self._failed(call, error, reason, ran=False)

    async def _fetched(self, call: ServerToolCall, url: str) -> Outcome:
        try:
            page = await fetch(
                url,
                ceiling=self.relay.settings.fetch.max_document,
                settings=self.relay.settings,
                accepts=lambda media_type: readable(media_type, _file_name(url)) or says_nothing(media_type),
                admits=self._admits,
            )
            document = await extract_text(
                page.content,
                f"{page.media_type}; charset={page.charset}" if page.charset else page.media_type,
                name=_file_name(page.url) or _file_name(url),
                settings=self.relay.settings,
                limiter=self.relay.extraction,
            )
        except FetchRefused as refused:
            # A page that is too large has no code of its own.
            code = refused.code if refused.code in _CODES else "url_not_accessible"
            return self._failed(call, code, refused.message)
        except DocumentUnreadable as unreadable:
            return self._failed(call, "unsupported_content_type", unreadable.message)
        except KirotrioError as error:
            return self._failed(call, "unavailable", error.message)
        text, cut = _cut(document.text, self.wanted.max_tokens or min(_MOST_TOKENS, self.window // 4))
        retrieved = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        event = FetchFinished(call.id, page.url, document.title, text, retrieved_at=retrieved)
        return Outcome(event, _told(event, cut or document.cut))

    def _failed(self, call: ServerToolCall, error: str, reason: str, *, ran: bool = True) -> Outcome:
        url = call.input.get("url")
        event = FetchFinished(call.id, url if isinstance(url, str) else "", error=error)
        return Outcome(event, f"The fetch failed ({error}): {reason}", ran)

    def _admits(self, url: str) -> bool:
        return admits(url, self.wanted.allowed_domains, self.wanted.blocked_domains)


def _cut(text: str, tokens: int) -> tuple[str, bool]:
    """The beginning of the text that has about so many tokens, and whether that is not all of it."""
    count = quick_count(text)
    return (text, False) if count <= tokens else (text[: len(text) * tokens // count], True)


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _told(event: FetchFinished, cut: bool) -> str:
    head = [line for line in (event.title, event.url) if line]
    end = ["[The text goes on; it was cut here.]"] if cut else []
    return "\n\n".join(["\n".join(head), event.text or "(The page has no text.)", *end])
