"""Signing in with a code on another device: the tokens work, and nothing but a person or the clock ends the waiting."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sign_in_service import answer
from support.signing_in import DirectHttp, Person
from trio.testing import MockClock

from kirotrio.accounts.credential import Oidc, Social
from kirotrio.accounts.sign_in import SignedIn, SignInFailed, SignInPlan, sign_in
from kirotrio.accounts.sign_in.calls import Calls
from kirotrio.accounts.sign_in.polling import granted
from kirotrio.accounts.tokens.refresh import NetworkRefused, refresh
from kirotrio.accounts.worth.usage import read_document
from kirotrio.config.settings import DeadlineSettings, Settings, UpstreamSettings
from kirotrio.errors import AccountUnavailable, DeadlineExceeded, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator import SOCIAL_ARN, Simulator
from kirotrio.simulator.accounts import TokenState, sample_profiles

NOW = 1_800_000_000.0
START_URL = "https://d-1234567890.awsapps.com/start"
BUILDER_ID = SignInPlan("builder-id", "device")
IDENTITY_CENTER = SignInPlan("identity-center", "device", start_url=START_URL, region="ap-southeast-1")
SOCIAL = SignInPlan("social", "device", provider="github")
PLANS = [pytest.param(plan, id=plan.kind) for plan in (BUILDER_ID, IDENTITY_CENTER, SOCIAL)]
POLLS = {"builder-id": "/token", "identity-center": "/token", "social": "/oauth/device/poll"}
BROKEN = UpstreamFailed("the connection broke", recovery=Recovery.RETRY)


@pytest.fixture
async def simulator(autojump_clock: MockClock) -> Simulator:
    return Simulator(clock=trio.current_time)


@pytest.fixture
async def http(simulator: Simulator) -> DirectHttp:
    return DirectHttp(simulator)


async def signed_in(plan: SignInPlan, http: DirectHttp, person: Person | None = None, **options: object) -> SignedIn:
    chosen = options.pop("settings", Settings())
    assert isinstance(chosen, Settings)
    return await sign_in(plan, person or Person(), http, chosen, now=lambda: NOW, **options)


def renewal(http: DirectHttp, signed: SignedIn):
    return refresh(http, signed.credential, deadline=5, now=lambda: NOW)


@pytest.mark.parametrize("plan", PLANS)
async def test_the_tokens_are_good_and_can_be_refreshed(
    plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock
) -> None:
    signed = await signed_in(plan, http)
    credential = signed.credential
    assert isinstance(credential, Oidc | Social)
    assert credential.expires_at == NOW + 3600
    assert http.simulator.book.identify(credential.access_token)[0] is TokenState.VALID
    renewed = await renewal(http, signed)
    assert http.simulator.book.identify(renewed.access_token)[0] is TokenState.VALID
    assert renewed.refresh_token != credential.refresh_token


async def test_a_builder_id_is_registered_under_our_own_name(http: DirectHttp, autojump_clock: MockClock) -> None:
    person = Person()
    credential = (await signed_in(BUILDER_ID, http, person)).credential
    assert isinstance(credential, Oidc)
    assert credential.is_builder_id
    assert not credential.profile_arn
    registered = json.loads(http.to("/client/register")[0].body)
    assert (registered["clientName"], registered["clientType"]) == ("kirotrio", "public")
    assert credential.registration_expires_at is not None
    assert http.hosts <= {"oidc.us-east-1.amazonaws.com", "q.us-east-1.amazonaws.com", "app.kiro.dev"}
    assert person.codes == [
        (
            "SIMU-LATE",
            "https://view.awsapps.com/start/#/device",
            "https://view.awsapps.com/start/#/device?user_code=SIMU-LATE",
            600.0,
        )
    ]
    assert not person.asked, "a Builder ID has no profile to choose"


async def test_an_identity_center_signs_in_at_its_own_region_and_has_a_profile_chosen(
    http: DirectHttp, autojump_clock: MockClock
) -> None:
    person = Person(choice=1)
    signed = await signed_in(IDENTITY_CENTER, http, person)
    credential = signed.credential
    assert isinstance(credential, Oidc)
    assert (credential.sign_in_region, credential.start_url) == ("ap-southeast-1", START_URL)
    assert all(urlsplit(sent.url).hostname == "oidc.ap-southeast-1.amazonaws.com" for sent in http.to("/token"))
    (offered,) = person.asked
    assert {profile.arn for profile in offered} == set(sample_profiles())
    assert signed.profile_arn == credential.profile_arn == offered[1].arn


async def test_one_profile_is_no_question(http: DirectHttp, autojump_clock: MockClock) -> None:
    http.simulator.person.profiles = sample_profiles()[:1]
    person = Person()
    assert (await signed_in(IDENTITY_CENTER, http, person)).profile_arn == sample_profiles()[0]
    assert not person.asked


async def test_a_sign_in_without_a_profile_is_not_kept(http: DirectHttp, autojump_clock: MockClock) -> None:
    http.simulator.person.profiles = ()
    with pytest.raises(SignInFailed, match="administrator") as failed:
        await signed_in(IDENTITY_CENTER, http)
    assert failed.value.reason == "refused"


async def test_a_profile_that_cannot_be_looked_up_now_does_not_cost_the_sign_in(
    http: DirectHttp, autojump_clock: MockClock
) -> None:
    http.script["/ListAvailableProfiles"] = [BROKEN, answer(500, {})]
    person = Person()
    signed = await signed_in(IDENTITY_CENTER, http, person)
    assert signed.profile_arn == ""
    assert "looked for again" in person.notes[-1]


async def test_a_social_sign_in_knows_its_provider_profile_and_person(
    http: DirectHttp, autojump_clock: MockClock
) -> None:
    signed = await signed_in(SOCIAL, http)
    assert isinstance(signed.credential, Social)
    assert signed.credential.provider == "Github"
    assert signed.profile_arn == SOCIAL_ARN
    assert (signed.email, signed.user_id) == ("person@example.com", "d-0000000000.person")
    assert read_document(signed.usage, signed.usage_at).plan == signed.plan != "", "it is worth keeping"
    assert signed.usage_at == NOW
    begun = json.loads(http.to("/oauth/device/authorization")[0].body)
    assert begun == {"clientId": "kiro-cli", "loginProvider": "Github"}


async def test_a_profile_that_is_not_active_is_better_than_none(http: DirectHttp, autojump_clock: MockClock) -> None:
    arn = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"
    http.script["/ListAvailableProfiles"] = [answer(200, {"profiles": [{"arn": arn, "status": "INACTIVE"}]})] * 2
    assert (await signed_in(IDENTITY_CENTER, http)).profile_arn == arn


async def test_profiles_that_are_not_active_are_not_offered_beside_others(
    http: DirectHttp, autojump_clock: MockClock
) -> None:
    arns = [f"arn:aws:codewhisperer:us-east-1:111:profile/{name}" for name in ("OFF", "ON")]
    found = [{"arn": arns[0], "status": "INACTIVE"}, {"arn": arns[1], "status": "ACTIVE"}]
    http.script["/ListAvailableProfiles"] = [answer(200, {"profiles": found})] * 2
    person = Person()
    assert (await signed_in(IDENTITY_CENTER, http, person)).profile_arn == arns[1]
    assert not person.asked


async def test_the_provider_that_the_service_names_goes_before_the_one_asked_for(
    http: DirectHttp, autojump_clock: MockClock
) -> None:
    tokens = {"accessToken": "a", "refreshToken": "r" * 120, "identityProvider": "GOOGLE", "status": "success"}
    http.script["/oauth/device/poll"] = [answer(200, tokens)]
    credential = (await signed_in(SOCIAL, http)).credential
    assert isinstance(credential, Social)
    assert credential.provider == "Google"
    assert credential.expires_at == NOW + 3600, "an answer that names no time means an hour"


async def test_a_social_code_needs_a_provider(http: DirectHttp, autojump_clock: MockClock) -> None:
    with pytest.raises(SignInFailed, match="--provider google or github") as failed:
        await signed_in(attrs.evolve(SOCIAL, provider=""), http)
    assert failed.value.reason == "unusable"
    assert not http.sent


@pytest.mark.parametrize("plan", PLANS)
async def test_a_person_who_refuses(plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock) -> None:
    http.simulator.person.does = "deny"
    with pytest.raises(SignInFailed) as failed:
        await signed_in(plan, http)
    assert failed.value.reason == "denied"


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("life", "patience"), [(600, 900), (600, 60)])
async def test_nobody_confirms(
    plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock, life: float, patience: float
) -> None:
    http.simulator.person.does = "never"
    http.simulator.sign_ins.device_life = life
    person = Person()
    began = trio.current_time()
    with pytest.raises(SignInFailed, match="in time") as failed:
        await signed_in(plan, http, person, settings=Settings(deadlines=DeadlineSettings(login=patience)))
    assert failed.value.reason == "expired"
    assert person.codes[0][3] == min(life, patience)
    assert trio.current_time() - began == pytest.approx(min(life, patience))


@pytest.mark.parametrize("plan", PLANS)
async def test_a_code_that_the_service_calls_expired(
    plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock
) -> None:
    person = Person()
    http.simulator.person.polls = 3

    async def expire() -> None:
        await trio.sleep(2.5)
        http.simulator.expire_codes()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expire)
        with pytest.raises(SignInFailed) as failed:
            await signed_in(plan, http, person)
    assert failed.value.reason == "expired"
    assert trio.current_time() < 10, "the service's word is enough"


@pytest.mark.parametrize("plan", PLANS)
async def test_slow_down_is_obeyed_and_told(plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock) -> None:
    path = POLLS[plan.kind]
    slower = answer(200, {"status": "slow_down"}) if plan is SOCIAL else answer(400, {"error": "slow_down"})
    http.script[path] = [slower, slower]
    person = Person()
    await signed_in(plan, http, person)
    times = [sent.at for sent in http.to(path)]
    pauses = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert pauses == pytest.approx([1, 6, 11, 11])
    assert person.notes == ["slow_down: asking every 6 seconds", "slow_down: asking every 11 seconds"]


@pytest.mark.parametrize("plan", PLANS)
async def test_a_network_that_fails_in_the_middle_is_waited_for(
    plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock
) -> None:
    late = DeadlineExceeded("no answer", recovery=Recovery.RETRY)
    http.script[POLLS[plan.kind]] = [BROKEN, late, answer(503, b"<html>"), answer(429, {}, retry_after="20")]
    person = Person()
    signed = await signed_in(plan, http, person)
    assert http.simulator.book.identify(signed.credential.access_token)[0] is TokenState.VALID
    assert len(person.notes) == 4
    times = [sent.at for sent in http.to(POLLS[plan.kind])]
    assert times[4] - times[3] >= 20, "the service said when to come back"


async def test_a_network_that_stays_away_ends_with_the_code(http: DirectHttp, autojump_clock: MockClock) -> None:
    http.script["/token"] = [BROKEN] * 1000
    with pytest.raises(SignInFailed) as failed:
        await signed_in(BUILDER_ID, http)
    assert failed.value.reason == "expired"
    assert trio.current_time() == pytest.approx(600)
    assert len(http.to("/token")) < 40, "it was asked less and less often"


@pytest.mark.parametrize("plan", PLANS)
async def test_calls_before_the_code_are_tried_three_times(
    plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock
) -> None:
    first = "/oauth/device/authorization" if plan is SOCIAL else "/client/register"
    http.script[first] = [BROKEN, answer(500, {"message": "Oops"})]
    person = Person()
    await signed_in(plan, http, person)
    assert len(http.to(first)) == 3
    assert [note.endswith("trying again") for note in person.notes] == [True, True]
    http.script[first] = [BROKEN] * 3
    with pytest.raises(UpstreamFailed):
        await signed_in(plan, http)


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (answer(400, {"error": "invalid_request"}), SignInFailed, "400 invalid_request"),
        (answer(401, {"error": "invalid_client"}), SignInFailed, "invalid_client"),
        (answer(403, b"<html>WAF</html>"), NetworkRefused, "another network"),
        (answer(200, {"clientId": "only"}), SignInFailed, "without a client"),
        (answer(200, b"<html>"), SignInFailed, "without a client"),
    ],
)
async def test_a_registration_that_is_refused(
    http: DirectHttp, autojump_clock: MockClock, refusal: HttpAnswer, error: type[Exception], words: str
) -> None:
    http.script["/client/register"] = [refusal]
    with pytest.raises(error, match=words):
        await signed_in(BUILDER_ID, http)
    assert len(http.sent) == 1, "what is final is not tried again"


@pytest.mark.parametrize(
    "begun", [{}, {"deviceCode": "d"}, {"deviceCode": "d", "userCode": "u"}, {"deviceCode": 1, "userCode": "u"}, []]
)
async def test_an_answer_without_a_code(http: DirectHttp, autojump_clock: MockClock, begun: object) -> None:
    http.script["/device_authorization"] = [answer(200, begun)]
    with pytest.raises(SignInFailed, match="without a code") as failed:
        await signed_in(BUILDER_ID, http)
    assert failed.value.reason == "unusable"


async def test_tokens_without_a_refresh_token_are_not_kept(http: DirectHttp, autojump_clock: MockClock) -> None:
    http.script["/token"] = [answer(200, {"accessToken": "secret-access", "expiresIn": 3600})]
    with pytest.raises(SignInFailed, match="without a refresh token") as failed:
        await signed_in(BUILDER_ID, http)
    assert "secret-access" not in str(failed.value)


@pytest.mark.parametrize(
    ("start_url", "words"),
    [
        ("", "needs the start URL"),
        ("https://view.awsapps.com/start/", "login builder-id"),
        ("http://d-1.awsapps.com/start", "cannot be used"),
        ("d-1.awsapps.com/start", "cannot be used"),
        ("https://user@d-1.awsapps.com/start", "cannot be used"),
        ("https://d-1.awsapps.com:x/start", "cannot be used"),
        ("https://[::1/start", "cannot be used"),
    ],
)
async def test_a_start_url_that_is_none(
    http: DirectHttp, autojump_clock: MockClock, start_url: str, words: str
) -> None:
    with pytest.raises(SignInFailed, match=words):
        await signed_in(attrs.evolve(IDENTITY_CENTER, start_url=start_url), http)
    assert not http.sent


@pytest.mark.parametrize("plan", [IDENTITY_CENTER, SOCIAL])
async def test_a_region_becomes_part_of_no_host_unseen(
    http: DirectHttp, autojump_clock: MockClock, plan: SignInPlan
) -> None:
    with pytest.raises(AccountUnavailable, match="region"):
        await signed_in(attrs.evolve(plan, region="evil.example/?"), http)
    assert not http.sent


async def test_every_call_goes_through_the_proxy_of_the_account(http: DirectHttp, autojump_clock: MockClock) -> None:
    await signed_in(IDENTITY_CENTER, http, proxy_url="http://proxy.example:1")
    assert {sent.proxy_url for sent in http.sent} == {"http://proxy.example:1"}


async def test_a_person_who_gives_up_ends_the_call_under_way(http: DirectHttp, autojump_clock: MockClock) -> None:
    http.simulator.person.does = "never"
    with trio.move_on_after(10) as gone:
        await signed_in(BUILDER_ID, http)
    assert gone.cancelled_caught
    asked = len(http.sent)
    await trio.sleep(100)
    assert len(http.sent) == asked, "nothing goes on behind the back of whoever gave up"


def _begun(**changes: str) -> HttpAnswer:
    page = "https://app.kiro.dev/device"
    members = {"deviceCode": "d", "userCode": "ABCD-EFGH", "verificationUri": page, **changes}
    return answer(200, members)


@pytest.mark.parametrize(
    "changes",
    [
        {"userCode": "AB\x1b[2JCD"},
        {"userCode": "AB\x1b]8;;http://a.b\x07CD"},
        {"userCode": "AB\nCD"},
        {"userCode": "\u202eABCD"},
        {"userCode": "A" * 65},
        {"verificationUri": "https://app.kiro.dev/\x1b[2Jdevice"},
        {"verificationUri": "https://app.kiro.dev/\x9bdevice"},
        {"verificationUri": "https://app.kiro.dev/ device"},
        {"verificationUri": "https://app.kiro.dev/" + "a" * 2048},
        {"verificationUri": "https://app.kiro.dev@evil.example/device"},
        {"verificationUri": "http://app.kiro.dev/device"},
        {"verificationUri": "file:///etc/passwd"},
        {"verificationUri": "javascript:alert(1)"},
        {"verificationUri": "https:///device"},
        {"verificationUri": "https://app.kiro.dev:x/device"},
        {"verificationUri": "//app.kiro.dev/device"},
        {"verificationUriComplete": "file:///etc/passwd"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("plan", [BUILDER_ID, SOCIAL], ids=lambda plan: plan.kind)
async def test_what_no_terminal_may_show_is_not_shown(
    plan: SignInPlan, http: DirectHttp, autojump_clock: MockClock, changes: dict[str, str]
) -> None:
    path = "/oauth/device/authorization" if plan is SOCIAL else "/device_authorization"
    http.script[path] = [_begun(**changes)]
    person = Person()
    with pytest.raises(SignInFailed, match=r"nothing was kept.*upstream\.auth_url") as failed:
        await signed_in(plan, http, person)
    assert failed.value.reason == "unusable"
    assert not person.codes
    assert failed.value.message.isprintable()


@pytest.mark.parametrize(
    "address",
    ["http://localhost:3000/device", "http://127.0.0.1/device", "http://[::1]:1/device", "http://kiro.test:81/device"],
)
def test_without_tls_a_page_is_on_this_machine_or_where_the_settings_say(address: str) -> None:
    person = Person()
    settings = Settings(upstream=UpstreamSettings(auth_url="http://kiro.test:81"))
    calls = Calls(None, settings, person, lambda: NOW)
    calls.show_code("ABCD", address, "", 60)
    assert person.codes[0][1] == address
    with pytest.raises(SignInFailed):
        calls.show_code("ABCD", "http://kiro.test:82/device", "", 60)


def test_nothing_shows_a_token() -> None:
    secret = "s" * 40
    shown = repr(SignInPlan("api-key", "device", api_key=secret))
    shown += repr(SignedIn(Social(refresh_token=secret, access_token=secret)))
    assert secret not in shown


OUTCOMES = {
    "pending": answer(400, {"error": "authorization_pending"}),
    "social pending": answer(200, {"status": "authorization_pending"}),
    "slower": answer(400, {"error": "slow_down"}),
    "named by type": answer(400, {"__type": "com.amazonaws.ssooidc#SlowDownException"}),
    "broken": BROKEN,
    "500": answer(500, b""),
    "429": answer(429, {}, retry_after="3"),
}
GRANTED = answer(200, {"accessToken": "token", "refreshToken": "r"})


@settings(max_examples=60)
@given(st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=12), st.floats(0.0, 10.0), st.integers(5, 2000))
def test_polls_keep_their_distance_and_only_a_person_or_the_clock_ends_them(
    names: list[str], interval: float, seconds: int
) -> None:
    async def run() -> None:
        times: list[float] = []
        script = [*map(OUTCOMES.__getitem__, names), GRANTED]

        async def ask() -> HttpAnswer:
            times.append(trio.current_time())
            outcome = script.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        calls = Calls(None, Settings(), Person(), lambda: NOW)
        reason = ""
        try:
            assert await granted(calls, ask, interval=interval, seconds=seconds) is GRANTED
            assert not script
        except SignInFailed as failed:
            reason = failed.reason
        if reason:
            assert (reason, trio.current_time()) == ("expired", pytest.approx(seconds))
        due = interval
        before = 0.0
        for name, at in zip([*names, ""], times, strict=False):
            assert at - before >= due - 1e-9, f"{name}: asked {at - before} seconds after the last time, not {due}"
            assert at < seconds
            before = at
            if name in ("slower", "named by type"):
                due += 5

    trio.run(run, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("code", ["access_denied", "AccessDeniedException", "expired_token", "invalid_grant"])
async def test_the_ends_in_all_their_spellings(autojump_clock: MockClock, code: str) -> None:
    async def ask() -> HttpAnswer:
        return answer(400, {"error": code})

    calls = Calls(None, Settings(), Person(), lambda: NOW)
    with pytest.raises(SignInFailed) as failed:
        await granted(calls, ask, interval=1, seconds=60)
    assert failed.value.reason == ("denied" if "ccess" in code else "expired")
