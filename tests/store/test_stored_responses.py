"""Stored responses: per owner, bounded in bytes and in time, whole chains or none."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.store.responses import DEEPEST, ResponseMemory, ResponseMissing, StoredResponse


@define
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def stored(name: str, previous: str | None = None, *, padding: int = 0) -> StoredResponse:
    return StoredResponse(
        {"id": name, "output": [{"id": f"out_{name}", "type": "message", "text": "x" * padding}]},
        ({"id": f"in_{name}", "type": "message"},),
        previous,
    )


def size_of(response: StoredResponse) -> int:
    return len(orjson.dumps([response.response, response.input_items]))


def memory(max_bytes: int = 1_000_000, keep: float = 100.0, clock: Clock | None = None) -> ResponseMemory:
    return ResponseMemory(max_bytes, keep, clock or Clock())


def test_what_is_put_is_got_back_as_a_copy() -> None:
    kept = memory()
    kept.put("a", stored("r1", "r0"))
    found = kept.get("a", "r1")
    assert found == stored("r1", "r0")
    found.response["output"].clear()
    assert kept.get("a", "r1") == stored("r1", "r0"), "whoever reads a response must not change what is kept"


def test_an_owner_never_sees_anothers_responses() -> None:
    kept = memory()
    kept.put("a", stored("r1"))
    assert kept.get("b", "r1") is None
    assert kept.items("b", ["out_r1", "in_r1"]) == {}
    assert not kept.delete("b", "r1")
    with pytest.raises(ResponseMissing):
        kept.chain("b", "r1")
    kept.put("b", stored("r2", "r1"))
    with pytest.raises(ResponseMissing):
        kept.chain("b", "r2")
    assert kept.get("a", "r1") is not None


def test_a_chain_is_all_items_oldest_first() -> None:
    kept = memory()
    kept.put("a", stored("r1"))
    kept.put("a", stored("r2", "r1"))
    kept.put("a", stored("r3", "r2"))
    assert [item["id"] for item in kept.chain("a", "r3")] == ["in_r1", "out_r1", "in_r2", "out_r2", "in_r3", "out_r3"]
    assert [item["id"] for item in kept.chain("a", "r1")] == ["in_r1", "out_r1"], "a chain may branch"


def test_a_missing_link_is_named() -> None:
    kept = memory()
    kept.put("a", stored("r2", "r1"))
    with pytest.raises(ResponseMissing) as caught:
        kept.chain("a", "r2")
    assert caught.value.missing == "r1"


def test_a_chain_that_bites_its_tail_ends() -> None:
    kept = memory()
    kept.put("a", stored("r1", "r2"))
    kept.put("a", stored("r2", "r1"))
    with pytest.raises(ResponseMissing):
        kept.chain("a", "r1")


def test_a_chain_may_be_as_deep_as_is_said_and_no_deeper() -> None:
    kept = memory()
    for number in range(DEEPEST + 1):
        kept.put("a", stored(f"r{number}", f"r{number - 1}" if number else None))
    assert len(kept.chain("a", f"r{DEEPEST - 1}")) == 2 * DEEPEST
    with pytest.raises(ResponseMissing):
        kept.chain("a", f"r{DEEPEST}")


def test_items_are_found_in_whatever_response_holds_them() -> None:
    kept = memory()
    kept.put("a", stored("r1"))
    kept.put("a", stored("r2"))
    found = kept.items("a", ["in_r2", "out_r1", "nowhere"])
    assert list(found) == ["in_r2", "out_r1"]
    assert found["out_r1"] == stored("r1").response["output"][0]


def test_an_item_of_two_responses_outlives_the_older() -> None:
    """Clients send their history again, ids and all."""
    kept = memory()
    kept.put("a", stored("r1"))
    again = StoredResponse({"id": "r2", "output": []}, stored("r1").input_items)
    kept.put("a", again)
    kept.delete("a", "r1")
    assert kept.items("a", ["in_r1", "out_r1"]) == {"in_r1": again.input_items[0]}


def test_deleted_is_gone_with_its_items() -> None:
    kept = memory()
    kept.put("a", stored("r1"))
    assert kept.delete("a", "r1")
    assert not kept.delete("a", "r1")
    assert kept.get("a", "r1") is None
    assert kept.items("a", ["out_r1"]) == {}
    assert kept.size == 0


def test_beyond_the_ceiling_the_least_recently_used_goes() -> None:
    kept = memory(3 * size_of(stored("r1")))
    for name in ("r1", "r2", "r3"):
        kept.put("a", stored(name))
    assert kept.get("a", "r1") is not None
    kept.put("b", stored("r4"))
    assert kept.get("a", "r2") is None, "all owners share the ceiling, and r2 was not used for longest"
    assert kept.items("a", ["out_r2"]) == {}
    assert [kept.get(*key) is not None for key in (("a", "r1"), ("a", "r3"), ("b", "r4"))] == [True, True, True]


def test_what_is_larger_than_all_there_may_be_drives_nothing_out() -> None:
    kept = memory(500)
    kept.put("a", stored("r1"))
    kept.put("a", stored("r2", padding=1000))
    assert kept.get("a", "r2") is None
    assert kept.get("a", "r1") is not None


def test_nothing_is_kept_where_nothing_may_be() -> None:
    for kept in (memory(0), memory(keep=0.0)):
        kept.put("a", stored("r1"))
        assert kept.get("a", "r1") is None
        assert kept.size == 0


def test_a_response_expires_when_it_was_not_used_for_so_long() -> None:
    clock = Clock()
    kept = memory(keep=100.0, clock=clock)
    kept.put("a", stored("r1"))
    clock.now = 99.0
    assert kept.get("a", "r1") is not None
    clock.now = 198.0
    assert kept.get("a", "r1") is not None, "it was used 99 seconds ago"
    clock.now = 298.0
    assert kept.get("a", "r1") is None
    assert (kept.size, len(kept)) == (0, 0), "what has expired takes no memory"


def test_continuing_renews_the_whole_chain() -> None:
    clock = Clock()
    kept = memory(keep=100.0, clock=clock)
    kept.put("a", stored("r1"))
    for number in range(2, 8):
        clock.now += 60.0
        assert len(kept.chain("a", f"r{number - 1}")) == 2 * (number - 1)
        kept.put("a", stored(f"r{number}", f"r{number - 1}"))


NAMES = st.sampled_from(["r1", "r2", "r3", "r4"])
OWNERS = st.sampled_from(["a", "b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), OWNERS, NAMES, st.integers(0, 300)),
        st.tuples(st.just("get"), OWNERS, NAMES, st.just(0)),
        st.tuples(st.just("delete"), OWNERS, NAMES, st.just(0)),
        st.tuples(st.just("wait"), OWNERS, NAMES, st.integers(0, 60)),
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 1000))
def test_whatever_happens_the_ceiling_holds_and_the_count_is_right(steps: list[Any], ceiling: int) -> None:
    clock = Clock()
    kept = memory(ceiling, 100.0, clock)
    last: dict[tuple[str, str], StoredResponse] = {}
    for step, owner, name, number in steps:
        match step:
            case "put":
                last[owner, name] = stored(name, padding=number)
                kept.put(owner, last[owner, name])
            case "get":
                found = kept.get(owner, name)
                assert found is None or found == last[owner, name]
            case "delete":
                kept.delete(owner, name)
                assert kept.get(owner, name) is None
                assert kept.items(owner, [f"out_{name}"]) == {}
            case _:
                clock.now += number
        assert kept.size <= ceiling
    there = [key for key in last if kept.get(*key) is not None]
    assert kept.size == sum(size_of(last[key]) for key in there), "bytes are counted of what is there, and of no more"
    assert len(kept) == len(there)
