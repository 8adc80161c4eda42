"""What all rooms' tests share."""

from __future__ import annotations

import pytest

from kirotrio.conversation.tokens import TokenEstimator


@pytest.fixture(scope="session")
def estimator() -> TokenEstimator:
    # Loaded before any mock clock runs: such a clock would take waiting for the thread for idleness.
    estimator = TokenEstimator()
    estimator.ensure_loaded()
    assert estimator.ready, estimator.problem
    return estimator
