"""Maintenance and self-use, as clients meet them."""

from __future__ import annotations

import pytest
import trio
from support.stack import question

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.access.modes import ServiceMode
from kirotrio.store.user_record import Role

STREAM = {"/v1/messages": "overloaded_error", "/v1/chat/completions": "server_error", "/v1/responses": "server_error"}


@pytest.mark.parametrize("path", [*STREAM, "/cc/v1/messages", "/v1/messages/count_tokens"])
async def test_maintenance_answers_every_api_in_its_dialect_with_the_message(stack, path):
    async with stack() as s, s.client() as http:
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.MAINTENANCE, "Back at six")
        answer = await http.post(path, json=question())
        assert answer.status_code == 503
        assert answer.json()["error"]["message"] == "Back at six"
        assert answer.json()["error"]["type"] == STREAM.get(path, "overloaded_error")
        assert int(answer.headers["retry-after"]) > 0
        assert not s.asked()
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.OPEN)
        assert (await http.post("/v1/messages", json=question())).status_code == 200


async def test_in_maintenance_the_process_is_well_and_says_that_it_does_not_serve(stack):
    async with stack() as s, s.client() as http:
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.MAINTENANCE)
        health, ready = await http.get("/health"), await http.get("/ready")
        models, one = await http.get("/v1/models"), await http.get("/v1/models/claude-sonnet-4.5")
    assert health.status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"status": "maintenance"})
    assert models.status_code == one.status_code == 503
    assert "maintenance" in models.json()["error"]["message"]


async def test_what_runs_when_maintenance_begins_goes_on_to_its_end(stack):
    async with stack() as s, s.client() as http:
        body = question("[[scenario=long events=30 gap_ms=20]] x", stream=True)
        async with http.stream("POST", "/v1/messages", json=body) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            await s.gateway.modes.change(COMMAND_LINE, ServiceMode.MAINTENANCE)
            assert (await http.post("/v1/messages", json=question())).status_code == 503
            rest = [line async for line in lines]
    assert "event: message_stop" in rest
    assert "event: error" not in rest


async def test_another_gateway_on_the_store_follows_and_one_that_starts_knows_it(stack):
    async with stack(store={"look_every": 0.02}) as s:
        other = await s.another()
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.MAINTENANCE, "Back at six")
        with trio.fail_after(10):
            while not other.gateway.modes.now.is_maintained:  # noqa: ASYNC110 - the other one looks by itself
                await trio.sleep(0.01)
        late = await s.another()
        async with late.client() as http:
            answer = await http.post("/v1/messages", json=question())
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "Back at six"


async def test_the_gateways_own_key_is_let_in_while_it_is_in_self_use(stack):
    async with stack() as s, s.client() as http:
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.SELF_USE)
        answer = await http.post("/v1/messages", json=question())
        ready = await http.get("/ready")
    assert answer.status_code == ready.status_code == 200


async def test_members_keys_are_refused_in_self_use_and_operators_are_not(stack):
    async with stack(store={"look_every": 0.02}) as s:
        people = s.gateway.people
        operator = await people.create_user(COMMAND_LINE, "anna", "a long pass phrase", Role.OPERATOR)
        member = await people.create_user(COMMAND_LINE, "ben", "a long pass phrase", Role.MEMBER)
        made = {
            name: await s.gateway.keys.create(COMMAND_LINE, name, owner_id=owner)
            for name, owner in (("anna", operator.id), ("ben", member.id), ("nobody", ""))
        }

        async def statuses() -> dict[str, int]:
            answers = {}
            for name, one in made.items():
                async with s.client(headers={"x-api-key": one.secret}) as http:
                    answers[name] = await http.post("/v1/messages", json=question())
            told["ben"] = answers["ben"].text
            return {name: answer.status_code for name, answer in answers.items()}

        told: dict[str, str] = {}
        assert await statuses() == {"anna": 200, "ben": 200, "nobody": 200}
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.SELF_USE, "Until Monday")
        assert await statuses() == {"anna": 200, "ben": 403, "nobody": 200}
        assert "self-use" in told["ben"]
        assert "Until Monday" in told["ben"]
        await s.gateway.modes.change(COMMAND_LINE, ServiceMode.OPEN)
        assert await statuses() == {"anna": 200, "ben": 200, "nobody": 200}
