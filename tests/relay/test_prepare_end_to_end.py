"""Over real sockets from client to upstream: what is fetched and read is what the upstream is sent."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
import trio
from support.files import PNG, encrypted_pdf, pdf
from support.sites import Site, answer
from support.stack import question, running

FETCH = {"allow_networks": "127.0.0.0/8"}


def asking(*content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return question(**changes) | {"messages": [{"role": "user", "content": list(content)}]}


def at(kind: str, url: str) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "url", "url": url}}


def inline(content: bytes, media_type: str = "application/pdf") -> dict[str, Any]:
    data = base64.b64encode(content).decode()
    return {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}}


async def test_what_a_client_names_reaches_the_upstream(tmp_path):
    async with trio.open_nursery() as nursery:
        site = await Site().start(nursery)
        site.pages |= {
            "/a.png": [answer(PNG, content_type="image/png")],
            "/b.pdf": [answer(pdf("fetched words"), content_type="application/pdf")],
        }
        async with running(tmp_path, fetch=FETCH) as stack, stack.client() as client:
            body = asking(
                {"type": "text", "text": "Look"},
                at("image", f"{site.url}/a.png"),
                at("document", f"{site.url}/b.pdf"),
                inline(pdf("sent words")),
            )
            response = await client.post("/v1/messages", json=body)
            assert response.status_code == 200, response.text
            sent = orjson.loads((await stack.sent())[-1])["conversationState"]["currentMessage"]["userInputMessage"]
        nursery.cancel_scope.cancel()
    assert sent["images"] == [{"format": "png", "source": {"bytes": base64.b64encode(PNG).decode()}}]
    assert "fetched words" in sent["content"]
    assert "sent words" in sent["content"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_had_is_an_invalid_request_and_costs_nothing(tmp_path, stream):
    async with running(tmp_path) as stack, stack.client() as client:
        for part, said in (
            (at("image", "http://127.0.0.1:9/x"), "not an address of the public internet"),
            (inline(encrypted_pdf("x")), "protected by a password"),
        ):
            response = await client.post("/v1/messages", json=asking(part, stream=stream))
            assert response.status_code == 400, response.text
            error = response.json()["error"]
            assert error["type"] == "invalid_request_error"
            assert error["message"].startswith("messages.0.content.0.source")
            assert said in error["message"]
        assert not await stack.streams(), "the upstream was asked to generate"
