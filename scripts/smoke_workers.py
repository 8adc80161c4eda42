"""smoke_workers.py BINARY: does the built executable share a port among workers, and start one that dies again?"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

TOKEN = "aorSimulatorRefreshToken" + "0123456789abcdef" * 8 + ":demo"
QUESTION = {
    "model": "claude-sonnet-4.5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "[[events=5 gap_ms=50]] hi"}],
}
_PATIENCE = 60.0
_FAMILY = 3
"""Children of the process that forks: the desk and two workers."""


def until(what: Callable[[], object], of: str) -> None:
    ends = time.monotonic() + _PATIENCE
    while not what():
        if time.monotonic() > ends:
            sys.exit(f"workers: {of} did not come")
        time.sleep(0.05)  # what is waited for is another process


def ask(url: str, key: str) -> int:
    headers = {"x-api-key": key, "content-type": "application/json"}
    asked = urllib.request.Request(f"{url}/v1/messages", json.dumps(QUESTION).encode(), headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return int(answer.status)


def children(pid: int) -> list[int]:
    """Of the process that forks: in a one-file executable that is a child of the one that was started."""
    try:
        found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children(found[0]) if len(found) == 1 else found


def a_worker(found: list[int]) -> int:
    """One of the workers: they are started after the desk. Exits where that cannot be told."""
    if len(found) != _FAMILY:
        sys.exit(f"workers: a desk and two workers were to be found under the gateway, and {len(found)} processes were")
    return found[-1]


def answered_by(log: Path) -> set[int]:
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {line["worker"] for line in said if line["event"] == "request finished"}


def main(binary: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kirotrio-smoke-") as name:
        folder = Path(name)
        out, log, upstream = folder / "out", folder / "log", folder / "upstream"
        environment = {"HOME": name, "TMPDIR": name, "KIROTRIO_DATA_DIR": f"{name}/data"}
        with out.open("w") as stdout, log.open("w") as stderr, upstream.open("w") as simulated:
            simulator = subprocess.Popen([binary, "simulate", "--port", "0"], env=environment, stdout=simulated)
            until(lambda: re.search(r"http://\S+", upstream.read_text()), "the simulator")
            (address,) = re.findall(r"http://\S+", upstream.read_text())[:1]
            environment |= {"KIROTRIO_UPSTREAM_URL": address, "KIROTRIO_AUTH_URL": address, "REFRESH_TOKEN": TOKEN}
            command = [binary, "serve", "--port", "0", "--workers", "2", "--log-format", "json"]
            gateway = subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr)
            try:
                until(
                    lambda: "ANTHROPIC_BASE_URL" in out.read_text() or gateway.poll() is not None,
                    "the ready line with what to paste",
                )
                ready = re.match(r"kirotrio ready on (\S+)", out.read_text())
                if ready is None:
                    sys.exit(f"workers: not ready: {out.read_text()}{log.read_text()}")
                url, key = ready[1], (folder / "data" / "client-key").read_text().strip()
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    statuses = set(pool.map(lambda _: ask(url, key), range(16)))
                if statuses != {200} or answered_by(log) != {1, 2}:
                    sys.exit(f"workers: {statuses}, answered by {answered_by(log)}\n{log.read_text()}")
                before = children(gateway.pid)
                os.kill(a_worker(before), signal.SIGKILL)
                until(lambda: len(children(gateway.pid)) == _FAMILY and children(gateway.pid) != before, "another one")
                ask(url, key)
                gateway.send_signal(signal.SIGTERM)
                if gateway.wait(timeout=_PATIENCE):
                    sys.exit(f"workers: exit code {gateway.returncode}\n{log.read_text()}")
                print("workers: two answered, one was killed and replaced, all stopped")
            finally:
                for program in (gateway, simulator):
                    program.terminate()  # not killed: what unpacks the executable passes on only what it can catch
                    program.wait(timeout=_PATIENCE)


if __name__ == "__main__":
    main(sys.argv[1])
