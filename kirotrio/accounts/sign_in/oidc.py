"""Builder ID and Identity Center: AWS SSO OIDC with a code on another device, or a browser here (KIRO_PROTOCOL 5.2).

Every sign-in registers its own client, under our own name; the client is kept with the tokens, since only it can
refresh them.
"""

from __future__ import annotations

from kirotrio.accounts.credential import BUILDER_ID_START_URL, Oidc, Renewed
from kirotrio.accounts.endpoints import checked_region
from kirotrio.accounts.expiry import known_expiry
from kirotrio.accounts.sign_in.addresses import BUILDER_ID_REGION, checked_start_url, oidc_url, with_query
from kirotrio.accounts.sign_in.calls import Calls, unusable_answer
from kirotrio.accounts.sign_in.loopback import listening
from kirotrio.accounts.sign_in.polling import DEFAULT_INTERVAL, granted
from kirotrio.accounts.sign_in.proof import METHOD, Proof
from kirotrio.accounts.sign_in.values import SignInPlan
from kirotrio.accounts.tokens.answers import json_object, lifetime, renewed, text_in
from kirotrio.classes import frozen
from kirotrio.kiro.http_answer import HttpAnswer

CLIENT_NAME = "kirotrio"
SCOPES = (
    "codewhisperer:completions",
    "codewhisperer:analysis",
    "codewhisperer:conversations",
    "codewhisperer:transformations",
    "codewhisperer:taskassist",
)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_CODE_LIFETIME = 600.0
"""Seconds that a device code is taken to live where the answer does not say."""


@frozen
class _Place:
    """Where to sign in."""

    region: str
    start_url: str
    provider: str

    @classmethod
    def of(cls, plan: SignInPlan) -> _Place:
        """Raises SignInFailed for a start URL that cannot be one, AccountUnavailable for such a region."""
        if plan.kind == "builder-id":
            return cls(BUILDER_ID_REGION, BUILDER_ID_START_URL, "BuilderId")
        region = checked_region(plan.region, "The sign-in")
        return cls(region, checked_start_url(plan.start_url), "Enterprise")


@frozen
class _Client:
    """A registered client. Its members go with every call that follows."""

    client_id: str
    client_secret: str
    expires_at: float | None

    @property
    def members(self) -> dict[str, str]:
        return {"clientId": self.client_id, "clientSecret": self.client_secret}


async def by_device(plan: SignInPlan, calls: Calls) -> Oidc:
    """Show a code that the person confirms in any browser. Raises as `sign_in` does."""
    place = _Place.of(plan)
    client = await _register(calls, place, grantTypes=[DEVICE_GRANT, "refresh_token"])
    begun = await calls.wanted_json(
        _url(calls, place, "/device_authorization"), {**client.members, "startUrl": place.start_url}, "a code"
    )
    entry = json_object(begun) or {}
    code, user_code, address = (text_in(entry, name) for name in ("deviceCode", "userCode", "verificationUri"))
    if not (code and user_code and address):
        raise unusable_answer("a code to confirm")
    seconds = min(lifetime(entry.get("expiresIn"), _CODE_LIFETIME), calls.patience)
    calls.show_code(user_code, address, text_in(entry, "verificationUriComplete"), seconds)
    poll = {**client.members, "deviceCode": code, "grantType": DEVICE_GRANT}
    answer = await granted(
        calls,
        lambda: calls.post_json(_url(calls, place, "/token"), poll),
        interval=lifetime(entry.get("interval"), DEFAULT_INTERVAL),
        seconds=seconds,
    )
    return _credential(calls, place, client, answer)


async def by_browser(plan: SignInPlan, calls: Calls) -> Oidc:
    """Send the person's browser to the sign-in page and wait for it to come back. Raises as `sign_in` does."""
    place, proof = _Place.of(plan), Proof.new()
    deadline = calls.settings.deadlines.sign_in
    async with listening(proof, host="127.0.0.1", call_deadline=deadline) as loopback:
        client = await _register(
            calls,
            place,
            grantTypes=["authorization_code", "refresh_token"],
            redirectUris=[loopback.callback],
            issuerUrl=place.start_url,
        )
        # Not the library's own address: this service calls the parameter `scopes`.
        address = with_query(
            _url(calls, place, "/authorize"),
            response_type="code",
            client_id=client.client_id,
            redirect_uri=loopback.callback,
            scopes=" ".join(SCOPES),
            state=proof.state,
            code_challenge=proof.challenge,
            code_challenge_method=METHOD,
        )
        calls.prompt.browser(address, calls.patience, loopback.came_to)
        code = await loopback.code(calls.patience)
    exchange = {
        **client.members,
        "grantType": "authorization_code",
        "code": code,
        "codeVerifier": proof.verifier,
        "redirectUri": loopback.callback,
    }
    return _credential(calls, place, client, await calls.wanted_json(_url(calls, place, "/token"), exchange, "tokens"))


async def _register(calls: Calls, place: _Place, **members: object) -> _Client:
    registration = {"clientName": CLIENT_NAME, "clientType": "public", "scopes": list(SCOPES), **members}
    answer = await calls.wanted_json(_url(calls, place, "/client/register"), registration, "a client")
    entry = json_object(answer) or {}
    client_id, secret = text_in(entry, "clientId"), text_in(entry, "clientSecret")
    if not (client_id and secret):
        raise unusable_answer("a client")
    return _Client(client_id, secret, known_expiry(entry.get("clientSecretExpiresAt")))


def _url(calls: Calls, place: _Place, path: str) -> str:
    return oidc_url(path, place.region, calls.auth_url)


def _credential(calls: Calls, place: _Place, client: _Client, answer: HttpAnswer) -> Oidc:
    tokens: Renewed = renewed(answer, calls.now())
    if not tokens.refresh_token:
        raise unusable_answer("a refresh token")
    return Oidc(
        refresh_token=tokens.refresh_token,
        access_token=tokens.access_token,
        expires_at=tokens.expires_at,
        provider=place.provider,
        client_id=client.client_id,
        client_secret=client.client_secret,
        sign_in_region=place.region,
        start_url=place.start_url,
        registration_expires_at=client.expires_at,
    )
