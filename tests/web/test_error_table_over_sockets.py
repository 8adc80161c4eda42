"""Every row of KIRO_PROTOCOL 4, from socket to socket: who is asked, what is known of the accounts afterwards, and what
the client is told. With one account, and with three that are asked in the order of their names.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from support.dialects import ALL, ANTHROPIC, Spoken
from support.meanings import FINAL, MEANINGS, Meaning
from support.several import kept
from support.stack import Stack

from kirotrio.accounts import account
from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.errors import Blame
from kirotrio.simulator.refusals import RefusalTable

THREE = [kept(name, row={"priority": place}) for place, name in enumerate("abc")]
OPENAIS: dict[tuple[int, str], tuple[int, str, str]] = {
    (400, "invalid_request_error"): (400, "invalid_request_error", ""),
    (404, "not_found_error"): (404, "invalid_request_error", "model_not_found"),
    (413, "request_too_large"): (413, "invalid_request_error", ""),
    (429, "rate_limit_error"): (429, "rate_limit_exceeded", "rate_limit_exceeded"),
    (502, "api_error"): (502, "server_error", "upstream_error"),
    (503, "api_error"): (503, "server_error", "account_unavailable"),
    (529, "overloaded_error"): (503, "server_error", "overloaded"),
}
"""CONTRACT, "Our errors": what the OpenAI dialects make of Anthropic's status and type."""
USED_UP = (429, "insufficient_quota", "insufficient_quota")


@pytest.fixture(autouse=True)
def _tokens_may_be_refused_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard against refreshing without end is `tests/accounts/test_account`'s."""
    monkeypatch.setattr(account, "REFUSALS_WITHIN", 0.0)


def test_the_table_has_every_refusal_that_there_is():
    table = RefusalTable.shipped()
    meant = [table.find(meaning.name) for meaning in MEANINGS]
    assert len(meant) == len(MEANINGS)
    assert not (missing := [row for row in table.rows if row not in meant]), missing


_numbers = itertools.count(1)


@contextmanager
def at(meaning: Meaning, *more: str) -> Iterator[None]:
    """A failure says at which row."""
    try:
        yield
    except Exception as error:
        error.add_note(" ".join(["at", meaning.name, *more]))
        raise


async def ask(s: Stack, http: httpx.AsyncClient, meaning: Meaning, controls: str = "", **more: Any) -> httpx.Response:
    """A conversation of its own that meets this refusal."""
    spoken: Spoken = more.pop("spoken", ANTHROPIC)
    s.simulator.ledger.clear_requests()
    text = f"[[status={meaning.name} {meaning.course.controls} {controls}]] {next(_numbers)}"
    return await http.post(spoken.path, json=spoken.question(text, **more))


def check_told(answer: httpx.Response, meaning: Meaning) -> str:
    """The message of the error."""
    error = ANTHROPIC.error_of(answer.json())
    assert (answer.status_code, error["type"]) == meaning.told, answer.text
    if meaning.retry_after:
        assert int(answer.headers["retry-after"]) > 0, "the client is to be told when to ask again"
    return str(error["message"])


def check_state(pauses: list[Cooldown], meaning: Meaning) -> None:
    if meaning.blame is None:
        assert not pauses, f"the account is not to blame, and has {pauses}"
        return
    (pause,) = pauses
    assert (pause.blame, bool(pause.model)) == (meaning.blame, meaning.blame is Blame.MODEL)
    assert pause.until == pytest.approx(meaning.until(pause.began_at))


async def test_the_only_account_that_is_refused(stack):
    async with stack(kept=THREE[:1]) as s, s.client() as http:
        for number, meaning in enumerate(MEANINGS):
            with at(meaning):
                answer = await ask(s, http, meaning, stream=number % 2 == 0)
                assert "".join(s.asked()) == meaning.course.alone
                message = check_told(answer, meaning)
                assert words_of(meaning) in message, "what the service said is missing"
                if meaning.blame is Blame.MODEL:
                    check_models_named(message)
                check_state(s.pauses("a"), meaning)
                await check_what_comes_next(s, http, meaning)
            s.forgive()
        final = await http.post(ANTHROPIC.path, json=ANTHROPIC.question())
    assert final.status_code == 200, final.text


def words_of(meaning: Meaning) -> str:
    """What an error is known by: the service's own words, but for two that have words which clients wait for."""
    if meaning.blame is Blame.MODEL:
        return "is not available to this account; it has: "
    if meaning.name == "CONTENT_LENGTH_EXCEEDS_THRESHOLD":
        return "prompt is too long"
    return RefusalTable.shipped().find(meaning.name).message


def check_models_named(message: str) -> None:
    names = message.partition("it has: ")[2].partition(". ")[0].split(", ")
    assert "claude-haiku-4.5" in names
    assert "claude-sonnet-4.5" not in names, "the model that is not to be had is named as one that is"


async def check_what_comes_next(s: Stack, http: httpx.AsyncClient, meaning: Meaning) -> None:
    """An account that pauses is not asked at all; one that is not to blame answers the next request."""
    s.simulator.ledger.clear_requests()
    after = await http.post(ANTHROPIC.path, json=ANTHROPIC.question(f"what comes next {next(_numbers)}"))
    if meaning.blame is None:
        assert (after.status_code, s.asked()) == (200, ["a"]), after.text
        return
    assert s.asked() == [], "an account that pauses was asked"
    message = check_told(after, meaning)
    (pause,) = s.pauses("a")
    if pause.model:
        check_models_named(message)
        other = await http.post(ANTHROPIC.path, json=ANTHROPIC.question(model="claude-haiku-4-5"))
        assert (other.status_code, s.asked()) == (200, ["a"]), "another model on the same account"
    if pause.model:
        return
    if pause.needs_person:
        assert "a: suspended" in message
        assert "kirotrio accounts enable a" in message
    else:
        assert int(after.headers["retry-after"]) <= math.ceil(pause.until - pause.began_at)
        assert "UTC" in message, "until when is not told"


async def test_three_accounts_that_are_all_refused(stack):
    async with stack(kept=THREE, accounts={"strategy": "priority"}) as s, s.client() as http:
        for meaning in MEANINGS:
            with at(meaning):
                answer = await ask(s, http, meaning)
                assert "".join(s.asked()) == meaning.course.all_refuse
                if meaning.course.all_refuse == "aab":
                    assert answer.status_code == 503, answer.text
                    assert "c: ready, but was not asked" in answer.text
                else:
                    message = check_told(answer, meaning)
                    for name in "abc" if meaning.course.all_refuse == "abc" else "":
                        assert f"{name}: " in message, "an account that was asked is not told of"
                for name in "abc":
                    there = meaning if name in meaning.course.all_refuse else None
                    check_state(s.pauses(name), there or Meaning("", FINAL, (0, "")))
            s.forgive()


async def test_another_account_answers_only_for_what_is_the_first_ones_own(stack):
    async with stack(kept=THREE, accounts={"strategy": "priority"}) as s, s.client() as http:
        for meaning in MEANINGS:
            course = meaning.course
            with at(meaning):
                answer = await ask(s, http, meaning, f"fail_first={course.fails} key={next(_numbers)}")
                assert "".join(s.asked()) == course.passes
                if meaning.succeeds:
                    assert answer.status_code == 200, answer.text
                else:
                    check_told(answer, meaning)
                check_state(s.pauses("a"), meaning)
                assert s.pauses("b") == s.pauses("c") == []
            s.forgive()


async def test_the_same_refusals_in_the_other_dialects(stack):
    """One row for each cause there is."""
    by_cause = {(meaning.told, meaning.blame): meaning for meaning in MEANINGS}
    async with stack(kept=THREE[:1]) as s, s.client() as http:
        for meaning in by_cause.values():
            for stream, spoken in enumerate(spoken for spoken in ALL if spoken is not ANTHROPIC):
                with at(meaning, spoken.kind):
                    answer = await ask(s, http, meaning, spoken=spoken, stream=bool(stream))
                    assert "".join(s.asked()) == meaning.course.alone
                    error = spoken.error_of(answer.json())
                    used_up = meaning.blame in (Blame.QUOTA, Blame.SHORT_QUOTA)
                    wanted = USED_UP if used_up else OPENAIS[meaning.told]
                    assert (answer.status_code, error["type"]) == wanted[:2], answer.text
                    assert error["code"] == wanted[2] or not wanted[2]
                    assert ("retry-after" in answer.headers) or not meaning.retry_after
                    check_state(s.pauses("a"), meaning)
                s.forgive()
