"""Days of four accounts on a mock clock: expiries, limits, a suspension, outages; nothing that was promised breaks."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from support.week import MINUTE, NAMES, USERS, Happening, Week, run_week
from support.week_watch import DAY, HOUR

from kirotrio.conversation.tokens import TokenEstimator

pytestmark = pytest.mark.timeout(600)  # a slow machine is not to blame for days that pass quickly elsewhere

SUSPENDED, CAPACITY = "TEMPORARILY_SUSPENDED", "INSUFFICIENT_MODEL_CAPACITY"


def limited(name: str, status: str, at: float, length: float, tells: float | None = None) -> Happening:
    """The account has asked too often: a burst on it meets that, and so does whoever comes later."""

    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        with week.refusing(name, status, tells=tells):
            await week.rush(4)
            await trio.sleep(length)

    return happen


def suspended(name: str, at: float, length: float) -> Happening:
    """Until a person has it unlocked."""

    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        with week.refusing(name, SUSPENDED):
            await week.rush(4)
            await trio.sleep(length)
        await week.unlock(name)

    return happen


def used_up(name: str, at: float) -> Happening:
    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        week.use_up(name)

    return happen


def without_capacity(at: float, length: float) -> Happening:
    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        with week.failing("GenerateAssistantResponse", CAPACITY):
            await trio.sleep(length)

    return happen


def without_sign_in(at: float, length: float) -> Happening:
    """The sign-in service is away, from shortly before the next end of a token on."""

    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        while week.gateway is None or _left(week, "social") > 8 * MINUTE:  # noqa: ASYNC110 - a clock
            await trio.sleep(MINUTE)
        with week.failing("/refreshToken", "UNAVAILABLE"), week.failing("/token", "UNAVAILABLE"):
            await trio.sleep(length)

    return happen


def _left(week: Week, name: str) -> float:
    assert week.gateway is not None
    expires_at = week.gateway.member(name).account.expires_at
    return (expires_at or 0.0) - week.gateway.pool.now()


def without_database(at: float, length: float) -> Happening:
    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        while week.gateway is None or week.away:  # noqa: ASYNC110 - a clock
            await trio.sleep(MINUTE)
        week.away = True
        await trio.sleep(length)
        week.away = False

    return happen


def unregistered(name: str, at: float, length: float) -> Happening:
    """Its registration has expired, until a person signs in anew."""

    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        week.simulator.expire_client(week.account(name).client_id)
        await trio.sleep(length)
        await week.sign_in_again(name)

    return happen


def switched_off(name: str, at: float, length: float) -> Happening:
    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        await week.switch(name, on=False)
        await trio.sleep(length)
        await week.switch(name, on=True)

    return happen


def restarted(at: float) -> Happening:
    async def happen(week: Week) -> None:
        await trio.sleep_until(at)
        await week.restart()

    return happen


def rushes(*times: float) -> Happening:
    """So many requests that every account has to serve."""

    async def happen(week: Week) -> None:
        for at in times:
            await trio.sleep_until(at)
            await week.rush(3)

    return happen


async def bursts(week: Week) -> None:
    while not week.over:
        await trio.sleep(10 * HOUR)
        user = week.chance.randrange(USERS)
        await week.burst(week.conversation(user), week.chance.randrange(4, 20))


def test_nothing_promised_breaks_in_a_week(tmp_path: Path, estimator: TokenEstimator) -> None:
    week = run_week(
        tmp_path,
        estimator,
        7 * DAY,
        bursts,
        without_sign_in(0.5 * DAY, 20 * MINUTE),
        limited("builder", "CREDIT_CONSUMPTION_RATE_EXCEEDED", 1.2 * DAY, 20 * MINUTE),
        limited("key", "TOO_MANY_REQUESTS", 1.6 * DAY, 5 * MINUTE, tells=240),
        used_up("social", 2 * DAY),
        limited("company", "TOO_MANY_REQUESTS", 3 * DAY - 90, 600, tells=900),
        restarted(3 * DAY),
        without_capacity(3.5 * DAY, HOUR),
        suspended("builder", 4 * DAY, 2 * DAY),
        without_database(4.5 * DAY, HOUR),
        unregistered("company", 6.1 * DAY, 0.5 * DAY),
        switched_off("key", 6.7 * DAY, 4 * HOUR),
        rushes(1.4 * DAY, 1.8 * DAY, 3.51 * DAY, 5.2 * DAY, 6.3 * DAY, 6.95 * DAY),
        every=1.5 * HOUR,
        resets={"social": 5 * DAY},
    )
    watch = week.watch
    assert not week.wrong, "\n".join(week.wrong[:20])
    assert week.gateways == 2, "the gateway was not restarted"
    assert {(name, why) for name, why in watch.met if why != CAPACITY} == {
        ("builder", "CREDIT_CONSUMPTION_RATE_EXCEEDED"),
        ("key", "429"),
        ("social", "MONTHLY_REQUEST_COUNT"),
        ("company", "429"),
        ("builder", SUSPENDED),
    }, "not all happened that was to happen"
    assert any(why == CAPACITY for _, why in watch.met), "nobody asked while there was no capacity"
    assert watch.refused_refreshes == [("company", "invalid_client")], "a dead sign-in is tried once"
    assert watch.unheard_refreshes, "no refresh met the sign-in service while it was away"
    for name, since, until in (
        ("builder", 1.2 * DAY + 2 * HOUR, 2 * DAY),
        ("key", 1.6 * DAY + 2 * HOUR, 2 * DAY),
        ("social", 5 * DAY, 5.5 * DAY),
        ("builder", 6 * DAY, 6.5 * DAY),
        ("company", 6.6 * DAY, 7 * DAY),
        ("key", 6.7 * DAY + 4 * HOUR, 7 * DAY),
    ):
        assert watch.serves(name, since, until), f"{name} does not serve after day {since / DAY:.1f}"


def _some(length: float) -> st.SearchStrategy[Happening]:
    """Something that happens within so many seconds."""
    at = st.floats(HOUR, length - 2 * HOUR)
    lasts = st.floats(5 * MINUTE, 3 * HOUR)
    name = st.sampled_from(NAMES)
    return st.one_of(
        st.builds(limited, name, st.just("CREDIT_CONSUMPTION_RATE_EXCEEDED"), at, lasts),
        st.builds(limited, name, st.just("TOO_MANY_REQUESTS"), at, lasts, st.floats(20, HOUR)),
        st.builds(suspended, name, at, lasts),
        st.builds(used_up, name, at),
        st.builds(without_capacity, at, lasts),
        st.builds(without_sign_in, at, lasts),
        st.builds(without_database, at, lasts),
        st.builds(unregistered, st.sampled_from(("builder", "company")), at, lasts),
        st.builds(switched_off, name, at, lasts),
        st.builds(restarted, at),
    )


# Not shrunk: that would take longer than anybody waits, and the seed and the list of happenings say enough.
@settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@example(happenings=[switched_off("builder", 2 * HOUR, 4 * HOUR), unregistered("builder", 3 * HOUR, HOUR)], seed=547)
@given(happenings=st.lists(_some(DAY / 2), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_nothing_promised_breaks_whatever_happens(
    estimator: TokenEstimator, happenings: list[Happening], seed: int
) -> None:
    resets = dict.fromkeys(NAMES, 8 * HOUR)
    with TemporaryDirectory() as folder:
        week = run_week(Path(folder), estimator, DAY / 2, *happenings, every=HOUR, resets=resets, seed=seed)
    assert not week.wrong, "\n".join(week.wrong[:20])
