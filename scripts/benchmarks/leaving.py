"""S5: from the moment a client leaves to the moment the upstream sees its own connection closed."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from typing import Any

import orjson

from benchmarks import bodies
from benchmarks.processes import Program

STATES = {"flowing": "events=100000 gap_ms=2", "silent": "events=2 stop=stall", "no-head": "stop=head"}
MODES = {"live": ("messages", True), "buffered": ("cc", True), "json": ("messages", False)}
_numbers = itertools.count(1)
_SETTLED = 0.03
_TIMEOUT = 8.0


def ask(port: int, path: str, *, key: str = "", body: bytes = b"", timeout: float = _TIMEOUT) -> tuple[int, bytes]:
    """One small request on a connection of its own: its status and its body. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        method = "POST" if body else "GET"
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        data = b""
        while not _whole(data) and (more := connection.recv(65536)):
            data += more
    head_bytes, _, rest = data.partition(b"\r\n\r\n")
    return int(head_bytes.split(b" ", 2)[1]), rest


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(end) and (len(body) >= int(length) if length else body.endswith(b"0\r\n\r\n"))


def state(upstream: int) -> dict[str, Any]:
    """What the upstream has open."""
    answer: dict[str, Any] = orjson.loads(ask(upstream, "/_bench/state")[1])
    return answer


def leave_once(target: Program, upstream: int, mode: str, situation: str, *, reset: bool) -> float:
    """Milliseconds from leaving to the upstream's knowing it; eight seconds where it does not get to know."""
    api, stream = MODES[mode]
    name = f"leave{next(_numbers)}"
    body = bodies.question(api, f"{STATES[situation]} id={name}", stream=stream)
    head = f"POST {bodies.PATHS[api]} HTTP/1.1\r\nhost: x\r\nx-api-key: {target.key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", target.port), timeout=_TIMEOUT)
    try:
        client.sendall(head.encode() + body)
        ask(upstream, f"/_bench/wait?id={name}")
        time.sleep(_SETTLED)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            # What was not read would turn the FIN into an RST.
            client.setblocking(False)
            try:
                while client.recv(65536):
                    pass
            except BlockingIOError:
                pass
        left = time.monotonic()
    finally:
        client.close()
    try:
        gone = orjson.loads(ask(upstream, f"/_bench/gone?id={name}")[1])["at"]
    except TimeoutError:
        return _TIMEOUT * 1000
    return float(gone - left) * 1000
