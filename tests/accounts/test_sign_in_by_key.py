"""An API key is tried before it is kept, and never shown."""

from __future__ import annotations

import attrs
import pytest
from support.sign_in_service import answer
from support.signing_in import DirectHttp, Person

from kirotrio.accounts.credential import ApiKey
from kirotrio.accounts.sign_in import SignedIn, SignInFailed, SignInPlan, sign_in
from kirotrio.config.settings import Settings, UpstreamSettings
from kirotrio.errors import KirotrioError, Recovery, UpstreamFailed
from kirotrio.simulator import DEMO_API_KEY, Simulator

LIMITS = "/getUsageLimits"
MODELS = "/ListAvailableModels"


async def tried(http: DirectHttp, key: str = DEMO_API_KEY, flavour: str = "rest") -> SignedIn:
    plan = SignInPlan("api-key", "device", api_key=key)
    return await sign_in(plan, Person(), http, Settings(upstream=UpstreamSettings(flavour=flavour)))


@pytest.fixture
def http() -> DirectHttp:
    return DirectHttp(Simulator())


async def test_a_good_key_is_tried_with_its_token_type_and_kept(http: DirectHttp) -> None:
    signed = await tried(http, f"  {DEMO_API_KEY}\n")
    assert signed.credential == ApiKey(DEMO_API_KEY)
    assert signed.profile_arn == ""
    assert {sent.headers["tokentype"] for sent in http.sent} == {"API_KEY"}
    assert all("profileArn" not in sent.url for sent in http.sent)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("", "begins with ksk_"),
        ("aoa-no-key", "begins with ksk_"),
        ("ksk_", "too short"),
        ("ksk_wrong", "too short"),
        ("ksk_" + "x" * 1025, "too long"),
        ("ksk_with blank inside", "has a blank"),
        ("ksk_abcdefgh...", "was cut"),
        ("ksk_abcdefg…", "was cut"),
        ("ksk_äöüäöüäöü", "that no key has"),
        ("ksk_abcdefgh\x1b[2J", "that no key has"),
    ],
)
async def test_what_is_no_key_is_not_sent_anywhere(http: DirectHttp, key: str, wrong: str) -> None:
    with pytest.raises(SignInFailed, match=wrong) as failed:
        await tried(http, key)
    assert failed.value.reason == "unusable"
    assert not http.sent
    assert len(key) < 8 or key not in str(failed.value)


async def test_a_key_that_was_revoked_is_refused(http: DirectHttp) -> None:
    http.simulator.revoke(DEMO_API_KEY)
    with pytest.raises(SignInFailed, match="refuses this API key") as failed:
        await tried(http)
    assert failed.value.reason == "refused"
    assert DEMO_API_KEY not in str(failed.value)


async def test_a_suspended_account_is_told_as_such(http: DirectHttp) -> None:
    http.simulator.refuse("demo-key", "TEMPORARILY_SUSPENDED")
    with pytest.raises(SignInFailed, match="suspended") as failed:
        await tried(http)
    assert failed.value.reason == "refused"


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_where_the_usage_is_not_told_the_list_of_models_decides(http: DirectHttp, status: int) -> None:
    http.script[LIMITS] = [answer(status, {"message": "Invalid profileArn."})] * 2
    assert (await tried(http)).credential == ApiKey(DEMO_API_KEY)
    assert len(http.to(MODELS)) == 1


@pytest.mark.parametrize(
    "fault", [UpstreamFailed("no route", recovery=Recovery.RETRY), answer(503, {}), answer(429, {})]
)
async def test_a_service_that_cannot_tell_is_no_refusal(http: DirectHttp, fault: Exception) -> None:
    for script in ({LIMITS: [fault]}, {LIMITS: [answer(403, {})], MODELS: [fault]}):
        http.script = dict(script)
        with pytest.raises(KirotrioError) as failed:
            await tried(http)
        assert not isinstance(failed.value, SignInFailed), "the key may be good"


@pytest.mark.parametrize("flavour", ["rpc", "runtime"])
async def test_a_key_in_the_other_protocols(flavour: str) -> None:
    class AnyHost(DirectHttp):
        async def call(self, method, url, **options):
            url = url.replace("management.us-east-1.kiro.dev", "q.us-east-1.amazonaws.com")
            return await super().call(method, url, **options)

    assert (await tried(AnyHost(Simulator()), flavour=flavour)).credential == ApiKey(DEMO_API_KEY)


def test_a_plan_does_not_show_its_key() -> None:
    plan = SignInPlan("api-key", "device", api_key=DEMO_API_KEY)
    assert DEMO_API_KEY not in repr(attrs.evolve(plan, region="eu-central-1"))
