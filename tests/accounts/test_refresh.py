"""What is sent to refresh each kind of sign-in, and what each answer means (KIRO_PROTOCOL 5.1, 5.2, 5.4)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sign_in_service import EPOCH, SignInService, answer, refresh_token

from kirotrio.accounts.credential import ExternalIdp, Oidc, Refreshable, Renewed, Social
from kirotrio.accounts.tokens.refresh import NetworkRefused, SignInRefused, refresh
from kirotrio.errors import AccountUnavailable, KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

TOKEN = refresh_token("first")
SOCIAL = Social(refresh_token=TOKEN)
OIDC = Oidc(refresh_token=TOKEN, client_id="client", client_secret="s3cret", sign_in_region="ap-southeast-1")
EXTERNAL = ExternalIdp(
    refresh_token="0.a b&c",
    client_id="client",
    token_endpoint="https://login.microsoftonline.com/t/oauth2/v2.0/token",
    scope="openid offline_access",
)


async def exchange(credential: Refreshable, *script: HttpAnswer, auth_url: str = "") -> tuple[Renewed, SignInService]:
    service = SignInService(credential.refresh_token)
    service.script = list(script)
    renewed = await refresh(
        service, credential, auth_url=auth_url, user_agent="kirotrio/test", deadline=10, now=lambda: EPOCH
    )
    return renewed, service


async def refusal(credential: Refreshable, reply: HttpAnswer) -> KirotrioError:
    with pytest.raises(KirotrioError) as caught:
        await exchange(credential, reply)
    assert credential.refresh_token not in caught.value.message
    return caught.value


async def test_a_social_refresh() -> None:
    renewed, service = await exchange(SOCIAL)
    ((url, headers, body),) = service.calls
    assert url == "https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken"
    assert headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": "kirotrio/test",
    }
    assert json.loads(body) == {"refreshToken": TOKEN}
    assert renewed == Renewed("access-1", EPOCH + 3600, refresh_token("rotated-1"))


async def test_an_oidc_refresh_is_camel_case_json_at_the_region_of_the_sign_in() -> None:
    _, service = await exchange(OIDC)
    ((url, _, body),) = service.calls
    assert url == "https://oidc.ap-southeast-1.amazonaws.com/token"
    assert json.loads(body) == {
        "grantType": "refresh_token",
        "refreshToken": TOKEN,
        "clientId": "client",
        "clientSecret": "s3cret",
    }


async def test_an_external_refresh_is_a_form() -> None:
    brought = {"access_token": "jwt", "expires_in": "1800"}
    renewed, service = await exchange(EXTERNAL, answer(200, brought))
    ((url, headers, body),) = service.calls
    assert url == EXTERNAL.token_endpoint
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["0.a b&c"],
        "client_id": ["client"],
        "scope": ["openid offline_access"],
    }
    assert renewed == Renewed("jwt", EPOCH + 1800)


@pytest.mark.parametrize(
    ("credential", "path"), [(SOCIAL, "/refreshToken"), (OIDC, "/token"), (EXTERNAL, "/t/oauth2/v2.0/token")]
)
async def test_scheme_and_host_can_be_replaced(credential: Refreshable, path: str) -> None:
    _, service = await exchange(credential, answer(200, {"accessToken": "a"}), auth_url="http://127.0.0.1:9/")
    assert service.calls[0][0] == f"http://127.0.0.1:9{path}"


@given(
    expires_in=st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=5)
    | st.just([])
)
async def test_whatever_the_lifetime_it_is_a_positive_number(expires_in: Any) -> None:
    renewed, _ = await exchange(SOCIAL, answer(200, {"accessToken": "a", "expiresIn": expires_in}))
    assert EPOCH <= renewed.expires_at <= EPOCH + 1e9
    if isinstance(expires_in, int) and not isinstance(expires_in, bool) and 0 < expires_in < 1e9:
        assert renewed.expires_at == EPOCH + expires_in


async def test_a_placeholder_profile_is_not_taken() -> None:
    placeholder = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
    renewed, _ = await exchange(SOCIAL, answer(200, {"accessToken": "a", "profileArn": placeholder}))
    assert renewed.profile_arn == ""
    real = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
    renewed, _ = await exchange(SOCIAL, answer(200, {"accessToken": "a", "profileArn": real}))
    assert renewed.profile_arn == real


@pytest.mark.parametrize(
    ("credential", "reply", "said"),
    [
        (SOCIAL, answer(401, {"message": "Bad credentials"}), "is refused"),
        (SOCIAL, answer(401, b""), "is refused"),
        (SOCIAL, answer(400, {"error": "invalid_grant"}), "no longer accepted"),
        (SOCIAL, answer(400, {"message": "invalid_grant: Invalid refresh token provided"}), "no longer accepted"),
        (OIDC, answer(400, {"error": "invalid_grant", "error_description": "Invalid grant provided"}), "no longer"),
        (OIDC, answer(400, {"error": "invalid_client"}), "registration"),
        (OIDC, answer(401, {"__type": "com.amazonaws.ssooidc#ExpiredClientException"}), "registration"),
        (OIDC, answer(400, {"__type": "UnauthorizedClientException"}), "registration"),
        (OIDC, answer(400, {"__type": "ExpiredTokenException"}), "no longer accepted"),
        (OIDC, answer(400, b"{}", x_amzn_errortype="ExpiredTokenException:http://x/"), "no longer accepted"),
        (OIDC, answer(403, {"error": "access_denied"}), "no longer accepted"),
        (EXTERNAL, answer(400, {"error": "interaction_required"}), "no longer accepted"),
    ],
)
async def test_a_sign_in_that_is_over(credential: Refreshable, reply: HttpAnswer, said: str) -> None:
    error = await refusal(credential, reply)
    assert isinstance(error, SignInRefused)
    assert said in error.reason


@pytest.mark.parametrize(
    ("credential", "reply"),
    [
        (SOCIAL, answer(403, b"<html>Request blocked. CloudFront</html>")),
        (SOCIAL, answer(403, {"message": "Forbidden"})),
        (OIDC, answer(403, b"<html>Request blocked</html>")),
    ],
)
async def test_a_firewall_does_not_end_a_sign_in(credential: Refreshable, reply: HttpAnswer) -> None:
    error = await refusal(credential, reply)
    assert isinstance(error, NetworkRefused)
    assert isinstance(error, AccountUnavailable)
    assert "upstream.proxy_url" in error.message


@pytest.mark.parametrize(
    ("reply", "retry_after"),
    [
        (answer(429, b"", retry_after="7"), 7.0),
        (answer(429, b"", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), 0.0),
        (answer(500, {"message": "Oops, something went wrong. Please try again later."}), None),
        (answer(503, b""), None),
        (answer(408, b""), None),
        (answer(400, {"error": "slow_down"}), 5.0),
        (answer(200, b"<html>sign in to the hotel's network</html>"), None),
        (answer(200, {"refreshToken": "x"}), None),
        (answer(200, [1]), None),
    ],
)
async def test_what_passes_is_worth_another_try(reply: HttpAnswer, retry_after: float | None) -> None:
    error = await refusal(OIDC, reply)
    assert isinstance(error, UpstreamFailed)
    assert error.recovery is Recovery.RETRY
    assert error.retry_after == retry_after


@pytest.mark.parametrize("reply", [answer(400, {"error": "invalid_request"}), answer(404, b"")])
async def test_a_mistake_of_ours_is_neither_repeated_nor_held_against_the_token(reply: HttpAnswer) -> None:
    error = await refusal(OIDC, reply)
    assert isinstance(error, UpstreamFailed)
    assert not error.retryable


@given(status=st.integers(400, 599), body=st.binary(max_size=30) | st.just(TOKEN.encode()))
async def test_any_error_is_one_of_ours_and_repeats_nothing_that_was_sent(status: int, body: bytes) -> None:
    error = await refusal(SOCIAL, answer(status, body))
    assert isinstance(error, AccountUnavailable | UpstreamFailed)


async def test_an_error_name_that_echoes_a_token_is_left_out() -> None:
    await refusal(SOCIAL, answer(400, {"error": TOKEN}))


@pytest.mark.parametrize("token", ["aoa-caf\u00e9", "aoa\r\nx: y"])
async def test_a_refresh_that_brings_a_damaged_token_is_an_error_that_does_not_quote_it(token: str) -> None:
    error = await refusal(SOCIAL, answer(200, accessToken=token, refreshToken=TOKEN, expiresIn=3600))
    assert isinstance(error, UpstreamFailed)
    assert "aoa" not in error.message
