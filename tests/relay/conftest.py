"""One relay around a scripted upstream; settings may be changed per test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from support.scripted import RecordingSink, Script, ScriptedAccount, ScriptedTransport

from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Conversation, Limits, Text, ThinkingSetting, Turn
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.relay.answer import Answer
from kirotrio.relay.request import AnswerRequest, Mode, Relay
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.api.messages import AnthropicAnswer


@attrs.define
class Stage:
    """A relay, and one answer at a time on it."""

    relay: Relay
    transport: ScriptedTransport
    account: ScriptedAccount
    log: RecordingLog

    def answer(self, mode: Mode = Mode.LIVE, conversation: Conversation | None = None, size: int = 0) -> Answer:
        request = AnswerRequest(conversation or hello(), mode, "req_test", size=size)
        return Answer(self.relay, request, AnthropicAnswer(request.conversation.model, "msg_test", "req_test"))

    async def run(
        self, mode: Mode = Mode.LIVE, conversation: Conversation | None = None, size: int = 0
    ) -> RecordingSink:
        sink = RecordingSink()
        await self.answer(mode, conversation, size).run(sink)
        assert self.transport.open == 0, "an upstream connection outlived its answer"
        assert len(self.relay.streams) == 0, "the answer is still registered"
        return sink

    def logged(self, name: str) -> list[dict[str, Any]]:
        """The fields of every line of this name."""
        return [fields for _, event, fields in self.log.lines if event == name]

    def change(self, **changes: Any) -> None:
        """Put something else in place of a neighbour of the relay."""
        self.relay = attrs.evolve(self.relay, **changes)


def hello(**changes: Any) -> Conversation:
    plain = Conversation(
        model="claude-sonnet-4.5",
        turns=(Turn("user", (Text("Say hi"),), "messages.0"),),
        thinking=ThinkingSetting(enabled=False),
        limits=Limits(max_tokens=64000),
    )
    return attrs.evolve(plain, **changes)


@pytest.fixture
def stage(estimator: TokenEstimator) -> Callable[..., Stage]:
    def build(*scripts: Script, **sections: dict[str, Any]) -> Stage:
        settings = Settings()
        for name, changes in sections.items():
            settings = attrs.evolve(settings, **{name: attrs.evolve(getattr(settings, name), **changes)})
        transport, account, log = ScriptedTransport(*scripts), ScriptedAccount(), RecordingLog()
        models = ModelLists(transport, settings, log)
        account.models, account.names = models, settings.models
        account.flavour, account.url = settings.upstream.flavour, settings.upstream.url
        return Stage(Relay(settings, transport, account, models, estimator, log), transport, account, log)

    return build
