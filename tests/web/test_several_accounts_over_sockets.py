"""Several accounts behind one gateway, from socket to socket: which one a path, a session or a strategy means."""

from __future__ import annotations

from typing import Any

import attrs
import trio
from sqlalchemy import Connection
from support.dialects import ALL, ANTHROPIC, CHAT, RESPONSES
from support.several import kept
from support.stack import KEY, Stack

from kirotrio.errors import Blame
from kirotrio.store import accounts as rows

NAMES = "abc"


def three() -> list[Any]:
    return [kept(name, row={"priority": place}) for place, name in enumerate(NAMES)]


def asked(s: Stack) -> str:
    """Since the last time."""
    names = "".join(s.asked())
    s.simulator.ledger.clear_requests()
    return names


async def test_a_path_names_the_account_in_every_dialect(stack):
    async with stack(kept=three(), accounts={"strategy": "priority"}) as s, s.client() as http:
        for spoken in ALL:
            for path in (spoken.path, spoken.buffered):
                answer = await http.post(f"/a/b{path}", json=spoken.question(stream=True))
                assert answer.status_code == 200, answer.text
                unknown = await http.post(f"/a/nobody{path}", json=spoken.question())
                assert unknown.status_code == 404
                assert "'nobody'" in spoken.error_of(unknown.json())["message"]
        for name in ("h%20ome", "%C3%A4\u2026", "b%0A", "x" * 65, "b" * 5000):
            none = await http.post(f"/a/{name}/v1/messages", json=ANTHROPIC.question())
            message = ANTHROPIC.error_of(none.json())["message"]
            assert (none.status_code, message[:26]) == (404, "there is no account named "), message
            assert len(message) < 200, "a name that no account can have is cut"
        assert asked(s) == "b" * 6
        refused = await http.post("/a/b/v1/messages", json=ANTHROPIC.question("[[status=429]] x"))
        assert (refused.status_code, asked(s)) == (429, "b"), "an account that was named is answered for by another"
        assert (await http.get("/a/b/v1/models")).json()["data"]


async def test_a_session_keeps_its_account_by_whatever_names_it(stack):
    sessions = [
        (ANTHROPIC, {"x-claude-code-session-id": "{}"}, {}),
        (ANTHROPIC, {}, {"metadata": {"user_id": "{}"}}),
        (CHAT, {}, {"prompt_cache_key": "{}"}),
        (RESPONSES, {}, {"prompt_cache_key": "{}"}),
        (CHAT, {"session-id": "{}"}, {}),
        (RESPONSES, {"session-id": "{}"}, {}),
    ]
    async with stack(kept=three()) as s, s.client() as http:
        for number, (spoken, headers, body) in enumerate(sessions):
            homes = set()
            for session in range(6):
                name = f"session-{number}-{session}"
                told = {key: value.format(name) for key, value in headers.items()}
                more = {
                    key: {"user_id": name} if isinstance(value, dict) else value.format(name)
                    for key, value in body.items()
                }
                for text in ("first", "second"):
                    await http.post(spoken.path, json=spoken.question(text, **more), headers=told)
                first, second = asked(s)
                assert first == second, f"a session of {spoken.kind} moved, told by {headers or body}"
                homes.add(first)
            assert len(homes) > 1, "all sessions are on one account"


async def test_without_a_name_the_first_words_are_the_session(stack):
    async with stack(kept=three()) as s, s.client() as http:
        homes = set()
        for number in range(8):
            opening = {"role": "user", "content": f"opening {number}"}
            later = [opening, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "go on"}]
            for messages in ([opening], later):
                await http.post(ANTHROPIC.path, json={**ANTHROPIC.question(), "messages": messages})
            first, second = asked(s)
            assert first == second
            homes.add(first)
        assert len(homes) > 1


async def test_a_sign_in_behind_the_key_is_used_beside_kept_accounts(stack):
    async with stack(kept=three(), accounts={"strategy": "priority"}) as s:
        own = s.simulator.book.accounts[2].refresh_token
        async with s.client(headers={"x-api-key": f"{KEY}:{own}"}) as http:
            answer = await http.post(ANTHROPIC.path, json=ANTHROPIC.question("[[status=429]] x"))
            assert (answer.status_code, asked(s)) == (429, "c"), "it is the caller's own account or none"
        async with s.client() as http:
            assert (await http.post(ANTHROPIC.path, json=ANTHROPIC.question())).status_code == 200
            assert asked(s) == "a"


async def test_a_request_that_finds_no_place_is_told_when_to_ask_again(stack):
    limits = {"max_concurrent": 1, "max_queue": 0}
    async with stack(kept=three()[:1], accounts=limits) as s, s.client() as http, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: http.post(ANTHROPIC.path, json=ANTHROPIC.question("[[no_head=1]] x")))
        await s.wait_for_stream()
        for spoken in ALL:
            refused = await http.post(spoken.path, json=spoken.question("second", stream=True))
            assert refused.status_code == 429, refused.text
            assert int(refused.headers["retry-after"]) >= 1
            assert "accounts.max_" in spoken.error_of(refused.json())["message"]
        nursery.cancel_scope.cancel()


async def test_a_suspension_is_known_to_the_next_gateway(stack):
    async with stack(kept=three()[:2], accounts={"strategy": "priority"}, store={"look_every": 0.05}) as s:
        async with s.client() as http:
            s.simulator.refuse("a", "TEMPORARILY_SUSPENDED")
            assert (await http.post(ANTHROPIC.path, json=ANTHROPIC.question())).status_code == 200
            assert asked(s) == "ab"
            s.simulator.refuse("a", "")
        with trio.fail_after(30):
            while s.gateway.accounts.cooldowns.changes():  # noqa: ASYNC110 - it is the background that writes them
                await trio.sleep(0.02)
        other = await s.another()
        assert [pause.blame for pause in other.pauses("a")] == [Blame.SUSPENDED]
        async with other.client() as http:
            assert (await http.post(ANTHROPIC.path, json=ANTHROPIC.question())).status_code == 200
            assert asked(s) == "b"
            ready = await http.get("/ready")
        assert ready.status_code == 200


async def test_an_account_whose_own_proxy_is_down_leaves_the_answer_to_another(stack):
    async with stack(kept=three(), accounts={"strategy": "priority"}) as s, s.client() as http:
        pool = s.gateway.accounts

        def behind_a_proxy(connection: Connection) -> None:
            record = rows.find(connection, pool.shared.sealer, s.member("a").key)
            assert record is not None
            secrets = attrs.evolve(record.secrets, proxy_url="http://127.0.0.1:9")
            rows.update(connection, pool.shared.sealer, record.id, secrets=secrets)

        await pool.shared.database.write(behind_a_proxy)
        await pool.look()
        answer = await http.post("/v1/messages", json=ANTHROPIC.question())
        assert (answer.status_code, asked(s)) == (200, "b"), answer.text
        alone = await http.post("/a/a/v1/messages", json=ANTHROPIC.question())
        assert (alone.status_code, asked(s)) == (502, "")
        assert "the account 'a' has no way to Kiro: the proxy" in ANTHROPIC.error_of(alone.json())["message"]
