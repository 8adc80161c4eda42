"""What codes are called: results of requests, kinds of accounts, actions and details of the audit log."""

from __future__ import annotations

import ast
import re
import time
from functools import partial
from pathlib import Path

import attrs
import orjson
import pytest
from support.console import browser

import kirotrio
from kirotrio.access.audit import Actor, note
from kirotrio.accounts.records import KINDS
from kirotrio.conversation.events import StopCause
from kirotrio.errors import Cause, Recovery, Rule
from kirotrio.store import request_rows
from kirotrio.store.request_endings import CANCELLED, CLIENT_GONE, STOPPED
from kirotrio.store.request_record import RequestRecord
from kirotrio.web.console.account_states import State
from kirotrio.web.console.audit_words import ACTIONS, told
from kirotrio.web.console.languages import CHINESE, ENGLISH, Speech
from kirotrio.web.console.pages import environment, words
from kirotrio.web.console.results import RESULTS, USAGE
from kirotrio.web.console.words import ACCOUNT_KINDS, account_kind

ROOT = Path(kirotrio.__file__).parent
ACTION = re.compile(
    r"(account|announcement|answer|identity|invitation|key|mode|playground|recording|sign-in|store|user)\.[a-z-]+"
)
NOT_ACTIONS = {"store.key", "store.url"}
"""Names of a file and of a setting."""


def test_whatever_a_request_or_an_attempt_may_come_to_has_a_word():
    repairs = (Recovery.REFRESH_TOKEN, Recovery.STRIP_SIGNATURES, Recovery.RESOLVE_PROFILE)
    codes = {one.value for one in (*StopCause, *Cause, *Rule, *repairs)} | {STOPPED, CLIENT_GONE, CANCELLED, "ok"}
    assert codes == RESULTS.keys(), codes ^ RESULTS.keys()


def test_whatever_is_noted_in_the_audit_log_has_a_word():
    said = {
        node.value
        for path in ROOT.rglob("*.py")
        if path.name != "audit_words.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and ACTION.fullmatch(node.value)
        and not node.value.endswith(".html")
    } - NOT_ACTIONS
    assert said >= ACTIONS.keys(), f"words of what is never noted: {ACTIONS.keys() - said}"
    assert said <= ACTIONS.keys(), f"noted without a word: {said - ACTIONS.keys()}"


def test_every_kind_of_account_has_one_name():
    assert set(KINDS) == ACCOUNT_KINDS.keys()
    assert account_kind("builder-id", "BuilderId") == "AWS Builder ID"
    assert account_kind("identity-center", "Enterprise") == "AWS IAM Identity Center"
    assert (account_kind("social", "google"), account_kind("social", "Github")) == ("Google", "GitHub")
    assert account_kind("social", "") == "Google or GitHub"
    assert account_kind("newer", "") == "newer"


@pytest.mark.parametrize(
    ("action", "detail", "english", "chinese"),
    [
        (
            "account.test",
            {"asked": "usage", "answered": True},
            "Asked for: What it is worth; Answered: Yes",
            "询问内容: 额度; 已应答: 是",
        ),
        ("user.register", {"taken": False}, "The name was taken: No", "名称已被占用: 否"),
        ("user.set-role", {"was": "member"}, "Before: Member", "原为: 成员"),
        ("key.change", {"models": [["a", "b"], []]}, "Only these models: a, b → –", "仅限这些模型: a, b → –"),
        ("key.create", {"models": ["a", "b"]}, "Only these models: a, b", "仅限这些模型: a, b"),
        ("announcement.edit", {"until_at": 0.0}, "Until: 1970-01-01 00:00 UTC", "截止: 1970-01-01 00:00 UTC"),
        ("x", {"newer": {"a": 1}}, "newer: a=1", "newer: a=1"),
    ],
)  # fmt: skip
def test_details_are_told_in_words(action, detail, english, chinese):
    def line(language):
        return "; ".join(f"{name}: {value}" for name, value, _ in told(Speech(language), action, detail))

    assert line(ENGLISH) == english
    assert line(CHINESE) == chinese


async def test_pages_show_words_and_keep_the_codes_as_titles(stack):
    tries = orjson.dumps(
        [{"account": "work", "outcome": "refresh_token"}, {"account": "work", "outcome": "ODD_REASON"}]
    )
    async with stack() as s:
        someone = browser(s, **{"accept-language": "zh-CN"})
        await someone.set_up("anna")
        database = s.gateway.accounts.shared.database
        row = RequestRecord(
            id="req_1",
            at=time.time(),
            outcome="upstream_failed",
            error="it",
            seconds=1.0,
            usage="measured",
            tries=tries.decode(),
        )
        await database.write(lambda link: request_rows.insert(link, [attrs.asdict(row)]))
        await note(database, Actor("", "anna").entry("account.test", "work", 1.0, {"answered": False}))
        await note(database, Actor("", "anna").entry("newer.thing", "work", 1.0))
        listed = (await someone.open("/console/requests")).text
        word = Speech(CHINESE)(RESULTS["upstream_failed"])
        assert f'<data value="upstream_failed" title="upstream_failed">{word}</data>' in listed
        shown = (await someone.open("/console/requests/req_1")).text
        assert ">已更新令牌</data>" in shown
        assert "<code>ODD_REASON</code>" in shown, "a word of Kiro's own stays"
        assert f"<dd>{Speech(CHINESE)(USAGE['measured'])}</dd>" in shown
        log = (await someone.open("/console/audit")).text
        assert '<data value="account.test" title="account.test">测试账户</data>' in log
        assert re.search(r"已应答：\s*<span>否</span>", log), "words, not True and False"
        assert "<code>newer.thing</code>" in log


def test_the_reason_of_an_account_is_told_in_the_readers_language():
    speech = Speech(CHINESE)
    refused = "the refresh token is refused (status 401)"
    reason = f"The sign-in of the account dud is over: {refused}. To go on, run `kirotrio login --again dud`."
    state = State(word="Signed out", tone="bad", reason=reason)
    template = environment().get_template("account_state.html")
    shown = template.render(_=speech, words=partial(words, speech), state=state)
    assert "账户 dud 的登录已失效：刷新令牌被拒绝" in shown


def test_models_that_an_account_is_not_asked_for_are_told_with_the_languages_colon():
    state = State(word="Ready", tone="good", models=("m1", "m2"))
    for language, line in ((ENGLISH, "Not asked for: m1, m2"), (CHINESE, "暂不请求的模型：m1, m2")):
        speech = Speech(language)
        shown = (
            environment().get_template("account_state.html").render(_=speech, words=partial(words, speech), state=state)
        )
        assert f">{line}</span>" in shown
