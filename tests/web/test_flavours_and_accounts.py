"""Each of Kiro's protocols, and each kind of account, from socket to socket."""

from __future__ import annotations

import pytest
from support.sse import names_of
from support.stack import question

from kirotrio.simulator import (
    DEMO_API_KEY,
    DEMO_CLIENT_ID,
    DEMO_CLIENT_SECRET,
    DEMO_OIDC_REFRESH_TOKEN,
    DEMO_REFRESH_TOKEN,
)

ACCOUNTS = {
    "social": {"refresh_token": DEMO_REFRESH_TOKEN},
    "builder-id": {
        "refresh_token": DEMO_OIDC_REFRESH_TOKEN,
        "client_id": DEMO_CLIENT_ID,
        "client_secret": DEMO_CLIENT_SECRET,
    },
    "api-key": {"refresh_token": "", "api_key": DEMO_API_KEY},
}


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("flavour", ["rest", "rpc", "runtime"])
async def test_every_protocol_answers_for_every_account(stack, flavour, account):
    async with stack(upstream={"flavour": flavour}, accounts=ACCOUNTS[account]) as s, s.client() as http:
        answer = await http.post("/v1/messages", json=question(stream=True))
        models = (await http.get("/v1/models")).json()["data"]
        sent = await s.requests()
    assert answer.status_code == 200, answer.text
    assert names_of(answer.content)[-1] == "message_stop"
    assert "claude-sonnet-4.5" in [model["id"] for model in models]
    agents = {request["headers"].get("user-agent", "")[:9] for request in sent}
    assert agents == {"kirotrio/"}, f"every call carries our own name, not {agents}"


async def test_an_expired_token_is_refreshed_on_the_way(stack):
    async with stack() as s, s.client() as http:
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        s.simulator.expire_access_tokens()
        assert (await http.post("/v1/messages", json=question())).status_code == 200, "a 403 refreshes once"


async def test_a_dead_refresh_token_says_how_to_sign_in_again(stack):
    async with stack() as s, s.client() as http:
        assert (await http.post("/v1/messages", json=question())).status_code == 200
        s.simulator.revoke("demo-social")
        answer = await http.post("/v1/messages", json=question())
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "api_error"
    assert "sign in" in answer.json()["error"]["message"].lower()
