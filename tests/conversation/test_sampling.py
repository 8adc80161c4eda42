"""Tokens told from the kinds of characters, against the vocabulary itself."""

from __future__ import annotations

import json
import pathlib
import random

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation import sampling
from kirotrio.conversation.sampling import SAMPLE, sampled_count
from kirotrio.conversation.vocabulary.encoder import load_encoding

CLIENTS = pathlib.Path(__file__).parents[1] / "data" / "clients"
ROOMS = pathlib.Path(sampling.__file__).parents[1]

# fmt: off
LANGUAGES = {
    "English": ("The house has a garden, and in the garden stands an old tree that nobody has cut for years. ", 0.15),
    "German": ("Das Haus hat einen Garten, und darin steht ein alter Baum, den seit Jahren niemand schneidet. ", 0.25),
    "French": ("La maison possède un jardin où se trouve un vieil arbre que personne ne taille plus. ", 0.25),
    "Russian": ("У дома есть сад, а в саду стоит старое дерево, которое никто не подрезал уже много лет. ", 0.25),
    "Chinese": ("这座房子有一个花园,花园里有一棵多年没有人修剪的老树,孩子们常常在树下读书。", 0.25),
    "Japanese": ("この家には庭があり、そこには長い間だれも手入れをしていない古い木が立っています。", 0.25),
    "Korean": ("이 집에는 정원이 있고 그 정원에는 오랫동안 아무도 손질하지 않은 나무가 서 있습니다. ", 0.25),
}
# fmt: on


@pytest.fixture(scope="module")
def encoding() -> tiktoken.Encoding:
    return load_encoding()


def exactly(encoding: tiktoken.Encoding, texts: list[str]) -> int:
    return sum(len(encoding.encode_ordinary(text)) for text in texts)


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for inner in values for text in strings(inner)]


def test_bodies_of_clients_are_counted_to_a_few_percent(encoding: tiktoken.Encoding) -> None:
    for path in sorted(CLIENTS.glob("*.json")):
        texts = strings(json.loads(path.read_bytes()))
        exact = exactly(encoding, texts)
        if exact > 500:
            assert sampled_count(texts) == pytest.approx(exact, rel=0.12), path.name


def test_a_source_tree_is_counted_to_a_few_percent(encoding: tiktoken.Encoding) -> None:
    texts = [path.read_text("utf-8") for path in sorted(ROOMS.rglob("*.py"))]
    assert sum(map(len, texts)) > 10 * SAMPLE, "most of it is not looked at"
    assert sampled_count(texts) == pytest.approx(exactly(encoding, texts), rel=0.1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages(language: str, encoding: tiktoken.Encoding) -> None:
    sentence, tolerance = LANGUAGES[language]
    text = sentence * 20
    assert sampled_count([text]) == pytest.approx(exactly(encoding, [text]), rel=tolerance)


def test_what_is_looked_at_stands_for_the_rest(encoding: tiktoken.Encoding) -> None:
    chance = random.Random(7)
    kinds = [LANGUAGES["English"][0], LANGUAGES["Chinese"][0], json.dumps({"path": "src/a.py", "limit": [1, 2, 30]})]
    texts = [chance.choice(kinds) * chance.randrange(1, 60) for _ in range(300)]
    assert sampled_count(texts) == pytest.approx(exactly(encoding, texts), rel=0.15)


def test_no_more_is_looked_at_than_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    for length in (SAMPLE + 1, 10 * SAMPLE, 100 * SAMPLE + 17):
        for each in (1, 100, 5_000, length):
            texts = ["a" * each] * (length // each)
            pieces = list(sampling._pieces(texts, sum(map(len, texts))))
            assert sum(map(len, pieces)) <= SAMPLE


def test_nothing_is_nothing_and_anything_is_something() -> None:
    assert sampled_count([]) == sampled_count([""]) == sampled_count(["", ""]) == 0
    assert sampled_count([" "]) == sampled_count(["a"]) == 1


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=60), max_size=8))
def test_any_text_has_a_count_and_always_the_same(texts: list[str]) -> None:
    count = sampled_count(texts)
    assert count == sampled_count(texts)
    assert (count > 0) == any(texts)
    assert count <= 4 * sum(map(len, texts)) + len(texts)
