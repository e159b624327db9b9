"""A dozen plain questions over the articles that ship: they need the trained models.

Each names the article that must be among the first citations and words that their quotes must hold.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from askai.assistant import Assistant
from making import CORPUS, check

pytestmark = pytest.mark.quality

QUESTIONS = [
    ("PPR-9087B 卖多少钱？", "sample-printer-ppr-9087-faq", "829 元"),
    ("打印机屏幕显示 E-13 是什么意思？", "sample-printer-ppr-9087-faq", "卡纸"),
    ("谁在主导 Vibes 项目？", "meta-vibes-versus-sora-2", "弗里德曼"),
    ("Meta 花了多少钱把 Alexandr Wang 招来？", "meta-msl-talent-war", "143 亿美元"),
    ("奥尔特曼什么时候宣布进入红色警戒？", "openai-code-red-google-return", "2025 年 12 月 1 日"),
    ("Aura 眼镜的视场角有多大？", "xreal-aura-android-xr", "70°"),
    ("什么是知识蒸馏？", "meta-avocado-model", "教师模型"),
    ("北投石是谁发现的？", "beitou-hot-spring-guide", "岡本要八郎"),
    ("邗沟是哪一年开凿的？", "grand-canal-history", "公元前 486 年"),
    ("试用期内辞职要提前几天通知？", "labour-contract-probation", "提前 3 日"),
    ("成年人每天吃盐应该低于多少克？", "hypertension-daily-care", "5 克"),
    ("番茄果实底部发黑凹陷是什么原因？", "balcony-tomato-growing", "脐腐病"),
    ("月球每年远离地球多少？", "moon-phases-and-tides", "3.8 厘米"),
    ("沈若溪在图书馆工作了多少年？", "interview-paper-restorer", "20 年"),
    ("马斯克预言全球经济会扩大多少倍？", "musk-optimus-vision", "十倍"),
    ("Gemini 3 访谈里说 20 年后大语言模型架构会怎样？", "gemini-3-kavukcuoglu-interview", "淘汰"),
]
FOLLOW_UPS = [
    ("谁在主导 Vibes 项目？", "他以前担任过哪家公司的首席执行官？", "GitHub"),
    ("Vibes 是哪天公布的？", "那 Sora 2 呢？", "9 月 30 日"),
]
UNANSWERED = ["珠穆朗玛峰的海拔是多少米？", "红烧肉应该炖多长时间？", "姚明的身高是多少？", "GPT-6 什么时候发布？"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Assistant:
    return Assistant.build([CORPUS], Path(tmp_path_factory.mktemp("quality")) / "index")[0]


@pytest.mark.parametrize(("question", "article", "words"), QUESTIONS)
def test_question_is_answered_from_its_article(
    shipped: Assistant, question: str, article: str, words: str
) -> None:
    answer = shipped.ask(question)
    check(answer, {a.id: shipped.article(a.id).text for a in shipped.articles()})
    assert answer.status == "answered"
    assert any(c.article_id == article and words in c.quote for c in answer.citations), answer


def test_most_questions_are_answered_by_the_first_citation(shipped: Assistant) -> None:
    right = 0
    for question, article, words in QUESTIONS:
        first = shipped.ask(question).citations[0]
        right += first.article_id == article and words in first.quote
    assert right >= 0.75 * len(QUESTIONS)


@pytest.mark.parametrize(("first", "second", "words"), FOLLOW_UPS)
def test_follow_up(shipped: Assistant, first: str, second: str, words: str) -> None:
    answer = shipped.ask(second, [shipped.ask(first)])
    assert any(words in c.quote for c in answer.citations), answer


@pytest.mark.parametrize("question", UNANSWERED)
def test_what_the_articles_do_not_hold_is_declined(shipped: Assistant, question: str) -> None:
    answer = shipped.ask(question)
    assert answer.status == "not_found"
    assert all(c.span is None for c in answer.citations)


def test_a_new_subject_that_nothing_answers_is_not_mixed_with_the_last_one(shipped: Assistant) -> None:
    question = "红烧肉应该炖多长时间？"
    answer = shipped.ask(question, [shipped.ask("北投有哪几种温泉？")])
    assert (answer.status, answer.understood_as) == ("not_found", question)


def test_declining_is_less_sure_than_answering(shipped: Assistant) -> None:
    sure = sorted(shipped.ask(question).confidence for question, _, _ in QUESTIONS)
    unsure = [shipped.ask(question).confidence for question in UNANSWERED]
    assert max(unsure) < sure[len(sure) // 2]


@pytest.mark.parametrize(
    ("question", "article"),
    [("ppr-9087b 賣多少錢？", "sample-printer-ppr-9087-faq"),
     ("ppr-9087b 賣多少錢", "sample-printer-ppr-9087-faq"), ("北投石是誰發現的", "beitou-hot-spring-guide"),
     ("ＡＵＲＡ　眼鏡的視場角有多大", "xreal-aura-android-xr")],
)  # fmt: skip
def test_form_of_writing_does_not_matter(shipped: Assistant, question: str, article: str) -> None:
    answer = shipped.ask(question)
    assert answer.status == "answered"
    assert answer.citations[0].article_id == article
