"""Everyday words and the formal ones that stand for them in articles (``data/synonyms.tsv``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from askai.text import fold, words

_FILE = Path(__file__).parent / "data" / "synonyms.tsv"
_LONGEST = 8


@dataclass(frozen=True, slots=True)
class Lexicon:
    """``groups[i]`` are words that stand for each other; ``groups_of[word]`` are their numbers."""

    groups: tuple[tuple[str, ...], ...]
    groups_of: dict[str, frozenset[int]]

    def find(self, folded: str) -> Iterator[tuple[int, int, frozenset[int]]]:
        """Yield ``(start, end, group numbers)`` of every member in folded text, longest first at a place.

        A member of one character counts only where the segmenter makes it a word of its own.
        """
        singles = {start for word, start in words(folded) if len(word) == 1}
        for start in range(len(folded)):
            for length in range(min(_LONGEST, len(folded) - start), 0, -1):
                numbers = self.groups_of.get(folded[start : start + length])
                if numbers and (length > 1 or start in singles):
                    yield start, start + length, numbers
                    break

    def alternatives(self, folded: str) -> list[list[str]]:
        """For each member found in folded text, the other words of its groups."""
        found: list[list[str]] = []
        for start, end, numbers in self.find(folded):
            member = folded[start:end]
            others = {word for number in numbers for word in self.groups[number]} - {member}
            found.append(sorted(others))
        return found


@cache
def lexicon() -> Lexicon:
    """The lexicon that ships, read once."""
    groups: list[tuple[str, ...]] = []
    groups_of: dict[str, set[int]] = {}
    for line in _FILE.read_text("utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        members = tuple(dict.fromkeys(fold(word) for word in line.split("\t") if word))
        for member in members:
            groups_of.setdefault(member, set()).add(len(groups))
        groups.append(members)
    return Lexicon(tuple(groups), {word: frozenset(n) for word, n in groups_of.items()})
