"""Requests that real clients sent, word for word: decoded, relayed and answered, over sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from check_sse import SDK, check, check_json
from support.stack import Stack, running

from kirotrio.kiro.lint import violations
from kirotrio.store.responses import StoredResponse

SAMPLES = {
    path.stem: orjson.loads(path.read_bytes())
    for path in sorted((Path(__file__).parents[1] / "data" / "clients").glob("*.json"))
}
KINDS = {"/v1/messages": "anthropic", "/v1/chat/completions": "chat", "/v1/responses": "responses"}

assert all(SDK.get(kind) for kind in KINDS.values()), "without the SDKs' models the validator shows less than it says"
assert len(SAMPLES) == 19


def remember_references(stack: Stack, body: dict[str, Any]) -> None:
    """Store, for the caller, the items that a sample refers to: an earlier answer of ours had them."""
    wanted = [item["id"] for item in body.get("input", []) if item["type"] == "item_reference"]
    output = [
        {
            "id": item_id,
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I will run it.", "annotations": []}],
        }
        for item_id in wanted
    ]
    if output:
        stack.gateway.responses.put("test", StoredResponse({"id": "resp_earlier", "output": output}, (), None))


@pytest.mark.parametrize("prefix", ["", "/cc"], ids=["live", "buffered"])
@pytest.mark.parametrize("sample", SAMPLES)
async def test_a_recorded_request_is_answered(tmp_path: Path, sample: str, prefix: str) -> None:
    recorded = SAMPLES[sample]
    body, path = recorded["body"], recorded["path"]
    kind = KINDS[path.partition("?")[0]]
    headers = {
        name: value
        for name, value in recorded["headers"].items()
        if name.lower() not in ("authorization", "x-api-key", "accept-encoding", "content-length", "host")
    }
    async with running(tmp_path) as s, s.client(headers=headers) as http:
        if kind == "responses" and isinstance(body["input"], list):
            remember_references(s, {"input": [item for item in body["input"] if "type" in item]})
        answer = await http.post(prefix + path, content=orjson.dumps(body))
        sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
        searched = [r for r in await s.requests() if r["path"].endswith("/mcp")]
    if "thread" in body:
        # Message threads are not kept: this answer makes the SDK send the whole conversation (CLIENTS A).
        assert answer.status_code == 400
        assert answer.json()["error"]["details"]["error_code"] == "thread_unsupported_request"
        return
    assert answer.status_code == 200, answer.text
    problems = check(kind, answer.content) if body.get("stream") else check_json(kind, answer.json())
    assert not problems, problems
    assert sent or searched, "the answer did not come from the upstream"
    for request in sent:
        found = violations(request["body"])
        assert not found, f"what was sent upstream: {found}"
