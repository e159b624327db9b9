"""An article to passages: a pure function over its text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from askai.text import sentences
from askai.types import Article, Passage

TARGET = 220
LIMIT = 300
PARAMETERS = {"target": TARGET, "limit": LIMIT, "version": 2}
"""Recorded in the index: another value makes other passages."""

HEADING = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]+(\S(?:.*[^\s#])?)[\s#]*$")
"""A Markdown heading: its signs, its words."""
_QUESTION_LINE = re.compile(r"\s*(?:\*\*)?(?:问|问题|[QＱ]\d*)(?:\*\*)?\s*[：:.、]|.{2,60}[？?](?:\*\*)?\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•·]|\d{1,3}[.)、．]|[（(][一二三四五六七八九十\d]{1,3}[)）])\s*\S")
_LEAD_IN = re.compile(r"[：:]\s*$")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of text that is better not divided; ``opens`` asks for a passage to begin here."""

    start: int
    end: int
    heading: str
    opens: bool
    keeps_next: bool


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    headings: list[tuple[int, str]] = []
    for start, end in sentences(text):
        line = text[start:end]
        at_line_start = start == 0 or text[start - 1] == "\n"
        match = HEADING.match(line) if at_line_start else None
        if match:
            level = len(match.group(1))
            headings = [h for h in headings if h[0] < level] + [(level, match.group(2).strip())]
        heading = " ".join(h for _, h in headings)
        asks = at_line_start and bool(_QUESTION_LINE.match(line)) and line.endswith("\n")
        lead_in = bool(_LEAD_IN.search(line)) and line.endswith("\n")
        opens = bool(match) or (asks and not _ITEM.match(line))
        pieces.append(_Piece(start, end, heading, opens, bool(match) or asks or lead_in))
    return pieces


def _should_break(group: list[_Piece], piece: _Piece, text: str) -> bool:
    """Whether ``piece`` begins a new passage after ``group``."""
    size = group[-1].end - group[0].start
    if size + piece.end - piece.start > LIMIT:
        return True
    if group[-1].keeps_next:
        return False
    if piece.opens:
        return size >= TARGET // 4 or piece.heading != group[-1].heading
    return size >= TARGET and not _ITEM.match(text[piece.start : piece.end])


def split(article: Article) -> list[Passage]:
    """Cut an article into passages of about 220 characters that cover its text without gaps.

    A passage never begins inside a sentence; a heading, a question line or a line that ends in a
    colon stays with what follows. A last passage of under 60 characters joins the one before it.
    """
    text = article.text
    groups: list[list[_Piece]] = []
    for piece in _pieces(text):
        if groups and not _should_break(groups[-1], piece, text):
            groups[-1].append(piece)
        elif groups and groups[-1][-1].keeps_next and len(groups[-1]) > 1:
            # The passage is full: its last heading or question moves on with what it introduces.
            groups.append([groups[-1].pop(), piece])
        else:
            groups.append([piece])
    merged: list[list[_Piece]] = []
    for group in groups:
        size = group[-1].end - group[0].start
        room = merged and group[-1].end - merged[-1][0].start <= LIMIT + 60
        if size < 60 and room and not group[0].opens:
            merged[-1].extend(group)
        else:
            merged.append(group)
    return [
        Passage(article.id, g[0].start, g[-1].end, g[-1].heading)
        for g in merged
        if text[g[0].start : g[-1].end].strip()
    ]
