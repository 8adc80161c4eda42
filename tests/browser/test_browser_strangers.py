"""A script element in every text that a stranger can set is shown as text by the pages that show it."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import quote

import httpx
import pytest
import trio
from support.chromium import browse, set_up, sign_in, somebody_else
from support.openid_process import free_port, openid_process
from support.several import kept
from support.stack import KEY, question
from support.visitors import member

CALLBACK = "/console/sign-in/openid/callback"


def mark(field):
    """It breaks out of an attribute, too. At most 64 characters, as keys' names are."""
    return f'"><script>alert("{field}")</script><b class=stranger>'


SHOWN = {
    "/console": ("display", "title", "body", "mode"),
    "/console/me": ("display", "agent"),
    "/console/keys": ("key",),
    "/console/requests": ("key", "model"),
    "/console/requests/MODEL": ("model", "client", "key"),
    "/console/requests/REFUSED": ("upstream", "key"),
    "/console/accounts": ("email",),
    "/console/users": ("display", "claim"),
    "/console/announcements": ("title",),
    "/console/mode": ("mode",),
    "/console/audit": ("title", "key"),
    "/console/keys?search=" + quote(mark("search")): ("search",),
    "/console/requests?model=" + quote(mark("filter")): ("filter",),
    "/console/settings?search=" + quote(mark("search")): ("search",),
    "/console/" + quote(mark("path"), safe=""): ("path",),
}
"""What each page has to show of them: a text that nobody sees would prove nothing."""
FORWARDED = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "forwarded",
    "via",
    "x-request-id",
)
"""Never shown as they come; no page may have an element of theirs."""


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with openid_process(tmp_path_factory.mktemp("provider")) as process:
        claims = {"name": mark("called"), "preferred_username": mark("claim"), "nickname": mark("nickname")}
        process.knows("stranger-1", email=f"{mark('email')}@example.com", email_verified=True, **claims)
        yield process


def ask(url, key, body, headers):
    with httpx.Client(trust_env=False, timeout=30) as http:
        answer = http.post(f"{url}/v1/messages", json=body, headers={"x-api-key": key, **headers})
    return answer.headers["request-id"]


def seen(page):
    """Every text and every value of a field that stands on the page."""
    return page.evaluate(
        "() => [document.body.innerText, ...[...document.querySelectorAll('input, textarea')].map(one => one.value)]"
    )


def check_text(page, fields=()):
    elements = page.evaluate(
        "() => [...document.querySelectorAll('.stranger, script:not([src]), [onerror], [onmouseover]')]"
        ".map(one => one.outerHTML.slice(0, 200))"
    )
    assert not elements, f"{page.url} has {elements}"
    texts = "\n".join(seen(page))
    missing = [field for field in fields if mark(field) not in texts]
    assert not missing, f"{page.url} does not show {missing}:\n{texts[:3000]}"


async def test_a_script_element_in_what_strangers_set_is_text_wherever_it_is_shown(stack, provider):
    port = free_port()
    client_id, secret = provider.register(f"http://127.0.0.1:{port}{CALLBACK}")
    openid = {"openid_issuer": provider.url, "openid_client_id": client_id, "openid_client_secret": secret}
    accounts = [kept("work", row={"email": mark("email")})]
    async with stack(
        accounts, server={"port": port}, sign_in=openid, users={"registration": "approval", "own_keys": True},
        access={"trusted_proxies": "127.0.0.1"},
    ) as s:  # fmt: skip
        fired = []

        def listen(page):
            page.context.on("dialog", lambda asked: (fired.append(asked.message), asked.dismiss()))

        def work(page):
            listen(page)
            set_up(page, s.url, KEY)
            # A member names themselves and a key; somebody comes by the provider and waits.
            trio.from_thread.run(partial(member, s.gateway.people, "mara"))
            with somebody_else(page, user_agent=mark("agent")) as mara:
                listen(mara)
                sign_in(mara, s.url, "mara", "a quiet harbour at dawn")
                mara.goto(f"{s.url}/console/me")
                mara.get_by_label("How you want to be called").fill(mark("display"))
                mara.get_by_role("button", name="Save").click()
                mara.get_by_text("Your name was changed.").wait_for()
                check_text(mara, SHOWN["/console/me"])
                mara.goto(f"{s.url}/console/keys")
                mara.get_by_role("button", name="Create a key").click()
                mara.get_by_role("dialog").get_by_label("Name", exact=True).fill(mark("key"))
                mara.get_by_role("dialog").get_by_role("button", name="Create", exact=True).click()
                key = mara.locator("#secret").text_content()
                check_text(mara, ("key",))
                # What is refused is shown again in its field.
                mara.goto(f"{s.url}/console/keys")
                mara.get_by_role("button", name="Create a key").click()
                dialog = mara.get_by_role("dialog")
                dialog.get_by_label("Name", exact=True).fill(mark("again"))
                for field in ("account", "models", "networks"):
                    dialog.locator(f"[name={field}]").fill(mark(field))
                dialog.get_by_role("button", name="Create", exact=True).click()
                mara.get_by_role("alert").wait_for()
                check_text(mara, ("again", "account", "models", "networks"))
            with somebody_else(page) as stranger:
                listen(stranger)
                stranger.goto(f"{s.url}/console/sign-in?next={quote(mark('next'))}")
                stranger.get_by_label("Name", exact=True).fill(mark("name"))
                stranger.get_by_label("Password", exact=True).fill(mark("password"))
                stranger.get_by_role("button", name="Sign in", exact=True).click()
                stranger.get_by_role("alert").wait_for()
                check_text(stranger, ("name",))
                stranger.goto(f"{s.url}/console/sign-in/openid")
                stranger.wait_for_url("**/oauth2/authorize**")
                stranger.locator('input[name="sub"]').fill("stranger-1")
                stranger.keyboard.press("Enter")
                stranger.wait_for_url(f"**{CALLBACK}**")
                check_text(stranger)
            # Requests whose every header says it, of a model that says it, refused by Kiro with words that say it.
            headers = {"user-agent": mark("client"), **{name: mark(name) for name in FORWARDED}}
            asked = {
                "MODEL": ask(s.url, key, question(model=mark("model")), headers),
                "REFUSED": ask(s.url, key, question(f"[[scenario={json.dumps(mark('upstream'))}]]"), headers),
            }
            # What operators say, since one of them may be careless.
            page.goto(f"{s.url}/console/announcements/new")
            page.get_by_label("Title").fill(mark("title"))
            page.get_by_label("Text", exact=True).fill(mark("body"))
            page.get_by_role("button", name="Save").click()
            page.goto(f"{s.url}/console/mode")
            page.get_by_label("Message").fill(mark("mode"))
            page.get_by_label("Self-use").check()
            page.get_by_role("button", name="Save").click()
            page.goto(f"{s.url}/console/me")
            page.get_by_label("How you want to be called").fill(mark("display"))
            page.get_by_role("button", name="Save").click()
            for path, fields in SHOWN.items():
                for name, request_id in asked.items():
                    path = path.replace(name, request_id)
                page.goto(f"{s.url}{path}")
                check_text(page, [field for field in fields if field != "agent"])
            page.goto(f"{s.url}/console/users?search=mara")
            page.get_by_role("link", name="mara").click()
            check_text(page, ("display", "agent"))
            page.goto(f"{s.url}/console/users?state=waiting")
            page.locator("tbody a").click()
            check_text(page, ("claim", "email"))
            page.goto(f"{s.url}/console/invitations")
            page.locator("form").evaluate_all("all => all.forEach(one => { one.noValidate = true; })")
            page.get_by_label("E-mail", exact=True).first.fill(mark("email"))
            page.get_by_role("button", name="Invite").click()
            page.get_by_role("alert").wait_for()
            check_text(page)

        await browse(work)
        assert not fired, f"scripts have run: {fired}"
