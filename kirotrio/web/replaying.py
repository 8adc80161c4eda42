"""A recorded request once more, offline: today's reader, translator, parser and encoder over the bytes of then.

Everything that the request met is taken from the recording: the upstream's answers, the model, the account's name, the
estimate, what was drawn by lot. Nothing is looked up and nobody is asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, cast

import attrs
import orjson
import trio

from kirotrio import errors
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.classes import define, frozen
from kirotrio.config.options import options, with_values
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Conversation, Effort
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import BodyInvalid, Cause, KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.client import Transport
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.kiro.model_table import ModelProfile
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import Dialect
from kirotrio.relay.request import AnswerRequest, Mode, Relay
from kirotrio.relay.told import reads_of
from kirotrio.telemetry.log import Log
from kirotrio.telemetry.redact import MASK

_UNHURRIED: Final = {
    "relay.keepalive_live": 1e6,
    "relay.keepalive_buffered": 1e6,
    "relay.begin_after": 1e6,
    "upstream.proxy_url": "",
}
"""Nothing is waited for, so nothing leaves to bridge the wait."""
_PASSED_OVER: Final = ("store.", "server.", "data.", "access.", "log.", "upstream.certificates", "accounts.")


class NotReplayable(KirotrioError):
    """The recording lacks what a replay needs; the message says what."""


@frozen
class Replayed:
    """What the client would get today."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def replay(recording: Mapping[str, Any], log: Log) -> Replayed:
    """Raises NotReplayable, BodyInvalid where the body is not taken (any more)."""
    settings = _settings(recording)
    told, client = recording["replay"], recording["client"]
    if client["body"] is None:
        raise NotReplayable(f"its body was {client['why']}")
    if any(one["kept"] < one["size"] for one in recording["upstream"]):
        raise NotReplayable("of what the upstream answered only the beginning was kept (recorder.max_part)")
    if "model" not in told:
        raise NotReplayable("it ended before the upstream was asked: there is nothing to decode")
    raw = client["body"].encode() if isinstance(client["body"], str) else orjson.dumps(client["body"])
    conversation, dialect = _decode(told["surface"], raw, client, recording["id"], settings)
    _check_offline(conversation, client["body"])
    names = {name: value for name, value in recording["names"].items() if hasattr(dialect, name)}
    dialect = cast(Dialect, attrs.evolve(cast(Any, dialect), **names))
    model = _model(told["model"])
    transport = _Transport(recording)
    relay = Relay(
        settings,
        cast(Transport, transport),
        _Lender(model, told["account"], transport),
        cast(ModelLists, _Models()),
        _Estimator(told["estimate"]),
        log,
    )
    wish = Wish(session="replay", model=conversation.model)
    request = AnswerRequest(
        conversation, Mode(told["mode"]), recording["id"], wish, "", client["size"], told["surface"]
    )
    sink = _Sink()
    await Answer(relay, request, dialect).run(sink)
    return Replayed(sink.status, sink.headers, b"".join(sink.pieces))


def _settings(recording: Mapping[str, Any]) -> Settings:
    """Those of then, as far as they change an answer and are known here."""
    known = options()
    values = {
        name: known[name].kind(value)
        for name, value in recording["settings"].items()
        if name in known and value != MASK and not name.startswith(_PASSED_OVER)
    }
    return with_values(Settings(), {**values, **_UNHURRIED})


def _decode(
    surface: str, raw: bytes, client: Mapping[str, Any], request_id: str, settings: Settings
) -> tuple[Conversation, Dialect]:
    headers = {name.lower(): value for name, value in client["headers"].items()}
    thinking = settings.thinking.default
    match surface:
        case "messages":
            from kirotrio.dialects.anthropic import decode_request
            from kirotrio.web.api.messages import AnthropicAnswer

            betas = tuple(beta.strip() for beta in headers.get("anthropic-beta", "").split(",") if beta.strip())
            asked = decode_request(raw, betas=betas, default_thinking=thinking)
            return asked.conversation, AnthropicAnswer(asked.conversation.model, "", request_id)
        case "chat":
            from kirotrio.web.api.chat import ChatAnswer, decode

            chat = decode(raw, None, thinking)
            return chat.conversation, ChatAnswer(chat, "", 0, request_id)
        case "responses":
            from kirotrio.dialects.openai_responses import decode_responses, read_request, references
            from kirotrio.web.api.responses import ResponsesAnswer

            body = read_request(raw)
            named = references(body)
            if named.previous_response_id is not None or named.item_ids:
                raise NotReplayable("it goes on from a stored response, which the recording does not hold")
            responses = decode_responses(body, default_thinking=thinking)
            return responses.conversation, ResponsesAnswer(responses.echo, "", 0, request_id)
    raise NotReplayable(f"it was asked of {surface!r}, which is not known here")


def _check_offline(conversation: Conversation, body: Any) -> None:
    if conversation.web_fetch is not None or _names_address(body):
        raise NotReplayable("it has files or pages fetched by their addresses, and a replay asks nobody")


def _names_address(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            (name in ("url", "image_url", "file_url") and isinstance(part, str) and part.startswith("http"))
            or _names_address(part)
            for name, part in value.items()
        )
    return isinstance(value, list) and any(map(_names_address, value))


def _model(told: Mapping[str, Any]) -> ModelProfile:
    known = {field.name for field in attrs.fields(ModelProfile)}
    values = {name: value for name, value in told.items() if name in known}
    values["efforts"] = tuple(map(Effort, values.get("efforts", ())))
    effort = values.get("default_effort")
    values["default_effort"] = None if effort is None else Effort(effort)
    return ModelProfile(**values)


class _Estimator(TokenEstimator):
    """Says what was said then, and learns nothing."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self._then = tokens

    def estimate(self, conversation: Conversation, family: str) -> int:
        return self._then

    def learn(self, family: str, estimated: int, measured: int, now: float) -> bool:
        return False


class _Models:
    def has(self, account: str) -> bool:
        return True

    def known(self, account: str) -> Catalogue:
        return STATIC_CATALOGUE


@define(eq=False)
class _Loan:
    model: ModelProfile
    name: str
    transport: _Transport

    @property
    def has_other(self) -> bool:
        """Whoever made the next attempt then: there is one as long as the recording has one."""
        return self.transport.has_more

    async def pace(self, *, again: bool = False) -> None: ...

    async def credentials(self) -> Credentials:
        return Credentials("replayed", account=self.name)

    async def refused(self, token: str) -> None: ...

    async def resolve_profile(self) -> None: ...

    def served(self) -> None: ...

    async def blamed(self, error: KirotrioError) -> KirotrioError:
        return error

    async def switch(self) -> bool:
        return self.has_other

    def told(self, error: KirotrioError) -> KirotrioError:
        return error


@frozen
class _Lender:
    model: ModelProfile
    name: str
    transport: _Transport

    @asynccontextmanager
    async def borrow(self, wish: Wish) -> AsyncIterator[_Loan]:
        yield _Loan(self.model, self.name, self.transport)


class _Transport:
    """Answers each call as the one was answered that came at its place then."""

    def __init__(self, recording: Mapping[str, Any]) -> None:
        exchanges = recording["upstream"]
        self._streams = [one for one in exchanges if "frames" in one or one["end"] != "" or "generate" in one["url"]]
        self._calls = [one for one in exchanges if one not in self._streams]
        self._left = _last_error(recording)

    @property
    def has_more(self) -> bool:
        return bool(self._streams)

    def stream(self, *_: Any, **__: Any) -> _Stream:
        if not self._streams:
            raise _none_left()
        return _Stream(self._streams.pop(0), self._left)

    async def call(self, *_: Any, **__: Any) -> HttpAnswer:
        await trio.lowlevel.checkpoint()
        if not self._calls:
            raise _none_left()
        exchange = self._calls.pop(0)
        if exchange["end"] != "":
            raise _error(exchange["end"], self._left)
        return HttpAnswer(exchange["status"], exchange["answer_headers"], b"".join(_reads(exchange)))


class _Stream:
    def __init__(self, exchange: Mapping[str, Any], left: KirotrioError) -> None:
        self._exchange = exchange
        self._left = left
        self.status: int = exchange["status"]
        self.headers: Mapping[str, str] = exchange["answer_headers"]
        self._reads = _reads(exchange)

    async def __aenter__(self) -> _Stream:
        await trio.lowlevel.checkpoint()
        if not self.status:
            raise _error(self._exchange["end"], self._left)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def receive(self, take_now: Callable[[bytes], bool] | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._reads:
            return self._reads.pop(0)
        if self._exchange["end"] != "" or self._exchange["kept"] < self._exchange["size"]:
            raise _error(self._exchange["end"], self._left)
        return b""

    async def read(self, ceiling: int) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"".join(self._reads)[:ceiling]


def _reads(exchange: Mapping[str, Any]) -> list[bytes]:
    if "frames" in exchange:
        return reads_of(exchange)
    body = exchange["body"]
    if not exchange["size"]:
        return []
    return [body.encode() if isinstance(body, str) else orjson.dumps(body)]


def _error(end: Any, left: KirotrioError) -> KirotrioError:
    """What ended a call then, as far as an attempt looks at it."""
    if not isinstance(end, dict):
        return left
    kind = getattr(errors, end["error"], None)
    cls = kind if isinstance(kind, type) and issubclass(kind, KirotrioError) else UpstreamFailed
    if cls in (errors.NotFound, BodyInvalid, errors.ContextOverflow):
        cls = KirotrioError
    recovery = Recovery(end.get("recovery", Recovery.NONE.value))
    error = cls(end["message"], recovery=recovery)
    error.cause = Cause(end.get("cause", Cause.UPSTREAM_FAILED.value))
    error.retry_after = end.get("retry_after")
    return error


def _last_error(recording: Mapping[str, Any]) -> KirotrioError:
    """What stands where the recording ends before the upstream did: the answer's own error, if it had one."""
    record = recording["record"] or {}
    if record.get("error") and record.get("outcome") in [cause.value for cause in Cause]:
        return KirotrioError(record["error"], cause=Cause(record["outcome"]))
    return UpstreamFailed("the recording ends here: nobody wanted more of the answer")


def _none_left() -> UpstreamFailed:
    return UpstreamFailed("the upstream is asked more often than it was then")


class _Sink:
    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.pieces: list[bytes] = []

    async def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str] = ()) -> None:
        await trio.lowlevel.checkpoint()
        self.status, self.headers = status, dict(headers)

    async def write(self, piece: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.pieces.append(piece)

    async def finish(self, piece: bytes) -> None:
        await self.write(piece)
