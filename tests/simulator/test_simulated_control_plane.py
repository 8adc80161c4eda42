"""Models, profiles, usage and web search, in every flavour."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulated import Answer, Client, connected

from kirotrio.simulator import (
    BUILDER_ID_ARN,
    DEMO_ACCESS_TOKEN,
    DEMO_API_KEY,
    SOCIAL_ARN,
    Account,
    Kind,
    Simulator,
    identity_center_account,
)

CODEWHISPERER = "AmazonCodeWhispererService"
MANAGEMENT = "KiroControlPlaneBearerService"


async def rpc(client: Client, target: str, document: Any, token: str = DEMO_ACCESS_TOKEN, **headers: str) -> Answer:
    fields = {"authorization": f"Bearer {token}", "x_amz_target": target, "content_type": "application/x-amz-json-1.0"}
    return await client.call("POST", "/", document, **{**fields, **headers})


async def rest(client: Client, path: str, document: Any, token: str = DEMO_ACCESS_TOKEN, **headers: str) -> Answer:
    fields = {"authorization": f"Bearer {token}", "content_type": "application/json"}
    return await client.call("POST", path, document, **{**fields, **headers})


async def test_models_over_rest_come_without_schemas(client: Client) -> None:
    document = (await client.get("/ListAvailableModels?origin=AI_EDITOR&maxResults=50")).json()
    models = {model["modelId"]: model for model in document["models"]}
    assert document["defaultModel"]["modelId"] == "auto"
    assert models["claude-sonnet-4.5"]["tokenLimits"]["maxInputTokens"] == 200_000
    assert models["claude-opus-5.5"]["tokenLimits"]["maxInputTokens"] == 1_000_000
    assert models["gpt-5.6-sol"]["tokenLimits"]["maxInputTokens"] == 272_000
    assert set(models["claude-haiku-4.5"]) >= {"modelName", "rateMultiplier", "rateUnit", "supportedInputTypes"}
    assert not any("additionalModelRequestFieldsSchema" in model or "simulated" in model for model in models.values())


@pytest.mark.parametrize("way", ["target", "path"])
async def test_the_management_host_shows_the_schemas(client: Client, way: str) -> None:
    if way == "target":
        answer = await rpc(client, f"{MANAGEMENT}.ListAvailableModels", {"origin": "AI_EDITOR"})
    else:
        answer = await client.get("/List-Available-Models?origin=AI_EDITOR")
    models = {model["modelId"]: model for model in answer.json()["models"]}
    thinking = models["claude-opus-5.5"]["additionalModelRequestFieldsSchema"]["properties"]["thinking"]
    assert thinking["properties"]["type"]["enum"] == ["adaptive"]
    assert "additionalModelRequestFieldsSchema" not in models["claude-sonnet-4.5"]


async def test_models_come_in_pages(client: Client) -> None:
    target = f"{CODEWHISPERER}.ListAvailableModels"
    found: list[str] = []
    token = ""
    while True:
        members = {"origin": "AI_EDITOR", "maxResults": 8, **({"nextToken": token} if token else {})}
        page = (await rpc(client, target, members)).json()
        found += [model["modelId"] for model in page["models"]]
        token = page.get("nextToken", "")
        if not token:
            break
    assert len(found) == len(set(found)) > 16
    assert (await rpc(client, target, {"maxResults": 8})).status == 400, "origin is required"
    for wrong in ({"maxResults": 0}, {"maxResults": "x"}, {"nextToken": "page-x"}):
        assert (await rpc(client, target, {"origin": "AI_EDITOR", **wrong})).status == 400


async def test_a_plan_lists_its_own_models(nursery: trio.Nursery) -> None:
    account = Account("free", access_token="t", models=frozenset({"auto", "glm-5"}))
    client = connected(Simulator(accounts=[account]), nursery)
    document = (await client.get("/ListAvailableModels?origin=AI_EDITOR", token="t")).json()
    assert [model["modelId"] for model in document["models"]] == ["auto", "glm-5"]


async def test_profiles(nursery: trio.Nursery) -> None:
    centre = identity_center_account("centre", refresh_token="r" * 120, client_id="c", client_secret="s")
    centre.access_token = "centre"
    builder = Account("builder", Kind.BUILDER_ID, access_token="builder")
    client = connected(Simulator(accounts=[centre, builder]), nursery)
    for answer in (
        await rest(client, "/ListAvailableProfiles", {}, token="centre"),
        await rpc(client, f"{CODEWHISPERER}.ListAvailableProfiles", {"maxResults": 10}, token="centre"),
        await rpc(client, f"{MANAGEMENT}.ListAvailableProfiles", {}, token="centre"),
    ):
        assert [profile["arn"] for profile in answer.json()["profiles"]] == list(centre.profiles)
    refused = await rest(client, "/ListAvailableProfiles", {}, token="builder")
    assert refused.status == 403
    assert "unsupported" in refused.json()["message"]


async def test_usage(client: Client) -> None:
    document = (await client.get("/getUsageLimits?origin=AI_EDITOR&resourceType=AGENTIC_REQUEST")).json()
    assert document["subscriptionInfo"]["subscriptionTitle"] == "KIRO FREE"
    assert document["usageBreakdownList"][0]["resourceType"] == "CREDIT"
    key = await client.get("/getUsageLimits?origin=AI_EDITOR", token=DEMO_API_KEY, tokentype="API_KEY")
    assert key.json()["subscriptionInfo"]["subscriptionTitle"] == "Kiro Pro"
    assert (await rpc(client, f"{CODEWHISPERER}.GetUsageLimits", {"origin": "AI_EDITOR"})).status == 200


async def test_management_wants_the_profile_for_usage(client: Client) -> None:
    target = f"{MANAGEMENT}.GetUsageLimits"
    refused = await rpc(client, target, {"origin": "AI_EDITOR"})
    assert (refused.status, refused.json()["message"]) == (400, "Invalid profileArn.")
    assert refused.json()["__type"].startswith("com.amazon.kiro.controlplane#")
    assert (await rpc(client, target, {"origin": "AI_EDITOR", "profileArn": SOCIAL_ARN})).status == 200


async def test_the_builder_placeholder_is_refused_in_queries(nursery: trio.Nursery) -> None:
    builder = Account("builder", Kind.BUILDER_ID, access_token="builder")
    client = connected(Simulator(accounts=[builder]), nursery)
    path = f"/getUsageLimits?origin=AI_EDITOR&profileArn={BUILDER_ID_ARN}"
    assert (await client.get(path, token="builder")).status == 403


@pytest.mark.parametrize("path", ["/ListAvailableModels?origin=AI_EDITOR", "/getUsageLimits?origin=AI_EDITOR"])
async def test_every_data_call_needs_a_valid_token(client: Client, simulator: Simulator, path: str) -> None:
    simulator.expire_access_tokens()
    assert (await client.get(path)).status == 403


# -- web search ----------------------------------------------------------------------------------------------------


def search(query: Any = "latest Go release", **members: Any) -> dict[str, Any]:
    parameters = {"name": "web_search", "arguments": {"query": query}}
    return {"jsonrpc": "2.0", "id": "id-1", "method": "tools/call", "params": parameters, **members}


@pytest.mark.parametrize(
    "target", ["", "AmazonCodeWhispererStreamingService.InvokeMCP", "KiroRuntimeService.InvokeMCP"]
)
async def test_web_search(client: Client, target: str) -> None:
    answer = await (rpc(client, target, search()) if target else rest(client, "/mcp", search()))
    document = answer.json()
    assert document["id"] == "id-1"
    assert document["result"]["isError"] is False
    found = json.loads(document["result"]["content"][0]["text"])
    assert found["query"] == "latest Go release"
    assert found["totalResults"] == len(found["results"]) == 2


async def test_the_other_methods(client: Client) -> None:
    tools = (await rest(client, "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).json()
    assert [tool["name"] for tool in tools["result"]["tools"]] == ["web_search"]
    assert "result" in (await rest(client, "/mcp", {"jsonrpc": "2.0", "id": 2, "method": "initialize"})).json()
    assert "result" in (await rest(client, "/mcp", {"method": "notifications/initialized"})).json()
    unknown = (await rest(client, "/mcp", {"jsonrpc": "2.0", "id": 3, "method": "resources/list"})).json()
    assert unknown["error"]["code"] == -32601


@pytest.mark.parametrize(
    "request_", [search("x" * 201), search(""), search(7), search(params=None), search(params={"name": "web_fetch"})]
)
async def test_wrong_parameters_are_a_json_rpc_error(client: Client, request_: dict[str, Any]) -> None:
    answer = await rest(client, "/mcp", request_)
    assert (answer.status, answer.json()["error"]["code"]) == (200, -32602)


async def test_a_search_obeys_controls_in_its_query(client: Client) -> None:
    assert (await rest(client, "/mcp", search("[[status=429]] go"))).status == 429
    assert [(await rest(client, "/mcp", search("[[fail_first=1]] go"))).status for _ in range(2)] == [500, 200]


async def test_the_profile_of_a_search_stands_in_a_header_or_in_the_runtimes_body(client: Client) -> None:
    foreign = "arn:aws:codewhisperer:us-east-1:111111111111:profile/ABC"
    assert (await rest(client, "/mcp", search(), x_amzn_kiro_profile_arn=foreign)).status == 403
    assert (await rest(client, "/mcp", search(), x_amzn_kiro_profile_arn=SOCIAL_ARN)).status == 200
    target = "KiroRuntimeService.InvokeMCP"
    assert (await rpc(client, target, search(profileArn=foreign))).status == 403
    assert (await rpc(client, target, search(profileArn=SOCIAL_ARN))).status == 200
