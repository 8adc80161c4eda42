"""leave_times.py [ROUNDS]: from the moment a client leaves to the moment the upstream sees its connection closed.

The gateway is a process of its own; upstream (the simulator) and clients are in this one, so both moments are read
from one clock. Prints one row per mode and state: median and worst of ROUNDS (default 20), for a FIN and for an RST.
Exits 1 where a median is 10 ms or more.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import httpx
import orjson
import trio

from kirotrio.simulator import DEMO_REFRESH_TOKEN, Simulator

KEY = "sk-kt-for-measuring-only"
STATES = {
    "data flowing": "[[events=100000 size=20 gap_ms=2]]",
    "upstream silent": "[[stall_after=2]]",
    "no head yet": "[[no_head=1]]",
}
MODES = {"live": ("/v1/messages", True), "buffered": ("/cc/v1/messages", True), "non-stream": ("/v1/messages", False)}
CEILING_MS = 10.0


async def leave_once(port: int, mode: str, state: str, *, reset: bool, upstream: httpx.AsyncClient) -> float:
    """Milliseconds between leaving and the upstream's knowing it."""
    path, stream = MODES[mode]
    body = orjson.dumps(
        {
            "model": "claude-sonnet-4.5",
            "max_tokens": 1_000_000,
            "stream": stream,
            "messages": [{"role": "user", "content": f"{STATES[state]} hi"}],
        }
    )
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    before = len((await upstream.get("/_sim/streams")).json())
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(head.encode() + body)
    with trio.fail_after(20):
        while len((await upstream.get("/_sim/streams")).json()) <= before:
            await trio.sleep(0.005)
    await trio.sleep(0.05)  # so that all of it has settled, and only the leaving is measured
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    left = time.monotonic()
    client.close()
    with trio.fail_after(20):
        while True:
            newest = (await upstream.get("/_sim/streams")).json()[-1]
            if newest["state"] == "closed_by_peer":
                return float((newest["closed"]["monotonic"] - left) * 1000)
            await trio.sleep(0.005)


async def measure(rounds: int) -> int:
    slow = False
    async with trio.open_nursery() as nursery:
        url = await nursery.start(Simulator().serve, "127.0.0.1", 0)
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "KIROTRIO_DATA_DIR": folder,
                "KIROTRIO_API_KEY": KEY,
                "KIROTRIO_UPSTREAM_URL": url,
                "KIROTRIO_AUTH_URL": url,
                "KIROTRIO_ACCOUNTS_REFRESH_TOKEN": DEMO_REFRESH_TOKEN,
                "KIROTRIO_LOG_LEVEL": "error",
            }
            gateway = subprocess.Popen(
                [sys.executable, "-m", "kirotrio", "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE
            )
            try:
                assert gateway.stdout is not None
                ready = (await trio.to_thread.run_sync(gateway.stdout.readline)).decode()
                port = int(ready.rsplit(":", 1)[1])
                print(f"{'mode':<12}{'state':<18}{'FIN median':>12}{'worst':>8}{'RST median':>12}{'worst':>8}   ms")
                async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as upstream:
                    for mode in MODES:
                        for state in STATES:
                            row = f"{mode:<12}{state:<18}"
                            for reset in (False, True):
                                times = [
                                    await leave_once(port, mode, state, reset=reset, upstream=upstream)
                                    for _ in range(rounds)
                                ]
                                slow = slow or statistics.median(times) >= CEILING_MS
                                row += f"{statistics.median(times):>12.2f}{max(times):>8.2f}"
                            print(row, flush=True)
            finally:
                gateway.terminate()
                await trio.to_thread.run_sync(gateway.wait)
        nursery.cancel_scope.cancel()
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(trio.run(measure, int(sys.argv[1]) if len(sys.argv) > 1 else 20))
