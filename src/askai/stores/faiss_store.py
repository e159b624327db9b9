"""The default vector store: exact inner-product search by FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import faiss
import numpy as np

from askai.errors import IndexDamaged
from askai.types import Floats, Ints


class FaissStore:
    """A flat FAISS index, one thread to a question (several are slower on a busy machine)."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        faiss.omp_set_num_threads(1)

    @classmethod
    def build(cls, vectors: Floats) -> FaissStore:
        """``vectors`` float32 (n, dimensions), rows of unit length; row numbers are the ids."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors))
        return cls(index)

    def save(self, path: Path) -> None:
        # Serialised here and written by Python: faiss cannot open non-ASCII paths on Windows.
        path.write_bytes(faiss.serialize_index(self._index).tobytes())

    @classmethod
    def load(cls, path: Path) -> FaissStore:
        """Raises ``IndexDamaged`` where the file is not a FAISS index."""
        try:
            return cls(faiss.deserialize_index(np.frombuffer(path.read_bytes(), np.uint8)))
        except (OSError, RuntimeError, ValueError) as error:
            raise IndexDamaged(f"向量索引 {path} 已损坏（{error}）。请运行 askai build 重建。") from error

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

    def search(self, query: Floats, k: int) -> tuple[Ints, Floats]:
        k = min(k, len(self))
        if k < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        scores, rows = self._index.search(query[None, :], k)
        return cast(Ints, rows[0]), cast(Floats, scores[0])
