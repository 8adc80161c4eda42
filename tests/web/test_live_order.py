"""In which order running answers are listed, where several gateways tell of theirs again and again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import orjson
import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.relay.streams import LiveAnswer, Streams
from kirotrio.store.posted_rows import Posted
from kirotrio.web.live import _posted, snapshot

NOW = 1_800_000_000.0
NEARLY_AT_ONCE = st.sampled_from([0.0, 0.0001, 0.001, 0.01, 0.05, 0.1])
MOMENTS = st.lists(st.tuples(st.booleans(), NEARLY_AT_ONCE), min_size=1, max_size=12)
"""Answers: at which gateway, and how many seconds after the first moment each began."""
LATENESS = st.floats(0, 0.2)
LOOKS = st.lists(st.tuples(LATENESS, LATENESS, LATENESS), min_size=2, max_size=6)
"""Seconds until the other gateway posts anew, from then to the look, and by how much the look is wrong about that."""


@attrs.define
class Several:
    """What others have posted."""

    posted: list[Posted] = attrs.field(factory=list)

    async def others(self) -> list[Posted]:
        return self.posted

    def public(self, key: str) -> str:
        return key

    private = public


def a_gateway(name: str) -> Any:
    shared = SimpleNamespace(holder=f"machine:1:{name}")
    return SimpleNamespace(
        name=name,
        seat=None,
        several=Several(),
        accounts=SimpleNamespace(shared=shared, everyone=list),
        relay=SimpleNamespace(streams=Streams()),
    )


@given(MOMENTS, LOOKS)
@example([(True, 0.0), (False, 0.01)], [(0.0, 0.0, 0.0), (0.0, 0.0, 0.1)])
def test_answers_keep_their_places_however_late_and_wrong_others_are_told(
    moments: list[tuple[bool, float]], looks: list[tuple[float, float, float]]
) -> None:
    async def look() -> list[list[str]]:
        here, there = a_gateway("here"), a_gateway("there")
        for number, (is_here, began) in enumerate(moments):
            # Ids that say nothing of the order.
            answer = LiveAnswer(f"{number * 7 % 12:x}", "m", trio.current_time() + began, lambda _: None)
            streams = (here if is_here else there).relay.streams
            streams.add(attrs.evolve(answer, began=NOW + began))
        await trio.sleep(0.2)  # of the mock clock, as all here: every answer has begun
        orders = []
        for posts_after, told_after, wrong_by in looks:
            await trio.sleep(posts_after)
            content = orjson.dumps(_posted(there)).decode()
            await trio.sleep(told_after)
            here.several.posted = [Posted(there.accounts.shared.holder, content, told_after + wrong_by)]
            orders.append([row.id for row in (await snapshot(here)).answers])
        return orders

    orders = trio.run(look, clock=trio.testing.MockClock(autojump_threshold=0))
    ids = {f"{number * 7 % 12:x}": began for number, (_, began) in enumerate(moments)}
    assert orders[0] == sorted(ids, key=lambda one: (ids[one], one)), "the oldest comes first"
    assert all(order == orders[0] for order in orders), "answers have changed places"
