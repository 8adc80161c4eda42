"""What a form is refused with is said in the reader's language, with the values that are in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.console import PASSWORD, browser
from support.sayings import ROOT, sayings

from kirotrio.errors import SettingsError
from kirotrio.kiro.error_table import BROKEN, NO_ANSWER, REFUSED, TABLE
from kirotrio.kiro.errors import from_response
from kirotrio.store.sealer import KeyMissing, KeyPlaceUnusable, SealBroken
from kirotrio.store.vault import Vault
from kirotrio.web.console.languages import CHINESE, ENGLISH, Speech
from kirotrio.web.console.pages import said, words
from kirotrio.web.console.refusals import _WORDS, WITH_VALUES, in_language
from kirotrio.web.console.status import status_of

ROOMS = (
    *(ROOT / "access" / f"{name}.py" for name in ("announcements", "names", "passwords", "key_admin", "key_terms")),
    *sorted((ROOT / "access" / "members").glob("*.py")),
    *(ROOT / "store" / f"{name}.py" for name in ("accounts", "invitation_rows", "key_rows", "user_rows")),
    *sorted((ROOT / "web" / "console").glob("*.py")),
)
REFUSALS = {
    *("BodyInvalid", "KeyGone", "NameTaken", "NotFound", "NotOpen", "Overloaded", "PermissionDenied", "SettingsError"),
    *("SignInRefused", "TooLarge", "UserGone", "UserNameTaken"),
}
NAMES = {
    *("kirotrio", "operator", "member", "viewer", "open", "self", "use", "maintenance", "light", "dark", "auto"),
    *("users", "registration", "closed", "require", "second", "factor", "Hans", "anna", "example", "org", "Origin"),
    *("Host", "WINDOW", "WHAT", "NUMBER", "requests", "tokens", "credits", "minute", "day", "month", "API", "email"),
    *(
        "UTC",
        "accounts",
        "URL",
        "https",
        "xxxxxxxxxx",
        "awsapps",
        "com",
        "start",
        "ksk",
        "Kiro",
        "messages",
        "chat",
        "responses",
    ),
    *("info", "warning", "critical", "tomorrow", "two", "words"),
    *("application", "www", "form", "urlencoded", "multipart", "data", "content", "type", "models"),
}
"""Words that stay as they are: what is typed or sent."""


def english_in(text: str) -> list[str]:
    """Words of English in a sentence, without what stands in back-quotes and what is a name."""
    return [word for word in re.findall(r"[A-Za-z]{3,}", re.sub(r"`[^`]*`", "", text)) if word not in NAMES]


def refusals() -> list[tuple[str, str]]:
    """Every sentence that the rooms refuse with, with something in the place of its values."""
    rooms = {str(path.relative_to(ROOT)) for path in ROOMS}
    return [(one.place, one.text) for one in sayings() if one.path in rooms and one.kind in REFUSALS and one.text]


def test_whatever_a_form_is_refused_with_has_its_chinese() -> None:
    found = refusals()
    assert len(found) > 70, "the rooms are no longer read as they are written"
    speech = Speech(CHINESE)
    english = [f"{place}: {sentence}" for place, sentence in found if english_in(said(speech, sentence))]
    assert not english, "refusals that are told in English:\n" + "\n".join(english)


def test_every_pattern_is_of_a_sentence_that_is_said_with_its_values() -> None:
    speech = Speech(CHINESE)
    for sentence in WITH_VALUES:
        names = set(re.findall(r"\{(\w+)\}", sentence))
        few = {name: next(iter(_WORDS[name].items())) for name in names & _WORDS.keys() - {"field"}}
        values = dict.fromkeys(names, "q9")
        told = in_language(speech, sentence.format(**{**values, **{name: code for name, (code, _) in few.items()}}))
        assert told == speech(sentence, **{**values, **{name: speech(word) for name, (_, word) in few.items()}})


def test_a_value_stays_as_it_is_and_a_field_has_the_pages_name() -> None:
    speech = Speech(CHINESE)
    assert said(speech, "there is a user named a; {b} already; choose another name") == (
        "已有名为 a; {b} 的用户，请换一个名称"
    )
    assert said(speech, "title: it has 300 characters; 200 are allowed") == "标题：有 300 个字符；最多允许 200 个"
    assert said(speech, "nobody has ever said this") == "Nobody has ever said this"
    assert said(Speech(ENGLISH), "title: it has 300 characters; 200 are allowed").startswith("Title: it has 300")


@given(st.text() | st.sampled_from(WITH_VALUES).flatmap(lambda one: st.text().map(lambda value: one + value)))
def test_no_message_is_too_strange_to_be_said(message: str) -> None:
    assert isinstance(in_language(Speech(CHINESE), message), str)


def problem(text: str) -> str:
    """What a form says of what is wrong, or the page of an error, whose first paragraph it is."""
    found = re.search(r'role="alert"[^>]*>(.*?)</p>', text, re.DOTALL) or re.search(
        r"</h1>\s*<p>(.*?)</p>", text, re.DOTALL
    )
    return re.sub(r"<[^>]+>|&[#\w]+;", "", found[1]).strip() if found else ""


WRONG = [
    ("/console/users", {"name": "two words", "password": PASSWORD, "role": "member"}),
    ("/console/users", {"name": "anna", "password": PASSWORD, "role": "member"}),
    ("/console/users", {"name": "bert", "password": "short", "role": "member"}),
    ("/console/users", {"name": "bert", "password": "z" * 400, "role": "member"}),
    ("/console/users", {"name": "bert", "password": "aaaaaaaaaaaaaa", "role": "member"}),
    ("/console/users", {"name": "bert", "password": PASSWORD, "role": "member", "email": "nowhere"}),
    ("/console/users", {"name": "bert", "password": PASSWORD, "role": "chief"}),
    ("/console/invitations", {"role": "member", "email": "nowhere"}),
    ("/console/invitations", {"role": "chief"}),
    ("/console/me/name", {"display": "z" * 300}),
    ("/console/me/password", {"current": "wrong", "password": PASSWORD + "2", "again": PASSWORD + "2"}),
    ("/console/me/password", {"current": PASSWORD, "password": "short", "again": "short"}),
    ("/console/keys", {"name": ""}),
    ("/console/keys", {"name": "k", "expires": "tomorrow"}),
    ("/console/keys", {"name": "k", "expires": "2001-01-01"}),
    ("/console/keys", {"name": "k", "networks": "10.0.0.0/99"}),
    ("/console/keys", {"name": "k", "account": "99"}),
    ("/console/keys", {"name": "k", "max_concurrent": "-5"}),
    ("/console/keys", {"name": "k", "limit-day-credits": "-5"}),
    ("/console/keys", {"name": "k", "owner": "99"}),
    ("/console/keys", {"name": "k", "surfaces": "99"}),
    ("/console/mode", {"mode": "maintenance", "message": "z" * 1900}),
    ("/console/mode", {"mode": "ajar"}),
    ("/console/announcements/new", {"title": "", "severity": "note"}),
    ("/console/announcements/new", {"title": "9" * 300, "severity": "note"}),
    ("/console/announcements/new", {"title": "9", "severity": "99"}),
    ("/console/announcements/new", {"title": "9", "severity": "note", "from_at": "99"}),
    ("/console/accounts/sign-in", {"way": "99"}),
    ("/console/accounts/sign-in", {"way": "api-key", "api_key": "99"}),
    ("/console/accounts/sign-in", {"way": "identity-center", "start_url": "99"}),
    ("/console/accounts/sign-in", {"way": "google", "name": "9 9"}),
    ("/console/accounts/import", {"from": "paste", "document": ""}),
]


async def test_a_reader_of_chinese_reads_no_english_where_a_form_is_wrong(stack):
    async with stack() as s:
        someone = browser(s, **{"accept-language": "zh-CN"})
        await someone.set_up("anna")
        await someone.open("/console/me")
        told = {}
        for path, fields in WRONG:
            answer = await someone.send(path, fields)
            told[f"{path} {str(fields)[:90]}"] = (answer.status_code, problem(answer.text))
        wrong = {
            sent: one
            for sent, one in told.items()
            if one[0] not in (400, 401) or not one[1] or english_in(one[1].replace("zzz", ""))
        }
        assert not wrong, "\n".join(f"{sent}: {one}" for sent, one in wrong.items())


async def test_a_missing_key_to_the_secrets_is_told_as_the_gateways_trouble(stack, monkeypatch):
    def gone(*_: object) -> bytes:
        raise KeyMissing("ab12", "/var/lib/store.key")

    async with stack() as s:
        someone = browser(s, **{"accept-language": "zh-CN"})
        await someone.set_up("anna")
        await someone.open("/console/me/second-factor")
        assert (await someone.send("/console/me/second-factor", {"do": "begin"})).status_code == 303
        monkeypatch.setattr(Vault, "open", gone)
        answer = await someone.open("/console/me/second-factor")
        assert answer.status_code == 503, answer.text
        assert "机密数据的密钥 ab12 不见了" in problem(answer.text)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("this is no e-mail address"), 400),
        (KeyMissing("ab12", "the file"), 503),
        (KeyPlaceUnusable("the keyring did not answer within 30 seconds"), 503),
        (SealBroken("a secret in the database is damaged"), 500),
    ],
)
def test_what_is_not_the_visitors_fault_is_not_called_theirs(error, status) -> None:
    assert status_of(error) == status


BELOW = [
    "The sign-in of the account dud is over: the refresh token is no longer accepted (status 400). To go on, run "
    "`kirotrio login --again dud`.",
    "The token of the account dud is used up and cannot be refreshed now: The sign-in service did not answer within "
    "20 seconds",
    "This account cannot answer at present. dud: signed out (run `kirotrio login --again dud`).",
    "No account can answer at present. dud: suspended (have it unlocked, then run `kirotrio accounts enable dud`); "
    "b: used up until 2026-12-01 00:00 UTC.",
    "Model 'm2' is not available to this account; it has: m1. dud: its plan does not offer 'm2'.",
    "the upstream sent nothing within 30 seconds",
    "could not connect to q.example.org:443 in time; check the network and the proxy",
    "the same sign-in as 7: 8",
    "the database does not answer as it should; try again in a moment",
    "/k: the key file cannot be read (7); make it usable by this user, or name another with store.key_file",
    "there is no page /console/7",
]


def rows_of_the_error_table() -> Iterator[str]:
    for row in (*TABLE, REFUSED, NO_ANSWER, BROKEN):
        message = row.message.format(who="the account 'dud'", status="status 400")
        if message:
            yield message[:1].upper() + message[1:]


@pytest.mark.parametrize("message", [*BELOW, *rows_of_the_error_table()])
def test_what_accounts_requests_and_the_store_say_has_its_chinese(message) -> None:
    told = str(words(Speech(CHINESE), message))
    assert "lang=" not in told, "it has no translation"
    names = ("dud", "status", "busy", "var", "console", "GET", "models", "NAME", "IDE", "kiro", "store", "key", "file")
    assert not set(english_in(told.replace("&#39;", ""))) - set(names), told


def test_what_the_upstream_said_stays_as_it_is_and_is_marked() -> None:
    refused = from_response(429, {}, b'{"message": "slow <b>down</b>", "reason": "X_Y"}', account="dud")
    told = str(words(Speech(CHINESE), refused.message))
    assert told.startswith("Kiro 表示账户 dud 请求过于频繁。请稍等。 <"), told
    assert '<span lang="en">Kiro said: slow &lt;b&gt;down&lt;/b&gt; (X_Y)</span>' in told
    assert words(Speech(CHINESE), "nobody has ever said this") == '<span lang="en">Nobody has ever said this</span>'
    assert words(Speech(ENGLISH), refused.message).count("lang=") == 1


async def test_a_page_that_is_not_there_is_told_in_the_language_that_was_chosen(stack):
    async with stack() as s:
        someone = browser(s, **{"accept-language": "en"})
        await someone.set_up("anna")
        await someone.open("/console/me")
        await someone.send("/console/preferences", {"language": "zh-CN", "next": "/console"})
        answer = await someone.open("/console/nowhere")
        assert answer.status_code == 404
        assert "没有页面 /console/nowhere" in answer.text
        foreign = await someone.send("/console/mode", {"mode": "open"}, origin="https://elsewhere.example")
        assert '<html lang="zh-CN"' in foreign.text, "the language is chosen, though nothing else of the visit is known"
