"""A script element in every text that a stranger can set is only ever text, and is kept within bounds."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio
from support.stack import Stack, question

from kirotrio.access.audit import COMMAND_LINE

MARK = "mark'\"><script>alert('mark')</script><b onmouseover='alert(1)'>"
LONG = MARK * 60
NAMES = [
    *("user-agent", "x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "via"),
    *("x-request-id", "request-id", "session-id", "session_id", "x-session-id", "x-claude-code-session-id"),
    *("anthropic-version", "anthropic-beta", "x-endpoint", "traceparent", "tracestate", "accept", "accept-language"),
    *("origin", "referer", "cookie", "content-type", "content-encoding", "x-csrf-token", "hx-current-url", "from"),
]
PATHS = [
    *("/", "/health", "/ready", "/live", "/metrics", "/v1/models", "/{}", "/v1/{}", "/cc/v1/{}", "/v1/models/{}"),
    *("/a/{}/v1/models", "/a/{}/{}", "/v1/responses/{}", "/console", "/console/{}", "/console/sign-in?next={}"),
    *("/console/sign-in?{}={}", "/console/invitation/{}", "/{}?{}"),
]
POSTED = ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/messages/count_tokens", "/console/sign-in"]
MOST = 2000
"""Characters of any one text in the store that a stranger has set."""


class Elements(HTMLParser):
    """Whether a browser would find something of the mark's in a page that is no text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self._inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script"
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.scripts.append(data)


def check_is_text(answer: httpx.Response) -> None:
    where = f"{answer.request.method} {answer.request.url}"
    kind = answer.headers.get("content-type", "")
    for name, value in answer.headers.items():
        assert "<script" not in value, f"{where}: {name}"
    if "html" in kind or "svg" in kind or "xml" in kind:
        found = Elements(answer.text)
        assert not found.scripts, where
        assert not found.handlers, where
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    elif answer.content:
        assert kind.startswith(("application/json", "text/event-stream", "text/plain")), f"{where}: {kind}"


def paths(mark: str = MARK) -> list[str]:
    return [path.replace("{}", quote(mark, safe="")) for path in PATHS]


@pytest.mark.parametrize("access", [{}, {"trusted_proxies": "127.0.0.1"}, {"forwarded_header": "forwarded"}])
async def test_what_a_header_says_is_never_markup(stack, access):
    if access:
        access = {"trusted_proxies": "127.0.0.1", **access}
    async with stack(access=access) as s, s.client() as http:
        for name in NAMES:
            for path in ("/v1/models", "/v1/nothing", "/console/sign-in", "/console/nothing"):
                check_is_text(await http.get(path, headers={name: MARK}))
            check_is_text(await http.post("/v1/messages", json=question(), headers={name: MARK}))
            check_is_text(await http.post("/console/sign-in", data={"name": MARK}, headers={name: MARK}))


async def test_what_a_path_or_a_query_says_is_never_markup(stack):
    async with stack() as s, s.client() as http:
        for path in paths():
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                check_is_text(await http.request(method, path))


async def test_what_is_no_request_is_never_answered_with_markup(stack):
    mark = MARK.encode().replace(b" ", b"")
    async with stack() as s:
        for sent in (
            b"GET / HTTP/1.1\r\nhost: " + mark + b"\r\n\r\n",
            b"GET /" + mark + b" HTTP/1.1\r\n\r\n",
            mark + b" / HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET http://" + mark + b"/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            b"GET / " + mark + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n" + mark + b": x\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: " + mark + b"\r\n\r\n",
        ):
            async with await trio.open_tcp_stream("127.0.0.1", s.port) as client:
                await client.send_all(sent)
                with trio.fail_after(10):
                    answer = b"".join([piece async for piece in client])
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"content-type: application/json" in head
            assert b"<script" not in head
            assert body


@pytest.mark.parametrize("model", [MARK, LONG])
async def test_what_a_body_says_is_never_markup(stack, model):
    async with stack() as s, s.client() as http:
        for path in POSTED:
            for body in (
                question(model=model),
                question(MARK, **{MARK: MARK}),
                {"model": model, "input": MARK},
                [MARK],
            ):
                for stream in (False, True):
                    asked = {**body, "stream": stream} if isinstance(body, dict) else body
                    check_is_text(await http.post(path, json=asked))
        check_is_text(await http.post("/console/sign-in", data={"name": model, "password": model, "next": model}))


async def test_what_is_kept_of_a_stranger_is_bounded(stack):
    async with stack(access={"trusted_proxies": "127.0.0.1"}) as s, s.client() as http:
        strange = dict.fromkeys(("user-agent", "x-session-id"), LONG)
        near = {**strange, "x-forwarded-for": "x" * 3000, "traceparent": LONG[:1000]}
        for path in POSTED[:3]:
            more = {"input": "x"} if "responses" in path else {}
            await http.post(path, json=question(**more), headers=near)
            await http.post(path, json=question(model="x" + LONG * 40, **more), headers=strange)
        for path in paths(LONG[:2000]):
            await http.get(path)
        await http.post("/console/sign-in", data={"name": LONG, "password": "x"}, headers={"user-agent": LONG})
        with trio.fail_after(20):
            while len(kept := await texts(s, "requests")) < 6:  # noqa: ASYNC110 - written beside the requests
                await trio.sleep(0.05)
        for row in kept:
            assert len(row["client"]) <= 200
            assert len(row["address"]) <= 64
        for table in ("requests", "audit", "throttles", "sign_ins", "meta"):
            for row in await texts(s, table):
                for name, text in row.items():
                    assert len(text) <= MOST, f"{table}.{name} has {len(text)} characters"
        for _, event, fields in s.log.lines:
            for name, value in fields.items():
                assert len(str(value)) <= MOST, f"{event}: {name} has {len(str(value))} characters"


async def test_pages_show_what_strangers_said_as_text(stack):
    from kirotrio.access.members.outcomes import SignedIn
    from kirotrio.store.user_record import Role
    from kirotrio.web.console import all_pages
    from kirotrio.web.console.visit import people_of

    secret = "a long enough secret"
    async with stack(access={"trusted_proxies": "127.0.0.1"}) as s, s.client() as http:
        strange = {name: MARK for name in NAMES if name.startswith(("user", "x-", "forw", "sess", "via"))}
        await http.post("/v1/messages", json=question(model=MARK), headers=strange)
        await http.post("/v1/chat/completions", json=question(), headers=strange)
        people = await people_of(s.gateway)
        await people.create_user(COMMAND_LINE, "anna", secret, Role.OPERATOR)
        entered = await people.sign_in("anna", secret, "192.0.2.1", MARK)
        assert isinstance(entered, SignedIn)
        with trio.fail_after(20):
            while len(await texts(s, "requests")) < 2:  # noqa: ASYNC110 - written beside the requests
                await trio.sleep(0.05)
        shown = ""
        for route in all_pages.routes():
            if route.method != "GET" or "<" in route.path:
                continue
            cookie = {"cookie": f"kirotrio-session={entered.token}"}
            with trio.fail_after(20):
                async with http.stream("GET", route.path, headers=cookie) as answer:
                    kind = answer.headers.get("content-type", "")
                    if "javascript" in kind or "event-stream" in kind:  # the latter has no end
                        continue
                    await answer.aread()
            check_page(answer)
            shown += answer.text
        assert "mark&#39;&#34;&gt;&lt;script&gt;" in shown, "the sign-ins of oneself show what the browser calls itself"


def check_page(answer: httpx.Response) -> None:
    if "html" in answer.headers.get("content-type", ""):
        check_is_text(answer)


async def texts(s: Stack, table: str) -> list[dict[str, str]]:
    """The texts of every row."""

    def read(connection: Any) -> list[dict[str, str]]:
        from kirotrio.store.schema import metadata

        rows = connection.execute(metadata.tables[table].select())
        return [{name: value for name, value in row._mapping.items() if isinstance(value, str)} for row in rows]

    return await s.gateway.modes.database.read(read)
