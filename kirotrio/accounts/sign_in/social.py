"""Google and GitHub, through Kiro's own sign-in service: a code on another device, or a browser here (KIRO_PROTOCOL
5.1)."""

from __future__ import annotations

from kirotrio.accounts.credential import Social
from kirotrio.accounts.endpoints import checked_region
from kirotrio.accounts.sign_in.addresses import portal_url, social_url, with_query
from kirotrio.accounts.sign_in.calls import Calls, unusable_answer
from kirotrio.accounts.sign_in.loopback import listening
from kirotrio.accounts.sign_in.polling import DEFAULT_INTERVAL, granted
from kirotrio.accounts.sign_in.proof import METHOD, Proof
from kirotrio.accounts.sign_in.values import SignInFailed, SignInPlan
from kirotrio.accounts.tokens.answers import json_object, lifetime, renewed, text_in
from kirotrio.kiro.http_answer import HttpAnswer

DEVICE_CLIENT = "kiro-cli"
"""Not our name: the device flow knows this one public client, and no way to register another."""
REDIRECT_FROM = "KiroCLI"
"""Not our name either: what the sign-in page is called with in every recorded address that ends at a loopback port;
it tells the page to come back to a port and not to an editor."""
PORTS = (3128, 19876, 19877, 19878, 19879, 19880)
"""The loopback ports at which the service was seen to come back."""
PROVIDERS = {"google": "Google", "github": "Github"}
"""As a person writes it -> as the service does."""
_CODE_LIFETIME = 600.0


async def by_device(plan: SignInPlan, calls: Calls) -> Social:
    """Show a code that the person confirms in any browser. Raises as `sign_in` does."""
    provider = PROVIDERS.get(plan.provider.lower())
    if provider is None:
        raise SignInFailed("A code for another device is for one provider: add --provider google or github", "unusable")
    region = checked_region(plan.region, "The sign-in")
    begin = {"clientId": DEVICE_CLIENT, "loginProvider": provider}
    begun = await calls.wanted_json(social_url("/oauth/device/authorization", region, calls.auth_url), begin, "a code")
    entry = json_object(begun) or {}
    code, user_code, address = (text_in(entry, name) for name in ("deviceCode", "userCode", "verificationUri"))
    if not (code and user_code and address):
        raise unusable_answer("a code to confirm")
    seconds = min(_seconds(entry.get("expiresInMilliseconds"), _CODE_LIFETIME), calls.patience)
    calls.show_code(user_code, address, text_in(entry, "verificationUriComplete"), seconds)
    poll_url = social_url("/oauth/device/poll", region, calls.auth_url)
    answer = await granted(
        calls,
        lambda: calls.post_json(poll_url, {"clientId": DEVICE_CLIENT, "deviceCode": code}),
        interval=_seconds(entry.get("intervalInMilliseconds"), DEFAULT_INTERVAL),
        seconds=seconds,
    )
    return _credential(calls, region, provider, answer)


async def by_browser(plan: SignInPlan, calls: Calls) -> Social:
    """Send the person's browser to Kiro's sign-in page and wait for it to come back. Raises as `sign_in` does."""
    region, proof = checked_region(plan.region, "The sign-in"), Proof.new()
    deadline = calls.settings.deadlines.sign_in
    async with listening(proof, host="localhost", ports=PORTS, call_deadline=deadline) as loopback:
        address = with_query(
            portal_url("/signin", calls.settings.upstream.portal_url),
            state=proof.state,
            code_challenge=proof.challenge,
            code_challenge_method=METHOD,
            redirect_uri=loopback.base,
            redirect_from=REDIRECT_FROM,
        )
        calls.prompt.browser(address, calls.patience, loopback.came_to)
        code = await loopback.code(calls.patience)
    exchange = {"code": code, "code_verifier": proof.verifier, "redirect_uri": loopback.base}
    url = social_url("/oauth/token", region, calls.auth_url)
    # The page lets the person choose: what was asked for on the command line need not be what came of it.
    provider = PROVIDERS.get(plan.provider.lower(), "")
    return _credential(calls, region, provider, await calls.wanted_json(url, exchange, "tokens"))


def _seconds(milliseconds: object, otherwise: float) -> float:
    return lifetime(milliseconds, otherwise * 1000) / 1000


def _credential(calls: Calls, region: str, provider: str, answer: HttpAnswer) -> Social:
    tokens = renewed(answer, calls.now())
    if not tokens.refresh_token:
        raise unusable_answer("a refresh token")
    told = PROVIDERS.get(text_in(json_object(answer) or {}, "identityProvider").lower())
    return Social(
        refresh_token=tokens.refresh_token,
        access_token=tokens.access_token,
        expires_at=tokens.expires_at,
        profile_arn=tokens.profile_arn,
        provider=told or provider,
        sign_in_region=region,
    )
