"""Passages: they cover the article, begin where sentences begin, and keep together what belongs together."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st

from askai.passages import LIMIT, split
from askai.text import sentences
from askai.types import Article, Passage

SENTENCES = (
    "青禾声学发布了新款耳机。", "售价￥1,299，12:30起开卖。", "“降噪芯片是自己设计的。”", "充一次电能听36.5小时！", "为什么呢？",
    "这句话长一些，说的是灯塔在一九五四年的台风里失去了灯室，两年以后才由县里拨款重新修好，又过了很多年才停用。",
    "It ended. ", "\n", "\n\n", "# 大标题\n", "## 小标题\n", "### 更小\n", "问：多少钱？\n", "答：三元。\n", "步骤如下：\n",
    "1. 打开盖子；\n", "2. 取出滤网；\n", "- 要点一\n", "（一）总则\n", "　　", "|表|格|\n", "```\ncode\n```\n", "没有标点的长行" * 60,
)
TEXTS = st.lists(st.one_of(st.sampled_from(SENTENCES), st.text(max_size=6)), max_size=60).map("".join)


def article(text: str) -> Article:
    return Article("a", "标题", "a.md", text)


def texts(text: str) -> list[str]:
    return [text[p.start : p.end] for p in split(article(text))]


@given(TEXTS)
@example("")
@example("\n\n\n")
@example("# 只有标题")
@example("# 标题\n\n## 小标题\n")
def test_passages_cover_the_text_in_order(text: str) -> None:
    passages = split(article(text))
    assert all(0 <= p.start < p.end <= len(text) for p in passages)
    assert all(one.end <= other.start for one, other in pairwise(passages))
    covered = {i for p in passages for i in range(p.start, p.end)}
    assert not [c for i, c in enumerate(text) if i not in covered and not c.isspace()]


@given(TEXTS)
def test_passages_begin_and_end_where_sentences_do(text: str) -> None:
    spans = sentences(text)
    starts, ends = {start for start, _ in spans}, {end for _, end in spans}
    for passage in split(article(text)):
        assert passage.start in starts
        assert passage.end in ends


@given(st.lists(st.sampled_from(SENTENCES[:6]), min_size=1, max_size=200).map("".join))
def test_sizes_of_plain_prose(text: str) -> None:
    sizes = [p.end - p.start for p in split(article(text))]
    assert max(sizes) <= LIMIT + 60
    if len(text) > 600:
        assert 150 <= sum(sizes) / len(sizes) <= 300


@given(TEXTS)
def test_no_passage_is_longer_than_two_of_the_longest_sentences(text: str) -> None:
    longest = max((end - start for start, end in sentences(text)), default=0)
    assert all(p.end - p.start <= max(LIMIT + 60, 2 * longest) for p in split(article(text)))


FILLER = "灯塔在二〇〇三年停止使用，如今是一座小型博物馆。"


@pytest.mark.parametrize("lead", range(14))
def test_question_and_answer_stay_together(lead: int) -> None:
    text = FILLER * lead + "\n问：PPR-9087 支持哪些纸张？\n答：支持 A4、A5 和六寸相纸。\n" + FILLER * 3
    (found,) = [t for t in texts(text) if "支持哪些纸张" in t]
    assert "六寸相纸" in found


@pytest.mark.parametrize("lead", range(14))
@pytest.mark.parametrize("heading", ["# 保存方法\n", "## 保存方法\n\n", "### 保存方法 ###\n"])
def test_headings_stay_with_their_text(lead: int, heading: str) -> None:
    text = FILLER * lead + "\n" + heading + "绿茶要放进冰箱冷藏。" + FILLER * 3
    (found,) = [p for p in split(article(text)) if "保存方法" in text[p.start : p.end]]
    assert "放进冰箱" in text[found.start : found.end]
    assert found.heading == "保存方法"


@pytest.mark.parametrize("lead", range(14))
def test_a_list_stays_with_its_lead_in(lead: int) -> None:
    text = FILLER * lead + "\n步骤如下：\n1. 打开盖子；\n2. 取出滤网；\n3. 冲洗干净。\n" + FILLER * 3
    (found,) = [t for t in texts(text) if "步骤如下" in t]
    assert "打开盖子" in found


def test_nested_headings_name_the_passage() -> None:
    text = "\n".join(("# 甲", FILLER * 8, "## 乙", FILLER * 8, "### 丙", FILLER * 8, "## 丁", FILLER * 8))
    found = {p.heading for p in split(article(text))}
    assert found == {"甲", "甲 乙", "甲 乙 丙", "甲 丁"}


def test_a_short_article_is_one_passage() -> None:
    assert split(article("很短。")) == [Passage("a", 0, 3)]
    assert split(article("  \n ")) == []
