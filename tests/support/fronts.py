"""Reverse proxies in front of gateways, by the very configurations that the documents print: nginx and Caddy.

What stands in a document for a name, a certificate or an address of its reader is replaced; everything else is run as
it is printed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

_ROOT = Path(__file__).parents[2]
_NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
_CADDY = shutil.which("caddy")

needs_nginx = pytest.mark.skipif(_NGINX is None, reason="nginx is not installed")
needs_caddy = pytest.mark.skipif(_CADDY is None, reason="caddy is not installed")


def printed(document: str, language: str, replaced: Mapping[str, str]) -> str:
    """The one block of this language in this document, with ours in the place of what is replaced."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", (_ROOT / document).read_text(), re.DOTALL)
    for theirs, ours in replaced.items():
        assert theirs in block, f"{document} no longer says {theirs!r}"
        block = block.replace(theirs, ours)
    return str(block)


@asynccontextmanager
async def nginx(folder: Path, document: str, gateways: Mapping[str, int], directives: str = "") -> AsyncIterator[str]:
    """nginx by the document's block, without TLS, which needs a name of one's own; its base URL.

    `gateways`: the port of ours for each address that is printed. `directives` stand beside the server.
    """
    assert _NGINX is not None
    port = await _free_port()
    block = printed(document, "nginx", {"listen 443 ssl;": f"listen 127.0.0.1:{port};"} | _addresses(gateways))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    _write(
        folder / "nginx.conf",
        f"daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {directives}\n{paths}{block}}}\n",
    )
    async with _running([_NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)], port, folder / "error.log"):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def caddy(folder: Path, document: str, gateways: Mapping[str, int]) -> AsyncIterator[str]:
    """Caddy, likewise; nothing of it stays. What it says is in the folder's `error.log`."""
    assert _CADDY is not None
    port = await _free_port()
    block = printed(document, "caddyfile", {"kiro.example.com {": f"http://127.0.0.1:{port} {{"} | _addresses(gateways))
    _write(folder / "Caddyfile", f"{{\n\tadmin off\n\tauto_https off\n}}\n{block}")
    command = [_CADDY, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    async with _running(command, port, folder / "error.log", {"HOME": str(folder)}):
        yield f"http://127.0.0.1:{port}"


def _write(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)


def _addresses(gateways: Mapping[str, int]) -> dict[str, str]:
    return {address: f"127.0.0.1:{port}" for address, port in gateways.items()}


async def _free_port() -> int:
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _running(
    command: list[str], port: int, said: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    process = _launch(command, said, environ)
    try:
        with trio.fail_after(30):
            while True:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    _check(process, said)
                    await trio.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _launch(command: list[str], said: Path, environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    with said.open("wb") as errors:
        return subprocess.Popen(command, env=environ, stderr=errors)


def _check(process: subprocess.Popen[bytes], said: Path) -> None:
    assert process.poll() is None, said.read_text()
