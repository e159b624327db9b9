"""Text as it is matched: folding, words, matching units and sentences, all with exact offsets.

Nothing here changes what is shown. ``fold`` keeps the length of a string, so that an offset into
the folded text is an offset into the original.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from operator import add

import opencc
import rjieba

HAN_RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""First and last code points."""
HAN = "".join(f"{chr(first)}-{chr(last)}" for first, last in HAN_RANGES)

HAN_CHAR = re.compile(f"[{HAN}]")
# Begins only where a run of letters does, and gives nothing back: a long line takes linear time.
_CODE = re.compile(r"(?<![a-z0-9])[a-z0-9]++(?:[-_.+#/&'][a-z0-9]++)++")
_RUN = re.compile(f"[{HAN}]+|[a-z0-9]+")
_HAN_RUN = re.compile(f"[{HAN}]{{2,}}")


@cache
def _fold_table() -> dict[int, str]:
    """Code point to its folded form, for every BMP character whose folding is one character long."""
    table: dict[int, str] = {}
    for code in range(0x80, 0x10000):
        char = chr(code)
        folded = unicodedata.normalize("NFKC", char).lower()
        if len(folded) == 1 and folded != char and not folded.isspace():
            table[code] = folded
    for code in range(ord("A"), ord("Z") + 1):
        table[code] = chr(code).lower()
    # Half of a character (JSON can spell one) cannot be handed to the segmenter.
    table |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    # The characters themselves and what folds into them, such as the radicals that PDFs have.
    plain = {chr(code) for code in range(0x3400, 0xA000)}
    han = sorted(plain | {chr(code) for code, folded in table.items() if folded in plain})
    sources = [table.get(ord(char), char) for char in han]
    simplified = opencc.OpenCC("t2s").convert("\n".join(sources)).split("\n")
    for char, simple in zip(han, simplified, strict=True):
        if len(simple) == 1 and simple != char:
            table[ord(char)] = simple
    return table


def fold(text: str) -> str:
    """Return the matching form: lower case, half width, Simplified, and exactly as long as ``text``.

    Characters whose compatibility form is longer than one character (``㎡``, ``½``) stay as they
    are, so that offsets hold.
    """
    return text.translate(_fold_table())


def words(folded: str) -> list[tuple[str, int]]:
    """Cut folded text into ``(word, offset)``; joined, the words give the text back."""
    return [(word, start) for word, start, _ in rjieba.tokenize(folded, hmm=False)]


def units(folded: str) -> Iterator[str]:
    """Yield the keyword-search units of folded text.

    Words of the segmenter, overlapping Han bigrams, and whole codes such as ``gpt-5.2`` beside
    their parts. A single Han character is a unit only where it is a word of its own.
    """
    # Most of the time of a build is spent here: loops that run in C are twice as fast.
    yield from _CODE.findall(folded)
    for word in rjieba.cut(folded, hmm=False):
        if len(word) != 2 and _RUN.fullmatch(word):
            yield word
    for run in _HAN_RUN.findall(folded):
        yield from map(add, run, run[1:])


_CLOSERS = "」』”’）》〉】〕］｝)]}\"'＂＇*_~"
_ENDERS = "。！？!?…"
_MARKS = frozenset({"Mn", "Me", "Mc"})  # accents, variation selectors, vowel signs
_CLAUSE_LIMIT = 160
_SENTENCE_LIMIT = 280
_CLAUSE_BREAK = re.compile(r"[；;][」』”’）》]*")
# Not the comma of 1,299 nor the colon of 12:30 and https:.
_SOFT_BREAK = re.compile(r"(?:[，、：\s]|[,:](?![0-9A-Za-z/]))[」』”’）》]*")


def _is_end(text: str, i: int) -> bool:
    """Whether the character at ``i`` ends a sentence (the caller then takes the marks that follow)."""
    char = text[i]
    if char in "?!":
        # Not in https://example.com/?id=3, where letters or digits stand on both sides.
        around = text[max(0, i - 1) : i], text[i + 1 : i + 2]
        return not (all(c.isascii() for c in around) and around[1].isalnum() and around[0].strip())
    if char in _ENDERS:
        return True
    if char != ".":
        return False
    # A full stop of Western text: not in 3.5, v5.2, example.com, U.S. or an ellipsis half-way.
    after = text[i + 1 : i + 2]
    if after and not after.isspace() and after not in _CLOSERS:
        return False
    # "J. Smith" and the "3. " that opens a list item end nothing.
    return re.search(r"(?:^|[^A-Za-z])[A-Za-z]$|(?:^|\n)\s*\d{1,3}$", text[max(0, i - 5) : i]) is None


def _past_marks(text: str, i: int, end: int) -> int:
    """The first place from ``i`` on that does not hold a mark upon the character before."""
    while i < end and unicodedata.category(text[i]) in _MARKS:
        i += 1
    return i


def _line_sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = i = start
    while i < end:
        if not _is_end(text, i):
            i += 1
            continue
        i = _past_marks(text, i + 1, end)
        while i < end and (text[i] in _ENDERS or text[i] in _CLOSERS):
            if text[i] in "\"'*_~" and not _closes(text, begin, i):
                break
            i = _past_marks(text, i + 1, end)
        while i < end and text[i] in " \t\u3000":
            i = _past_marks(text, i + 1, end)
        yield begin, i
        begin = i
    if begin < end:
        yield begin, end


def _closes(text: str, begin: int, i: int) -> bool:
    """Whether the symmetric mark at ``i`` closes one opened since ``begin``."""
    return text.count(text[i], begin, i) % 2 == 1


def _split_long(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a long sentence at its semicolons, a very long one at a comma or space, or anywhere."""
    if end - start > _CLAUSE_LIMIT:
        for match in _CLAUSE_BREAK.finditer(text, start + 20, end - 20):
            cut = _past_marks(text, match.end(), end)
            if cut - start >= 20 and cut < end:
                yield from _split_long(text, start, cut)
                start = cut
    while end - start > _SENTENCE_LIMIT:
        limit = start + _SENTENCE_LIMIT
        # Some characters more than the limit, so that what follows a break can be looked at.
        found = _SOFT_BREAK.finditer(text, start + _SENTENCE_LIMIT // 2, min(end, limit + 8))
        breaks = [cut for match in found if (cut := match.end()) <= limit and not _torn(text, cut)]
        cut = breaks[-1] if breaks else _hard_cut(text, start)
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _torn(text: str, cut: int) -> bool:
    """Whether a cut would part a character from its marks, or the halves of one (JSON can spell them)."""
    halves = "\ud800" <= text[cut - 1] < "\udc00" <= text[cut] < "\ue000"
    return halves or unicodedata.category(text[cut]) in _MARKS


def _hard_cut(text: str, start: int) -> int:
    """Where to cut a run without any break: not inside a code or link, an emoji or before a closer."""
    limit = start + _SENTENCE_LIMIT
    cuts = range(limit, start + _SENTENCE_LIMIT // 2, -1)
    for cut in cuts:
        before, after = text[cut - 1], text[cut]
        # Joiners and currency signs belong to what follows.
        joined = (before.isascii() and after.isascii()) or unicodedata.category(before) in {"Cf", "Sc"}
        if not joined and unicodedata.category(after) != "Cf" and after not in _CLOSERS and not _torn(text, cut):
            return cut
    return next((cut for cut in cuts if not _torn(text, cut)), limit)


def sentences(text: str) -> list[tuple[int, int]]:
    """Cut text into sentences ``(start, end)`` that, joined, give the text back exactly.

    A sentence ends at 。！？… or a Western full stop, with the closing marks that follow, or at a
    line's end. Decimals, versions, URLs and times stay whole. A sentence of over 160 characters is
    cut at its semicolons, one that is still over 280 at its last comma before that.
    """
    spans: list[tuple[int, int]] = []
    for line in re.finditer(r"[^\n]*\n+|[^\n]+$", text):
        for begin, end in _line_sentences(text, line.start(), line.end()):
            if spans and not text[begin:end].strip():
                spans[-1] = (spans[-1][0], end)
                continue
            spans.extend(_split_long(text, begin, end))
    return spans
