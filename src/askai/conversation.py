"""Talk around the questions: follow-ups resolved by rule, greetings, and requests about the articles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from askai.text import fold, words
from askai.types import Answer, ArticleSummary

Kind = Literal["question", "greeting", "thanks", "goodbye", "help", "articles", "summary"]

# The patterns below are matched against folded text: half width, lower case, Simplified.
_GREETING = re.compile(r"(?:(?:你好|您好|hi|hello|hey|嗨|哈喽|早上好|上午好|中午好|下午好|晚上好|在吗|在么)[呀啊吗么,. !?。~、]*)+")
_THANKS = re.compile(
    r"(?:好的?[, ]*)?(?:(?:非常|十分|太|真是)?(?:谢谢|多谢|感谢|thanks|thank you|3q|辛苦了)(?:你|您|啦|了|呀|啊| a lot)*[,. !。~]*)+"
)
_GOODBYE = re.compile(r"(?:再见|拜拜|bye|回头见|没(?:别的)?问题了)[啦了呀,. !！。~～]*")
_HELP = re.compile(
    r"(?:你|您|这个?(?:工具|网页|页面))?(?:能|会|可以)(?:做|干|帮我做?|回答)(?:些)?(?:什么|啥|哪些(?:事|问题)?)[呀啊呢?？。]*"
    r"|(?:你|您)(?:是谁|叫什么(?:名字)?|会(?:些)?什么)[呀啊?]*|请?介绍一?下?你自己[吧。]*|(?:怎么用|如何使用|帮助|help)[?？]*"
)
_ARTICLES = re.compile(
    r"(?:这里|这儿|库里|你)?(?:现在)?(?:一共|总共|共)?(?:都)?(?:有|收录了|收了)(?:哪些|什么|多少篇?|几篇)(?:文章|资料|文档|内容)[呀啊呢?？。]*"
    r"|(?:列出|列一下|看看|显示)(?:所有|全部)?(?:的)?文章(?:列表|目录)?[?？。]*|文章(?:列表|目录|清单)[?？。]*"
)
_SUMMARY = re.compile(
    r"(?:请|帮我|麻烦|给我)*(?:总结|概括|归纳|摘要|概述|简述)(?:一下|下)?\s*[《「“\"]?(?P<title>[^》」”\"]+?)[》」”\"]?"
    r"(?:[那这](?:一)?篇(?:文章)?|一文|的(?:主要)?内容|的大意)?[。.?？!！]*"
    r"|[《「“\"](?P<title2>[^》」”\"]+)[》」”\"](?:这篇文章|这篇|一文)?(?:主要)?(?:讲|说|写)(?:了|的)?(?:些|是)?(?:什么|啥)[。.?？!！]*"
)
_TALK: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("greeting", _GREETING), ("thanks", _THANKS), ("goodbye", _GOODBYE), ("help", _HELP), ("articles", _ARTICLES),
)

_PRONOUN = re.compile(r"他们|她们|它们|他|她|(?<!其)它|这(?:个人|家公司|家|款|个|种|位)|那(?:个人|家公司|家|款|位)|该(?:公司|产品|项目|人|模型)|此人")
_PERSON = re.compile(r"^(?:他|她|此人|这(?:个人|位)|那(?:个人|位))$")
# What follows makes another word of a pronoun, one that the segmenter does not know: 他汀, 他国.
_NOT_AFTER_PRONOUN = frozenset("汀国人乡杀")
_NAME = re.compile(r"叫什么|什么名字|哪(?:一?[家款个种部本])|什么(?:模型|产品|公司|平台|项目|工具)")
_WHAT_ABOUT = re.compile(r"(?P<topic>.{0,30}?)\s*呢[?。!]*")
_CONNECTIVE = re.compile(r"(那么|那(?![时年天次些个位家款种边部本篇])|然后|所以|另外|还有|接着|而且|不过)[,、]?\s*")
_THE_REST = re.compile(r"(?:(?:其[他它]|别|剩下|剩余|另外)的?)?")
_ASKS = (
    "叫什么名字|什么名字|叫什么|是?什么时候|是?哪一年|哪一年|哪年|哪天|几月|几号|几点|何时|为什么|为啥|怎么样|怎么|如何|什么地方|在哪里|在哪儿|在哪|哪里|哪儿|哪个|哪些|哪家|"
    "多少钱|多少|多久|多长|多大|多高|多远|第几|几个|几|是谁|谁|是什么|什么|啥|吗|呢|吧|？|\\?"
)
_ASK_WORD = re.compile(_ASKS)
_SHORT = 14
_STOP = frozenset(
    "的 了 是 在 有 和 与 及 被 把 给 对 从 向 到 由 于 就 都 也 还 又 不 没 很 太 最 更 会 能 要 可以 应该 一个 一下 这 那 他 她 它 我 你 "
    "请问 想 知道 告诉 一 上 下 中 里 个 次 位 家 款 年 月 日 时 为 之 以 用 去 来 说 做 叫 "
    "最长 最短 最多 最少 最高 最低 最大 最小 大概 大约 一般 通常 每天 每年 现在 当时 后来 以前 之前 目前 需要 究竟 到底".split()
)
_TOPIC_WORDS = 2
_TERM = re.compile(r"[A-Za-z][A-Za-z0-9.\-+]*(?:[ ][A-Z0-9][A-Za-z0-9.\-+]*)*(?:[ ]?\d[\d.]*)?|《[^》]+》|「[^」]+」|“[^”]+”")


def kind_of(question: str) -> tuple[Kind, str]:
    """What is wanted, and for a summary the title asked for."""
    text = question.strip()
    plain = fold(text)
    for kind, pattern in _TALK:
        if pattern.fullmatch(plain):
            return kind, ""
    match = _SUMMARY.fullmatch(plain)
    if match:
        place = match.span("title") if match.group("title") else match.span("title2")
        return "summary", text[slice(*place)].strip()
    return "question", ""


def _without_asking(question: str, mark: str) -> str:
    """The question with ``mark`` in the place of every character of its question words."""
    folded, chars = fold(question), list(question)
    for match in _ASK_WORD.finditer(folded):
        chars[match.start() : match.end()] = [mark] * len(match.group())
    return "".join(chars)


def topic_of(question: str) -> str:
    """What a question is about: its named term, else its first run of content words."""
    terms = _TERM.findall(question)
    if terms:
        return str(max(terms, key=len)).strip()
    run: list[str] = []
    for word, start in words(fold(_without_asking(question, "|"))):
        ends = word in _STOP or re.fullmatch(r"[\W_]+", word) is not None
        if run and (ends or len(run) == _TOPIC_WORDS):
            break
        if not ends:
            run.append(question[start : start + len(word)])
    return "".join(run)


def _stand_in(pronoun: str, last: Answer) -> str:
    """What a pronoun refers to: the person or thing that the last answer named, else the last topic."""
    span = next((c.span for c in last.citations if c.span is not None), None)
    asked, topic = fold(last.understood_as).rstrip("?。 呢啊呀"), topic_of(last.understood_as)
    # "谁负责 X" names a person in its answer; "X 是谁" names one in the question.
    asked_who = re.search(r"谁(?!$)|哪位|什么人|哪个人", asked) is not None
    person = _PERSON.match(fold(pronoun)) is not None
    named = (asked_who and (person or not topic)) or (not person and _NAME.search(asked) is not None)
    if last.status == "answered" and span is not None and named and len(span.text) <= 24:
        return span.text
    return topic or last.understood_as


def _pronoun(text: str) -> tuple[int, int] | None:
    """Where the first pronoun stands that is a word of its own: not the 他 of 马耳他 or 他汀."""
    folded = fold(text)
    word_at = {start: word for word, start in words(folded)} | {len(text): ""}
    for match in _PRONOUN.finditer(folded):
        after = word_at.get(match.end())
        if match.start() in word_at and after is not None and after not in _NOT_AFTER_PRONOUN:
            return match.span()
    return None


def _without_connective(text: str) -> str:
    """The text without the 那 or 然后 that it begins with, where that is a word of its own (not 那曲)."""
    folded = fold(text)
    match = _CONNECTIVE.match(folded)
    whole = match is not None and match.end(1) in {start for _, start in words(folded)}
    return text[match.end() :] if match and whole else text


def interpretations(question: str, previous: Sequence[Answer]) -> list[str]:
    """What a question may mean after the turns before, likeliest first, one to three of them.

    Pronouns and left-out words are filled in by rule. Where the words alone do not tell whether
    something was left out, both readings are given, and the articles decide.
    """
    text = question.strip()
    asked = (a for a in reversed(previous) if a.understood_as.strip() and kind_of(a.question)[0] == "question")
    last = next(asked, None)
    if last is None:
        return [text]
    topic = topic_of(last.understood_as)
    bare = _without_connective(text)
    about, pronoun = _WHAT_ABOUT.fullmatch(fold(bare)), _pronoun(bare)
    if about and not _ASK_WORD.search(about.group("topic")):
        new = bare[: about.end("topic")]
        if _THE_REST.fullmatch(fold(new)) or pronoun == (0, len(new)):
            return [last.understood_as]
        if new[0] in "你您我":
            return [text]
        replaced = _replace_topic(last.understood_as, new)
        return [replaced] if _TERM.search(new) or not topic else [replaced, f"{topic}{new}"]
    if pronoun:
        begin, end = pronoun
        return [bare[:begin] + _stand_in(bare[begin:end], last) + bare[end:]]
    if not topic_of(bare):
        return [_join(last, bare)]
    if len(bare) > _SHORT or _TERM.search(bare) or not topic or topic in bare:
        return [text]
    joined = f"{topic}{bare}"
    return [joined, text] if bare != text else [text, joined]


def _join(last: Answer, bare: str) -> str:
    """A bare question word takes the place of the last question's own."""
    stem = _without_asking(last.understood_as, "").strip(" ,，。")
    return f"{stem}{bare}" if stem else bare


def _replace_topic(question: str, topic: str) -> str:
    old = topic_of(question)
    return question.replace(old, topic, 1) if old and old in question else f"{topic}{question}"


def small_talk(kind: Kind, articles: Sequence[ArticleSummary]) -> str:
    """The reply to a greeting, thanks or a question about askai, naming what the articles hold."""
    titles = "\n".join(f"· 《{a.title}》" for a in articles[:8])
    more = f"\n……共 {len(articles)} 篇。" if len(articles) > 8 else ""
    holds = f"现在收录了 {len(articles)} 篇文章：\n{titles}{more}" if articles else "现在还没有收录文章。"
    if kind == "thanks":
        return "不客气！还想了解什么，直接问就行。"
    if kind == "goodbye":
        return "再见！文章都在这里，随时可以再来问。"
    if kind == "articles":
        every = "\n".join(f"{n}. 《{a.title}》" for n, a in enumerate(articles, 1))
        return f"共收录 {len(articles)} 篇文章：\n{every}" if articles else holds
    opening = "你好！" if kind == "greeting" else ""
    return (
        f"{opening}我根据收录的文章回答问题：先给出答案，再列出一字不差的原文出处；文章里没有的，我会直说。"
        f"也可以让我“总结一下《文章标题》”或问“有哪些文章”。\n{holds}"
    )
