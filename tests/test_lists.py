"""Which list answers a question that asks for one, and how it is cited."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from askai import lists
from askai.assistant import Assistant, default_reader
from askai.encoder import load_encoder
from askai.evidence import wanted, wants_list
from askai.listings import listings
from askai.responder import EVIDENCE, SIGNALS, Calibration, Candidate, cite
from askai.types import Hit, Mode, Passage, Span
from making import CORPUS, article, articles, assistant_of


@pytest.mark.parametrize("question", ["北投有哪几种温泉？", "量血压分几步？", "泡汤要注意什么？", "都有谁参加？", "番茄分几类？", "有什么优点", "好水有哪三样", "廚餘又分哪兩種"])
def test_several_things_are_asked_for(question: str) -> None:
    assert wants_list(question)


@pytest.mark.parametrize("question", ["番茄几个月能收？", "哪年建成？", "几点开门？", "第三步要等几分钟？", "谁发现的？", "哪两天休息？", "哪三百人？"])
def test_one_thing_is_asked_for(question: str) -> None:
    assert not wants_list(question)


@pytest.mark.parametrize(
    ("question", "possible"),
    [("得了痛风什么东西坚决不能吃？", True), ("番茄几个月能收？", False), ("各要泡几天", True), ("谁发现的？", True), ("哪年建成？", False)],
)
def test_a_list_may_answer_all_but_one_number_or_time(question: str, possible: bool) -> None:
    assert lists.possible(question, wanted(question, lambda units: [1.0] * len(units))) is possible


def listed(question: str, text: str, begin: int = 0) -> list[lists.Listed]:
    """What is found where the one passage that the search gives reaches from ``begin`` to the end of a text."""
    chosen = article(text)
    asked = wanted(question, lambda units: [1.0] * len(units))
    hits = [Hit(0, Passage(chosen.id, begin, len(chosen.text)), 1.0)]
    return lists.find(question, asked, hits, [], {chosen.id: chosen}, load_encoder(None), default_reader())


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


def test_eight_lists_at_the_most_are_read() -> None:
    text = "".join(f"{kind}的优点：\n- 轻\n- 快\n\n" for kind in "甲乙丙丁戊己庚辛壬癸")
    found = listed("癸有哪些优点", text)
    assert [x.listing.about.strip()[0] for x in found] == list("甲乙丙丁戊己庚辛")


def test_a_list_that_the_reader_takes_for_the_answer_says_so() -> None:
    text = "优点：\n- 轻，戴着不累\n- 续航长\n\n缺点：\n- 降噪差\n- 漏音\n"
    good, bad = (dict(zip(lists.SIGNALS, x.signals, strict=True)) for x in listed("这款耳机有哪些缺点？", text))
    assert bad["answers"] > good["answers"]


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


def test_a_list_that_stands_twice_is_cited_once() -> None:
    chosen = article("甲有三样：①乙②丙③丁", "a")
    (listing,) = listings(chosen.text)
    again = cite(article(chosen.text, "b"), 1, listing.start, listing.end, None, 0.5)
    assert len(lists.citations_with(chosen, listing, 0.8, [again], 3)) == 1


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
    assert lists.find("有哪些字", asked, hits, [], {"a": chosen}, load_encoder(None), default_reader()) == []


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


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize(
    ("sure", "likely", "answered", "whole"),
    [
        (0.8, 0.7, True, True),  # the sentence's counts for 0.4 of itself where several things are asked for
        (0.8, 0.3, True, False),
        (0.3, 0.7, True, True),
        (0.6, 0.4, True, True),  # there is an answer, and this list is likelier it than the sentence
        (0.3, 0.4, False, False),
        (0.6, 0.19, True, False),
    ],
)
def test_a_list_against_a_sentence(sure: float, likely: float, answered: bool, whole: bool) -> None:
    """The list where it is the likelier answer, an answer where either probability is above the threshold."""
    chosen = articles("轻便折叠车的优点如下。\n\n- 车身轻\n- 收得快\n- 不占地方\n\n轻便折叠车的优点在路上看得最清楚。\n")
    calibration = Calibration(
        (1.0, *[0.0] * (len(SIGNALS) - 1)), (logit(sure), *[0.0] * len(EVIDENCE)), 50.0, 0.001,
        (logit(likely), *[0.0] * len(lists.SIGNALS)), dict.fromkeys(Mode, 0.5),
    )  # fmt: skip
    given = assistant_of(chosen, calibration).ask("轻便折叠车有哪些优点？")
    first = given.citations[0]
    assert given.status == ("answered" if answered else "not_found")
    assert ("收得快" in first.quote and "不占地方" in first.quote) is whole
    assert given.confidence == pytest.approx(max(sure, likely) if whole else sure, abs=1e-4)
    assert first.score == pytest.approx(likely if whole else sure, abs=0.01)
    assert sum(c.score for c in given.citations) <= 1.0
