"""What a gateway loads before it is ready. A start waits for every module that is imported until then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STARTS = ("first", "second")
"""In one folder, which is new to the first."""

HEAVY = (
    # The database beyond a look at its file; an account's secrets.
    "sqlalchemy",
    "alembic",
    "psycopg",
    # The framework, its server for what is not HTTP/1.1, clients.
    "quart",
    "quart_trio",
    "werkzeug",
    "flask",
    "jinja2",
    "hypercorn",
    "httpx",
    "httpcore",
    # What single requests and other verbs need.
    "cattrs",
    "tiktoken",
    "jsonschema",
    "pypdf",
    "lxml",
    "docx",
    "openpyxl",
    "PIL",
    "structlog",
    "rich",
    "asyncio",
    "multiprocessing",
    "email",
    "difflib",
    "gzip",
    "importlib.resources",
    "kirotrio.dialects",
    "kirotrio.simulator",
    "kirotrio.relay.fetching",
    "kirotrio.relay.preparing",
    "kirotrio.accounts.importing",
    "kirotrio.accounts.sign_in",
    "kirotrio.web.app",
)

PROGRAM = """
import json, os, sys

class Watch:
    chains = {}
    def find_spec(self, name, path=None, target=None):
        frame, chain = sys._getframe(1), []
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if not module.startswith(("importlib", "_frozen")) and module not in chain[-1:]:
                chain.append(module)
            frame = frame.f_back
        self.chains.setdefault(name, chain[:6])
        return None

watch = Watch()
sys.meta_path.insert(0, watch)
from kirotrio.cli import serve

def ready(url):
    print(json.dumps({name: watch.chains.get(name, []) for name in sys.modules}), flush=True)
    os._exit(0)

serve.ready_line = ready
from kirotrio.__main__ import main
sys.argv = ["kirotrio", "serve", "--port", "0"]
sys.exit(main())
"""


def loaded_when_ready(folder: Path) -> dict[str, list[str]]:
    """The modules of a gateway that has just become ready, each with who imported it, nearest first."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KIROTRIO_DATA_DIR": str(folder / "data"),
        "KIROTRIO_STORE_KEY_SOURCE": "file",
        "KIROTRIO_ACCOUNTS_API_KEY": "ksk_0123456789abcdef0123456789abcdef",
        # No call of the background's may leave this machine.
        "KIROTRIO_UPSTREAM_URL": "http://127.0.0.1:9",
        "KIROTRIO_AUTH_URL": "http://127.0.0.1:9",
        "KIROTRIO_PORTAL_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    modules: dict[str, list[str]] = json.loads(done.stdout)
    return modules


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    folder = tmp_path_factory.mktemp("started")
    return {start: loaded_when_ready(folder) for start in STARTS}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", HEAVY)
def test_a_start_in_a_folder_that_is_new_or_in_order_loads_nothing_heavy(
    starts: dict[str, dict[str, list[str]]], start: str, name: str
) -> None:
    if name in starts[start]:
        pytest.fail(f"{name} is imported before the gateway is ready, by {' <- '.join(starts[start][name])}")


def test_the_watch_tells_who_imports_what(starts: dict[str, dict[str, list[str]]]) -> None:
    assert "trio" in starts["second"]
    assert "kirotrio.cli.serve" in starts["second"]["kirotrio.web.serving"]
