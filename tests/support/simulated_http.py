"""`HttpCalls` that a simulator answers without sockets or threads, so that a mock clock may run."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import trio
from attrs import frozen

from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator import Simulator
from kirotrio.simulator.answers import Call, Reply


@frozen
class Made:
    """One call that was made."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    deadline: float
    proxy_url: str | None


class SimulatedHttp:
    """`script` are faults that calls meet first, in order: an answer, an exception, or seconds to take before."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.calls: list[Made] = []
        self.script: list[HttpAnswer | Exception | float] = []
        self.running = 0
        self.most_running = 0

    @property
    def paths(self) -> list[str]:
        """The last part of each call's path, in order."""
        return [call.path.rpartition("/")[2] for call in self.calls]

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        self.calls.append(Made(method, parts.path, query, headers or {}, deadline, proxy_url))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await trio.lowlevel.checkpoint()
            if self.script:
                fault = self.script.pop(0)
                if isinstance(fault, Exception):
                    raise fault
                if isinstance(fault, HttpAnswer):
                    return fault
                await trio.sleep(fault)
            reply = self.simulator.answer(Call(method, parts.path, query, headers or {}, body or b""))
        finally:
            self.running -= 1
        assert isinstance(reply, Reply), "a plain call has a plain answer"
        return HttpAnswer(reply.status, dict(reply.headers), reply.body)
