from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from support.chromium import CHROMIUM
from support.stack import Stack, running


@pytest.fixture
def stack(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Stack]]:
    """`async with stack(server={...}) as s`: simulator and gateway over real sockets."""
    return partial(running, tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="there is no chromium here (apt-get install chromium)"))
