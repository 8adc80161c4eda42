"""Pages over real sockets: what they tell browsers, who may see them, whose forms are taken."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.console import PASSWORD, browser, notice
from support.stack import KEY

from kirotrio.web.console.assets import assets
from kirotrio.web.console.headers import POLICY

SCRIPT = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


async def test_every_answer_tells_the_browser_what_it_may_do(stack):
    async with stack() as s:
        someone = browser(s)
        paths = ["/console", "/console/setup", "/console/sign-in", "/console/nowhere"]
        answers = [await someone.open(path) for path in paths]
        answers.append(await someone.request("POST", "/console/sign-in"))
        answers.append(await someone.request("DELETE", "/console/sign-in"))
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "permissions-policy" in answer.headers
        assert "strict-transport-security" not in answer.headers
    assert "unsafe" not in POLICY


async def test_no_page_has_a_script_or_a_style_of_its_own(stack):
    async with stack() as s:
        someone = browser(s)
        for path in ("/console/setup", "/console/nowhere"):
            text = (await someone.request("GET", path)).text
            assert "<script>" not in text
            assert "<style" not in text
            assert " style=" not in text
            assert " onclick=" not in text


async def test_files_are_kept_by_browsers_and_pages_are_not(stack):
    async with stack() as s:
        someone = browser(s)
        for one in assets().values():
            answer = await someone.request("GET", one.address)
            assert answer.status_code == 200
            assert answer.content == one.body
            assert answer.headers["content-type"] == one.kind
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "set-cookie" not in answer.headers
        for path in ("/console/static/../pages.py", "/console/static/x/console.css", "/console/static/%2e%2e/pages.py"):
            assert (await someone.request("GET", path)).status_code == 404


async def test_behind_a_trusted_proxy_with_tls_cookies_are_secure(stack):
    proxied = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7"}
    async with stack(access={"trusted_proxies": "127.0.0.1"}) as s:
        answer = await browser(s, **proxied).open("/console/setup")
    async with stack() as s:
        untrusted = await browser(s, **proxied).open("/console/setup")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "; Secure" in cookie
    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie
    assert answer.headers["strict-transport-security"]
    assert "Secure" not in untrusted.headers["set-cookie"]
    assert "strict-transport-security" not in untrusted.headers


async def test_a_fresh_gateway_is_set_up_by_whoever_has_its_key(stack):
    async with stack() as s:
        someone = browser(s)
        first = await someone.open("/console")
        assert first.headers["location"] == "/console/sign-in?next=%2Fconsole"
        second = await someone.open(first.headers["location"])
        assert second.headers["location"] == "/console/setup"
        await someone.open("/console/setup")
        fields = {"name": "anna", "password": PASSWORD, "again": PASSWORD}
        wrong = await someone.send("/console/setup", {**fields, "key": "not-the-key"})
        assert wrong.status_code == 401
        assert "not the gateway&#39;s key" in wrong.text
        assert PASSWORD not in wrong.text
        unlike = await someone.send("/console/setup", {**fields, "key": KEY, "again": "other"})
        assert unlike.status_code == 400
        right = await someone.send("/console/setup", {**fields, "key": KEY})
        assert right.status_code == 303
        assert (await someone.open(right.headers["location"])).status_code == 200
        assert (await someone.open("/console")).status_code == 200
        late = browser(s)
        assert (await late.open("/console/setup")).headers["location"] == "/console/sign-in"


async def test_signing_in_and_out(stack):
    async with stack() as s:
        await browser(s).set_up("anna")
        someone = browser(s)
        refused = await someone.sign_in("anna", "wrong")
        unknown = await someone.sign_in("nobody", "wrong")
        assert refused.status_code == unknown.status_code == 401
        assert notice(refused) == notice(unknown)
        entered = await someone.sign_in("anna", next="/console/me")
        assert (entered.status_code, entered.headers["location"]) == (303, "/console/me")
        assert (await someone.open("/console/me")).status_code == 200
        out = await someone.send("/console/sign-out")
        assert notice(await someone.open(out.headers["location"])) == "You are signed out."
        assert notice(await someone.open("/console/sign-in")) == ""
        assert (await someone.open("/console/me")).status_code == 303


async def test_a_sign_in_leads_to_no_other_site(stack):
    async with stack() as s:
        await browser(s).set_up("anna")
        entered = await browser(s).sign_in("anna", next="//evil.example/console")
        assert entered.headers["location"] == "/console"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://evil.example", "x-forwarded-host": "evil.example"},
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    ],
)
async def test_a_form_from_another_site_is_refused(stack, headers):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up("anna")
        await someone.open("/console/me")
        answer = await someone.send("/console/me/name", {"display": "Mallory"}, **headers)
        assert answer.status_code == 403
        assert "Mallory" not in (await someone.open("/console/me")).text


async def test_a_form_without_the_sessions_token_is_refused(stack):
    async with stack() as s:
        someone, other = browser(s), browser(s)
        await someone.set_up("anna")
        await someone.open("/console/me")
        await other.open("/console/sign-in")
        for token in ("", "x", other.token):
            answer = await someone.send("/console/me/name", {"display": "Mallory", "csrf": token})
            assert answer.status_code == 403
        by_header = {"x-csrf-token": someone.token}
        answer = await someone.send("/console/me/name", {"display": "Anna", "csrf": ""}, **by_header)
        assert answer.status_code == 303


async def test_a_form_that_is_none_is_refused(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.open("/console/setup")
        same = {"origin": s.url}
        large = await someone.request("POST", "/console/setup", data={"name": "x" * 2_000_000}, headers=same)
        assert large.status_code == 413
        json = await someone.request("POST", "/console/setup", json={"name": "x"}, headers=same)
        assert json.status_code == 400
        kind = {"content-type": "application/x-www-form-urlencoded", **same}
        for body in (b"\xff\xfe", b"a=%ff", b"&".join(b"a=1" for _ in range(1000))):
            answer = await someone.request("POST", "/console/setup", content=body, headers=kind)
            assert answer.status_code in (400, 403), body[:20]


async def test_what_a_stranger_sends_is_shown_as_text(stack):
    async with stack() as s:
        operator = browser(s, **{"user-agent": SCRIPT, "x-forwarded-for": SCRIPT, "accept-language": SCRIPT})
        await operator.set_up("anna")
        await operator.open("/console/me")
        await operator.send("/console/me/name", {"display": SCRIPT})
        own = await operator.open("/console/me")
        assert own.text.count(ESCAPED) >= 3  # the head, the title, the field, the browser's name
        stranger = browser(s)
        refused = await stranger.sign_in(SCRIPT, SCRIPT)
        assert ESCAPED in refused.text
        pages = [
            own,
            refused,
            await stranger.open(f"/console/{SCRIPT}"),
            await stranger.open(f"/console/sign-in?next={SCRIPT}"),
        ]
        pages.append(await operator.open("/console/sign-in", **{"x-forwarded-host": SCRIPT}))
        for page in pages:
            assert SCRIPT not in page.text


async def test_language_and_colours_are_kept_by_the_browser(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.open("/console/setup")
        answer = await someone.send("/console/preferences", {"language": "zh-CN", "next": "/console/setup"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/setup")
        await someone.send("/console/preferences", {"theme": "dark", "next": "/console/setup"})
        page = await someone.open("/console/setup")
        assert '<html lang="zh-CN" data-theme="dark">' in page.text
        assert "欢迎" in page.text
        assert (await someone.send("/console/preferences", {"theme": "pink"})).status_code == 400
        assert 'lang="zh-CN"' in (await browser(s, **{"accept-language": "zh"}).open("/console/setup")).text


async def test_an_error_of_ours_is_a_page_with_the_number_of_its_log_line(stack, monkeypatch):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up("anna")

        def broken(*_: object) -> None:
            raise RuntimeError("a secret of the inside")

        monkeypatch.setattr(s.gateway.people, "sessions_of", broken)
        answer = await someone.open("/console/me")
        (fields,) = [fields for _, said, fields in s.log.lines if said == "page failed"]
    assert answer.status_code == 500
    assert fields["request_id"] in answer.text
    assert answer.headers["request-id"] == fields["request_id"]
    assert "a secret of the inside" not in answer.text


async def test_a_second_factor_is_set_up_and_asked_for(stack):
    import pyotp

    async with stack() as s:
        someone = browser(s)
        await someone.set_up("anna")
        await someone.open("/console/me/second-factor")
        await someone.send("/console/me/second-factor", {"do": "begin"})
        enrol = await someone.open("/console/me/second-factor")
        secret = enrol.text.partition('<code class="secret">')[2].partition("<")[0]
        assert 'src="data:image/svg+xml' in enrol.text
        wrong = await someone.send("/console/me/second-factor", {"do": "enable", "code": "000000x"})
        assert wrong.status_code == 401
        shown = await someone.send("/console/me/second-factor", {"do": "enable", "code": pyotp.TOTP(secret).now()})
        codes = shown.text.partition('<pre class="secret">')[2].partition("</pre>")[0].split()
        assert len(codes) >= 5
        other = browser(s)
        entered = await other.sign_in("anna", next="/console/me")
        assert entered.headers["location"] == "/console/sign-in/code?next=%2Fconsole%2Fme"
        assert (await other.open("/console/me")).status_code == 303, "the password alone is not enough"
        await other.open("/console/sign-in/code")
        assert (await other.send("/console/sign-in/code", {"code": "nonsense"})).status_code == 401
        done = await other.send("/console/sign-in/code", {"code": codes[0], "next": "/console/me"})
        assert done.headers["location"] == "/console/me"
        assert (await other.open("/console/me")).status_code == 200


def test_the_console_takes_nobodys_time_before_it_is_asked_for():
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, kirotrio.web.serving; print([n for n in sys.modules if n.startswith('kirotrio.web.console')])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
