"""What is no request is refused in the form that its client reads, and the log can say why."""

from __future__ import annotations

import orjson
import pytest
import trio

OF_OPENAI = {"type": "invalid_request_error", "message": "illegal host", "param": None, "code": None}


async def refused(port: int, sent: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields and body of the answer that ends the connection."""
    with trio.fail_after(10):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(sent)
            answer = b"".join([piece async for piece in client])
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return int(first.split(b" ")[1]), dict(line.split(b": ", 1) for line in lines), body


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/cc/v1/responses", "/a/main/v1/chat/completions"])
async def test_a_host_that_is_none_is_refused_in_the_dialect_of_the_path(stack, path):
    async with stack() as s:
        status, fields, body = await refused(s.port, f"POST {path} HTTP/1.1\r\nhost: a<b\r\n\r\n".encode())
        lines = [(level, fields) for level, event, fields in s.log.lines if event == "no request"]
    assert status == 400
    assert orjson.loads(body) == {"error": OF_OPENAI}
    assert fields[b"connection"] == b"close"
    assert fields[b"content-length"] == b"%d" % len(body)
    assert fields[b"request-id"]
    ((level, line),) = lines
    assert (level, line["status"], line["reason"]) == ("debug", 400, "illegal host")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /v1/messages HTTP/1.1\r\nhost: a<b\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 70_000, 431),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 501),
    ],
)
async def test_what_cannot_be_read_has_a_reason(stack, sent, status):
    async with stack() as s:
        answered, _, body = await refused(s.port, sent)
    assert answered == status
    error = orjson.loads(body)
    assert error["type"] == "error"
    assert error["error"]["message"]


async def test_a_question_for_the_head_alone_has_no_body(stack):
    async with stack() as s:
        status, fields, body = await refused(s.port, b"HEAD / HTTP/1.1\r\nhost: a<b\r\n\r\n")
    assert (status, body) == (400, b"")
    assert int(fields[b"content-length"]) > 0


async def test_a_path_of_any_length_is_a_short_line(stack):
    async with stack() as s:
        await refused(s.port, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nhost: <\r\n\r\n")
        (line,) = [fields for _, event, fields in s.log.lines if event == "no request"]
    assert len(str(line)) < 500
