"""Measures against small oracles, data sets in every form, and an evaluation end to end."""

from __future__ import annotations

import json
import lzma
import math
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from askai.datasets import Example, pool, read_dataset
from askai.errors import InputError
from askai.evaluation import Outcome, RememberingReader, evaluate, summarise
from askai.metrics import (
    auroc,
    calibration,
    character_f1,
    exact_match,
    first_rank,
    percentiles,
    risk_coverage,
)
from askai.types import Article, Hit, Passage, Reading

TOWER = "白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。"
TEA = "绿茶最好放进冰箱冷藏，温度以五度左右为宜。普洱茶不需要冷藏。"
PHONE = "星河三号耳机售价￥1,299，12月8日开卖。"


@pytest.mark.parametrize(
    ("prediction", "gold", "same"),
    [
        ("1887年", "1887年", True),
        ("《红楼梦》", "红楼梦", True),
        ("GPT-5.2", "gpt5.2", True),
        ("周怀远。", "周怀远", True),
        ("周怀远 主持", "周怀远主持", False),  # the official scorer keeps inner spaces
        ("1887", "1887年", False),
        ("", "1887年", False),
    ],
)
def test_exact_match(prediction: str, gold: str, same: bool) -> None:
    assert exact_match(prediction, [gold]) is same
    assert exact_match(prediction, ["别的", gold]) is same


@pytest.mark.parametrize(
    ("prediction", "golds", "f1"),
    [
        ("1887年", ["1887年"], 1.0),
        ("建于1887年", ["1887年"], 2 * 2 / (4 + 2)),  # 建 于 1887 年 against 1887 年
        ("甲乙丙丁", ["甲乙戊丁"], 0.5),  # the longest run is 甲乙, though three tokens agree
        ("GPT-5.2模型", ["gpt5.2"], 2 / (3 + 1)),
        ("，。", ["甲"], 0.0),
        ("甲", ["乙", "甲乙"], 2 / 3),
        ("", ["甲"], 0.0),
    ],
)
def test_character_f1(prediction: str, golds: list[str], f1: float) -> None:
    assert character_f1(prediction, golds) == pytest.approx(f1)


@given(st.text("甲乙丙丁a1 ，", max_size=12), st.text("甲乙丙丁a1 ，", max_size=12))
def test_character_f1_agrees_with_a_search_of_all_runs(one: str, other: str) -> None:
    def tokens(text: str) -> list[str]:
        spaced = "".join(c if c in "a1" else f" {c} " for c in text.replace("，", ""))
        return spaced.split()

    a, b = tokens(one), tokens(other)
    runs = [
        j - i for i, j in product(range(len(a) + 1), repeat=2) if i < j
        for k in range(len(b)) if a[i:j] == b[k : k + j - i]
    ]
    expected = 2 * max(runs, default=0) / (len(a) + len(b)) if runs else 0.0
    assert character_f1(one, [other]) == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.5001, 1.0]), st.booleans()), max_size=30))
def test_auroc_is_the_share_of_pairs_in_order(rows: list[tuple[float, bool]]) -> None:
    positive = [score for score, label in rows if label]
    negative = [score for score, label in rows if not label]
    area = auroc([score for score, _ in rows], [label for _, label in rows])
    if not positive or not negative:
        assert area is None
        return
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    assert area == pytest.approx(sum(pairs) / len(pairs))


def test_calibration_of_known_cases() -> None:
    assert calibration([1.0, 1.0, 0.0], [True, True, False])[0] == 0.0
    error, bins = calibration([0.9, 0.9, 0.1, 0.1], [True, False, False, False])
    assert error == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)
    assert [(b["accuracy"], b["count"]) for b in bins] == [(0.0, 2), (0.5, 2)]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_risk_coverage_ends_at_the_overall_risk(rows: list[tuple[float, bool]]) -> None:
    sure, right = [r[0] for r in rows], [r[1] for r in rows]
    points = risk_coverage(sure, right)
    assert points[-1]["coverage"] == 1.0
    assert points[-1]["risk"] == pytest.approx(1 - sum(right) / len(right))
    assert all(0 <= p["risk"] <= 1 for p in points)
    assert [p["confidence"] for p in points] == sorted((p["confidence"] for p in points), reverse=True)


def test_small_measures() -> None:
    assert first_rank([False, False, True]) == 3
    assert first_rank([False]) is None
    assert percentiles([1, 2, 3, 4], 50, 100) == [2.5, 4.0]


SQUAD: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "灯塔",
            "paragraphs": [
                {
                    "context": TOWER,
                    "qas": [
                        {"id": "1", "question": "灯塔建于哪一年？", "answers": [
                            {"text": "1887年", "answer_start": 4}, {"text": "1887", "answer_start": 4},
                            {"text": "1887年", "answer_start": 4}]},
                        {"id": "2", "question": "灯塔是谁拆的？", "answers": [], "is_impossible": True},
                        {"id": "3", "question": "谁画的？", "is_impossible": True,
                         "answers": [{"text": "", "answer_start": -1}],
                         "plausible_answers": [{"text": "周怀远", "answer_start": 11}]},
                    ],
                }
            ],
        }
    ],
}
CMRC = [
    {
        "context_id": "T0", "context_text": TOWER, "title": "灯塔",
        "qas": [
            {"query_id": "1", "query_text": "灯塔建于哪一年？", "answers": ["1887年", "1887", "1887年"]},
            {"query_id": "2", "query_text": "灯塔是谁拆的？", "answers": []},
            {"query_id": "3", "query_text": "谁画的？"},
        ],
    }
]
ROWS = [
    {"id": "1", "title": "灯塔", "question": "灯塔建于哪一年？", "context": TOWER,
     "answers": [{"text": "1887年", "start": 4}, {"text": "1887", "start": 4}]},
    {"id": "2", "title": "灯塔", "question": "灯塔是谁拆的？", "context": TOWER, "answers": []},
    {"id": "3", "title": "灯塔", "question": "谁画的？", "context": TOWER, "answers": [], "is_impossible": True},
]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
EXPECTED = [
    Example("1", "灯塔", "灯塔建于哪一年？", TOWER, ("1887年", "1887")),
    Example("2", "灯塔", "灯塔是谁拆的？", TOWER, ()),
    Example("3", "灯塔", "谁画的？", TOWER, ()),
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("squad.json", json.dumps(SQUAD)),
        ("squad.json", "\ufeff" + json.dumps(SQUAD, ensure_ascii=False)),
        ("cmrc.json", json.dumps(CMRC, ensure_ascii=False)),
        ("rows.json", json.dumps(ROWS)),
        ("rows.jsonl", LINES + "\n\n"),
        ("rows.jsonl", LINES.replace("\n", "\r\n")),
        ("lines.json", LINES),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_gives_the_same_examples(tmp_path: Path, name: str, text: str, packed: bool) -> None:
    path = tmp_path / (f"{name}.xz" if packed else name)
    data = text.encode()
    path.write_bytes(lzma.compress(data) if packed else data)
    assert read_dataset(path) == EXPECTED


def test_a_line_separator_inside_a_string_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"question": "甲？", "context": "甲\u2028乙\x85丙", "answers": ["乙"]}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert read_dataset(path)[0].context == "甲\u2028乙\x85丙"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.json", b"{", "JSON"), ("a.jsonl", b'{"context": "x"}\nnot json\n', "第 2 行"),
        ("a.json", b"[]", "没有可用"), ("a.json", b'{"data": [{"paragraphs": [{}]}]}', "看不懂"),
        ("a.json", b"[1, 2]", "看不懂"), ("a.json", b'"text"', "看不懂"), ("a.json", b"\xff\xfe{}", "UTF-8"),
        ("a.jsonl.xz", b"not packed", "压缩包"), ("a.json", b'[{"context": "x", "answers": [{}]}]', "看不懂"),
    ],
)
def test_what_is_no_data_set_is_named(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        read_dataset(path)
    assert name in str(error.value)


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json"):
        read_dataset(tmp_path / "nowhere.json")


def test_each_context_is_one_article_under_its_title() -> None:
    articles = pool([*EXPECTED, Example("", "茶", "", TEA, ()), Example("", "另一个标题", "", TOWER, ())])
    assert [(a.title, a.text) for a in articles] == [("灯塔", TOWER), ("茶", TEA)]
    assert len({a.id for a in articles}) == 2


def outcome(answers: tuple[str, ...], confidence: float, sentence: int | None, **ranks: int | None) -> Outcome:
    return Outcome(
        Example("", "", "甲？", TOWER, answers), confidence >= 0.5, confidence, confidence / 2, "1887年", sentence,
        ranks or {"reranked": sentence}, "周怀远", confidence, 10.0,
    )


def test_summary_of_known_outcomes() -> None:
    report = summarise(
        [
            outcome(("1887年",), 0.9, 1),
            outcome(("周怀远",), 0.8, 2),
            outcome(("31米",), 0.3, None),
            outcome((), 0.7, None),
            outcome((), 0.1, None),
        ]
    )
    assert report["retrieval"]["recall@1"] == {"value": pytest.approx(1 / 3), "count": 1, "of": 3}
    assert report["retrieval"]["recall@5"]["count"] == 2
    assert report["retrieval"]["mrr@10"]["value"] == pytest.approx((1 + 0.5) / 3)
    assert report["sentences"]["hit@1"]["count"] == 1
    assert report["sentences"]["hit@3"]["count"] == 2
    assert report["open"]["exact"] == {"value": pytest.approx(1 / 3), "count": 1, "of": 3}
    assert report["gold_context"]["exact"]["count"] == 1
    assert report["declining"]["auroc"] == pytest.approx(5 / 6)
    assert report["declining"]["precision"] == pytest.approx(2 / 3)
    assert report["declining"]["recall"] == pytest.approx(2 / 3)
    assert report["declining"]["answered"] == {"answerable": 2, "unanswerable": 1}
    assert report["declining"]["declined"] == {"answerable": 1, "unanswerable": 1}
    # Declining is judged by whether there is an answer, the first excerpt by how likely it is one.
    assert report["calibration"]["expected_error"] == pytest.approx((0.15 + 0.15 + 0.35 + 0.05) / 5)
    assert report["risk_coverage"][-1]["confidence"] == pytest.approx(0.05)
    assert report["latency_ms"] == {"p50": 10.0, "p95": 10.0, "count": 5}
    assert "stages" not in report


def test_declining_is_left_out_where_everything_has_an_answer() -> None:
    assert summarise([outcome(("1887年",), 0.9, 1)])["declining"] is None
    only = summarise([outcome((), 0.9, None)])
    assert only["retrieval"]["recall@1"] == {"value": None, "count": 0, "of": 0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval") / "set.jsonl"
    path.write_text(LINES, "utf-8")
    return path


@pytest.fixture(scope="module")
def distractors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval") / "more.jsonl.xz"
    rows = [{"title": "茶", "context": TEA}, {"title": "耳机", "context": PHONE}, {"title": "塔", "context": TOWER}]
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode()))
    return path


def test_an_evaluation_end_to_end(dataset: Path, distractors: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    report = evaluate(
        dataset, [distractors], stages=True, progress=lambda *step: seen.append(step)
    )
    assert (report["questions"], report["answerable"], report["unanswerable"]) == (3, 1, 2)
    assert (report["articles"], report["passages"]) == (3, 3), "the same context is one article"
    assert report["retrieval"]["recall@1"] == {"value": 1.0, "count": 1, "of": 1}
    assert set(report["stages"]) == {"bm25", "dense", "fused", "reranked"}
    assert report["answer_in_one_passage"]["count"] == 1
    assert report["declining"] is not None
    assert report["calibration"]["count"] == 3
    assert seen[-1] == ("评测问题", 3, 3)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert not [v for v in report["latency_ms"].values() if math.isnan(v)]


def test_limit_keeps_the_whole_pool(dataset: Path, distractors: Path) -> None:
    report = evaluate(dataset, [distractors], limit=1)
    assert (report["questions"], report["articles"]) == (1, 3)
    assert report["declining"] is None


def test_a_set_without_questions_is_refused(distractors: Path) -> None:
    with pytest.raises(InputError, match="没有问题"):
        evaluate(distractors)


class CountingReader:
    """Says which passages it was asked to read."""

    def __init__(self) -> None:
        self.read_rows: list[int] = []

    def read(self, question: str, hits: Sequence[Hit], articles: Mapping[str, Article]) -> list[Reading]:
        self.read_rows += [hit.row for hit in hits]
        return [Reading(hit, (), len(question) + hit.row) for hit in hits]


def test_each_passage_is_read_once_for_a_question() -> None:
    reader = CountingReader()
    remembering = RememberingReader(reader)
    passage = Passage("a", 0, 1)
    remembering.read("甲？", [Hit(1, passage, 0.1), Hit(2, passage, 0.2)], {})
    hits = [Hit(2, passage, 0.5), Hit(3, passage, 0.4), Hit(1, passage, 0.3)]
    again = remembering.read("甲？", hits, {})
    assert reader.read_rows == [1, 2, 3]
    assert [reading.hit for reading in again] == hits, "each with the score of this search"
    assert [reading.answers for reading in again] == [4, 5, 3]
    assert remembering.read("乙乙？", hits[:1], {})[0].answers == 5
    assert reader.read_rows == [1, 2, 3, 2]
