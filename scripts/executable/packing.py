"""Which files the executable unpacks before it starts, and which when what they belong to is first imported.

A one-file executable writes all its libraries into a temporary folder each time it starts, which took longer than all
else that a start does. So the spec hands over here what it has found: what a start loads stays with the bootloader, the
rest becomes modules of the archive that is never unpacked as a whole, each a dict of files. `unpacking`, a runtime
hook, writes such files when their owner is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeAlias

Entry: TypeAlias = tuple[str, str, str]
"""As PyInstaller has it: where the file goes, where it is, and what it is (EXTENSION, BINARY, DATA, SYMLINK …)."""

TABLE = "later"
"""The module that `unpacking` reads: WANTED, by the name of a module the modules of files that it wants, and AT_ONCE,
by a first word of the command line those that it wants right away."""

_AT_START = """
kirotrio orjson _bisect _blake2 _bz2 _contextvars _ctypes _datetime _hashlib _heapq _json _lzma _opcode
_posixsubprocess _queue _random _sha2 _sha512 _socket _sqlite3 _ssl _struct _typing _uuid array binascii fcntl
math select unicodedata zlib
"""
AT_START = frozenset(_AT_START.split())
"""What a start imports. A name too few costs a start the slower way; a name too many, a file."""

OWNERS: Mapping[str, tuple[str, ...]] = {
    # Libraries that a wheel brings beside its package.
    "pillow.libs": ("PIL",),
    "psycopg_binary.libs": ("psycopg_binary",),
    # What is read of an installed package, whichever.
    ".dist-info": ("importlib.metadata", "importlib_metadata"),
    # Of 2 MB, for the first count of tokens.
    "kirotrio/conversation/vocabulary": ("kirotrio.conversation.vocabulary",),
    "kirotrio/web/console": ("kirotrio.web.console",),
}
"""Where the owner is not called as its folder is."""


def owners(entry: Entry) -> tuple[str, ...]:
    """The modules any of which, imported, wants this file to be there; none: the start does."""
    place, _, kind = entry
    path = PurePosixPath(place.replace("\\", "/"))
    if kind not in ("EXTENSION", "BINARY", "DATA"):
        return ()
    if kind == "EXTENSION" and (len(path.parts) == 1 or path.parent.name == "lib-dynload"):
        name = path.name.partition(".")[0]
        return () if name in AT_START else (name,)
    if len(path.parts) == 1:
        return ()  # a library that several may be linked with
    first = path.parts[0]
    for known in (*map(str, path.parents), first, PurePosixPath(first).suffix):
        if known in OWNERS:
            return OWNERS[known]
    return () if first in AT_START or first.endswith(".libs") or "lib-dynload" in path.parts else (first,)


def divided(entries: Iterable[Entry]) -> tuple[list[Entry], dict[tuple[str, ...], list[Entry]]]:
    """What the start wants, and the rest by who does."""
    now: list[Entry] = []
    later: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        (later.setdefault(wanting, []) if (wanting := owners(entry)) else now).append(entry)
    return now, later


def write_modules(
    later: Mapping[tuple[str, ...], Iterable[Entry]], folder: Path, at_once: Mapping[str, frozenset[str]]
) -> list[Entry]:
    """Write a module for each group of files, and the table of them; returns them as entries of the archive.

    `at_once`: by a first word of the command line, the owners whose files it does not want; it gets all others
    before it begins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, list[str]] = {}
    modules: dict[str, tuple[str, ...]] = {}
    written: dict[str, str] = {}
    for wanting, entries in sorted(later.items()):
        name = f"{TABLE}_{wanting[0].replace('.', '_')}"
        files = {place.replace("\\", "/"): Path(source).read_bytes() for place, source, _ in sorted(entries)}
        written[name] = f"FILES = {files!r}\n"
        modules[name] = wanting
        for module in wanting:
            wanted.setdefault(module, []).append(name)
    begins = {
        word: [name for name, of in modules.items() if not unwanted & set(of)] for word, unwanted in at_once.items()
    }
    written[TABLE] = f"WANTED = {wanted!r}\nAT_ONCE = {begins!r}\n"
    for name, text in written.items():
        (folder / f"{name}.py").write_text(text)
    return [(name, str(folder / f"{name}.py"), "PYMODULE") for name in written]
