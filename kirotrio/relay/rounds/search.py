"""One web search on the account that answers (KIRO_PROTOCOL 6.5, 9)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Literal

import orjson
import trio

from kirotrio.classes import frozen
from kirotrio.conversation.domains import admits
from kirotrio.conversation.events import SearchFinished, SearchResult, ServerToolCall
from kirotrio.conversation.request import Conversation, Json, Tool, WebSearch
from kirotrio.errors import Blame, Cause, KirotrioError, Recovery
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.mcp import INVALID_PARAMS, LONGEST_QUERY, read_search, search_body
from kirotrio.kiro.sessions import new_invocation_id
from kirotrio.relay.ports import Loan
from kirotrio.relay.request import Relay
from kirotrio.relay.rounds.tool import Outcome

_TRIES = 3
"""A refused token, a profile that is wanted and a connection that broke may each cost one call."""
_OF_THE_ACCOUNT = (
    Blame.RATE, Blame.BURN_RATE, Blame.SHORT_QUOTA, Blame.QUOTA, Blame.SUSPICIOUS, Blame.SUSPENDED, Blame.SIGN_IN,
)  # fmt: skip
"""What a search says of the account. A plan without searches may well have answers."""
_DESCRIPTION = (
    "Searches the web and returns titles, addresses and excerpts of the pages that fit best. Use it for what is recent "
    f"or not certain. A query has at most {LONGEST_QUERY} characters."
)
_NAME_SOURCES = "In the answer, name the URL of every result that it rests on."


@frozen
class Found:
    """`error` is a code of KIRO_PROTOCOL 9 or "", `reason` a sentence that goes with it.

    `left_out`: how many results the domain lists do not admit. `ran`: the upstream was asked.
    """

    results: tuple[SearchResult, ...] = ()
    error: str = ""
    reason: str = ""
    left_out: int = 0
    ran: bool = True


@frozen
class SearchTool:
    wanted: WebSearch
    relay: Relay
    account: Loan
    request_id: str = ""

    @property
    def kind(self) -> Literal["web_search"]:
        return "web_search"

    @property
    def max_uses(self) -> int:
        most = self.relay.settings.search.max_uses
        return most if self.wanted.max_uses is None else min(most, self.wanted.max_uses)

    @property
    def carried(self) -> bool:
        return self.wanted.carried

    @property
    def name(self) -> str:
        return self.wanted.name

    def offered(self, name: str) -> Tool:
        where = f" The user is in {self.wanted.location}." if self.wanted.location else ""
        query = {"type": "string", "maxLength": LONGEST_QUERY, "description": "what to search for"}
        schema = {"type": "object", "properties": {"query": query}, "required": ["query"]}
        return Tool(name, _DESCRIPTION + where, schema, path=self.wanted.path)

    async def run(self, call: ServerToolCall, conversation: Conversation) -> Outcome:
        found = await self.find(call.input.get("query"))
        return Outcome(SearchFinished(call.id, found.results, found.error), _told(found), found.ran)

    def refused(self, call: ServerToolCall, error: str, reason: str) -> Outcome:
        return Outcome(SearchFinished(call.id, error=error), reason, ran=False)

    async def find(self, query: Json) -> Found:
        """Search. Never raises but for cancellation, which closes the connection; takes `deadlines.search` at most."""
        if self.max_uses <= 0:
            return Found(error="max_uses_exceeded", reason="The request admits no web search.", ran=False)
        if not isinstance(query, str) or not query.strip():
            return Found(error="invalid_tool_input", reason="A search needs a query that is a text.", ran=False)
        if len(query) > LONGEST_QUERY:
            reason = f"The query has {len(query)} characters; at most {LONGEST_QUERY} are taken."
            return Found(error="query_too_long", reason=reason, ran=False)
        log, deadline = self.relay.log, self.relay.settings.deadlines.search
        began = trio.current_time()
        try:
            with trio.fail_after(deadline):
                try:
                    results = await self._ask(query)
                except KirotrioError as error:
                    if error.blame in _OF_THE_ACCOUNT:
                        await self.account.blamed(error)
                    raise
        except trio.TooSlowError:
            found = Found(error="unavailable", reason=f"The search did not answer within {deadline:g} seconds.")
        except KirotrioError as error:
            found = Found(error=_code(error), reason=error.message)
        else:
            allowed, blocked = self.wanted.allowed_domains, self.wanted.blocked_domains
            kept = results
            if allowed or blocked:
                kept = tuple(result for result in results if admits(result.url, allowed, blocked))
            found = Found(kept, left_out=len(results) - len(kept))
        if found.error:
            log.warning("web search failed", request_id=self.request_id, code=found.error, error=found.reason)
        else:
            seconds = round(trio.current_time() - began, 3)
            log.debug("web search", request_id=self.request_id, seconds=seconds, results=len(found.results))
        return found

    async def _ask(self, query: str) -> tuple[SearchResult, ...]:
        """All calls that one search may take: each repair is made once, and so is a call whose connection broke."""
        invocation_id = new_invocation_id()
        repaired: set[Recovery] = set()
        number = 0
        while True:
            number += 1
            credentials = await self.account.credentials()
            upstream = self.relay.settings.upstream
            endpoint = endpoints(credentials.flavour, credentials.region, credentials.url).mcp(
                profile_arn=credentials.profile_arn
            )
            headers = headers_for(
                credentials,
                endpoint,
                user_agent=upstream.user_agent,
                invocation_id=invocation_id,
                attempt=number,
                attempts=_TRIES,
            )
            try:
                answer = await self.relay.transport.call(
                    endpoint.method,
                    endpoint.url,
                    headers=headers,
                    body=orjson.dumps({**search_body(query, invocation_id), **endpoint.members}),
                    deadline=self.relay.settings.deadlines.search,
                    proxy_url=credentials.proxy_url,
                )
                if answer.status == 200:
                    return read_search(answer.body)
                raise from_response(
                    answer.status, answer.headers, answer.body, now=time.time(), account=credentials.account
                )
            except KirotrioError as error:
                if number >= _TRIES or error.recovery in repaired:
                    raise
                match error.recovery:
                    case Recovery.REFRESH_TOKEN:
                        await self.account.refused(credentials.access_token)
                    case Recovery.RESOLVE_PROFILE:
                        await self.account.resolve_profile()
                    case Recovery.RETRY if error.cause is Cause.UPSTREAM_FAILED and error.upstream_status is None:
                        pass  # the connection broke, perhaps one that had been idle for too long
                    case _:
                        raise
                repaired.add(error.recovery)


def _code(error: KirotrioError) -> str:
    if error.cause is Cause.RATE_LIMITED:
        return "too_many_requests"
    return "invalid_tool_input" if error.upstream_reason == INVALID_PARAMS else "unavailable"


def listing(results: Iterable[SearchResult]) -> str:
    """What was found, as text: number, title, address, date and all of the excerpt."""
    return "\n\n".join(_entry(number, result) for number, result in enumerate(results, 1))


def answer_text(query: str, found: Found) -> str:
    """The answer to a request that is nothing but a search."""
    if found.error:
        return f"The web search failed: {found.reason}"
    if not found.results:
        return f"The web search found nothing for: {query}" + _left_out(found)
    return f"Results of the web search for: {query}\n\n{listing(found.results)}" + _left_out(found)


def _told(found: Found) -> str:
    """What the model is told of a search."""
    if found.error:
        return f"The search failed ({found.error}): {found.reason}"
    if not found.results:
        return "Nothing was found." + _left_out(found)
    return f"{listing(found.results)}{_left_out(found)}\n\n{_NAME_SOURCES}"


def _left_out(found: Found) -> str:
    if not found.left_out:
        return ""
    what = "1 more result is" if found.left_out == 1 else f"{found.left_out} more results are"
    return f"\n\n{what} left out: the request does not admit the site."


def _entry(number: int, result: SearchResult) -> str:
    lines = [f"{number}. {result.title or result.url}", f"   {result.url}"]
    if result.page_age:
        lines.append(f"   Published: {result.page_age}")
    if result.snippet:
        lines.append(f"   {result.snippet}")
    return "\n".join(lines)
