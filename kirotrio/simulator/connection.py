"""One connection: HTTP/1.1 by h11, answers written as their script says, a watch on the peer beside every answer.

While an answer is on its way, a second task reads. It is the only way to notice promptly that the peer has left:
before the head, while silent, and while a write waits for a peer that does not read. What it reads before that
(a pipelined request) is kept for later. Shutting down one direction counts as leaving.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import h11
import trio

from kirotrio.simulator.answers import Answer, Call, Ending, Reply, Step, Stream, json_reply
from kirotrio.simulator.streams import Instant, Ledger, Phase, RequestRecord, State, StreamRecord

LARGEST_BODY = 64 * 1024 * 1024
_LARGEST_HEAD = 64 * 1024
_LARGEST_AHEAD = 1024 * 1024
"""Bytes of pipelined requests that are read ahead; then reading stops, and a peer that leaves is noticed late."""
_READ = 64 * 1024

_log = logging.getLogger(__name__)


class Application(Protocol):
    """Who answers: the simulated service, and the pages about it."""

    ledger: Ledger

    def answer(self, call: Call) -> Answer: ...

    def operation_name(self, call: Call) -> str: ...

    def is_page(self, call: Call) -> bool: ...


class _BadRequest(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """Serves the requests of one stream, one after another. `run` returns when either side has closed it."""

    def __init__(self, stream: trio.abc.Stream, application: Application) -> None:
        self._stream = stream
        self._application = application
        self._ledger = application.ledger
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._ahead = bytearray()
        self._peer_left: Instant | None = None

    async def run(self) -> None:
        """Serve until the connection ends. Cancellation closes the stream at once."""
        async with self._stream:
            try:
                while (call := await self._next_call()) is not None:
                    await self._exchange(call)
                    if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                        return
                    self._http.start_next_cycle()
            except _BadRequest as bad:
                await self._refuse(bad)
            except trio.BrokenResourceError:
                return  # the peer broke the connection between two answers

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _next_call(self) -> Call | None:
        """The next request, wholly read; None when the peer has no more. Raises _BadRequest."""
        request: h11.Request | None = None
        pieces: list[bytes] = []
        held = 0
        while True:
            try:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
                    self._http.receive_data(await self._read())
                    continue
            except h11.RemoteProtocolError as error:
                raise _BadRequest(error.error_status_hint, str(error)) from None
            match event:
                case h11.Request():
                    if event.http_version < b"1.1":
                        raise _BadRequest(505, "HTTP/1.1 is needed: event streams are sent in chunks.")
                    request = event
                    _refuse_large(_declared_length(event))
                case h11.Data():
                    held += len(event.data)
                    _refuse_large(held)
                    pieces.append(bytes(event.data))
                case h11.EndOfMessage() if request is not None:
                    return _call(request, b"".join(pieces))
                case _:
                    return None

    async def _read(self) -> bytes:
        if self._ahead:
            data = bytes(self._ahead)
            self._ahead.clear()
            return data
        return bytes(await self._stream.receive_some(_READ))

    # -- answering -------------------------------------------------------------------------------------------------

    async def _exchange(self, call: Call) -> None:
        page = self._application.is_page(call)
        record = None if page else self._ledger.note_request(call)
        try:
            answer = self._application.answer(call)
        except Exception:
            # The boundary: whatever is wrong with the simulator is told to the log and answered as what it is.
            _log.exception("the simulator failed on %s %s", call.method, call.path)
            answer = json_reply({"message": "The simulator itself failed; see its log.", "reason": None}, status=500)
        if record is not None:
            record.operation = self._application.operation_name(call)
            record.account = answer.account
            record.note = answer.note
        if isinstance(answer, Reply):
            await self._plain(answer, call, record)
        else:
            await self._event_stream(answer, call, record)

    async def _plain(self, reply: Reply, call: Call, record: RequestRecord | None) -> None:
        async def send() -> None:
            if reply.silent:
                await trio.sleep_forever()
            if reply.delay:
                await trio.sleep(reply.delay)
            if record is not None:
                record.status = reply.status
            await self._send(self._whole(reply, call))

        if reply.silent or reply.delay:
            await self._while_peer_stays(send)
        else:
            await send()

    def _whole(self, reply: Reply, call: Call) -> bytes:
        headers = {**reply.headers, "x-amzn-requestid": call.request_id, "content-length": str(len(reply.body))}
        head = self._http.send(h11.Response(status_code=reply.status, headers=list(headers.items())))
        body = self._http.send(h11.Data(data=reply.body)) if call.method != "HEAD" else b""
        return (head or b"") + (body or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    async def _event_stream(self, stream: Stream, call: Call, request: RequestRecord | None) -> None:
        record = self._ledger.open_stream(
            request_id=call.request_id, conversation=stream.conversation, model=stream.model, account=stream.account
        )
        ending: Ending | None = None

        async def write() -> None:
            nonlocal ending
            ending = await self._write_stream(stream, call, request, record)

        try:
            await self._while_peer_stays(write)
        finally:
            if ending is not None:
                state = State.FINISHED if ending is Ending.FINISH else State.CUT
                self._ledger.close_stream(record, state)
            elif self._peer_left is not None:
                self._ledger.close_stream(record, State.CLOSED_BY_PEER, self._peer_left)
            else:
                self._ledger.close_stream(record, State.CANCELLED)
        if ending is Ending.RESET:
            _reset(self._stream)

    async def _write_stream(
        self, stream: Stream, call: Call, request: RequestRecord | None, record: StreamRecord
    ) -> Ending:
        """Head and steps, each when it is due. Steps are made one ahead, so the end leaves with the last of them."""
        if stream.head_delay is None:
            await trio.sleep_forever()
        elif stream.head_delay:
            await trio.sleep(stream.head_delay)
        headers = {**stream.headers, "x-amzn-requestid": call.request_id, "transfer-encoding": "chunked"}
        waiting = self._http.send(h11.Response(status_code=200, headers=list(headers.items()))) or b""
        if request is not None:
            request.status = 200
        item = next(stream.steps)
        if isinstance(item, Ending) or item.pause or stream.split:
            await self._send(waiting)
            record.bytes_sent += len(waiting)
            waiting = b""
            self._enter(record, Phase.BEFORE_FIRST_EVENT)
        # Due times are counted from the head on, so that a slow moment is made up for and the pace holds.
        due = trio.current_time()
        while isinstance(item, Step):
            following = next(stream.steps)
            if item.pause:
                due += item.pause
                if due > trio.current_time():
                    await trio.sleep_until(due)
            data = waiting + _chunk(item.frames)
            if following is Ending.FINISH:
                data += self._http.send(h11.EndOfMessage()) or b""
                self._enter(record, Phase.ENDING)
            waiting = b""
            await self._send_split(data, stream.split, record)
            record.events_sent += item.events
            if item.events and record.phase not in (Phase.STREAMING, Phase.ENDING):
                self._enter(record, Phase.STREAMING)
            item = following
        if item is Ending.STALL:
            self._enter(record, Phase.STALLED)
            await trio.sleep_forever()
        return item

    def _enter(self, record: StreamRecord, phase: Phase) -> None:
        record.phase = phase
        self._ledger.wake()

    async def _send_split(self, data: bytes, split: int, record: StreamRecord) -> None:
        if not split:
            await self._send(data)
            record.bytes_sent += len(data)
            return
        for start in range(0, len(data), split):
            piece = data[start : start + split]
            await self._send(piece)
            record.bytes_sent += len(piece)

    async def _send(self, data: bytes | None) -> None:
        await self._stream.send_all(data or b"")

    # -- the peer --------------------------------------------------------------------------------------------------

    async def _while_peer_stays(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, and cancel it as soon as the peer is seen to have left; `_peer_left` then says when."""
        self._peer_left = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_peer, nursery.cancel_scope)
            try:
                await work()
            except trio.BrokenResourceError:
                self._note_peer_left()
            nursery.cancel_scope.cancel()

    async def _watch_peer(self, answering: trio.CancelScope) -> None:
        while len(self._ahead) < _LARGEST_AHEAD:
            try:
                data = await self._stream.receive_some(_READ)
            except trio.BrokenResourceError:
                data = b""
            if not data:
                self._note_peer_left()
                answering.cancel()
                return
            self._ahead += data

    def _note_peer_left(self) -> None:
        if self._peer_left is None:
            self._peer_left = self._ledger.now()

    async def _refuse(self, bad: _BadRequest) -> None:
        """Answer what is no request, if an answer can still be given, and leave the connection to be closed."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        reply = json_reply({"message": str(bad), "reason": None}, status=bad.status)
        headers = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
        data = self._http.send(h11.Response(status_code=reply.status, headers=list(headers.items()))) or b""
        data += self._http.send(h11.Data(data=reply.body)) or b""
        try:
            await self._send(data)
        except trio.BrokenResourceError:
            return  # it has left already


def _call(request: h11.Request, body: bytes) -> Call:
    target = urlsplit(request.target.decode("latin-1"))
    return Call(
        method=request.method.decode("ascii"),
        path=target.path,
        query=dict(parse_qsl(target.query, keep_blank_values=True)),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers},
        body=body,
    )


def _declared_length(request: h11.Request) -> int:
    return next((int(value) for name, value in request.headers if name == b"content-length"), 0)


def _refuse_large(length: int) -> None:
    if length > LARGEST_BODY:
        raise _BadRequest(413, f"The body has more than {LARGEST_BODY} bytes.")


def _chunk(data: bytes) -> bytes:
    """One chunk of the chunked encoding; nothing for no data, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _reset(stream: trio.abc.Stream) -> None:
    """Make the coming close a TCP RST, where the stream is a socket."""
    if isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
