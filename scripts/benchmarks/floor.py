"""The floor: the same translation on uvloop, nothing else. `python -m benchmarks.floor PORT KEY TOKEN` prints its port.

Two protocols that write straight to each other's transports: one read of the upstream becomes one write to the client.
It takes requests with its one KEY, brings TOKEN to the upstream at PORT, checks every frame's CRCs, parses every text's
JSON and encodes each as an event of its own: what no gateway in Python can go below.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import struct
import sys
from typing import cast
from zlib import crc32

import orjson
import uvloop

from benchmarks.translation import Format, format_of, kiro_request

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_KEY = re.compile(rb"(?i)\r\nx-api-key: *([^\r]*)")
_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_TEXT = b"assistantResponseEvent"
_SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_JSON = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


def _take_chunks(buffer: bytearray, into: bytearray) -> bool:
    """Move the data of the whole chunks in `buffer` to `into`; True once the last one was there."""
    at = 0
    done = False
    while (line := buffer.find(b"\r\n", at)) >= 0:
        size = int(buffer[at:line], 16)
        end = line + 2 + size
        if len(buffer) < end + 2:
            break
        into += memoryview(buffer)[line + 2 : end]
        at = end + 2
        if not size:
            done = True
            break
    del buffer[:at]
    return done


def _take_texts(buffer: bytearray) -> list[str]:
    """The texts of the whole frames in `buffer`, which are taken out of it."""
    source = bytes(buffer)
    at, texts = 0, []
    while len(source) - at >= 12:
        total, headers, prelude_crc = _PRELUDE.unpack_from(source, at)
        end = at + total
        if end > len(source):
            break
        whole = crc32(source[at : end - 4])
        if whole != _CRC.unpack_from(source, end - 4)[0] or crc32(source[at : at + 8]) != prelude_crc:
            raise ValueError("a damaged frame")
        body = at + 12 + headers
        if _TEXT in source[at + 12 : body]:
            texts.append(orjson.loads(source[body : end - 4])["content"])
        at = end
    del buffer[:at]
    return texts


class Client(asyncio.Protocol):
    """A client's connection: one request after the other."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._buffer = bytearray()
        self._head = b""
        self._need = 0
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes do not inherit

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None:
            self._answer.abandon()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._head:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = bytes(self._buffer[:end])
            length = _LENGTH.search(self._head)
            self._need = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < self._need:
            return
        head, body = self._head, bytes(self._buffer[len(self._head) + 4 : self._need])
        del self._buffer[: self._need]
        self._head = b""
        form = format_of(head.split(b" ", 2)[1])
        if form is None:
            self.write(_JSON % (200, 2, b"{}"))
            return
        key = _KEY.search(head)
        if key is None or not hmac.compare_digest(key[1], self._pool.key):
            self.write(_JSON % (401, 2, b"{}"))
            return
        document = orjson.loads(body)
        self._answer = self._pool.take()
        self._answer.begin(self, form, kiro_request(document), stream=document.get("stream", False))

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def finished(self) -> None:
        self._answer = None


class Answer(asyncio.Protocol):
    """A connection to the upstream, and the answer that runs over it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._client: Client | None = None
        self._form: Format | None = None
        self._raw, self._frames, self._texts = bytearray(), bytearray(), list[str]()
        self._begun = self._stream = self._left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes do not inherit
        if self._left:
            self._transport.abort()
        else:
            self._transport.write(self._waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)

    def begin(self, client: Client, form: Format, body: bytes, *, stream: bool) -> None:
        self._client, self._form, self._stream, self._begun = client, form, stream, False
        self._texts = []
        self._waiting = b"%b%d\r\n\r\n%b" % (self._pool.head, len(body), body)
        if self._transport is not None:
            self._transport.write(self._waiting)

    def abandon(self) -> None:
        self._left = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        client, form = self._client, self._form
        if client is None or form is None:
            return
        self._raw += data
        said = b""
        if not self._begun:
            end = self._raw.find(b"\r\n\r\n")
            if end < 0:
                return
            del self._raw[: end + 4]
            self._begun = True
            if self._stream:
                said = form.begin
                client.write(_SSE)
        done = _take_chunks(self._raw, self._frames)
        texts = _take_texts(self._frames)
        sent = len(self._texts)
        self._texts += texts
        if self._stream and (said or texts or done):
            said += form.deltas(texts, sent) + (form.end(self._texts) if done else b"")
            client.write(b"%x\r\n%b\r\n%b" % (len(said), said, b"0\r\n\r\n" if done else b""))
        if done:
            if not self._stream:
                whole = form.document(self._texts)
                client.write(_JSON % (200, len(whole), whole))
            client.finished()
            self._client = None
            self._pool.put(self)


class Pool:
    """Connections to the upstream that are free."""

    def __init__(self, port: int, key: bytes, token: str) -> None:
        self.key = key
        self.head = (
            f"POST /generateAssistantResponse HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
            "content-type: application/json\r\ntokentype: API_KEY\r\ncontent-length: "
        ).encode()
        self._port = port
        self._free: list[Answer] = []
        self._connecting: set[asyncio.Task[object]] = set()

    def take(self) -> Answer:
        if self._free:
            return self._free.pop()
        answer = Answer(self)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(loop.create_connection(lambda: answer, "127.0.0.1", self._port))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return answer

    def put(self, answer: Answer) -> None:
        self._free.append(answer)

    def forget(self, answer: Answer) -> None:
        if answer in self._free:
            self._free.remove(answer)


async def _main(upstream: int, key: str, token: str) -> None:
    pool = Pool(upstream, key.encode(), token)
    server = await asyncio.get_running_loop().create_server(lambda: Client(pool), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
