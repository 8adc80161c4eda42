"""Counting with the table, against the usual encoder; where pieces end, against Unicode."""

from __future__ import annotations

import json
import random
import re
import sys
import unicodedata
from pathlib import Path

import pytest
import tiktoken
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.conversation import vocabulary
from kirotrio.conversation.vocabulary import counting
from kirotrio.conversation.vocabulary.counting import SLICE, Vocabulary
from kirotrio.conversation.vocabulary.encoder import load_encoding
from kirotrio.conversation.vocabulary.pieces import pieces_of
from kirotrio.errors import KirotrioError

ROOMS = Path(vocabulary.__file__).parents[2]
CLIENTS = Path(__file__).parents[1] / "data" / "clients"

# fmt: off
LANGUAGES = {
    "English": "The house has a garden, and in the garden stands an old tree that nobody's cut for 12 years. ",
    "German": "Das Haus hat einen Garten, und darin steht ein alter Baum, den seit Jahren niemand schneidet. ",
    "French": "La maison possède un jardin où se trouve un vieil arbre que personne ne taille plus. ",
    "Russian": "У дома есть сад, а в саду стоит старое дерево, которое никто не подрезал уже много лет. ",
    "Chinese": "这座房子有一个花园,花园里有一棵多年没有人修剪的老树,孩子们常常在树下读书。",
    "Japanese": "この家には庭があり、そこには長い間だれも手入れをしていない古い木が立っています。",
    "Korean": "이 집에는 정원이 있고 그 정원에는 오랫동안 아무도 손질하지 않은 나무가 서 있습니다. ",
    "Arabic": "للمنزل حديقة، وفي الحديقة شجرة قديمة لم يقلمها أحد منذ ١٢ سنة. ",
    "Hindi": "घर में एक बगीचा है, और बगीचे में एक पुराना पेड़ खड़ा है जिसे वर्षों से किसी ने नहीं काटा। ",
    "emoji": "ok 👍🏽 👨‍👩‍👧 🇩🇪 ✅ → ½ Ⅷ ² ",
}
# fmt: on


@pytest.fixture(scope="module")
def encoding() -> tiktoken.Encoding:
    return load_encoding()


@pytest.fixture(scope="module")
def table() -> Vocabulary:
    return Vocabulary()


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_are_counted_exactly(language: str, encoding: tiktoken.Encoding, table: Vocabulary) -> None:
    text = LANGUAGES[language] * 200
    assert len(text) > SLICE
    assert table.count(text) == len(encoding.encode_ordinary(text))


def test_sources_and_bodies_of_clients_are_counted_exactly(encoding: tiktoken.Encoding, table: Vocabulary) -> None:
    paths = [*sorted(ROOMS.rglob("*.py"))[::5], *sorted(CLIENTS.glob("*.json"))]
    assert len(paths) > 50
    for path in paths:
        text = path.read_text("utf-8")
        assert table.count(text) == len(encoding.encode_ordinary(text)), path.name


def test_every_character_is_counted_exactly(encoding: tiktoken.Encoding, table: Vocabulary) -> None:
    # Of the characters that the interpreter's Unicode knows; another encoder may know more letters.
    known = [chr(at) for at in range(sys.maxunicode + 1) if unicodedata.category(chr(at)) not in ("Cn", "Cs", "Co")]
    chance = random.Random(3)
    texts = ["".join(known[at : at + 1_000]) for at in range(0, len(known), 1_000)]
    texts += ["".join(chance.choices(known, k=500)) for _ in range(200)]
    for text in texts:
        assert table.count(text) == len(encoding.encode_ordinary(text)), text[:1]


_SOME = st.text(st.sampled_from("aAsdtlrevELM'’_0127٣½Ⅷ²一é\u0301ſK \t\n\r\x0b\x1c\x85\u00a0\u2028\u3000!.,(){}<|>😀"))


@given(_SOME | st.text(st.characters(max_codepoint=0x24F, exclude_categories=["Cs"])))
@example("  \n \n  x \r\n\r\n\t y'LL 'ſ don'T 1234567")
@example("a <|endoftext|> b")
def test_any_text_is_counted_exactly(encoding: tiktoken.Encoding, table: Vocabulary, text: str) -> None:
    assert table.count(text) == len(encoding.encode_ordinary(text))
    assert table.count(text) <= len(text.encode())


@given(st.text(st.sampled_from(["\ud83d", "\ude00", "\udc80", "a", " ", "字", "\ud801", "\udc00"])))
def test_halves_of_surrogate_pairs_are_counted(encoding: tiktoken.Encoding, table: Vocabulary, text: str) -> None:
    assert table.count(text) == len(encoding.encode_ordinary(text))
    assert table.count(text) <= len(text.encode("utf-8", "surrogatepass"))


@given(_SOME)
def test_pieces_leave_nothing_out(text: str) -> None:
    assert "".join(pieces_of(text)) == text


@given(st.data())
def test_where_slices_end_changes_nothing(encoding: tiktoken.Encoding, data: st.DataObject) -> None:
    text = data.draw(_SOME)
    longest = max(map(len, [*pieces_of(text), *re.findall(r"\s+", text)]), default=0)
    with pytest.MonkeyPatch.context() as patch:
        # Longer than any piece or row of blanks, which else would be counted in parts.
        patch.setattr(counting, "SLICE", longest + data.draw(st.integers(1, 9)))
        assert Vocabulary.count(_TABLE, text) == len(encoding.encode_ordinary(text))


_TABLE = Vocabulary()


@given(
    st.binary(max_size=300).map(lambda data: "".join(chr(0x4E00 + byte) for byte in data)) | st.text("ab", max_size=400)
)
def test_long_and_short_pieces_are_put_together_alike(encoding: tiktoken.Encoding, piece: str) -> None:
    count = len(encoding.encode_ordinary(piece))
    encoded = piece.encode()
    with pytest.MonkeyPatch.context() as patch:
        for short in (0, len(encoded)):
            patch.setattr(counting, "_SHORT", short)
            if _TABLE._counts._ranks[encoded] == counting.NONE:
                assert _TABLE._counts._merged(encoded) == count


@pytest.mark.parametrize("sign", ["a", " ", "\n", "字", "😀", "="])
def test_a_row_of_one_sign_is_counted_to_a_few_in_a_thousand(
    sign: str, encoding: tiktoken.Encoding, table: Vocabulary
) -> None:
    row = sign * 50_000
    assert table.count(row) == pytest.approx(len(encoding.encode_ordinary(row)), rel=0.03)


@pytest.mark.parametrize("length", [1, 2, 3, 4, SLICE - 1, SLICE, SLICE + 1, 20_000])
def test_rows_of_digits_are_counted_exactly(length: int, encoding: tiktoken.Encoding, table: Vocabulary) -> None:
    for row in ("0" * length, ("1234567890" * length)[:length]):
        for text in (row, f"x{row}y", f"{row}½", f"½{row}", f"{row}٣{row}"):
            # Where a row that is cut at a slice's end goes on with another numeral, one token more may come of it.
            assert table.count(text) - len(encoding.encode_ordinary(text)) in ((0,) if length < SLICE else (0, 1)), text


def test_any_three_digits_or_fewer_are_one_token(encoding: tiktoken.Encoding) -> None:
    for size in (1, 2, 3):
        for number in range(10**size):
            assert len(encoding.encode_ordinary(f"{number:0{size}}")) == 1


def test_what_is_remembered_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_REMEMBERED", 8)
    table = Vocabulary()
    text = json.dumps({f"name{n}": [n, "字" * (n % 9)] for n in range(300)}, ensure_ascii=False)
    assert table.count(text) == table.count(text) == _TABLE.count(text)
    assert len(table._counts) <= 8
    assert len(table._counts._ranks) <= 8


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = (Path(vocabulary.__file__).parent / vocabulary.FILE).read_bytes()
    other = tmp_path / "other"
    other.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    monkeypatch.setattr(vocabulary, "FILE", str(other))
    with pytest.raises(KirotrioError, match="SHA-256"):
        Vocabulary()
