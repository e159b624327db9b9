"""How much of a question a text holds: stand-ins count, question words do not, names must be whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from askai.evidence import Wanted, coverage, fits, informative, missing, wanted
from askai.text import fold


def even(units: Sequence[str]) -> list[float]:
    return [1.0] * len(units)


def asked(question: str) -> Wanted:
    return wanted(question, even)


@pytest.mark.parametrize(
    ("question", "text", "count"),
    [
        ("GPT-6 什么时候发布？", "GPT-5.2 于 12 月发布。", 1),
        ("GPT-5 什么时候发布？", "GPT-5.2 于 12 月发布。", 1),
        ("GPT-5.2 什么时候发布？", "ＧＰＴ-5.2 于 12 月发布。", 0),
        ("PPR-9999 多少钱？", "PPR-9087B 售价 829 元。", 1),
        ("12 号有什么活动？", "2012 年的活动。", 1),
        ("Sora 3 谁做的？", "Sora 2 由 OpenAI 发布。", 1),
        ("谁在主导 vibes 项目？", "Vibes 由弗里德曼主导。", 0),
        ("Gemini 4 怎么样？", "Gemini 3 发布了。", 1),
        ("Gemini3 怎么样？", "Gemini 3 发布了。", 0),
        ("GPT 5.2 怎么样？", "GPT-5.2 发布了。", 0),
        ("2031 年的销量？", "2030 年的销量是 3 万台。", 1),
        ("U.S.८ 是什么？", "U.S.८", 0),
        ("3 个人够吗？", "三个人就够。", 0),
        ("番茄怎么种？", "番茄要深栽。", 0),
        ("5G 套餐多少钱？", "5G 套餐每月 99 元。", 0),
        ("5G 套餐多少钱？", "4G 套餐每月 99 元。", 1),
        ("3D打印慢吗？", "2D 打印很快。", 1),
        ("16GB 的版本多少钱？", "16 GB 版 6199 元。", 0),
        ("16GB 的版本多少钱？", "32GB 版 7199 元。", 1),
        ("2.4GHz 和 5GHz 哪个快？", "2.4GHz 传得远，5GHz 快。", 0),
        ("10km 要跑多久？", "跑 10km 要 50 分钟。", 0),
        ("Sora 2.", "Sora 2 由 OpenAI 发布。", 0),
        ("GPT有5个版本吗？", "GPT 的版本有很多。", 0),
        ("iPhone 15 2024 年降价了吗？", "2024 年 iPhone 15 降价。", 0),
        ("1,299 元贵吗？", "售价￥1,299。", 0),
        ("12:30 开卖吗？", "12:30 开卖。", 0),
        ("๒nt 是什么？", "๒nt 是样品。", 0),
    ],
)
def test_names_and_numbers_must_be_there_whole(question: str, text: str, count: int) -> None:
    assert missing(asked(question), fold(text)) == count


def test_question_words_do_not_count() -> None:
    assert coverage(asked("番茄为什么要深栽？"), fold("番茄深栽")) == 1.0
    assert coverage(asked("番茄为什么要深栽？"), fold("为什么要这样")) == 0.0
    assert coverage(asked("为什么呢？"), "") == 1.0


@pytest.mark.parametrize("text", ["会议在哪里开", "有机蔬菜", "以色列", "和平的条件"])
def test_particles_inside_words_stay(text: str) -> None:
    kept = informative(fold(text))
    assert len(kept) == len(text)
    assert kept.startswith(text[:2])


def test_stand_ins_do_not_cross_words() -> None:
    """天天 in 今天天气 is none, and 每天 does not stand for it."""
    assert coverage(asked("今天天气怎么样？"), fold("每天走路")) == 0.0


def test_stand_ins_count() -> None:
    assert coverage(asked("原来说好几月卖？"), fold("原定三月开卖，售价 99 元")) > 0.0


@given(question=st.text(max_size=60), text=st.text(max_size=80))
def test_coverage_is_a_share(question: str, text: str) -> None:
    want = asked(question)
    assert 0.0 <= coverage(want, fold(text)) <= 1.0
    assert coverage(want, fold(question)) == pytest.approx(1.0)
    assert 0 <= missing(want, fold(text)) <= len(want.names)
    assert missing(want, fold(question)) == 0


@given(st.text("ab59 .,:/-+_的有年GＧ'", max_size=20))
def test_a_question_holds_its_own_names(question: str) -> None:
    assert missing(asked(question), fold(question)) == 0


@pytest.mark.parametrize(
    ("question", "answer", "value"),
    [
        ("售价多少？", "829 元", 1.0), ("售价多少？", "很贵", -1.0), ("哪一年建成？", "2003年", 1.0),
        ("哪一年建成？", "卡塔尔多哈", -1.0), ("谁建的？", "2003年", 0.0), ("试用期最长多久？", "6 个月", 1.0),
    ],
)
def test_the_answer_looks_as_the_question_wants(question: str, answer: str, value: float) -> None:
    assert fits(asked(question), answer) == value
