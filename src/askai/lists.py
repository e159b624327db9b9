"""Which list of the articles answers a question that asks for one.

有哪些…, 分几步 and 要注意什么 are answered by a whole list with what leads into it, not by the one item
that reads best.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from askai.evidence import Wanted, coverage, informative, may_want_list, wants_list
from askai.listings import LONGEST, Listing, listings
from askai.responder import Candidate, cite, logistic
from askai.text import fold
from askai.types import Article, Citation, Encoder, Hit, Passage, Reader, Span

_SORTS = "种类款样"
_ASKED_KIND = re.compile(rf"几大?([{_SORTS}步项条点道支档级位家])")
_HAN = r"[\u3400-\u9fff]"
_ASKED_NOUN = re.compile(rf"(?:[哪那]些|[哪那]?几大?[{_SORTS}项条道支档级位家个座处])(?:的|不同)?({_HAN}{{1,8}})")
_DIGIT = "[0-9〇一二三四五六七八九十]"
_DATE = re.compile(rf"(?:公元前?)?{_DIGIT}{{1,4}}[ ~～-]{{0,3}}{_DIGIT}{{0,4}} ?(?:年|世纪|月|日)")
_ASKED_DATES = re.compile(r"年|历史|经过|经历|过程|先后|时间|时候|何时|大事|历程|阶段|[哪几]天|日期")
_LONGEST_NAMES = 240
_BEHIND = 6.0

SIGNALS = (
    "about", "whole", "about_cosine", "whole_cosine", "retrieval", "leads", "counted", "named", "dated", "answers",
    "wants", "may_want", "kind",
)
"""What speaks for a list: how much of the question its title, heading and lead-in hold, and all of it, by words
and by vectors; how far behind the best its passage and its best sentence are; 三類 where 几种 was asked; the share
of its items that are called what was asked for (青磺泉 where 哪些温泉 was), and of those that begin with a date
where none was asked for; the reader's answerability of it, as far as it reads; and of the question, whether it
plainly wants several things, whether it may, and whether it wants a number or a time."""
HANDICAP = 0.4
"""Of one sentence against a list where several things are plainly asked for: it rarely holds them all.
training/README.md has the figures."""
LEAST = 0.2
"""Of a list that is answered with: without it three more whole lists come first, and 19 more wrong ones (of 763)."""
_CONSIDERED = 8
"""Lists at the most, those of the best passages: each is read. Six found as many right ones."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing of an article found for a question, with what speaks for it."""

    article_id: str
    listing: Listing
    signals: tuple[float, ...]


def possible(question: str, asked: Wanted) -> bool:
    """Whether a list may answer: not where one number or time is plainly wanted."""
    return asked.kind is None or may_want_list(question)


def find(
    question: str, asked: Wanted, hits: Sequence[Hit], ranked: Sequence[Candidate], articles: Mapping[str, Article],
    encoder: Encoder, reader: Reader,
) -> list[Listed]:
    """The lists that touch one of the hits, each once, those of the best hits, with their signals.

    ``ranked`` are the sentences that ``reader`` would cite, best first.
    """
    found: dict[tuple[str, Listing], Hit] = {}
    folded = fold(question)
    counting = _counting(folded)
    for hit in hits:
        if len(found) >= _CONSIDERED:
            break
        p = hit.passage
        text = articles[p.article_id].text
        # No farther than a list may reach: an article can be of any length.
        begin = max(text.rfind("\n", 0, max(0, p.start - LONGEST)) + 1, p.start - 2 * LONGEST)
        for listing in listings(text, begin, p.end + LONGEST, p.heading):
            # A date is no kind of anything: 几种温泉 is not answered by what happened when.
            if listing.start < p.end and p.start < listing.end and (
                counting != _SORTS or _share(listing, _DATE) <= 0.5
            ):
                found.setdefault((p.article_id, listing), hit)
    found = dict(islice(found.items(), _CONSIDERED))
    if not found:
        return []
    abouts = [f"{articles[id].title}\n{x.about}" for id, x in found]
    wholes = [f"{about}\n{articles[id].text[x.start : x.end]}" for about, (id, x) in zip(abouts, found, strict=True)]
    vectors = encoder.encode_passages([*abouts, *wholes]) @ encoder.encode_question(question)
    passages = [Passage(id, x.start, x.end, x.about.split("\n")[0]) for id, x in found]
    # A list is no passage of the index: its row is none of there.
    readings = reader.read(question, [Hit(-1 - n, passage, 0.0) for n, passage in enumerate(passages)], articles)
    counted, called, dates = _counted(counting), _called(folded), _ASKED_DATES.search(folded) is not None
    of_question = float(wants_list(question)), float(may_want_list(question)), float(asked.kind is not None)
    out = []
    for n, ((id, listing), hit) in enumerate(found.items()):
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
            readings[n].answers,
            *of_question,
        )
        out.append(Listed(id, listing, signals))
    return out


def names(listing: Listing) -> str:
    """The names of the items in one line, as many as fit: what a reply leads with."""
    out = listing.items[0].text
    for item in listing.items[1:]:
        if len(out) + len(item.text) > _LONGEST_NAMES:
            break
        out += f"；{item.text}"
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
    """A list cited whole and first, its items as the span, then what else was found, which answers nothing here.

    ``score`` is the probability of the list; those of the others shrink to what it leaves.
    """
    a, b = listing.items[0].start, listing.items[-1].end
    first = cite(article, 1, listing.start, listing.end, Span(a, b, article.text[a:b]), round(score, 4))
    apart = [c for c in others if c.article_id != article.id or c.end <= first.start or c.start >= first.end]
    left = [replace(c, span=None, score=round(c.score * (1.0 - score), 4)) for c in apart if c.quote != first.quote]
    return (first, *(replace(c, number=number) for number, c in enumerate(left[: k - 1], 2)))
