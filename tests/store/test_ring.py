"""A folder of which only the newest files stay."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.store import files
from kirotrio.store.ring import Ring, entries, named

SIZES = st.lists(st.integers(0, 50), max_size=30)


@settings(max_examples=50, deadline=None)
@given(SIZES, st.integers(0, 6), st.integers(0, 120))
def test_never_more_files_or_bytes_than_may_be_and_always_the_newest(sizes: list[int], most: int, room: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ring = Ring(Path(folder) / "ring", most, room)
        taken: list[tuple[str, int]] = []
        for number, size in enumerate(sizes):
            kept = ring.put(f"req_{number}", 1000.0 + number, b"x" * size)
            assert kept == (most > 0 and size <= room)
            taken += [(f"req_{number}", size)] * kept
            there = entries(ring.folder)
            assert len(there) <= most
            assert sum(entry.size for entry in there) <= room
            newest = [(entry.id, entry.size) for entry in there]
            assert newest == taken[::-1][: len(newest)]
            # No more was let go than had to be.
            if (left := taken[::-1][len(newest) : len(newest) + 1]) and len(newest) < most and kept:
                assert sum(size for _, size in newest) + left[0][1] > room


def test_a_process_that_dies_in_the_middle_of_a_write_leaves_a_ring_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring(tmp_path / "ring", 3, 1000)
    ring.put("req_1", 1.0, b"{}")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        monkeypatch.setattr(files.os, "fsync", lambda _: os._exit(9))  # killed with the bytes half on their way
        ring.put("req_2", 2.0, b"{}")
        os._exit(0)
    os.close(writer)
    os.close(reader)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [entry.id for entry in entries(ring.folder)] == ["req_1"]
    assert ring.put("req_3", 3.0, b"{}"), "the lock of the dead is open"
    assert [entry.id for entry in entries(ring.folder)] == ["req_3", "req_1"]


def _fill(folder: Path, name: str, count: int, begun: Path) -> None:
    """In a child: as many entries as fast as it can, of sizes that change."""
    ring = Ring(folder, 7, 5000)
    begun.touch()
    for number in range(count):
        size = 10 + (number * 37) % 900
        ring.put(f"req_{name}_{number}", 1000.0 + number, b"{" + name.encode() * size + b"}")
        there = entries(folder)  # between their writes, too
        if len(there) > 7 or sum(entry.size for entry in there) > 5000:
            os._exit(3)


def test_two_workers_that_write_at_one_time_keep_the_bounds_and_tear_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    children = []
    for name in "ab":
        child = os.fork()
        if not child:
            try:
                _fill(folder, name, 150, tmp_path / name)
            except BaseException:
                os._exit(4)
            os._exit(0)
        children.append(child)
    seen = 0
    while children:
        for entry in entries(folder):
            try:
                content = entry.path.read_bytes()
            except FileNotFoundError:  # it made room
                continue
            assert (content[:1], content[-1:]) == (b"{", b"}"), "a reader sees whole files"
            assert len(set(content[1:-1])) == 1, "and of one writer each"
            seen += 1
        pid, status = os.waitpid(children[0], os.WNOHANG)
        if pid:
            assert os.waitstatus_to_exitcode(status) == 0, "a writer failed (4) or saw the bounds broken (3)"
            children.remove(pid)
    assert seen
    there = entries(folder)
    assert 0 < len(there) <= 7
    assert sum(entry.size for entry in there) <= 5000
    assert {path.name for path in folder.iterdir()} == {entry.path.name for entry in there}, "no draft is left"
    assert (tmp_path / "a").exists()
    assert (tmp_path / "b").exists()


def test_a_draft_of_the_dead_is_swept_once_it_is_old(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", 3, 1000)
    ring.put("req_1", 1.0, b"{}")
    old, young = ring.folder / ".a.json.1.new", ring.folder / ".b.json.2.new"
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    ring.put("req_2", 2.0, b"{}")
    assert (old.exists(), young.exists()) == (False, True)


def test_an_id_may_be_given_by_its_beginning(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", 9, 1000)
    for number, name in enumerate(("req_ab", "req_abc", "req_b")):
        ring.put(name, float(number), b"{}")
    assert [entry.id for entry in named(ring.folder, "req_ab")] == ["req_ab"]
    assert [entry.id for entry in named(ring.folder, "req_a")] == ["req_abc", "req_ab"]
    assert named(ring.folder, "req_x") == []
    assert entries(tmp_path / "nowhere") == []
