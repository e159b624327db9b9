"""What ``fuzz.py`` feeds, and what must hold of the outcome. ``ArticleError`` is a refusal, no failure."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import fuzz_inputs as inputs

from askai import conversation
from askai.errors import ArticleError
from askai.evidence import coverage, fits, missing, wanted
from askai.formats.contents import Contents, Source
from askai.formats.dispatch import parts
from askai.formats.plain import decode, parse
from askai.formats.protocol import from_contents, to_contents, to_json
from askai.passages import LIMIT, split
from askai.text import fold, sentences, units, words
from askai.types import Answer, Article, Citation, Span

_CODECS = ("utf-8", "utf-8-sig", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
_SOURCE = Source("a", "a.bin", "文件名")
_RULE = "---"
_MARKS = frozenset({"Mn", "Me", "Mc"})


@dataclass(frozen=True, slots=True)
class Target:
    """``draw`` makes an input, ``check`` raises where something is wrong; ``weight`` is its share of the inputs in per cent."""

    name: str
    weight: float
    draw: Callable[[random.Random], Any]
    check: Callable[[Any], None]


class Broken(AssertionError):
    """A property that does not hold."""


def must(holds: object, what: str) -> None:
    """Raise ``Broken`` unless it holds."""
    if not holds:
        raise Broken(what)


def check_decode(data: bytes) -> None:
    """No character replaced: the text is what one of the codecs, strict, makes of the bytes."""
    text = decode(data)
    try:
        plain = data.decode("utf-8")
        if b"\0" not in data:
            must(text == plain.lstrip("\ufeff"), "UTF-8 was read as something else")
    except UnicodeDecodeError:
        pass
    must(any((_decoded(data, codec) or "").lstrip("\ufeff") == text for codec in _CODECS), "no codec gives this text")


def _decoded(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec).lstrip("\ufeff")
    except UnicodeDecodeError:
        return None


def check_parse(text: str) -> None:
    """What is left is the end of the text as it was, but for line ends; only front matter is cut off."""
    article = parse(text, id="a", path="a.md", stem="文件名")
    whole = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    must(whole.endswith(article.text), "the text is not the end of the file's")
    cut = whole[: len(whole) - len(article.text)]
    must(not cut or cut.startswith(_RULE), "something other than front matter was cut off")
    check_article(article)


def check_article(article: Article) -> None:
    """An article that can be shown, cited and cut."""
    must(article.text.strip(), "no text")
    must("\r" not in article.text and "\0" not in article.text, "a carriage return or NUL is left")
    must(article.title.strip(), "no title")
    must(len(article.title) <= 200 and "\n" not in article.title, "a title of several lines, or too long")
    must(all(isinstance(v, str) and isinstance(k, str) for k, v in article.meta.items()), "meta data that is no text")
    check_passages(article)


def check_sentences(text: str) -> None:
    """Joined they give the text back; none is empty; none begins with a mark that belongs to what is before it."""
    spans = sentences(text)
    must("".join(text[a:b] for a, b in spans) == text, "joined, the sentences are another text")
    must(all(a < b for a, b in spans), "an empty sentence")
    check_cuts(text, [a for a, _ in spans])


def check_cuts(text: str, starts: Sequence[int]) -> None:
    """No character is torn from its marks, no half of a character from the other."""
    for at in starts:
        if not at:
            continue
        before, after = text[at - 1], text[at]
        must(not ("\ud800" <= before < "\udc00" <= after < "\ue000"), "a cut between the halves of a character")
        # Where marks alone go on for longer than a sentence may, it has to be cut somewhere.
        only = all(unicodedata.category(c) in _MARKS for c in text[max(0, at - 130) : at])
        must(before == "\n" or only or unicodedata.category(after) not in _MARKS, "a cut before a combining mark")


def check_passages(article: Article) -> None:
    """Slices in order that leave out white space alone, and begin and end where sentences do."""
    text = article.text
    passages, spans = split(article), sentences(text)
    must(all(0 <= p.start < p.end <= len(text) for p in passages), "a passage outside the text")
    edges = [0, *(place for p in passages for place in (p.start, p.end)), len(text)]
    must(edges == sorted(edges), "passages overlap")
    gaps = zip(edges[::2], edges[1::2], strict=True)
    must(not any(text[a:b].strip() for a, b in gaps), "text that is in no passage")
    must({p.start for p in passages} <= {a for a, _ in spans}, "a passage that begins inside a sentence")
    must({p.end for p in passages} <= {b for _, b in spans}, "a passage that ends inside a sentence")
    longest = max((b - a for a, b in spans), default=0)
    must(all(p.end - p.start <= max(LIMIT + 60, 2 * longest) for p in passages), "a passage that is too long")
    must(all(p.article_id == article.id for p in passages), "a passage of another article")
    check_cuts(text, [p.start for p in passages])


def check_split(text: str) -> None:
    """As for an article of this text, read or not."""
    check_passages(Article("a", "题", "a.md", text))


def check_fold(text: str) -> None:
    """As long as the text, character by character, and nothing that the segmenter could not take."""
    folded = fold(text)
    must(len(folded) == len(text), "folding changed the length")
    must(folded[: len(text) // 2] == fold(text[: len(text) // 2]), "folding depends on what follows")
    folded.encode("utf-8")
    must(not any(f.isspace() and not c.isspace() for f, c in zip(folded, text, strict=True)), "a fold that makes spaces")


def check_units(text: str) -> None:
    """Words join back at their offsets; units are parts of the text."""
    folded = fold(text)
    found = words(folded)
    must("".join(word for word, _ in found) == folded, "joined, the words are another text")
    must(all(folded.startswith(word, start) for word, start in found), "a word that is not at its offset")
    must(all(unit and unit in folded for unit in set(units(folded))), "a unit that is not in the text")


def _even(found: Sequence[str]) -> list[float]:
    return [1.0] * len(found)


def check_evidence(pair: list[str]) -> None:
    """Shares are shares; a question holds all of itself."""
    question, text = pair
    want = wanted(question, _even)
    folded, own = fold(text), fold(question)
    must(0.0 <= coverage(want, folded) <= 1.0, "coverage is no share")
    must(abs(coverage(want, own) - 1.0) < 1e-9, "a question does not cover itself")
    must(0 <= missing(want, folded) <= len(want.names), "more names missing than there are")
    must(missing(want, own) == 0, "a name of the question is missing in the question itself")
    must(fits(want, text) in {-1.0, 0.0, 1.0}, "fits is no sign")


def check_conversation(turns: list[str]) -> None:
    """Every question is of some kind and means one to three things; titles are words of the question."""
    previous = []
    for n, question in enumerate(turns):
        kind, title = conversation.kind_of(question)
        must(title in question, "a title that is not in the question")
        must(bool(title) <= (kind == "summary"), "a title where no summary is asked for")
        readings = conversation.interpretations(question, previous)
        must(1 <= len(readings) <= 3, "no reading, or too many")
        must(not question.strip() or all(reading.strip() for reading in readings), "a reading without words")
        quote = question[: 10 * n + 1] or "甲"
        span = Span(0, len(quote), quote)
        cited = (Citation(1, "a", "题", "a.md", 0, len(quote), quote, span, 0.9),)
        previous.append(Answer(question, readings[0], "answered" if n % 2 else "not_found", quote, 0.9, cited, 1.0))


def check_file(kind: str, data: bytes) -> None:
    """Read as the child reads it; what comes is an article, and the same on the other side of the pipe."""
    for _, read in parts(kind, data, _SOURCE, 0):
        try:
            contents = read()
        except ArticleError as refusal:
            must(str(refusal).endswith("。"), "a refusal that is no sentence")
            raise
        check_contents(contents)


def check_contents(contents: Contents) -> None:
    """Articles and failures as the parent process believes them."""
    must(contents.articles or contents.failures, "nothing at all")
    must(to_contents(json.loads(to_json(from_contents(contents)))) == contents, "the pipe changes it")
    for failure in contents.failures:
        must(failure.path and failure.reason.endswith("。"), "a failure without its path or reason")
    for article in contents.articles:
        check_article(article)
        must("\x0b" not in article.text and "\ufeff" not in article.text, "unclean text")
        must(all(a <= b for a, b in pairwise((0, *article.pages, len(article.text)))), "pages out of order")


def _file(kind: str, weight: float) -> Target:
    draw = {"csv": inputs.markup_input, "html": inputs.markup_input, "json": inputs.json_input, "jsonl": inputs.json_input}.get(
        kind, inputs.binary_input
    )
    return Target(kind, weight, partial(draw, kind=kind), partial(check_file, kind))


TARGETS = (
    Target("decode", 15, inputs.text_bytes, check_decode),
    Target("front matter", 15, inputs.text_input, check_parse),
    Target("sentences", 15, inputs.text_input, check_sentences),
    Target("split", 12, inputs.text_input, check_split),
    Target("fold", 10, inputs.text_input, check_fold),
    Target("units", 8, inputs.text_input, check_units),
    Target("evidence", 8, lambda dice: [inputs.question_input(dice), inputs.text_input(dice)], check_evidence),
    Target("conversation", 6, lambda dice: [inputs.question_input(dice) for _ in range(3)], check_conversation),
    _file("csv", 3), _file("json", 2.5), _file("jsonl", 2), _file("html", 2),
    _file("pdf", 0.5), _file("docx", 0.3), _file("xlsx", 0.3), _file("pptx", 0.3), _file("epub", 0.4), _file("zip", 0.3),
)  # fmt: skip
BY_NAME = {target.name: target for target in TARGETS}
