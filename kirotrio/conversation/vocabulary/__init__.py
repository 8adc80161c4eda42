"""The cl100k vocabulary, shipped with the package as a table that needs not be built: nothing is downloaded, and a
gateway that counts the tokens of an answer does not pay for the usual encoder's hash map, 200 ms and 50 MB.

The file, made by `scripts/vocabulary`; numbers have four bytes, little-endian:

    SLOTS numbers   hash table: a token's place is the end of its CRC-32, or the next that is free. The beginning of the
                    CRC, then 1 + the rank in `RANK_BITS` bits; 0 is free
    TOKENS + 1      where each token begins in what follows, by rank, and where the last one ends
    bytes           the tokens
"""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

from kirotrio.errors import KirotrioError

FILE = "cl100k.table"
SHA256 = "9ea786ddac718c37e103aafc1364e50167ddf3eb7a19d390aa936cfe4ae48f5a"
"""Of the file."""
TOKENS = 100_256

RANK_BITS = 18
SLOTS = 1 << RANK_BITS

_REINSTALL = "install kirotrio again; until then tokens are estimated from the number of characters"


def read_table() -> tuple[array[int], bytes]:
    """The numbers of the file and its tokens: some milliseconds, 2 MB. Raises KirotrioError where it is missing or
    damaged."""
    import hashlib

    try:
        table = (Path(__file__).parent / FILE).read_bytes()
    except OSError as error:
        raise KirotrioError(f"the vocabulary {FILE} cannot be read ({error}); {_REINSTALL}") from error
    if hashlib.sha256(table).hexdigest() != SHA256:
        raise KirotrioError(f"the vocabulary {FILE} is damaged: its SHA-256 is not the expected one; {_REINSTALL}")
    after = 4 * (SLOTS + TOKENS + 1)
    numbers = array("I")
    numbers.frombytes(memoryview(table)[:after])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers, table[after:]
