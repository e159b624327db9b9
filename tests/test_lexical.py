"""Keyword scores against BM25 worked out by hand, and what is kept on disk."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from askai.errors import IndexDamaged
from askai.lexical import K1, B, LexicalIndex
from askai.text import fold, units

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


@given(BAGS, BAG)
def test_a_saved_index_gives_the_same_scores(
    tmp_path_factory: pytest.TempPathFactory, bags: list[list[str]], query: list[str]
) -> None:
    built = LexicalIndex.build(bags)
    folder = tmp_path_factory.mktemp("词")
    built.save(folder)
    loaded = LexicalIndex.load(folder, len(bags))
    np.testing.assert_array_equal(loaded.scores(query), built.scores(query))
    assert not [path for path in folder.rglob("*") if path.suffix in {".pkl", ".pickle"}]


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


@pytest.mark.parametrize("harm", ["delete", "cut", "garble"])
def test_a_damaged_index_says_what_to_do(tmp_path: Path, harm: str) -> None:
    LexicalIndex.build([["灯塔", "年"], ["塔"]]).save(tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        kept = path.read_bytes()
        if harm == "delete":
            path.unlink()
        else:
            path.write_bytes(kept[: len(kept) // 2] if harm == "cut" else b"\0" + kept[1:])
        # Not every byte matters; what matters must be told as this error and no other.
        with contextlib.suppress(IndexDamaged):
            LexicalIndex.load(tmp_path, 2)
        path.write_bytes(kept)
    (tmp_path / "params.index.json").write_text("{", "utf-8")
    with pytest.raises(IndexDamaged, match="askai build"):
        LexicalIndex.load(tmp_path, 2)
