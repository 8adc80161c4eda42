"""A site on loopback that answers with exactly the bytes a test wants, and names that resolve to where a test wants."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any

import trio
from attrs import define, field


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """The bytes of one response; `content_type` becomes `content-type`."""
    fields = {"content_length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    return answer(status=status, location=to)


@define
class Site:
    """`pages`: path to what is sent, bytes after pauses in seconds; `inf` is silence until the client is gone.

    `heads` are the requests as they came, `sent` counts the bytes that clients took, `gone` the connections that ended.
    """

    pages: dict[str, list[bytes | float]] = field(factory=dict)
    heads: list[str] = field(factory=list)
    sent: int = 0
    gone: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self, nursery: trio.Nursery) -> Site:
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        self.port = int(listeners[0].socket.getsockname()[1])
        return self

    async def _serve(self, stream: trio.abc.Stream) -> None:
        if self.tls is not None:
            stream = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=True)
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            try:
                await self._answer(stream)
            finally:
                self.gone += 1
                await trio.aclose_forcefully(stream)

    async def _answer(self, stream: trio.abc.Stream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await stream.receive_some(65536)
            if not piece:
                return
            head += piece
        self.heads.append(head.decode("latin-1"))
        path = head.split(b" ")[1].partition(b"?")[0].decode()
        async with trio.open_nursery() as nursery:

            async def leave() -> None:
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    while await stream.receive_some(65536):
                        pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(leave)
            for step in self.pages.get(path, [answer(b"nothing here", "404 Not Found")]):
                if isinstance(step, bytes):
                    await stream.send_all(step)
                    self.sent += len(step)
                else:
                    await trio.sleep(step)
            nursery.cancel_scope.cancel()


@define
class Names(trio.abc.HostnameResolver):
    """Names to addresses; one that stands for several lists takes the next at every question."""

    known: dict[str, list[list[str]]]
    asked: list[str] = field(factory=list)

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, *_: Any, **__: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        answers = self.known.get(name)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port)))
            for address in addresses
        ]

    async def getnameinfo(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@contextlib.contextmanager
def resolving(**known: list[list[str]]) -> Iterator[Names]:
    """Within, `files_test` is what the host `files.test` resolves to."""
    names = Names({name.replace("_", "."): answers for name, answers in known.items()})
    before = trio.socket.set_custom_hostname_resolver(names)
    try:
        yield names
    finally:
        trio.socket.set_custom_hostname_resolver(before)
