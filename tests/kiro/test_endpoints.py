"""Addresses, heads and bodies of the three flavours, side by side."""

from __future__ import annotations

import copy
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio import __version__
from kirotrio.errors import SettingsError
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import DATA_REGIONS, FLAVOURS, data_region, endpoints, headers_for, shape_body

ARN = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"


@pytest.mark.parametrize(
    ("flavour", "url", "headers"),
    [
        (
            "rest",
            "https://q.us-east-1.amazonaws.com/generateAssistantResponse",
            {"content-type": "application/json", "x-amzn-kiro-agent-mode": "vibe"},
        ),
        (
            "rpc",
            "https://q.us-east-1.amazonaws.com/",
            {
                "content-type": "application/x-amz-json-1.0",
                "x-amz-target": "AmazonCodeWhispererStreamingService.GenerateAssistantResponse",
            },
        ),
        (
            "runtime",
            "https://runtime.us-east-1.kiro.dev/",
            {
                "content-type": "application/x-amz-json-1.0",
                "x-amz-target": "KiroRuntimeService.GenerateAssistantResponse",
            },
        ),
    ],
)
def test_generate(flavour: str, url: str, headers: dict[str, str]) -> None:
    call = endpoints(flavour, "us-east-1").generate()
    assert (call.method, call.url, dict(call.headers), call.body) == ("POST", url, headers, None)


def test_rest_control_calls_are_gets_with_a_query() -> None:
    calls = endpoints("rest", "eu-central-1")
    for call, path, query in (
        (
            calls.models(profile_arn=ARN, next_token="a/b=="),
            "/ListAvailableModels",
            {"origin": ["AI_EDITOR"], "maxResults": ["50"], "profileArn": [ARN], "nextToken": ["a/b=="]},
        ),
        (
            calls.usage_limits(profile_arn=ARN),
            "/getUsageLimits",
            {"origin": ["AI_EDITOR"], "resourceType": ["AGENTIC_REQUEST"], "profileArn": [ARN]},
        ),
    ):
        parts = urlsplit(call.url)
        assert (call.method, parts.netloc, parts.path) == ("GET", "q.eu-central-1.amazonaws.com", path)
        assert parse_qs(parts.query) == query
        assert call.body is None
    profiles = calls.profiles()
    assert (profiles.method, profiles.url) == ("POST", "https://q.eu-central-1.amazonaws.com/ListAvailableProfiles")


@pytest.mark.parametrize(
    ("flavour", "host", "service"),
    [
        ("rpc", "https://q.us-east-1.amazonaws.com/", "AmazonCodeWhispererService"),
        ("runtime", "https://management.us-east-1.kiro.dev/", "KiroControlPlaneBearerService"),
    ],
)
def test_other_control_calls_are_posts_with_a_target(flavour: str, host: str, service: str) -> None:
    calls = endpoints(flavour, "us-east-1")
    for call, operation, body in (
        (calls.models(profile_arn=ARN), "ListAvailableModels", {"origin": "AI_EDITOR", "profileArn": ARN}),
        (calls.usage_limits(origin="KIRO_CLI"), "GetUsageLimits", {"origin": "KIRO_CLI"}),
        (calls.profiles(), "ListAvailableProfiles", {"maxResults": 10}),
    ):
        assert (call.method, call.url) == ("POST", host)
        assert call.headers["x-amz-target"] == f"{service}.{operation}"
        assert call.body is not None
        assert body.items() <= orjson.loads(call.body).items()


def test_runtime_is_asked_only_with_the_members_that_it_was_seen_to_take() -> None:
    calls = endpoints("runtime", "us-east-1")
    for call in (calls.models(profile_arn=ARN), calls.usage_limits(profile_arn=ARN)):
        assert orjson.loads(call.body or b"") == {"origin": "AI_EDITOR", "profileArn": ARN}


def test_no_profile_means_no_member_at_all() -> None:
    for flavour in FLAVOURS:
        calls = endpoints(flavour, "us-east-1")
        for call in (calls.models(), calls.usage_limits(), calls.mcp(), calls.profiles()):
            assert "profile" not in repr((call.url.rpartition("/")[2].replace("ListAvailableProfiles", ""), call.body))
            assert "x-amzn-kiro-profile-arn" not in call.headers
            assert not call.members


def test_the_profile_of_a_search_stands_where_each_flavour_wants_it() -> None:
    rest, rpc, runtime = (endpoints(flavour, "us-east-1").mcp(profile_arn=ARN) for flavour in FLAVOURS)
    assert rest.url == "https://q.us-east-1.amazonaws.com/mcp"
    assert rest.headers["x-amzn-kiro-profile-arn"] == rpc.headers["x-amzn-kiro-profile-arn"] == ARN
    assert rpc.headers["x-amz-target"] == "AmazonCodeWhispererStreamingService.InvokeMCP"
    assert runtime.headers["x-amz-target"] == "KiroRuntimeService.InvokeMCP"
    assert "x-amzn-kiro-profile-arn" not in runtime.headers
    assert runtime.members == {"profileArn": ARN}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_override_moves_every_call(flavour: str) -> None:
    for override in ("http://127.0.0.1:9", "http://127.0.0.1:9/"):
        here, there = endpoints(flavour, "us-east-1", override), endpoints(flavour, "us-east-1")
        for call in ("generate", "mcp", "models", "usage_limits", "profiles"):
            moved, original = getattr(here, call)(), getattr(there, call)()
            assert moved.url.startswith("http://127.0.0.1:9/")
            assert urlsplit(moved.url)[2:] == urlsplit(original.url)[2:], "path and query stay"
            assert moved.headers == original.headers
    assert endpoints(flavour, "us-east-1", "https://h/kiro/").generate().url.startswith("https://h/kiro/")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9", "ftp://host", "http://", "http://host:port", "http://h/?x=1", "http://["]
)
def test_a_wrong_override_is_a_sentence_about_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^upstream\.url: "):
        endpoints("rest", "us-east-1", url)


def test_a_wrong_flavour_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"upstream\.flavour: 'soap' is none of rest, rpc, runtime"):
        endpoints("soap", "us-east-1")


@given(region=st.sampled_from([*DATA_REGIONS, "ap-southeast-1", "", "evil.example/"]) | st.text())
def test_data_hosts_lie_in_data_regions_only(region: str) -> None:
    for flavour in FLAVOURS:
        calls = endpoints(flavour, region)
        hosts = {urlsplit(url).hostname for url in (calls.data, calls.control)}
        assert all(host is not None and host.endswith((".amazonaws.com", ".kiro.dev")) for host in hosts)
        assert urlsplit(calls.data).netloc.split(".")[1] == (region if region in DATA_REGIONS else "us-east-1")


def test_the_region_of_the_profile_beats_the_region_of_the_sign_in() -> None:
    assert data_region(ARN, "ap-southeast-1") == "eu-central-1"
    assert data_region("", "eu-central-1") == "eu-central-1"
    assert data_region("", "ap-southeast-1") == "us-east-1"
    assert data_region("arn:aws:codewhisperer:mars-1:2:profile/x", "eu-central-1") == "us-east-1"


def test_the_head_of_a_call() -> None:
    call = endpoints("rest", "us-east-1").generate()
    assert headers_for(Credentials("secret"), call, invocation_id="id-1", attempt=2, attempts=3) == {
        "content-type": "application/json",
        "x-amzn-kiro-agent-mode": "vibe",
        "authorization": "Bearer secret",
        "user-agent": f"kirotrio/{__version__}",
        "x-amz-user-agent": f"kirotrio/{__version__}",
        "x-amzn-codewhisperer-optout": "true",
        "amz-sdk-request": "attempt=2; max=3",
        "amz-sdk-invocation-id": "id-1",
    }


@pytest.mark.parametrize("token_type", ["API_KEY", "EXTERNAL_IDP"])
def test_kind_of_token_and_user_agent_are_sent_where_there_are_any(token_type: str) -> None:
    call = endpoints("runtime", "us-east-1").models()
    headers = headers_for(Credentials("secret", token_type=token_type), call, user_agent="mine/1")
    assert headers["tokentype"] == token_type
    assert headers["user-agent"] == headers["x-amz-user-agent"] == "mine/1"
    assert "amz-sdk-invocation-id" not in headers


def test_bodies_of_the_three_flavours() -> None:
    body = {"conversationState": {"conversationId": "c", "currentMessage": {}}, "profileArn": ARN}
    before = copy.deepcopy(body)
    assert shape_body("rest", body) == shape_body("rpc", body) == body
    assert shape_body("runtime", body) == {
        "conversationState": {"conversationId": "c", "currentMessage": {}, "rootConversationId": "c"},
        "profileArn": ARN,
        "agentMode": "vibe",
    }
    assert shape_body("rest", shape_body("runtime", body)) == body
    assert body == before, "the given body is shared by attempts and stays as it is"
