"""Keyword search: BM25 over words, Han bigrams and codes, with everyday words standing for formal ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import bm25s
import numpy as np

from askai.errors import IndexDamaged
from askai.text import units
from askai.types import Floats

K1, B = 0.9, 0.4


class LexicalIndex:
    """BM25 scores of every passage for a bag of units, by bm25s (Lù 2024), Lucene's variant."""

    def __init__(self, bm25: bm25s.BM25, size: int) -> None:
        self._bm25 = bm25
        self._size = size

    @classmethod
    def build(cls, bags: Sequence[Sequence[str]]) -> LexicalIndex:
        """Index the units of each passage, in the order of the passages."""
        bm25 = bm25s.BM25(k1=K1, b=B, method="lucene")
        vocabulary: dict[str, int] = {}
        ids = [[vocabulary.setdefault(u, len(vocabulary)) for u in bag] for bag in bags]
        if not vocabulary:
            # bm25s cannot index nothing at all: one unit that no question has.
            vocabulary[""] = 0
            ids = [[0] for _ in bags] or [[0]]
        bm25.index((ids, vocabulary), create_empty_token=False, show_progress=False)
        return cls(bm25, len(bags))

    def save(self, folder: Path) -> None:
        self._bm25.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path, size: int) -> LexicalIndex:
        """Raises ``IndexDamaged`` where the files cannot be read."""
        try:
            return cls(bm25s.BM25.load(folder), size)
        except (OSError, ValueError, KeyError) as error:
            raise IndexDamaged(f"关键词索引 {folder} 已损坏（{error}）。请运行 askai build 重建。") from error

    def idf(self, units_: Sequence[str]) -> list[float]:
        """Lucene's inverse document frequency of each unit; the highest for one no passage holds."""
        pointers = self._bm25.scores["indptr"]
        vocabulary = self._bm25.vocab_dict
        out = []
        for unit in units_:
            number = vocabulary.get(unit)
            n = 0 if number is None else int(pointers[number + 1] - pointers[number])
            out.append(math.log(1 + (self._size - n + 0.5) / (n + 0.5)))
        return out

    def scores(self, bag: Sequence[str]) -> Floats:
        """float32 (passages,); units that no passage holds count for nothing."""
        known = [u for u in bag if u in self._bm25.vocab_dict]
        if not known:
            return np.zeros(self._size, np.float32)
        return cast(Floats, self._bm25.get_scores(known))

    def expanded_scores(self, alternatives: Sequence[Sequence[str]]) -> Floats:
        """float32 (passages,): for each group of stand-ins the best one's score, summed over groups."""
        total = np.zeros(self._size, np.float32)
        for group in alternatives:
            best = np.zeros(self._size, np.float32)
            for phrase in group:
                bag = list(units(phrase))
                if bag and all(u in self._bm25.vocab_dict for u in bag):
                    np.maximum(best, self.scores(bag) / len(bag), out=best)
            total += best
        return total
