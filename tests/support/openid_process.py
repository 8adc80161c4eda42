"""A real OpenID provider from the package index, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from attrs import frozen


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@frozen
class OpenIdProcess:
    url: str

    def register(self, redirect_uri: str) -> tuple[str, str]:
        """A new client of the provider: its id and secret."""
        answer = httpx.post(
            f"{self.url}/oauth2/clients",
            json={"redirect_uris": [redirect_uri], "token_endpoint_auth_method": "client_secret_basic"},
            trust_env=False,
        )
        answer.raise_for_status()
        found = answer.json()
        return found["client_id"], found["client_secret"]

    def knows(self, subject: str, **claims: object) -> None:
        httpx.put(f"{self.url}/users/{subject}", json=claims, trust_env=False).raise_for_status()


@contextmanager
def openid_process(folder: Path) -> Iterator[OpenIdProcess]:
    """It takes registered clients alone, and demands a nonce."""
    port = free_port()
    arguments = ["-m", "oidc_provider_mock", "--port", str(port), "--require-registration", "true"]
    arguments += ["--require-nonce", "true"]
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url, folder / "provider.log")
            yield OpenIdProcess(url)
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            httpx.get(f"{url}/.well-known/openid-configuration", trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)  # what another process does has no event here
        else:
            return
    raise AssertionError(log.read_text(errors="replace"))
