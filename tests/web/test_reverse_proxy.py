"""The nginx snippet of the README, as printed there, in front of the gateway."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import orjson
import pytest
import trio
from support.sse import names_of
from support.stack import KEY, question

README = Path(__file__).parents[2] / "README.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def snippet(port: int, upstream: int) -> str:
    """The README's server block, with a port of our own and without TLS, which needs a name of one's own."""
    (block,) = re.findall(r"```nginx\n(.*?)```", README.read_text(), re.DOTALL)
    for printed, ours in [
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("proxy_pass http://127.0.0.1:8000;", f"proxy_pass http://127.0.0.1:{upstream};"),
    ]:
        assert printed in block, f"the README's snippet no longer says {printed!r}"
        block = block.replace(printed, ours)
    return str(block)


def launch(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([str(NGINX), "-c", folder / "nginx.conf", "-p", folder])


@pytest.fixture
def nginx(tmp_path):
    started: list[subprocess.Popen[bytes]] = []

    async def start(upstream: int) -> str:
        with trio.socket.socket() as probe:
            await probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folder = tmp_path / "nginx"
        folder.mkdir()
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; gzip on; gzip_types *;\n{paths}{snippet(port, upstream)}}}\n"
        )
        started.append(launch(folder))
        with trio.fail_after(20):
            while True:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    return f"http://127.0.0.1:{port}"
                except OSError:
                    assert started[0].poll() is None, (folder / "error.log").read_text()
                    await trio.sleep(0.02)

    yield start
    for process in started:
        process.terminate()
        process.wait()


async def test_a_stream_passes_piece_by_piece(stack, nginx):
    async with stack() as s:
        base = await nginx(s.port)
        async with httpx.AsyncClient(base_url=base, headers={"x-api-key": KEY}, trust_env=False, timeout=30) as http:
            body = question("[[events=6 gap_ms=80]] x", stream=True)
            pieces, times = b"", []
            async with http.stream("POST", "/v1/messages", json=body) as answer:
                async for piece in answer.aiter_bytes():
                    pieces += piece
                    times.append(trio.current_time())
    assert names_of(pieces)[-1] == "message_stop"
    assert len(times) >= 4, "the proxy held the stream back and passed it on in one piece"


async def test_large_bodies_and_the_buffered_mode_pass(stack, nginx):
    async with stack() as s:
        base = await nginx(s.port)
        async with httpx.AsyncClient(base_url=base, headers={"x-api-key": KEY}, trust_env=False, timeout=60) as http:
            counted = await http.post("/v1/messages/count_tokens", json=question("word " * 300_000))
            assert counted.status_code == 200, "1.5 MB were refused on the way"
            buffered = await http.post("/cc/v1/messages", json=question(stream=True))
            assert names_of(buffered.content)[-1] == "message_stop"


async def test_a_client_that_leaves_the_proxy_leaves_the_upstream(stack, nginx):
    async with stack() as s:
        base = await nginx(s.port)
        body = orjson.dumps(question("[[stall_after=2]] x", stream=True))
        async with await trio.open_tcp_stream("127.0.0.1", int(base.rsplit(":", 1)[1])) as client:
            head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
            await client.send_all(head.encode() + body)
            await client.receive_some(65536)
        await s.wait_for_closed_stream()


async def test_the_proxy_says_whom_a_request_comes_from_and_clients_do_not(stack, nginx):
    async with stack(access={"trusted_proxies": "127.0.0.1", "deny": "127.0.0.2"}) as s:
        base = await nginx(s.port)
        for address, status in (("127.0.0.2", 403), ("127.0.0.3", 200)):
            transport = httpx.AsyncHTTPTransport(local_address=address)
            for claimed in ("192.0.2.1", "127.0.0.2", "127.0.0.2, 127.0.0.1", "nonsense,"):
                headers = {"x-api-key": KEY, "x-forwarded-for": claimed, "forwarded": f"for={claimed}"}
                async with httpx.AsyncClient(base_url=base, headers=headers, transport=transport) as http:
                    answer = await http.get("/v1/models")
                assert answer.status_code == status, f"from {address}, which says it is {claimed}"
