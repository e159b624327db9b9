"""The retriever: keyword and vector search over passages, fused, near-duplicates dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from askai.builder import indexed_text
from askai.evidence import Wanted, coverage, informative, missing, wanted
from askai.index import Index
from askai.synonyms import lexicon
from askai.text import fold, units
from askai.types import Encoder, Floats, Hit

Leg = Literal["fused", "bm25", "dense"]

# Weights of the fusion: near the best of a grid of 12 on all our held-out questions, with DuReader
# robust and CMRC dev in view (training/README.md).
SYNONYM_WEIGHT = 0.5
DENSE_WEIGHT = 1.5
_POOL = 60
_DUPLICATE = 0.9
_COMPARED, _ALIKE = 20, 0.9
_AROUND = 3000
EXAMINED = 12
"""Hits whose words are compared with the question's; no others are read."""
# Which of them are read: training/README.md has the figures.
CLEAR, NEAR, FAR = 0.6, 0.6, 2.0


def _top(scores: Floats, k: int) -> list[int]:
    if k >= len(scores):
        return list(range(len(scores)))
    return cast(list[int], np.argpartition(-scores, k)[:k].tolist())


def lexical_scores(index: Index, question: str) -> tuple[Floats, Floats]:
    """BM25 of the question's own units and of its words' stand-ins, float32 (passages,) each.

    Both are divided by the best BM25 score, so that they weigh the same for every question.
    """
    whole = fold(question)
    # 多少钱 would find every passage that has it, whatever costs how much there.
    bag = list(units(informative(whole))) or list(units(whole))
    own = index.lexical.scores(bag)
    stand_ins = index.lexical.expanded_scores(lexicon().alternatives(whole))
    scale = max(float(own.max(initial=0.0)), float(stand_ins.max(initial=0.0)) * SYNONYM_WEIGHT, 1e-6)
    return cast(Floats, own / scale), cast(Floats, stand_ins / scale)


def retrieve(
    index: Index, encoder: Encoder, question: str, k: int = 50, leg: Leg = "fused"
) -> list[Hit]:
    """The ``k`` best passages for a question, best first.

    The fused score is a weighted sum of scaled BM25, BM25 of stand-ins and the cosine (a convex
    combination, which Bruch et al. 2023 found better than reciprocal ranks). ``leg`` ranks by one
    part alone, for evaluation.
    """
    if not len(index):
        return []
    own, stand_ins = lexical_scores(index, question)
    query = encoder.encode_question(question)
    rows_dense, cosine = index.vectors.search(query, _POOL)
    keyword = own + SYNONYM_WEIGHT * stand_ins
    if leg == "bm25":
        rows, scores = np.array(_top(own, _POOL)), own
    elif leg == "dense":
        rows, scores = rows_dense, np.zeros(len(index), np.float32)
        scores[rows_dense] = cosine
    else:
        rows = np.union1d(_top(keyword, _POOL), rows_dense)
        scores = keyword.copy()
        scores[rows] = _fused(index, keyword, query, rows.tolist())
    ranked = sorted((int(row) for row in rows), key=lambda row: (-scores[row], row))
    ranked = _without_duplicates(index, ranked)[:k]
    asked = wanted(question, index.lexical.idf)
    return [
        _hit(index, row, float(scores[row]), query, asked if place < EXAMINED else None)
        for place, row in enumerate(ranked)
    ]


def hits_at(index: Index, encoder: Encoder, question: str, rows: Sequence[int]) -> list[Hit]:
    """These passages as hits, wherever the search has them, scored and examined as the best are."""
    own, stand_ins = lexical_scores(index, question)
    query, asked = encoder.encode_question(question), wanted(question, index.lexical.idf)
    scores = _fused(index, own + SYNONYM_WEIGHT * stand_ins, query, rows)
    return [_hit(index, row, float(score), query, asked) for row, score in zip(rows, scores, strict=True)]


def _fused(index: Index, keyword: Floats, query: Floats, rows: Sequence[int]) -> Floats:
    """Fused scores of these passages, float32 (rows,); ``keyword`` has the scores of all."""
    if not rows:
        return np.zeros(0, np.float32)
    vectors = np.stack([index.vectors.vector(row) for row in rows])
    return cast(Floats, keyword[list(rows)] + DENSE_WEIGHT * (vectors @ query))


def _hit(index: Index, row: int, score: float, query: Floats, asked: Wanted | None) -> Hit:
    passage = index.passage(row)
    if asked is None:
        return Hit(row, passage, score)
    folded = fold(indexed_text(index.articles[passage.article_id], passage))
    cosine = float(index.vectors.vector(row) @ query)
    lacking = missing(asked, folded)
    if lacking:
        # A text names somebody once and says "she" or the family name from there on.
        text = index.articles[passage.article_id].text
        lacking = missing(asked, fold(text[max(0, passage.start - _AROUND) : passage.end + _AROUND]))
    return Hit(row, passage, score, coverage(asked, folded), cosine, lacking)


def promising(hits: Sequence[Hit]) -> list[Hit]:
    """The hits that are worth reading: those not far behind the best, more where it holds little.

    Reading is what a question's time goes into, and most questions have a clear best passage.
    """
    if not hits:
        return []
    clear = hits[0].coverage >= CLEAR
    reach = NEAR if clear else FAR
    return [hit for hit in hits[:EXAMINED] if hit.score >= hits[0].score - reach]


def _without_duplicates(index: Index, rows: list[int]) -> list[int]:
    """Drop a passage whose bigrams are nearly all those of a better one (of the 20 best)."""
    best = rows[:_COMPARED]
    vectors = np.stack([index.vectors.vector(row) for row in best])
    # Texts that share nearly all bigrams have nearly the same vector: only such pairs are compared.
    alike = np.triu(vectors @ vectors.T > _ALIKE, 1)
    dropped: set[int] = set()
    for one, other in np.argwhere(alike).tolist():
        if one not in dropped and other not in dropped:
            a, b = (_bigrams(index, best[i]) for i in (one, other))
            if len(a & b) > _DUPLICATE * len(a | b):
                dropped.add(other)
    return [row for place, row in enumerate(rows) if place not in dropped]


def _bigrams(index: Index, row: int) -> set[str]:
    text = fold(index.text(index.passage(row))).strip()
    return {text[i : i + 2] for i in range(len(text) - 1)}
