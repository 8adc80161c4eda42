"""Whatever our own errors can say on a page is said in Chinese there: the sentences are read from the code."""

from __future__ import annotations

import ast
import re
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from support.sayings import ROOT, Saying, sayings

from kirotrio.access.modes import _MAINTENANCE, _SELF_USE
from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.importing.gathering import _without_token
from kirotrio.accounts.importing.shapes import _of_another_kind
from kirotrio.accounts.lending.states import AccountState, nobody
from kirotrio.accounts.sign_in.api_key import _what_is_wrong
from kirotrio.errors import Blame, KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.mcp import _told
from kirotrio.kiro.tunnels import _SOCKS_REFUSALS
from kirotrio.relay.documents import _death
from kirotrio.web.console.languages import CHINESE, Speech
from kirotrio.web.console.pages import words
from kirotrio.web.console.quoting import unmarked

ELSEWHERE = {
    "cli/": "the terminal",
    "simulator/": "no part of a gateway",
    "config/": "a start that fails",
    "access/elsewhere/": "the log; pages say what it comes to (console/elsewhere.py)",
    "store/backup.py": "the terminal",
    "store/restore.py": "the terminal",
    "store/recordings.py": "the page of a request has its own sentences for it",
    "web/answering.py": "answers to what is no request of the console",
    "web/api/": "answers of the API that have no record",
    "web/app.py": "answers of the API that have no record",
    "web/replaying.py": "the terminal",
    "web/server.py": "a start that fails",
    "web/tracing.py": "a start that fails",
}
"""Rooms whose errors are said in no page, and where they are."""
RECORDED = {"ReferenceNotFound"}
"""Of those rooms what the record of a request has all the same."""
QUOTING = {"BodyInvalid", "ThreadsUnsupported"}
"""What quotes a request's body: no record of one has it, but for files, which are read once an answer has begun."""
IN_PAGES = ("access/", "relay/", "web/console/")
"""Where such errors are of a form or of files."""


def reaches_a_page(one: Saying) -> bool:
    if one.kind in QUOTING and not one.path.startswith(IN_PAGES):
        return False
    if one.kind == "ElsewhereFailed":
        return False
    return one.kind in RECORDED or not one.path.startswith(tuple(ELSEWHERE))


def test_whatever_an_error_says_has_its_chinese() -> None:
    found = [one for one in sayings() if reaches_a_page(one) and one.text]
    assert len(found) > 300, "the code is no longer read as it is written"
    speech = Speech(CHINESE)
    english = [f"{one.place}: {one.text}" for one in found if one.text and "lang=" in str(words(speech, one.text))]
    assert not english, "sentences that a page shows in English:\n" + "\n".join(english)


BENEATH = {
    "access/counting.py": "what `Budget.check` has said before",
    "access/modes.py": "the operator's own words, or one of two sentences",
    "accounts/importing/checking.py": "another error's sentence",
    "accounts/importing/entries.py": "another error's clause, or what the setting of proxies refuses an address with",
    "accounts/importing/gathering.py": "another error's sentence, or what is left of a sign-in without a token",
    "accounts/importing/owned.py": "the name of an account",
    "accounts/importing/shapes.py": "another clause, or one of two sentences",
    "accounts/lending/pool.py": "one of two sentences",
    "accounts/sign_in/api_key.py": "another error's, or what is wrong with a key",
    "kiro/mcp.py": "a quotation of Kiro's",
    "kiro/tunnels.py": "put together of pieces, which the test below does as well",
    "relay/documents.py": "what the process that reads documents has said, or how it ended",
    "store/accounts.py": "the name of an account",
    "store/secret_keys.py": "a key's id and the places that were looked at",
    "web/bringing/signing_in.py": "another error's",
    "web/console/account_changes.py": "a constant of a neighbour",
    "web/console/joining.py": "another error's",
    "web/console/keys.py": "another error's",
    "web/console/status.py": "another error's, which is noted and not shown",
    "web/workers/seat.py": "what the process at the desk has said",
}
"""Rooms with errors whose sentences are not where the error is made, and where those are."""
SAID_BENEATH = (
    _MAINTENANCE,
    _SELF_USE,
    f"{_SELF_USE} (until noon)",
    _of_another_kind(b'{"clientId": "a", "clientSecret": "b"}'),
    _of_another_kind(b'{"a": 1}'),
    _without_token({}),
    _without_token({"api.codewhisperer.profile": "{}"}),
    "it cannot be read: permission denied",
    "no data service is known in xx-1; the profile's region is used, else that of the settings",
    "no data service is known in xx-1; the profile's region is used, else that of the settings; not checked",
    "it has taken these tokens, which are newer; its mark (sign_in) is cleared; it no longer follows another program's "
    "store",
    "the account 'work' cannot answer while accounts.api_key is set: the sign-in named there answers alone; take it "
    "out and start the gateway again",
    "there is no account named 'work'; `kirotrio accounts` lists those there are",
    "this value cannot be used; it must be "
    "an address like http://host:port, https://host:port or socks5://user:password@host:port",
    _told(""),
    _told("no results"),
    _death(-signal.SIGXCPU),
    _death(3),
    *(_what_is_wrong(key) for key in ("ksk_a b", "ksk_a\u00e9", "ksk_1", "ksk_" + "z" * 4000, "other")),
)


def test_an_error_whose_sentence_is_made_elsewhere_is_known() -> None:
    unread = {one.path for one in sayings() if reaches_a_page(one) and one.text is None}
    assert unread == BENEATH.keys(), "these errors' sentences cannot be read from the code: have SAID_BENEATH hold them"


def of_proxies() -> list[str]:
    """What is said of proxies: the place, what the proxy did, and why."""
    made = [why for why, _ in _SOCKS_REFUSALS.values()]
    for call in ast.walk(ast.parse((ROOT / "kiro/tunnels.py").read_text())):
        name = getattr(call.func, "attr", getattr(call.func, "id", "")) if isinstance(call, ast.Call) else ""
        if isinstance(call, ast.Call) and name in ("_failed", "_refusal"):
            what, *why = [_piece(part) for part in call.args[name == "_refusal" :][:2]]
            for one in ("take a connection", "connect to 7"):
                done = what.replace("did not 7 within", f"did not {one} within")
                made.append(": ".join([f"the proxy http://p:1 {done}", *why]))
    return [one for one in made if not one.startswith("the proxy http://p:1 7")]


def _piece(part: ast.expr) -> str:
    if isinstance(part, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in part.values)
    return str(part.value) if isinstance(part, ast.Constant) else "7"


def test_what_is_made_elsewhere_has_its_chinese_too() -> None:
    speech, said = Speech(CHINESE), [*SAID_BENEATH, *of_proxies()]
    assert len(said) > 40, "the code is no longer read as it is written"
    english = [one for one in said if "lang=" in str(words(speech, one))]
    assert not english, "\n".join(english)


@pytest.mark.parametrize(
    ("message", "chinese"),
    [
        (
            "messages.0.content.1: the document could not be read: it holds no text",
            "messages.0.content.1：无法读取文档：其中没有文字",
        ),
        (
            "messages.0.content[1].image_url: the image could not be fetched: q.example: there is no host of this name",
            "messages.0.content[1].image_url：无法获取图片：q.example：没有这个名称的主机",
        ),
        ("the refresh token is refused (status 401)", "刷新令牌被拒绝（状态码 401）"),
        (
            "this key has used its 1,000 requests of this day; the next one begins at 2026-01-02 00:00 UTC",
            "此密钥每天的请求限额 1,000 已用完；下一期从 2026-01-02 00:00 UTC 开始",
        ),
        (
            "could not connect to q.example:443: the proxy http://p:1 demands a sign-in: put user and password, "
            "percent-encoded, into upstream.proxy_url",
            "无法连接到 q.example:443：代理 http://p:1 要求登录：请把百分号编码的用户名和密码填入 upstream.proxy_url",
        ),
        (
            "the refresh token is refused (401); sign in again with `kirotrio login`",
            "刷新令牌被拒绝（401）；请用 `kirotrio login` 重新登录",
        ),
        (
            "the connection to q.example:443 broke: the server disconnected in the middle of a response's body",
            "与 q.example:443 的连接中断：服务器在发送应答正文的中途断开了连接",
        ),
        ("it cannot be read: permission denied", "无法读取：permission denied"),
        (
            "it has taken these tokens, which are newer; its mark (sign_in) is cleared; it no longer follows another "
            "program's store",
            "已采用这些较新的令牌；其标记（sign_in）已清除；不再跟随其他程序的登录信息",
        ),
    ],
)
def test_sentences_within_sentences_are_told_too(message: str, chinese: str) -> None:
    assert words(Speech(CHINESE), message) == chinese


def refused(name: str, quote: bytes) -> KirotrioError:
    body = b'{"message": "%s", "reason": "ODD"}' % quote
    error = from_response(403, {}, body, account=name)
    error.recovery = Recovery.NONE
    return error


def test_each_account_of_a_list_is_told_in_chinese_and_keeps_what_kiro_said_of_it() -> None:
    now = 1_800_000_000.0
    asked = [
        AccountState("odd", failure=UpstreamFailed("Nobody has a translation of this.")),
        AccountState("ext", failure=refused("ext", b"The bearer token is invalid; work: <b>no</b>.")),
        AccountState("other", failure=refused("other", b"The bearer token is invalid.")),
        AccountState("held", cooldown=Cooldown(Blame.QUOTA, "used up", now, now + 9000)),
        AccountState("off", enabled=False),
    ]
    error = nobody(asked, "m", now=now)
    shown = str(words(Speech(CHINESE), error.message))
    for name in ("ext", "other"):
        assert f"{name}：Kiro 拒绝账户 {name} 的访问令牌。请" in shown, shown
    assert shown.count('<span lang="en">') == 3, "two quotations, and one sentence that has no translation"
    assert (
        '<span lang="en">Kiro said: The bearer token is invalid; work: &lt;b&gt;no&lt;/b&gt;. (ODD)</span>；' in shown
    )
    assert 'odd：<span lang="en">Nobody has a translation of this</span>' in shown
    assert "off：已停用" in shown
    left = re.sub('<span lang="en">.*?</span>', "", shown)
    assert "; " not in left
    assert ": " not in left


def test_a_sentence_in_a_list_is_known_without_its_full_stop() -> None:
    asked = [AccountState(name, failure=from_response(503, {}, b"", account=name)) for name in ("a", "b")]
    shown = str(words(Speech(CHINESE), nobody(asked, "m", now=0.0).message))
    assert "lang=" not in shown, shown
    assert re.search("a：Kiro [^。]+。[^。]+；b：Kiro [^。]+。[^。]+。$", shown), "one full stop at the end of all"


def test_of_many_accounts_the_rest_is_counted_in_chinese() -> None:
    error = nobody([AccountState(f"a{number}", enabled=False) for number in range(13)], "m", now=0.0)
    shown = str(words(Speech(CHINESE), error.message))
    assert shown.endswith("；另有 3 个。"), shown
    assert "lang=" not in shown


def test_a_sentence_in_brackets_is_known_without_its_full_stop() -> None:
    refusal = from_response(403, {}, b'{"message": "no", "reason": "ODD_REASON"}', account="a")
    cooldown = Cooldown(Blame.ACCESS, refusal.message, 0.0, 9000.0)
    message = nobody([AccountState("a", cooldown=cooldown)], "m", now=0.0).message
    shown = str(words(Speech(CHINESE), message))
    assert '<span lang="en">Kiro said: no (ODD_REASON)</span>' in shown, shown
    assert not re.search("[a-z]{2,} [a-z]{2,} [a-z]{2,}", re.sub("<span.*?</span>|`.*?`", "", shown)), shown


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_is_said_no_character_of_a_quotation_is_lost(own: str, quote: str) -> None:
    message = unmarked(f"nobody says: {own}. Kiro said: {quote}!")
    told = str(words(Speech(CHINESE), message))
    assert str(escape(unmarked(f"{quote}!"))) in told
