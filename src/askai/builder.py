"""Articles to the parts of a segment: passages, vectors and counted units, block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from askai.encoder import StaticEncoder
from askai.lexical import Array, Postings, merge as merge_postings
from askai.passages import split
from askai.segments import Entry, Parts, article_digest, load_array
from askai.text import fold, units
from askai.types import Article, Encoder, Floats, Passage

_BLOCK = 512
_SMALL_BLOCK = 32
"""Passages handed to an encoder at a time; fewer where one is slow, so that a build can be cancelled."""


def indexed_text(article: Article, passage: Passage) -> str:
    """What is searched for a passage: the article's title, the nearest heading, the text."""
    return "\n".join((article.title, passage.heading, article.text[passage.start : passage.end]))


def text_digest(text: str) -> int:
    """The 64-bit number that a passage's searched text is known by."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class KnownVectors:
    """Vectors of the segments that are there, found by the digest of their passage's text."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Reads the digests; of the vectors only the rows that are asked for."""
        self._blocks = [load_array(folder, "vectors", lazily=True) for folder in folders]
        digests = [load_array(folder, "digests") for folder in folders]
        joined = np.concatenate([np.empty(0, np.uint64), *digests])
        self._order = np.argsort(joined, kind="stable")
        self._digests = joined[self._order]
        self._first = np.concatenate([[0], np.cumsum([len(d) for d in digests])]).astype(np.int64)

    def fill(self, digests: Array, out: Floats) -> Array:
        """Copy the vectors that are known into their rows of ``out``; returns the other rows."""
        at = np.minimum(np.searchsorted(self._digests, digests), max(0, len(self._digests) - 1))
        if not len(self._digests):
            return np.arange(len(digests))
        known = self._digests[at] == digests
        for row in np.flatnonzero(known).tolist():
            place = int(self._order[at[row]])
            block = int(np.searchsorted(self._first, place, "right")) - 1
            out[row] = self._blocks[block][place - self._first[block]]
        return np.flatnonzero(~known)


class Builder:
    """Articles to the parts of a segment, in blocks: no more than a block's texts are held at a time."""

    def __init__(
        self,
        encoder: Encoder,
        keep: Callable[[Article], object],
        known: KnownVectors | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        """``keep`` is handed each article; ``between`` is called while passages are encoded."""
        self._encoder, self._keep, self._known, self._between = encoder, keep, known, between
        self._catalogue: list[Entry] = []
        self._headings: dict[str, int] = {"": 0}
        self._texts: list[str] = []
        self._rows: list[tuple[int, int, int, int]] = []
        self._tables: list[Array] = []
        self._digests: list[Array] = []
        self._vectors: list[Floats] = []
        self._postings: list[Postings] = []
        self.encoded = 0

    def add(self, article: Article, digest: str | None = None) -> Entry:
        """Take an article in; ``digest`` saves working out its digest again."""
        passages = split(article)
        number = len(self._catalogue)
        for p in passages:
            heading = self._headings.setdefault(p.heading, len(self._headings))
            self._rows.append((number, p.start, p.end, heading))
            self._texts.append(indexed_text(article, p))
            if len(self._texts) == _BLOCK:
                self._flush()
        self._keep(article)
        entry = Entry(
            article.id, article.title, article.path, len(article.text), len(passages),
            digest or article_digest(article),
        )  # fmt: skip
        self._catalogue.append(entry)
        return entry

    def _flush(self) -> None:
        if not self._texts:
            return
        folded = [fold(text) for text in self._texts]
        bags = [list(units(text)) for text in folded]
        self._postings.append(Postings.of(bags))
        digests = np.array([text_digest(text) for text in self._texts], np.uint64)
        self._vectors.append(self._encode(digests, folded, bags))
        self._tables.append(np.array(self._rows, np.int32))
        self._digests.append(digests)
        self._texts, self._rows = [], []

    def _encode(self, digests: Array, folded: Sequence[str], bags: Sequence[Sequence[str]]) -> Floats:
        """Vectors of a block's passages, those that are known taken over."""
        out = np.zeros((len(digests), self._encoder.dimensions), np.float32)
        missing = self._known.fill(digests, out) if self._known else np.arange(len(digests))
        step = _BLOCK if isinstance(self._encoder, StaticEncoder) else _SMALL_BLOCK
        for begin in range(0, len(missing), step):
            chosen = missing[begin : begin + step]
            if isinstance(self._encoder, StaticEncoder):
                # The units are at hand from the keyword index: cut the text only once.
                made = self._encoder.encode_units([bags[n] for n in chosen], [folded[n] for n in chosen])
            else:
                made = self._encoder.encode_passages([self._texts[n] for n in chosen])
            out[chosen] = made
            self._between()
        self.encoded += len(missing)
        return out

    def finish(self) -> Parts:
        """The parts of all articles that were added."""
        self._flush()
        first, parts = 0, []
        for block in self._postings:
            parts.append((block, np.arange(first, first + len(block.lengths))))
            first += len(block.lengths)
        return Parts(
            self._catalogue,
            list(self._headings),
            np.concatenate([np.empty((0, 4), np.int32), *self._tables]),
            np.concatenate([np.empty(0, np.uint64), *self._digests]),
            self._vectors,
            merge_postings(parts, first),
        )
