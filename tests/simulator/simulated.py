"""A small HTTP client over any Trio stream, and the bodies that the simulator's tests send.

It reads the chunked encoding by h11 and the frames by botocore, so nothing of the product judges itself.
"""

from __future__ import annotations

import json
from typing import Any

import h11
import trio
import trio.testing
from attrs import define
from botocore.eventstream import EventStreamBuffer

from kirotrio.simulator import DEMO_ACCESS_TOKEN, Simulator

GENERATE = "/generateAssistantResponse"
RPC_TARGET = "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
RUNTIME_TARGET = "KiroRuntimeService.GenerateAssistantResponse"


def user(content: str = "Say hi", *, model: str = "claude-sonnet-4.5", **members: Any) -> dict[str, Any]:
    return {"userInputMessage": {"content": content, "modelId": model, "origin": "AI_EDITOR", **members}}


def tool(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    schema = schema or {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    return {"toolSpecification": {"name": name, "description": f"Tool {name}", "inputSchema": {"json": schema}}}


def body(content: str = "Say hi", *, history: list[Any] | None = None, **members: Any) -> dict[str, Any]:
    """A valid generation; `tools` and `results` go into the message, `root` members into the root."""
    root = members.pop("root", {})
    context = {}
    if tools := members.pop("tools", None):
        context["tools"] = tools
    if results := members.pop("results", None):
        context["toolResults"] = results
    if context:
        members["userInputMessageContext"] = context
    state: dict[str, Any] = {
        "agentTaskType": "vibe",
        "chatTriggerType": "MANUAL",
        "conversationId": "conversation-1",
        "currentMessage": user(content, **members),
    }
    if history:
        state["history"] = history
    return {"conversationState": state, **root}


@define
class Answer:
    """`complete`: the body ended as HTTP says it must."""

    status: int
    headers: dict[str, str]
    content: bytes
    complete: bool = True

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Type and payload of every frame; raises botocore's errors for damaged ones."""
        buffer = EventStreamBuffer()
        buffer.add_data(self.content)
        events = []
        for frame in buffer:
            headers = frame.headers
            name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code")
            events.append((name, json.loads(frame.payload) if frame.payload else None))
        return events

    def of(self, event_type: str) -> list[Any]:
        return [payload for name, payload in self.events if name == event_type]

    @property
    def text(self) -> str:
        return "".join(payload["content"] for payload in self.of("assistantResponseEvent"))


class Client:
    """One connection. Requests one after another."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)
        self.arrivals: list[tuple[float, bytes]] = []
        """When each piece of the last body came, by Trio's clock."""

    async def send(self, method: str, path: str, content: bytes = b"", **headers: str) -> None:
        fields = {"host": "simulator", "content-length": str(len(content)), **headers}
        fields = {name.replace("_", "-"): value for name, value in fields.items() if value}
        request = h11.Request(method=method, target=path, headers=list(fields.items()))
        data = self.http.send(request) + (self.http.send(h11.Data(data=content)) or b"")
        await self.stream.send_all(data + (self.http.send(h11.EndOfMessage()) or b""))

    async def head(self) -> h11.Response:
        event = await self._event()
        assert isinstance(event, h11.Response), f"a response head was expected, not {event!r}"
        return event

    async def piece(self) -> bytes | None:
        """The next bytes of the body, None at its proper end. Raises h11.RemoteProtocolError where it is cut."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def receive(self) -> Answer:
        head = await self.head()
        content = b""
        complete = True
        self.arrivals = []
        try:
            while (piece := await self.piece()) is not None:
                self.arrivals.append((trio.current_time(), piece))
                content += piece
        except (h11.RemoteProtocolError, trio.BrokenResourceError):
            complete = False
        else:
            if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
                self.http.start_next_cycle()
        headers = {name.decode(): value.decode() for name, value in head.headers}
        return Answer(head.status_code, headers, content, complete)

    async def call(self, method: str, path: str, document: Any = None, **headers: str) -> Answer:
        content = (
            b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
        )
        await self.send(method, path, content, **headers)
        return await self.receive()

    async def start(self, document: Any, *, target: str = "", token: str = DEMO_ACCESS_TOKEN, **headers: str) -> None:
        """Send a generation and do not wait for its answer."""
        path = "/" if target else GENERATE
        content_type = "application/x-amz-json-1.0" if target else "application/json"
        fields = {"authorization": f"Bearer {token}", "content_type": content_type, "x_amz_target": target, **headers}
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        await self.send("POST", path, content, **fields)

    async def generate(self, document: Any = None, **options: Any) -> Answer:
        """A whole generation; a text stands for a body with that message."""
        if document is None or isinstance(document, str):
            document = body(document or "Say hi")
        await self.start(document, **options)
        return await self.receive()

    async def get(self, path: str, *, token: str = DEMO_ACCESS_TOKEN, **headers: str) -> Answer:
        return await self.call("GET", path, authorization=f"Bearer {token}", **headers)

    async def post(self, path: str, document: Any, **headers: str) -> Answer:
        return await self.call("POST", path, document, **{"content_type": "application/json", **headers})

    async def _event(self) -> Any:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(await self.stream.receive_some(65536))
        return event


def connected(simulator: Simulator, nursery: trio.Nursery) -> Client:
    """A client on one end of a memory stream, the simulator on the other."""
    ours, theirs = trio.testing.memory_stream_pair()
    nursery.start_soon(simulator.handle_connection, theirs)
    return Client(ours)
