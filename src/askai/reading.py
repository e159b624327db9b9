"""What the reader's network sees: characters, the words around them, and how both sides match."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from askai.synonyms import lexicon
from askai.text import fold, sentences, words
from askai.types import Floats

PAD, UNKNOWN, MASK, SEPARATOR, ASK = range(5)
N_FEATURES = 8
MAX_QUESTION, MAX_PASSAGE = 64, 420

_FUNCTION = frozenset("的了是在有和与吗呢吧啊么什哪谁几多少怎样为何到底个这那它他她我你们?？,，。、:;!\"'()《》「」“” ")
_NUMERAL = re.compile(r"[0-9零〇一二三四五六七八九十百千万亿两]")


@dataclass(frozen=True, slots=True)
class Analysed:
    """Folded text with everything that matching needs; arrays have one entry a character."""

    text: str
    char_ids: NDArray[np.int64]
    word_ids: NDArray[np.int64]
    marks: NDArray[np.int64]
    chars: frozenset[str]
    words: frozenset[str]
    word_at: tuple[str, ...]
    bigrams: frozenset[str]
    groups_at: tuple[frozenset[int], ...]
    groups: frozenset[int]


_NONE: frozenset[int] = frozenset()


class Vocabulary:
    """Ids of characters and words, as the network was trained with them."""

    def __init__(self, chars: list[str], vocabulary: list[str]) -> None:
        self._char = {c: i for i, c in enumerate(chars)}
        self._word = {w: i for i, w in enumerate(vocabulary)}
        self._rarity = {c: i / len(chars) for i, c in enumerate(chars)}
        self.analyse = lru_cache(maxsize=4096)(self._analyse)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        loaded = json.loads(path.read_text("utf-8"))
        return cls(loaded["chars"], loaded["words"])

    def _analyse(self, text: str) -> Analysed:
        folded = fold(text)
        word_ids: list[int] = []
        marks: list[int] = []
        word_at: list[str] = []
        for word, _ in words(folded):
            n = len(word)
            word_ids += [self._word.get(word, UNKNOWN)] * n
            word_at += [word] * n
            marks += [3] if n == 1 else [0] + [1] * (n - 2) + [2]
        groups_at: list[frozenset[int]] = [_NONE] * len(folded)
        for start, end, numbers in lexicon().find(folded):
            for i in range(start, end):
                groups_at[i] = groups_at[i] | numbers
        return Analysed(
            folded,
            np.array([self._char.get(c, UNKNOWN) for c in folded], np.int64),
            np.array(word_ids, np.int64),
            np.array(marks, np.int64),
            frozenset(folded) - _FUNCTION,
            frozenset(w for w in word_at if len(w) > 1),
            tuple(word_at),
            frozenset(folded[i : i + 2] for i in range(len(folded) - 1)),
            tuple(groups_at),
            frozenset().union(*groups_at) if groups_at else _NONE,
        )

    def _matches(self, one: Analysed, other: Analysed, title: frozenset[str]) -> Floats:
        """float32 (characters of ``one``, 8): how each stands to the other side."""
        text = one.text
        out = np.zeros((len(text), N_FEATURES), np.float32)
        common = one.groups & other.groups
        bigrams = one.bigrams & other.bigrams
        for i, char in enumerate(text):
            row = out[i]
            row[0] = char in other.chars
            row[1] = one.word_at[i] in other.words
            row[2] = text[i : i + 2] in bigrams or (i > 0 and text[i - 1 : i + 1] in bigrams)
            row[3] = bool(common) and not common.isdisjoint(one.groups_at[i])
            row[4] = self._rarity.get(char, 1.0)
            row[5] = _NUMERAL.match(char) is not None
            row[6] = char in title
        return out

    def features(self, question: Analysed, passage: Analysed, title: str) -> tuple[Floats, Floats]:
        """Match features of the question's and of the passage's characters.

        Columns: character, word, bigram and synonym found on the other side; rarity; numeral;
        found in the title; share of the question found in the character's sentence (passage) or in
        the whole passage (question).
        """
        in_title = frozenset(fold(title)) - _FUNCTION
        q = self._matches(question, passage, in_title)
        p = self._matches(passage, question, in_title)
        content = question.chars
        if content:
            q[:, 7] = len(content & passage.chars) / len(content)
            for start, end in sentences(passage.text):
                p[start:end, 7] = len(content & set(passage.text[start:end])) / len(content)
        return q, p


@dataclass(frozen=True, slots=True)
class Batch:
    """Network input: int64 (B, L) four times and float32 (B, L, 8); ``offset`` is where passages begin."""

    chars: NDArray[np.int64]
    words: NDArray[np.int64]
    marks: NDArray[np.int64]
    side: NDArray[np.int64]
    features: Floats
    offset: tuple[int, ...]


def assemble(
    vocabulary: Vocabulary, items: list[tuple[Analysed, Analysed, str]]
) -> Batch:
    """``[ASK] question [SEP] passage``, padded to the longest; items are (question, passage, title)."""
    lengths = [2 + len(q.text) + len(p.text) for q, p, _ in items]
    # Even: the network takes characters in pairs.
    shape = (len(items), -(-max(lengths) // 2) * 2)
    chars, word_ids, side = (np.zeros(shape, np.int64) for _ in range(3))
    marks = np.full(shape, 3, np.int64)
    features = np.zeros((*shape, N_FEATURES), np.float32)
    offsets = []
    for row, (q, p, title) in enumerate(items):
        n, begin = len(q.text), len(q.text) + 2
        end = begin + len(p.text)
        chars[row, 0], chars[row, n + 1] = ASK, SEPARATOR
        word_ids[row, 0] = word_ids[row, n + 1] = UNKNOWN
        for target, of_q, of_p in (
            (chars, q.char_ids, p.char_ids), (word_ids, q.word_ids, p.word_ids), (marks, q.marks, p.marks)
        ):
            target[row, 1 : n + 1], target[row, begin:end] = of_q, of_p
        side[row, begin:end] = 1
        of_question, of_passage = vocabulary.features(q, p, title)
        features[row, 1 : n + 1], features[row, begin:end] = of_question, of_passage
        offsets.append(begin)
    return Batch(chars, word_ids, marks, side, cast(Floats, features), tuple(offsets))
