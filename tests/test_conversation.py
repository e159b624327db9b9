"""Talk around the questions: follow-ups made whole by rule, and what is no question at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from askai.conversation import interpretations, kind_of, small_talk, topic_of
from askai.types import Answer, ArticleSummary
from making import HOSTILE_QUESTIONS, answer

WHO = answer("谁主导 Vibes 项目？", "纳特·弗里德曼")
WHEN = answer("Vibes 是什么时候发布的？", "2025 年 9 月 25 日")
NAMED = answer("Meta 的新模型叫什么名字？", "Avocado")
LAW = answer("试用期最长多久？", "6 个月")
STONE = answer("北投石是誰發現的？", "岡本要八郎")
CANAL = answer("通惠河是谁主持修建的？", "郭守敬")
DECLINED = answer("谁主导 Vibes 项目？", status="not_found")

FOLLOW_UPS = [
    # A person who was just named.
    (WHO, "他以前在哪家公司？", "纳特·弗里德曼以前在哪家公司？"),
    (WHO, "她多大了", "纳特·弗里德曼多大了"),
    (WHO, "此人是谁", "纳特·弗里德曼是谁"),
    (STONE, "他是哪國人？", "岡本要八郎是哪國人？"),
    (CANAL, "他还修了什么？", "郭守敬还修了什么？"),
    (WHO, "这个人现在压力大吗", "纳特·弗里德曼现在压力大吗"),
    (WHO, "那位负责人以前做什么", "纳特·弗里德曼负责人以前做什么"),
    # A thing: what was asked about, or what the answer named.
    (WHO, "它为什么输了？", "Vibes为什么输了？"),
    (WHO, "它為什麼輸了？", "Vibes為什麼輸了？"),
    (WHEN, "这款产品缺什么？", "Vibes产品缺什么？"),
    (WHEN, "这个怎么读", "Vibes怎么读"),
    (NAMED, "它什么时候发布？", "Avocado什么时候发布？"),
    (STONE, "它有什麼用途？", "北投石有什麼用途？"),
    # Without an answer there is nobody to mean: the topic it is.
    (DECLINED, "他以前在哪家公司？", "Vibes以前在哪家公司？"),
    # 那……呢
    (WHEN, "那 Sora 2 呢？", "Sora 2 是什么时候发布的？"),
    (WHEN, "Sora 2呢", "Sora 2 是什么时候发布的？"),
    (WHEN, "不过 Reels 呢？", "Reels 是什么时候发布的？"),
    (STONE, "那汐止溫泉呢？", "汐止溫泉是誰發現的？"),
    (NAMED, "那OpenAI呢？", "OpenAI 的新模型叫什么名字？"),
    (CANAL, "通济渠呢？", "通济渠是谁主持修建的？"),
    # Asking on without a word of content: the same question again.
    (WHO, "还有呢？", "谁主导 Vibes 项目？"),
    (WHO, "然后呢", "谁主导 Vibes 项目？"),
    (WHO, "那呢？", "谁主导 Vibes 项目？"),
    (WHO, "其他的呢？", "谁主导 Vibes 项目？"),
    (WHO, "那它呢？", "谁主导 Vibes 项目？"),
    # A bare question word takes the place of the last one.
    (WHO, "什么时候？", "主导 Vibes 项目什么时候？"),
    (WHO, "為什麼？", "主导 Vibes 项目為什麼？"),
    (WHEN, "在哪里？", "Vibes 发布的在哪里？"),
    (NAMED, "为什么呢？", "Meta 的新模型为什么呢？"),
    (LAW, "为什么？", "试用期最长为什么？"),
    (WHO, "还有谁？", "主导 Vibes 项目谁？"),
    (WHO, "那什么时候发布？", "Vibes什么时候发布？"),
]


def resolve(question: str, previous: Sequence[Answer]) -> str:
    """The likeliest interpretation."""
    return interpretations(question, previous)[0]


@pytest.mark.parametrize(("before", "question", "expected"), FOLLOW_UPS)
def test_follow_up_is_made_whole(before: Answer, question: str, expected: str) -> None:
    assert resolve(question, [before]) == expected
    # Small talk in between changes nothing, nor do earlier turns.
    between = [LAW, before, answer("谢谢！"), answer("你好")]
    assert resolve(question, between) == expected


@pytest.mark.parametrize(
    "question",
    [
        "北宋的复式船闸是谁修建的？",
        "GPT-5.2 什么时候发布？",
        "Optimus 能做什么？",
        "那么，Optimus 能做什么？",
        "阳台上种番茄需要多大的花盆？",
        "劳动者在试用期内辞职要提前几天通知？",
        "什麼是白大衣高血壓？",
        "郭守敬在元朝的时候主持修建了什么河？",
        "马耳他的首都在哪里？",
        "高血压病人可以吃他汀类药物吗？",
        "维他命C吃多了有什么坏处？",
        "吉他怎么弹才不伤手指？",
        "其他公司感到压力了吗？",
        "利他主义是什么意思？",
        "那曲在哪里？",
        "那时候北宋的船闸是谁修的？",
        "犹他州的面积有多大？",
        "你觉得呢？",
    ],
)
@pytest.mark.parametrize("before", [WHO, NAMED, STONE])
def test_question_that_stands_alone_is_left_alone(before: Answer, question: str) -> None:
    assert resolve(question, [before]) == question


@pytest.mark.parametrize("question", ["他以前在哪家公司？", "那 Sora 2 呢？", "什么时候？", "谁？", "还有呢？"])
def test_nothing_before_leaves_the_question(question: str) -> None:
    assert resolve(question, []) == question
    assert resolve(question, [answer("你好"), answer("有哪些文章？")]) == question


def test_chain_of_follow_ups() -> None:
    """Each turn is understood from the one before as that was understood, not as it was typed."""
    second = answer("那 Sora 2 呢？", "2025 年 9 月 30 日", understood_as=resolve("那 Sora 2 呢？", [WHEN]))
    assert resolve("它为什么更受欢迎？", [WHEN, second]) == "Sora 2为什么更受欢迎？"
    third = answer("谁负责？", "比尔·皮布尔斯", understood_as="Sora 2谁负责？")
    assert resolve("那 Vibes 呢？", [WHEN, second, third]) == "Vibes谁负责？"


def test_likeliest_reading_comes_first() -> None:
    for before, question, expected in FOLLOW_UPS:
        readings = interpretations(question, [before])
        assert readings[0] == expected
        assert 1 <= len(readings) <= 3
        assert len(set(readings)) == len(readings)


def test_both_readings_where_the_words_do_not_tell() -> None:
    assert set(interpretations("工资最低多少？", [LAW])) == {"工资最低多少？", "试用期工资最低多少？"}


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("谁主导 Vibes 项目？", "Vibes"),
        ("《大运河两千五百年》讲了什么？", "《大运河两千五百年》"),
        ("GPT-5.2 什么时候发布？", "GPT-5.2"),
        ("北投石是誰發現的？", "北投石"),
        ("什么是蒸馏？", "蒸馏"),
        ("谁？", ""),
        ("？", ""),
        ("", ""),
    ],
)
def test_topic(question: str, topic: str) -> None:
    assert topic_of(question) == topic


KINDS = {
    "greeting": ["你好", "您好！", "hi", "Hello~", "ｈｅｌｌｏ", "你好啊", "你好吗？", "早上好", "嗨，在吗？", "在吗？", "你好你好", "您好呀"],
    "thanks": ["谢谢", "謝謝！", "谢谢你", "好的，谢谢！", "多谢啦", "非常感谢", "谢谢谢谢", "thank you!", "Thanks a lot", "辛苦了"],
    "goodbye": ["再见", "再見！", "拜拜", "bye", "没问题了"],
    "help": ["你能做什么", "你能做什么？", "你會什麼", "怎么用？", "帮助", "你是谁", "你叫什么名字？", "介绍一下你自己", "能回答哪些问题？"],
    "articles": ["有哪些文章", "有哪些文章？", "这里有哪些文章", "這裡有哪些文章？", "文章列表", "列出所有文章", "一共有几篇文章？", "收录了多少篇文章"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "question"), [(kind, q) for kind, qs in KINDS.items() for q in qs])
def test_talk(kind: str, question: str) -> None:
    assert kind_of(question) == (kind, "")
    assert kind_of(f"  {question}\n") == (kind, "")


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("总结一下《北投溫泉半日散步》", "北投溫泉半日散步"),
        ("總結一下《北投溫泉半日散步》", "北投溫泉半日散步"),
        ("请帮我总结一下高血压这篇文章", "高血压"),
        ("概括《大运河》的主要内容", "大运河"),
        ("《大运河》主要讲了什么？", "大运河"),
        ("《大運河》講了什麼？", "大運河"),
        ("总结 GPT-5.2 那篇", "GPT-5.2"),
        ("摘要“Vibes 为何输给 Sora 2”", "Vibes 为何输给 Sora 2"),
    ],
)
def test_summary_names_its_article(question: str, title: str) -> None:
    assert kind_of(question) == ("summary", title)


@pytest.mark.parametrize(
    "question",
    [
        "你好吗公司是谁创办的",
        "有哪些文章提到Meta",
        "有哪些文章提到了 Avocado？",
        "谢谢这个词怎么来的",
        "感谢信怎么写",
        "早上好喝什么茶",
        "再见列宁是什么电影",
        "你好，Meta 的首席执行官是谁？",
        "您好，请问试用期多久",
        "帮助中心的电话是多少",
        "机器人能做什么",
        "Optimus 会做什么？",
        "你是谁创造的",
        "hi-fi 是什么意思",
        "Hello Kitty 是谁设计的",
        "help desk 在几楼",
        "文章里提到的年份有哪些",
        "《劳动合同法》什么时候施行？",
        "有什么内容不能写进试用期合同",
        "会议纪要有哪些要点",
        "",
        "？",
    ],
)
def test_what_only_looks_like_talk_is_a_question(question: str) -> None:
    assert kind_of(question) == ("question", "")


@pytest.mark.parametrize("question", HOSTILE_QUESTIONS)
def test_hostile_questions(question: str) -> None:
    kind_of(question)
    for before in (WHO, answer(question, question[:20])):
        assert all(isinstance(reading, str) for reading in interpretations(question, [before]))


@given(
    question=st.text(alphabet=st.characters(exclude_categories=()), max_size=60),
    asked=st.text(alphabet=st.characters(exclude_categories=()), max_size=60),
    words=st.text(min_size=1, max_size=30),
)
def test_any_conversation(question: str, asked: str, words: str) -> None:
    kind_of(question)
    readings = interpretations(question, [answer(asked, words)])
    assert 1 <= len(readings) <= 3


@given(
    pieces=st.lists(
        st.sampled_from(["那", "呢", "他", "它", "什么", "谁", "总结", "《", "》", "一下", "你好", "谢谢", "？", " ", "的", "Vibes", "这个"]),
        max_size=40,
    )
)
def test_any_run_of_our_own_words(pieces: list[str]) -> None:
    """The patterns take no long time, and nothing is lost, over words that they look for."""
    question = "".join(pieces)
    kind_of(question)
    assert interpretations(question, [WHO])


def test_long_questions_take_no_time() -> None:
    for piece in ("你好", "谢谢", "总结", "那", "呢", "他", "《", "什么", "好的", "有哪些", " ", "~", "其他的"):
        kind_of(piece * 500)
        interpretations(piece * 500, [WHO])


def summaries(n: int) -> list[ArticleSummary]:
    return [ArticleSummary(f"a{i}", f"第{i}篇", f"a{i}.md", 100, 2) for i in range(n)]


@pytest.mark.parametrize("n", [0, 1, 8, 9, 200])
def test_replies(n: int) -> None:
    listed = small_talk("articles", summaries(n))
    assert all(f"《第{i}篇》" in listed for i in range(n))
    greeting = small_talk("greeting", summaries(n))
    assert greeting.startswith("你好")
    assert len(greeting) < 400
    assert (f"{n} 篇" in greeting) == (n > 0)
    assert "有哪些文章" in small_talk("help", summaries(n))
    assert "不客气" in small_talk("thanks", summaries(n))
    assert "再见" in small_talk("goodbye", summaries(n))


def test_a_blank_turn_before_leaves_no_blank_reading() -> None:
    """Found by benchmarks/fuzz.py."""
    assert all(reading.strip() for reading in interpretations("它", [answer("\n\n")]))
