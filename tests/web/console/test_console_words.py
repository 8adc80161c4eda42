"""Two languages: every sentence that the console says has its Chinese, with the same named parts."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sentences import FOLDER, all_sentences, of_code, of_settings, of_templates

from kirotrio.web.console.languages import CHINESE, ENGLISH, Speech, catalogue, choose

FILES = sorted((FOLDER / "catalogues").rglob("*.json"))


def parts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_every_sentence_has_its_chinese() -> None:
    known = catalogue(CHINESE)
    missing = sorted(
        f"{place}: {said}" for place, said in (*of_templates(), *of_code(), *of_settings()) if said not in known
    )
    assert not missing, "sentences without a translation:\n" + "\n".join(missing)


def test_no_translation_is_left_of_a_sentence_that_nobody_says() -> None:
    unsaid = sorted(set(catalogue(CHINESE)) - all_sentences())
    assert not unsaid, "translations of what is never said:\n" + "\n".join(unsaid)


def test_a_translation_has_the_parts_of_its_sentence() -> None:
    for english, chinese in catalogue(CHINESE).items():
        assert parts(english) == parts(chinese), english
        assert chinese.strip()


def test_no_sentence_is_translated_in_two_ways() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for path in FILES:
        for sentence, chinese in json.loads(path.read_text()).items():
            first = seen.setdefault(sentence, (chinese, path.name))
            assert first[0] == chinese, f"{sentence!r} in {first[1]} and in {path.name}"


def test_a_sentence_that_has_no_translation_stays_english() -> None:
    assert Speech(CHINESE)("Nobody has translated {what}.", what="this") == "Nobody has translated this."
    assert Speech(CHINESE)("Save") == "保存"
    assert Speech(ENGLISH)("Save") == "Save"


@pytest.mark.parametrize(
    ("wishes", "accept", "language"),
    [
        ((), "", "en"),
        ((), "zh", "zh-CN"),
        ((), "zh-TW,en;q=0.4", "zh-CN"),
        ((), "de, en;q=0.5, zh;q=0.8", "zh-CN"),
        ((), "en, zh;q=0.9", "en"),
        ((), "zh;q=x", "en"),
        (("zh-CN",), "en", "zh-CN"),
        (("", "zh-CN"), "en", "zh-CN"),
        (("klingon",), "zh", "zh-CN"),
    ],
)
def test_the_persons_choice_comes_before_the_browsers(wishes: tuple[str, ...], accept: str, language: str) -> None:
    assert choose(*wishes, accept=accept) == language


@given(st.text())
def test_whatever_a_browser_says_it_accepts_a_language_is_chosen(accept: str) -> None:
    assert choose(accept=accept) in (ENGLISH, CHINESE)
