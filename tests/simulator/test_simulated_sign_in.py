"""Refresh and OIDC: tokens rotate, and the one that was used is dead."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from simulated import Answer, Client, connected

from kirotrio.simulator import (
    DEMO_CLIENT_ID,
    DEMO_CLIENT_SECRET,
    DEMO_OIDC_REFRESH_TOKEN,
    DEMO_REFRESH_TOKEN,
    SOCIAL_ARN,
    Simulator,
)

CLIENT = {"clientId": DEMO_CLIENT_ID, "clientSecret": DEMO_CLIENT_SECRET}
REFRESH = {**CLIENT, "grantType": "refresh_token", "refreshToken": DEMO_OIDC_REFRESH_TOKEN}


async def social(client: Client, token: str) -> Answer:
    return await client.post("/refreshToken", {"refreshToken": token})


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]


async def test_social_refresh_gives_tokens_that_work(nursery: trio.Nursery) -> None:
    client = connected(Simulator(expires_in=1234), nursery)
    given = (await social(client, DEMO_REFRESH_TOKEN)).json()
    assert given["expiresIn"] == 1234
    assert given["profileArn"] == SOCIAL_ARN
    assert len(given["refreshToken"]) >= 100, "a shorter one would be taken for truncated"
    assert (await client.generate("hi", token=given["accessToken"])).status == 200


async def test_rotation_kills_the_refresh_token_that_was_used(client: Client) -> None:
    first = (await social(client, DEMO_REFRESH_TOKEN)).json()
    again = await social(client, DEMO_REFRESH_TOKEN)
    assert error(again) == (400, "invalid_grant")
    assert again.json()["error_description"] == "Invalid refresh token provided"
    second = await social(client, first["refreshToken"])
    assert second.status == 200, "the successor is good, whatever was tried with the old one"
    assert error(await social(client, first["refreshToken"])) == (400, "invalid_grant")
    assert (await client.generate("hi", token=first["accessToken"])).status == 200, "access tokens live on"


@pytest.mark.parametrize("token", ["short", "r" * 200, DEMO_OIDC_REFRESH_TOKEN])
async def test_refresh_tokens_that_the_service_does_not_know(client: Client, token: str) -> None:
    answer = await social(client, token)
    assert (answer.status, answer.json()["message"]) == (401, "Bad credentials")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"refreshToken": 1}', b"refreshToken=x"])
async def test_social_refresh_needs_its_body(client: Client, content: bytes) -> None:
    assert error(await client.post("/refreshToken", content)) == (400, "invalid_request")


async def test_expired_access_tokens_are_replaced_by_a_refresh(client: Client, simulator: Simulator) -> None:
    simulator.expire_access_tokens()
    assert (await client.generate("hi")).status == 403
    given = (await social(client, DEMO_REFRESH_TOKEN)).json()
    assert (await client.generate("hi", token=given["accessToken"])).status == 200


async def test_revoking_an_account_ends_its_sign_in(client: Client, simulator: Simulator) -> None:
    given = (await social(client, DEMO_REFRESH_TOKEN)).json()
    simulator.revoke("demo-social")
    assert (await client.generate("hi", token=given["accessToken"])).status == 403
    assert error(await social(client, given["refreshToken"])) == (400, "invalid_grant")
    with pytest.raises(KeyError):
        simulator.revoke("nobody")


async def test_oidc_refresh_rotates_and_gives_no_profile(client: Client) -> None:
    first = (await client.post("/token", REFRESH)).json()
    assert set(first) == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert (await client.generate("hi", token=first["accessToken"])).status == 200
    assert error(await client.post("/token", REFRESH)) == (400, "invalid_grant")
    successor = {**REFRESH, "refreshToken": first["refreshToken"]}
    assert (await client.post("/token", successor)).status == 200


@pytest.mark.parametrize(
    ("document", "status", "name"),
    [
        ({"client_id": "a", "client_secret": "b", "grant_type": "refresh_token"}, 400, "invalid_request"),
        ({**REFRESH, "scope": "codewhisperer:completions"}, 400, "invalid_request"),
        ({"grantType": "refresh_token", "refreshToken": DEMO_OIDC_REFRESH_TOKEN}, 400, "invalid_request"),
        ({**CLIENT, "grantType": "refresh_token"}, 400, "invalid_request"),
        ({**REFRESH, "clientSecret": "wrong"}, 401, "invalid_client"),
        ({**REFRESH, "clientId": "wrong"}, 401, "invalid_client"),
        ({**REFRESH, "refreshToken": "unknown"}, 400, "invalid_grant"),
        ({**REFRESH, "refreshToken": DEMO_REFRESH_TOKEN}, 400, "invalid_grant"),
        ({**REFRESH, "grantType": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_oidc_refusals(client: Client, document: dict[str, Any], status: int, name: str) -> None:
    assert error(await client.post("/token", document)) == (status, name)


async def test_oidc_takes_no_form(client: Client) -> None:
    form = b"grantType=refresh_token&refreshToken=x"
    answer = await client.post("/token", form, content_type="application/x-www-form-urlencoded")
    assert error(answer) == (400, "invalid_request")


async def test_expired_registration(client: Client, simulator: Simulator) -> None:
    simulator.expire_client(DEMO_CLIENT_ID)
    answer = await client.post("/token", REFRESH)
    assert error(answer) == (401, "invalid_client")
    assert answer.json()["error_description"] == "Client is expired"


async def test_device_sign_in_from_registration_to_answer(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    client = connected(Simulator(clock=trio.current_time), nursery)
    registration = {"clientName": "kirotrio", "clientType": "public", "scopes": ["codewhisperer:completions"]}
    registered = (await client.post("/client/register", registration)).json()
    own = {name: registered[name] for name in ("clientId", "clientSecret")}
    started = {**own, "startUrl": "https://view.awsapps.com/start"}
    device = (await client.post("/device_authorization", started)).json()
    poll = {
        **own,
        "grantType": "urn:ietf:params:oauth:grant-type:device_code",
        "deviceCode": device["deviceCode"],
    }
    assert error(await client.post("/token", poll)) == (400, "authorization_pending")
    await trio.sleep(device["interval"])
    given = (await client.post("/token", poll)).json()
    assert (await client.generate("hi", token=given["accessToken"])).status == 200
    assert error(await client.post("/token", poll)) == (400, "invalid_grant"), "a device code is good once"
    refresh = {**own, "grantType": "refresh_token", "refreshToken": given["refreshToken"]}
    assert (await client.post("/token", refresh)).status == 200


async def test_registration_and_device_need_their_members(client: Client) -> None:
    assert error(await client.post("/client/register", {"client_name": "x"})) == (400, "invalid_request")
    assert error(await client.post("/device_authorization", CLIENT)) == (400, "invalid_request")
    foreign = {"clientId": "x", "clientSecret": "y", "startUrl": "https://view.awsapps.com/start"}
    assert error(await client.post("/device_authorization", foreign)) == (401, "invalid_client")


async def test_a_refresh_may_fail_or_hang(
    client: Client, simulator: Simulator, autojump_clock: trio.testing.MockClock
) -> None:
    simulator.fail_next("/refreshToken", "SERVICE_UNAVAILABLE", delay=5)
    began = trio.current_time()
    assert (await social(client, DEMO_REFRESH_TOKEN)).status == 500
    assert trio.current_time() - began == pytest.approx(5)
    simulator.fail_next("/refreshToken", silent=True)
    with trio.move_on_after(60) as minute:
        await social(client, DEMO_REFRESH_TOKEN)
    assert minute.cancelled_caught


async def test_a_failed_refresh_leaves_the_token_alive(client: Client, simulator: Simulator) -> None:
    simulator.fail_next("/refreshToken", "503")
    assert (await social(client, DEMO_REFRESH_TOKEN)).status == 503
    assert (await social(client, DEMO_REFRESH_TOKEN)).status == 200
