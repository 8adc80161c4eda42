"""Asking what an account is worth: the service first, the portal second."""

from __future__ import annotations

import attrs
import pytest
import trio
from support.simulated_http import SimulatedHttp
from trio.testing import MockClock

from kirotrio.accounts.worth.reset_date import next_reset
from kirotrio.accounts.worth.usage import ask_usage
from kirotrio.config.settings import DeadlineSettings, Settings, UpstreamSettings
from kirotrio.errors import AccountSuspended, DeadlineExceeded, KirotrioError, QuotaExhausted, Recovery, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.kiro.usage import AccountUsage
from kirotrio.simulator import SOCIAL_ARN, Account, Extra, Kind, Simulator, Subscription

NOW = 1_800_000_000.0
DAY = 86_400.0
SETTINGS = Settings(upstream=UpstreamSettings(portal_url="http://portal"))
CREDENTIALS = Credentials("token", account="work", provider="Google")


def simulated(**account: object) -> SimulatedHttp:
    fields: dict[str, object] = {
        "access_token": "token",
        "subscription": Subscription("KIRO PRO", limit=100),
        **account,
    }
    simulator = Simulator(accounts=[Account("work", **fields)], wall=lambda: NOW)
    return SimulatedHttp(simulator)


async def asked(
    http: SimulatedHttp, credentials: Credentials = CREDENTIALS, settings: Settings = SETTINGS
) -> AccountUsage:
    return await ask_usage(http, credentials, settings, now=lambda: NOW)


async def test_the_service_alone_is_asked_where_it_tells_everything() -> None:
    subscription = Subscription(
        limit=100,
        used=40,
        trial=Extra(50, NOW + DAY, used=10),
        bonuses=[Extra(20, NOW - 1), Extra(30, NOW + DAY)],
        overage_enabled=True,
        resets_at=NOW + 5 * DAY,
    )
    http = simulated(subscription=subscription, email="me@example.com", user_id="u-1")
    usage = await asked(http)
    assert http.paths == ["getUsageLimits"]
    assert (usage.used, usage.limit, usage.left) == (50.0, 180.0, 130.0)
    assert (usage.plan, usage.email, usage.user_id, usage.source) == ("KIRO PRO", "me@example.com", "u-1", "limits")
    assert (usage.resets_at, usage.fetched_at, usage.overage.enabled) == (NOW + 5 * DAY, NOW, True)


async def test_the_portal_tells_whose_it_is_where_the_service_does_not() -> None:
    http = simulated()
    usage = await asked(http)
    assert http.paths == ["getUsageLimits", "GetUserInfo"]
    assert (usage.email, usage.source) == ("work@example.com", "limits")


@pytest.mark.parametrize("identity", ["Github", "Google", "BuilderId"])
@pytest.mark.parametrize("provider", ["", "Google", "Github", "BuilderId", "Elsewhere"])
async def test_the_portal_is_the_second_source_with_whatever_spelling_it_takes(identity: str, provider: str) -> None:
    http = simulated(identity=identity, email="me@example.com", subscription=Subscription(limit=100, used=3))
    http.simulator.fail_next("/getUsageLimits", "FEATURE_NOT_SUPPORTED")
    usage = await asked(http, attrs.evolve(CREDENTIALS, provider=provider))
    assert (usage.source, usage.used, usage.limit, usage.email) == ("portal", 3.0, 100.0, "me@example.com")
    spellings = [call.headers["cookie"].partition(";")[0] for call in http.calls if "cookie" in call.headers]
    assert spellings[-1] == f"Idp={identity}"
    assert len(spellings) == len(set(spellings)) <= 3, "no spelling is tried twice"
    if provider == identity:
        assert len(spellings) == 1, "the account's own is tried first"


async def test_dates_of_the_portal_are_read() -> None:
    subscription = Subscription(resets_at=NOW + DAY, trial=Extra(10, NOW + 2 * DAY), bonuses=[Extra(5, NOW + 3 * DAY)])
    http = simulated(subscription=subscription, email="me@example.com")
    http.simulator.fail_next("/getUsageLimits", "INTERNAL")
    usage = await asked(http)
    assert usage.source == "portal"
    assert usage.resets_at == NOW + DAY
    assert [part.expires_at for part in usage.allowances] == [None, NOW + 2 * DAY, NOW + 3 * DAY]


async def test_a_locked_account_is_not_asked_about_elsewhere() -> None:
    http = simulated(refusal="TEMPORARILY_SUSPENDED")
    with pytest.raises(AccountSuspended):
        await asked(http)
    assert http.paths == ["getUsageLimits"]


async def test_the_portal_too_knows_of_a_suspension() -> None:
    http = simulated(refusal="TEMPORARILY_SUSPENDED")
    http.script = [HttpAnswer(500, {}, b"{}")]
    with pytest.raises(AccountSuspended) as error:
        await asked(http)
    assert error.value.upstream_status == 423
    assert "work" in error.value.message


async def test_a_refused_token_is_not_tried_at_other_doors() -> None:
    http = simulated()
    http.simulator.expire_access_tokens()
    with pytest.raises(KirotrioError) as error:
        await asked(http)
    assert error.value.recovery is Recovery.REFRESH_TOKEN
    assert http.paths == ["getUsageLimits"]


async def test_keys_are_unknown_to_the_portal() -> None:
    http = simulated(kind=Kind.API_KEY, api_key="ksk_x")
    key = Credentials("ksk_x", token_type="API_KEY", account="work")
    assert (await asked(http, key)).email == ""
    http.simulator.fail_next("/getUsageLimits", "INTERNAL")
    with pytest.raises(KirotrioError):
        await asked(http, key)
    assert set(http.paths) == {"getUsageLimits"}


async def test_a_token_does_not_leave_for_the_portal_where_calls_are_led_elsewhere() -> None:
    for settings in (
        Settings(upstream=UpstreamSettings(url="http://elsewhere")),
        Settings(),
    ):
        own = attrs.evolve(CREDENTIALS, url="" if settings.upstream.url else "http://elsewhere")
        http = simulated()
        http.simulator.fail_next("/getUsageLimits", "INTERNAL")
        with pytest.raises(KirotrioError):
            await asked(http, own, settings)
        assert (await asked(http, own, settings)).email == ""
        assert set(http.paths) == {"getUsageLimits"}
    http = simulated()
    await asked(http, settings=Settings())
    assert http.paths == ["getUsageLimits", "GetUserInfo"], "Kiro's own service goes with Kiro's own portal"


async def test_where_both_fail_the_first_says_what_is_wrong() -> None:
    http = simulated()
    http.script = [UpstreamFailed("the service is away"), UpstreamFailed("the portal is away")]
    with pytest.raises(UpstreamFailed, match="the service is away"):
        await asked(http)
    assert len(http.calls) == 2


async def test_figures_without_a_person_are_better_than_none() -> None:
    http = simulated()
    http.simulator.fail_next("GetUserInfo", "INTERNAL")
    assert (await asked(http)).limit == 100.0


async def test_a_profile_that_is_not_taken_is_left_out() -> None:
    http = simulated(profiles=(SOCIAL_ARN,), email="me@example.com")
    wrong = HttpAnswer(400, {}, b'{"message": "Invalid profileArn.", "reason": null}')
    http.script = [wrong]
    assert (await asked(http, attrs.evolve(CREDENTIALS, profile_arn=SOCIAL_ARN))).limit == 100.0
    assert [call.query.get("profileArn") for call in http.calls] == [SOCIAL_ARN, None]
    http.script = [wrong]
    with pytest.raises(KirotrioError):
        await asked(http, settings=Settings(upstream=UpstreamSettings(url="http://x")))
    assert len(http.calls) == 3, "without a profile there is nothing to leave out"


@pytest.mark.parametrize("flavour", ["rest", "rpc", "runtime"])
async def test_every_flavour_is_spoken(flavour: str) -> None:
    http = simulated(profiles=(SOCIAL_ARN,), email="me@example.com")
    usage = await asked(http, attrs.evolve(CREDENTIALS, flavour=flavour, profile_arn=SOCIAL_ARN))
    assert usage.limit == 100.0


async def test_every_call_goes_through_the_accounts_proxy_within_its_deadline(autojump_clock: MockClock) -> None:
    http = simulated(identity="BuilderId")
    http.simulator.fail_next("/getUsageLimits", "INTERNAL")
    http.script = [1.0, 1.0, 1.0, 1.0]
    await asked(http, attrs.evolve(CREDENTIALS, proxy_url="socks5://proxy:1"))
    assert {call.proxy_url for call in http.calls} == {"socks5://proxy:1"}
    assert [call.deadline for call in http.calls] == [10.0, 10.0, 9.0, 8.0, 7.0], "each source has one deadline in all"


async def test_a_source_that_takes_too_long_for_all_its_calls_is_given_up(autojump_clock: MockClock) -> None:
    http = simulated(profiles=(SOCIAL_ARN,))
    slow = Settings(deadlines=DeadlineSettings(lookup=2.0), upstream=UpstreamSettings(url="http://x"))

    class Slow(SimulatedHttp):
        async def call(self, *args: object, **members: object) -> HttpAnswer:
            await trio.sleep(2.5)
            return HttpAnswer(400, {}, b"{}")

    with pytest.raises(DeadlineExceeded, match=r"deadlines\.lookup"):
        await asked(Slow(http.simulator), attrs.evolve(CREDENTIALS, profile_arn=SOCIAL_ARN), slow)


async def test_the_next_reset_of_a_used_up_account() -> None:
    http = simulated(subscription=Subscription(limit=1, used=1, resets_at=NOW + DAY))
    assert await next_reset(http, SETTINGS, CREDENTIALS) == NOW + DAY
    http.script = [QuotaExhausted("no")]
    assert await next_reset(http, SETTINGS, CREDENTIALS) is None
    http.script = [HttpAnswer(200, {}, b"no json")]
    assert await next_reset(http, SETTINGS, CREDENTIALS) is None
