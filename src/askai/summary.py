"""An extractive summary: the sentences nearest to the whole article, none like another."""

from __future__ import annotations

import re

import numpy as np

from askai.text import HAN_CHAR, sentences
from askai.types import Article, Encoder

_SKIP = re.compile(r"\s*(?:#|\||```|https?:|[-*]\s*\[)|.*[？?：:]\s*$")
_REPEAT, _LEAD = 0.6, 0.08


def summarise(article: Article, encoder: Encoder, k: int = 4) -> list[tuple[int, int]]:
    """Spans of ``k`` sentences in the order of the article.

    Chosen by maximal marginal relevance (Carbonell and Goldstein 1998) to the mean of the
    article's sentences, with a small premium for standing early.
    """
    text = article.text
    spans = _worth_citing(text)[:400]
    if len(spans) <= k:
        return [_strip(text, a, b) for a, b in spans]
    vectors = encoder.encode_passages([text[a:b] for a, b in spans])
    centre = vectors.mean(0)
    centre /= max(float(np.linalg.norm(centre)), 1e-9)
    worth = vectors @ centre + _LEAD * (1 - np.arange(len(spans)) / len(spans))
    chosen: list[int] = []
    while len(chosen) < k:
        likeness = (vectors @ vectors[chosen].T).max(1) if chosen else np.zeros(len(spans))
        value = worth - _REPEAT * likeness
        value[chosen] = -np.inf
        chosen.append(int(value.argmax()))
    return [_strip(text, *spans[i]) for i in sorted(chosen)]


def _worth_citing(text: str) -> list[tuple[int, int]]:
    """Sentences of the article's prose; where there is none (a table, English), whatever has words."""
    every = [(a, b) for a, b in sentences(text) if any(c.isalnum() for c in text[a:b])]
    prose = [
        (a, b)
        for a, b in every
        if len(HAN_CHAR.findall(text[a:b])) >= 12 and b - a <= 200 and not _SKIP.match(text[a:b])
    ]
    # A sentence that the article repeats is cited once.
    first = {text[a:b].strip(): (a, b) for a, b in reversed(prose or every)}
    return sorted(first.values())


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and (text[start].isspace() or text[start] in "-*>"):
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
