"""The cl100k vocabulary, shipped with the package: nothing is downloaded (TRIO_STACK, tiktoken without the network)."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import TYPE_CHECKING

from kirotrio.errors import KirotrioError

if TYPE_CHECKING:
    from tiktoken import Encoding

FILE = "cl100k_base.tiktoken.gz"
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
"""Of the unpacked file; the figure that tiktoken_ext.openai_public checks its download against."""

_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
_SPECIAL = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}


def load_encoding() -> Encoding:
    """Unpack, check and build the encoding: about 200 ms of CPU and 48 MB, so do it once, in a thread.

    Raises KirotrioError where the file is missing or not what it should be.
    """
    # Imported here: a start without any counting does not owe its time and memory.
    import gzip
    import importlib.resources

    from tiktoken import Encoding

    reinstall = "install kirotrio again; until then tokens are estimated from the number of characters"
    try:
        data = gzip.decompress(importlib.resources.files(__name__).joinpath(FILE).read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise KirotrioError(f"the vocabulary {FILE} cannot be read ({error}); {reinstall}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise KirotrioError(f"the vocabulary {FILE} is damaged: its SHA-256 is not the expected one; {reinstall}")
    lines = (line.split() for line in data.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    return Encoding("cl100k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL)
