"""Readings to a cited answer, or to "not found". Every excerpt is checked against its article."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from askai.errors import AskaiError
from askai.text import sentences
from askai.types import Article, Citation, Reading, Span

NOT_FOUND = "这些文章里没有找到这个问题的答案。"
_NEAREST = "下面是最接近的几处原文，供参考。"
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]")
_MARKER = re.compile(r"[\s>]*(?:[-*+•·][ \t]+|\d{1,3}[.)、][ \t]*)?")
_LIST = re.compile(r"哪些|哪几|有谁|几种|分别|列出|都有(?:什么|谁)|包括什么|还有谁")


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores become probabilities; fitted by ``training/calibrate.py``.

    ``confidence`` weighs [1, best span, answerability, retrieval, margin to the next sentence];
    ``threshold`` is the confidence under which the reply declines.
    """

    confidence: tuple[float, ...]
    threshold: float
    answers_weight: float
    retrieval_weight: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be cited, with the best answering span in it."""

    article_id: str
    start: int
    end: int
    span: Span
    score: float
    span_score: float
    answers: float
    retrieval: float


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))


def bonus(reading: Reading, calibration: Calibration) -> float:
    """What a passage's own signals add to the score of every span in it."""
    return (
        calibration.answers_weight * reading.answers
        + calibration.retrieval_weight * reading.hit.score
    )


def _sentence_around(
    text: str, pieces: Sequence[tuple[int, int]], span: Span
) -> tuple[int, int] | None:
    """The sentences that the span touches, without list marks and outer space; None in a heading.

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
    return start, end


def candidates(
    readings: Sequence[Reading], articles: Mapping[str, Article], calibration: Calibration
) -> list[Candidate]:
    """Sentences worth citing, best first, each once."""
    best: dict[tuple[str, int], Candidate] = {}
    for reading in readings:
        article_id = reading.hit.passage.article_id
        text = articles[article_id].text
        passage = reading.hit.passage
        pieces = [
            (passage.start + a, passage.start + b)
            for a, b in sentences(text[passage.start : passage.end])
        ]
        extra = bonus(reading, calibration)
        for span, span_score in reading.spans:
            place = _sentence_around(text, pieces, span)
            if place is None or not place[0] <= span.start < span.end <= place[1]:
                continue
            found = Candidate(
                article_id, *place, span, span_score + extra, span_score, reading.answers,
                reading.hit.score,
            )
            key = (article_id, place[0])
            if key not in best or best[key].score < found.score:
                best[key] = found
    ranked = sorted(best.values(), key=lambda c: (-c.score, c.article_id, c.start))
    kept: list[Candidate] = []
    for c in ranked:
        if not any(c.article_id == k.article_id and c.start < k.end and k.start < c.end for k in kept):
            kept.append(c)
    return kept


def signals(ranked: Sequence[Candidate]) -> list[float]:
    """What confidence is judged by: [1, span, answerability, retrieval, margin] of the best sentence."""
    best = ranked[0]
    margin = best.score - ranked[1].score if len(ranked) > 1 else 3.0
    return [1.0, best.span_score, best.answers, best.retrieval, min(margin, 8.0)]


def confidence(ranked: Sequence[Candidate], calibration: Calibration) -> float:
    """Calibrated probability that the best sentence answers; 0 where there is none."""
    if not ranked:
        return 0.0
    logit = sum(w * x for w, x in zip(calibration.confidence, signals(ranked), strict=True))
    return _logistic(logit)


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
    ranked: Sequence[Candidate], articles: Mapping[str, Article], k: int, *, answered: bool
) -> tuple[Citation, ...]:
    """The ``k`` best sentences, numbered from 1; identical excerpts are cited once."""
    out: list[Citation] = []
    seen: set[str] = set()
    for c in ranked:
        article = articles[c.article_id]
        quote = article.text[c.start : c.end]
        if len(out) == k or quote in seen:
            continue
        seen.add(quote)
        score = _logistic(c.score)
        out.append(
            cite(article, len(out) + 1, c.start, c.end, c.span if answered else None, round(score, 4))
        )
    return tuple(out)


def leading_words(question: str, citations: Sequence[Citation]) -> str:
    """What the reply opens with: the best span, or for a list the spans of all citations."""
    spans = [c.span.text for c in citations if c.span is not None]
    if not spans:
        return ""
    if _LIST.search(question) and len(spans[0]) < 12:
        strong = [
            c.span.text
            for c in citations
            if c.span is not None and c.score > 0.5 * citations[0].score
        ]
        return "；".join(dict.fromkeys(strong)) or spans[0]
    return spans[0]


def not_found_text(citations: Sequence[Citation]) -> str:
    return NOT_FOUND + (_NEAREST if citations else "")
