"""Writes others' scripts and style sheets into the repository: pinned, held against their hash, with their licence.

To take a newer version, change its line in `PACKAGES`; `npm view NAME@VERSION dist.integrity` prints the hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "kirotrio/web/console/static/vendor"
"""What browsers get."""
CHECKS = ROOT / "tests/browser/vendor"
"""What tests alone need."""
MANIFEST = "vendored.json"


@attrs.frozen
class Package:
    """`integrity` is the registry's own hash of the whole package, `takes` the files of it that are kept."""

    name: str
    version: str
    licence: str
    integrity: str
    folder: Path
    takes: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"https://registry.npmjs.org/{self.name}/-/{self.name}-{self.version}.tgz"


PACKAGES = (
    Package(
        "htmx.org",
        "2.0.11",
        "0BSD",
        "sha512-Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA==",
        PAGES / "htmx",
        ("dist/htmx.min.js",),
    ),
    Package(
        "htmx-ext-sse",
        "2.2.4",
        "0BSD",
        "sha512-LJmxVhykyflBWgh5PvbRidcyuqMHlgfajmmzumvKctv9puvsufeH6OaejSMZTNTnEI8O2wXXn4ZZtBdpEMqmEQ==",
        PAGES / "htmx_sse",
        ("dist/sse.min.js",),
    ),
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        PAGES / "uplot",
        ("dist/uPlot.iife.min.js", "dist/uPlot.min.css"),
    ),
    Package(
        "axe-core",
        "4.14.1",
        "MPL-2.0",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        CHECKS / "axe",
        ("axe.min.js",),
    ),
)


def fetch(package: Package, scratch: Path) -> dict[str, bytes]:
    """The files to keep, by name. Raises SystemExit where the package is not the one that was pinned."""
    wanted = f"{package.name}@{package.version}"
    packing = ["npm", "pack", "--silent", wanted]
    name = subprocess.run(packing, cwd=scratch, check=True, capture_output=True, text=True).stdout.split()[-1]
    archive = (scratch / name).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != package.integrity:
        sys.exit(f"{wanted}: the registry's package has the hash {found}, not {package.integrity}; nothing is written")
    kept: dict[str, bytes] = {}
    with tarfile.open(scratch / name) as opened:
        for inside in (*package.takes, "LICENSE"):
            file = opened.extractfile(f"package/{inside}")
            if file is None:
                sys.exit(f"{wanted}: it has no file {inside}")
            kept["LICENSE.txt" if inside == "LICENSE" else inside.rpartition("/")[2]] = file.read()
    return kept


def entry(package: Package, files: Mapping[str, bytes]) -> dict[str, object]:
    """What the manifest says of it."""
    return {
        "name": package.name,
        "version": package.version,
        "licence": package.licence,
        "source": package.source,
        "integrity": package.integrity,
        "sha256": {f"{package.folder.name}/{name}": hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }


def main() -> None:
    entries: dict[Path, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for package in PACKAGES:
            files = fetch(package, Path(scratch))
            package.folder.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (package.folder / name).write_bytes(data)
            entries.setdefault(package.folder.parent, []).append(entry(package, files))
    for folder, listed in entries.items():
        (folder / MANIFEST).write_text(json.dumps(listed, indent=2) + "\n")


if __name__ == "__main__":
    main()
