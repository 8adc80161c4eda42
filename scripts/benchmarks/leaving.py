"""S5: from the moment a client leaves to the moment the simulator sees its own connection closed."""

from __future__ import annotations

import socket
import statistics
import struct
import time
from typing import Any

import orjson

from benchmarks import bodies
from benchmarks.processes import Program

STATES = {"flowing": "events=100000 gap_ms=2 size=20", "silent": "events=2 stall_after=2", "no head": "no_head=1"}
MODES = {"live": ("messages", True), "buffered": ("cc", True), "json": ("messages", False)}
_BEGUN = {"flowing": "streaming", "silent": "stalled", "no head": "before_head"}
"""What the simulator says of a stream that has come so far."""
_SETTLED = 0.03
"""Seconds for what the gateway does with it, so that the leaving alone is measured."""
_TIMEOUT = 8.0


def ask(
    port: int, path: str, *, key: str = "", body: bytes = b"", method: str = "", timeout: float = _TIMEOUT
) -> tuple[int, bytes]:
    """One small request on a connection of its own: its status and its body. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        method = method or ("POST" if body else "GET")
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        data = b""
        while not _whole(data) and (more := connection.recv(65536)):
            data += more
    head_bytes, _, rest = data.partition(b"\r\n\r\n")
    if not head_bytes:
        raise ConnectionResetError(f"no answer to {path}")
    return int(head_bytes.split(b" ", 2)[1]), rest


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(end) and (len(body) >= int(length) if length else body.endswith(b"0\r\n\r\n"))


def leave(target: Program, simulator: Program, state: str, rounds: int, *, reset: bool) -> dict[str, list[float]]:
    """By mode, how many milliseconds each of so many leavings took; eight seconds where it was never seen."""
    return {mode: [_leave_once(target, simulator, mode, state, reset=reset) for _ in range(rounds)] for mode in MODES}


def summary(state: str, how: str, times: dict[str, list[float]]) -> dict[str, float]:
    """The mode with the worst median, each mode's median, and the worst leaving of all."""
    medians = {mode: statistics.median(those) for mode, those in times.items()}
    name = f"{state} {how}"
    each = {f"{name} {mode}": median for mode, median in medians.items()}
    return {name: max(medians.values()), **each, f"{name} worst": max(max(those) for those in times.values())}


def _leave_once(target: Program, simulator: Program, mode: str, state: str, *, reset: bool) -> float:
    api, stream = MODES[mode]
    ask(simulator.port, "/_sim/streams", method="DELETE")
    body = bodies.simulated(api, STATES[state], stream=stream)
    head = f"POST {bodies.PATHS[api]} HTTP/1.1\r\nhost: x\r\nx-api-key: {target.key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", target.port), timeout=_TIMEOUT)
    try:
        client.sendall(head.encode() + body)
        _seen(simulator, "phase", _BEGUN[state])
        time.sleep(_SETTLED)  # the state to leave from has to last for a moment
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
        gone = _seen(simulator, "state", "closed_by_peer")["closed"]["monotonic"]
    except TimeoutError:
        return _TIMEOUT * 1000
    return float(gone - left) * 1000


def _seen(simulator: Program, member: str, value: str) -> dict[str, Any]:
    """The newest stream, once the simulator says that of it. Raises TimeoutError."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        streams = orjson.loads(ask(simulator.port, "/_sim/streams")[1])
        if streams and streams[-1][member] == value:
            newest: dict[str, Any] = streams[-1]
            return newest
        time.sleep(0.005)  # the ledger is asked for; it tells nobody
    raise TimeoutError(f"no stream whose {member} is {value}")
