"""The list of models, as each client asks for it."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from support.stack import KEY


async def page(http: Any, path: str = "/v1/models") -> Any:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_both_paths_list_the_account_models_for_every_client(stack):
    async with stack() as s, s.client() as http:
        for prefix in ("/v1", "/cc/v1"):
            told = await page(http, f"{prefix}/models?client_version=0.169.0")
            assert told["object"] == "list"
            by_id = {model["id"]: model for model in told["data"]}
            assert by_id["claude-sonnet-4.5"]["object"] == by_id["claude-sonnet-4.5"]["type"] == "model"
            assert by_id["claude-sonnet-4.5"]["owned_by"] == "anthropic"
            codex = {model["slug"]: model for model in told["models"]}
            assert codex["gpt-5.6-sol"]["context_window"] == by_id["gpt-5.6-sol"]["max_input_tokens"]
            assert codex["gpt-5.6-sol"]["supported_reasoning_levels"]
            assert told["first_id"] == told["data"][0]["id"]
            assert told["has_more"] is False


async def test_other_makers_models_are_listed_and_answered_under_a_claude_name(stack):
    async with stack() as s, s.client() as http:
        told = await page(http)
        by_id = {model["id"]: model for model in told["data"]}
        assert by_id["claude-gpt-5.6-sol"]["display_name"] == "GPT 5.6 Sol via Kiro"
        assert not any(model["slug"] == "claude-gpt-5.6-sol" for model in told["models"]), "Codex needs no second name"
        others = [name for name in by_id if not name.startswith("claude-")]
        assert all(f"claude-{name}" in by_id for name in others), "Claude Code's picker shows no other names"
        body = {"model": "claude-gpt-5.6-sol", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
        assert (await http.post("/v1/messages", json=body)).status_code == 200
        sent = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
    message = sent[0]["body"]["conversationState"]["currentMessage"]["userInputMessage"]
    assert message["modelId"] == "gpt-5.6-sol"


async def test_claude_names_can_be_switched_off(stack):
    async with stack(models={"claude_aliases": False}) as s, s.client() as http:
        ids = [model["id"] for model in (await page(http))["data"]]
    assert "gpt-5.6-sol" in ids
    assert "claude-gpt-5.6-sol" not in ids


async def test_the_owners_own_names_are_listed(stack):
    alias = {"Fast": "claude-haiku-4-5", "claude-glm-5": "opus", "lost": "no such model", "a": "b", "b": "a"}
    async with stack(models={"alias": alias}) as s, s.client() as http:
        told = await page(http)
        by_id = {model["id"]: model for model in told["data"]}
        one = await page(http, "/v1/models/fast")
    assert by_id["Fast"]["display_name"] == "Claude Haiku 4.5 (Fast)"
    assert one == by_id["Fast"]
    assert "Opus" in by_id["claude-glm-5"]["display_name"], "an own name goes before one that we made up"
    assert not {"lost", "a", "b"} & set(by_id), "what leads nowhere is not offered"
    assert "Fast" in [model["slug"] for model in told["models"]]


async def test_one_model_is_found_by_any_of_its_names(stack):
    async with stack() as s, s.client() as http:
        for name, found in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
            ("anthropic/claude-sonnet-4.5", "claude-sonnet-4.5"),
            ("claude-glm-5", "claude-glm-5"),
            ("GLM-5", "glm-5"),
        ]:
            assert (await page(http, f"/v1/models/{name}"))["id"] == found


async def test_pages_are_anthropics(stack):
    async with stack() as s, s.client() as http:
        whole = [model["id"] for model in (await page(http))["data"]]
        first = await page(http, "/v1/models?limit=3")
        assert first["has_more"] is True
        rest = await page(http, f"/v1/models?limit=1000&after_id={first['last_id']}")
        assert [model["id"] for model in first["data"] + rest["data"]] == whole
        before = await page(http, f"/v1/models?limit=2&before_id={whole[3]}")
        assert [model["id"] for model in before["data"]] == whole[1:3]
        for wrong in ("limit=0", "limit=x", "limit=1001", "after_id=nothing"):
            refused = await http.get(f"/v1/models?{wrong}")
            assert refused.status_code == 400
            assert refused.json()["error"]["param"] == wrong.partition("=")[0]


@pytest.mark.parametrize("path", ["/v1/models/no-such-model", "/v1/no-such-path"])
async def test_errors_of_shared_paths_go_by_the_header(stack, path):
    async with stack() as s, s.client() as http:
        plain = await http.get(path)
        anthropic_form = await http.get(path, headers={"anthropic-version": "2023-06-01"})
    assert plain.status_code == anthropic_form.status_code == 404
    assert plain.json()["error"]["type"] == "invalid_request_error"
    assert "type" not in plain.json()
    assert anthropic_form.json()["type"] == "error"
    assert anthropic_form.json()["error"]["type"] == "not_found_error"


async def test_both_sdks_list_and_page(stack):
    async with stack() as s:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{s.url}/v1") as client:
            listed = [model async for model in client.models.list()]
            one = await client.models.retrieve("claude-sonnet-4-5")
            with pytest.raises(openai.NotFoundError) as caught:
                await client.models.retrieve("no-such-model")
        async with anthropic.AsyncAnthropic(auth_token=KEY, base_url=s.url) as other:
            paged = [model async for model in other.models.list(limit=4)]
            with pytest.raises(anthropic.NotFoundError):
                await other.models.retrieve("no-such-model")
    assert [model.id for model in listed] == [model.id for model in paged]
    assert (one.id, one.object) == ("claude-sonnet-4.5", "model")
    assert caught.value.code == "model_not_found"
