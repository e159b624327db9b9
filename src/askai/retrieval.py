"""The retriever: keyword and vector search over passages, fused, near-duplicates dropped."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np

from askai.index import Index
from askai.synonyms import lexicon
from askai.text import fold, units
from askai.types import Encoder, Floats, Hit

Leg = Literal["fused", "bm25", "dense"]

# Weights of the fusion: near the best of a grid of 12 on all our held-out questions, with DuReader
# robust and CMRC dev in view (training/README.md).
SYNONYM_WEIGHT = 0.5
DENSE_WEIGHT = 1.0
_POOL = 60
_DUPLICATE = 0.9


def _top(scores: Floats, k: int) -> list[int]:
    if k >= len(scores):
        return list(range(len(scores)))
    return cast(list[int], np.argpartition(-scores, k)[:k].tolist())


def lexical_scores(index: Index, question: str) -> tuple[Floats, Floats]:
    """BM25 of the question's own units and of its words' stand-ins, float32 (passages,) each.

    Both are divided by the best BM25 score, so that they weigh the same for every question.
    """
    folded = fold(question)
    own = index.lexical.scores(list(units(folded)))
    stand_ins = index.lexical.expanded_scores(lexicon().alternatives(folded))
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
        vectors = np.stack([index.vectors.vector(int(row)) for row in rows])
        scores[rows] += DENSE_WEIGHT * (vectors @ query)
    ranked = sorted((int(row) for row in rows), key=lambda row: (-scores[row], row))
    hits = [Hit(row, index.passage(row), float(scores[row])) for row in ranked]
    return _without_duplicates(index, hits)[:k]


def _without_duplicates(index: Index, hits: list[Hit]) -> list[Hit]:
    """Drop a passage whose bigrams are nearly all those of a better one (of the 20 best)."""
    kept: list[Hit] = []
    seen: list[set[str]] = []
    for position, hit in enumerate(hits):
        if position < 20:
            text = fold(index.text(hit.passage)).strip()
            grams = {text[i : i + 2] for i in range(len(text) - 1)}
            if any(len(grams & other) > _DUPLICATE * len(grams | other) for other in seen):
                continue
            seen.append(grams)
        kept.append(hit)
    return kept
