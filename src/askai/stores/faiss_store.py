"""Vectors by row number: exact inner-product search by FAISS, over one or more segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from askai.types import Floats, Ints


class FaissStore:
    """A flat FAISS index, one thread to a question (several are slower on a busy machine)."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        faiss.omp_set_num_threads(1)

    @classmethod
    def build(cls, vectors: Floats) -> FaissStore:
        """``vectors`` float32 (n, dimensions), rows of unit length; row numbers are the ids.

        Raises ``ValueError`` for an array of another shape.
        """
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise ValueError("向量的形状不对")
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors))
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    def vectors(self) -> Floats:
        """float32 (n, dimensions), a copy."""
        return cast(Floats, self._index.reconstruct_n(0, len(self)))

    def vector(self, row: int) -> Floats:
        return cast(Floats, self._index.reconstruct(row))

    def search(
        self, query: Floats, k: int, among: NDArray[np.bool_] | None = None
    ) -> tuple[Ints, Floats]:
        """Rows and scores of the ``k`` best, best first; only rows ``among`` (bool (n,)) where given."""
        k = min(k, len(self))
        if k < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if among is None:
            scores, rows = self._index.search(query[None, :], k)
            return cast(Ints, rows[0]), cast(Floats, scores[0])
        bits = np.packbits(among, bitorder="little")
        selected = faiss.IDSelectorBitmap(bits.size, faiss.swig_ptr(bits))
        chosen = faiss.SearchParameters(sel=selected)  # type: ignore[call-arg]
        scores, rows = self._index.search(query[None, :], k, params=chosen)
        found = rows[0] >= 0
        return cast(Ints, rows[0][found]), cast(Floats, scores[0][found])


class SegmentedStore:
    """The stores of several segments as one; some of their rows may be out of force."""

    def __init__(
        self, parts: Sequence[tuple[FaissStore, NDArray[Any]]], size: int, dimensions: int
    ) -> None:
        """The array beside each store gives its vectors' rows, int (n,); -1 is out of force."""
        self._parts = [(store, place, place >= 0) for store, place in parts]
        self._whole = [bool(among.all()) for _, _, among in self._parts]
        self.dimensions = dimensions
        self._part_of, self._row_in = np.zeros(size, np.int32), np.zeros(size, np.int32)
        for number, (_, place, among) in enumerate(self._parts):
            self._part_of[place[among]] = number
            self._row_in[place[among]] = np.flatnonzero(among)

    def __len__(self) -> int:
        return len(self._part_of)

    def vectors(self) -> Floats:
        """float32 (n, dimensions), a copy."""
        out = np.empty((len(self), self.dimensions), np.float32)
        for store, place, among in self._parts:
            out[place[among]] = store.vectors()[among]
        return out

    def vector(self, row: int) -> Floats:
        store, _, _ = self._parts[int(self._part_of[row])]
        return store.vector(int(self._row_in[row]))

    def search(self, query: Floats, k: int) -> tuple[Ints, Floats]:
        """Rows and scores of the ``k`` best, best first, the lower row on a tie."""
        rows, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for (store, place, among), whole in zip(self._parts, self._whole, strict=True):
            found, values = store.search(query, k, None if whole else among)
            rows.append(place[found].astype(np.int64))
            scores.append(values)
        every, values = np.concatenate(rows), np.concatenate(scores)
        best = np.lexsort((every, -values))[:k]
        return every[best], values[best]
