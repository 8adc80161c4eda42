"""Packs cl100k_base.tiktoken (a line a token: base64 and rank, in order) as `conversation.vocabulary` reads it."""

from __future__ import annotations

import base64
import hashlib
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from kirotrio.conversation import vocabulary
from kirotrio.conversation.vocabulary import RANK_BITS, SLOTS

SOURCE = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
"""SHA-256 of cl100k_base.tiktoken; the figure that tiktoken_ext.openai_public checks its download against."""


def pack(tokens: Sequence[bytes]) -> bytes:
    """The file for these tokens, which come in the order of their ranks."""
    slots = array("I", bytes(4 * SLOTS))
    starts = array("I", [0])
    for rank, token in enumerate(tokens):
        checksum = crc32(token)
        at = checksum % SLOTS
        while slots[at]:
            at = (at + 1) % SLOTS
        slots[at] = checksum >> RANK_BITS << RANK_BITS | rank + 1
        starts.append(starts[-1] + len(token))
    numbers = slots + starts
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes() + b"".join(tokens)


def main() -> int:
    if len(sys.argv) != 2:
        print("scripts/vocabulary: needs the path of cl100k_base.tiktoken, and nothing else", file=sys.stderr)
        return 2
    source = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(source).hexdigest() != SOURCE:
        print(f"scripts/vocabulary: {sys.argv[1]} is another file: its SHA-256 is not {SOURCE}", file=sys.stderr)
        return 2
    table = pack([base64.b64decode(line.split()[0]) for line in source.splitlines()])
    path = Path(vocabulary.__file__).parent / vocabulary.FILE
    path.write_bytes(table)
    print(f"{path}: {len(table)} bytes, SHA-256 {hashlib.sha256(table).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
