"""What the simulated service refuses before it answers: headers, tokens, profiles, bodies."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
from simulated import RPC_TARGET, RUNTIME_TARGET, Answer, Client, body, connected, tool, user

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

BEARER = "The bearer token included in the request is invalid."
IMAGE = {"format": "png", "source": {"bytes": base64.b64encode(b"pixels" * 100).decode()}}


def refusal(answer: Answer) -> tuple[int, Any]:
    return answer.status, answer.json()["reason"]


# -- headers and tokens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic abc", "Bearer nonsense"])
async def test_bearers_that_were_never_given_out(client: Client, authorization: str) -> None:
    answer = await client.generate("hi", authorization=authorization)
    assert (answer.status, answer.json()["message"]) == (403, BEARER)


async def test_scheme_is_read_in_any_case(client: Client) -> None:
    assert (await client.generate("hi", authorization=f"bearer {DEMO_ACCESS_TOKEN}")).status == 200


async def test_expired_and_revoked_tokens_get_403_with_their_own_words(client: Client, simulator: Simulator) -> None:
    simulator.expire_access_tokens()
    expired = await client.generate("hi")
    assert (expired.status, expired.json()["message"]) == (403, "Token expired")
    simulator.revoke(DEMO_ACCESS_TOKEN)
    revoked = await client.generate("hi")
    assert (revoked.status, revoked.json()["message"]) == (403, BEARER)
    assert (await client.generate("hi", token=DEMO_API_KEY, tokentype="API_KEY")).status == 200, "keys do not expire"


async def test_tokens_expire_by_the_clock(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    client = connected(Simulator(expires_in=60, clock=trio.current_time), nursery)
    assert (await client.generate("hi")).status == 200
    await trio.sleep(61)
    assert (await client.generate("hi")).status == 403


async def test_keys_and_tokens_need_the_header_that_belongs_to_them(client: Client) -> None:
    assert (await client.generate("hi", token=DEMO_API_KEY)).status == 403
    assert (await client.generate("hi", tokentype="API_KEY")).status == 403
    assert (await client.generate("hi", tokentype="EXTERNAL_IDP")).status == 403
    assert (await client.generate("hi", tokentype="SSO_OIDC")).status == 200
    assert (await client.generate("hi", token=DEMO_API_KEY, tokentype="API_KEY")).status == 200


@pytest.mark.parametrize("target", ["", RPC_TARGET, RUNTIME_TARGET])
async def test_content_type_has_to_fit_the_flavour(client: Client, target: str) -> None:
    other = "application/json" if target else "application/x-amz-json-1.0"
    assert (await client.generate("hi", target=target, content_type=other)).status == 415
    own = "application/x-amz-json-1.0" if target else "application/json"
    assert (await client.generate("hi", target=target, content_type=f"{own}; charset=utf-8")).status == 200


# -- profiles ------------------------------------------------------------------------------------------------------


def centre_account() -> Account:
    account = identity_center_account("centre", refresh_token="r" * 120, client_id="c", client_secret="s")
    account.access_token = "aoa-centre"
    return account


ACCOUNTS = [
    Account("social", access_token="aoa-social", profiles=(SOCIAL_ARN,)),
    Account("builder", Kind.BUILDER_ID, access_token="aoa-builder"),
    Account("key", Kind.API_KEY, api_key="ksk_1"),
    Account("entra", Kind.EXTERNAL, access_token="jwt", profiles=(SOCIAL_ARN,)),
]


@pytest.mark.parametrize(
    ("token", "token_type", "arn", "status"),
    [
        ("aoa-social", "", SOCIAL_ARN, 200),
        ("aoa-social", "", None, 200),
        ("aoa-social", "", BUILDER_ID_ARN, 403),
        ("aoa-builder", "", None, 200),
        ("aoa-builder", "", BUILDER_ID_ARN, 200),
        ("aoa-builder", "", SOCIAL_ARN, 403),
        ("ksk_1", "API_KEY", None, 200),
        ("ksk_1", "API_KEY", SOCIAL_ARN, 403),
        ("ksk_1", "API_KEY", BUILDER_ID_ARN, 200),
        ("aoa-centre", "", None, 400),
        ("aoa-centre", "", SOCIAL_ARN, 403),
        ("aoa-centre", "", "arn:aws:codewhisperer:us-east-1:111111111111:profile/ABC", 200),
        ("jwt", "EXTERNAL_IDP", None, 400),
        ("jwt", "EXTERNAL_IDP", SOCIAL_ARN, 200),
        ("aoa-social", "", "no-arn", 400),
    ],
)
async def test_profiles_go_with_kinds_of_account(
    nursery: trio.Nursery, token: str, token_type: str, arn: str | None, status: int
) -> None:
    client = connected(Simulator(accounts=[*ACCOUNTS, centre_account()]), nursery)
    root = {} if arn is None else {"profileArn": arn}
    answer = await client.generate(body(root=root), token=token, tokentype=token_type)
    assert answer.status == status, answer.content


async def test_missing_profile_is_named(nursery: trio.Nursery) -> None:
    client = connected(Simulator(accounts=[centre_account()]), nursery)
    answer = await client.generate("hi", token="aoa-centre")
    assert answer.json()["message"] == "profileArn is required for this request."


# -- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
async def test_what_is_no_json_object(client: Client, content: bytes) -> None:
    answer = await client.generate(content)
    assert refusal(answer) == (400, "REQUEST_BODY_INVALID")
    assert answer.json()["message"] == "Improperly formed request."


USE = {"toolUseId": "tooluse_1", "name": "read", "input": {}}
CALLED = [user(), {"assistantResponseMessage": {"content": "", "toolUses": [USE]}}]
RESULT = {"toolUseId": "tooluse_1", "content": [{"text": "x"}], "status": "success"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (body("hi", history=CALLED, tools=[tool("read")]), "TOOL_USE_RESULT_MISMATCH"),
        (body("hi", tools=[tool("read")], results=[RESULT]), "TOOL_USE_RESULT_MISMATCH"),
        (body("hi", history=CALLED, results=[RESULT]), "TOOL_CONFIG_MISSING"),
        (body("hi", history=[user(), user()]), "REQUEST_BODY_INVALID"),
        (body(""), "REQUEST_BODY_INVALID"),
        (body("hi", root={"systemPrompt": "x"}), "REQUEST_BODY_INVALID"),
        (body("hi", tools=[tool("a name with spaces")]), "REQUEST_BODY_INVALID"),
    ],
    ids=["no result", "no call", "no tools", "two users", "empty", "systemPrompt", "tool name"],
)
async def test_structure_is_judged_as_the_service_does(
    simulator: Simulator, client: Client, document: Any, reason: str
) -> None:
    answer = await client.generate(document)
    assert refusal(answer) == (400, reason)
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
    assert (
        "conversationState" in simulator.ledger.requests[0].note or "systemPrompt" in simulator.ledger.requests[0].note
    )


async def test_valid_tool_round_trip_passes(client: Client) -> None:
    assert (await client.generate(body("", history=CALLED, tools=[tool("read")], results=[RESULT]))).status == 200


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-sonnet-5.0", "gpt-4o", "AUTO"])
async def test_models_are_known_by_their_exact_id(client: Client, model: str) -> None:
    assert refusal(await client.generate(body(model=model))) == (400, "INVALID_MODEL_ID")


async def test_a_plan_may_lack_a_model(nursery: trio.Nursery) -> None:
    account = Account("free", access_token="t", models=frozenset({"auto"}))
    client = connected(Simulator(accounts=[account]), nursery)
    assert (await client.generate(body(model="auto"), token="t")).status == 200
    assert refusal(await client.generate(body(model="claude-opus-5"), token="t")) == (400, "INVALID_MODEL_ID")


async def test_runtime_flavour_wants_a_conversation_id(client: Client) -> None:
    document = body()
    del document["conversationState"]["conversationId"]
    assert (await client.generate(document)).status == 200
    answer = await client.generate(document, target=RUNTIME_TARGET)
    assert (answer.status, answer.json()["message"]) == (400, "Missing required field conversationId")


async def test_images_are_counted_over_the_whole_body(client: Client) -> None:
    history = [user(images=[IMAGE] * 10), {"assistantResponseMessage": {"content": "ok"}}]
    assert (await client.generate(body(history=history, images=[IMAGE] * 10))).status == 200
    answer = await client.generate(body(history=history, images=[IMAGE] * 11))
    assert refusal(answer) == (400, "IMAGE_COUNT_EXCEEDED")


async def test_input_larger_than_the_window(client: Client) -> None:
    large = "word " * 170_000
    answer = await client.generate(body(large, model="claude-sonnet-4.5"))
    assert refusal(answer) == (400, "CONTENT_LENGTH_EXCEEDS_THRESHOLD")
    assert answer.json()["message"] == "Input is too long."
    assert (await client.generate(body(large, model="claude-sonnet-5"))).status == 200, "that model's window is larger"


async def test_the_length_of_an_image_is_not_counted_as_text(client: Client) -> None:
    image = {"format": "png", "source": {"bytes": base64.b64encode(bytes(900_000)).decode()}}
    assert (await client.generate(body(images=[image]))).status == 200


@pytest.mark.parametrize(
    ("model", "fields", "complaint"),
    [
        ("claude-sonnet-4.5", {"thinking": {"type": "adaptive"}}, "not supported"),
        ("auto", {}, "not supported"),
        ("claude-opus-5", {"reasoning": {"effort": "high"}}, "'reasoning' is not defined in the schema"),
        ("gpt-5.6-sol", {"thinking": {"type": "adaptive"}}, "'thinking' is not defined in the schema"),
        ("gpt-5.6-sol", {"reasoning": {"effort": "huge"}}, "'effort' is not one of"),
        ("claude-opus-5.5", {"thinking": {"type": "disabled"}}, "'type' is not one of adaptive"),
        ("claude-sonnet-4.6", {"output_config": {"effort": "xhigh"}}, "'effort' is not one of"),
        ("claude-opus-4.6", {"output_config": {"effort": "xhigh"}}, "'effort' is not one of"),
        ("claude-opus-5", {"thinking": {}}, "'type' is required"),
        ("claude-opus-5", {"max_tokens": "many"}, "'max_tokens' is not of type integer"),
        ("claude-opus-5", {"max_tokens": 0}, ""),
    ],
)
async def test_model_fields_are_held_against_the_models_schema(
    client: Client, model: str, fields: dict[str, Any], complaint: str
) -> None:
    answer = await client.generate(body(model=model, root={"additionalModelRequestFields": fields}))
    assert answer.status == 400
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
    if answer.json()["message"] != "Improperly formed request.":
        assert complaint in answer.json()["message"]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("claude-opus-5", {"thinking": {"type": "disabled"}, "max_tokens": 5000}),
        ("claude-opus-4.7", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}),
        ("claude-sonnet-5.5", {"thinking": {"type": "between_tools"}}),
        ("gpt-5.6-luna", {"reasoning": {"effort": "none"}}),
    ],
)
async def test_model_fields_that_fit(client: Client, model: str, fields: dict[str, Any]) -> None:
    answer = await client.generate(body(model=model, root={"additionalModelRequestFields": fields}))
    assert answer.status == 200, answer.content


# -- thinking that comes back --------------------------------------------------------------------------------------


async def signature(client: Client, model: str, **options: str) -> str:
    answer = await client.generate(body("[[scenario=native-thinking]]", model=model), **options)
    return str(answer.of("reasoningContentEvent")[-1]["signature"])


def thought(content: dict[str, Any], model: str) -> dict[str, Any]:
    assistant = {"assistantResponseMessage": {"content": "ok", "reasoningContent": content}}
    return body("go on", model=model, history=[user(model=model), assistant])


async def test_signatures_are_taken_back_by_the_same_model_and_account_only(client: Client) -> None:
    issued = await signature(client, "claude-opus-5")
    content = {"reasoningText": {"text": "hm", "signature": issued}}
    assert (await client.generate(thought(content, "claude-opus-5"))).status == 200
    invalid = (400, "THINKING_SIGNATURE_INVALID")
    assert refusal(await client.generate(thought(content, "claude-sonnet-5"))) == invalid
    key = {"token": DEMO_API_KEY, "tokentype": "API_KEY"}
    assert refusal(await client.generate(thought(content, "claude-opus-5"), **key)) == invalid
    changed = {"reasoningText": {"text": "hm", "signature": issued[:-8] + "AAAAAAA="}}
    assert refusal(await client.generate(thought(changed, "claude-opus-5"))) == invalid


@pytest.mark.parametrize("forged", ["", "c2lnbmF0dXJl", "kt1.tag", "no base64!", "ü"])
async def test_forged_signatures(client: Client, forged: str) -> None:
    content = {"reasoningText": {"text": "hm", "signature": forged}}
    assert refusal(await client.generate(thought(content, "claude-opus-5"))) == (400, "THINKING_SIGNATURE_INVALID")


async def test_redacted_thinking_comes_back_too(client: Client) -> None:
    answer = await client.generate(body("[[scenario=native-thinking redacted=1]]", model="claude-opus-5"))
    (event,) = answer.of("reasoningContentEvent")
    assert (await client.generate(thought(event, "claude-opus-5"))).status == 200
    foreign = thought({"redactedContent": "QUJD"}, "claude-opus-5")
    assert refusal(await client.generate(foreign)) == (400, "THINKING_SIGNATURE_INVALID")
