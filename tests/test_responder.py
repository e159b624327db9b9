"""Readings to cited answers: every citation verifies, no sentence twice, tampering is noticed, calibration."""

from __future__ import annotations

import itertools
import math
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import example, given, settings, strategies as st

from askai import lists, responder
from askai.assistant import Assistant, default_calibration
from askai.errors import AskaiError, InputError
from askai.evidence import wanted
from askai.responder import (
    EVIDENCE,
    SIGNALS,
    Calibration,
    Candidate,
    candidates,
    citations_of,
    cite,
    confidence,
    leading_words,
    probabilities,
)
from askai.types import Answer, Article, Hit, Mode, Passage, Reading, Span
from making import HOSTILE_QUESTIONS, HOSTILE_TEXTS, article, articles, assistant_of, check, index_of

PLAIN = (1.0, 0.5, 1.0, *[0.0] * (len(SIGNALS) - 3))
THRESHOLDS: dict[Mode, float] = {Mode.STRICT: 0.7, Mode.BALANCED: 0.5, Mode.LENIENT: 0.3}
WEIGHTS = len(EVIDENCE) + 1
LISTS = (0.0,) * (len(lists.SIGNALS) + 1)
ALWAYS = Calibration(PLAIN, (9.0, *[0.0] * (WEIGHTS - 1)), 1.0, 0.1, LISTS, THRESHOLDS)
NEVER = replace(ALWAYS, confidence=(-9.0, *[0.0] * (WEIGHTS - 1)))
ASKED = wanted("哪一年建成，有多高？", lambda found: [1.0] * len(found))
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=50)
PIECES = st.sampled_from([
    "马斯克创办了特斯拉。", "“", "”", "。", "！", "？", "\n", "\n\n", "# 标题\n", "- ", "1. ", "| a | b |\n", "```\n", "  ", "\u3000",
    "3.5", "https://a.b/c?d=e", "v5.2", "\u200b", "\u202e", "👨‍👩‍👧", "\ud800", "é", "㎡", "𠮷", "：", "；", "，", "*", "**", "_", "~",
    "<b>", "问：谁？\n", "答：我。\n", "A. B. Smith ", "\u2028", "\x0b", "\x1c", "\xa0", "\r", "...", "……", "」", "』",
])  # fmt: skip
HOSTILE_TEXT = st.one_of(ANY_TEXT, st.lists(PIECES, max_size=60).map("".join))


def reading(
    chosen: Article, *words: str | tuple[int, int], answers: float = 1.0, passage: tuple[int, int] | None = None
) -> Reading:
    """A reading with these words (or places) as spans, best first."""
    places = [(chosen.text.index(w), chosen.text.index(w) + len(w)) if isinstance(w, str) else w for w in words]
    spans = tuple((Span(a, b, chosen.text[a:b]), 9.0 - n) for n, (a, b) in enumerate(places))
    start, end = passage or (0, len(chosen.text))
    return Reading(Hit(0, Passage(chosen.id, start, end), 1.0), spans, answers)


def quotes(chosen: Article, *words: str | tuple[int, int]) -> list[str]:
    ranked = candidates([reading(chosen, *words)], {chosen.id: chosen}, ASKED, ALWAYS)
    return [c.quote for c in citations_of(ranked, {chosen.id: chosen}, 9, ALWAYS, answered=True)]


def asked(assistant: Assistant, question: str, k: int) -> Answer | None:
    """The answer; None where the question holds nothing but white space and control characters."""
    if all(c.isspace() or unicodedata.category(c) == "Cc" for c in question):
        with pytest.raises(InputError, match="问题是空的"):
            assistant.ask(question, top_k=k)
        return None
    return assistant.ask(question, top_k=k)


# --- whatever the text and the question -------------------------------------------------------------


@settings(max_examples=25)
@given(texts=st.lists(HOSTILE_TEXT, min_size=1, max_size=3), question=HOSTILE_TEXT, k=st.integers(1, 9))
@example(texts=["。\u2028。"], question="谁", k=3)
@example(texts=["# 标题\n"], question="标题", k=3)
def test_every_citation_verifies(texts: list[str], question: str, k: int) -> None:
    chosen = [a for a in articles(*texts) if a.text.strip()]
    if len(question) > 1000:
        question = question[:1000]
    known = {a.id: a.text for a in chosen}
    index = index_of(chosen)
    for calibration in (ALWAYS, NEVER, default_calibration()):
        given_answer = asked(assistant_of(index, calibration), question, k)
        if given_answer is None:
            continue
        check(given_answer, known)
        assert len(given_answer.citations) <= max(k, 4)
        if given_answer.status == "answered" and given_answer.citations and given_answer.citations[0].span:
            assert given_answer.answer.startswith(given_answer.citations[0].span.text)
        if given_answer.status == "not_found":
            assert given_answer.answer.startswith(responder.NOT_FOUND)
            assert all(c.span is None for c in given_answer.citations)


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_hostile_articles(name: str) -> None:
    chosen = articles(HOSTILE_TEXTS[name], "白石灯塔建于1887年，由匠人周怀远主持修建。")
    known = {a.id: a.text for a in chosen}
    index = index_of(chosen)
    for calibration in (ALWAYS, NEVER):
        assistant = assistant_of(index, calibration)
        for question in ("姓名是什么？", "灯塔是谁修建的？", HOSTILE_TEXTS[name][:40], "总结一下《样文0》"):
            given_answer = asked(assistant, question, 9)
            if given_answer is not None:
                check(given_answer, known)


@pytest.mark.parametrize("question", [q for q in HOSTILE_QUESTIONS if q.strip()])
def test_hostile_questions(question: str) -> None:
    chosen = articles("示例产品的标准版售价 699 元。", "白石灯塔建于1887年。")
    given_answer = assistant_of(chosen, ALWAYS).ask(question)
    check(given_answer, {a.id: a.text for a in chosen})
    assert given_answer.question.encode("utf-8")


@settings(max_examples=60)
@given(text=HOSTILE_TEXT, data=st.data())
def test_any_span_of_any_reader(text: str, data: st.DataObject) -> None:
    """Another reader may find its spans anywhere in its passages, and passages may overlap."""
    chosen = article(text)
    if not text.strip():
        return
    place = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    readings = []
    for passage in data.draw(st.lists(place.filter(lambda p: p[0] < p[1]), max_size=3)):
        begin, end = passage
        spans = [
            (begin + a, begin + b)
            for a, b in data.draw(
                st.lists(st.tuples(st.integers(0, end - begin), st.integers(0, end - begin)), max_size=5)
            )
            if a < b and text[begin + a : begin + b].strip()
        ]
        readings.append(reading(chosen, *spans, passage=(begin, end)))
    ranked = candidates(readings, {chosen.id: chosen}, ASKED, ALWAYS)
    assert [c.score for c in ranked] == sorted((c.score for c in ranked), reverse=True)
    cited = citations_of(ranked, {chosen.id: chosen}, 9, ALWAYS, answered=True)
    ends: list[tuple[int, int]] = []
    for number, c in enumerate(cited, 1):
        assert c.number == number
        assert text[c.start : c.end] == c.quote
        assert c.quote.strip()
        assert c.span is not None
        assert text[c.span.start : c.span.end] == c.span.text
        assert c.start <= c.span.start < c.span.end <= c.end
        assert all(c.end <= a or b <= c.start for a, b in ends)
        ends.append((c.start, c.end))


# --- what is cited ----------------------------------------------------------------------------------

NEWS = "马斯克在2003年入股特斯拉。他说：“机器人会改变世界！”股价随后涨了3.5%，到￥1,299才停。\n\n第二段在这里。"


@pytest.mark.parametrize(
    ("words", "quote"),
    [
        ("2003年", "马斯克在2003年入股特斯拉。"),
        ("改变世界", "他说：“机器人会改变世界！”"),
        ("3.5%", "股价随后涨了3.5%，到￥1,299才停。"),
        ("第二段", "第二段在这里。"),
        ("特斯拉。他说", "马斯克在2003年入股特斯拉。他说：“机器人会改变世界！”"),
    ],
)
def test_whole_sentences_are_cited(words: str, quote: str) -> None:
    assert quotes(article(NEWS), words) == [quote]


def test_list_marks_are_left_out() -> None:
    chosen = article("步骤如下：\n\n1. 先关机。\n2. 再取出色带。\n- 轻拿轻放。\n> 引用的话。\n")
    for words, quote in (("关机", "先关机。"), ("色带", "再取出色带。"), ("轻放", "轻拿轻放。"), ("引用", "引用的话。")):
        assert quotes(chosen, words) == [quote]


def test_headings_are_not_cited() -> None:
    chosen = article("# 灯塔的高度\n\n塔高31米。\n")
    assert quotes(chosen, "灯塔的高度") == []
    assert quotes(chosen, "31米") == ["塔高31米。"]


def test_one_sentence_is_cited_once() -> None:
    chosen = article(NEWS)
    assert quotes(chosen, "马斯克", "2003年", "特斯拉") == ["马斯克在2003年入股特斯拉。"]


def test_sentence_found_in_two_passages_is_cited_once() -> None:
    chosen = article(NEWS)
    readings = [
        reading(chosen, "2003年", passage=(0, 20)),
        reading(chosen, "特斯拉", passage=(0, len(NEWS))),
        reading(chosen, "特斯拉。他说", passage=(0, len(NEWS))),
    ]
    ranked = candidates(readings, {chosen.id: chosen}, ASKED, ALWAYS)
    places = sorted((c.start, c.end) for c in ranked)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))


def test_same_words_in_two_articles_are_cited_once() -> None:
    one, two, other = articles("塔高31米。", "塔高31米。", "灯塔高三十一米。")
    known = {a.id: a for a in (one, two, other)}
    ranked = candidates([reading(one, "31米"), reading(two, "31米"), reading(other, "三十一米")], known, ASKED, ALWAYS)
    cited = citations_of(ranked, known, 9, ALWAYS, answered=True)
    assert [c.quote for c in cited] == ["塔高31米。", "灯塔高三十一米。"]
    assert [c.number for c in cited] == [1, 2]


def test_every_article_that_answers_is_cited() -> None:
    chosen = articles("塔高31米。", "这座塔有31米。", "据说塔高31米左右。")
    known = {a.id: a for a in chosen}
    cited = citations_of(candidates([reading(a, "31米") for a in chosen], known, ASKED, ALWAYS), known, 3, ALWAYS, answered=True)
    assert [c.article_id for c in cited] == [a.id for a in chosen]


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_no_more_than_asked_for(k: int) -> None:
    chosen = article("".join(f"第{n}号塔高{n}米。" for n in range(10, 16)))
    ranked = candidates([reading(chosen, *(f"{n}米" for n in range(10, 16)))], {chosen.id: chosen}, ASKED, ALWAYS)
    cited = citations_of(ranked, {chosen.id: chosen}, k, ALWAYS, answered=True)
    assert min(k, 5) <= len(cited) <= min(k, 6)
    assert [c.number for c in cited] == list(range(1, len(cited) + 1))


def test_excerpts_of_a_declined_answer_have_no_span() -> None:
    chosen = article(NEWS)
    ranked = candidates([reading(chosen, "2003年")], {chosen.id: chosen}, ASKED, NEVER)
    (cited,) = citations_of(ranked, {chosen.id: chosen}, 3, ALWAYS, answered=False)
    assert cited.span is None
    assert cited.quote == "马斯克在2003年入股特斯拉。"


@pytest.mark.parametrize(
    ("question", "expected"),
    [("塔有哪些高度？", "10米；11米；12米"), ("塔高多少？", "10米")],
)
def test_lists_lead_with_all_spans(question: str, expected: str) -> None:
    chosen = article("甲塔高10米。乙塔高11米。丙塔高12米。")
    ranked = candidates([reading(chosen, "10米", "11米", "12米")], {chosen.id: chosen}, ASKED, ALWAYS)
    assert leading_words(question, citations_of(ranked, {chosen.id: chosen}, 3, ALWAYS, answered=True)) == expected


def test_a_question_is_no_answer() -> None:
    chosen = article("**问：标准版和大电池版分别卖多少钱？**\n\n答：标准版售价 699 元。\n")
    assert quotes(chosen, "分别卖多少钱", "699 元") == ["答：标准版售价 699 元。"]


def test_what_is_told_before_a_question_may_answer() -> None:
    """People write whole stories without a full stop and end with a question; its own clause answers nothing."""
    told = "公寓的产品越来越多，产权对于房屋非常重要，公寓都是40年产权，"
    chosen = article(told + "那么公寓和住宅有何不同呢？一起看看吧。")
    assert quotes(chosen, "40年") == [told]
    assert quotes(chosen, "有何不同") == []
    assert quotes(article("你好，公寓是40年产权吗？"), "40年") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Do you know when the company was founded in 2003 by Musk?", "2003"),
        ("请问大家知道这台去年十月在上海发布的新手机标准版售价是1,299元吗？", "标准版"),
        ("大家都在问为什么去年秋天发布的 iPhone 15 Pro 卖六千九百元 iPad 值得买吗？", "六千九百元"),
        ("这里公寓的产权到底是40年还是70年呢，水电是商水商电还是民水民电呢，有人知道吗？", "40年"),
        ("听说这里的公寓产权到期以后需要补交40年的土地出让金吗，大概多少钱？", "40年"),
    ],
)
def test_a_long_question_is_no_story(text: str, words: str) -> None:
    assert quotes(article(text), words) == []


def test_clauses_may_be_parted_by_spaces() -> None:
    told = "如果你不想太引人注目 建议配黑色 其实我本人不大喜欢黑色 但很多觉得难搭配的颜色都可以"
    assert quotes(article(f"{told} 是否太花哨了点呢？"), "建议配黑色") == [told]


def test_leading_words_of_nothing() -> None:
    assert leading_words("谁？", []) == ""
    assert responder.not_found_text([]) == responder.NOT_FOUND


# --- tampering --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (5, 3), (-1, 4), (0, 10_000), (3, 9_999), (10_000, 10_001), (-5, -1)]
)
def test_a_place_outside_the_article_is_refused(start: int, end: int) -> None:
    with pytest.raises(AskaiError, match=r"引文位置不对.*askai build"):
        cite(article(NEWS), 1, start, end, None, 0.5)


def test_a_blank_excerpt_is_refused() -> None:
    with pytest.raises(AskaiError, match="引文位置不对"):
        cite(article("甲。 \n\u3000\n乙。"), 1, 2, 6, None, 0.5)


@pytest.mark.parametrize(
    "span",
    [
        Span(4, 9, "2004年"),
        Span(4, 8, "2003年"),
        Span(3, 8, "2003年"),
        Span(4, 4, ""),
        Span(9, 4, ""),
        Span(20, 22, NEWS[20:22]),
        Span(-9, -4, "2003年"),
        Span(4, 99, "2003年"),
    ],
)
def test_a_tampered_span_is_refused(span: Span) -> None:
    chosen = article(NEWS)
    end = NEWS.index("。") + 1
    good = cite(chosen, 1, 0, end, Span(4, 9, "2003年"), 0.5)
    assert good.span == Span(4, 9, "2003年")
    with pytest.raises(AskaiError, match=r"答案位置不对.*askai build"):
        cite(chosen, 1, 0, end, span, 0.5)


def test_an_article_changed_under_a_reading_is_noticed() -> None:
    chosen = article(NEWS)
    ranked = candidates([reading(chosen, "2003年")], {chosen.id: chosen}, ASKED, ALWAYS)
    changed = replace(chosen, text=NEWS.replace("2003", "2013"))
    with pytest.raises(AskaiError, match="答案位置不对"):
        citations_of(ranked, {chosen.id: changed}, 3, ALWAYS, answered=True)


# --- calibration ------------------------------------------------------------------------------------

FINITE = st.floats(-50, 50)


def candidate(score: float = 1.0, name: str = "span", value: float = 1.0, missing: int = 0) -> Candidate:
    """A candidate all of whose signals are 1 but the named one."""
    signals = tuple(value if each == name else 1.0 for each in SIGNALS)
    hit = Hit(0, Passage("a", 0, 5), 1.0, 1.0, missing=missing)
    return Candidate(hit, 0, 5, Span(0, 2, "甲乙"), score, signals)


@given(weights=st.tuples(*[FINITE] * WEIGHTS), one=FINITE, other=FINITE, place=st.integers(1, 3))
def test_confidence_is_monotone(weights: tuple[float, ...], one: float, other: float, place: int) -> None:
    """In each signal confidence rises or falls as its weight says, and it is always a probability."""
    calibration = replace(ALWAYS, confidence=weights)
    low, high = sorted((one, other))
    less, more = (
        confidence([candidate(name=EVIDENCE[place - 1], value=value)], calibration) for value in (low, high)
    )
    assert 0 < less < 1
    assert 0 < more < 1
    if weights[place] >= 0:
        assert less <= more
    else:
        assert less >= more


def test_a_name_that_the_passage_lacks_counts_against_an_answer() -> None:
    """Two count more than one, more than two no more than two: the weight is fitted on no more."""
    calibration = default_calibration()
    none, one, two, many = (confidence([candidate(missing=n)], calibration) for n in (0, 1, 2, 9))
    assert none > one > two == many


@given(scores=st.lists(FINITE, min_size=1, max_size=20), sharpness=st.floats(0.1, 5), elsewhere=st.floats(0.001, 2))
def test_probabilities_share_out_the_confidence(scores: list[float], sharpness: float, elsewhere: float) -> None:
    """In the order of the scores, together less than the confidence, by the odds that the scores say."""
    calibration = replace(ALWAYS, sharpness=sharpness, elsewhere=elsewhere)
    ranked = [candidate(score) for score in sorted(scores, reverse=True)]
    sure, likely = confidence(ranked, calibration), probabilities(ranked, calibration)
    assert likely == sorted(likely, reverse=True)
    assert all(0.0 <= each <= 1.0 for each in likely)
    assert sum(likely) + likely[0] * elsewhere == pytest.approx(sure)
    for c, each in zip(ranked, likely, strict=True):
        assert each == pytest.approx(likely[0] * math.exp(sharpness * (c.score - ranked[0].score)))


@given(first=FINITE, second=FINITE, third=FINITE)
def test_the_first_is_likelier_the_farther_the_next_is_behind(first: float, second: float, third: float) -> None:
    low, middle, high = sorted((first, second, third))
    near = probabilities([candidate(high), candidate(middle)], ALWAYS)[0]
    far = probabilities([candidate(high), candidate(low)], ALWAYS)[0]
    assert near <= far


def test_excerpts_that_say_the_same_are_as_likely_as_all_of_them_together() -> None:
    """And stand where that puts them."""
    one, two, other = articles("塔高31米。", "塔高31米。", "灯塔高三十一米。")
    known = {a.id: a for a in (one, two, other)}
    weak = replace(ALWAYS, sharpness=0.1)
    ranked = candidates([reading(other, "三十一米", answers=2.0), reading(one, "31米"), reading(two, "31米")], known, ASKED, weak)
    assert ranked[0].article_id == other.id
    likely = dict(zip((c.article_id for c in ranked), probabilities(ranked, weak), strict=True))
    cited = citations_of(ranked, known, 9, weak, answered=True)
    assert [c.quote for c in cited] == ["塔高31米。", "灯塔高三十一米。"]
    assert cited[0].score == pytest.approx(likely[one.id] + likely[two.id], abs=1e-4)
    assert cited[1].score == pytest.approx(likely[other.id], abs=1e-4)


def test_no_candidate_no_confidence() -> None:
    assert confidence([], ALWAYS) == 0.0
    assert probabilities([], ALWAYS) == []


@pytest.mark.parametrize("extreme", [1e9, -1e9])
def test_extreme_scores_stay_probabilities(extreme: float) -> None:
    sure = confidence(
        [replace(candidate(extreme), signals=(extreme,) * len(SIGNALS))], replace(ALWAYS, confidence=(1.0,) * WEIGHTS)
    )
    assert 0.0 <= sure <= 1.0
    likely = probabilities([candidate(abs(extreme)), candidate(-abs(extreme))], ALWAYS)
    assert 0.0 <= likely[1] <= likely[0] <= 1.0


def test_calibration_that_ships() -> None:
    """A better reading never makes the reply less sure, a missing name never surer; the modes are in order."""
    calibration = default_calibration()
    assert len(calibration.ranking) == len(SIGNALS)
    assert len(calibration.confidence) == WEIGHTS
    assert all(math.isfinite(weight) for weight in (*calibration.ranking, *calibration.confidence))
    assert all(weight >= 0 for weight in calibration.confidence[1:-1])
    assert calibration.confidence[-1] <= 0
    assert calibration.sharpness > 0
    assert calibration.elsewhere > 0
    thresholds = calibration.thresholds
    assert 0.0 < thresholds[Mode.LENIENT] <= thresholds[Mode.BALANCED] <= thresholds[Mode.STRICT] < 1.0


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.999, 1.0])
def test_threshold_decides_between_answering_and_declining(threshold: float) -> None:
    chosen = articles("示例产品的标准版售价 699 元。")
    calibration = replace(default_calibration(), thresholds={Mode.BALANCED: threshold})
    given_answer = assistant_of(chosen, calibration).ask("标准版多少钱？")
    assert (given_answer.status == "answered") == (given_answer.confidence >= threshold)
