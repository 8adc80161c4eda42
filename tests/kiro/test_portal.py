"""The portal's envelope: CBOR in both directions, and its refusals."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.errors import AccountSuspended, Blame, Recovery, UpstreamFailed
from kirotrio.kiro.endpoints import USER_AGENT
from kirotrio.kiro.portal import decode, encode, identities, portal_call, refusal

TOKEN = "aoaAAAA-_:signature+/="

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), plain, max_size=5))
def test_plain_values_come_back_as_they_went(members: dict[str, Any]) -> None:
    assert decode(encode(members)) == members


def indefinite(value: Any) -> bytes:
    """CBOR whose maps, lists and texts have no length ahead, only an end."""
    if isinstance(value, dict):
        return b"\xbf" + b"".join(indefinite(key) + indefinite(entry) for key, entry in value.items()) + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(indefinite, value)) + b"\xff"
    if isinstance(value, str):
        return b"\x7f" + b"".join(cbor2.dumps(character) for character in value) + b"\xff"
    return cbor2.dumps(value)


@given(st.dictionaries(st.text(max_size=8), plain, max_size=5))
def test_indefinite_lengths_mean_the_same(members: dict[str, Any]) -> None:
    assert decode(indefinite(members)) == members


@pytest.mark.parametrize("written", [1_769_904_000, 1_769_904_000.0, 1_769_904_000.5])
def test_times_under_tag_one_are_epoch_seconds(written: float) -> None:
    assert decode(indefinite({"at": cbor2.CBORTag(1, written)})) == {"at": written}


def test_what_json_has_no_form_for_is_left_out() -> None:
    odd = {"bytes": b"\x00", "undefined": cbor2.undefined, "nan": math.nan, "huge": 2**80, "inf": math.inf, "ok": 1}
    assert decode(cbor2.dumps(odd)) == {
        "bytes": None,
        "undefined": None,
        "nan": None,
        "huge": None,
        "inf": None,
        "ok": 1,
    }
    assert decode(cbor2.dumps({1: "number", "text": 2})) == {"text": 2}
    assert decode(cbor2.dumps(datetime(2026, 2, 1, tzinfo=UTC))) == datetime(2026, 2, 1, tzinfo=UTC).timestamp()


@given(st.binary(max_size=60))
def test_bytes_that_are_no_answer_raise_one_error(body: bytes) -> None:
    with contextlib.suppress(UpstreamFailed):
        decode(body)
    refused = refusal(403, {}, body)
    assert refused.upstream_status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that holds itself
        b"\x9f" * 5000,
        b"\xc1\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c",  # a time far beyond all calendars
        b"\xbf\x61a",
        b"\x00" * (5 * 1024 * 1024),
    ],
    ids=["empty", "cyclic", "deep", "far", "cut", "huge"],
)
def test_hostile_bytes(body: bytes) -> None:
    try:
        value = decode(body)
    except UpstreamFailed:
        return
    assert len(str(value)) < 1000, "a value that holds itself ends somewhere"


def test_a_call_carries_the_token_and_whose_it_is() -> None:
    call = portal_call("GetUserInfo", {"origin": "KIRO_IDE"}, access_token=TOKEN, identity="Google")
    assert call.url == "https://app.kiro.dev/service/KiroWebPortalService/operation/GetUserInfo"
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert call.headers["cookie"] == f"Idp=Google; AccessToken={TOKEN}"
    assert call.headers["smithy-protocol"] == "rpc-v2-cbor"
    assert call.headers["user-agent"] == call.headers["x-amz-user-agent"] == USER_AGENT
    assert cbor2.loads(call.body) == {"origin": "KIRO_IDE"}
    assert TOKEN not in repr(call)


def test_the_host_can_be_replaced_and_nobody_need_have_signed_in() -> None:
    call = portal_call("GetLoginMetadata", {"domainName": "a.example"}, base_url="http://127.0.0.1:9/", user_agent="x")
    assert call.url == "http://127.0.0.1:9/service/KiroWebPortalService/operation/GetLoginMetadata"
    assert "cookie" not in call.headers
    assert "authorization" not in call.headers
    assert call.headers["user-agent"] == "x"


@pytest.mark.parametrize("token", ["a b", "a;b=c", 'a"b', "a\r\nx: y", "tökén", "a,b", "a\\b"])
def test_a_token_that_is_none_gets_into_no_cookie(token: str) -> None:
    with pytest.raises(UpstreamFailed) as error:
        portal_call("GetUserInfo", {}, access_token=token, identity="Google")
    assert token not in error.value.message


@pytest.mark.parametrize(
    ("provider", "first"),
    [("Google", "Google"), ("GitHub", "Github"), ("builder-id", "BuilderId"), ("Enterprise", "AWSIdC"), ("", "Github")],
)
def test_the_spelling_that_fits_is_tried_first_and_then_the_others(provider: str, first: str) -> None:
    tried = identities(provider)
    assert tried[0] == first
    assert {"Github", "Google", "BuilderId"} <= set(tried)
    assert len(tried) == len(set(tried))


def test_refusals() -> None:
    suspended = {"__type": "com.amazon.kirowebportalservice#AccountSuspendedException", "message": "locked"}
    for status in (423, 403, 400):
        error = refusal(status, {}, cbor2.dumps(suspended), account="work")
        assert isinstance(error, AccountSuspended), status
        assert error.blame is Blame.SUSPENDED
        assert "work" in error.message
    assert isinstance(refusal(423, {}, b""), AccountSuspended)
    assert isinstance(refusal(423, {}, indefinite(suspended)), AccountSuspended)
    token = {"__type": "x#UnauthorizedException", "message": "The bearer token is invalid"}
    assert refusal(401, {}, cbor2.dumps(token)).recovery is Recovery.REFRESH_TOKEN
