from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from support.stack import Stack, running


@pytest.fixture
def stack(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Stack]]:
    """`async with stack(server={...}) as s`: simulator and gateway over real sockets."""
    return partial(running, tmp_path)
