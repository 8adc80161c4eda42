"""What the executable unpacks at its start, and what on import: every file goes somewhere, and arrives whole."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executable import packing, unpacking
from executable.unpacking import Unpacking

DYNLOAD = "python3.11/lib-dynload"
TAIL = "cpython-311-x86_64-linux-gnu.so"


@pytest.mark.parametrize(
    ("place", "kind", "owners"),
    [
        (f"{DYNLOAD}/_ssl.{TAIL}", "EXTENSION", ()),
        (f"{DYNLOAD}/_decimal.{TAIL}", "EXTENSION", ("_decimal",)),
        ("_decimal.pyd", "EXTENSION", ("_decimal",)),
        (f"orjson/orjson.{TAIL}", "EXTENSION", ()),
        (f"lxml/etree.{TAIL}", "EXTENSION", ("lxml",)),
        (f"_cffi_backend.{TAIL}", "EXTENSION", ("_cffi_backend",)),
        ("docx/templates/default.docx", "DATA", ("docx",)),
        (r"docx\templates\default.docx", "DATA", ("docx",)),
        ("pillow.libs/libtiff.so.6", "BINARY", ("PIL",)),
        ("unheard.libs/libsomething.so.1", "BINARY", ()),
        ("libcrypto.so.3", "BINARY", ()),
        ("libtiff.so.6", "SYMLINK", ()),
        ("base_library.zip", "DATA", ()),
        ("click-8.1.0.dist-info/METADATA", "DATA", ("importlib.metadata", "importlib_metadata")),
        ("kirotrio/store/migrations/env.py", "DATA", ()),
        ("kirotrio/web/console/static/vendor/htmx/htmx.min.js", "DATA", ("kirotrio.web.console",)),
        ("kirotrio/conversation/vocabulary/cl100k.table", "DATA", ("kirotrio.conversation.vocabulary",)),
    ],
)
def test_a_file_waits_for_who_owns_it_unless_a_start_needs_it(place: str, kind: str, owners: tuple[str, ...]) -> None:
    assert packing.owners((place, "/somewhere", kind)) == owners


_parts = st.sampled_from(
    ["kirotrio", "lxml", "PIL", "pillow.libs", "a.dist-info", "lib-dynload", "_ssl.so", "x.pyd", "b"]
)
_entries = st.tuples(
    st.lists(_parts, min_size=1, max_size=3).map("/".join),
    st.just("/somewhere"),
    st.sampled_from(["EXTENSION", "BINARY", "DATA", "SYMLINK"]),
)


@given(st.lists(_entries))
def test_every_file_is_unpacked_once(entries: list[packing.Entry]) -> None:
    now, later = packing.divided(entries)
    assert sorted([*now, *(entry for group in later.values() for entry in group)]) == sorted(entries)


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports is forgotten after it."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def packed(tmp_path: Path, files: Mapping[str, bytes], at_once: Mapping[str, frozenset[str]]) -> SimpleNamespace:
    """The table of these files, whose modules can be imported, and the folder into which they are to be unpacked."""
    entries = []
    for place, content in files.items():
        source = tmp_path / "sources" / PurePosixPath(place)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        entries.append((place, str(source), "DATA"))
    written = packing.write_modules(packing.divided(entries)[1], tmp_path / "archive", at_once)
    assert {kind for _, _, kind in written} == {"PYMODULE"}
    folder = tmp_path / "unpacked"
    folder.mkdir()
    sys.path[:0] = [str(tmp_path / "archive"), str(folder)]
    importlib.invalidate_caches()
    return SimpleNamespace(table=importlib.import_module(packing.TABLE), folder=folder)


FILES = {
    "brought_late/__init__.py": b"from brought_late.inner import WORD\n",
    "brought_late/inner.py": b"WORD = 'here'\n",
    "other_late/deep/picture.bin": bytes(range(256)) * 300,
}


def test_files_are_there_once_their_owner_is_imported(tmp_path: Path, modules: None) -> None:
    late = packed(tmp_path, FILES, {})
    with pytest.raises(ModuleNotFoundError):  # now the folder has been looked through
        importlib.import_module("brought_late")
    unpacking.install(str(late.folder), late.table)
    assert importlib.import_module("brought_late").WORD == "here"
    assert not (late.folder / "other_late").exists()
    importlib.import_module("other_late")  # a package without a file of Python's own
    assert {
        path.relative_to(late.folder).as_posix(): path.read_bytes()
        for path in late.folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    } == FILES
    assert not [name for name in sys.modules if name.startswith("later_")], "megabytes stay in memory"


@pytest.mark.parametrize(
    ("words", "there"),
    [(["read", "x"], []), (["read"], ["brought_late"]), (["serve"], []), ([], [])],
)
def test_a_process_that_may_not_write_later_has_them_before_it_begins(
    tmp_path: Path, modules: None, monkeypatch: pytest.MonkeyPatch, words: list[str], there: list[str]
) -> None:
    late = packed(tmp_path, FILES, {"read": frozenset({"other_late"})})
    monkeypatch.setattr(sys, "argv", ["kirotrio", *words])
    unpacking.install(str(late.folder), late.table)
    assert sorted(path.name for path in late.folder.iterdir()) == there


def test_a_folder_that_was_just_looked_through_is_looked_through_again(tmp_path: Path, modules: None) -> None:
    sys.path.insert(0, str(tmp_path))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("flat_late")
    before = tmp_path.stat()
    late = Unpacking(str(tmp_path), {"flat_late": ["group"]}, lambda group: {"flat_late.py": b"WORD = 'here'"})
    late.find_spec("flat_late")
    # As where both happen within one tick of the file system's clock.
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert importlib.import_module("flat_late").WORD == "here"


def test_who_comes_at_the_same_time_finds_whole_files(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    seen: list[bool] = []
    together = threading.Barrier(8)

    def import_it() -> None:
        # Each a process of its own, as far as it knows.
        finder = Unpacking(str(tmp_path), {"owner": ["group"]}, lambda group: {"owner/file.so": content})
        together.wait()
        finder.find_spec("owner")
        seen.append((tmp_path / "owner/file.so").read_bytes() == content)

    threads = [threading.Thread(target=import_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8
    assert [path.name for path in (tmp_path / "owner").iterdir()] == ["file.so"]


def test_a_file_that_another_process_has_unpacked_stays(tmp_path: Path) -> None:
    place = tmp_path / "owner" / "file.so"
    place.parent.mkdir()
    place.write_bytes(b"in use")
    Unpacking(str(tmp_path), {"owner": ["group"]}, lambda group: {"owner/file.so": b"again"}).find_spec("owner")
    assert place.read_bytes() == b"in use"
