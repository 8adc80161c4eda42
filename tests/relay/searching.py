"""A relay whose upstream also searches, and what its rounds send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import orjson
import trio
from relay.conftest import Stage, hello
from support.scripted import event

from kirotrio.conversation.events import Batch, Event, Finish, TextDelta
from kirotrio.conversation.request import Conversation, WebFetch, WebSearch
from kirotrio.conversation.usage import UsageLedger
from kirotrio.errors import KirotrioError
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.relay.attempts import Attempts, Outlet
from kirotrio.relay.estimate import Estimate
from kirotrio.relay.request import AnswerRequest, Mode
from kirotrio.relay.rounds import Generate, with_rounds
from kirotrio.relay.watch import Silence

PAGE = {"title": "A page", "url": "https://pages.example/a", "snippet": "What it says.", "publishedDate": 1775520000000}
OTHER = {"title": "Another", "url": "https://other.example/b", "snippet": "More.", "publishedDate": None}


def found(*results: Mapping[str, Any], **inner: Any) -> dict[str, Any]:
    """The upstream's answer to a search (KIRO_PROTOCOL 6.5)."""
    text = orjson.dumps({"results": results, "totalResults": len(results), "error": None, **inner}).decode()
    return {"jsonrpc": "2.0", "id": "1", "result": {"content": [{"type": "text", "text": text}], "isError": False}}


def call(name: str, call_id: str = "call-1", **arguments: Any) -> list[bytes]:
    """A tool call as the upstream streams it."""
    return [
        event("toolUseEvent", toolUseId=call_id, name=name),
        event("toolUseEvent", toolUseId=call_id, name=name, input=orjson.dumps(arguments).decode()),
        event("toolUseEvent", toolUseId=call_id, name=name, stop=True),
    ]


@attrs.define
class Searches:
    """Answers searches: `answers` in turn, the last one again and again. A status stands for an HTTP error."""

    answers: list[Any] = attrs.field(factory=lambda: [found(PAGE, OTHER)])
    delay: float = 0.0
    bodies: list[Any] = attrs.field(factory=list)
    headers: list[Mapping[str, str]] = attrs.field(factory=list)
    running: int = 0
    most: int = 0

    async def __call__(self, body: Any, headers: Mapping[str, str]) -> HttpAnswer:
        self.bodies.append(body)
        self.headers.append(headers)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(self.delay)
        finally:
            self.running -= 1
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return HttpAnswer(answer, {}, b'{"message": "no"}')
        return HttpAnswer(200, {}, orjson.dumps(answer))

    @property
    def queries(self) -> list[str]:
        return [body["params"]["arguments"]["query"] for body in self.bodies]


@attrs.define
class Heard:
    """What an outlet was given, as far as it was not made void."""

    batches: list[Batch] = attrs.field(factory=list)
    restarts: int = 0
    at: dict[int, float] = attrs.field(factory=dict)
    """When the event of this number came."""

    async def send(self, batch: Batch) -> None:
        assert batch, "an empty batch was sent: the drain looks at its last event"
        await trio.lowlevel.checkpoint()
        for number in range(len(self.events), len(self.events) + len(batch)):
            self.at[number] = trio.current_time()
        self.batches.append(batch)

    async def restart(self) -> None:
        self.batches.clear()
        self.restarts += 1

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.of(TextDelta))

    @property
    def finish(self) -> Finish:
        (finish,) = self.of(Finish)
        assert self.events[-1] is finish, "something follows the end"
        return finish


async def hear(
    scene: Stage,
    conversation: Conversation,
    mode: Mode = Mode.LIVE,
    heard: Heard | None = None,
    searches: Searches | None = None,
    rounds: Callable[[Attempts, Conversation], Generate] = with_rounds,
    ledger: UsageLedger | None = None,
) -> Heard:
    """Answer the conversation with all rounds that it needs; a character of output is a token."""
    heard = heard or Heard()
    scene.transport.plain["/mcp"] = searches or scene.transport.plain.get("/mcp") or Searches()
    failure: KirotrioError | None = None
    async with trio.open_nursery() as nursery:
        attempts = Attempts(
            nursery,
            Silence(1000.0, scene.log),
            scene.relay,
            AnswerRequest(conversation, mode, "req_test"),
            Estimate(),
            ledger or UsageLedger(0, False, len),
            scene.account,
        )
        attempts.estimate.set(1000)
        generate = rounds(attempts, conversation)
        try:
            await heard.send(await generate(conversation, Outlet(heard.send, heard.restart)))
        except KirotrioError as error:
            failure = error  # raised outside: the nursery would wrap it in a group
    if failure is not None:
        raise failure
    assert scene.transport.open == 0, "an upstream connection outlived its answer"
    return heard


def searching(**options: Any) -> Conversation:
    changes = {name: options.pop(name) for name in list(options) if name in attrs.fields_dict(Conversation)}
    return hello(web_search=WebSearch(**options), **changes)


def fetching(**options: Any) -> Conversation:
    changes = {name: options.pop(name) for name in list(options) if name in attrs.fields_dict(Conversation)}
    return hello(web_fetch=WebFetch(**options), **changes)


def offered(body: Any) -> list[str]:
    """The names of the tools that a generation was offered."""
    context = body["conversationState"]["currentMessage"]["userInputMessage"].get("userInputMessageContext", {})
    return [tool["toolSpecification"]["name"] for tool in context.get("tools", [])]


def results_of(body: Any) -> list[Any]:
    """The tool results that the message to be answered carries."""
    context = body["conversationState"]["currentMessage"]["userInputMessage"].get("userInputMessageContext", {})
    return context.get("toolResults", [])


def told(body: Any) -> list[str]:
    """What a generation was told of the calls before it."""
    return ["\n".join(part["text"] for part in result["content"]) for result in results_of(body)]
