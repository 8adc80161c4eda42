"""HTTP errors: every one of KIRO_PROTOCOL 4 can be had, in the words and the form of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from simulated import RPC_TARGET, RUNTIME_TARGET, Client, body, connected

from kirotrio.config.settings import SimulatorSettings
from kirotrio.simulator import Simulator

BODIES = Path(__file__).parents[1] / "data" / "kiro" / "error_bodies.jsonl"
RECORDED = [row for row in map(json.loads, BODIES.read_text().splitlines()) if not row.get("oidc")]
# What a person writes to get the recorded answer of that number in the file.
SPELLINGS = [
    "CONTENT_LENGTH_EXCEEDS_THRESHOLD",
    "400",
    "INVALID_MODEL_ID",
    "INVALID_MODEL",
    "TOOL_USE_RESULT_MISMATCH",
    "INVALID_TOOL_USE_FORMAT",
    "THINKING_SIGNATURE_INVALID",
    "INVALID_PROFILE_ARN",
    "MONTHLY_REQUEST_COUNT",
    "OVERAGE_REQUEST_LIMIT_EXCEEDED",
    "400:MONTHLY_REQUEST_COUNT",
    "403",
    "TOKEN_EXPIRED",
    "SUSPENDED",
    "TEMPORARILY_SUSPENDED",
    "CREDIT_CONSUMPTION_RATE_EXCEEDED",
    "SUSPICIOUS_ACTIVITY",
    "HIGH_LOAD",
    "SERVICE_UNAVAILABLE",
]


@pytest.mark.parametrize(("row", "spelling"), list(zip(RECORDED, SPELLINGS, strict=True)), ids=SPELLINGS)
async def test_every_recorded_error_can_be_had(client: Client, row: dict[str, Any], spelling: str) -> None:
    answer = await client.generate(f"[[status={spelling}]]", target=RUNTIME_TARGET)
    said, recorded = answer.json(), row["body"]
    assert answer.status == row["status"]
    assert said["message"] == recorded["message"]
    assert said["reason"] == recorded.get("reason")
    assert said.get("retryAfterMilliseconds") == recorded.get("retryAfterMilliseconds")
    if "__type" in recorded:
        assert said["__type"].rpartition("#")[2] == recorded["__type"].rpartition("#")[2]


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 413, 423, 429, 500, 502, 503, 504, 524, 418, 599]
)
async def test_every_number_is_answered(client: Client, status: int) -> None:
    answer = await client.generate(f"[[status={status}]]")
    assert answer.status == status
    assert set(answer.json()) >= {"message", "reason"}


@pytest.mark.parametrize(
    "reason",
    [
        "INSUFFICIENT_MODEL_CAPACITY",
        "USER_REQUEST_RATE_EXCEEDED",
        "SERVICE_REQUEST_RATE_EXCEEDED",
        "DAILY_REQUEST_COUNT",
        "WEEKLY_REQUEST_COUNT",
        "HOURLY_REQUEST_COUNT",
        "USAGE_LIMIT_REACHED",
        "CONVERSATION_LIMIT_EXCEEDED",
        "MODEL_TEMPORARILY_UNAVAILABLE",
        "FEATURE_NOT_SUPPORTED",
        "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS",
        "UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS",
        "TOOL_SCHEMA_INVALID",
        "TOOL_CONFIG_MISSING",
        "IMAGE_COUNT_EXCEEDED",
        "REQUEST_BODY_INVALID",
        "INVALID_CONVERSATION_ID",
        "INVALID_KMS_GRANT",
        "CUSTOMER_KMS_KEY_DISABLED",
        "CUSTOMER_KMS_KEY_INVALID_KEY_POLICY",
        "MISMATCHED_KMS_KEY",
    ],
)
async def test_every_reason_can_be_had_by_name(client: Client, reason: str) -> None:
    answer = await client.generate(f"[[status={reason.lower()}]]")
    assert answer.status >= 400
    assert answer.json()["reason"] == reason


async def test_rest_names_the_type_in_a_header_and_rpc_in_the_body(client: Client) -> None:
    rest = await client.generate("[[status=429]]")
    assert rest.headers["x-amzn-errortype"] == "ThrottlingException"
    assert "__type" not in rest.json()
    rpc = await client.generate("[[status=429]]", target=RPC_TARGET)
    assert rpc.json()["__type"] == "com.amazon.aws.codewhisperer#ThrottlingException"
    assert "x-amzn-errortype" not in rpc.headers
    assert rpc.headers["content-type"] == "application/x-amz-json-1.0"
    runtime = await client.generate("[[status=429]]", target=RUNTIME_TARGET)
    assert runtime.json()["__type"] == "com.amazon.kiro.runtimeservice#ThrottlingException"


async def test_retry_after_comes_where_the_service_gives_it_or_as_asked(client: Client) -> None:
    assert (await client.generate("[[status=429]]")).headers["retry-after"] == "2"
    assert "retry-after" not in (await client.generate("[[status=INSUFFICIENT_MODEL_CAPACITY]]")).headers
    assert "retry-after" not in (await client.generate("[[status=500]]")).headers
    assert (await client.generate("[[status=500 retry_after=17]]")).headers["retry-after"] == "17"
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert (await client.generate(f'[[status=429 retry_after="{date}"]]')).headers["retry-after"] == date


async def test_settings_refuse_every_generation(nursery: trio.Nursery) -> None:
    client = connected(Simulator(SimulatorSettings(status="MONTHLY_REQUEST_COUNT")), nursery)
    assert (await client.generate("hi")).status == 402
    assert (await client.generate("hi")).status == 402


async def test_late_and_silent_refusals(client: Client, autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    assert (await client.generate("[[status=503 head_ms=20000]]")).status == 503
    assert trio.current_time() - began == pytest.approx(20)
    await client.start(body("[[status=503 no_head=1]]"))
    with trio.move_on_after(60) as minute:
        await client.head()
    assert minute.cancelled_caught


async def test_unknown_operations(client: Client, simulator: Simulator) -> None:
    assert (await client.get("/nowhere")).status == 404
    wrong = await client.generate("hi", target="SomeService.GenerateAssistantResponse")
    assert (wrong.status, wrong.json()["__type"].rpartition("#")[2]) == (404, "UnknownOperationException")
    assert (await client.generate("hi", target="KiroRuntimeService.ListAvailableModels")).status == 404, (
        "the runtime host serves no control calls"
    )


async def test_an_account_may_be_refused_whatever_it_calls(client: Client, simulator: Simulator) -> None:
    simulator.refuse("demo-social", "TEMPORARILY_SUSPENDED")
    for answer in [await client.generate("hi"), await client.get("/getUsageLimits?origin=AI_EDITOR")]:
        assert (answer.status, answer.json()["reason"]) == (403, "TEMPORARILY_SUSPENDED")
    simulator.refuse("demo-social", "")
    assert (await client.generate("hi")).status == 200
    with pytest.raises(KeyError):
        simulator.refuse("nobody", "403")
    with pytest.raises(KeyError):
        simulator.refuse("demo-social", "TEAPOT")


async def test_the_next_calls_of_a_path_or_operation_may_fail(client: Client, simulator: Simulator) -> None:
    simulator.fail_next("ListAvailableModels", "SERVICE_UNAVAILABLE", times=2)
    simulator.fail_next("/generateAssistantResponse", "502")
    models = "/ListAvailableModels?origin=AI_EDITOR"
    assert [(await client.get(models)).status for _ in range(3)] == [500, 500, 200]
    assert [(await client.generate("hi")).status for _ in range(2)] == [502, 200]
    with pytest.raises(KeyError):
        simulator.fail_next("/token", "TEAPOT")
