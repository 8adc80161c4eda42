"""Accounts in documents of every shape: what is written in comes out, whatever stands around it."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sign_in_service import refresh_token

from kirotrio.accounts.credential import ApiKey, Credential, ExternalIdp, Oidc, Social
from kirotrio.accounts.importing.document import LARGEST_DOCUMENT, NoDocument, values_in
from kirotrio.accounts.importing.entries import Entry, Refusal
from kirotrio.accounts.importing.gathering import entries_of
from kirotrio.accounts.importing.shapes import DEEPEST, MOST
from kirotrio.errors import KirotrioError

TOKEN = refresh_token("first")
WRAPPERS = ("credentials", "credentials_kiro_rs", "accounts", "tokens", "data")

letters = st.text(string.ascii_letters + string.digits, min_size=6, max_size=20)
tokens = st.text(string.ascii_letters + string.digits + "_-:/+=", min_size=100, max_size=140)
arns = st.sampled_from(
    ["arn:aws:codewhisperer:us-east-1:111:profile/ABC", "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"]
)
sign_in_regions = st.sampled_from(["us-east-1", "ap-southeast-1", "eu-west-3", "us-gov-west-1"])
moments = st.integers(1_700_000_000, 1_900_000_000).map(float)
rotating = {"refresh_token": tokens, "access_token": tokens | st.just(""), "expires_at": st.none() | moments}

socials = st.builds(
    Social,
    **rotating,
    profile_arn=arns | st.just(""),
    provider=st.sampled_from(["Google", "Github", ""]),
    sign_in_region=sign_in_regions,
)
oidcs = st.builds(
    Oidc,
    **rotating,
    profile_arn=arns | st.just(""),
    provider=st.sampled_from(["BuilderId", "Enterprise", "Internal", ""]),
    client_id=letters,
    client_secret=letters,
    sign_in_region=sign_in_regions,
    start_url=st.sampled_from(["", "https://d-123.awsapps.com/start", "https://view.awsapps.com/start"]),
    registration_expires_at=st.none() | moments,
)
externals = st.builds(
    ExternalIdp,
    **rotating,
    profile_arn=arns | st.just(""),
    token_endpoint=st.just("https://login.microsoftonline.com/tenant/oauth2/v2.0/token"),
    client_id=letters,
    scope=st.sampled_from(["", "openid offline_access"]),
)
keys = letters.map(lambda tail: ApiKey(f"ksk_{tail}"))
credentials = st.one_of(socials, oidcs, externals, keys)
accounts = st.lists(credentials, min_size=1, max_size=4, unique_by=lambda found: secret_of(found))
METADATA = {"version": "1.0", "apiKey": "sk-of-a-gateway", "groups": [{"id": 1, "name": "g"}], "settings": {"a": {}}}


def secret_of(credential: Credential) -> str:
    return credential.key if isinstance(credential, ApiKey) else credential.refresh_token


def members_of(credential: Credential, data: st.DataObject) -> dict[str, Any]:
    """A credential as other programs write it, in camelCase."""

    def one_of(*spellings: str) -> str:
        return str(data.draw(st.sampled_from(spellings)))

    if isinstance(credential, ApiKey):
        return {one_of("apiKey", "kiroApiKey"): credential.key}
    members: dict[str, Any] = {
        "refreshToken": credential.refresh_token,
        "accessToken": credential.access_token or None,
        "expiresAt": credential.expires_at,
        "profileArn": credential.profile_arn,
        one_of("provider", "idp"): credential.provider,
    }
    if isinstance(credential, ExternalIdp):
        return {
            **members,
            "tokenEndpoint": credential.token_endpoint,
            "clientId": credential.client_id,
            "scopes": credential.scope.split(),
        }
    region = one_of("ssoRegion", "authRegion", "idcRegion")
    if isinstance(credential, Oidc):
        members |= {
            "clientId": credential.client_id,
            "clientSecret": credential.client_secret,
            "clientSecretExpiresAt": credential.registration_expires_at,
            "startUrl": credential.start_url,
        }
        region = one_of(region, "region")
    return {**members, region: credential.sign_in_region}


def written(credential: Credential, data: st.DataObject) -> dict[str, Any]:
    """The same in any mixture of spellings and any order, with what belongs to other programs beside it."""
    members = members_of(credential, data)
    spelled = {data.draw(st.sampled_from([name, snake(name), name.lower()])): value for name, value in members.items()}
    spelled |= data.draw(st.sampled_from([{}, {"machineId": "0" * 64, "usage": {"used": 3}, "tags": ["x"], "id": 7}]))
    return dict(data.draw(st.permutations(list(spelled.items()))))


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def plain_list(entries: list[dict[str, Any]]) -> Any:
    return entries


def by_name(entries: list[dict[str, Any]]) -> Any:
    return {f"account-{index}": entry for index, entry in enumerate(entries)}


def each_nested(entries: list[dict[str, Any]]) -> Any:
    return [{"id": 1, "nickname": "x", "credentials": entry, "usage": {"credits": 5}} for entry in entries]


def tokens_apart(entries: list[dict[str, Any]]) -> Any:
    """The tokens nested, and what they are of beside them."""

    def apart(entry: dict[str, Any]) -> dict[str, Any]:
        inner = {name: value for name, value in entry.items() if "token" in name.lower() or "key" in name.lower()}
        inner |= {name: value for name, value in entry.items() if name.lower().startswith("expires")}
        return {**{name: value for name, value in entry.items() if name not in inner}, "tokens": inner}

    return [apart(entry) for entry in entries]


def compact(value: Any) -> bytes:
    return json.dumps(value).encode()


def indented(value: Any) -> bytes:
    return b"\xef\xbb\xbf" + json.dumps(value, indent=2).encode() + b"\n\n"


def wide(value: Any) -> bytes:
    return json.dumps(value).encode("utf-16")


def lines(value: Any) -> bytes:
    """JSON Lines, where the shape has several; blank lines and Windows line ends among them."""
    if isinstance(value, list) and len(value) > 1:
        return "\r\n\r\n".join(json.dumps(item) for item in value).encode()
    return json.dumps(value).encode()


def taken(document: bytes) -> list[Credential]:
    items = entries_of(document, "document")
    assert [item for item in items if isinstance(item, Refusal)] == []
    return [item.credential for item in items if isinstance(item, Entry)]


@settings(max_examples=200)
@given(
    held=accounts,
    shape=st.sampled_from([plain_list, by_name, each_nested, tokens_apart]),
    wrappers=st.lists(st.sampled_from(WRAPPERS), max_size=3),
    around=st.sampled_from([{}, METADATA]),
    encode=st.sampled_from([compact, indented, wide, lines]),
    data=st.data(),
)
def test_accounts_come_back_from_every_shape(
    held: list[Credential],
    shape: Callable[[list[dict[str, Any]]], Any],
    wrappers: list[str],
    around: dict[str, Any],
    encode: Callable[[Any], bytes],
    data: st.DataObject,
) -> None:
    value = shape([written(credential, data) for credential in held])
    for wrapper in wrappers:
        value = {**around, wrapper: value}
    assert taken(encode(value)) == held


@given(held=credentials, wrappers=st.lists(st.sampled_from(WRAPPERS), max_size=3), data=st.data())
def test_a_single_account_comes_back(held: Credential, wrappers: list[str], data: st.DataObject) -> None:
    value = written(held, data)
    for wrapper in wrappers:
        value = {wrapper: value, "exportedAt": "2026-01-01", "name": "mine"}
    (item,) = entries_of(compact(value), "document")
    assert isinstance(item, Entry)
    assert item.credential == held
    assert item.name == ("mine" if wrappers else "")


NAMES = (
    *WRAPPERS,
    *("refreshToken", "access_token", "apiKey", "clientId", "clientSecret", "clientIdHash", "region", "apiRegion"),
    *("expiresAt", "authMethod", "provider", "name", "email", "priority", "disabled", "proxyUrl", "proxyUsername"),
    *("profileArn", "tokenEndpoint", "startUrl", "scopes", "userId"),
)
words = st.sampled_from(["ksk_abcdef", "idc", "social", "external_idp", "api_key"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner | tokens | words, max_size=8)
    ),
    max_leaves=25,
)


@settings(max_examples=300)
@given(value=json_values)
def test_no_json_does_more_than_be_refused(value: Any) -> None:
    items = entries_of(json.dumps(value).encode(), "document")
    assert items, "a document without an account has to be told"
    for item in items:
        if isinstance(item, Refusal):
            assert item.reason
            assert "\n" not in item.reason


@given(document=st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(document: bytes) -> None:
    assert entries_of(document, "document")


@pytest.mark.parametrize("depth", [DEEPEST + 2, 500, 5_000, 500_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"data":', "}"), ('{"x":', "}")])
def test_deep_nesting_has_an_end(depth: int, opening: str, closing: str) -> None:
    inner = json.dumps({"refreshToken": TOKEN})
    (item,) = entries_of((opening * depth + inner + closing * depth).encode(), "document")
    assert isinstance(item, Refusal)
    assert "deep" in item.reason or "not JSON" in item.reason


def test_documents_have_a_largest_size() -> None:
    with pytest.raises(NoDocument, match="16 MiB"):
        values_in(b"[" + b" " * LARGEST_DOCUMENT + b"]")
    (item,) = entries_of(json.dumps([1] * (MOST + 1)).encode(), "document")
    assert isinstance(item, Refusal)
    assert str(MOST) in item.reason


# Which refusal, and where


def refusals(value: Any) -> list[tuple[str, str]]:
    found = entries_of(value if isinstance(value, bytes) else json.dumps(value).encode(), "document")
    assert all(isinstance(item, Refusal) for item in found), "something was taken that is no account"
    return [(item.path, item.reason) for item in found if isinstance(item, Refusal)]


@pytest.mark.parametrize(
    ("account", "member", "words"),
    [
        ({"refreshToken": "short"}, ".refreshToken", "only 5 characters"),
        ({"refreshToken": TOKEN[:60] + "..." + TOKEN[:60]}, ".refreshToken", "cut"),
        ({"refreshToken": TOKEN + "…"}, ".refreshToken", "cut"),
        ({"refreshToken": TOKEN[:60] + "****" + TOKEN[:60]}, ".refreshToken", "cut or hidden"),
        ({"refreshToken": TOKEN + " x"}, ".refreshToken", "characters that none has"),
        ({"refreshToken": 5}, ".refreshToken", "has to be text"),
        ({"refreshToken": ""}, "", "no refresh token"),
        ({"accessToken": TOKEN}, "", "no refresh token"),
        ({"apiKey": "sk-proj-123456"}, ".apiKey", "begins with ksk_"),
        ({"apiKey": "ksk_abc...xyz"}, ".apiKey", "cut"),
        ({"refreshToken": TOKEN, "clientId": "a"}, ".clientId", "clientSecret is not"),
        ({"refreshToken": TOKEN, "authMethod": "idc"}, "", "clientId and clientSecret"),
        ({"refreshToken": TOKEN, "provider": "BuilderId"}, "", "clientId and clientSecret"),
        ({"refreshToken": TOKEN, "clientIdHash": "abc"}, ".clientIdHash", "registration"),
        ({"refreshToken": TOKEN, "region": "mars"}, ".region", "like us-east-1"),
        ({"refreshToken": TOKEN, "priority": "first"}, ".priority", "whole number"),
        ({"refreshToken": TOKEN, "disabled": "perhaps"}, ".disabled", "true or false"),
        ({"refreshToken": TOKEN, "proxyUrl": "ftp://x"}, ".proxyUrl", "socks5://"),
        ({"refreshToken": TOKEN, "proxyUrl": "http://user:p@ss@h:1"}, ".proxyUrl", "percent-encoded"),
        ({"refreshToken": TOKEN, "provider": "x" * 65}, ".provider", "at most 64"),
        ({"refreshToken": TOKEN, "tokenEndpoint": "https://evil.example/t", "clientId": "a"}, "", "not sent"),
        ({"name": "x"}, "", "neither refreshToken nor apiKey"),
        (17, "", "a JSON object"),
    ],
)
def test_a_refusal_says_what_and_where(account: Any, member: str, words: str) -> None:
    ((path, reason),) = refusals({"accounts": [account]})
    assert path == f"accounts[0]{member}"
    assert words in reason


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"\xff\xfe\xfd", "not text"),
        (b"refreshToken: abc", "not JSON (line 1, column 1)"),
        (b'{\n "refreshToken": "x",\n}', "not JSON (line 2"),
        ({"version": 1}, "no account is in it"),
        ([], "no account is in it"),
        ({"clientId": "a", "clientSecret": "b", "expiresAt": "2027-01-01"}, "registration alone"),
    ],
)
def test_a_document_without_accounts_is_told(value: Any, words: str) -> None:
    ((path, reason),) = refusals(value)
    assert path == ""
    assert words in reason


def test_a_line_that_is_broken_does_not_hide_the_others() -> None:
    good = json.dumps({"refreshToken": TOKEN})
    first, second, third = entries_of(f"{good}\n\n# a comment\n{good}\n".encode(), "document")
    assert isinstance(first, Entry)
    assert isinstance(second, Refusal)
    assert (second.path, isinstance(third, Entry)) == ("line 3", True)
    assert third.path == "line 4"


def test_the_regions_are_told_apart() -> None:
    social = {"refreshToken": TOKEN, "region": "eu-central-1"}
    oidc = {**social, "clientId": "a", "clientSecret": "b", "region": "eu-west-1"}
    named = {**oidc, "authRegion": "ap-southeast-1", "apiRegion": "eu-central-1"}
    both = {**oidc, "idcRegion": "ap-southeast-1", "region": "eu-central-1"}
    odd = {**social, "apiRegion": "mx-central-1"}
    found = [item for item in entries_of(compact([social, oidc, named, both, odd]), "x") if isinstance(item, Entry)]
    regions = [
        (item.credential.sign_in_region, item.region) for item in found if not isinstance(item.credential, ApiKey)
    ]
    assert regions == [
        ("us-east-1", "eu-central-1"),
        ("eu-west-1", ""),
        ("ap-southeast-1", "eu-central-1"),
        ("ap-southeast-1", "eu-central-1"),
        ("us-east-1", ""),
    ]
    assert "mx-central-1" in found[4].notes[0]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ""),
        ({"proxyUrl": "direct"}, "none"),
        ({"proxy_url": "http://host:3128"}, "http://host:3128"),
        ({"proxyUrl": "socks5://host:1080", "proxyUsername": "u:@", "proxyPassword": "p/w"}, "socks5://u%3A%40:p%2Fw@host:1080"),
        ({"proxyUrl": "http://old:pw@host:1", "proxyUsername": "new"}, "http://new@host:1"),
    ],
)  # fmt: skip
def test_a_proxy_comes_with_its_password(members: dict[str, Any], expected: str) -> None:
    (item,) = entries_of(compact({"refreshToken": TOKEN, **members}), "x")
    assert isinstance(item, Entry)
    assert item.proxy_url == expected


def test_what_an_account_is_called_and_how_it_shall_serve() -> None:
    document = {
        "accounts": {
            "work": {"refreshToken": TOKEN, "priority": 3, "disabled": "true", "email": "me@x.y", "userId": "u-1"},
            "home": {"refreshToken": TOKEN[::-1], "label": "House", "enabled": True, "priority": "0"},
            TOKEN: {"refreshToken": TOKEN, "name": TOKEN},
        }
    }
    work, home, hidden = entries_of(compact(document), "x")
    assert isinstance(work, Entry)
    assert isinstance(home, Entry)
    assert (work.name, work.priority, work.enabled, work.email, work.user_id) == ("work", 3, False, "me@x.y", "u-1")
    assert (home.name, home.priority, home.enabled) == ("House", 0, True)
    assert (work.path, home.path, hidden.path) == ("accounts.work", "accounts.home", "accounts[#3]")
    assert TOKEN not in repr(hidden), "a token that stands where a name should be is shown"


@pytest.mark.parametrize("members", [{"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x"}])
def test_of_two_spellings_the_first_with_something_in_it_counts(members: dict[str, Any]) -> None:
    both = {"refreshToken": TOKEN, **members}
    assert taken(compact(both)) == [Social(refresh_token=TOKEN)]
    if not members["refresh_token"]:
        assert taken(compact(dict(reversed(both.items())))) == [Social(refresh_token=TOKEN)]


@pytest.mark.parametrize("name", ["a1B2" * 8, "ksk_abcdef", "aorABCDEFGHIJKLMNOPQRS", "x" * 65, "two\nlines"])
def test_what_could_be_a_token_is_no_name(name: str) -> None:
    (item,) = entries_of(compact({name: {"refreshToken": TOKEN, "name": name, "label": "mine"}}), "x")
    assert (item.name, item.path) == ("mine", "[#1]")


def test_one_objects_metadata_describes_no_several_accounts() -> None:
    document = {
        "name": "all of them",
        "email": "a@b.c",
        "accounts": [{"refreshToken": TOKEN}, {"apiKey": "ksk_abcdefg"}],
    }
    found = entries_of(compact(document), "x")
    assert [(item.name, isinstance(item, Entry)) for item in found] == [("", True), ("", True)]


def test_values_have_no_secret_in_their_repr() -> None:
    (item,) = entries_of(compact({"refreshToken": TOKEN, "proxyUrl": "http://u:secretpw@h:1"}), "x")
    assert TOKEN not in repr(item)
    assert "secretpw" not in repr(item)
    assert issubclass(NoDocument, KirotrioError)
