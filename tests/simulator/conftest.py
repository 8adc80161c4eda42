from __future__ import annotations

import pytest
import trio
from simulated import Client, connected

from kirotrio.simulator import Simulator


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def client(simulator: Simulator, nursery: trio.Nursery) -> Client:
    """A client of `simulator` over a memory stream: works on a mock clock."""
    return connected(simulator, nursery)
