"""Running text in pieces, and questions in other words: for the training of both models."""

from __future__ import annotations

import lzma
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from askai.synonyms import lexicon
from askai.text import fold


def pieces(path: Path, shortest: Callable[[], int]) -> Iterator[str]:
    """Neighbouring paragraphs of a text file, taken together until they have as many characters as asked.

    ``shortest`` is called for each piece. Lists and laws have paragraphs of a few words.
    """
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        piece, wanted = "", shortest()
        for line in map(str.strip, lines):
            piece = f"{piece}\n{line}" if piece else line
            if len(piece) >= wanted:
                whole, piece, wanted = piece, "", shortest()
                yield whole


def reword(question: str, rng: random.Random) -> str:
    """Folded; about half of the words that have stand-ins in the lexicon are replaced by them."""
    folded, out, last = fold(question), [], 0
    for start, end, numbers in lexicon().find(folded):
        if start >= last and end - start > 1 and rng.random() < 0.5:
            words = [w for n in sorted(numbers) for w in lexicon().groups[n]]
            out += [folded[last:start], rng.choice(words)]
            last = end
    return "".join([*out, folded[last:]])
