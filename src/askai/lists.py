"""Lists that stand in articles, for questions that ask for one.

有哪些…, 分几步 and 要注意什么 are answered by a whole list with what leads into it, not by the one item
that reads best.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from askai.evidence import Wanted, coverage, informative
from askai.passages import HEADING
from askai.responder import Candidate, cite, logistic
from askai.text import fold, sentences
from askai.types import Article, Citation, Encoder, Hit, Span

_ITEM = re.compile(
    r"(?P<indent>[ \t\u3000]*)(?:(?P<bullet>[-*+][ \t]+|[•·●▪◦①-⑳][ \t\u3000]*)(?=\S)|"
    r"(?:\*\*)?(?P<number>\d{1,2}[.)）、．]|[（(]\d{1,2}[)）]|步[骤驟]\d{1,2}[：: ]?)[ \t\u3000]*(?=[^\s\d])|"
    r"(?:\*\*)?(?P<han>[一二三四五六七八九十]{1,3}、|[（(][一二三四五六七八九十]{1,3}[)）]|"
    r"第[一二三四五六七八九十]{1,3}[步条点章项站]?[，、：: ]|步[骤驟][一二三四五六七八九十][：: ]?)[ \t\u3000]*(?=\S))"
)
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_CELL = re.compile(r"(?<=\|)[ \t]*([^|\n]*[^|\s])[ \t]*(?=\|)")
_RULE = re.compile(r"[\s|:-]+$")
_LINE = re.compile(r"[^\r\n]+")
_NAMED = re.compile(r"[^：:，。；\n]{1,24}?(?=[：:]|——)")
_CLAUSE = re.compile(r"[^。；;！!\n]+")
_ORDINAL = re.compile(r"第[一二三四五六七八九十\d]+.?|步[骤驟].{1,3}")
_MARKS = "*_`　 \t。；;，,、"
_SORTS = "种类款样"
_ASKED_KIND = re.compile(rf"几大?([{_SORTS}步项条点道支档级位家])")
_HAN = r"[\u3400-\u9fff]"
_ASKED_NOUN = re.compile(rf"(?:[哪那]些|[哪那]?几大?[{_SORTS}项条道支档级位家个座处])(?:的|不同)?({_HAN}{{1,8}})")
_DIGIT = "[0-9〇一二三四五六七八九十]"
_DATE = re.compile(rf"(?:公元前?)?{_DIGIT}{{1,4}}[ ~～-]{{0,3}}{_DIGIT}{{0,4}} ?(?:年|世纪|月|日)")
_ASKED_DATES = re.compile(r"年|历史|经过|经历|过程|先后|时间|时候|何时|大事|历程|阶段|[哪几]天|日期")
_LONGEST, _LONGEST_LEAD, _LONGEST_NAMES = 1500, 140, 240
_BEHIND = 6.0

SIGNALS = ("about", "whole", "about_cosine", "whole_cosine", "retrieval", "leads", "counted", "named", "dated")
"""What speaks for a list: how much of the question its title, heading and lead-in hold, and all of it, by words
and by vectors; how far behind the best its passage and its best sentence are; 三類 where 几种 was asked; the share
of its items that are called what was asked for (青磺泉 where 哪些温泉 was), and of those that begin with a date
where none was asked for."""
HANDICAP = 0.4
"""Of one sentence against a list where several things are plainly asked for: it rarely holds them all.
training/README.md has the figures."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list in an article: ``start`` to ``end`` holds its lead-in, if any, and all its items.

    ``about`` is what says what is listed (headings and lead-in); ``items`` are the spans that name them.
    """

    start: int
    end: int
    about: str
    items: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing of an article found for a question, with what speaks for it."""

    article_id: str
    listing: Listing
    signals: tuple[float, ...]


def listings(text: str, begin: int = 0, end: int | None = None, heading: str = "") -> list[Listing]:
    """The lists of two items or more from ``begin`` to ``end``, in order; also the rows of a table.

    ``heading`` is the one that ``begin`` stands under.
    """
    found: list[Listing] = []
    lines = list(_lines(text, begin, len(text) if end is None else end))
    i = 0
    while i < len(lines):
        title = HEADING.match(text, *lines[i])
        heading = title[2] if title else heading
        rows, after = _table(text, lines, i) or _items(text, lines, i)
        if len(rows) > 1:
            lead = max(_lead(text, lines, i), found[-1].end if found else 0)
            last = min(lines[after - 1][1], lead + _LONGEST)
            spans = tuple(span for span in _names(text, rows) if span.end <= last)
            about = f"{heading}\n{text[lead : rows[0][0]]}"
            found += [Listing(lead, last, about, spans)] if len(spans) > 1 else []
        i = max(i + 1, after)
    return found


Rows = list[tuple[int, int]]
"""Offsets of items, without their marks."""


def _table(text: str, lines: Sequence[tuple[int, int]], i: int) -> tuple[Rows, int] | None:
    """The first cells of a Markdown table that begins in line ``i``, and the line after it."""
    last = i
    while last < len(lines) and _ROW.match(text, *lines[last]):
        last += 1
    if last - i < 3 or not _RULE.match(text, *lines[i + 1]):
        return None
    cells = [_CELL.search(text, *line) for line in lines[i + 2 : last]]
    return [cell.span(1) for cell in cells if cell and not _RULE.match(cell[1])], last


def _items(text: str, lines: Sequence[tuple[int, int]], i: int) -> tuple[Rows, int]:
    """The items of a list that begins in line ``i``, none where none does, and the line after it."""
    first = _ITEM.match(text, *lines[i])
    rows: Rows = []
    after = i
    if first is None:
        return rows, after
    for k in range(i, len(lines)):
        start, end = lines[k]
        match = _ITEM.match(text, start, end)
        deeper = _indent(text, start) > len(first["indent"])
        if match and not deeper and match.lastgroup == first.lastgroup:
            rows.append((match.end(), end))
            after = k + 1
        elif deeper and after == k:
            after = k + 1
        # What follows a numbered item without being indented belongs to it where another one comes.
        elif first.lastgroup == "bullet" or k - after >= 2 or HEADING.match(text, start, end):
            break
    return rows, after


def _indent(text: str, start: int) -> int:
    line = text[start : start + 40]
    return len(line) - len(line.lstrip(" \t\u3000"))


def names(listing: Listing) -> str:
    """The names of the items in one line, as many as fit: what a reply leads with."""
    out = listing.items[0].text
    for item in listing.items[1:]:
        if len(out) + len(item.text) > _LONGEST_NAMES:
            break
        out += f"；{item.text}"
    return out


def _lines(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Offsets of the lines that are not blank, without their ends."""
    for match in _LINE.finditer(text, begin, end):
        if match.group().strip():
            yield match.start(), match.start() + len(match.group().rstrip())


def _lead(text: str, lines: Sequence[tuple[int, int]], row: int) -> int:
    """Where the last sentence before the items begins; the items' own begin where a heading stands there."""
    begin = lines[row][0]
    if row == 0:
        return begin
    start, end = lines[row - 1]
    if any(mark.match(text, start, end) for mark in (HEADING, _ITEM, _ROW)):
        return begin
    lead = start + sentences(text[start:end])[-1][0]
    return lead if end - lead <= _LONGEST_LEAD else begin


def _names(text: str, items: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
    """What names each item: the words before its colon, where all have telling ones, else its first sentence."""
    named = [_NAMED.match(text, start, end) for start, end in items]
    telling = all(match and not _ORDINAL.fullmatch(match.group().strip(_MARKS)) for match in named)
    found = []
    for (start, end), match in zip(items, named, strict=True):
        clause = match if telling else _CLAUSE.match(text, start, end)
        a, b = (clause.start(), clause.end()) if clause else (start, end)
        while a < b and text[a] in _MARKS:
            a += 1
        while b > a and text[b - 1] in _MARKS:
            b -= 1
        if a < b:
            found.append(Span(a, b, text[a:b]))
    return tuple(found)


def find(
    question: str, asked: Wanted, hits: Sequence[Hit], ranked: Sequence[Candidate], articles: Mapping[str, Article],
    encoder: Encoder,
) -> list[Listed]:
    """The lists that touch one of the hits, each once, with their signals.

    ``ranked`` are the sentences that the reader would cite, best first.
    """
    found: dict[tuple[str, int], tuple[Listing, Hit]] = {}
    folded = fold(question)
    counting = _counting(folded)
    for hit in hits:
        p = hit.passage
        text = articles[p.article_id].text
        # No farther than a list may reach: an article can be of any length.
        begin = max(text.rfind("\n", 0, max(0, p.start - _LONGEST)) + 1, p.start - 2 * _LONGEST)
        for listing in listings(text, begin, p.end + _LONGEST, p.heading):
            # A date is no kind of anything: 几种温泉 is not answered by what happened when.
            if listing.start < p.end and p.start < listing.end and (
                counting != _SORTS or _share(listing, _DATE) <= 0.5
            ):
                found.setdefault((p.article_id, listing.start), (listing, hit))
    if not found:
        return []
    abouts = [f"{articles[id].title}\n{x.about}" for (id, _), (x, _) in found.items()]
    wholes = [
        f"{about}\n{articles[id].text[x.start : x.end]}"
        for about, ((id, _), (x, _)) in zip(abouts, found.items(), strict=True)
    ]
    vectors = encoder.encode_passages([*abouts, *wholes]) @ encoder.encode_question(question)
    counted, called, dates = _counted(counting), _called(folded), _ASKED_DATES.search(folded) is not None
    out = []
    for n, ((id, _), (listing, hit)) in enumerate(found.items()):
        inside = [c.score for c in ranked if c.article_id == id and listing.start <= c.start < listing.end]
        signals = (
            coverage(asked, fold(abouts[n])),
            coverage(asked, fold(wholes[n])),
            float(vectors[n]),
            float(vectors[len(found) + n]),
            hit.score - hits[0].score,
            max(-_BEHIND, max(inside) - ranked[0].score) if inside else -_BEHIND,
            float(counted.search(fold(listing.about)) is not None),
            _share(listing, called),
            0.0 if dates else _share(listing, _DATE),
        )
        out.append(Listed(id, listing, signals))
    return out


def _counting(question: str) -> str:
    """The measure words that may count what is asked for: all those for sorts where 几种 is, none where no 几 is."""
    kind = _ASKED_KIND.search(question)
    return "" if not kind else _SORTS if kind[1] in _SORTS else kind[1]


def _counted(units: str) -> re.Pattern[str]:
    """What says how many there are, in these measure words: 三类 or 三种; nothing without any."""
    return re.compile(f"[两二三四五六七八九十0-9]大?[{units}]" if units else r"(?!)")


def _called(question: str) -> re.Pattern[str]:
    """What the name of something of the kind asked for looks like; nothing where no kind is named."""
    noun = _ASKED_NOUN.search(question)
    words = re.findall(f"{_HAN}+", informative(noun[1])) if noun else []
    return re.compile(f".+[{words[-1][-2:]}]$" if words else r"(?!)")


def _share(listing: Listing, pattern: re.Pattern[str]) -> float:
    """The share of the items whose names the pattern fits from their start."""
    return sum(pattern.match(fold(span.text)) is not None for span in listing.items) / len(listing.items)


def announces(best: Candidate, articles: Mapping[str, Article]) -> bool:
    """Whether a sentence only says that something follows: 主要原因有三个："""
    return articles[best.article_id].text[best.end - 1] in "：:"


def best(
    found: Sequence[Listed], weights: Sequence[float], sentence: Candidate | None, sure: float
) -> tuple[float, Listed | None]:
    """The list that most likely answers, and the probability that it does.

    ``sentence`` announces a list, with the probability ``sure`` that it answers; None where it does not.
    """
    likely, chosen = 0.0, None
    for listed in found:
        announced = sentence is not None and _opens(sentence, listed)
        here = sure if announced else logistic(weights, (1.0, *listed.signals))
        if here > likely or (announced and here == likely):
            likely, chosen = here, listed
    return likely, chosen


def _opens(sentence: Candidate, listed: Listed) -> bool:
    return (
        sentence.article_id == listed.article_id
        and listed.listing.start <= sentence.start
        and sentence.end <= listed.listing.items[0].start
    )


def citations_with(
    article: Article, listing: Listing, score: float, others: Sequence[Citation], k: int
) -> tuple[Citation, ...]:
    """A list cited whole and first, its items as the span, then what else was found, which answers nothing here."""
    a, b = listing.items[0].start, listing.items[-1].end
    first = cite(article, 1, listing.start, listing.end, Span(a, b, article.text[a:b]), round(score, 4))
    rest = [c for c in others if c.article_id != article.id or c.end <= first.start or c.start >= first.end]
    return (first, *(replace(c, number=number, span=None) for number, c in enumerate(rest[: k - 1], 2)))
