"""Which process the smoke test kills, to see it replaced."""

from __future__ import annotations

import pytest
import smoke_workers


def test_the_last_of_a_desk_and_two_workers_is_killed() -> None:
    assert smoke_workers.a_worker([11, 12, 13]) == 13


@pytest.mark.parametrize("found", [[], [11], [11, 12], [11, 12, 13, 14]])
def test_a_worker_that_cannot_be_told_from_others_fails_the_test(found: list[int]) -> None:
    with pytest.raises(SystemExit, match=f"two workers .* {len(found)} processes"):
        smoke_workers.a_worker(found)
