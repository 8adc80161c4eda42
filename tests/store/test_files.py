"""Files are replaced as a whole or not at all, and stay private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.store.files import obstacle_to_replacing, private_folder, write_atomic

posix = pytest.mark.skipif(os.name == "nt", reason="modes and owners are POSIX's")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@given(before=st.none() | st.binary(max_size=200), after=st.binary(max_size=200))
def test_the_new_content_stands_there_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, before: bytes | None, after: bytes
) -> None:
    path = tmp_path_factory.mktemp("files") / "token.json"
    if before is not None:
        path.write_bytes(before)
    write_atomic(path, after)
    assert path.read_bytes() == after
    assert [entry.name for entry in path.parent.iterdir()] == ["token.json"], "a draft was left behind"


@posix
def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_atomic(tmp_path / "secret", b"x")
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "secret") == 0o600


@posix
def test_the_mode_is_kept_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomic(path, b"new", keep_mode=True)
    assert mode_of(path) == 0o640
    write_atomic(path, b"newer")
    assert mode_of(path) == 0o600


@posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_stays_theirs(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(b"old")
    os.chown(path, 12345, 12346)
    write_atomic(path, b"new", keep_mode=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346), "its owner could not read it any more"


@posix
def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "token.json"
    target.write_bytes(b"old")
    link = tmp_path / "token.json"
    link.symlink_to(target)
    write_atomic(link, b"new", keep_mode=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["token.json"]


def test_the_content_is_on_the_disk_before_the_name_points_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomic(tmp_path / "token.json", b"new")
    assert steps[:2] == ["fsync file", "rename"]
    assert os.name == "nt" or steps[2:] == ["fsync folder"]


@posix
def test_folders_that_are_made_are_private_and_those_there_stay_as_they_are(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    made = private_folder(tmp_path / "a" / "b")
    assert (mode_of(tmp_path / "a"), mode_of(made), mode_of(tmp_path)) == (0o700, 0o700, 0o755)
    assert private_folder(made) == made


def test_an_obstacle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(b"x")
    assert obstacle_to_replacing(path) is None
    real = path.resolve()
    for forbidden in (real, real.parent):
        monkeypatch.setattr(os, "access", lambda asked, _mode, no=forbidden: asked != no)
        assert str(forbidden) in str(obstacle_to_replacing(path))
