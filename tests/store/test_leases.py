"""Leases on both engines: one holder at a time, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import Place, emptied

from kirotrio.store import holders
from kirotrio.store.database import Database
from kirotrio.store.leases import holder_of, new_holder, release, release_dead, take

HOLDERS = ("a:1:x", "b:2:y", "c:3:z")
each_example = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def holder(database: Database, name: str = "refresh") -> str | None:
    return database.reading(lambda connection: holder_of(connection, name))


def taken(database: Database, by: str, seconds: float = 60.0, name: str = "refresh") -> bool:
    return database.writing(lambda connection: take(connection, name, by, seconds))


@given(steps=st.lists(st.tuples(st.sampled_from(["take", "brief", "release"]), st.sampled_from(HOLDERS))))
@each_example
def test_leases_behave_as_a_variable_with_one_owner(database: Database, steps: list[tuple[str, str]]) -> None:
    emptied(database)
    owner: str | None = None
    ended = False
    for step, who in steps:
        mine = owner == who
        match step:
            case "take":
                assert taken(database, who) == (owner is None or mine or ended)
                owner, ended = (who, False) if owner is None or mine or ended else (owner, ended)
            case "brief":
                # One that is over as soon as it is taken.
                if taken(database, who, -1.0):
                    owner, ended = who, True
                else:
                    assert owner is not None
                    assert not mine
                    assert not ended
            case "release":
                released = database.writing(lambda connection, who=who: release(connection, "refresh", who))
                assert released == mine
                owner, ended = (None, False) if mine else (owner, ended)
        assert holder(database) == (None if ended else owner)


def test_leases_of_different_names_do_not_meet(database: Database) -> None:
    assert taken(database, "a:1:x", name="one")
    assert taken(database, "b:2:y", name="two")
    assert (holder(database, "one"), holder(database, "two"), holder(database, "three")) == ("a:1:x", "b:2:y", None)


def test_one_of_many_threads_has_it(place: Place, database: Database) -> None:
    others = [place.open() for _ in range(4)]
    won: list[int] = []
    turn = threading.Barrier(12)

    def contend(number: int) -> None:
        for round_ in range(5):
            turn.wait()
            if taken(others[number % 4], f"host:{number}:n", name=f"round-{round_}"):
                won.append(round_)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert sorted(won) == [0, 1, 2, 3, 4]


_COUNTING = """
import sys, time
from pathlib import Path
from sqlalchemy import text
from kirotrio.store.leases import new_holder, release, take
from kirotrio.store.migrate import open_store

database = open_store(sys.argv[1], Path(sys.argv[2]), deadline=30)
me = new_holder()
def value(connection):
    return int(connection.scalar(text("SELECT value FROM meta WHERE name = 'count'")))
for _ in range(15):
    while not database.writing(lambda connection: take(connection, "count", me, 30)):
        time.sleep(0.001)
    # Two transactions: without the lease, another process would come between them.
    seen = database.reading(value)
    database.writing(lambda connection: connection.execute(
        text("UPDATE meta SET value = :value WHERE name = 'count'"), {"value": str(seen + 1)}))
    assert database.writing(lambda connection: release(connection, "count", me))
database.close()
"""


def test_processes_that_hold_a_lease_are_alone(place: Place, database: Database) -> None:
    from sqlalchemy import text

    database.writing(lambda connection: connection.execute(text("INSERT INTO meta VALUES ('count', '0')")))
    command = [sys.executable, "-c", _COUNTING, place.url, str(place.data_dir)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
    count = database.reading(lambda connection: connection.scalar(text("SELECT value FROM meta WHERE name = 'count'")))
    assert count == "45"


def test_holder_names_host_process_and_run() -> None:
    first, second = new_holder(), new_holder()
    assert first != second
    host, pid, _ = first.split(":")
    assert second.startswith(f"{host}:{os.getpid()}:")
    assert pid == str(os.getpid())
    assert len(first) <= 128


def test_leases_of_the_dead_are_given_back(database: Database) -> None:
    ours = new_holder()
    host = ours.split(":")[0]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    held = {
        "ours": ours,
        "earlier run with our id": f"{host}:{os.getpid()}:earlier",
        "process that ended": f"{host}:{ended.pid}:n",
        "process that runs": f"{host}:{os.getppid()}:n",
        "other host": f"elsewhere:{ended.pid}:n",
        "no such id": f"{host}:{10**30}:n",
        "no form of ours": "somebody",
    }
    for name, who in held.items():
        assert taken(database, who, name=name)
    released = database.writing(lambda connection: release_dead(connection, ours))
    assert released == ["earlier run with our id", "no such id", "process that ended"]
    for name, who in held.items():
        assert holder(database, name) == (None if name in released else who), name


def test_process_of_another_user_counts_as_alive(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int, signal: int) -> None:
        raise PermissionError

    ours = new_holder()
    taken(database, f"{ours.split(':')[0]}:1:n")
    monkeypatch.setattr(holders.os, "kill", refused)
    assert database.writing(lambda connection: release_dead(connection, ours)) == []


def test_a_lease_from_before_the_clock_was_set_back_is_free(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        pytest.skip("the server's clock is not ours to set")
    now = time.time()
    assert taken(database, "a:1:x", 60.0)
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    assert taken(database, "b:2:y", 60.0), "it would stand for a day"
    assert not taken(database, "a:1:x", 60.0)
