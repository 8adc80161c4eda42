"""English and Simplified Chinese. Sentences stand in English where they are used; a catalogue has each in Chinese.

Pure, but for reading the catalogues once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from kirotrio.classes import frozen

ENGLISH: Final = "en"
CHINESE: Final = "zh-CN"
LANGUAGES: Final[Mapping[str, str]] = {ENGLISH: "English", CHINESE: "简体中文"}
"""By their code, as it stands in `lang`, each under its own name."""

_FOLDER = Path(__file__).parent / "catalogues"


def N_(sentence: str) -> str:  # noqa: N802 - what a sentence that is translated later is marked with everywhere
    """Marks a sentence that is translated where it is shown."""
    return sentence


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """The sentences of a language by the English ones; of English none. Each page may have a file of its own."""
    found: dict[str, str] = {}
    for path in sorted((_FOLDER / language.replace("-", "_")).glob("*.json")):
        found.update(orjson.loads(path.read_bytes()))
    return found


@frozen
class Speech:
    """`_` of the templates: says an English sentence in one language, with its named parts filled in.

    A sentence that the catalogue does not have stays English.
    """

    language: str

    def __call__(self, sentence: str, **parts: Any) -> str:
        said = catalogue(self.language).get(sentence, sentence) if self.language != ENGLISH else sentence
        return said.format_map(parts) if parts else said


def choose(*wishes: str, accept: str = "") -> str:
    """The first of the wishes that is a language here; else the one that Accept-Language prefers, else English."""
    for wish in wishes:
        if wish in LANGUAGES:
            return wish
    best: tuple[float, str] = (0.0, ENGLISH)
    for part in accept.split(",")[:20]:
        tag, _, rest = part.partition(";")
        weight = _weight(rest)
        language = _of_tag(tag.strip().lower())
        if language and weight > best[0]:
            best = (weight, language)
    return best[1]


def _of_tag(tag: str) -> str:
    if tag == "zh" or tag.startswith("zh-"):
        return CHINESE
    return ENGLISH if tag == "en" or tag.startswith("en-") else ""


def _weight(rest: str) -> float:
    name, _, value = rest.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
