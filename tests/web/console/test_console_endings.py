"""How pages of the console end, in the metrics and the log: one that failed is a failure there, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.console import PASSWORD, browser
from support.gateways import until
from support.keys import ACTOR
from support.stack import Stack

from kirotrio.errors import AccountUnavailable, PermissionDenied, RateLimited, SettingsError, StoreUnavailable
from kirotrio.store.sealer import KeyMissing, SealBroken
from kirotrio.store.user_record import Role
from kirotrio.store.user_rows import LastOperator

FINISHED = ("finished", "finished")


async def counted(stack: Stack) -> dict[tuple[str, str], int]:
    """How many requests of the console ended how and why, as a scraper is told; those that finished left out."""
    async with stack.client() as http:
        text = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    ours = [one for one in samples if one.name == "kirotrio_requests_total" and one.labels.get("surface") == "console"]
    ends = {(one.labels["outcome"], one.labels["cause"]): int(one.value) for one in ours}
    return {how: number for how, number in ends.items() if how != FINISHED}


async def line_of(stack: Stack, answer: httpx.Response) -> tuple[str, dict[str, Any]]:
    """The line of a request in the log, which comes behind its answer: level and fields."""

    def lines() -> list[tuple[str, dict[str, Any]]]:
        return [
            (level, fields)
            for level, event, fields in stack.log.lines
            if event == "request finished" and fields["request_id"] == answer.headers["request-id"]
        ]

    await until(lines)
    (line,) = lines()
    return line


def broken(error: Exception) -> Callable[..., Any]:
    def meet(*_: object, **__: object) -> None:
        raise error

    return meet


BROKEN = [
    (RuntimeError("of the inside"), 500, "internal"),
    (StoreUnavailable("the database is away"), 503, "overloaded"),
    (AccountUnavailable("none serves"), 503, "account_unavailable"),
    (SealBroken("a secret is damaged"), 500, "internal"),
    (KeyMissing("the key", "in no place"), 503, "internal"),
]


VISITORS = [
    (SettingsError("that cannot be"), 400, "body_invalid"),
    (LastOperator(), 400, "body_invalid"),
    (RateLimited("too many are under way"), 429, "rate_limited"),
    (PermissionDenied("not for you"), 403, "permission"),
]


@pytest.mark.parametrize(
    ("ending", "level", "error", "status", "cause"),
    [("failed", "warning", *one) for one in BROKEN] + [("refused", "info", *one) for one in VISITORS],
    ids=[type(error).__name__ for error, *_ in BROKEN + VISITORS],
)
async def test_a_page_that_meets_an_error_has_failed_and_what_its_visitor_cannot_have_is_a_refusal(
    stack, monkeypatch, ending: str, level: str, error: Exception, status: int, cause: str
) -> None:
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        monkeypatch.setattr(s.gateway.people, "sessions_of", broken(error))
        answer = await anna.open("/console/me")
        told, line = await line_of(s, answer)
        assert answer.status_code == line["status"] == status
        assert (told, line["outcome"], line["surface"]) == (level, cause, "console")
        assert await counted(s) == {(ending, cause): 1}


async def test_what_is_live_and_breaks_in_the_middle_has_failed(stack, monkeypatch) -> None:
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        monkeypatch.setattr("kirotrio.web.console.streams._answers", broken(RuntimeError("of the inside")))
        with pytest.raises(httpx.RemoteProtocolError):
            await anna.open("/console/streams/events", accept="text/event-stream")

        def lines() -> list[tuple[str, str]]:
            return [
                (level, fields["outcome"])
                for level, event, fields in s.log.lines
                if event == "request finished" and fields["path"] == "/console/streams/events"
            ]

        await until(lines)
        assert lines() == [("warning", "internal")]
        assert await counted(s) == {("failed", "internal"): 1}


async def test_what_a_visitor_may_not_or_gets_wrong_is_refused(stack) -> None:
    async with stack() as s:
        anna, mia, someone = browser(s), browser(s), browser(s)
        await anna.set_up()
        await s.gateway.people.create_user(ACTOR, "mia", PASSWORD, Role.MEMBER)
        await mia.sign_in("mia")
        await anna.open("/console/users")
        taken = {"name": "mia", "password": PASSWORD, "role": "member"}
        asked = [
            (await mia.open("/console/settings"), 403, "permission"),
            (await anna.open("/console/nowhere"), 404, "not_found"),
            (await anna.send("/console/users", taken), 400, "body_invalid"),
            (await anna.send("/console/users", {"csrf": "of another page"}), 403, "permission"),
            *[(await someone.sign_in("anna", "not hers"), 401, "authentication") for _ in range(5)],
            (await someone.sign_in("anna", "not hers"), 429, "rate_limited"),
        ]
        for answer, status, cause in asked:
            level, line = await line_of(s, answer)
            assert answer.status_code == line["status"] == status
            assert (level, line["outcome"], line["address"]) == ("info", cause, "127.0.0.1"), line
        causes = [cause for _, _, cause in asked]
        assert await counted(s) == {("refused", cause): causes.count(cause) for cause in causes}


async def test_a_page_that_is_shown_and_a_form_that_is_taken_have_finished(stack) -> None:
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        for answer in (
            await anna.open("/console/me"),
            await anna.open("/console/keys"),
            await browser(s).open("/console"),
        ):
            level, line = await line_of(s, answer)
            assert (level, line["outcome"], "address" in line) == ("debug", "finished", False)
        assert await counted(s) == {}
