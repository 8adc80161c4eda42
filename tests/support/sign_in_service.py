"""A sign-in service and a place of credentials without sockets, files or threads.

The service rotates on every refresh and refuses what it has rotated away, in the middle of its work and not at the
end, so that a call cut short loses the new token exactly as it would on the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs

import trio

from kirotrio.accounts.credential import Credential, Refreshable, Social
from kirotrio.accounts.sources.source import Source
from kirotrio.kiro.http_answer import HttpAnswer

_Result = TypeVar("_Result")

EPOCH = 1_800_000_000.0
"""The wall clock when Trio's mock clock stands at zero."""


def wall_clock() -> float:
    return EPOCH + trio.current_time()


def refresh_token(name: str) -> str:
    """A refresh token of the length of a real one."""
    return f"aor-{name}-".ljust(140, "x")


def answer(status: int, body: object = None, **headers: str) -> HttpAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


class SignInService:
    """`valid` is the one refresh token that is accepted. `script` are faults that calls meet first, in order.

    A fault is an answer, an exception, or None for a call that is not answered before `release` is set.
    """

    def __init__(self, valid: str, *, lifetime: float = 3600.0, steps: int = 1) -> None:
        self.valid = valid
        self.lifetime = lifetime
        self.steps = steps
        self.rotations = 0
        self.calls: list[tuple[str, Mapping[str, str], bytes]] = []
        self.times: list[float] = []
        self.script: list[HttpAnswer | Exception | None] = []
        self.after_rotation: Callable[[], None] = lambda: None
        self.release = trio.Event()
        self.extra: dict[str, object] = {}
        self.rotates = True
        self.profiles: Callable[[str], HttpAnswer] = lambda url: answer(403, {"message": "unsupported"})

    @property
    def access_token(self) -> str:
        """The newest access token."""
        return f"access-{self.rotations}"

    @property
    def refreshes(self) -> int:
        return sum("Profiles" not in url for url, _, _ in self.calls)

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
        self.calls.append((url, headers or {}, body or b""))
        self.times.append(trio.current_time())
        for _ in range(self.steps):
            await trio.lowlevel.checkpoint()
        if self.script:
            fault = self.script.pop(0)
            if isinstance(fault, Exception):
                raise fault
            if fault is not None:
                return fault
            await self.release.wait()
        if "Profiles" in url:
            return self.profiles(url)
        sent = self._refresh_token_in(headers or {}, body or b"")
        if sent != self.valid:
            return answer(400, {"error": "invalid_grant", "error_description": "Invalid refresh token provided"})
        self.rotations += 1
        if self.rotates:
            self.valid = refresh_token(f"rotated-{self.rotations}")
        self.after_rotation()
        for _ in range(self.steps):
            await trio.lowlevel.checkpoint()
        brought = {"accessToken": self.access_token, "expiresIn": self.lifetime, "refreshToken": self.valid}
        if not self.rotates:
            del brought["refreshToken"]
        return answer(200, {**brought, **self.extra})

    @staticmethod
    def _refresh_token_in(headers: Mapping[str, str], body: bytes) -> str:
        if headers["content-type"] == "application/json":
            return str(json.loads(body)["refreshToken"])
        return parse_qs(body.decode())["refresh_token"][0]


class MemoryStore:
    """A place of one credential. `trouble` is raised by the next writes, one each."""

    def __init__(self, credential: Credential | None, name: str = "memory") -> None:
        self.credential = credential
        self.name = name
        self.where = f"the {name}"
        self.remedy = "sign in again"
        self.problem: str | None = None
        self.trouble: list[Exception] = []
        self.unreadable: list[Exception] = []
        self.reads = 0
        self.given: Refreshable | None = None

    def read(self) -> Credential | None:
        self.reads += 1
        if self.unreadable:
            raise self.unreadable.pop(0)
        return self.credential

    def watched(self) -> tuple[Path, ...]:
        return ()

    def original(self) -> Refreshable | None:
        return self.given

    def obstacle(self) -> str | None:
        return self.problem

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        if self.trouble:
            raise self.trouble.pop(0)
        held = self.credential
        if not isinstance(held, type(new)) or held.refresh_token != old_refresh_token:
            return False
        self.credential = new
        return True

    @property
    def kept(self) -> str:
        """The refresh token that stands here."""
        assert isinstance(self.credential, Social)
        return self.credential.refresh_token


class DirectSource(Source):
    """A `Source` whose store needs no thread: a mock clock would run away while one works."""

    def __init__(self, store: MemoryStore, *, steps: int = 1) -> None:
        super().__init__(store)
        self._steps = steps

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        for _ in range(self._steps):
            await trio.lowlevel.checkpoint()
        result = work()
        for _ in range(self._steps):
            await trio.lowlevel.checkpoint()
        return result
