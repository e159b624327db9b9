"""Running text in pieces, and questions in other words or with a slip of the pen: for the training of both models."""

from __future__ import annotations

import lzma
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
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


@cache
def _homophones() -> dict[str, str]:
    """The 3,755 common characters of GB 2312, each with those that sound the same but for the tone."""
    from pypinyin import lazy_pinyin

    common = [bytes((high, low)).decode("gb2312", "ignore") for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF)]
    by_sound: dict[str, list[str]] = defaultdict(list)
    for char in filter(None, common):
        by_sound[lazy_pinyin(char)[0]].append(char)
    return {char: "".join(c for c in alike if c != char) for alike in by_sound.values() for char in alike}


def mistyped(question: str, rng: random.Random) -> str:
    """One of its characters is another one that sounds the same, as input methods have it."""
    places = [i for i, char in enumerate(question) if _homophones().get(char)]
    if not places:
        return question
    i = rng.choice(places)
    return question[:i] + rng.choice(_homophones()[question[i]]) + question[i + 1 :]
