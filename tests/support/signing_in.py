"""A person, a browser and a way to the simulator without sockets, for sign-ins on a mock clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

import httpx
import trio
from attrs import define, field

from kirotrio.accounts.profiles import Profile
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator import Simulator
from kirotrio.simulator.answers import Call, Reply

HOSTS = {
    "q.us-east-1.amazonaws.com",
    "q.eu-central-1.amazonaws.com",
    "prod.us-east-1.auth.desktop.kiro.dev",
    "oidc.us-east-1.amazonaws.com",
    "oidc.ap-southeast-1.amazonaws.com",
    "app.kiro.dev",
    "login.microsoftonline.com",
}


@define
class Sent:
    url: str
    at: float
    headers: Mapping[str, str]
    body: bytes
    proxy_url: str | None


class DirectHttp:
    """Asks the simulator whatever host a call is for, and writes down which that was.

    `script` are the outcomes that calls to a path meet first, in order: an answer or an exception.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.sent: list[Sent] = []
        self.script: dict[str, list[HttpAnswer | Exception]] = {}

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        parts = urlsplit(url)
        assert parts.hostname in HOSTS, f"a call to a host that no sign-in knows: {parts.hostname}"
        assert deadline > 0
        self.sent.append(Sent(url, trio.current_time(), dict(headers or {}), body or b"", proxy_url))
        await trio.lowlevel.checkpoint()
        if self.script.get(parts.path):
            outcome = self.script[parts.path].pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        return plain(self.simulator, method, url, headers or {}, body or b"")

    def to(self, path: str) -> list[Sent]:
        return [sent for sent in self.sent if urlsplit(sent.url).path == path]

    @property
    def hosts(self) -> set[str]:
        return {str(urlsplit(sent.url).hostname) for sent in self.sent}


def plain(simulator: Simulator, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> HttpAnswer:
    parts = urlsplit(url)
    head = {name.lower(): value for name, value in headers.items()}
    reply = simulator.answer(Call(method, parts.path, dict(parse_qsl(parts.query)), head, body))
    assert isinstance(reply, Reply)
    return HttpAnswer(reply.status, reply.headers, reply.body)


@define
class Person:
    """Writes down what it is told. `opens` is what it does with an address for the browser."""

    codes: list[tuple[str, str, str, float]] = field(factory=list)
    addresses: list[str] = field(factory=list)
    notes: list[str] = field(factory=list)
    asked: list[Sequence[Profile]] = field(factory=list)
    choice: int = 0
    opens: Callable[[str], None] = lambda address: None
    seconds: float = 0.0

    def code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None:
        self.codes.append((user_code, address, complete_address, seconds))

    def browser(self, address: str, seconds: float, came_back: Callable[[str], bool]) -> None:
        self.addresses.append(address)
        self.seconds = seconds
        self.opens(address)

    def waiting(self, note: str) -> None:
        self.notes.append(note)

    async def choose_profile(self, profiles: Sequence[Profile]) -> Profile:
        self.asked.append(profiles)
        return profiles[self.choice]


def direct_browser(
    simulator: Simulator, nursery: trio.Nursery, pages: list[httpx.Response] | None = None
) -> Callable[[str], None]:
    """A browser that has the sign-in page from the simulator itself, and the way back over a real socket."""

    async def follow(address: str) -> None:
        answer = plain(simulator, "GET", address, {})
        if answer.status == 302:
            page = await fetched(answer.headers["location"])
            if pages is not None:
                pages.append(page)

    return lambda address: nursery.start_soon(follow, address)


async def fetched(address: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        return await http.request(method, address)


def real_browser(nursery: trio.Nursery) -> Callable[[str], None]:
    """One that follows redirects, all over real sockets."""

    async def follow(address: str) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False, follow_redirects=True) as http:
            await http.get(address)

    return lambda address: nursery.start_soon(follow, address)


async def refused_connection(port: int) -> bool:
    """Whether nobody listens on that port of this machine."""
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return True
    await stream.aclose()
    return False
