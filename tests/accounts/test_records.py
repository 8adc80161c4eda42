"""Rows and sign-ins are made of one another without loss; who is who among them."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kirotrio.accounts.credential import ApiKey, Credential, ExternalIdp, Oidc, Social
from kirotrio.accounts.records import (
    NO_PROXY,
    credential_of,
    credentials_of,
    following,
    free_name,
    is_name,
    kind_of,
    person_among,
    proxy_of,
    record_of,
    same_person,
    terms_of,
    token_of,
    with_credential,
)
from kirotrio.config.settings import Settings
from kirotrio.store.account_record import AccountRecord

TEXT = st.text(min_size=1, max_size=20)
TIMES = st.none() | st.floats(1, 1e10)
ROTATING = {
    "refresh_token": TEXT,
    "access_token": st.text(max_size=20),
    "expires_at": TIMES,
    "profile_arn": st.sampled_from(["", "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABC"]),
    "provider": st.sampled_from(["", "Google", "Github", "Enterprise"]),
}
REGIONS = st.sampled_from(["us-east-1", "eu-west-2"])
START_URLS = st.sampled_from(["", "https://view.awsapps.com/start", "https://d-1.awsapps.com/start"])
CREDENTIALS: st.SearchStrategy[Credential] = st.one_of(
    st.builds(ApiKey, TEXT),
    st.builds(Social, **ROTATING, sign_in_region=REGIONS),
    st.builds(
        Oidc,
        **{**ROTATING, "provider": st.sampled_from(["", "BuilderId", "Enterprise"])},
        client_id=TEXT,
        client_secret=TEXT,
        sign_in_region=REGIONS,
        start_url=START_URLS,
        registration_expires_at=TIMES,
    ),
    st.builds(ExternalIdp, **ROTATING, token_endpoint=TEXT, client_id=TEXT, scope=st.text(max_size=20)),
)


@given(CREDENTIALS)
@hypothesis_settings(max_examples=200)
def test_a_sign_in_comes_back_from_its_row_as_it_was(credential: Credential) -> None:
    record = record_of("work", credential, proxy_url="http://p:1")
    assert credential_of(record) == credential
    assert record.kind == kind_of(credential)
    assert record.secrets.proxy_url == "http://p:1"
    assert token_of(record) == (credential.key if isinstance(credential, ApiKey) else credential.refresh_token)


@given(CREDENTIALS, CREDENTIALS)
def test_another_sign_in_takes_the_place_of_the_whole_former_one(before: Credential, after: Credential) -> None:
    record = attrs.evolve(record_of("work", before, proxy_url=NO_PROXY), mark="sign_in", priority=7, region="eu-west-2")
    changed = with_credential(record, after)
    assert credential_of(changed) == after, "something of the former sign-in is left"
    assert (changed.id, changed.name, changed.priority, changed.region) == (record.id, "work", 7, "eu-west-2")
    assert changed.secrets.proxy_url == NO_PROXY


@given(CREDENTIALS)
def test_what_is_followed_leaves_no_secret_in_the_row(credential: Credential) -> None:
    record = record_of("work", credential, follows=following("ide", "/home/me/token.json"))
    assert attrs.astuple(record.secrets) == ("", "", "", "", "")
    with pytest.raises(ValueError, match="another program"):
        credential_of(record)


def test_a_kind_that_is_not_known_is_no_credential() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        credential_of(AccountRecord(id="1", name="work", kind="carrier-pigeon"))


def test_an_accounts_own_values_go_before_the_settings() -> None:
    settings = Settings()
    plain = record_of("work", Social(refresh_token="r", access_token="a"))
    assert terms_of(plain, settings).flavour == settings.upstream.flavour
    own = attrs.evolve(plain, flavour="runtime", region="eu-central-1", endpoint="http://box:1")
    terms = terms_of(own, settings)
    assert (terms.flavour, terms.region, terms.data_url) == ("runtime", "eu-central-1", "http://box:1")
    lent = credentials_of(own, settings)
    assert (lent.access_token, lent.region, lent.url, lent.account) == ("a", "eu-central-1", "http://box:1", "work")
    arn = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABC"
    assert credentials_of(attrs.evolve(own, profile_arn=arn), settings).region == "us-east-1", "the ARN decides"
    assert credentials_of(record_of("key", ApiKey("ksk_1")), settings).token_type == "API_KEY"


@pytest.mark.parametrize(("kept", "asked"), [("", None), (NO_PROXY, ""), ("socks5://u:p@h:1", "socks5://u:p@h:1")])
def test_no_proxy_is_not_the_same_as_the_settings_proxy(kept: str, asked: str | None) -> None:
    assert proxy_of(record_of("work", ApiKey("ksk_1"), proxy_url=kept)) == asked


@given(st.text(max_size=80), st.lists(st.text(max_size=10), max_size=5))
def test_a_free_name_is_a_name_and_is_free(wanted: str, others: list[str]) -> None:
    taken = [free_name(wanted, []), *others]
    name = free_name(wanted, taken)
    assert is_name(name)
    assert name.lower() not in {other.lower() for other in taken}


def test_names_are_made_of_what_stands_before_the_at_sign() -> None:
    assert free_name("jo.public@example.com", []) == "jo.public"
    assert free_name("jo.public@example.com", ["jo.public", "jo.public-2"]) == "jo.public-3"
    assert [is_name(name) for name in ("", "..", "a/b", "a b", "x" * 65, "a.b_c-1")] == [False] * 5 + [True]


def person(**changes: str) -> AccountRecord:
    known = {"kind": "social", "email": "me@example.com", "provider": "Google"}
    return AccountRecord(id=changes.pop("id", "1"), name="x", **{**known, **changes})


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (person(), True),
        (person(email="ME@example.com"), True),
        (person(email="you@example.com"), False),
        (person(provider="Github"), False),
        (person(kind="builder-id"), False),
        (person(email=""), False),
    ],
)
def test_one_person_is_one_of_kind_mail_and_provider(other: AccountRecord, same: bool) -> None:
    assert same_person(person(), other) is same
    assert same_person(other, person()) is same


def test_the_user_id_goes_before_the_mail_and_profiles_tell_apart() -> None:
    assert same_person(person(user_id="u", email="old@example.com"), person(user_id="u"))
    assert not same_person(person(user_id="u"), person(user_id="v"))
    assert not same_person(person(user_id="u", profile_arn="a"), person(user_id="u", profile_arn="b"))
    assert not same_person(person(email=""), person(email="")), "two that say nothing are not one"
    assert person_among([person(), person(id="2")], person()) == person(id="2"), "nobody is another of himself"
