"""`serve --workers 2` as real processes: one gateway to whoever asks, whichever of them answers, and whichever dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio
from support.dialects import RESPONSES
from support.engines import Place
from support.forks import Forked, Nest
from support.gateways import HEADERS, ready, until, world
from support.several import kept
from support.stack import question

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for child processes in /proc")

WORKERS = ("--workers", "2")


def children(process: Forked) -> list[int]:
    """The desk, then the workers by their numbers, as they were started."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def lines(process: Forked) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.said.splitlines() if line.startswith("{")]


def answered_by(process: Forked) -> set[int]:
    """The workers that have answered."""
    return {line["worker"] for line in lines(process) if line["event"] == "request finished"}


async def ask(url: str, text: str = "Say hi", path: str = "/v1/messages", body: Any = None) -> httpx.Response:
    """On a connection of its own."""
    async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as http:
        return await http.post(url + path, json=body or question(text), headers=HEADERS)


async def ask_many(url: str, times: int, text: str = "Say hi") -> list[httpx.Response]:
    answers: list[httpx.Response] = []

    async def one() -> None:
        answers.append(await ask(url, text))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(times):
                nursery.start_soon(one)
    return answers


async def until_all_answer(gateway: Forked, url: str) -> int:
    """Ask until both workers have answered (one may still be loading what a first request needs); how often."""
    asked = 0
    while answered_by(gateway) != {1, 2}:
        assert asked < 16, "one worker answers everything"
        await ask_many(url, 2)
        asked += 2
    return asked


async def test_a_keys_rate_is_exact_over_all_workers(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=[*WORKERS, "--set", "server.rate_per_minute=20"])
        url = await ready(gateway)
        left = 20 - await until_all_answer(gateway, url)
        answers = await ask_many(url, 50)
        assert sorted(answer.status_code for answer in answers) == [200] * left + [429] * (50 - left)
        waits = [int(answer.headers["retry-after"]) for answer in answers if answer.status_code == 429]
        assert all(40 <= wait <= 60 for wait in waits), waits


async def test_an_account_answers_no_more_at_a_time_than_it_may(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work"), accounts={"max_concurrent": 3}) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=[*WORKERS, "--set", "deadlines.queue=1"])
        url = await ready(gateway)
        statuses: list[int] = []

        async def one() -> None:
            answer = await ask(url, "[[stall_after=1]] x")
            assert "accounts.max_concurrent" in answer.text
            statuses.append(answer.status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(24):
                nursery.start_soon(one)
            await until(lambda: len(statuses) == 21)
            assert set(statuses) == {429}
            assert len(w.simulator.ledger.streams) == 3
            nursery.cancel_scope.cancel()
        # Places that their clients have left are anybody's.
        assert {answer.status_code for answer in await ask_many(url, 6)} == {200}


async def test_an_accounts_pace_is_one_pace(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        options = ["--set", "accounts.per_minute=6", "--set", "deadlines.queue=0.5"]
        gateway = w.start(nest, options=[*WORKERS, *options])
        answers = await ask_many(await ready(gateway), 20)
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 15, "a burst is five"
        assert all("accounts.per_minute" in answer.text for answer in answers if answer.status_code == 429)


async def test_tokens_are_refreshed_once(place: Place, nest: Nest) -> None:
    account = kept("work", row={"expires_at": time.time() - 1})
    async with world(place.data_dir, account, url=place.url) as w:
        w.simulator.fail_next("/refreshToken", "INTERNAL", delay=0.3)  # so that all are in the middle of it
        await w.keep(account)
        url = await ready(w.start(nest, options=WORKERS))
        assert {answer.status_code for answer in await ask_many(url, 20)} == {200}
        assert w.refreshes == ["rotated"]
        w.simulator.expire_access_tokens()
        assert {answer.status_code for answer in await ask_many(url, 20)} == {200}
        assert w.refreshes == ["rotated"] * 2


async def test_a_pause_that_one_worker_meets_holds_for_the_other(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work"), store={"look_every": 60.0}) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        first = await ask(url, "[[status=MONTHLY_REQUEST_COUNT]] x")
        assert first.status_code == 429, first.text
        with trio.fail_after(60):
            while answered_by(gateway) != {1, 2}:  # who is asked is chance
                assert {answer.status_code for answer in await ask_many(url, 10)} == {429}
        assert not w.simulator.ledger.streams


async def test_a_response_is_continued_whichever_worker_is_asked(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        named: dict[str, str] = {}
        turn = 0
        while turn < 8 or (answered_by(gateway) != {1, 2} and turn < 100):  # who is asked is chance
            body = {**RESPONSES.question("x"), "input": f"turn {turn}", **named}
            answer = await ask(url, path=RESPONSES.path, body=body)
            assert answer.status_code == 200, answer.text
            named = {"previous_response_id": answer.json()["id"]}
            turn += 1
        last = [one for one in w.simulator.ledger.requests if one.operation == "GenerateAssistantResponse"][-1]
        assert all(f"turn {earlier}".encode() in last.call.body for earlier in range(turn))
        assert answered_by(gateway) == {1, 2}


async def test_where_a_worker_is_killed_the_others_serve_and_it_comes_back(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work"), accounts={"max_concurrent": 4}) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        desk, first, second = children(gateway)
        failures: list[Exception] = []

        async def hold() -> None:
            try:
                await ask(url, "[[stall_after=1]] x")
            except httpx.HTTPError as error:
                failures.append(error)

        async with trio.open_nursery() as holding:
            # All places are taken, by either worker.
            for _ in range(4):
                holding.start_soon(hold)
            await until(lambda: len(w.simulator.ledger.streams) == 4)
            # On a machine that is busy the second may have come to none of them; then it is the first's turn.
            for killed in (second, first):
                before = children(gateway)
                os.kill(killed, signal.SIGKILL)
                await until(lambda before=before: len(children(gateway)) == 3 and children(gateway) != before)
                if failures:
                    break
            assert failures, "nobody noticed that his worker died"
            # Its places are free again, for whoever is left and whoever comes.
            assert {answer.status_code for answer in await ask_many(url, 10)} == {200}
            assert desk in children(gateway)
            told = [line for line in lines(gateway) if line["event"] == "a process of the gateway ended"]
            worker = 2 if killed == second else 1
            assert (told[-1]["worker"], told[-1]["how"], told[-1]["level"]) == (worker, "signal SIGKILL", "error")
            await until(lambda: back(gateway) and back(gateway)[-1]["worker"] == worker)

            async def both() -> None:
                while len({line["worker"] for line in lines(gateway)[-6:] if line["event"] == "request finished"}) < 2:
                    await ask_many(url, 6)

            with trio.fail_after(30):
                await both()
            assert not gateway.has_ended
            holding.cancel_scope.cancel()


async def test_a_worker_that_is_asked_to_end_is_no_error_and_comes_back(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        os.kill(children(gateway)[1], signal.SIGTERM)
        await until(lambda: bool(back(gateway)))
        assert [line["worker"] for line in back(gateway)] == [1]
        assert {answer.status_code for answer in await ask_many(url, 4)} == {200}
        told = [line for line in lines(gateway) if line["event"] == "a process of the gateway has finished"]
        assert [(line["worker"], line["how"], line["level"]) for line in told] == [(1, "SIGTERM", "info")]
        assert not [line for line in lines(gateway) if line["level"] == "error"]


def back(gateway: Forked) -> list[dict[str, Any]]:
    return [line for line in lines(gateway) if line["event"] == "a process of the gateway is back"]


async def test_where_the_desk_is_killed_the_workers_find_the_next_one(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work"), accounts={"max_concurrent": 2}) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        os.kill(children(gateway)[0], signal.SIGKILL)
        await until(lambda: len(children(gateway)) == 3)
        assert {answer.status_code for answer in await ask_many(url, 10)} == {200}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_every_worker_finish(tmp_path: Path, nest: Nest, number: int) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        answers: list[httpx.Response] = []

        async def one() -> None:
            answers.append(await ask(url, "[[events=20 gap_ms=50]] x"))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(one)
            await until(lambda: len(w.simulator.ledger.streams) == 6)
            for pid in (gateway.pid, *children(gateway)):
                os.kill(pid, number)  # as a terminal and a service manager do
            await trio.sleep(0.1)
            with socket.socket() as late:
                assert late.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) or late.recv(1) == b""
        assert [answer.status_code for answer in answers] == [200] * 6
        assert all(answer.json()["stop_reason"] == "end_turn" for answer in answers)
        assert await gateway.ended() == 0
        assert {line["worker"] for line in lines(gateway) if line["event"] == "stopping"} == {1, 2}


async def test_a_second_signal_ends_at_once(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        async with trio.open_nursery() as nursery:

            async def one() -> None:
                try:
                    await ask(url, "[[stall_after=1]] x")
                except httpx.HTTPError:
                    return

            for _ in range(4):
                nursery.start_soon(one)
            await until(lambda: len(w.simulator.ledger.streams) == 4)
            gateway.send(signal.SIGTERM)
            await until(lambda: sum(line["event"] == "stopping" for line in lines(gateway)) == 2)
            gateway.send(signal.SIGTERM)
            assert await gateway.ended() == 130


async def test_workers_end_where_their_parent_is_killed(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        await ready(gateway)
        pids = children(gateway)
        gateway.kill()
        await until(lambda: not any(Path(f"/proc/{pid}/stat").exists() and _runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_keeps_workers_from_starting_is_said_once(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        (tmp_path / "kirotrio.db").write_bytes(b"this is no database" * 1000)
        gateway = w.start(nest, options=WORKERS)
        assert await gateway.ended() == 1
        assert gateway.said.count("damaged or no database") == 1
        assert "ready" not in gateway.out
        with socket.create_server(("127.0.0.1", 0)) as taken:
            other = w.start(nest, options=[*WORKERS, "--port", str(taken.getsockname()[1])])
            assert await other.ended() == 1
            assert "choose another with --host and --port" in other.said


async def test_connections_that_come_together_are_shared_evenly(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        assert {answer.status_code for answer in await ask_many(url, 40, "[[events=4 gap_ms=100]] x")} == {200}
        workers = [line["worker"] for line in lines(gateway) if line["event"] == "request finished"]
        assert min(workers.count(1), workers.count(2)) >= 10, workers


async def test_one_ready_line_and_health_from_any_of_them(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=("--workers", "3"))
        url = await ready(gateway)
        assert len(children(gateway)) == 4
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(6):
                health = await http.get(url + "/health", headers={"connection": "close"})
                assert orjson.loads(health.content)["status"] == "ok"
        assert gateway.out.count("ready on") == 1


async def test_the_live_view_has_every_workers_answers_and_ends_them_whoever_is_asked(
    tmp_path: Path, nest: Nest
) -> None:
    async with world(tmp_path, kept("work")) as w:
        await w.keep(kept("work"))
        gateway = w.start(nest, options=WORKERS)
        url = await ready(gateway)
        await until_all_answer(gateway, url)
        ended: list[httpx.Response] = []

        async def held() -> None:
            ended.append(await ask(url, "[[stall_after=1]]"))

        async def told() -> dict[str, Any]:
            async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as http:
                return dict((await http.get(f"{url}/live", headers=HEADERS)).json())

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for count in range(1, 7):
                    nursery.start_soon(held)
                    while len((await told())["answers"]) < count:  # noqa: ASYNC110 - what happens in another process has no event here
                        await trio.sleep(0.01)
                running = await told()
                assert {row["worker"] for row in running["answers"]} == {1, 2}
                assert [account["busy"] for account in running["accounts"]] == [6]
                assert running["processes"] == 2
                async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as http:
                    for row in running["answers"]:
                        done = await http.post(f"{url}/live/{row['id']}/cancel", headers=HEADERS)
                        assert done.status_code == 200
        assert [answer.status_code for answer in ended] == [403] * 6
        while (await told())["answers"]:  # noqa: ASYNC110 - see above
            await trio.sleep(0.01)


async def test_a_scrape_is_of_all_workers_whichever_is_asked(tmp_path: Path, nest: Nest) -> None:
    async with world(tmp_path, kept("work")) as here:
        await here.keep(kept("work"))
        gateway = here.start(nest, options=WORKERS)
        url = await ready(gateway)
        asked = await until_all_answer(gateway, url)
        seen: set[str] = set()
        for _ in range(6):  # each on a connection of its own, and so by either
            async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
                text = (await http.get(f"{url}/metrics")).text
            found = [line for line in text.splitlines() if 'surface="messages"' in line and "requests_total" in line]
            seen |= set(found)
            assert "kirotrio_processes 2.0" in text
        assert len(seen) == 1, "one sum, and it is the same from both"
        assert seen.pop().endswith(f" {float(asked)}")
