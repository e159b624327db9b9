"""What stands around the conversation, as HTML: welcome, state of the index, articles, build reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from askai.corpus import BY_SUFFIX, LARGEST, MAX_BYTES
from askai.types import ArticleSummary, BuildReport, Failure
from askai.ui.desk import State
from askai.ui.markup import attribute, escape, token

LISTED = 200
"""Articles listed at once; the filter reaches the others."""

EXAMPLES = (
    ("Meta 花了多少钱请来 Alexandr Wang？", "Meta"),
    ("Aura 的视场角是多少？", "Aura"),
    ("试用期最长多久？", "试用期"),
    ("阳台番茄为什么要深栽？", "番茄"),
    ("珠穆朗玛峰的南坡大本营海拔多少米？", "Meta"),
)
"""Questions about the corpus that ships, each with a word of a title that must be there. The last
one is not answered by it: declining is worth seeing too."""


EMPTY_READER = (
    '<div class="paper empty"><p>点一条出处，这里会打开原文，停在被引用的那句话。</p>'
    "<p>也可以在“文章”里挑一篇来读。</p></div>"
)


SIZES = f"文本和网页每个不超过 {MAX_BYTES // 10**6} MB，其余 {LARGEST // 10**6} MB"
_LIMITS = attribute(json.dumps({suffix: kind.limit for suffix, kind in BY_SUFFIX.items()}))
TOO_BIG = (
    f'<p class="wrong too-big" role="alert" data-limits="{_LIMITS}" hidden>有文件超过上限（{SIZES}），'
    "这次都没有上传。请拆成几份后再试。</p>"
)


def examples_for(articles: Sequence[ArticleSummary]) -> list[str]:
    """Questions to begin with that suit these articles."""
    fitting = [q for q, word in EXAMPLES if any(word in a.title for a in articles)]
    if fitting or not articles:
        return fitting
    return [f"总结一下《{a.title}》" for a in articles[:3]] + ["有哪些文章？"]


def render_welcome(examples: Iterable[str]) -> str:
    """What an empty conversation shows."""
    buttons = "".join(
        f'<li><button type="button" class="example" data-do="ask" data-question="{token(q)}">'
        f"{escape(q)}</button></li>"
        for q in examples
    )
    tries = f'<p class="label">可以这样问</p><ul class="examples">{buttons}</ul>' if buttons else ""
    return (
        '<div class="welcome"><h2>问问这些文章</h2>'
        "<p>答案取自本机上的文章，每一条都附一字不差的原文，点出处就能看到它在文中的位置。"
        "文章里没有的，会直接说没有。</p>"
        f"{tries}</div>"
    )


def render_state(state: State) -> str:
    """The line under the title: sizes when ready, progress while building, what is wrong otherwise."""
    if state.phase == "ready":
        return f'<p class="state">{state.articles:,} 篇文章 · {state.passages:,} 段 · 全部在本机</p>'
    if state.phase == "failed":
        hint = "也可以在“文章”里点“重建索引”。"
        return f'<p class="state failed" role="alert">{escape(state.message)}{hint}</p>'
    if state.phase == "opening":
        return '<p class="state">正在打开索引…</p>'
    known = f' value="{state.done}" max="{state.total}"' if state.total else ""
    return (
        f'<p class="state building">第一次使用，正在建立索引：{escape(state.stage)}'
        f'<progress aria-label="建立索引的进度"{known}></progress></p>'
    )


def render_articles(articles: Sequence[ArticleSummary], wanted: str = "") -> str:
    """The list of articles whose title or path holds ``wanted``."""
    needle = wanted.strip().casefold()
    found = [a for a in articles if needle in a.title.casefold() or needle in a.path.casefold()]
    if not found:
        nothing = "没有标题或路径含有这些字的文章。"
        empty = "还没有文章。请在下面上传或粘贴，然后重建索引。"
        return f'<p class="none">{nothing if articles else empty}</p>'
    rows = "".join(
        f'<li><button type="button" class="listed" data-do="article" data-article="{token(a.id)}"'
        f' title="{attribute(a.path)}"><span class="where">{escape(a.title)}</span>'
        f'<span class="size">{a.characters:,} 字 · {a.passages:,} 段</span></button></li>'
        for a in found[:LISTED]
    )
    rest = len(found) - LISTED
    more = f'<p class="none">还有 {rest:,} 篇，输入标题里的字可以找到。</p>' if rest > 0 else ""
    return f'<ul class="list" aria-label="文章">{rows}</ul>{more}'


def _changes(report: BuildReport) -> str:
    parts = [
        f"{word} {len(ids):,} 篇"
        for word, ids in (("新增", report.added), ("改动", report.changed), ("移除", report.removed))
        if ids
    ]
    return "，".join(parts) or "内容没有变化"


def render_report(report: BuildReport) -> str:
    """What a build did."""
    return (
        f'<p class="done" role="status">索引已重建：{report.articles:,} 篇文章、{report.passages:,} 段'
        f"（{_changes(report)}），用时 {report.seconds:.1f} 秒。现在可以提问。</p>"
    )


def render_failures(failures: Sequence[Failure]) -> str:
    """The files that the last build could not read, with reasons; nothing when there are none."""
    if not failures:
        return ""
    rows = "".join(
        f"<li><b>{escape(f.path)}</b><span>{escape(f.reason)}</span></li>" for f in failures[:LISTED]
    )
    return (
        f'<details class="failures" open><summary>上次重建时有 {len(failures):,} 个文件没有读入</summary>'
        f"<ul>{rows}</ul></details>"
    )


def render_notice(lines: Sequence[str], *, good: bool) -> str:
    """A short message under a form; one paragraph a line."""
    role = "status" if good else "alert"
    kind = "done" if good else "wrong"
    return "".join(f'<p class="{kind}" role="{role}">{escape(line)}</p>' for line in lines)


def render_added(names: Sequence[str], failures: Sequence[Failure]) -> str:
    """What came of an upload or a pasted text."""
    good = [f"已加入：{'、'.join(names[:10])}{' 等' if len(names) > 10 else ''}，共 {len(names):,} 篇。"]
    good.append("点“重建索引”之后就能问到。")
    bad = [f"{f.path} 没有加入：{f.reason}" for f in failures[:LISTED]]
    return (render_notice(good, good=True) if names else "") + render_notice(bad, good=False)
