"""The simulated sign-in services are as strict as the real ones: what they refuse, a client has to get right."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import cbor2
import pytest
import trio
from simulated import Answer, Client, connected

from kirotrio.simulator import SOCIAL_ARN, Simulator
from kirotrio.simulator.accounts import sample_profiles
from kirotrio.simulator.external_auth import AUTHORIZE_PATH, DISCOVERY_PATH, EXTERNAL_CLIENT_ID, SCOPES, TOKEN_PATH
from kirotrio.simulator.portal import PREFIX
from kirotrio.simulator.sign_ins import s256

VERIFIER = "v" * 43
BACK = "http://127.0.0.1:4711/oauth/callback"
LOOPBACK = "http://localhost:3128"
START_URL = "https://view.awsapps.com/start"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
REGISTRATION = {
    "clientName": "kirotrio",
    "clientType": "public",
    "scopes": ["codewhisperer:completions"],
    "grantTypes": ["authorization_code", "refresh_token"],
    "redirectUris": [BACK],
    "issuerUrl": START_URL,
}
CHALLENGE = {"code_challenge": s256(VERIFIER), "code_challenge_method": "S256", "state": "state"}
SIGN_IN_PAGE = {**CHALLENGE, "redirect_uri": LOOPBACK, "redirect_from": "KiroCLI"}
LOGIN = {**CHALLENGE, "redirect_uri": LOOPBACK, "idp": "Github"}
SOCIAL_DEVICE = {"clientId": "kiro-cli", "loginProvider": "Google"}


def page(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}"


def back(answer: Answer) -> dict[str, str]:
    assert answer.status == 302, answer.content
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]


async def registered(client: Client, **changes: Any) -> dict[str, str]:
    answer = (await client.post("/client/register", {**REGISTRATION, **changes})).json()
    return {name: answer[name] for name in ("clientId", "clientSecret")}


def authorization(own: dict[str, str], **changes: str) -> str:
    query = {
        "response_type": "code",
        "client_id": own["clientId"],
        "redirect_uri": BACK,
        "scopes": "codewhisperer:completions codewhisperer:analysis",
        **CHALLENGE,
        **changes,
    }
    return page("/authorize", {name: value for name, value in query.items() if value})


def exchange(own: dict[str, str], code: str, **changes: str) -> dict[str, str]:
    grant = {"grantType": "authorization_code", "code": code, "codeVerifier": VERIFIER, "redirectUri": BACK}
    return {**own, **grant, **changes}


async def test_a_browser_signs_in_at_oidc_and_its_code_is_good_once(client: Client) -> None:
    own = await registered(client)
    found = back(await client.get(authorization(own)))
    assert found["state"] == "state"
    given = (await client.post("/token", exchange(own, found["code"]))).json()
    assert (await client.generate("hi", token=given["accessToken"])).status == 200
    assert error(await client.post("/token", exchange(own, found["code"]))) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"codeVerifier": "w" * 43},
        {"codeVerifier": "short"},
        {"redirectUri": BACK.replace("4711", "4712")},
        {"redirectUri": BACK.replace("127.0.0.1", "localhost")},
        {"code": "guessed"},
    ],
)
async def test_a_code_is_tied_to_its_sign_in(client: Client, changes: dict[str, str]) -> None:
    own = await registered(client)
    code = back(await client.get(authorization(own)))["code"]
    assert error(await client.post("/token", {**exchange(own, code), **changes})) == (400, "invalid_grant")


async def test_a_code_is_tied_to_its_client(client: Client) -> None:
    code = back(await client.get(authorization(await registered(client))))["code"]
    assert error(await client.post("/token", exchange(await registered(client), code))) == (400, "invalid_grant")


async def test_codes_expire(client: Client, simulator: Simulator) -> None:
    own = await registered(client)
    code = back(await client.get(authorization(own)))["code"]
    simulator.expire_codes()
    assert error(await client.post("/token", exchange(own, code))) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "token"},
        {"client_id": "unknown"},
        {"redirect_uri": "https://evil.example/"},
        {"scopes": ""},
        {"scopes": "openid"},
        {"scope": "codewhisperer:completions"},
        {"state": ""},
        {"code_challenge": VERIFIER[:42]},
        {"code_challenge_method": "plain"},
    ],
)
async def test_a_sign_in_page_that_cannot_begin_redirects_nowhere(client: Client, changes: dict[str, str]) -> None:
    answer = await client.get(authorization(await registered(client), **changes))
    assert answer.status == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"scopes": []}, "invalid_scope"),
        ({"scopes": ["openid"]}, "invalid_scope"),
        ({"scopes": "codewhisperer:completions"}, "invalid_request"),
        ({"grantTypes": ["password"]}, "unsupported_grant_type"),
        ({"redirectUris": []}, "invalid_redirect_uri"),
        ({"redirectUris": ["https://example.com/"]}, "invalid_redirect_uri"),
        ({"issuerUrl": ""}, "invalid_redirect_uri"),
        ({"clientType": "confidential"}, "invalid_request"),
        ({"client_name": "x"}, "invalid_request"),
    ],
)
async def test_registrations_that_are_refused(client: Client, changes: dict[str, Any], name: str) -> None:
    assert error(await client.post("/client/register", {**REGISTRATION, **changes})) == (400, name)


async def test_a_client_does_only_what_it_is_registered_for(client: Client) -> None:
    own = await registered(client)
    began = await client.post("/device_authorization", {**own, "startUrl": START_URL})
    assert error(began) == (400, "unauthorized_client")
    device = await registered(client, grantTypes=[DEVICE, "refresh_token"], redirectUris=[])
    assert (await client.get(authorization(device))).status == 400


async def test_registrations_last_ninety_days(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    client = connected(Simulator(clock=trio.current_time), nursery)
    own = await registered(client)
    code = back(await client.get(authorization(own)))["code"]
    given = (await client.post("/token", exchange(own, code))).json()
    await trio.sleep(90 * 86_400 - 1)
    refresh = {**own, "grantType": "refresh_token", "refreshToken": given["refreshToken"]}
    given = (await client.post("/token", refresh)).json()
    await trio.sleep(1)
    expired = await client.post("/token", {**refresh, "refreshToken": given["refreshToken"]})
    assert error(expired) == (401, "invalid_client")


@pytest.mark.parametrize("social", [True, False])
async def test_device_codes(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, social: bool) -> None:
    """Polled too fast: slower for good. Expired: over. Refused: over."""
    simulator = Simulator(clock=trio.current_time)
    client = connected(simulator, nursery)
    own = {} if social else await registered(client, grantTypes=[DEVICE], redirectUris=[])

    async def begun() -> str:
        if social:
            return str((await client.post("/oauth/device/authorization", SOCIAL_DEVICE)).json()["deviceCode"])
        answer = await client.post("/device_authorization", {**own, "startUrl": START_URL})
        return str(answer.json()["deviceCode"])

    async def poll(code: str) -> str:
        if social:
            answer = await client.post("/oauth/device/poll", {"clientId": "kiro-cli", "deviceCode": code})
            return str(answer.json()["status"])
        answer = await client.post("/token", {**own, "grantType": DEVICE, "deviceCode": code})
        return str(answer.json().get("error", "success"))

    simulator.person.polls = 3
    code = await begun()
    said = []
    for pause in (0, 0.5, 1, 11, 11, 11):
        await trio.sleep(pause)
        said.append(await poll(code))
    assert said == [
        "authorization_pending",
        "slow_down",
        "slow_down",
        "authorization_pending",
        "authorization_pending",
        "success",
    ]
    simulator.person.does = "never"
    code = await begun()
    await trio.sleep(599)
    assert await poll(code) == "authorization_pending"
    await trio.sleep(1)
    assert await poll(code) == "expired_token"
    simulator.person.does, simulator.person.polls = "deny", 0
    assert await poll(await begun()) == "access_denied"


@pytest.mark.parametrize("path", ["/login", "/signin"])
async def test_a_browser_signs_in_at_the_desktop_service(client: Client, path: str) -> None:
    answer = await client.get(page(path, LOGIN if path == "/login" else SIGN_IN_PAGE))
    assert answer.headers["location"].startswith(LOOPBACK + ("/oauth/callback?" if path == "/signin" else "?"))
    bring = {"code": back(answer)["code"], "code_verifier": VERIFIER, "redirect_uri": LOOPBACK}
    given = (await client.post("/oauth/token", bring)).json()
    assert given["profileArn"] == SOCIAL_ARN
    assert (await client.generate("hi", token=given["accessToken"])).status == 200
    assert (await client.post("/refreshToken", {"refreshToken": given["refreshToken"]})).status == 200
    assert error(await client.post("/oauth/token", bring)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/login", {"idp": "GitHub"}),
        ("/login", {"redirect_uri": "https://evil.example/"}),
        ("/login", {"client_id": "x"}),
        ("/login", {"code_challenge": "short"}),
        ("/signin", {"redirect_uri": "http://localhost:4000"}),
        ("/signin", {"redirect_uri": "http://127.0.0.1:3128"}),
        ("/signin", {"redirect_uri": LOOPBACK + "/oauth/callback"}),
        ("/signin", {"redirect_from": "kirotrio"}),
    ],
)
async def test_desktop_pages_that_cannot_begin(client: Client, path: str, changes: dict[str, str]) -> None:
    query = {**(LOGIN if path == "/login" else SIGN_IN_PAGE), **changes}
    assert (await client.get(page(path, query))).status == 400


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": LOOPBACK + "/oauth/callback"}, {"code_verifier": "w" * 43}, {"code": "guessed"}]
)
async def test_a_desktop_code_is_tied_to_its_sign_in(client: Client, changes: dict[str, str]) -> None:
    code = back(await client.get(page("/signin", SIGN_IN_PAGE)))["code"]
    bring = {"code": code, "code_verifier": VERIFIER, "redirect_uri": LOOPBACK, **changes}
    assert error(await client.post("/oauth/token", bring)) == (400, "invalid_grant")


async def test_the_desktop_service_takes_its_own_spelling_alone(client: Client) -> None:
    wrong = {"code": "c", "codeVerifier": VERIFIER, "redirectUri": LOOPBACK}
    assert error(await client.post("/oauth/token", wrong)) == (400, "invalid_request")
    for body in ({**SOCIAL_DEVICE, "loginProvider": "google"}, {"client_id": "kiro-cli"}):
        assert error(await client.post("/oauth/device/authorization", body)) == (400, "invalid_request")
    other = {**SOCIAL_DEVICE, "clientId": "kirotrio"}
    assert error(await client.post("/oauth/device/authorization", other)) == (401, "invalid_client")


async def test_a_person_who_does_not_agree(client: Client, simulator: Simulator) -> None:
    simulator.person.does = "deny"
    assert back(await client.get(page("/signin", SIGN_IN_PAGE))) == {"error": "access_denied", "state": "state"}
    simulator.person.does = "never"
    answer = await client.get(page("/signin", SIGN_IN_PAGE))
    assert (answer.status, "location" in answer.headers) == (200, False)


async def test_what_the_person_does_can_be_told_over_http(client: Client, simulator: Simulator) -> None:
    assert (await client.post("/_sim/person", {"does": "deny", "polls": 3})).status == 200
    assert (simulator.person.does, simulator.person.polls) == ("deny", 3)
    for wrong in ({"does": "dance"}, {"polls": "many"}, {"polls": True}):
        assert (await client.post("/_sim/person", wrong)).status == 400
    assert (simulator.person.does, simulator.person.polls) == ("deny", 3)
    simulator.person.does = "agree"
    code = back(await client.get(page("/signin", SIGN_IN_PAGE)))["code"]
    assert (await client.post("/_sim/expire_codes", {})).status == 200
    bring = {"code": code, "code_verifier": VERIFIER, "redirect_uri": LOOPBACK}
    assert error(await client.post("/oauth/token", bring)) == (400, "invalid_grant")


# -- a company's own ---------------------------------------------------------------------------------------------------


async def metadata(client: Client, body: object, **headers: str) -> Answer:
    cbor = {"content_type": "application/cbor", "accept": "application/cbor", "smithy_protocol": "rpc-v2-cbor"}
    return await client.call("POST", PREFIX + "GetLoginMetadata", cbor2.dumps(body), **{**cbor, **headers})


async def form(client: Client, **members: str) -> Answer:
    content = urlencode(members).encode()
    return await client.post(TOKEN_PATH, content, content_type="application/x-www-form-urlencoded")


def company_page(**changes: str) -> str:
    query = {
        "response_type": "code",
        "client_id": EXTERNAL_CLIENT_ID,
        "redirect_uri": "http://localhost:5555/oauth/callback",
        "scope": " ".join(SCOPES),
        **CHALLENGE,
        **changes,
    }
    return page(AUTHORIZE_PATH, query)


async def test_the_portal_knows_whose_sign_in_a_domain_has(client: Client) -> None:
    found = cbor2.loads((await metadata(client, {"domainName": "example.com"})).content)
    assert found["found"] is True
    assert found["issuerUrl"].startswith("https://login.microsoftonline.com/")
    assert cbor2.loads((await metadata(client, {"domainName": "other.example"})).content) == {"found": False}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"domain": "example.com"}, {}),
        ({"domainName": "someone@example.com"}, {}),
        (["example.com"], {}),
        ({"domainName": "example.com"}, {"content_type": "application/json"}),
        ({"domainName": "example.com"}, {"accept": "*/*"}),
        ({"domainName": "example.com"}, {"smithy_protocol": ""}),
    ],
)
async def test_the_portal_is_strict(client: Client, body: object, headers: dict[str, str]) -> None:
    answer = await metadata(client, body, **headers)
    assert answer.status == 400
    assert cbor2.loads(answer.content)["__type"].startswith("com.amazon.kirowebportalservice#")


async def test_a_company_signs_in_and_refreshes_by_form(client: Client) -> None:
    endpoints = (await client.get(DISCOVERY_PATH)).json()
    assert endpoints["token_endpoint"].endswith(TOKEN_PATH)
    code = back(await client.get(company_page()))["code"]
    members = {
        "grant_type": "authorization_code",
        "client_id": EXTERNAL_CLIENT_ID,
        "code": code,
        "redirect_uri": "http://localhost:5555/oauth/callback",
        "code_verifier": VERIFIER,
    }
    assert error(await client.post(TOKEN_PATH, members)) == (400, "invalid_request"), "JSON is not taken"
    given = (await form(client, **members)).json()
    assert given["access_token"].count(".") == 2, "a JWT"
    arn = sample_profiles()[0]
    asked = {"conversationState": {}, "profileArn": arn}
    plain = await client.generate(asked, token=given["access_token"])
    typed = await client.generate(asked, token=given["access_token"], tokentype="EXTERNAL_IDP")
    assert (plain.status, typed.status) == (403, 400), "the token is taken with its type alone"
    refresh = {"grant_type": "refresh_token", "client_id": EXTERNAL_CLIENT_ID, "refresh_token": given["refresh_token"]}
    assert (await form(client, **refresh)).status == 200
    assert error(await form(client, **refresh)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"grant_type": "authorization_code", "code": "guessed"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "x", "grant_type": "refresh_token"}, "unauthorized_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "scope": "mail.read"}, "invalid_scope"),
    ],
)
async def test_forms_that_are_refused(client: Client, members: dict[str, str], name: str) -> None:
    assert error(await form(client, **{"client_id": EXTERNAL_CLIENT_ID, **members})) == (400, name)


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "x"}, {"redirect_uri": "https://evil.example/"}, {"scope": "mail.read"}, {"response_type": "token"}],
)
async def test_company_pages_that_cannot_begin(client: Client, changes: dict[str, str]) -> None:
    assert (await client.get(company_page(**changes))).status == 400
