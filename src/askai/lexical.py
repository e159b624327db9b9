"""Keyword search: BM25 worked out when a question comes, over postings that are never rewritten.

Only what no other article can change is stored: which passage holds which unit how often, and how
long each passage is. How rare a unit is and how long passages are on average follow from all
segments together, so that many small segments score exactly as one large one would.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from askai.text import units
from askai.types import Floats

K1, B = 0.9, 0.4
_CHUNK = 1 << 21
_MOST = np.iinfo(np.uint16).max
Array = NDArray[Any]


@lru_cache(maxsize=1 << 18)
def unit_digest(unit: str) -> int:
    """The 64-bit number under which a unit is stored: a fixed width keeps vocabularies sorted arrays."""
    return int.from_bytes(hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8).digest())


@lru_cache(maxsize=1 << 16)
def _phrase(phrase: str) -> tuple[int, ...]:
    """Digests of a stand-in's units; the lexicon is finite, so each phrase is cut once."""
    return tuple(unit_digest(unit) for unit in units(phrase))


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Where each unit stands, by unit.

    ``units`` uint64 (units,) ascending digests; ``starts`` int64 (units + 1,): the unit's entries are
    ``rows[starts[i]:starts[i + 1]]``, int32, with ``counts``, uint16; ``lengths`` int32 (passages,),
    in units. No unit is without entries.
    """

    units: Array
    starts: Array
    rows: Array
    counts: Array
    lengths: Array

    @classmethod
    def of(cls, bags: Sequence[Sequence[str]]) -> Postings:
        """Count the units of each passage, in the order of the passages."""
        numbers: dict[str, int] = {}
        flat = np.array([numbers.setdefault(u, len(numbers)) for bag in bags for u in bag], np.int64)
        lengths = np.array([len(bag) for bag in bags], np.int32)
        digests, rank = np.unique(
            np.array([unit_digest(u) for u in numbers], np.uint64), return_inverse=True
        )
        places = rank[flat] * max(1, len(bags)) + np.repeat(np.arange(len(bags)), lengths)
        places, counts = np.unique(places, return_counts=True)
        owners, rows = np.divmod(places, max(1, len(bags)))
        starts = np.searchsorted(owners, np.arange(len(digests) + 1))
        return cls(
            digests, starts.astype(np.int64), rows.astype(np.int32),
            np.minimum(counts, _MOST).astype(np.uint16), lengths,
        )

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Ranges of units whose entries are few enough to work on at once."""
        first = 0
        while first < len(self.units):
            last = int(np.searchsorted(self.starts, self.starts[first] + _CHUNK, "right")) - 1
            yield first, max(first + 1, last)
            first = max(first + 1, last)

    def faults(self) -> list[str]:
        """What is wrong with these arrays, in Chinese; nothing where they fit together."""
        entries, size = len(self.rows), len(self.lengths)
        shapes = len(self.starts) == len(self.units) + 1 and entries == len(self.counts)
        if not shapes or self.starts[0] != 0 or self.starts[-1] != entries:
            return ["词表与出现位置的条数不一致"]
        if np.any(np.diff(self.starts) < 1) or np.any(self.units[1:] <= self.units[:-1]):
            return ["词表没有按次序排列"]
        if entries and (self.rows.min() < 0 or self.rows.max() >= size):
            return ["词的出现位置超出了段落范围"]
        held = np.bincount(self.rows, weights=self.counts, minlength=size) if entries else np.zeros(size)
        return [] if np.array_equal(held, self.lengths) else ["段落的词数与词的出现次数不一致"]


def merge(parts: Sequence[tuple[Postings, Array]], size: int) -> Postings:
    """Postings of several segments as one over ``size`` passages.

    The array beside each says where its passages come to stand, int (passages,); -1 leaves one out.
    Works on a few million entries at a time: what it needs beside its result is small.
    """
    all_units = np.unique(np.concatenate([np.empty(0, np.uint64), *(p.units for p, _ in parts)]))
    held = np.zeros(len(all_units), np.int64)
    for part, place in parts:
        numbers = np.searchsorted(all_units, part.units)
        for first, last in part.chunks():
            held[numbers[first:last]] += _taken(part, place, first, last)[2]
    keep = held > 0
    starts = np.concatenate([[0], np.cumsum(held[keep])]).astype(np.int64)
    filled = np.zeros(len(all_units), np.int64)
    filled[keep] = starts[:-1]
    rows, counts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.uint16)
    lengths = np.zeros(size, np.int32)
    for part, place in parts:
        numbers = np.searchsorted(all_units, part.units)
        for first, last in part.chunks():
            chosen, entries, taken, owners = _taken(part, place, first, last)
            own = numbers[first:last]
            where = filled[own][owners] + np.arange(len(owners)) - (np.cumsum(taken) - taken)[owners]
            rows[where], counts[where] = chosen, entries
            filled[own] += taken
        lengths[place[place >= 0]] = part.lengths[place >= 0]
    return Postings(all_units[keep], starts, rows, counts, lengths)


def _taken(part: Postings, place: Array, first: int, last: int) -> tuple[Array, Array, Array, Array]:
    """Rows, counts, number by unit and unit of the entries of some units that are not left out."""
    low, high = int(part.starts[first]), int(part.starts[last])
    rows, counts = place[part.rows[low:high]], np.asarray(part.counts[low:high])
    owners = np.repeat(np.arange(last - first), np.diff(part.starts[first : last + 1]))
    if rows.size and rows.min() < 0:
        alive = rows >= 0
        rows, counts, owners = rows[alive], counts[alive], owners[alive]
    return rows, counts, np.bincount(owners, minlength=last - first), owners


class LexicalIndex:
    """BM25 (Lucene's variant) of every passage for a bag of units, over one or more segments."""

    def __init__(self, parts: Sequence[tuple[Postings, Array]], size: int) -> None:
        """The array beside each part gives its passages' rows in the index; -1 is a removed one."""
        self._parts = [(p, np.asarray(place, np.int32), bool((place < 0).any())) for p, place in parts]
        self._size = size
        lengths = np.zeros(size, np.int64)
        for part, place in parts:
            lengths[place[place >= 0]] = part.lengths[place >= 0]
        # From whole numbers, so that the same passages give the same mean in whatever segments.
        self.total_units = int(lengths.sum())
        mean = self.total_units / size if self.total_units else 1.0
        self._norms = (K1 * (1 - B + B * lengths / mean)).astype(np.float32)

    @classmethod
    def build(cls, bags: Sequence[Sequence[str]]) -> LexicalIndex:
        """Index the units of each passage, in the order of the passages."""
        return cls([(Postings.of(bags), np.arange(len(bags)))], len(bags))

    def _entries(self, digests: Sequence[int]) -> tuple[Array, Array, Array]:
        """Rows and impacts of the entries of each unit, one unit after the other, and where each ends."""
        wanted = np.array(digests, np.uint64)
        found: list[list[tuple[Array, Array]]] = [[] for _ in digests]
        for part, place, has_removed in self._parts:
            if not len(part.units):
                continue
            at = np.minimum(np.searchsorted(part.units, wanted), len(part.units) - 1)
            for number in np.flatnonzero(part.units[at] == wanted).tolist():
                low, high = part.starts[at[number]], part.starts[at[number] + 1]
                rows, counts = place[part.rows[low:high]], part.counts[low:high]
                if has_removed:
                    alive = rows >= 0
                    rows, counts = rows[alive], counts[alive]
                found[number].append((rows, counts))
        held = np.array([sum(len(rows) for rows, _ in pieces) for pieces in found], np.int64)
        if not held.sum():
            return np.empty(0, np.int32), np.empty(0, np.float32), np.zeros(len(digests), np.int64)
        rows = np.concatenate([rows for pieces in found for rows, _ in pieces])
        counts = np.concatenate([counts for pieces in found for _, counts in pieces]).astype(np.float32)
        rarity = np.log1p((self._size - held + 0.5) / (held + 0.5)).astype(np.float32)
        impacts = np.repeat(rarity, held) * (counts / (counts + self._norms[rows]))
        return rows, impacts, np.cumsum(held)

    def idf(self, units_: Sequence[str]) -> list[float]:
        """Lucene's inverse document frequency of each unit; the highest for one no passage holds."""
        _, _, ends = self._entries([unit_digest(unit) for unit in units_])
        held = np.diff(ends, prepend=0)
        return cast(list[float], np.log1p((self._size - held + 0.5) / (held + 0.5)).tolist())

    def scores(self, bag: Sequence[str]) -> Floats:
        """float32 (passages,); units that no passage holds count for nothing."""
        times = Counter(map(unit_digest, bag))
        rows, impacts, ends = self._entries(list(times))
        if not len(rows):
            return np.zeros(self._size, np.float32)
        weights = np.repeat(np.array(list(times.values()), np.float32), np.diff(ends, prepend=0))
        return np.bincount(rows, weights * impacts, self._size).astype(np.float32)

    def expanded_scores(self, alternatives: Sequence[Sequence[str]]) -> Floats:
        """float32 (passages,): for each group of stand-ins the best one's score, summed over groups.

        A phrase counts only where all of its units occur; its score is divided by their number.
        Touches the passages that hold a unit of a phrase, and no others.
        """
        total = np.zeros(self._size, np.float32)
        groups = [[p for p in map(_phrase, group) if p] for group in alternatives]
        wanted = list(dict.fromkeys(d for group in groups for phrase in group for d in phrase))
        known = self._known(wanted)
        groups = [[p for p in group if known.issuperset(p)] for group in groups]
        wanted = list(dict.fromkeys(d for group in groups for phrase in group for d in phrase))
        rows, impacts, ends = self._entries(wanted)
        begins = np.concatenate([[0], ends]).tolist()
        entries = {
            digest: (rows[begins[n] : begins[n + 1]], impacts[begins[n] : begins[n + 1]])
            for n, digest in enumerate(wanted)
        }
        best, sums = np.zeros(self._size, np.float32), np.zeros(self._size, np.float32)
        for group in groups:
            touched: list[Array] = []
            for phrase in group:
                pieces = [entries[digest] for digest in phrase]
                if all(len(piece[0]) for piece in pieces):
                    touched.append(_raise(best, sums, pieces))
            if touched:
                # A row that stands there twice gets the same sum twice.
                seen = np.concatenate(touched)
                total[seen] = total[seen] + best[seen]
                best[seen] = 0
        return total

    def _known(self, digests: Sequence[int]) -> frozenset[int]:
        """Those of the units that any segment holds, were it in a removed passage."""
        wanted = np.array(digests, np.uint64)
        known: set[int] = set()
        for part, _, _ in self._parts:
            if len(part.units):
                at = np.minimum(np.searchsorted(part.units, wanted), len(part.units) - 1)
                known.update(cast(list[int], wanted[part.units[at] == wanted].tolist()))
        return frozenset(known)


def _raise(best: Array, sums: Array, pieces: Sequence[tuple[Array, Array]]) -> Array:
    """Raise ``best`` to a phrase's score where it is better; returns the rows that were looked at."""
    if len(pieces) == 1:
        rows, impacts = pieces[0]
        best[rows] = np.maximum(best[rows], impacts)
        return rows
    for rows, impacts in pieces:
        sums[rows] += impacts
    seen = np.concatenate([rows for rows, _ in pieces])
    best[seen] = np.maximum(best[seen], sums[seen] / np.float32(len(pieces)))
    sums[seen] = 0
    return seen
