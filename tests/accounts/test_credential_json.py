"""Credentials in all the spellings that other programs use."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sign_in_service import refresh_token

from kirotrio.accounts.credential import ApiKey, ExternalIdp, Oidc, Renewed, Social
from kirotrio.accounts.credential_json import (
    Unreadable,
    decode_object,
    parse_credential,
    refresh_token_in,
    with_new_tokens,
)
from kirotrio.errors import AccountUnavailable
from kirotrio.kiro.times import epoch_seconds

TOKEN = refresh_token("first")
ARN = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"
PLACEHOLDER = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"

SOCIAL = {
    "accessToken": "access",
    "refreshToken": TOKEN,
    "profileArn": ARN,
    "expiresAt": "2027-01-15T08:00:00.000Z",
    "authMethod": "social",
    "provider": "Google",
}
OIDC = {
    "accessToken": "access",
    "refreshToken": TOKEN,
    "expiresAt": "2027-01-15T08:00:00",
    "clientId": "client",
    "clientSecret": "s3cret",
    "authMethod": "IdC",
    "provider": "Enterprise",
    "region": "ap-southeast-1",
    "startUrl": "https://d-123.awsapps.com/start",
}
EXTERNAL = {
    "accessToken": "access",
    "refreshToken": "short is fine here",
    "expiresAt": 1_800_000_000,
    "authMethod": "external_idp",
    "tokenEndpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
    "clientId": "client",
    "scopes": ["openid", "offline_access"],
}
API_KEY = {"apiKey": "ksk_abc", "authMethod": "api_key"}
KINDS = [SOCIAL, OIDC, EXTERNAL, API_KEY]


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


@given(entry=st.sampled_from(KINDS), data=st.data())
def test_each_key_may_have_either_spelling(entry: dict[str, Any], data: st.DataObject) -> None:
    respelled = {data.draw(st.sampled_from([name, snake(name)])): value for name, value in entry.items()}
    assert parse_credential(respelled, where="x") == parse_credential(entry, where="x")


def test_a_social_sign_in() -> None:
    found = parse_credential(SOCIAL, where="x")
    assert found == Social(
        refresh_token=TOKEN,
        access_token="access",
        expires_at=epoch_seconds("2027-01-15T08:00:00Z"),
        profile_arn=ARN,
        provider="Google",
    )


def test_an_identity_center_sign_in_keeps_its_own_region() -> None:
    found = parse_credential(OIDC, where="x")
    assert isinstance(found, Oidc)
    assert found.sign_in_region == "ap-southeast-1"
    assert found.needs_profile
    assert not found.is_builder_id


@pytest.mark.parametrize(
    "spelling",
    [
        {"provider": "BuilderId"},
        {"provider": "AWS builder_id"},
        {"startUrl": "https://view.awsapps.com/start/"},
        {"authMethod": "builder-id"},
        {"authMethod": "BuilderID"},
        {"authMethod": "AWS_BUILDER_ID"},
    ],
)
def test_a_builder_id_needs_no_profile(spelling: dict[str, str]) -> None:
    entry = {**OIDC, "provider": "", "startUrl": "", **spelling}
    found = parse_credential(entry, where="x", profile_arn=ARN)
    assert isinstance(found, Oidc)
    assert found.is_builder_id
    assert not found.needs_profile
    assert found.profile_arn == "", "a profile of another sign-in was taken over"


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("social", Social),
        ("SOCIAL", Social),
        ("desktop", Social),
        ("IdC", Oidc),
        ("idc", Oidc),
        ("builder-id", Oidc),
        ("Builder_ID", Oidc),
        ("iam", Oidc),
        ("EXTERNAL_IDP", ExternalIdp),
        ("external-idp", ExternalIdp),
        ("api_key", ApiKey),
    ],
)
def test_the_method_is_read_in_any_case(method: str, kind: type) -> None:
    everything = {**EXTERNAL, **OIDC, **API_KEY, "authMethod": method}
    assert type(parse_credential(everything, where="x")) is kind


@pytest.mark.parametrize(
    ("method", "provider"),
    [
        ("identity-center", "Enterprise"),
        ("enterprise", "Enterprise"),
        ("IdC", ""),
        ("iam", ""),
        ("builder-id", "BuilderId"),
    ],
)
def test_a_method_that_says_through_whom_is_the_provider(method: str, provider: str) -> None:
    found = parse_credential({**OIDC, "provider": "", "startUrl": "", "authMethod": method}, where="x")
    assert isinstance(found, Oidc)
    assert found.provider == provider
    said = parse_credential({**OIDC, "provider": "Internal", "authMethod": method}, where="x")
    assert isinstance(said, Oidc)
    assert said.provider == "Internal", "the provider's own word counts more"
    google = parse_credential({**SOCIAL, "provider": "", "authMethod": "google"}, where="x")
    assert isinstance(google, Social)
    assert google.provider == "Google"


@pytest.mark.parametrize("method", [{}, {"authMethod": ""}, {"authMethod": None}, {"authMethod": "never heard of"}])
@pytest.mark.parametrize(
    ("entry", "kind"), [(SOCIAL, Social), (OIDC, Oidc), (EXTERNAL, ExternalIdp), (API_KEY, ApiKey)]
)
def test_the_method_is_inferred_where_it_is_not_said(entry: dict[str, Any], kind: type, method: dict[str, Any]) -> None:
    unsaid = {name: value for name, value in entry.items() if name != "authMethod"}
    assert type(parse_credential({**unsaid, **method}, where="x")) is kind


def test_the_expiry_of_the_registration_is_not_that_of_the_token() -> None:
    token = {name: value for name, value in OIDC.items() if name not in ("clientId", "clientSecret")}
    registration = {"clientId": "client", "clientSecret": "s3cret", "expiresAt": "2030-01-01T00:00:00Z"}
    found = parse_credential({**token, "clientIdHash": "abc"}, where="x", registration=registration)
    assert isinstance(found, Oidc)
    assert found.expires_at == epoch_seconds(OIDC["expiresAt"])
    assert found.registration_expires_at == epoch_seconds("2030-01-01T00:00:00Z")


@pytest.mark.parametrize("expiry", [float("nan"), "NaN", "soon", [], None])
def test_an_unreadable_expiry_means_refresh_first(expiry: Any) -> None:
    found = parse_credential({**SOCIAL, "expiresAt": expiry}, where="x")
    assert isinstance(found, Social)
    assert found.expires_at is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"refreshToken": "x" * 99}, "99 characters"),
        ({"refreshToken": "x" * 100 + "..." + "x" * 100}, "was cut"),
        ({"refreshToken": ""}, "no refresh token"),
        ({"refreshToken": 7}, "has to be text"),
        ({"authMethod": "IdC"}, "clientId and clientSecret"),
        ({"authMethod": "external_idp"}, "tokenEndpoint and clientId"),
        ({"authMethod": "api_key"}, "no apiKey"),
        ({"ssoRegion": "evil.example/"}, "region"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(AccountUnavailable, match=said) as refusal:
        parse_credential({**SOCIAL, **change}, where="/home/me/token.json")
    assert refusal.value.message.startswith("/home/me/token.json: ")
    assert TOKEN not in refusal.value.message


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://login.microsoftonline.com/t/token",
        "https://login.microsoftonline.com.evil.example/token",
        "https://evilmicrosoftonline.com/token",
        "https://microsoftonline.com@evil.example/token",
        "https://user@login.microsoftonline.com/token",
        "https://login.microsoftonline.com:8443/token",
        "https://evil.example\\.microsoftonline.com/token",
        "https://[::1/token",
        "https://evil.example/.microsoftonline.com",
    ],
)
def test_a_companys_token_is_not_sent_just_anywhere(endpoint: str) -> None:
    with pytest.raises(AccountUnavailable, match="token endpoint"):
        parse_credential({**EXTERNAL, "tokenEndpoint": endpoint}, where="x")


@pytest.mark.parametrize("arn", [PLACEHOLDER, "arn:aws:iam::1:role/x y", "nonsense"])
def test_a_placeholder_is_no_profile(arn: str) -> None:
    found = parse_credential({**SOCIAL, "profileArn": arn}, where="x")
    assert isinstance(found, Social)
    assert found.profile_arn == ""


@pytest.mark.parametrize("entry", KINDS)
def test_no_secret_shows(entry: dict[str, Any]) -> None:
    shown = repr(parse_credential(entry, where="x")) + repr(Renewed("access", 1.0, TOKEN))
    for name in ("accessToken", "refreshToken", "clientSecret", "apiKey"):
        assert repr(entry.get(name, "not there")) not in shown


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_may_be_torn(content: bytes) -> None:
    with pytest.raises(Unreadable) as refusal:
        decode_object(content, "x")
    assert refusal.value.torn


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert decode_object(b'\xef\xbb\xbf{"a": 1}', "x") == {"a": 1}


unknown = st.dictionaries(
    st.text(min_size=1, max_size=8).map(lambda name: f"x-{name}"), st.integers() | st.text(max_size=5), max_size=4
)


@given(entry=st.sampled_from([SOCIAL, OIDC]), extra=unknown, style=st.sampled_from([str, snake]), both=st.booleans())
def test_new_tokens_replace_the_old_and_leave_the_rest(
    entry: dict[str, Any], extra: dict[str, Any], style: Any, both: bool
) -> None:
    before = {style(name): value for name, value in entry.items()} | extra
    if both:
        before |= {"refresh_token": TOKEN, "refreshToken": TOKEN}
    old = parse_credential(before, where="x")
    assert isinstance(old, Social | Oidc)
    new = old.after(Renewed("fresh", 1_900_000_000.0, refresh_token("next")))
    after = with_new_tokens(before, new)
    assert list(after)[: len(before)] == list(before), "keys moved"
    touched = {style("accessToken"), "refreshToken", "refresh_token", style("expiresAt"), style("profileArn")}
    assert {name: value for name, value in after.items() if name not in touched} == {
        name: value for name, value in before.items() if name not in touched
    }
    assert set(after) == set(before)
    assert TOKEN not in after.values(), "the old refresh token still stands in one spelling"
    assert parse_credential(after, where="x") == new


def test_a_refresh_without_a_new_token_keeps_the_old_one() -> None:
    old = Social(refresh_token=TOKEN, profile_arn=ARN)
    new = old.after(Renewed("fresh", 5.0))
    assert (new.refresh_token, new.profile_arn) == (TOKEN, ARN)


def test_the_refresh_token_of_an_entry() -> None:
    assert refresh_token_in({"refresh_token": f" {TOKEN}\n"}) == TOKEN
    assert refresh_token_in({"refreshToken": 5}) == ""
