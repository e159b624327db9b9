"""Folding, units and sentences: exact offsets over any text, and marks that must not be cut."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st

from askai.text import fold, sentences, units, words

PIECES = (
    "他说：“好的。”", "「你來了？」", "《红楼梦》。", "真的吗？！", "……", "……”", "。", "！", "？", "；", "，", "\n", "\n\n", " ",
    "\u3000", "今天气温是3.5度", "售价￥1,299", "固件v5.2", "https://example.com/a.b?id=3&x=1.5", "12:30开始", "GPT-5.2",
    "U.S. officials", "It ended. ", "# 标题", "1. 列表项", "- 项目", "答：三元", "问：多少钱？", "（见注。）", "\"quoted.\" ",
    "**粗体。**", "👩‍👩‍👧‍👦", "é", "㎡", "\u2028", "\x1b[0m", "\u202e", "一二三四五六七八九十" * 9,
)
MIXED = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=40).map("".join)
WHOLE = (
    "3.5", "￥1,299", "1,299.00", "v5.2", "12:30", "12:30:05", "GPT-5.2", "PPR-9087", "example.com",
    "https://example.com/a.b?id=3&x=1.5", "http://a.cn/?q=1!2", "a.b@example.com", "C++", "192.168.1.10",
)
HAN = st.text("的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生", min_size=1, max_size=30)


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@given(MIXED)
@example("")
@example("\n\n\n")
@example("。" * 10)
@example("\n \n。")
def test_sentences_join_back_to_the_text(text: str) -> None:
    spans = sentences(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


@given(st.text(max_size=2000))
def test_sentences_of_any_text_join_back(text: str) -> None:
    assert "".join(parts(text)) == text


@given(MIXED)
def test_closing_marks_stay_with_their_sentence(text: str) -> None:
    for start, _ in sentences(text)[1:]:
        assert not (text[start] in "」』”’）》" and text[start - 1] in "。！？…；，")


@pytest.mark.parametrize("close", list("」』”’）》"))
@pytest.mark.parametrize("end", ["。", "！", "？", "……", "？！"])
def test_each_closing_mark(end: str, close: str) -> None:
    assert parts(f"甲说乙来了{end}{close}丙走了。") == [f"甲说乙来了{end}{close}", "丙走了。"]


@given(HAN, st.sampled_from(WHOLE), st.one_of(HAN, st.just("")), st.integers(0, 12))
def test_codes_numbers_links_and_times_are_not_cut(before: str, token: str, after: str, times: int) -> None:
    # Long runs without a full stop are cut somewhere, but not inside the token either.
    text = before * (1 + times) + token + after * (1 + times) + "。"
    inside = range(len(before * (1 + times)) + 1, len(before * (1 + times)) + len(token))
    assert not [start for start, _ in sentences(text) if start in inside]


@pytest.mark.parametrize("token", WHOLE)
@pytest.mark.parametrize("lead", range(130, 290, 7))
def test_long_sentences_are_cut_beside_tokens(token: str, lead: int) -> None:
    text = "长" * lead + token + "句" * 300
    cuts = [start for start, _ in sentences(text)][1:]
    assert cuts
    assert not [cut for cut in cuts if lead < cut < lead + len(token)]


@pytest.mark.parametrize("lead", ["甲。", "甲！", "Ended. ", "甲" * 300, "a" * 300, "甲" * 200 + "；", "甲" * 200 + "，", "。" + "甲 " * 200])
@pytest.mark.parametrize("mark", ["\ufe00", "\u0301", "\u20e3", "\u3099", "\u0903"])
def test_no_character_is_torn_from_its_marks(lead: str, mark: str) -> None:
    for times in (1, 3):
        text = "".join(char + mark * times for char in lead) + "乙丙丁。"
        starts = [start for start, _ in sentences(text)]
        assert "".join(parts(text)) == text
        assert not [start for start in starts if text[start] == mark]


def test_marks_without_end_are_cut_somewhere() -> None:
    assert max(map(len, parts("甲" + "\u0301" * 5000))) < 600


def test_halves_of_a_character_stay_together() -> None:
    text = "a" + "\ud83d\ude00" * 500
    assert not [start for start, _ in sentences(text) if text[start] == "\ude00"]


def test_sentences_of_plain_prose() -> None:
    text = "他花了3.5元。价格是￥1,299，见v5.2！真的？\n新的一行没有句号\n“引文。”他说。"
    assert parts(text) == [
        "他花了3.5元。", "价格是￥1,299，见v5.2！", "真的？\n", "新的一行没有句号\n", "“引文。”", "他说。",
    ]


def test_western_sentences() -> None:
    assert parts("It ended. He met U.S. officials. J. Smith left.\n3. item") == [
        "It ended. ", "He met U.S. officials. ", "J. Smith left.\n", "3. item",
    ]


def test_only_long_sentences_are_cut_inside() -> None:
    clause = "这一句里有二十多个字而且没有别的标点只有分号；"
    assert parts(clause * 5) == [clause * 5]
    assert parts(clause * 9) == [clause] * 9
    assert max(map(len, parts("没有任何标点的长行" * 500))) <= 280


@given(st.text())
@example("İstanbul ㎡ ½ ﷺ ﬁ ŉ ẞ")
def test_fold_keeps_every_offset(text: str) -> None:
    assert len(fold(text)) == len(text)


def test_fold_of_every_character() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x11000)):
        char = chr(code)
        folded = fold(char)
        assert len(folded) == 1, hex(code)
        # 苧 is the simplified form of 薴 and, in another word, the traditional form of 苎.
        assert fold(folded) == folded or char == "薴", f"{hex(code)} folds to {folded}, which folds on"
        assert char.isspace() or not folded.isspace(), "a fold that makes spaces would cut words"


def test_fold_of_width_case_and_script() -> None:
    assert fold("ＧＰＴ－５．２　臺灣國語") == "gpt-5.2\u3000台湾国语"
    assert fold("⽂⾒") == "文见", "Kangxi radicals as PDFs have them"


@given(MIXED)
def test_words_join_back_with_their_offsets(text: str) -> None:
    folded = fold(text)
    found = words(folded)
    assert "".join(word for word, _ in found) == folded
    assert all(folded.startswith(word, start) for word, start in found)


@given(HAN, st.from_regex(r"[A-Za-z]{2,4}[-.][0-9]{2,4}(\.[0-9])?", fullmatch=True), HAN)
def test_units_keep_whole_codes(before: str, code: str, after: str) -> None:
    assert fold(code) in set(units(fold(before + code + after)))


@given(HAN)
def test_units_hold_every_bigram(text: str) -> None:
    found = list(units(fold(text)))
    assert {text[i : i + 2] for i in range(len(text) - 1)} <= set(found)


@given(st.sampled_from(["臺灣國語", "ＧＰＴ－５．２", "PPR-9087 打印機", "１２３台"]))
def test_units_are_the_same_in_either_script_and_width(text: str) -> None:
    plain = unicodedata.normalize("NFKC", text).replace("臺灣國語", "台湾国语").replace("打印機", "打印机")
    assert sorted(units(fold(text))) == sorted(units(fold(plain)))


@given(MIXED)
def test_units_come_from_the_text(text: str) -> None:
    folded = fold(text)
    assert all(unit in folded and not re.search(r"[\s。，！？]", unit) for unit in units(folded))


def test_neighbouring_sentences_touch() -> None:
    spans = sentences("一。二！三？四；五\n六")
    assert all(one[1] == other[0] for one, other in pairwise(spans))
