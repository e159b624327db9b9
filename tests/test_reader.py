"""The reader: spans lie in their passages, batches change nothing, long and hostile text, damaged files."""

from __future__ import annotations

import itertools
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from askai.assistant import READER, default_reader
from askai.encoder import MODELS
from askai.errors import ModelError
from askai.passages import split
from askai.reader import NeuralReader
from askai.reading import MAX_PASSAGE, MAX_QUESTION
from askai.types import Article, Hit, Passage, Reading
from making import CORPUS, HOSTILE_QUESTIONS, HOSTILE_TEXTS, article, whole

TEXT = """# 示例产品 PPR-9087

示例产品 PPR-9087 有三个版本，标准版售价 699 元，电池加大版售价 829 元，无线版售价 949 元。

## 保修

整机保修 1 年，打印头保修 2 年，电池保修 6 个月，从购买的第二天算起。凭发票或订单号都可以保修，不需要保修卡。

## 客服

蓝榆示例科技的客服在周一到周六 9:00 至 18:00 提供服务，周日和法定节假日休息。客服负责人是林知远。
"""
# The weights that ship are 8-bit integers whose scale ONNX Runtime chooses for a batch as a whole, so
# that scores move a little with what stands beside a passage.
QUANTISATION = 0.5
QUESTIONS = ("电池保修多久？", "PPR-9087W 多少錢", "客服负责人是谁？", "ＰＰＲ", "？", "灯塔有多高？")


@pytest.fixture(scope="module")
def reader() -> NeuralReader:
    return default_reader()


def hits_of(chosen: Article) -> list[Hit]:
    return [Hit(row, passage, 1.0) for row, passage in enumerate(split(chosen))]


def check_reading(reading: Reading, text: str) -> None:
    passage = reading.hit.passage
    assert math.isfinite(reading.answers)
    for span, score in reading.spans:
        assert passage.start <= span.start < span.end <= passage.end
        assert text[span.start : span.end] == span.text
        assert span.text == span.text.strip()
        assert math.isfinite(score)
    scores = [score for _, score in reading.spans]
    assert scores == sorted(scores, reverse=True)
    places = sorted((span.start, span.end) for span, _ in reading.spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places)), "spans overlap"


@pytest.mark.parametrize(
    ("name", "row", "question", "words", "score"),
    [
        ("hypertension-daily-care.md", 3, "为什么会这样？", "后者更容易被漏掉", -7.45),
        ("musk-optimus-vision.md", 0, "是什么时候？", "从遛狗买菜", -6.94),
    ],
)
def test_every_processor_sums_up_the_same(
    reader: NeuralReader, name: str, row: int, question: str, words: str, score: float
) -> None:
    """Worked out with exact sums; without them these two are off by 0.7 on a processor without VNNI."""
    chosen = article((CORPUS / name).read_text("utf-8"))
    hit = Hit(row, split(chosen)[row], 1.0)
    (found,) = reader.read(question, [hit], {chosen.id: chosen})
    span, best = found.spans[0]
    assert span.text.startswith(words)
    assert best == pytest.approx(score, abs=0.25)


def assert_alike(one: Reading, other: Reading) -> None:
    assert one.hit == other.hit
    assert one.answers == pytest.approx(other.answers, abs=QUANTISATION)
    best, same = [s for _, s in one.spans[:1]], [s for _, s in other.spans[:1]]
    np.testing.assert_allclose(best, same, atol=QUANTISATION)
    # Spans of nearly the same score may change places; those that stand out may not.
    if len(one.spans) > 1 and one.spans[0][1] - one.spans[1][1] > 2 * QUANTISATION:
        mine, theirs = one.spans[0][0], other.spans[0][0]
        # Only spans that do not touch are listed: one that overlaps the best may be a hair behind it. Where
        # nothing answers (a score under 0) the two may change places, where something does they may not.
        assert mine == theirs if best[0] > 0 else mine.start < theirs.end and theirs.start < mine.end


@pytest.mark.parametrize("question", QUESTIONS)
def test_spans_lie_in_their_passages(reader: NeuralReader, question: str) -> None:
    chosen = article(TEXT)
    hits = hits_of(chosen)
    readings = reader.read(question, hits, {chosen.id: chosen})
    assert [reading.hit for reading in readings] == hits
    assert any(reading.spans for reading in readings)
    for reading in readings:
        check_reading(reading, TEXT)


def test_offsets_are_into_the_article(reader: NeuralReader) -> None:
    """A passage in the middle, after characters that take two units of UTF-16 or four bytes."""
    text = "𠮷👨‍👩‍👧‍👦é。" * 20 + "\n客服负责人是林知远。"
    chosen = article(text)
    start = text.index("客服")
    hit = Hit(0, Passage(chosen.id, start, len(text)), 1.0)
    (reading,) = reader.read("负责人是谁？", [hit], {chosen.id: chosen})
    assert reading.spans
    check_reading(reading, text)


@pytest.mark.parametrize("question", QUESTIONS)
def test_batching_changes_nothing(reader: NeuralReader, question: str) -> None:
    """Passages are padded to the longest of a batch: what stands beside a passage must not matter."""
    chosen = [article(TEXT, id="a"), article(TEXT * 2, id="b"), article("短。", id="c"), article("林知远" * 90, id="d")]
    known = {one.id: one for one in chosen}
    hits = [hit for one in chosen for hit in hits_of(one)]
    together = reader.read(question, hits, known)
    backwards = reader.read(question, hits[::-1], known)[::-1]
    for hit, mine, theirs in zip(hits, together, backwards, strict=True):
        (alone,) = reader.read(question, [hit], known)
        assert_alike(mine, alone)
        assert_alike(mine, theirs)


def test_no_hits(reader: NeuralReader) -> None:
    assert reader.read("谁？", [], {}) == []


def test_same_hit_twice(reader: NeuralReader) -> None:
    chosen = article(TEXT)
    hit = hits_of(chosen)[0]
    one, other = reader.read("多少钱", [hit, hit], {chosen.id: chosen})
    assert_alike(one, other)


def test_reading_again_gives_the_same(reader: NeuralReader) -> None:
    chosen = article(TEXT)
    first = reader.read("多少钱", hits_of(chosen), {chosen.id: chosen})
    assert reader.read("多少钱", hits_of(chosen), {chosen.id: chosen}) == first


def test_reading_in_threads(reader: NeuralReader) -> None:
    chosen = article(TEXT)
    known, hits = {chosen.id: chosen}, hits_of(chosen)
    expected = {question: reader.read(question, hits, known) for question in QUESTIONS}
    with ThreadPoolExecutor(6) as pool:
        asked = [question for _ in range(4) for question in QUESTIONS]
        for question, readings in zip(asked, pool.map(lambda q: reader.read(q, hits, known), asked), strict=True):
            assert readings == expected[question]


def test_long_question_is_read_from_its_end(reader: NeuralReader) -> None:
    chosen = article(TEXT)
    known, hits = {chosen.id: chosen}, hits_of(chosen)
    question = "电池保修多久？"
    long = "我想了解一下" * 100 + "关" * MAX_QUESTION + question
    cut = long[-MAX_QUESTION:]
    assert reader.read(long, hits, known) == reader.read(cut, hits, known)


def test_long_passage_is_cut(reader: NeuralReader) -> None:
    text = "灯塔" + "高" * 2000 + "三十一米"
    chosen = article(text)
    (reading,) = reader.read("灯塔多高？", [whole(chosen)], {chosen.id: chosen})
    check_reading(reading, text)
    assert all(span.end <= MAX_PASSAGE for span, _ in reading.spans)
    short = article(text[:MAX_PASSAGE], id=chosen.id)
    (same,) = reader.read("灯塔多高？", [whole(short)], {chosen.id: short})
    assert (same.spans, same.answers) == (reading.spans, reading.answers)


def test_form_of_writing_does_not_matter(reader: NeuralReader) -> None:
    one, other = article("客服負責人是林知遠，電話為８８６６。"), article("客服负责人是林知远,电话为8866。")
    (mine,) = reader.read("負責人是誰？", [whole(one)], {one.id: one})
    (theirs,) = reader.read("负责人是谁?", [whole(other)], {other.id: other})
    assert mine.answers == pytest.approx(theirs.answers, abs=1e-4)
    assert [(s.start, s.end) for s, _ in mine.spans] == [(s.start, s.end) for s, _ in theirs.spans]


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_hostile_text(reader: NeuralReader, name: str) -> None:
    text = HOSTILE_TEXTS[name]
    chosen = article(text, title=text[:50])
    hits = [*hits_of(chosen)[:5], whole(chosen)]
    for question in ("姓名是什么？", text[:80]):
        for reading in reader.read(question, hits, {chosen.id: chosen}):
            check_reading(reading, text)


@pytest.mark.parametrize("question", HOSTILE_QUESTIONS)
def test_hostile_question(reader: NeuralReader, question: str) -> None:
    chosen = article(TEXT)
    for reading in reader.read(question, hits_of(chosen), {chosen.id: chosen}):
        check_reading(reading, TEXT)


@settings(max_examples=60)
@given(
    text=st.text(alphabet=st.characters(exclude_categories=()), min_size=1, max_size=120),
    question=st.text(alphabet=st.characters(exclude_categories=()), max_size=40),
)
def test_any_text(reader: NeuralReader, text: str, question: str) -> None:
    chosen = article(text, title=question)
    (reading,) = reader.read(question, [whole(chosen)], {chosen.id: chosen})
    check_reading(reading, text)


@pytest.mark.parametrize("name", ["model.onnx", "vocab.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage", "list"])
def test_damaged_files_give_a_model_error(tmp_path: Path, name: str, damage: str) -> None:
    copy = shutil.copytree(MODELS / READER, tmp_path / "reader")
    file = copy / name
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        content = {"empty": b"", "cut": data[: len(data) // 2], "garbage": b"\x80" * 64, "list": b"[1, 2]"}
        file.write_bytes(content[damage])
    with pytest.raises(ModelError, match="重新安装 askai"):
        NeuralReader(copy)
