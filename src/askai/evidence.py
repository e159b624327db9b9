"""How much of a question a text holds: by words, whatever the search thought of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from askai.synonyms import lexicon
from askai.text import fold, units, words

# What asks and what only joins says nothing about the subject.
_ASKING = re.compile(
    r"请问|告诉我|我想知道|想知道|想问|什么时候|什么时间|为什么|为啥|什么样|什么|怎么样|怎么办|怎么|怎样|如何|"
    r"多少钱|多少|多久|多长时间|多大|多高|多远|多重|几点|几年|几个|几次|几天|几种|哪一年|哪一天|哪一个|哪年|哪天|"
    r"哪位|哪个|哪家|哪些|哪里|哪儿|何时|何地|何人|何种|为何|是不是|有没有|会不会|能不能|可不可以|是否|的话|"
    r"可以|应该|需要|这个|那个|我们"
)
_PARTICLES = frozenset("几哪谁吗呢吧啊呀的了是在有和与及被把对从到由以于会能要它他她我你")
_TIME = re.compile(r"什么时候|什么时间|何时|哪一?[年天月日]|[几哪][个]?(?:月|号|年|点)|几几年|日期|多会儿|啥时候")
_NUMBER = re.compile(r"多少|几[个次人天种位家台倍岁度分斤克米层页项条款块元]|多[大高远长久重快厚深宽]|百分之几|比例|第几")
_IS_NUMBER = re.compile(r"[0-9零〇一二三四五六七八九十百千万亿两半]")
_IS_TIME = re.compile(r"[0-9零〇一二三四五六七八九十][^，。]{0,4}[年月日号点世纪天周]|[年月日]|今|昨|明|前|后|春|夏|秋|冬|期|时|当")
_LIST = re.compile(
    r"[哪那]些|[哪那][几两二三四五六七八九](?![年天月日号点十百])|都?有谁|分别|列出|列举|(?:都有|包括|包含|分为|分成|算)(?:什么|啥|谁)|"
    r"几(?:大)?(?:种|类|步|项|条|款|方面|阶段|部分|原因|档|级|样)|几个?(?:步骤|阶段|方面|原因|部分|类型|条件|要求|环节)|"
    r"步骤|流程|要点|事项|讲究|规则|规矩|手续|(?:注意|准备|检查|带|忌口|避免)(?:一下|点|些)?(?:什么|啥)|"
    r"有(?:什么|啥)(?:好处|坏处|优点|缺点|优势|区别|要求|条件|原因|办法|方法|规定|讲究|症状|功能|用处|影响|类型|种类|项目|活动|好玩|选择)"
)
# May be answered by a list, by one sentence as well.
_MAYBE_LIST = re.compile(
    r"[都些点].{0,2}(?:什么|啥)|怎么(?!样|说|回事)|咋(?!样|说|回事)|如何|各.{0,3}(?:什么|啥|几|多少|怎|谁|会|管|是)|"
    r"什么原因|为什么|为啥|(?:什么|啥)样?的?(?:人|情形|情况|材料|时候|毛病|法子|办法)|得(?:先)?(?:干|买|做)(?:什么|啥)|"
    r"(?:干|卖|管|少掉|得到|拿)(?:什么|啥)|是(?:什么|啥)意思|哪里没|强在|好在"
)
# Runs are taken whole: the g of 5G is no name, nor is a stop at the end part of one. A lone digit is
# none either: the text may well write it as 三.
_JOINED = r"(?:[-_.+#/&'][a-z0-9]++|(?<=\d)[,:](?=\d)[a-z0-9]++)"
_NAME = re.compile(rf"[a-z][a-z0-9]*+{_JOINED}*+(?: \d[a-z0-9]*+{_JOINED}*+)?|\d(?:[a-z0-9]|{_JOINED})++", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a text should hold to answer a question.

    ``groups`` are alternatives (a unit and what may stand for it) with their weights; ``names`` are
    words in Latin letters and numbers, for which nothing else may stand; ``kind`` is what the
    answer must look like, None where it may be anything.
    """

    groups: tuple[tuple[tuple[str, ...], float], ...]
    total: float
    names: tuple[re.Pattern[str], ...]
    kind: re.Pattern[str] | None


def informative(folded: str) -> str:
    """Folded text of the same length, with the words blanked out that only ask or join.

    A single character goes only where it is a word of its own: not the 会 of 会议.
    """
    blanked = _ASKING.sub(lambda match: " " * len(match.group()), folded)
    return "".join(" " if word in _PARTICLES else word for word, _ in words(blanked))


def _loosely(name: str) -> str:
    """A pattern for a name, with or without a space or hyphen before or after its number."""
    parts = re.split(r"[- ](?=\d)|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", name)
    return "[- ]?".join(re.escape(part) for part in parts)


def wanted(question: str, idf: Callable[[Sequence[str]], list[float]]) -> Wanted:
    """The informative units of a question, weighted by ``idf``."""
    asked = fold(question)
    folded = informative(asked)
    stand_ins: dict[str, set[str]] = {}
    last = 0
    for start, end, numbers in lexicon().find(folded):
        # Not across what was found before: the 天天 of 今天天气 is no word.
        if start < last:
            continue
        last = end
        others = {word for number in numbers for word in lexicon().groups[number]}
        for unit in units(folded[start:end]):
            stand_ins.setdefault(unit, set()).update(others)
    own = list(dict.fromkeys(units(folded)))
    weights = idf(own)
    groups = tuple(
        ((unit, *stand_ins.get(unit, ())), weight) for unit, weight in zip(own, weights, strict=True)
    )
    # Whole: GPT-5 is not held by GPT-5.2, nor 12 by 2012.
    names = tuple(
        re.compile(rf"(?<![a-z0-9]){_loosely(name)}(?![a-z0-9]|[-.][0-9])")
        for name in dict.fromkeys(_NAME.findall(asked))
    )
    kind = _IS_TIME if _TIME.search(asked) else _IS_NUMBER if _NUMBER.search(asked) else None
    return Wanted(groups, sum(weights), names, kind)


def coverage(asked: Wanted, folded: str) -> float:
    """Share (0 to 1) of the question's weight that folded text holds; 1 where nothing was asked for."""
    if not asked.total:
        return 1.0
    held = sum(weight for words, weight in asked.groups if any(word in folded for word in words))
    return held / asked.total


def missing(asked: Wanted, folded: str) -> int:
    """How many of the question's names and numbers folded text does not hold."""
    return sum(not name.search(folded) for name in asked.names)


def fits(asked: Wanted, answer: str) -> float:
    """1 where the answer looks as the question wants it (a number, a time), -1 where not, else 0."""
    if asked.kind is None:
        return 0.0
    return 1.0 if asked.kind.search(answer) else -1.0


def wants_list(question: str) -> bool:
    """Whether a question wants several things rather than one."""
    return _LIST.search(fold(question)) is not None


def may_want_list(question: str) -> bool:
    """Whether several things may be meant: how something is done is told in steps, or in one sentence."""
    return wants_list(question) or _MAYBE_LIST.search(fold(question)) is not None
