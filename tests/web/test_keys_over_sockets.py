"""Keys that were given out, over real sockets: when they hold, where they may be used, and for what."""

from __future__ import annotations

import time

import httpx
import pytest
import trio
from support.engines import Place
from support.gateways import until
from support.keys import ACTOR, OWNER, add_owner, client_of, give_out
from support.several import kept
from support.stack import Stack, question, running
from web.test_budgets_over_sockets import ASKED

from kirotrio.simulator import DEMO_REFRESH_TOKEN


async def becomes(client: httpx.AsyncClient, status: int) -> None:
    """Until the list of models is answered so; fails where it does not become so."""
    with trio.fail_after(10):
        while (await client.get("/v1/models")).status_code != status:  # noqa: ASYNC110 - another gateway has no event
            await trio.sleep(0.01)


async def status_with(stack: Stack, key: str) -> int:
    async with stack.client(headers={"x-api-key": key.encode()}) as client:
        return (await client.get("/v1/models")).status_code


async def test_a_fresh_key_works_at_once_in_every_gateway(place: Place) -> None:
    async with running(place.data_dir, store={"url": place.url, "look_every": 1000.0}) as stack:
        other = await stack.another()
        first = await give_out(stack, "first")
        async with client_of(other, first) as client:  # which has it read the keys
            assert (await client.get("/v1/models")).status_code == 200
        second = await give_out(stack, "second")
        for one in (stack, other):
            async with client_of(one, second) as client:
                assert (await client.post("/v1/messages", json=question())).status_code == 200


async def test_a_revoked_key_stops_here_at_once_and_elsewhere_within_the_look(place: Place) -> None:
    async with running(place.data_dir, store={"url": place.url, "look_every": 0.05}) as stack:
        other = await stack.another()
        made = await give_out(stack)
        async with client_of(stack, made) as here, client_of(other, made) as there:
            for client in (here, there):
                assert (await client.get("/v1/models")).status_code == 200
            await stack.gateway.keys.revoke(ACTOR, made.record.id)
            refused = await here.get("/v1/models")
            assert refused.status_code == 401
            assert "was revoked" in refused.json()["error"]["message"]
            await becomes(there, 401)


async def test_a_rotated_key_lets_in_with_its_new_secret_alone(tmp_path) -> None:
    async with running(tmp_path) as stack:
        made = await give_out(stack)
        again = await stack.gateway.keys.rotate(ACTOR, made.record.id)
        async with client_of(stack, made) as before, client_of(stack, again) as after:
            assert (await before.get("/v1/models")).status_code == 401
            assert (await after.get("/v1/models")).status_code == 200


async def test_a_key_ends_at_its_time(tmp_path) -> None:
    async with running(tmp_path) as stack:
        made = await give_out(stack, expires_at=time.time() + 1000)
        book = stack.gateway.keyring.book
        async with client_of(stack, made) as client:
            assert (await client.get("/v1/models")).status_code == 200
            book.clock = lambda: time.time() + 1000
            refused = await client.get("/v1/models")
            assert refused.status_code == 401
            assert "has expired" in refused.json()["error"]["message"]


async def test_what_is_no_key_of_ours_asks_the_store_nothing(tmp_path) -> None:
    async with running(tmp_path) as stack:
        looks = stack.gateway.keyring.book
        for key in ("wrong", "sk-kt-short", "sk-kt-" + "ü" * 32, "sk-ant-" + "a" * 32):
            assert await status_with(stack, key) == 401
        assert looks._looks == 0
        for _ in range(5):
            assert await status_with(stack, "sk-kt-" + "a" * 32) == 401
        assert looks._looks == 1


async def test_a_key_of_ours_may_have_a_refresh_token_behind_it(tmp_path) -> None:
    async with running(tmp_path) as stack:
        made = await give_out(stack)
        headers = {"x-api-key": f"{made.secret}:{DEMO_REFRESH_TOKEN}"}
        async with stack.client(headers=headers) as client:
            assert (await client.post("/v1/messages", json=question())).status_code == 200
        (line,) = [fields for _, event, fields in stack.log.lines if event == "request finished"]
        assert line["account"].startswith("personal-")
        assert line["key"] == made.record.id


@pytest.mark.parametrize("path", list(ASKED))
async def test_a_surface_that_a_key_may_not_use_is_forbidden_in_its_dialect(tmp_path, path: str) -> None:
    surface = {"/v1/messages": "messages", "/v1/chat/completions": "chat", "/v1/responses": "responses"}[path]
    others = tuple(one for one in ("messages", "chat", "responses") if one != surface)
    async with running(tmp_path) as stack:
        made = await give_out(stack, surfaces=others)
        async with client_of(stack, made) as client:
            for prefix in ("", "/cc"):
                refused = await client.post(prefix + path, json=ASKED[path])
                assert refused.status_code == 403
                error = refused.json()["error"]
                assert error["type"] == ("permission_error" if surface == "messages" else "permission_denied")
                assert error["message"] == f"this key may not use {surface}; it may use {', '.join(others)}"
            assert (await client.get("/v1/models")).status_code == 200
        assert stack.asked() == []


async def test_a_key_bound_to_a_network_is_forbidden_elsewhere(tmp_path) -> None:
    async with running(tmp_path) as stack:
        near = await give_out(stack, "near", networks=("127.0.0.0/8",))
        far = await give_out(stack, "far", networks=("10.0.0.0/8",))
        async with client_of(stack, near) as client:
            assert (await client.post("/v1/messages", json=question())).status_code == 200
        async with client_of(stack, far) as client:
            for path, method in (("/v1/messages", "POST"), ("/v1/models", "GET")):
                refused = await client.request(method, path, json=question())
                assert refused.status_code == 403
                assert refused.json()["error"]["message"] == "this key may not be used from 127.0.0.1"
            # What a client says of itself is believed of a trusted proxy alone.
            forged = await client.get("/v1/models", headers={"x-forwarded-for": "10.1.1.1"})
            assert forged.status_code == 403


async def test_a_key_is_bound_to_what_a_models_name_means(tmp_path) -> None:
    alias = {"fast": "claude-haiku-4.5", "claude-haiku-cheap": "claude-opus-4.5"}
    async with running(tmp_path, models={"alias": alias}) as stack:
        made = await give_out(stack, models=("claude-haiku*",))
        async with client_of(stack, made) as client:
            for name in ("claude-haiku-4-5-20251001", "claude-haiku-4.5", "haiku", "fast"):
                assert (await client.post("/v1/messages", json=question(model=name))).status_code == 200, name
            for name in ("claude-sonnet-4-5", "sonnet", "claude-haiku-cheap", "auto"):
                for path in ("/v1/messages", "/v1/messages/count_tokens"):
                    refused = await client.post(path, json=question(model=name))
                    assert refused.status_code == 403, name
                    assert "it may use claude-haiku*" in refused.json()["error"]["message"]
            listed = {model["id"] for model in (await client.get("/v1/models")).json()["data"]}
            assert "fast" in listed
            assert all(name == "fast" or name.startswith("claude-haiku-4") for name in listed)
            assert (await client.get("/v1/models/claude-haiku-4.5")).status_code == 200
            assert (await client.get("/v1/models/claude-sonnet-4.5")).status_code == 403


async def test_only_its_account_answers_a_pinned_key_also_when_it_is_renamed(tmp_path) -> None:
    from kirotrio.store import accounts

    async with running(tmp_path, kept=[kept("one"), kept("two")], store={"look_every": 0.05}) as stack:
        made = await give_out(stack, account="two")
        async with client_of(stack, made) as client:
            for _ in range(4):
                assert (await client.post("/v1/messages", json=question())).status_code == 200
            assert stack.asked() == ["two"] * 4
            assert (await client.post("/a/one/v1/messages", json=question())).status_code == 403
            with_own = {"x-api-key": f"{made.secret}:{DEMO_REFRESH_TOKEN}"}
            assert (await client.post("/v1/messages", json=question(), headers=with_own)).status_code == 403

            database, two = stack.gateway.accounts.shared.database, stack.member("two").key
            await database.write(lambda connection: accounts.rename(connection, two, "deux"))
            await until(lambda: "deux" in [member.name for member in stack.gateway.accounts.present()])
            await stack.gateway.keyring.book.look()
            assert (await client.post("/v1/messages", json=question())).status_code == 200
        assert set(stack.asked()) == {"two"}


async def test_whose_accounts_answer_whose_keys(tmp_path) -> None:
    """A user's key: the gateway's, their own, what is lent. The gateway's: its own, and what is lent."""
    theirs = [
        kept("gateways"),
        kept("mine", row={"owner_id": OWNER, "lent": False}),
        kept("lent", row={"owner_id": "somebody", "lent": True}),
        kept("private", row={"owner_id": "somebody", "lent": False}),
    ]
    async with running(tmp_path, kept=theirs) as stack:
        await stack.gateway.accounts.shared.database.write(add_owner)
        of_user = await give_out(stack, "user's", owner_id=OWNER)
        of_gateway = await give_out(stack, "gateway's")
        for made, open_to in ((of_user, {"gateways", "mine", "lent"}), (of_gateway, {"gateways", "lent"})):
            async with client_of(stack, made) as client:
                for name in ("gateways", "mine", "lent", "private"):
                    answer = await client.post(f"/a/{name}/v1/messages", json=question())
                    assert answer.status_code == (200 if name in open_to else 404), name
        async with stack.client() as client:
            assert (await client.post("/a/private/v1/messages", json=question())).status_code == 404
            for number in range(20):
                assert (await client.post("/v1/messages", json=question(f"{number}"))).status_code == 200
        assert set(stack.asked()[5:]) <= {"gateways", "lent"}


async def test_the_keys_of_a_user_who_is_disabled_let_nobody_in(tmp_path) -> None:
    from kirotrio.store import user_rows

    async with running(tmp_path, store={"look_every": 0.05}) as stack:
        database = stack.gateway.accounts.shared.database
        await database.write(add_owner)
        made = await give_out(stack, owner_id=OWNER)
        async with client_of(stack, made) as client:
            assert (await client.get("/v1/models")).status_code == 200
            await database.write(lambda connection: user_rows.change(connection, OWNER, 1.0, state="disabled"))
            await becomes(client, 401)
            await database.write(lambda connection: user_rows.change(connection, OWNER, 2.0, state="active"))
            await becomes(client, 200)


async def test_the_rate_of_the_settings_holds_for_keys_that_were_given_out(tmp_path) -> None:
    async with running(tmp_path, server={"rate_per_minute": 2}) as stack:
        made = await give_out(stack)
        async with client_of(stack, made) as client:
            statuses = [(await client.get("/v1/models")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


async def test_the_list_says_when_a_key_was_used_last_and_from_where(tmp_path) -> None:
    async with running(tmp_path) as stack:
        made = await give_out(stack)
        async with client_of(stack, made) as client:
            await client.get("/v1/models")
        await stack.gateway.counting._tend()
        record = await stack.gateway.keys.find(made.record.id)
        assert record.last_used_at == pytest.approx(time.time(), abs=60)
        assert record.last_address == "127.0.0.1"
