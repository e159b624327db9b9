"""Keyword scores against BM25 worked out by hand and by bm25s, in one segment and in several."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace

import bm25s
import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from askai import lexical
from askai.corpus import read_article
from askai.lexical import K1, Array, B, LexicalIndex, Postings, merge
from askai.passages import split
from askai.synonyms import lexicon
from askai.text import fold, units
from making import CORPUS

UNITS = ["灯塔", "塔", "gpt-5.2", "gpt", "5", "建于", "年", "白石"]
BAG = st.lists(st.sampled_from(UNITS), max_size=25)
BAGS = st.lists(BAG, max_size=12)


def bm25(bags: Sequence[Sequence[str]], query: Sequence[str]) -> list[float]:
    """Robertson and Zaragoza 2009 with Lucene's inverse document frequency; no (k1 + 1) factor."""
    mean = sum(map(len, bags)) / max(1, len(bags))
    scores = []
    for bag in bags:
        counts = Counter(bag)
        score = 0.0
        for unit in query:
            holds = sum(unit in other for other in bags)
            rarity = math.log(1 + (len(bags) - holds + 0.5) / (holds + 0.5))
            length = 1 - B + B * len(bag) / mean if mean else 1.0
            if counts[unit]:
                score += rarity * counts[unit] / (counts[unit] + K1 * length)
        scores.append(score)
    return scores


@given(BAGS, st.lists(st.sampled_from([*UNITS, "没有的"]), max_size=6))
@example([["灯塔"]], ["灯塔", "灯塔"])
@example([[], ["灯塔"]], ["灯塔"])
@example([[]], ["灯塔"])
@example([[], []], [])
@example([], ["灯塔"])
def test_scores_are_those_of_bm25(bags: list[list[str]], query: list[str]) -> None:
    scores = LexicalIndex.build(bags).scores(query)
    assert scores.shape == (len(bags),)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, bm25(bags, query), rtol=1e-4, atol=1e-5)


def segmented(bags: Sequence[Sequence[str]], cuts: Sequence[int]) -> LexicalIndex:
    """The same passages in several segments."""
    edges = sorted({0, len(bags), *(cut for cut in cuts if cut < len(bags))})
    pairs = list(itertools.pairwise(edges)) or [(0, 0)]
    return LexicalIndex([(Postings.of(bags[a:b]), np.arange(a, b)) for a, b in pairs], len(bags))


@given(BAGS, BAG)
@example([["灯塔"] * 70_000, ["塔"]], ["灯塔"])
def test_scores_are_those_of_bm25s(bags: list[list[str]], query: list[str]) -> None:
    """A library of others as the oracle, with the variant that we say is ours."""
    oracle = bm25s.BM25(k1=K1, b=B, method="lucene")
    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(unit, len(vocabulary)) for unit in bag] for bag in bags]
    if not vocabulary:
        return
    oracle.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    known = [unit for unit in query if unit in vocabulary]
    expected = oracle.get_scores(known) if known else np.zeros(len(bags))
    np.testing.assert_allclose(LexicalIndex.build(bags).scores(query), expected, rtol=1e-5, atol=1e-6)


@given(BAGS, BAG, st.lists(st.integers(0, 12), max_size=4))
def test_segments_score_as_one(bags: list[list[str]], query: list[str], cuts: list[int]) -> None:
    one, many = LexicalIndex.build(bags), segmented(bags, cuts)
    np.testing.assert_array_equal(many.scores(query), one.scores(query))
    groups = [["灯塔年", "塔"], ["gpt-5.2", "白石灯塔", "塔"], []]
    np.testing.assert_array_equal(many.expanded_scores(groups), one.expanded_scores(groups))


@given(BAGS, BAG, st.data())
def test_removed_passages_count_for_nothing(bags: list[list[str]], query: list[str], data: st.DataObject) -> None:
    """Neither in scores nor in how rare a unit is: as if they had never been there, and so after a merge."""
    alive = [data.draw(st.booleans()) for _ in bags]
    left = [bag for bag, live in zip(bags, alive, strict=True) if live]
    place = np.where(alive, np.cumsum(alive) - 1, -1) if bags else np.empty(0, np.int64)
    fresh = LexicalIndex.build(left)
    merged = merge([(Postings.of(bags), place)], len(left))
    assert merged.faults() == []
    groups = [["灯塔", "塔"], ["gpt-5.2", "年"]]
    for index in (LexicalIndex([(Postings.of(bags), place)], len(left)), LexicalIndex([(merged, np.arange(len(left)))], len(left))):
        np.testing.assert_array_equal(index.scores(query), fresh.scores(query))
        np.testing.assert_array_equal(index.expanded_scores(groups), fresh.expanded_scores(groups))


@given(BAGS, st.lists(st.integers(0, 12), max_size=4))
def test_merged_postings_are_those_of_all_passages(bags: list[list[str]], cuts: list[int]) -> None:
    edges = sorted({0, len(bags), *(cut for cut in cuts if cut < len(bags))})
    parts = [(Postings.of(bags[a:b]), np.arange(a, b)) for a, b in itertools.pairwise(edges)]
    merged, whole = merge(parts, len(bags)), Postings.of(bags)
    for field in fields(Postings):
        np.testing.assert_array_equal(getattr(merged, field.name), getattr(whole, field.name))
        assert getattr(merged, field.name).dtype == getattr(whole, field.name).dtype
    assert merged.faults() == []


def test_merging_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    bags = [[f"u{n}" for n in rng.zipf(1.5, 30) % 200] for _ in range(300)]
    expected = merge([(Postings.of(bags[:100]), np.arange(100)), (Postings.of(bags[100:]), np.arange(100, 300))], 300)
    monkeypatch.setattr(lexical, "_CHUNK", 7)
    stepwise = merge([(Postings.of(bags[:100]), np.arange(100)), (Postings.of(bags[100:]), np.arange(100, 300))], 300)
    for field in fields(Postings):
        np.testing.assert_array_equal(getattr(stepwise, field.name), getattr(expected, field.name))


HARM = {
    "units": lambda a: a[::-1], "starts": lambda a: a + 1, "rows": lambda a: a + 9,
    "counts": lambda a: a[:-1], "lengths": lambda a: a + 1,
}  # fmt: skip


@pytest.mark.parametrize("name", HARM)
def test_postings_that_do_not_fit_are_told(name: str) -> None:
    whole = Postings.of([["灯塔", "年"], ["塔", "塔"]])
    assert whole.faults() == []
    assert replace(whole, **{name: HARM[name](getattr(whole, name))}).faults()


TEXTS = ["白石灯塔建于1887年。", "GPT-5.2 在十二月发布。", "燈塔如今是博物館。", "手机多少钱？"]


def test_real_text_in_either_script() -> None:
    index = LexicalIndex.build([list(units(fold(text))) for text in TEXTS])
    for question, best in (("gpt-5.2什么时候发布", 1), ("１８８７", 0), ("博物馆", 2)):
        assert int(index.scores(list(units(fold(question)))).argmax()) == best


def test_the_best_stand_in_counts_once_for_its_group() -> None:
    bags = [list(units(fold(text))) for text in ("售价三元", "价格三元", "售价价格", "颜色")]
    index = LexicalIndex.build(bags)
    one, other = (index.scores(list(units(word))) / len(list(units(word))) for word in ("售价", "价格"))
    both = index.expanded_scores([["售价", "价格", "没有的词"]])
    np.testing.assert_allclose(both, np.maximum(one, other))
    np.testing.assert_allclose(index.expanded_scores([["售价"], ["价格"]]), one + other)
    np.testing.assert_array_equal(index.expanded_scores([]), np.zeros(4, np.float32))


def brute_force(index: LexicalIndex, alternatives: Sequence[Sequence[str]], size: int) -> Array:
    """The definition: for each group the best phrase, of those all of whose units occur."""
    total = np.zeros(size, np.float32)
    for group in alternatives:
        best = np.zeros(size, np.float32)
        for phrase in group:
            bag = list(units(phrase))
            if bag and all(index.scores([unit]).any() for unit in bag):
                np.maximum(best, index.scores(bag) / len(bag), out=best)
        total += best
    return total


def test_stand_ins_score_as_defined() -> None:
    """Over the articles that ship, for the stand-ins of their own sentences."""
    bags, texts = [], []
    for path in sorted(CORPUS.glob("*.md"))[:6]:
        article = read_article(path, path.stem)
        texts += [article.text[p.start : p.end] for p in split(article)]
    bags = [list(units(fold(text))) for text in texts]
    index = LexicalIndex.build(bags)
    for text in texts[::7]:
        alternatives = lexicon().alternatives(fold(text[:60]))
        np.testing.assert_allclose(
            index.expanded_scores(alternatives), brute_force(index, alternatives, len(bags)), rtol=1e-5, atol=1e-6
        )
