"""A gate that several gateways share: whoever works on it when, its limits hold, and nobody is forgotten."""

from __future__ import annotations

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.accounts.lending.ledger import LOOK, STALE, Ledger
from kirotrio.accounts.lending.pacing import BURST, MINUTE, GateLimits

HOLDERS = ("one", "two", "three")
NOW = 1_800_000_000.0


@define
class World:
    """What the gateways know beside the ledger: a model of it. `ledger` travels as JSON between any two steps."""

    limits: GateLimits
    now: float = NOW
    content: bytes = b""
    alive: set[str] = field(factory=lambda: set(HOLDERS))
    inside: dict[str, str] = field(factory=dict)
    waiting: dict[str, str] = field(factory=dict)
    starts: list[float] = field(factory=list)
    entered: list[str] = field(factory=list)
    number: int = 0

    def turn(self, holder: str, *, comes: int = 0, leaves: int = 0) -> None:
        ledger = Ledger.from_json(self.content)
        ledger.tidy(self.now, self.alive)
        for hold in [hold for hold, whose in self.inside.items() if whose == holder][:leaves]:
            ledger.leave(hold, used=True)
            del self.inside[hold]
        for _ in range(comes):
            self.number += 1
            hold = f"{self.number}"
            ledger.enter(hold, holder, self.now, wants_place=True)
            self.waiting[hold] = holder
        for hold in sorted(ledger.settle(self.limits, holder, self.now), key=int):
            assert self.waiting.pop(hold) == holder, "nobody lets in another gateway's"
            self.inside[hold] = holder
            self.starts.append(self.now)
            self.entered.append(hold)
        assert ledger.places == self.inside
        assert set(ledger.waits(holder)) == {hold for hold, whose in self.waiting.items() if whose == holder}
        self.content = ledger.to_json()

    def die(self, holder: str) -> None:
        self.alive.discard(holder)
        for mine in (self.inside, self.waiting):
            for hold in [hold for hold, whose in mine.items() if whose == holder]:
                del mine[hold]

    def check(self) -> None:
        if self.limits.max_concurrent:
            assert len(self.inside) <= self.limits.max_concurrent
        if limit := self.limits.per_minute:
            burst = min(BURST, limit)
            for most, seconds in ((limit, MINUTE), (burst, MINUTE * burst / limit)):
                for earlier, later in zip(self.starts, self.starts[most:], strict=False):
                    assert later - earlier >= seconds - 1e-6


limits = st.builds(GateLimits, st.integers(0, 3), st.integers(0, 12), st.just(64))
steps = st.lists(
    st.tuples(
        st.sampled_from(HOLDERS), st.integers(0, 3), st.integers(0, 2), st.sampled_from([0.0, LOOK, 1.0, 7.0, 40.0])
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(limits, steps, st.integers(0, 60))
def test_whoever_works_on_it_the_limits_hold_for_all(
    allowed: GateLimits, doing: list[tuple[str, int, int, float]], death: int
) -> None:
    world = World(allowed)
    for step, (holder, comes, leaves, later) in enumerate(doing):
        if step == death:
            world.die(HOLDERS[0])
        if holder in world.alive:
            world.turn(holder, comes=comes, leaves=leaves)
            world.check()
        world.now += later
    # Where all look again and again, everybody comes in, and in the end nothing is left.
    for _ in range(4000):
        if not (world.waiting or world.inside):
            break
        for holder in sorted(world.alive):
            world.turn(holder, leaves=100)
            world.check()
        world.now += 1.0
    assert not world.waiting
    assert not world.inside


@given(limits, st.lists(st.tuples(st.sampled_from(HOLDERS), st.integers(1, 2)), max_size=20))
def test_who_came_first_is_served_first_wherever_he_came_to(allowed: GateLimits, coming: list[tuple[str, int]]) -> None:
    world = World(allowed)
    for holder, comes in coming:
        world.turn(holder, comes=comes)
        world.now += LOOK
    while world.waiting or world.inside:
        for holder in HOLDERS:
            world.turn(holder, leaves=1)
        world.now += 1.0
    by_round = sorted(world.entered, key=int)
    if allowed.max_concurrent == 1:
        assert world.entered == by_round
    assert set(world.entered) == set(by_round)


def test_one_that_is_not_looked_after_is_passed_by_and_keeps_its_place_in_line() -> None:
    world = World(GateLimits(1, 0, 64))
    world.turn("one", comes=1)
    world.turn("two", comes=1)
    world.turn("three", comes=1)
    world.turn("one", leaves=1)
    world.turn("three")
    assert world.entered == ["1"], "the place is the second gateway's"
    world.now += STALE + 1.0
    world.turn("three")
    assert world.entered == ["1", "3"]
    world.turn("three", leaves=1)
    world.turn("two")
    assert world.entered == ["1", "3", "2"]


def test_a_gateway_that_comes_back_holds_what_runs_there_whatever_the_limits_say() -> None:
    ledger = Ledger()
    for hold in ("a", "b"):
        ledger.enter(hold, "one", NOW, wants_place=True)
    ledger.settle(GateLimits(2), "one", NOW)
    ledger.enter("c", "one", NOW, wants_place=True)
    mine = ledger.only("one")
    mine.leave("b", used=True)
    ledger.tidy(NOW + 20, {"two"})
    ledger.enter("d", "two", NOW + 20, wants_place=True)
    ledger.enter("e", "two", NOW + 20, wants_place=True)
    ledger.settle(GateLimits(2), "two", NOW + 20)
    ledger.rejoin(mine, "one", NOW + 20)
    assert ledger.places == {"a": "one", "d": "two", "e": "two"}
    assert list(ledger.waits("one")) == ["c"]
    assert ledger.settle(GateLimits(2), "one", NOW + 20) == set()
