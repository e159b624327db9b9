"""Readings to a cited answer, or to "not found". Every excerpt is checked against its article."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from askai.errors import AskaiError
from askai.evidence import Wanted, coverage, fits, wants_list
from askai.text import fold, sentences
from askai.types import Article, Citation, Hit, Mode, Reading, Span

NOT_FOUND = "这些文章里没有找到这个问题的答案。"
_NEAREST = "下面是最接近的几处原文，供参考。"
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]")
_MARKER = re.compile(r"[\s>]*(?:[-*+•·][ \t]+|\d{1,3}[.)、][ \t]*)?")
_QUESTION = re.compile(r"[?？][*_」』”’\"')）\s]*\Z")
# Up to the last comma, which none between digits is, or the last space between Chinese words.
_TOLD = re.compile(r".*(?:[，；]|(?<!\d)[,;]|[,;](?!\d)|(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff]))", re.DOTALL)
_ASKING = re.compile(r"[吗呢么嘛][，；,;\s]*\Z")
# 你好，这是什么？ asks from its first word on; people who write without full stops ask after a whole story.
_STORY = 24
# One of 1,239 later excerpts so far behind the first were right (training/calibrate.py, held-apart half).
_FAR_BEHIND = 4.0

SIGNALS = ("span", "answers", "retrieval", "coverage", "cosine", "sentence", "fits")
"""What a candidate is ranked by: scores of its span, of its passage's answerability and of the search;
how much of the question its passage holds, by words and by vectors, and its sentence; its kind."""


EVIDENCE = ("span", "answers", "retrieval", "missing")
"""What tells whether there is an answer at all: three signals of the best candidate, and how many names of
the question its passage lacks. How much of the question a passage holds tells where to look, not whether to
answer: with the other signals among them fewer of those without an answer are told apart."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores are combined and become probabilities; fitted by ``training/calibrate.py``.

    ``ranking`` weighs ``SIGNALS``, ``confidence`` [1, ``EVIDENCE``], ``lists`` [1, ``lists.SIGNALS``]: the
    probability that a list is the one that was asked for. ``sharpness``, per unit of the ranking's score, is
    the inverse temperature of the softmax that shares the confidence out over the candidates; ``elsewhere`` is
    the weight of an answer that is none of them, where the best candidate's is 1. ``thresholds`` are the
    confidences under which each mode declines.
    """

    ranking: tuple[float, ...]
    confidence: tuple[float, ...]
    sharpness: float
    elsewhere: float
    lists: tuple[float, ...]
    thresholds: Mapping[Mode, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be cited, with the best answering span in it and its signals."""

    hit: Hit
    start: int
    end: int
    span: Span
    score: float
    signals: tuple[float, ...]

    @property
    def article_id(self) -> str:
        return self.hit.passage.article_id


def logistic(weights: Sequence[float], values: Sequence[float]) -> float:
    """The probability that a fitted logistic regression gives."""
    logit = sum(w * x for w, x in zip(weights, values, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))


def _sentence_around(
    text: str, pieces: Sequence[tuple[int, int]], span: Span
) -> tuple[int, int] | None:
    """The sentences that the span touches, without list marks and outer space.

    None in a heading, or where they only ask. Where something longer is told before it is asked, what is told.

    ``pieces`` are the passage's sentences, offsets into the article's text.
    """
    touched = [(a, b) for a, b in pieces if a < span.end and b > span.start]
    touched = [(a, b) for a, b in touched if not _HEADING.match(text[a:b])] or touched
    if not touched or _HEADING.match(text[touched[0][0] : touched[0][1]]):
        return None
    start, end = touched[0][0], touched[-1][1]
    marker = _MARKER.match(text, start, span.start)
    start = marker.end() if marker else start
    while end > span.end and text[end - 1].isspace():
        end -= 1
    if not _QUESTION.search(text, max(start, end - 4), end):
        return start, end
    told = _TOLD.match(text, start, end)
    if not told or _ASKING.search(text, start, told.end()):
        return None
    end = told.end()
    while end > span.end and text[end - 1].isspace():
        end -= 1
    return (start, end) if span.end <= end and end - start >= _STORY else None


def candidates(
    readings: Sequence[Reading],
    articles: Mapping[str, Article],
    asked: Wanted,
    calibration: Calibration,
) -> list[Candidate]:
    """Sentences worth citing, best first, each once."""
    best: dict[tuple[str, int], Candidate] = {}
    for reading in readings:
        article = articles[reading.hit.passage.article_id]
        for candidate in _candidates_of(reading, article.text, asked, calibration):
            key = (article.id, candidate.start)
            if key not in best or best[key].score < candidate.score:
                best[key] = candidate
    ranked = sorted(best.values(), key=lambda c: (-c.score, c.article_id, c.start))
    kept: list[Candidate] = []
    for c in ranked:
        if not any(c.article_id == k.article_id and c.start < k.end and k.start < c.end for k in kept):
            kept.append(c)
    return kept


def _candidates_of(
    reading: Reading, text: str, asked: Wanted, calibration: Calibration
) -> Iterator[Candidate]:
    hit = reading.hit
    begin = hit.passage.start
    pieces = [(begin + a, begin + b) for a, b in sentences(text[begin : hit.passage.end])]
    for span, span_score in reading.spans:
        place = _sentence_around(text, pieces, span)
        if place is None or not place[0] <= span.start < span.end <= place[1]:
            continue
        held = coverage(asked, fold(text[slice(*place)]))
        signals = (
            span_score, reading.answers, hit.score, hit.coverage, hit.cosine, held, fits(asked, span.text)
        )
        score = sum(w * x for w, x in zip(calibration.ranking, signals, strict=True))
        yield Candidate(hit, *place, span, score, signals)


def evidence_of(best: Candidate) -> tuple[float, ...]:
    """1 and the ``EVIDENCE`` of a candidate."""
    signals = dict(zip(SIGNALS, best.signals, strict=True)) | {"missing": float(min(best.hit.missing, 2))}
    return 1.0, *(signals[name] for name in EVIDENCE)


def confidence(ranked: Sequence[Candidate], calibration: Calibration) -> float:
    """Calibrated probability that there is an answer; 0 where there is no candidate."""
    return logistic(calibration.confidence, evidence_of(ranked[0])) if ranked else 0.0


def probabilities(ranked: Sequence[Candidate], calibration: Calibration) -> list[float]:
    """Calibrated probability of each candidate, best first, that it answers; they sum to less than the confidence.

    The confidence, shared out by a softmax over the scores with one more place for an answer elsewhere.
    """
    if not ranked:
        return []
    weights = [math.exp(calibration.sharpness * (c.score - ranked[0].score)) for c in ranked]
    whole = confidence(ranked, calibration) / (sum(weights) + calibration.elsewhere)
    return [whole * weight for weight in weights]


def _verified(article: Article, start: int, end: int) -> str:
    quote = article.text[start:end]
    if not (0 <= start < end <= len(article.text)) or not quote.strip():
        raise AskaiError(f"引文位置不对：{article.id} {start}–{end}。请运行 askai build 重建索引。")
    return quote


def cite(article: Article, number: int, start: int, end: int, span: Span | None, score: float) -> Citation:
    """A citation whose quote and span are taken from, and so equal, the article's text."""
    quote = _verified(article, start, end)
    if span is not None and (
        not start <= span.start < span.end <= end or article.text[span.start : span.end] != span.text
    ):
        raise AskaiError(f"答案位置不对：{article.id} {span.start}–{span.end}。请运行 askai build 重建索引。")
    return Citation(
        number, article.id, article.title, article.path, start, end, quote, span, score, article.page_at(start)
    )


def citations_of(
    ranked: Sequence[Candidate],
    articles: Mapping[str, Article],
    k: int,
    calibration: Calibration,
    *,
    answered: bool,
) -> tuple[Citation, ...]:
    """The ``k`` likeliest sentences, numbered from 1, with their probabilities.

    Identical excerpts are cited once, from where the best is, and are as likely as all of them together.
    """
    best: dict[str, Candidate] = {}
    likely: dict[str, float] = {}
    for c, share in zip(ranked, probabilities(ranked, calibration), strict=True):
        quote = articles[c.article_id].text[c.start : c.end]
        best.setdefault(quote, c)
        likely[quote] = likely.get(quote, 0.0) + share
    near = [quote for quote, c in best.items() if c.score >= ranked[0].score - _FAR_BEHIND]
    return tuple(
        cite(articles[c.article_id], number, c.start, c.end, c.span if answered else None, round(likely[quote], 4))
        for number, quote in enumerate(sorted(near, key=lambda quote: -likely[quote])[:k], 1)
        for c in (best[quote],)
    )


def leading_words(question: str, citations: Sequence[Citation]) -> str:
    """What the reply opens with: the best span, or for a list the spans of all citations."""
    spans = [c.span.text for c in citations if c.span is not None]
    if not spans:
        return ""
    if wants_list(question) and len(spans[0]) < 12:
        return "；".join(dict.fromkeys(spans))
    return spans[0]


def not_found_text(citations: Sequence[Citation]) -> str:
    return NOT_FOUND + (_NEAREST if citations else "")
