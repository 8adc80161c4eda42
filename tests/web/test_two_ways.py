"""The short way to an endpoint and the one through Quart lead to the same answers."""

from __future__ import annotations

import subprocess
import sys
import threading

import httpx
import pytest
import trio
import trio.testing
from support.stack import KEY, question

from kirotrio.web.app import create_app
from kirotrio.web.naming import surface_of
from kirotrio.web.routes import SURFACES, all_routes

LOADED = """
import sys
import kirotrio.web.serving
print(*(name for name in ("quart", "hypercorn", "werkzeug") if name in sys.modules))
"""

CASES = [
    ("POST", "/v1/messages", question()),
    ("POST", "/a/nobody/v1/messages", question()),
    ("POST", "/cc/v1/messages", question(stream=True)),
    ("POST", "/v1/messages", {"bad": 1}),
    ("POST", "/v1/messages/count_tokens", question()),
    ("POST", "/v1/chat/completions", {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "x"}]}),
    ("POST", "/v1/responses", {"model": "claude-sonnet-4-5", "input": []}),
    ("GET", "/v1/models?limit=2", None),
    ("GET", "/v1/models?limit=x", None),
    ("GET", "/health", None),
    ("GET", "/", None),
    ("GET", "/v1/responses/none", None),
    ("GET", "/nowhere", None),
    ("GET", "/v1/messages", None),
    ("HEAD", "/health", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
@pytest.mark.parametrize("key", [KEY, "unknown"])
async def test_both_ways_answer_alike(stack, method, path, body, key):
    async with stack() as s:
        app = create_app(s.gateway)
        headers = {"x-api-key": key}
        over_asgi = httpx.ASGITransport(app)
        async with s.client(headers=headers) as short, s.client(headers=headers, transport=over_asgi) as long:
            answers = [await client.request(method, path, json=body) for client in (short, long)]
    first, second = ({name: answer.headers.get(name) for name in ("content-type", "allow")} for answer in answers)
    assert first == second
    assert answers[0].status_code == answers[1].status_code
    assert shape(answers[0]) == shape(answers[1])


def shape(answer: httpx.Response) -> object:
    """The body without what is made anew for each request."""
    if not answer.headers["content-type"].startswith("application/json") or not answer.content:
        return answer.text.count("event:")
    return {name: value for name, value in answer.json().items() if name not in ("id", "request_id", "created")}


def test_no_route_is_taken_twice():
    routes = all_routes()
    assert len({(route.method, route.path) for route in routes}) == len(routes)


async def test_first_requests_that_come_together_load_their_surface_once(stack, monkeypatch):
    load, loads, go_on = SURFACES["messages"], [], threading.Event()

    def slowly():
        loads.append(threading.current_thread().name)
        assert go_on.wait(10)
        return load()

    monkeypatch.setitem(SURFACES, "messages", slowly)
    statuses = []
    async with stack() as s, s.client() as http:

        async def ask() -> None:
            statuses.append((await http.post("/v1/messages", json=question())).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.1)
            waiting = len(loads)
            go_on.set()
    assert (statuses, len(loads), waiting) == ([200] * 5, 1, 1)


@pytest.mark.parametrize("surface", SURFACES)
def test_a_path_tells_its_surface(surface):
    assert {surface_of(route.path) for route in SURFACES[surface]()} == {surface}


def test_a_start_needs_neither_quart_nor_hypercorn():
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True, text=True).stdout
    assert loaded.split() == [], "web.serving imports what only few requests need"
