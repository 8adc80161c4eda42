"""A person with a browser that has no script: pages are asked for, forms are sent with what stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import attrs
import httpx
from sqlalchemy import Connection
from support.stack import KEY, Stack

PASSWORD = "a long pass phrase"
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@attrs.define
class Browser:
    """Cookies are kept, redirects are not followed, connections are not kept. `page` is the last one that was shown."""

    origin: str
    headers: dict[str, str]
    cookies: httpx.Cookies = attrs.field(factory=httpx.Cookies)
    page: httpx.Response | None = None

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        own = {"base_url": self.origin, "headers": self.headers, "cookies": self.cookies}
        async with httpx.AsyncClient(timeout=30, trust_env=False, **own) as http:
            answer = await http.request(method, path, **options)
            self.cookies = http.cookies
        return answer

    async def open(self, path: str, **headers: str) -> httpx.Response:
        answer = await self.request("GET", path, headers=headers)
        if answer.status_code == 200:
            self.page = answer
        return answer

    async def send(self, path: str, fields: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Fill in a form of the last page."""
        given = {"csrf": self.token, **(fields or {})}
        return await self.request("POST", path, data=given, headers={"origin": self.origin, **headers})

    @property
    def token(self) -> str:
        assert self.page is not None, "no page is open"
        found = _TOKEN.search(self.page.text)
        assert found, f"no form stands on the page: {self.page.text[:500]}"
        return unescape(found[1])

    async def set_up(self, name: str = "anna") -> httpx.Response:
        """Be the first operator."""
        await self.open("/console/setup")
        fields = {"key": KEY, "name": name, "password": PASSWORD, "again": PASSWORD}
        answer = await self.send("/console/setup", fields)
        assert answer.status_code == 303, answer.text
        return answer

    async def sign_in(self, name: str, password: str = PASSWORD, *, next: str = "/console") -> httpx.Response:
        await self.open("/console/sign-in")
        return await self.send("/console/sign-in", {"name": name, "password": password, "next": next})


def browser(stack: Stack, **headers: str) -> Browser:
    """A fresh one."""
    return Browser(stack.url, headers)


def notice(answer: httpx.Response) -> str:
    """What the page tells the person, "" for nothing."""
    found = re.search(r'<p class="notice[^"]*"[^>]*>(.*?)</p>', answer.text, re.DOTALL)
    return unescape(found[1]) if found else ""


async def let_confirmation_end(stack: Stack, name: str = "anna") -> None:
    """As if the password of this user was given long ago, in every browser."""
    from kirotrio.store.sign_in_rows import touch

    people = stack.gateway.people
    for session in await people.sessions_of((await people.user_named(name)).id):
        await people._change(lambda link, session=session: touch(link, session.id, confirmed_at=0.0))


def kept_fields(answer: httpx.Response) -> dict[str, list[str]]:
    """What the page that asks for the password holds of the form, by name, as a browser would send it."""
    held: dict[str, list[str]] = {}
    form = answer.text[answer.text.index('class="stack"') :]
    form = form[: form.index("</form>")]
    inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    areas = re.findall(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', form, re.DOTALL)
    for name, value in [*inputs, *areas]:
        if name != "csrf":
            held.setdefault(name, []).append(unescape(value))
    return held


async def give(stack: Stack, name: str, owner: str) -> None:
    """Make the account one that this user (an id) has brought."""
    pool = stack.gateway.accounts

    def change(connection: Connection) -> None:
        from kirotrio.store import accounts

        accounts.update(connection, pool.shared.sealer, stack.member(name).key, owner_id=owner)

    await pool.shared.database.write(change)
    await pool.look()
