"""A browser without a window: it keeps cookies, follows redirects over real sockets, and agrees at a provider."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

import httpx
from attrs import define, field

from kirotrio.access.audit import Actor
from kirotrio.access.members.outcomes import SignedIn
from kirotrio.access.people import People
from kirotrio.store.user_record import Role, User

PASSWORD = "a quiet harbour at dawn"
BOSS = Actor("", "command line", "")


@define
class Visitor:
    """`subject`: who it is at the provider; "" for somebody who does not agree there."""

    url: str
    subject: str = ""
    http: httpx.AsyncClient = field(factory=lambda: httpx.AsyncClient(timeout=30, trust_env=False))
    went: list[str] = field(factory=list)
    """Every address that it asked for."""

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def go(self, path: str, until: str = "") -> httpx.Response:
        """To the end of the redirects, or to the first address with `until` in it, which is not asked for."""
        address = urljoin(self.url, path)
        for _ in range(12):
            if until and until in address:
                return httpx.Response(0, headers={"location": address})
            self.went.append(address)
            answer = await self.http.get(address)
            if "/oauth2/authorize" in address and answer.status_code == 200:
                form = {"sub": self.subject} if self.subject else {"action": "deny"}
                answer = await self.http.post(address, data=form)
            if not answer.has_redirect_location:
                return answer
            address = urljoin(address, answer.headers["location"])
        raise AssertionError(f"redirects without end: {self.went}")

    async def send(self, path: str, page: str, **fields: str) -> httpx.Response:
        """A form of the page at `page`, and on to where it leads."""
        shown = await self.http.get(urljoin(self.url, page))
        found = re.search(r'name="csrf" value="([^"]+)"', shown.text)
        assert found, shown.text
        answer = await self.http.post(
            urljoin(self.url, path), data={"csrf": found[1], **fields}, headers={"origin": self.url}
        )
        return await self.go(answer.headers["location"]) if answer.has_redirect_location else answer

    async def sign_in(self, name: str) -> None:
        answer = await self.send("/console/sign-in", "/console/sign-in", name=name, password=PASSWORD)
        assert answer.status_code == 200, answer.text

    async def user(self, people: People) -> User | None:
        """Who the gateway takes it for."""
        token = self.http.cookies.get("kirotrio-session", "")
        session = await people.session(token)
        return session.user if session is not None else None


async def operator(people: People, proof: str) -> User:
    """The first user of a fresh gateway."""
    entered = await people.set_up("boss", PASSWORD, proof)
    assert isinstance(entered, SignedIn)
    return entered.session.user


async def member(people: People, name: str, **more: Any) -> User:
    return await people.create_user(BOSS, name, PASSWORD, Role.MEMBER, **more)
