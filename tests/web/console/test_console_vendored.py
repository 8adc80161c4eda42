"""Others' scripts are those that the manifest names, and all of them come from `scripts/vendor`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import vendor


@pytest.mark.parametrize("folder", [vendor.PAGES, vendor.CHECKS], ids=["pages", "checks"])
def test_the_manifest_and_the_files_agree(folder: Path) -> None:
    listed = json.loads((folder / vendor.MANIFEST).read_text())
    hashes = {name: digest for package in listed for name, digest in package["sha256"].items()}
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != vendor.MANIFEST
    }
    assert found == hashes


@pytest.mark.parametrize("package", vendor.PACKAGES, ids=lambda package: package.name)
def test_what_is_pinned_is_what_is_there(package: vendor.Package) -> None:
    listed = json.loads((package.folder.parent / vendor.MANIFEST).read_text())
    (entry,) = [one for one in listed if one["name"] == package.name]
    told = {name: entry[name] for name in ("version", "licence", "source", "integrity")}
    assert told == {
        "version": package.version,
        "licence": package.licence,
        "source": package.source,
        "integrity": package.integrity,
    }
    assert f"{package.folder.name}/LICENSE.txt" in entry["sha256"]
