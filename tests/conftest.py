"""What all rooms' tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support.certificates import shared_by_all_clients
from support.engines import database, place, postgresql, sealer, shared  # noqa: F401 - fixtures, for whoever asks
from support.forks import nest  # noqa: F401 - a fixture
from support.scratch import keep_in_memory
from support.sse import every_stream_validated

from kirotrio.access import passwords
from kirotrio.conversation.tokens import TokenEstimator

# A shared machine is slow at times, which says nothing of the code. Where a red run keeps others waiting, the
# examples are the same every time; everywhere else they are new ones.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("people", **_CALM)
settings.register_profile("ci", **_CALM, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "people")

keep_in_memory()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts its jobs in the background has them ignore Ctrl-C, and programs that tests start inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def estimator() -> TokenEstimator:
    # Loaded before any mock clock runs: such a clock would take waiting for the thread for idleness.
    estimator = TokenEstimator()
    estimator.ensure_loaded()
    estimator.ensure_ready()
    assert not estimator.problem
    return estimator


@pytest.fixture(scope="session", autouse=True)
def certificates() -> Iterator[None]:
    with shared_by_all_clients():
        yield


@pytest.fixture(scope="session", autouse=True)
def usual_cost() -> Iterator[passwords.Cost]:
    """What a password's hash costs where no test runs. Here it costs next to nothing: there are hundreds."""
    usual = passwords.USUAL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "USUAL", passwords.Cost(memory=8, time=1))
        yield usual


@pytest.fixture(autouse=True)
def valid_streams() -> Iterator[None]:
    with every_stream_validated():
        yield
