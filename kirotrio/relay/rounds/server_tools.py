"""The round for tools that the server runs itself: web search and web fetch (KIRO_PROTOCOL 9).

    generation ─► calls of ours are run, all at a time ─► results for client and model ─► generation ─► … ─► Finish

The model is offered our tools as ordinary ones. A call of ours never reaches the client as a tool call: it leaves as a
`ServerToolCall`, at once, and its result follows when the generation is over. The answer goes on until the model calls
none of ours; only the last generation's end leaves. A generation that also calls the client's tools ends the
answer, since nobody but the client can go on from there.

Where the client sends nothing back of what was found (`carried`), a call in a generation that ends the answer would be
paid for and read by nobody: it is not run. Which generation that is shows at its end, so calls leave only then.

Where the answer's text has to be JSON, what the model says ahead of a search is no part of it. So text is held until
its generation is over; if the answer goes on from there, the text is for the model alone.

What bounds it: each call counts as a use, valid or not; a tool that was called beyond its uses is no longer offered;
and an answer in which only such tools are called ends.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import trio
from attrs import evolve, field

from kirotrio.classes import define, frozen
from kirotrio.conversation.events import (
    Batch,
    Event,
    Finish,
    SearchFinished,
    ServerToolCall,
    StopCause,
    TextDelta,
    TextDeltas,
    ToolCall,
)
from kirotrio.conversation.request import Conversation, Limits, Text, Tool, ToolChoice, ToolResult, Turn
from kirotrio.conversation.transcript import Transcript
from kirotrio.relay.attempts import Attempts, Outlet
from kirotrio.relay.estimate import count_text
from kirotrio.relay.request import Mode
from kirotrio.relay.rounds.citing import Citing
from kirotrio.relay.rounds.fetch import FetchTool
from kirotrio.relay.rounds.round import Generate, Memory
from kirotrio.relay.rounds.search import SearchTool, answer_text
from kirotrio.relay.rounds.tool import Outcome, ServerTool

_SPENT = "This tool has been used as often as the request admits. Answer with what is known by now."
_LAST_USE = "This was the last use of this tool that the request admits."


@define
class ServerTools:
    """Wraps a `Generate` and is one. For one request: uses are counted over all its calls."""

    attempts: Attempts
    inner: Generate
    _used: Counter[str] = field(factory=Counter)

    async def __call__(self, conversation: Conversation, outlet: Outlet) -> Batch:
        fetch = conversation.web_fetch
        citing = Citing(outlet, fetched=fetch is not None and fetch.citations)
        wanted = conversation.web_search
        # What a search finds is not the JSON that a schema asks for: that takes a model.
        if wanted is not None and wanted.direct_query is not None and conversation.output_schema is None:
            search = SearchTool(wanted, self.attempts.relay, self.attempts.lent, self.attempts.request.request_id)
            return citing.feed(await self._answer_directly(search, wanted.direct_query, citing.outlet))
        memory = Memory(citing.outlet, keeps=self.attempts.request.mode is not Mode.LIVE)
        return citing.feed(await self._answer(conversation, memory))

    async def _answer(self, conversation: Conversation, memory: Memory) -> Batch:
        ledger = self.attempts.ledger
        tools = _named(self._tools(conversation), conversation)
        present = _offering(conversation, tools, ())
        spent: set[str] = set()
        at_first = before = ledger.result().output_tokens
        while True:
            said = _Generation(tools, memory.outlet, holds_text=conversation.output_schema is not None)
            last = said.feed(await self.inner(present, said.outlet))
            if not said.calls:
                return [*said.text, *last]
            *rest, finish = last
            put_out = ledger.result().output_tokens
            limits = self._what_is_left(conversation.limits, put_out - at_first)
            cause = _ending(finish, said, spent) or (StopCause.MAX_TOKENS if limits is None else None)
            calls = said.calls if cause is None else [call for call in said.calls if call.tool.carried]
            self._log_withheld(said, calls, goes_on=cause is None)
            ahead: Batch = [] if cause is None else list(said.text)
            ahead += rest
            ahead += [call.event for call in calls if not call.tool.carried]
            if ahead:
                await memory.send(ahead)
            outcomes = await self._run(calls, present)
            if outcomes:
                await memory.send([outcome.event for outcome in outcomes])
            if cause is not None or limits is None:
                return [ledger.finish(_end(finish, cause or StopCause.MAX_TOKENS))]
            spent.update(call.name for call, outcome in zip(calls, outcomes, strict=True) if _spent(outcome))
            results = _results(calls, outcomes)
            await self._estimate_more(results, put_out - before)
            before = put_out
            ledger.next_generation()
            grown = evolve(
                conversation,
                turns=(*present.turns, said.transcript.turn(), results),
                tool_choice=_choice(conversation.tool_choice, tools),
                limits=limits,
            )
            present = _offering(grown, tools, spent)

    def _tools(self, conversation: Conversation) -> Iterator[ServerTool]:
        attempts = self.attempts
        if conversation.web_search is not None:
            yield SearchTool(conversation.web_search, attempts.relay, attempts.lent, attempts.request.request_id)
        if conversation.web_fetch is not None:
            yield FetchTool(conversation.web_fetch, attempts.relay, attempts.model.window, attempts.request.request_id)

    def _what_is_left(self, limits: Limits, put_out: int) -> Limits | None:
        """The limits of the next generation, `put_out` tokens later; None where nothing is left."""
        if limits.max_tokens is None or self.attempts.relay.settings.limits.enforce_max_tokens == "off":
            return limits
        left = limits.max_tokens - put_out
        return evolve(limits, max_tokens=left) if left > 0 else None

    def _log_withheld(self, said: _Generation, run: Sequence[_Call], *, goes_on: bool) -> None:
        log, request_id = self.attempts.relay.log, self.attempts.request.request_id
        if len(run) < len(said.calls):
            log.info("server tool not run: the answer ends", request_id=request_id, calls=len(said.calls) - len(run))
        if goes_on and said.text:
            log.debug("text ahead of a server tool left out of the JSON", request_id=request_id)

    async def _run(self, calls: Sequence[_Call], conversation: Conversation) -> list[Outcome]:
        """All calls at a time; their outcomes in the order of the calls. Cancellation cancels every one."""
        outcomes: list[Outcome | None] = [None] * len(calls)

        async def run(at: int, tool: ServerTool, event: ServerToolCall, last_use: bool) -> None:
            try:
                outcome = await tool.run(event, conversation)
            except Exception as error:
                relay = self.attempts.relay
                relay.log.error("server tool failed", exc_info=error, request_id=self.attempts.request.request_id)
                outcome = tool.refused(event, "unavailable", "An error inside the gateway; its log has the details.")
            if outcome.ran:
                self.attempts.ledger.absorb(event)
            outcomes[at] = evolve(outcome, text=f"{outcome.text}\n\n{_LAST_USE}") if last_use else outcome

        async with trio.open_nursery() as nursery:
            for at, call in enumerate(calls):
                tool = call.tool
                self._used[tool.kind] += 1
                if self._used[tool.kind] > tool.max_uses:
                    outcomes[at] = tool.refused(call.event, "max_uses_exceeded", _SPENT)
                else:
                    nursery.start_soon(run, at, tool, call.event, self._used[tool.kind] == tool.max_uses)
        return [outcome for outcome in outcomes if outcome is not None]

    async def _estimate_more(self, results: Turn, put_out: int) -> None:
        """Let the estimate of the next prompt hold what this generation said and what was found."""
        added = await count_text(self.attempts.relay.estimator, "\n".join(_texts(results)))
        estimate = self.attempts.estimate
        estimate.set(estimate.tokens + added + put_out)

    async def _answer_directly(self, tool: SearchTool, query: str, outlet: Outlet) -> Batch:
        """No model: the search, then what it found as text."""
        attempts = self.attempts
        attempts.account = attempts.lent.name
        event = ServerToolCall(secrets.token_hex(12), "web_search", {"query": query})
        await outlet.send([event])
        found = await tool.find(query)
        if found.ran:
            attempts.ledger.absorb(event)
        await outlet.send([SearchFinished(event.id, found.results, found.error)])
        await attempts.estimate.settle(attempts.ledger)
        return [TextDelta(answer_text(query, found)), attempts.ledger.finish(Finish(StopCause.END_TURN))]


@frozen
class _Call:
    """A call of ours: what the client sees of it, and the ids by which the model's turns name it."""

    name: str
    tool_use_id: str
    tool: ServerTool
    event: ServerToolCall


@define
class _Generation:
    """One generation as it passes: calls of our tools are taken out, and all that was said is remembered.

    `text` is what `holds_text` holds. It leaves ahead of a call of the client's, which ends the answer.
    """

    tools: Mapping[str, ServerTool]
    _outer: Outlet
    holds_text: bool
    transcript: Transcript = field(factory=Transcript)
    calls: list[_Call] = field(factory=list)
    text: Batch = field(factory=list)
    client_called: bool = False

    @property
    def outlet(self) -> Outlet:
        return Outlet(self._send, self._restart)

    def feed(self, batch: Batch) -> Batch:
        """What leaves of it now; the very same list where that is all of it."""
        self.transcript.feed(batch)
        out: Batch | None = None
        for at, event in enumerate(batch):
            if isinstance(event, ToolCall):
                out = batch[:at] if out is None else out
                out += self._called(event)
            elif isinstance(event, TextDelta | TextDeltas) and self.holds_text:
                out = batch[:at] if out is None else out
                self.text.append(event)
            elif out is not None:
                out.append(event)
        return batch if out is None else out

    def _called(self, call: ToolCall) -> Batch:
        tool = self.tools.get(call.name)
        if tool is None:
            self.client_called = True
            held, self.text = self.text, []
            return [*held, call]
        event = ServerToolCall(secrets.token_hex(12), tool.kind, _input(call.arguments))
        self.calls.append(_Call(call.name, call.id, tool, event))
        return [event] if tool.carried else []

    async def _send(self, batch: Batch) -> None:
        if leaving := self.feed(batch):
            await self._outer.send(leaving)

    async def _restart(self) -> None:
        self.transcript, self.calls, self.text, self.client_called = Transcript(), [], [], False
        await self._outer.restart()


def _named(tools: Iterable[ServerTool], conversation: Conversation) -> dict[str, ServerTool]:
    """The tools under names that no tool of the client's has; one that may not be used at all is left out."""
    named: dict[str, ServerTool] = {}
    taken = {tool.name for tool in conversation.tools}
    for tool in tools:
        if tool.max_uses <= 0:
            continue
        name, number = tool.name, 1
        while name in taken or name in named:
            name = f"kirotrio_{tool.kind}" if number == 1 else f"kirotrio_{tool.kind}_{number}"
            number += 1
        named[name] = tool
    return named


def _offering(conversation: Conversation, tools: Mapping[str, ServerTool], spent: Iterable[str]) -> Conversation:
    """The conversation with our tools among the client's, but for those that are used up."""
    gone = set(spent)
    offered: list[Tool] = [tool.offered(name) for name, tool in tools.items() if name not in gone]
    return evolve(conversation, tools=(*conversation.tools, *offered))


def _ending(finish: Event, said: _Generation, spent: set[str]) -> StopCause | None:
    """Why the answer ends although calls of ours were made; None where it goes on."""
    cause = finish.cause if isinstance(finish, Finish) else StopCause.END_TURN
    if cause is not StopCause.TOOL_USE or said.client_called:
        return cause
    if all(call.name in spent for call in said.calls):
        # It was told, is not offered the tool, and calls it all the same: it would do so for ever.
        return StopCause.END_TURN
    return None


def _end(finish: Event, cause: StopCause) -> Finish:
    return evolve(finish, cause=cause) if isinstance(finish, Finish) else Finish(cause)


def _choice(choice: ToolChoice, tools: Mapping[str, ServerTool]) -> ToolChoice:
    """The client's tool choice once a tool of ours was called: met, where ours could meet it."""
    met = choice.mode == "any" or (choice.mode == "tool" and choice.name in tools)
    return evolve(choice, mode="auto", name=None) if met else choice


def _results(calls: Iterable[_Call], outcomes: Iterable[Outcome]) -> Turn:
    return Turn(
        "user",
        tuple(
            ToolResult(call.tool_use_id, (Text(outcome.text),), is_error=outcome.failed)
            for call, outcome in zip(calls, outcomes, strict=True)
        ),
    )


def _texts(turn: Turn) -> Iterator[str]:
    for part in turn.parts:
        if isinstance(part, ToolResult):
            yield from (inner.text for inner in part.content if isinstance(inner, Text))


def _spent(outcome: Outcome) -> bool:
    return outcome.event.error == "max_uses_exceeded"


def _input(arguments: str) -> dict[str, Any]:
    """The arguments as the model made them, which the upstream's decoder has found to be one JSON object."""
    given = orjson.loads(arguments)
    return given if isinstance(given, dict) else {}
