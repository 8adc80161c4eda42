"""One account's life: when its token is used, read again, refreshed, and written back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from attrs import frozen
from support.sign_in_service import (
    EPOCH,
    DirectSource,
    MemoryStore,
    SignInService,
    answer,
    refresh_token,
    wall_clock,
)
from trio.testing import MockClock

from kirotrio.accounts.account import REFUSALS, REFUSALS_WITHIN, Account
from kirotrio.accounts.credential import ApiKey, Credential, ExternalIdp, Oidc, Refreshable, Renewed, Social
from kirotrio.accounts.credential_json import Unreadable
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.tokens.refresh import SignInRefused
from kirotrio.accounts.tokens.renewal import LONGEST_PAUSE, QUIET, TRIES
from kirotrio.accounts.tokens.sentences import over
from kirotrio.config.settings import Settings
from kirotrio.errors import AccountUnavailable, DeadlineExceeded, KirotrioError, Overloaded, Recovery, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.telemetry.log import RecordingLog

FIRST = refresh_token("first")
AHEAD = 300.0
ARN = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"
OTHER_ARN = "arn:aws:codewhisperer:us-east-1:111:profile/ABC"
SOCIAL = Social(refresh_token=FIRST)
OIDC = Oidc(refresh_token=FIRST, client_id="client", client_secret="s3cret", provider="Enterprise")


@frozen
class Scene:
    account: Account
    store: MemoryStore
    service: SignInService
    log: RecordingLog

    async def token(self) -> str:
        return (await self.account.credentials()).access_token

    def theirs(self, name: str, seconds: float = 3600.0) -> Social:
        """What another program would leave in the store."""
        return Social(
            refresh_token=refresh_token(name), access_token=f"access of {name}", expires_at=wall_clock() + seconds
        )


@asynccontextmanager
async def scene(
    credential: Credential | None = SOCIAL, *, profile_arn: str = "", lifetime: float = 3600.0, valid: str = FIRST
) -> AsyncIterator[Scene]:
    store, service, log = MemoryStore(credential), SignInService(valid, lifetime=lifetime), RecordingLog()
    terms = Terms.of(Settings(), profile_arn=profile_arn)
    async with trio.open_nursery() as nursery:
        account = Account(DirectSource(store), service, nursery, terms, log, now=wall_clock)
        yield Scene(account, store, service, log)
        nursery.cancel_scope.cancel()


# Ahead of time, once, and kept before it is used


async def test_a_token_is_refreshed_ahead_of_its_end_and_not_before(autojump_clock: MockClock) -> None:
    async with scene() as s:
        assert await s.token() == "access-1"
        await trio.sleep(3600 - AHEAD - 1)
        assert await s.token() == "access-1"
        assert s.service.refreshes == 1
        await trio.sleep(1)
        assert await s.token() == "access-2"


async def test_a_hundred_callers_share_one_refresh(autojump_clock: MockClock) -> None:
    async with scene() as s:
        tokens: list[str] = []

        async def ask() -> None:
            tokens.append(await s.token())

        async with trio.open_nursery() as callers:
            for _ in range(100):
                callers.start_soon(ask)
        assert tokens == ["access-1"] * 100
        assert s.service.refreshes == 1


async def test_a_failed_flight_fails_all_who_waited_each_with_an_error_of_its_own(autojump_clock: MockClock) -> None:
    async with scene(valid="another") as s:
        errors: list[KirotrioError] = []

        async def ask() -> None:
            with pytest.raises(AccountUnavailable) as caught:
                await s.token()
            errors.append(caught.value)

        async with trio.open_nursery() as callers:
            for _ in range(10):
                callers.start_soon(ask)
        assert len({id(error) for error in errors}) == 10
        assert s.service.refreshes == 1


async def test_the_rotated_token_is_kept_before_it_is_used(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene() as s:
        lent: list[str] = []

        async def ask() -> None:
            lent.append(await s.token())

        real = s.store.write_back

        def write_back(old: str, new: Refreshable) -> bool:
            assert lent == [], "the token was used before it was kept"
            return real(old, new)

        monkeypatch.setattr(s.store, "write_back", write_back)
        async with trio.open_nursery() as callers:
            callers.start_soon(ask)
            callers.start_soon(ask)
        assert lent == ["access-1", "access-1"]
        assert s.store.kept == s.service.valid


async def test_a_token_that_cannot_be_kept_is_not_used_and_not_lost(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.store.trouble = [OSError(28, "No space left on device"), OSError(28, "No space left on device")]
        for _ in range(2):
            with pytest.raises(AccountUnavailable, match="No space left on device"):
                await s.token()
        assert s.account.busy, "an account that has something to write must not be forgotten"
        assert await s.token() == "access-1"
        assert s.service.refreshes == 1, "the token was rotated again instead of being written"
        assert s.store.kept == s.service.valid
        assert not s.account.busy


async def test_an_answer_without_a_new_refresh_token_keeps_the_old_one(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.service.rotates = False
        assert await s.token() == "access-1"
        assert s.store.kept == FIRST


async def test_a_short_lived_token_is_used_for_half_its_life(autojump_clock: MockClock) -> None:
    async with scene(lifetime=60) as s:
        for _ in range(5):
            assert await s.token() == "access-1"
        await trio.sleep(31)
        assert await s.token() == "access-2"


async def test_the_store_is_not_read_while_the_token_is_good(autojump_clock: MockClock) -> None:
    async with scene() as s:
        await s.token()
        reads = s.store.reads
        for _ in range(10):
            await s.token()
        assert s.store.reads == reads


# Other programs rotate the same token


async def test_a_token_that_stands_there_and_is_good_is_used_as_it_is(autojump_clock: MockClock) -> None:
    async with scene(None) as s:
        s.store.credential = s.theirs("ide")
        assert await s.token() == "access of ide"
        assert s.service.calls == []


async def test_the_store_is_read_again_before_a_refresh(autojump_clock: MockClock) -> None:
    async with scene() as s:
        await s.token()
        await trio.sleep(3400)
        s.store.credential = s.theirs("ide")
        assert await s.token() == "access of ide"
        assert s.service.refreshes == 1


async def test_a_refused_refresh_token_that_somebody_else_has_rotated_is_no_end(autojump_clock: MockClock) -> None:
    async with scene(valid="taken by the IDE") as s:
        theirs = s.theirs("ide")

        def other_program_writes(url: str) -> None:
            s.store.credential = theirs

        s.service.script = [answer(400, {"error": "invalid_grant"})]
        real = s.service.call

        async def call(*arguments: object, **named: object) -> HttpAnswer:
            reply = await real(*arguments, **named)
            s.store.credential = theirs
            return reply

        s.service.call = call
        assert await s.token() == "access of ide"


async def test_another_program_that_gets_in_between_refresh_and_writing_wins(autojump_clock: MockClock) -> None:
    async with scene() as s:
        theirs = s.theirs("ide")
        s.service.after_rotation = lambda: setattr(s.store, "credential", theirs)
        assert await s.token() == "access of ide"
        assert s.store.credential == theirs, "somebody else's sign-in was overwritten"


async def test_a_sign_in_that_is_taken_away_meanwhile_is_not_put_back(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.service.after_rotation = lambda: setattr(s.store, "credential", None)
        with pytest.raises(AccountUnavailable, match="No sign-in is in the memory any more: sign in again"):
            await s.token()
        assert s.store.credential is None
        assert s.account.gone


async def test_a_store_that_changes_under_every_refresh_ends_in_an_error_and_not_in_a_loop(
    autojump_clock: MockClock,
) -> None:
    async with scene() as s:

        def always_another() -> None:
            s.service.valid = refresh_token(f"other-{s.service.rotations}")
            s.store.credential = Social(refresh_token=s.service.valid)

        s.service.after_rotation = always_another
        with pytest.raises(AccountUnavailable, match="Another program"):
            await s.token()


async def test_an_unreadable_store_does_not_end_a_token_that_is_still_good(autojump_clock: MockClock) -> None:
    async with scene() as s:
        await s.token()
        await trio.sleep(3600 - AHEAD + 1)
        s.store.unreadable = [Unreadable("half written")]
        assert await s.token() == "access-1"
        await trio.sleep(QUIET)
        assert await s.token() == "access-2"


# Stores that may not be written


async def test_what_cannot_be_written_is_used_to_its_end_and_then_reported(autojump_clock: MockClock) -> None:
    async with scene(None) as s:
        s.store.credential = s.theirs("ide", seconds=600)
        s.store.problem = "/home/me/token.json is not writable; make it writable"
        await trio.sleep(590)
        assert await s.token() == "access of ide"
        await trio.sleep(10)
        with pytest.raises(AccountUnavailable, match=r"the memory.*/home/me/token\.json is not writable"):
            await s.token()
        assert s.service.calls == [], "a token was rotated that could not be written back"
        s.store.credential = s.theirs("ide again")
        assert await s.token() == "access of ide again"


# Failures


@pytest.mark.parametrize(
    "fault",
    [
        answer(503, b""),
        answer(429, b"", retry_after="3"),
        UpstreamFailed("no route", recovery=Recovery.RETRY),
        DeadlineExceeded("slow", recovery=Recovery.RETRY),
        None,
    ],
)
async def test_what_passes_is_tried_again(autojump_clock: MockClock, fault: HttpAnswer | Exception | None) -> None:
    async with scene() as s:
        s.service.script = [fault] * (TRIES - 1)
        assert await s.token() == "access-1"
        assert s.service.refreshes == TRIES
        pauses = [later - earlier for earlier, later in zip(s.service.times, s.service.times[1:], strict=False)]
        assert all(0 < pause <= LONGEST_PAUSE + Settings().deadlines.sign_in for pause in pauses)
        if isinstance(fault, HttpAnswer) and fault.status == 429:
            assert min(pauses) >= 3, "the service asked for a longer pause"


async def test_what_does_not_pass_ends_after_three_tries_and_can_be_asked_again(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.service.script = [answer(503, b"")] * TRIES
        with pytest.raises(UpstreamFailed) as error:
            await s.token()
        assert error.value.recovery is Recovery.RETRY
        assert s.service.refreshes == TRIES
        assert await s.token() == "access-1"


async def test_a_service_that_never_answers_meets_the_deadline(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.service.script = [None] * TRIES
        began = trio.current_time()
        with pytest.raises(DeadlineExceeded):
            await s.token()
        assert trio.current_time() - began < TRIES * (Settings().deadlines.sign_in + LONGEST_PAUSE)


async def test_a_long_pause_is_passed_on_and_not_waited_for(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.service.script = [answer(429, b"", retry_after="120")]
        began = trio.current_time()
        with pytest.raises(UpstreamFailed) as error:
            await s.token()
        assert error.value.retry_after == 120
        assert trio.current_time() == began
        assert s.service.refreshes == 1


@pytest.mark.parametrize(
    "fault", [answer(503, b""), answer(403, b"<html>blocked"), answer(400, {"error": "invalid_grant"})]
)
async def test_a_refresh_ahead_of_time_that_fails_costs_nobody_a_good_token(
    autojump_clock: MockClock, fault: HttpAnswer
) -> None:
    async with scene() as s:
        await s.token()
        await trio.sleep(3600 - AHEAD + 1)
        s.service.script = [fault] * TRIES
        assert await s.token() == "access-1"
        calls = s.service.refreshes
        for _ in range(5):
            assert await s.token() == "access-1"
        assert s.service.refreshes == calls, "every request tried to refresh"


def test_a_place_is_told_only_where_it_says_more_than_the_name() -> None:
    refusal = SignInRefused("it has expired")
    kept, followed = MemoryStore(SOCIAL), MemoryStore(SOCIAL)
    kept.where, followed.where = "the account work", "/home/me/token.json"
    begun = "The sign-in of the account work"
    assert over("work", DirectSource(kept), refusal).message.startswith(f"{begun} is over: it has expired. ")
    assert over("work", DirectSource(followed), refusal).message.startswith(f"{begun} (/home/me/token.json) is over: ")


async def test_an_invalid_grant_is_final_says_what_to_do_and_is_not_sent_again(autojump_clock: MockClock) -> None:
    async with scene(valid="another") as s:
        for _ in range(3):
            with pytest.raises(AccountUnavailable) as error:
                await s.token()
            assert error.value.message == (
                "The sign-in of the account memory (the memory) is over: the refresh token is no longer accepted "
                "(400 invalid_grant). To go on, sign in again."
            )
            assert not error.value.retryable
        assert s.service.refreshes == 1


async def test_a_new_sign_in_in_the_same_place_ends_the_end(autojump_clock: MockClock) -> None:
    async with scene(valid="another") as s:
        with pytest.raises(AccountUnavailable):
            await s.token()
        s.service.valid = refresh_token("signed in again")
        s.store.credential = Social(refresh_token=s.service.valid)
        assert await s.token() == "access-1"


async def test_where_the_kept_successor_is_dead_the_sign_in_as_it_was_written_is_tried_once(
    autojump_clock: MockClock,
) -> None:
    async with scene(Social(refresh_token=refresh_token("successor"))) as s:
        s.store.given = SOCIAL
        assert await s.token() == "access-1"
        assert s.service.refreshes == 2
        assert s.store.kept == s.service.valid, "the new successor stands in place of the dead one"


async def test_where_both_are_dead_each_is_sent_once(autojump_clock: MockClock) -> None:
    async with scene(Social(refresh_token=refresh_token("successor")), valid="another") as s:
        s.store.given = SOCIAL
        for _ in range(3):
            with pytest.raises(AccountUnavailable, match="is over"):
                await s.token()
        assert s.service.refreshes == 2


async def test_a_firewall_is_no_end(autojump_clock: MockClock) -> None:
    async with scene() as s:
        s.service.script = [answer(403, b"<html>blocked")]
        with pytest.raises(AccountUnavailable, match="this network"):
            await s.token()
        assert await s.token() == "access-1"


async def test_a_mistake_in_the_work_reaches_the_caller_and_leaves_the_account_usable(
    autojump_clock: MockClock,
) -> None:
    async with scene() as s:
        s.service.script = [ZeroDivisionError("a mistake")]
        with pytest.raises(ZeroDivisionError):
            await s.token()
        assert await s.token() == "access-1"


async def test_after_the_application_has_ended_nobody_waits_for_ever(autojump_clock: MockClock) -> None:
    async with scene() as s:
        account = s.account
    with pytest.raises(Overloaded, match="stopping"):
        await account.credentials()


# Refused by the upstream


async def test_a_refused_token_is_replaced_even_if_it_had_time_left(autojump_clock: MockClock) -> None:
    async with scene() as s:
        token = await s.token()
        await s.account.refused(token)
        assert await s.token() == "access-2"
        assert s.service.refreshes == 2


async def test_many_refusals_of_one_token_are_one_refresh(autojump_clock: MockClock) -> None:
    async with scene() as s:
        token = await s.token()
        async with trio.open_nursery() as callers:
            for _ in range(50):
                callers.start_soon(s.account.refused, token)
        await s.account.refused(token)
        assert await s.token() == "access-2"
        assert s.service.refreshes == 2


async def test_a_newer_token_in_the_store_answers_a_refusal(autojump_clock: MockClock) -> None:
    async with scene() as s:
        token = await s.token()
        s.store.credential = s.theirs("ide")
        await s.account.refused(token)
        assert await s.token() == "access of ide"
        assert s.service.refreshes == 1


async def test_a_token_refused_while_it_is_being_replaced_is_not_lent_again(autojump_clock: MockClock) -> None:
    async with scene() as s:
        token = await s.token()
        await trio.sleep(3600 - AHEAD + 1)
        s.service.script = [answer(503, b"")] * TRIES  # the refresh ahead of time fails, so the old token is kept

        async def ask() -> None:
            with pytest.raises(UpstreamFailed):
                await s.token()

        async with trio.open_nursery() as callers:
            callers.start_soon(ask)
            await trio.sleep(0.01)
            assert s.account.busy
            with pytest.raises(UpstreamFailed):
                await s.account.refused(token)
        assert s.service.refreshes == 1 + TRIES
        assert await s.token() == "access-2"


async def test_a_service_that_insists_on_its_token_is_believed(autojump_clock: MockClock) -> None:
    async with scene() as s:
        token = await s.token()
        s.service.extra = {"accessToken": token}
        await s.account.refused(token)
        calls = s.service.refreshes
        assert await s.token() == token
        assert s.service.refreshes == calls


async def test_refusals_without_end_do_not_refresh_without_end(autojump_clock: MockClock) -> None:
    async with scene() as s:
        for _ in range(REFUSALS):
            await s.account.refused(await s.token())
        with pytest.raises(AccountUnavailable, match="even new tokens"):
            await s.account.refused(await s.token())
        assert s.service.refreshes == REFUSALS + 1
        await trio.sleep(REFUSALS_WITHIN)
        await s.account.refused(await s.token())
        assert s.service.refreshes == REFUSALS + 2


async def test_a_refused_token_of_a_store_that_may_not_be_written_is_reported(autojump_clock: MockClock) -> None:
    async with scene(None) as s:
        s.store.credential = s.theirs("ide")
        token = await s.token()
        s.store.problem = "accounts.write_back is off; switch it on"
        with pytest.raises(AccountUnavailable, match="write_back is off"):
            await s.account.refused(token)
        assert s.service.calls == []


# Keys, profiles, regions


async def test_an_api_key_goes_out_as_one_without_profile_or_refresh(autojump_clock: MockClock) -> None:
    async with scene(ApiKey("ksk_abc"), profile_arn=ARN) as s:
        lent = await s.account.credentials()
        assert (lent.access_token, lent.token_type, lent.profile_arn) == ("ksk_abc", "API_KEY", "")
        assert lent.region == "us-east-1"
        await s.account.resolve_profile()
        with pytest.raises(AccountUnavailable, match="refuses the key in the memory"):
            await s.account.refused("ksk_abc")
        assert s.service.calls == []


async def test_the_profile_of_a_social_sign_in_comes_with_the_refresh_and_decides_the_region(
    autojump_clock: MockClock,
) -> None:
    async with scene() as s:
        s.service.extra = {"profileArn": ARN}
        lent = await s.account.credentials()
        assert (lent.profile_arn, lent.region, lent.token_type) == (ARN, "eu-central-1", "")
        assert isinstance(s.store.credential, Social)
        assert s.store.credential.profile_arn == ARN


async def test_a_profile_that_a_person_named_beats_one_that_was_found(autojump_clock: MockClock) -> None:
    async with scene(attrs.evolve(OIDC, profile_arn=ARN), profile_arn=OTHER_ARN) as s:
        assert (await s.account.credentials()).profile_arn == OTHER_ARN


async def test_an_identity_center_profile_is_looked_up_once(autojump_clock: MockClock) -> None:
    async with scene(OIDC) as s:
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": ARN}] if "eu-central" in url else []})
        for _ in range(3):
            lent = await s.account.credentials()
            assert (lent.profile_arn, lent.region) == (ARN, "eu-central-1")
        await trio.sleep(3600)
        assert (await s.account.credentials()).profile_arn == ARN
        assert len(s.service.calls) - s.service.refreshes == 2, "two regions, once"


async def test_a_look_up_that_fails_is_not_remembered_as_no_profile(autojump_clock: MockClock) -> None:
    async with scene(OIDC) as s:
        s.service.profiles = lambda url: answer(503, b"")
        for _ in range(3):
            assert (await s.account.credentials()).profile_arn == ""
        assert len(s.service.calls) - s.service.refreshes == 2, "every request looked it up"
        with pytest.raises(UpstreamFailed):
            await s.account.resolve_profile()
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": ARN}]})
        await trio.sleep(QUIET)
        assert (await s.account.credentials()).profile_arn == ARN


async def test_no_profile_is_an_answer_until_the_next_token(autojump_clock: MockClock) -> None:
    async with scene(OIDC) as s:
        for _ in range(3):
            assert (await s.account.credentials()).profile_arn == ""
        assert len(s.service.calls) - s.service.refreshes == 2
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": ARN}]})
        await trio.sleep(3600)
        assert (await s.account.credentials()).profile_arn == ARN


async def test_the_profile_of_one_person_is_not_used_for_the_next(autojump_clock: MockClock) -> None:
    async with scene(OIDC) as s:
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": ARN}]})
        assert (await s.account.credentials()).profile_arn == ARN
        await trio.sleep(3600)
        s.store.credential = OIDC.after(Renewed("theirs", wall_clock() + 3600, refresh_token("theirs")))
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": OTHER_ARN}]})
        assert (await s.account.credentials()).profile_arn == OTHER_ARN


async def test_a_builder_id_asks_for_no_profile_until_the_upstream_does(autojump_clock: MockClock) -> None:
    async with scene(attrs.evolve(OIDC, provider="BuilderId")) as s:
        assert (await s.account.credentials()).profile_arn == ""
        assert len(s.service.calls) == 1
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": ARN}]})
        await s.account.resolve_profile()
        assert (await s.account.credentials()).profile_arn == ARN


async def test_an_external_sign_in_names_its_token_type_everywhere(autojump_clock: MockClock) -> None:
    external = ExternalIdp(
        refresh_token=FIRST, token_endpoint="https://login.microsoftonline.com/t/token", client_id="client"
    )
    async with scene(external) as s:
        s.service.profiles = lambda url: answer(200, {"profiles": [{"arn": ARN}]})
        lent = await s.account.credentials()
        assert (lent.token_type, lent.profile_arn) == ("EXTERNAL_IDP", ARN)
        assert [headers["tokentype"] for url, headers, _ in s.service.calls if "Profiles" in url] == [
            "EXTERNAL_IDP"
        ] * 2


async def test_nothing_secret_is_logged(autojump_clock: MockClock) -> None:
    async with scene() as s:
        await s.account.refused(await s.token())
        s.service.script = [answer(400, {"error": "invalid_grant"})]
        with pytest.raises(AccountUnavailable):
            await s.account.refused(await s.token())
        written = repr(s.log.lines)
        assert s.log.lines
        for secret in (FIRST, s.service.valid, "access-1", "access-2"):
            assert secret not in written


def test_the_wall_clock_of_these_tests_is_the_mock_clock() -> None:
    assert EPOCH > 1e9
