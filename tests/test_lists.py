"""Lists in articles: what is one, what leads into it, what its items are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from askai import lists
from askai.assistant import Assistant
from askai.encoder import load_encoder
from askai.evidence import wanted, wants_list
from askai.lists import listings
from askai.responder import Candidate, cite
from askai.types import Hit, Passage, Span
from making import CORPUS, article

LINES = st.sampled_from([
    "# 题\n", "## 小题\n", "引子：\n", "- 甲：子\n", "- 乙\n", "* 丙。\n", "  - 丁\n", "1. 戊\n", "2、己；\n", "（3）庚\n", "一、辛\n", "① 壬\n",
    "第一，癸。\n", "\n", "  \n", "平常的一句话。", "\n- \n", "-5 度\n", "3.5 元\n", "\r\n", "\u2028", "- ：\n", "- **粗**：细\n", "\u3000• 子\n", "\ud800\n",
    "| 表 | 头 |\n|---|---|\n", "| 子 | 丑 |\n", "|||\n", "**一、寅**\n", "**第二步：卯。** 辰\n", "1）巳\n", "第三步：午\n",
])


def found(text: str) -> list[tuple[str, list[str]]]:
    return [(text[x.start : x.items[0].start], [s.text for s in x.items]) for x in listings(text)]


@given(st.lists(LINES, max_size=14).map("".join))
def test_lists_lie_in_their_text_in_order(text: str) -> None:
    last = 0
    for listing in listings(text):
        assert last <= listing.start < listing.end <= len(text)
        last = listing.end
        places = [listing.start, *(place for s in listing.items for place in (s.start, s.end)), listing.end]
        assert places == sorted(places)
        assert listing.items
        assert all(text[s.start : s.end] == s.text and s.text.strip() for s in listing.items)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("番茄分两类：\n\n- 有限型：长到一定高度。\n- 无限型：一直长。\n", ["有限型", "无限型"]),
        ("步骤：\n1、先断电。\n2、拧螺丝；\n  - 左边\n  - 右边\n3、通电\n", ["先断电", "拧螺丝", "通电"]),
        ("（1）轻；\n（2）快；\n", ["轻", "快"]),
        ("## 路线\n一、**山门**：很旧。\n\n二、**大殿**：很大。\n", ["山门", "大殿"]),
        ("① 甲乙\n② 丙丁\n", ["甲乙", "丙丁"]),
        ("第一，省钱。\n第二，省时间。\n", ["省钱", "省时间"]),
        ("- 第一站：车站。\n- 第二站：浴场。\n", ["第一站：车站", "第二站：浴场"]),
        ("分级：\n- 1 级：轻\n- 2 级：重\n", ["1 级", "2 级"]),
        ("## 做法\n**第一步：泡血水。** 泡一小时。\n\n**第二步：焯水。** 冷水下锅。\n", ["泡血水", "焯水"]),
        ("**一、浸种**\n泡水。\n\n**二、育苗**\n盖土。\n", ["浸种", "育苗"]),
        ("| 月龄 | 打什么 |\n|---|---|\n| 满 8 周 | 第一针 |\n| 满 12 周 | 第二针 |\n", ["满 8 周", "满 12 周"]),
    ],
)
def test_items_are_named(text: str, names: list[str]) -> None:
    ((_, items),) = found(text)
    assert items == names


@pytest.mark.parametrize("text", ["- 只有一项\n", "-5 度\n-6 度\n", "1.5 元\n2.5 元\n", "甲。\n乙。\n", "", "**甲**\n**乙**\n"])
def test_what_is_no_list(text: str) -> None:
    assert listings(text) == []


def test_the_last_sentence_before_leads_in() -> None:
    ((lead, _),) = found("很长的一段话。具体做法如下：\n\n1. 浸种\n2. 播种\n")
    assert lead == "具体做法如下：\n\n1. "


def test_a_heading_is_no_lead_in_but_says_what_is_listed() -> None:
    (listing,) = listings("# 文\n\n## 泡汤的礼节\n\n- 先洗净\n- 后下池\n")
    assert listing.about.startswith("泡汤的礼节")
    assert listing.start == listing.items[0].start - len("- ")


@pytest.mark.parametrize("question", ["北投有哪几种温泉？", "量血压分几步？", "泡汤要注意什么？", "都有谁参加？", "番茄分几类？", "有什么优点"])
def test_several_things_are_asked_for(question: str) -> None:
    assert wants_list(question)


@pytest.mark.parametrize("question", ["番茄几个月能收？", "哪年建成？", "几点开门？", "第三步要等几分钟？", "谁发现的？"])
def test_one_thing_is_asked_for(question: str) -> None:
    assert not wants_list(question)


def listed(question: str, text: str, begin: int = 0) -> list[lists.Listed]:
    """What is found where the one passage that the search gives reaches from ``begin`` to the end of a text."""
    chosen = article(text)
    asked = wanted(question, lambda units: [1.0] * len(units))
    hits = [Hit(0, Passage(chosen.id, begin, len(chosen.text)), 1.0)]
    return lists.find(question, asked, hits, [], {chosen.id: chosen}, load_encoder(None))


def test_only_lists_in_the_passages_found_count() -> None:
    text = "甲的优点：\n- 轻\n- 快\n\n乙的优点：\n- 稳\n- 静\n"
    (only,) = listed("乙有哪些优点", text, text.index("乙"))
    assert only.listing.about.strip().startswith("乙的优点：")
    assert dict(zip(lists.SIGNALS, only.signals, strict=True))["about"] == 1.0


SPRINGS = "北投的温泉分三种：\n\n1. **青磺泉**：偏绿\n2. **白磺泉**：乳白\n3. **铁磺泉**：偏红\n\n"
YEARS = "温泉的开发：\n\n- 1894 年，有人建了温泉旅馆\n- 1913 年，浴场落成\n- 1916 年，铁路通到温泉\n"


@pytest.mark.parametrize(
    ("question", "springs", "years"),
    [
        ("北投有哪些泉质？", (1.0, 0.0), (1 / 3, 1.0)),
        ("北投温泉经过了哪些年份？", (0.0, 0.0), (0.0, 0.0)),
        ("去北投要注意什么？", (0.0, 0.0), (0.0, 1.0)),
    ],
)
def test_items_are_called_what_was_asked_for_or_begin_with_dates(
    question: str, springs: tuple[float, float], years: tuple[float, float]
) -> None:
    signals = [dict(zip(lists.SIGNALS, x.signals, strict=True)) for x in listed(question, SPRINGS + YEARS)]
    assert [(s["named"], s["dated"]) for s in signals] == [springs, years]


def test_dates_are_no_kinds() -> None:
    (only,) = listed("北投有哪几种温泉？", YEARS + SPRINGS)
    assert [item.text for item in only.listing.items] == ["青磺泉", "白磺泉", "铁磺泉"]


# --- answers ----------------------------------------------------------------------------------------

STREETS = "# 老街\n\n## 衰落\n\n老街在清朝晚期衰落，主要原因有三个：\n\n- 河道淤塞；\n- 铁路通车；\n- 税卡撤走。\n\n后来又修过桥。\n"


def sentence(text: str, quote: str) -> Candidate:
    start = text.index(quote)
    hit = Hit(0, Passage("a", 0, len(text)), 1.0)
    return Candidate(hit, start, start + len(quote), Span(start, start + 2, quote[:2]), 1.0, ())


@pytest.mark.parametrize(
    ("quote", "expected"), [("老街在清朝晚期衰落，主要原因有三个：", 0.9), ("后来又修过桥。", 0.5)]
)
def test_a_sentence_that_announces_a_list_is_answered_by_the_list(quote: str, expected: float) -> None:
    chosen = article(STREETS, "a")
    (listing,) = listings(chosen.text)
    listed = lists.Listed("a", listing, (0.0,) * len(lists.SIGNALS))
    best = sentence(chosen.text, quote)
    opening = best if lists.announces(best, {"a": chosen}) else None
    likely, found = lists.best([listed], (0.0,) * (len(lists.SIGNALS) + 1), opening, 0.9)
    assert (likely, found) == (expected, listed)


def test_a_list_is_cited_whole_and_first() -> None:
    chosen = article(STREETS, "a")
    (listing,) = listings(chosen.text)
    quotes = ("后来又修过桥。", "- 铁路通车；")
    places = [(chosen.text.index(q), chosen.text.index(q) + len(q)) for q in quotes]
    others = [cite(chosen, n, a, b, Span(a, b, chosen.text[a:b]), 0.5) for n, (a, b) in enumerate(places, 1)]
    first, second = lists.citations_with(chosen, listing, 0.8, others, 3)
    assert first.quote == "老街在清朝晚期衰落，主要原因有三个：\n\n- 河道淤塞；\n- 铁路通车；\n- 税卡撤走。"
    assert first.span is not None
    assert first.span.text.startswith("河道淤塞")
    assert (first.number, second.number, second.quote, second.span) == (1, 2, "后来又修过桥。", None)
    assert lists.names(listing) == "河道淤塞；铁路通车；税卡撤走"


def test_a_long_list_leads_with_as_many_names_as_fit() -> None:
    (listing,) = listings("".join(f"- 第{n}件很长很长很长很长很长很长很长的事情\n" for n in "甲乙丙丁戊己庚辛壬癸子丑寅卯"))
    assert len(lists.names(listing)) < 300
    assert lists.names(listing).startswith("第甲件")


def test_a_list_is_cut_where_it_grows_too_long() -> None:
    (listing,) = listings("东西有：\n" + "".join(f"{n}. {'字' * 90}\n" for n in range(1, 60)))
    assert listing.end - listing.start <= 1500
    assert all(item.end <= listing.end for item in listing.items)


def test_an_article_of_one_endless_line_takes_no_time() -> None:
    chosen = article("字" * 3_000_000 + "。\n- 甲\n- 乙\n", "a")
    hits = [Hit(0, Passage("a", 1_000_000, 1_000_300), 1.0)]
    asked = wanted("有哪些字", lambda units: [1.0] * len(units))
    assert lists.find("有哪些字", asked, hits, [], {"a": chosen}, load_encoder(None)) == []


@pytest.mark.quality
@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("大运河为什么在清朝衰落？", "1855 年", "1901 年"),
        ("在家量血压的步骤是什么？", "测量前 30 分钟", "取平均值"),
        ("番茄有哪几类？", "有限生长型", "无限生长型"),
    ],
)
def test_lists_of_the_articles_that_ship(tmp_path: Path, question: str, first: str, last: str) -> None:
    answer = Assistant.build([CORPUS], tmp_path / "index")[0].ask(question)
    assert answer.status == "answered"
    assert first in answer.citations[0].quote
    assert last in answer.citations[0].quote
    assert answer.answer.count("；") >= 1
