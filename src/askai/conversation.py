"""Talk around the questions: follow-ups resolved by rule, greetings, and requests about the articles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from askai.text import fold, words
from askai.types import Answer, ArticleSummary

Kind = Literal["question", "greeting", "thanks", "goodbye", "help", "articles", "summary"]

_GREETING = re.compile(r"(?:你好|您好|hi|hello|hey|嗨|哈喽|早上好|上午好|中午好|下午好|晚上好|在吗|在么)[呀啊吗么,. !！。~～]*")
_THANKS = re.compile(r"(?:好的?[,，]?)?(?:谢谢|多谢|感谢|thanks|thank you|3q|辛苦了)(?:你|您|啦|了|呀|啊)*[,. !！。~～]*")
_GOODBYE = re.compile(r"(?:再见|拜拜|bye|回头见|没(?:别的)?问题了)[啦了呀,. !！。~～]*")
_HELP = re.compile(
    r"(?:你|您|这个?(?:工具|网页|页面))?(?:能|会|可以)(?:做|干|帮我做?|回答)(?:些)?(?:什么|啥|哪些(?:事|问题)?)[呀啊呢?？。]*"
    r"|你是谁[呀啊?？]*|(?:怎么用|如何使用|帮助|help)[?？]*"
)
_ARTICLES = re.compile(
    r"(?:这里|这儿|库里|你)?(?:现在)?(?:都)?(?:有|收录了|收了)(?:哪些|什么|多少篇?|几篇)(?:文章|资料|文档|内容)[呀啊呢?？。]*"
    r"|(?:列出|列一下|看看|显示)(?:所有|全部)?(?:的)?文章(?:列表|目录)?[?？。]*|文章(?:列表|目录|清单)[?？。]*"
)
_SUMMARY = re.compile(
    r"(?:请|帮我|麻烦)?(?:总结|概括|归纳|摘要|概述|简述)(?:一下|下)?\s*[《「“\"]?(?P<title>[^》」”\"]+?)[》」”\"]?"
    r"(?:这篇文章|这篇|一文|的(?:主要)?内容|的大意)?[。.?？!！]*"
    r"|[《「“\"](?P<title2>[^》」”\"]+)[》」”\"](?:这篇文章|这篇|一文)?(?:主要)?(?:讲|说|写)(?:了|的)?(?:些|是)?(?:什么|啥)[。.?？!！]*"
)

_PRONOUN = re.compile(r"他们|她们|它们|他|她|(?<!其)它|这(?:个人|家公司|家|款|个|种|位)|那(?:个人|家公司|家|款|位)|该(?:公司|产品|项目|人|模型)|此人")
_PERSON = re.compile(r"^(?:他|她|此人|这(?:个人|位)|那(?:个人|位))$")
_WHAT_ABOUT = re.compile(r"^(?:那么?|然后|还有)?[,，]?\s*(?P<topic>.{1,30}?)\s*呢[?？。!！]*$")
_CONNECTIVE = re.compile(r"^(?:那么|那|然后|所以|另外|还有|接着|而且|不过)[,，]?\s*")
_ASKS = (
    "什么时候|哪一年|哪年|哪天|几月|几号|几点|何时|为什么|为啥|怎么样|怎么|如何|什么地方|在哪里|在哪儿|在哪|哪里|哪儿|哪个|哪些|哪家|"
    "多少钱|多少|多久|多长|多大|多高|多远|第几|几个|几|是谁|谁|是什么|什么|啥|吗|呢|吧|？|\\?"
)
_ASK_WORD = re.compile(_ASKS)
_WHO = re.compile(r"谁|哪位|什么人|哪个人")
_STOP = frozenset(
    "的 了 是 在 有 和 与 及 被 把 给 对 从 向 到 由 于 就 都 也 还 又 不 没 很 太 最 更 会 能 要 可以 应该 一个 一下 这 那 他 她 它 我 你 "
    "请问 想 知道 告诉 一 上 下 中 里 个 次 位 家 款 年 月 日 时 为 之 以 用 去 来 说 做 叫".split()
)
_TERM = re.compile(r"[A-Za-z][A-Za-z0-9.\-+]*(?:[ ][A-Z0-9][A-Za-z0-9.\-+]*)*(?:[ ]?\d[\d.]*)?|《[^》]+》|「[^」]+」|“[^”]+”")


def kind_of(question: str) -> tuple[Kind, str]:
    """What is wanted, and for a summary the title asked for."""
    text = question.strip()
    plain = fold(text)
    for kind, pattern in (
        ("greeting", _GREETING), ("thanks", _THANKS), ("goodbye", _GOODBYE), ("help", _HELP),
        ("articles", _ARTICLES),
    ):
        if pattern.fullmatch(plain):
            return kind, ""
    match = _SUMMARY.fullmatch(text)
    if match:
        return "summary", (match.group("title") or match.group("title2") or "").strip()
    return "question", ""


def topic_of(question: str) -> str:
    """What a question is about: its named term, else its first run of content words."""
    terms = _TERM.findall(question)
    if terms:
        return str(max(terms, key=len)).strip()
    masked = _ASK_WORD.sub("|", question)
    best, run = "", ""
    for word, _ in words(masked):
        if word in _STOP or word == "|" or not word.strip() or re.fullmatch(r"[\W_]+", word):
            best, run = (run if len(run) > len(best) else best), ""
            if best:
                break
        else:
            run += word
    return run if len(run) > len(best) else best


def _stand_in(pronoun: str, last: Answer) -> str:
    """What a pronoun refers to: the person just named for a person, else the last topic."""
    span = next((c.span for c in last.citations if c.span is not None), None)
    asked_who = _WHO.search(last.understood_as) is not None
    if last.status == "answered" and span is not None and asked_who and len(span.text) <= 24:
        if _PERSON.match(pronoun) or not topic_of(last.understood_as):
            return span.text
    return topic_of(last.understood_as) or last.understood_as


def resolve(question: str, previous: Sequence[Answer]) -> str:
    """The question with pronouns and left-out words filled in from the turns before.

    Unchanged where it stands on its own.
    """
    text = question.strip()
    asked = [a for a in previous if kind_of(a.question)[0] == "question"]
    if not asked:
        return text
    last = asked[-1]
    about = _WHAT_ABOUT.match(text)
    if about and not _ASK_WORD.search(about.group("topic")):
        return _replace_topic(last.understood_as, about.group("topic"))
    bare = _CONNECTIVE.sub("", text)
    pronoun = _PRONOUN.search(bare)
    if pronoun and not re.search(r"其他|吉他|他国|他人", bare):
        return bare[: pronoun.start()] + _stand_in(pronoun.group(), last) + bare[pronoun.end() :]
    if not topic_of(bare) or (len(bare) <= 8 and not _TERM.search(bare) and bare != text):
        return f"{topic_of(last.understood_as)}{bare}" if len(topic_of(bare)) > 1 else _join(last, bare)
    return text


def _join(last: Answer, bare: str) -> str:
    """A bare question word takes the place of the last question's own."""
    stem = _ASK_WORD.sub("", last.understood_as).strip(" ,，。")
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
