"""What is a list in an article: bullets and numbers, rows of tables, subsections, first and second in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from askai.passages import HEADING
from askai.text import sentences
from askai.types import Span

LONGEST = 1500
"""Characters of a list at the most, its lead-in counted."""
_LONGEST_LEAD = 140
_FARTHEST = 300
"""Characters from one mark of a line to the next at the most: farther apart, they count nothing."""
_WITHIN = 12
"""Lines that may stand within an item that another one follows by number."""
_HAN = "一二三四五六七八九十"
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_SPACE = "[ \t\u3000]"
_CLOCK = r"(?:[01]?\d|2[0-4])[:：][0-5]\d"
# 2.2寸照片 is the second item, 2.5 元 is none.
_COUNTED = r"(?=\d{1,4}[年月日天个個寸号號小分周週岁歲人张張次])"

_ITEM = re.compile(
    rf"(?P<indent>{_SPACE}*)(?:(?P<bullet>[-*+][ \t]+|[•·●▪◦■★]{_SPACE}*)(?=\S)|"
    rf"(?P<circled>[{_CIRCLED}]){_SPACE}*(?=\S)|"
    rf"(?:\*\*)?(?P<number>\d{{1,2}}(?:[.．](?:(?={_SPACE}*[^\s\d]|{_SPACE}+\d)|{_COUNTED})|[)）]|、(?!\d{{1,2}}、)))"
    rf"{_SPACE}*(?=\S)|"
    rf"(?:\*\*)?(?P<bracketed>[（(]\d{{1,2}}[)）]){_SPACE}*(?=\S)|"
    rf"(?:\*\*)?(?P<han_bracketed>[（(][{_HAN}]{{1,3}}[)）]){_SPACE}*(?=\S)|"
    rf"(?:\*\*)?(?P<han>[{_HAN}]{{1,3}}(?:、|[是来則则](?![{_HAN}]))){_SPACE}*(?=\S)|"
    rf"(?:\*\*)?(?P<nth>(?:第[{_HAN}]{{1,3}}|第 ?\d{{1,2}} ?|[头頭]一)"
    rf"(?:[条條章](?:\*\*)?[，、：:]|[步点點项項站]?(?:\*\*)?[，、：: ])|"
    rf"(?:步[骤驟] ?|[方做]法|方案)(?:[{_HAN}]|\d{{1,2}})(?:\*\*)?[：: ]){_SPACE}*(?=\S)|"
    rf"(?P<order>首先|其次|再次|再者|最后|最後)[嘛呢]?[，,、：:]{_SPACE}*(?=\S)|"
    rf"(?P<time>{_CLOCK}(?:[ ~～至–—－-]{{1,3}}{_CLOCK})?(?:{_SPACE}+|[：:，]))(?=\S)|"
    # **名称** and what is said of it, but no question of an interview.
    rf"(?P<bold>(?=\*\*[^*\n?？]{{1,24}}(?:\*\*(?:{_SPACE}+[^\s*]|{_SPACE}*[：:（(—][^\n*])|[。：:]\*\*{_SPACE}*[^\s*]))))"
)
_COUNTING = ("circled", "number", "bracketed", "han_bracketed", "han", "nth")
_BLOCK = ("bullet", *_COUNTING)
_SPEAKER = re.compile(rf"{_SPACE}*[^：:。，\s]{{1,8}}[：:]")
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_CELL = re.compile(r"(?<=\|)[^|\n]*(?=\|)")
_RULE = re.compile(r"[\s|:-]+$")
_LINE = re.compile(r"[^\r\n]+")
_NAMED = re.compile(
    rf"\*\*[^*\n]{{1,24}}(?=\*\*(?:{_SPACE}|[：:（(—]|$))|[^：:，。；\n]{{1,24}}?(?=[：:](?![\d/])|——)"
)
_CLAUSE = re.compile(r"[^。；;！!\n]+")
_ORDINAL = re.compile(rf"第[{_HAN}\d]+.?|(?:步[骤驟]|[方做]法|方案|情况).{{1,3}}")
_MARKS = "*_`　 \t。；;，,、：:"

_AFTER = r"(?:(?<=[，。；；;、！？!?…\s“「『*])|(?<=[^\d\n][：:,])|^)"
# What is counted within a line: no decimals, times, ratios, coordinates, nor clauses or pictures that are referred to.
_INLINE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_AFTER}其?(?P<nth>[{_HAN}])(?:[是来则則](?![{_HAN}])|(?<=其.)[，,：:])",
        rf"{_AFTER}(?P<nth>[{_HAN}])、(?![{_HAN}])",
        rf"{_AFTER}(?P<nth>第[{_HAN}]|[头頭]一)(?:[步条條点點]?[，,：:]|(?:个|個|种|種)是)",
        rf"(?P<nth>[{_CIRCLED}])",
        rf"(?<![{_HAN}A-Za-z\d第条條款项項、和及至到或图圖表式见見注])[（(](?P<nth>[{_HAN}])[)）](?![、款项項])",
        r"(?<![A-Za-z\d、和及至到或图圖表式见見注接])[（(](?P<nth>\d{1,2})[)）](?![、款项項])",
        rf"{_AFTER}(?P<nth>\d{{1,2}})(?:[)）]|、(?:(?!\d)|{_COUNTED})|[.．](?:(?![\dA-Za-z])|{_COUNTED}))",
        rf"{_AFTER}(?P<nth>首先|其次|再次|再者|另外|此外|最后|最後)(?:[嘛呢]?[，,、：:]|是)",
    )
)
_FIRST, _SECOND, _LATER = "首先", ("其次", "再次", "再者"), ("另外", "此外", "最后", "最後")
_FIRST_ABOVE = re.compile(rf"(?<=[：:。！？\s])(?:1[.．、)）]|[（(][1一][)）]|一、|第一[，、：:]|①){_SPACE}*(?=\S)")
_STOP = re.compile(r"[。！？!?]")


@dataclass(frozen=True, slots=True)
class Listing:
    """A list in an article: ``start`` to ``end`` holds its lead-in, if any, and all its items.

    ``about`` is what says what is listed (headings and lead-in); ``items`` are the spans that name them.
    """

    start: int
    end: int
    about: str
    items: tuple[Span, ...]


class _Item(NamedTuple):
    """Offsets of an item: where it begins without its mark, where its first line ends, and where all of it does."""

    start: int
    line_end: int
    end: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Items one after the other, and the lines in which no other list may begin because these do."""

    items: list[_Item]
    taken: Sequence[int]


_Lines = Sequence[tuple[int, int]]


def listings(text: str, begin: int = 0, end: int | None = None, heading: str = "") -> list[Listing]:
    """The lists of two items or more from ``begin`` to ``end``, in order; one may lie within another.

    ``heading`` is the one that ``begin`` stands under.
    """
    found: list[Listing] = []
    lines = list(_lines(text, begin, len(text) if end is None else end))
    # The level of the heading above; in the midst of an article it is not known.
    above = 0 if begin == 0 else 7
    # Ends of the lists that a line lies in, and of the last one before it: no lead-in reaches back of that.
    around: list[int] = []
    before = 0
    taken: set[int] = set()

    def add(items: Sequence[_Item], lead: int) -> int:
        lead = max(lead, before)
        kept = [item for item in items if lead <= item.start and item.end - lead <= LONGEST]
        names = _names(text, kept)
        if len(names) < 2:
            return before
        found.append(Listing(lead, kept[-1].end, f"{heading}\n{text[lead : kept[0].start]}", names))
        return kept[-1].end

    for i, line in enumerate(lines):
        while around and around[-1] <= line[0]:
            before = max(before, around.pop())
        title = HEADING.match(text, *line)
        if title:
            level = len(title[1])
            if above < level:
                around.append(add(_subsections(text, lines, i), _lead(text, lines, i)))
            heading, above = title[2], level
        run = _Run([], ())
        if i not in taken and (_ITEM.match(text, *line) or _ROW.match(text, *line)):
            # A list within an item ends where the item does.
            inside = around[-1] if around else len(text)
            stop = next((k for k in range(i + 1, len(lines)) if k in taken or lines[k][1] > inside), len(lines))
            run = _table(text, lines[:stop], i) or _items(text, lines[:stop], i)
            taken.update(run.taken)
        if len(run.items) > 1:
            around.append(add(run.items, _lead(text, lines, i, run.items[0].start)))
        else:
            for items in _enumerated(text, *line):
                before = add(items, _lead_within(text, lines, i, items[0].start))
    return sorted(found, key=lambda x: (x.start, -x.end))


def _table(text: str, lines: _Lines, i: int) -> _Run | None:
    """The rows of a Markdown table that begins in line ``i``, named by their first cells, or by the second where the
    first only count."""
    if i + 1 == len(lines) or not (_ROW.match(text, *lines[i]) and _RULE.match(text, *lines[i + 1])):
        return None
    last = i
    while last < len(lines) and _ROW.match(text, *lines[last]):
        last += 1
    rows = [(list(_CELL.finditer(text, *line)), line[1]) for line in lines[i + 2 : last]]
    firsts = [cells[0][0].strip() for cells, _ in rows if cells]
    column = 1 if all(first.isdecimal() for first in firsts) else 0
    items: list[_Item] = []
    for cells, end in rows:
        cell = cells[column] if len(cells) > column else None
        word = cell[0].strip() if cell else ""
        if cell and word and not _RULE.match(word):
            start = cell.start() + cell[0].index(word)
            items.append(_Item(start, start + len(word), end))
        elif items:
            items[-1] = items[-1]._replace(end=end)
    return _Run(items, range(i, last))


def _items(text: str, lines: _Lines, i: int) -> _Run:
    """The items of a list that begins in line ``i``, none where none does."""
    first = _ITEM.match(text, *lines[i])
    if first is None or (first.lastgroup == "order" and first["order"] != _FIRST):
        return _Run([], ())
    kind = first.lastgroup or ""
    rows, marks = [i], [first]
    last = k = i
    while (k := k + 1) < len(lines) and not HEADING.match(text, *lines[k]):
        match = _ITEM.match(text, *lines[k])
        indent = _indent(text, lines[k][0])
        if indent < len(first["indent"]):
            break
        deeper = indent > len(first["indent"]) + 1
        if match and not deeper and match.lastgroup == kind:
            if not _goes_on(marks, match):
                break
            rows.append(k)
            marks.append(match)
            last = k
        elif last == k - 1 and (deeper or (kind == "bullet" and not match and _goes_on_directly(text, lines, k))):
            last = k
        # What follows an item that counts belongs to it where the next one comes.
        elif k - rows[-1] > (_WITHIN if kind in _COUNTING else 0 if match or kind == "bullet" else 2):
            break
    if text[lines[rows[-1]][1] - 1] in "：:":
        # What the last item announces belongs to it.
        while last + 1 < len(lines) and (match := _ITEM.match(text, *lines[last + 1])) and match.lastgroup != kind:
            last += 1
    talk = (kind == "bold" and _converse(text, lines, rows)) or (kind == "time" and _chat(text, marks))
    if talk or all(text[lines[k][1] - 1] in "?？" for k in rows):
        return _Run([], rows)
    ends = [lines[k - 1][1] for k in rows[1:]] + [lines[last][1]]
    items = [_Item(m.end(), lines[k][1], end) for m, k, end in zip(marks, rows, ends, strict=True)]
    if _count(first) == 2 and i > 0:
        start, end = lines[i - 1]
        *_, opening = [None, *_FIRST_ABOVE.finditer(text, start, end)]
        if opening and not _ITEM.match(text, start, end):
            items.insert(0, _Item(opening.end(), end, end))
    return _Run(items, rows)


def _goes_on(marks: Sequence[re.Match[str]], mark: re.Match[str]) -> bool:
    """Whether an item belongs to the list of those before it, by its number where it has one."""
    if mark.lastgroup == "order":
        return mark["order"] in _SECOND or (mark["order"] in _LATER and len(marks) > 1)
    count, before = _count(mark), _count(marks[-1])
    # 1. 1. 1. is Markdown too; a second 1. after a 2. begins another list.
    return not count or before < count <= before + 2 or count == before == 1


def _goes_on_directly(text: str, lines: _Lines, k: int) -> bool:
    """Whether line ``k`` goes on with the one before it: no blank one between, and nothing announced."""
    return text[lines[k - 1][1] : lines[k][0]].count("\n") == 1 and text[lines[k][1] - 1] not in "：:"


def _converse(text: str, lines: _Lines, rows: Sequence[int]) -> bool:
    """Whether a bold name comes again: speakers take turns, and a conversation is no list."""
    names = [text[slice(*lines[k])].split("**")[1] for k in rows]
    return len(set(names)) < len(names)


def _chat(text: str, marks: Sequence[re.Match[str]]) -> bool:
    """Whether all lines that begin with a time go on with who speaks: 10:03 张三：到了吗."""
    return all(len(re.findall(_CLOCK, m[0])) == 1 and _SPEAKER.match(text, m.end()) for m in marks)


def _count(item: re.Match[str]) -> int:
    """Which one an item says it is, 0 where it does not say so."""
    mark = item[item.lastgroup or 0]
    number = re.search(rf"\d+|[{_CIRCLED}]|[{_HAN}]+", mark) if item.lastgroup in _COUNTING else None
    return _ordinal(number[0]) if number else 0


def _subsections(text: str, lines: _Lines, i: int) -> list[_Item]:
    """The section that begins in line ``i`` and those beside it; none where they are too long to be cited.

    Chapters of an article are no list, unless they are numbered; nor are questions.
    """
    items: list[_Item] = []
    first = HEADING.match(text, *lines[i])
    level = len(first[1]) if first else 0
    for start, end in lines[i:]:
        heading = HEADING.match(text, start, end)
        if heading and len(heading[1]) < level:
            break
        if heading and len(heading[1]) == level:
            mark = _ITEM.match(text, heading.start(2), end)
            numbered = mark and mark.lastgroup in _COUNTING
            if (level < 3 and not numbered) or heading[2][-1] in "?？":
                return []
            items.append(_Item(mark.end() if mark else heading.start(2), heading.end(2), end))
        elif items:
            items[-1] = items[-1]._replace(end=end)
    return items if items and items[-1].end - lines[i][0] <= LONGEST else []


def _enumerated(text: str, start: int, end: int) -> list[list[_Item]]:
    """What one line counts up, in order: 一是…；二是…, 首先…。其次…, ① … ② …"""
    runs: list[list[re.Match[str]]] = []
    for pattern in _INLINE:
        run: list[re.Match[str]] = []
        for match in pattern.finditer(text, start, end):
            if run and _follows(run, match):
                run.append(match)
            elif _ordinal(match["nth"]) == 1:
                runs.append(run)
                run = [match]
        runs.append(run)
    chosen: list[list[_Item]] = []
    for run in sorted(runs, key=len, reverse=True):
        if len(run) < 2:
            continue
        stop = _STOP.search(text, run[-1].end(), end)
        ends = [*(match.start() for match in run[1:]), stop.end() if stop else end]
        items = []
        for match, after in zip(run, ends, strict=True):
            words = text[match.end() : after]
            last = match.end() + len(words.rstrip())
            items.append(_Item(after - len(words.lstrip()), last, last))
        apart = all(items[-1].end <= other[0].start or other[-1].end <= run[0].start() for other in chosen)
        if apart and all(text[item.start : item.end].strip(_MARKS) for item in items):
            chosen.append(items)
    return sorted(chosen)


def _follows(run: Sequence[re.Match[str]], match: re.Match[str]) -> bool:
    """Whether a mark of a line counts on from those before it."""
    mark = match["nth"]
    if match.start() - run[-1].end() > _FARTHEST:
        return False
    if run[0]["nth"] == _FIRST:
        # 首先 and 最后 alone tell a story.
        return mark in _SECOND or (mark in _LATER and len(run) > 1)
    return _ordinal(mark) == len(run) + 1


def _ordinal(mark: str) -> int:
    """1 for 第一, 一, ①, 1 or 首先; 0 for what counts nothing."""
    if mark in (_FIRST, "头一", "頭一"):
        return 1
    if mark.isdecimal():
        return int(mark)
    if mark in _CIRCLED:
        return _CIRCLED.index(mark) + 1
    tens, ten, ones = mark.removeprefix("第").rpartition("十")
    value = 10 * (_HAN.find(tens) + 1 if tens else 1) if ten else 0
    return value + (_HAN.find(ones) + 1 if ones else 0)


def _indent(text: str, start: int) -> int:
    line = text[start : start + 40]
    return len(line) - len(line.lstrip(" \t\u3000"))


def _lines(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Offsets of the lines that are not blank, without their ends."""
    for match in _LINE.finditer(text, begin, end):
        if match.group().strip():
            yield match.start(), match.start() + len(match.group().rstrip())


def _lead(text: str, lines: _Lines, i: int, first: int | None = None) -> int:
    """Where the last sentence before line ``i`` begins; the line's own start where that is a heading or of a list.

    ``first`` is where the first item begins: it may stand in the line before.
    """
    begin = lines[i][0]
    if i == 0:
        return begin
    start, end = lines[i - 1]
    if HEADING.match(text, start, end) or _ROW.match(text, start, end):
        return begin
    item = _ITEM.match(text, start, end)
    if item and item.lastgroup in _BLOCK:
        own = _ITEM.match(text, *lines[i])
        # An item may announce a list of its own: 1. 优点：
        return item.end() if text[end - 1] in "：:" and own and own.lastgroup != item.lastgroup else begin
    if first is not None and first < end:
        return start + sentences(text[start:first])[-1][0]
    lead = start + sentences(text[start:end])[-1][0]
    return lead if end - lead <= _LONGEST_LEAD else begin


def _lead_within(text: str, lines: _Lines, i: int, first: int) -> int:
    """Where the sentence of the first item within line ``i`` begins; the one before where that holds its mark alone."""
    begin = lines[i][0]
    before = [begin + a for a, b in sentences(text[begin:first]) if text[begin + a : begin + b].strip()]
    alone = not re.search(rf"[^\W\d{_HAN}{_CIRCLED}第其]", text[before[-1] : first].replace(_FIRST, ""))
    if alone and len(before) == 1:
        return _lead(text, lines, i)
    lead = before[-2] if alone else before[-1]
    return next((a for a in (lead, before[-1]) if first - a <= _LONGEST_LEAD), first)


def _names(text: str, items: Sequence[_Item]) -> tuple[Span, ...]:
    """What names each item: the words before its colon, where all have telling ones, else its first sentence."""
    named = [_NAMED.match(text, item.start, item.line_end) for item in items]
    telling = all(match and not _ORDINAL.fullmatch(match.group().strip(_MARKS)) for match in named)
    found = []
    for item, match in zip(items, named, strict=True):
        clause = match if telling else _CLAUSE.match(text, item.start, item.line_end)
        a, b = (clause.start(), clause.end()) if clause else (item.start, item.line_end)
        while a < b and text[a] in _MARKS:
            a += 1
        while b > a and text[b - 1] in _MARKS:
            b -= 1
        if a < b:
            found.append(Span(a, b, text[a:b]))
    return tuple(found)
