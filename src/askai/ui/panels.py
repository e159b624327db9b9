"""What stands around the conversation, as HTML: welcome, state of the index, articles, build reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from askai.corpus import BY_SUFFIX, LARGEST, MAX_BYTES, SHOWN
from askai.types import ArticleSummary, BuildReport, Failure, LibraryStatus
from askai.ui.desk import Removal, State
from askai.ui.markup import attribute, escape, token
from askai.ui.work import Outcome, Step

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
KINDS_HINT = f'<p class="hint">能读 {SHOWN}。{SIZES}。</p>'
_LIMITS = attribute(json.dumps({suffix: kind.limit for suffix, kind in BY_SUFFIX.items()}))
TOO_BIG = (
    f'<p class="wrong too-big" role="alert" data-limits="{_LIMITS}" hidden>有文件超过上限（{SIZES}），'
    "这次都没有上传。请拆成几份后再试。</p>"
)

MODES = (
    '<span class="hint" title="严格：没有把握就说没有，答得少，错得也少。宽松：有一点像就答，答得多，错得也多。">'
    "越严格，答得越少，错得也越少</span>"
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
        work = f'<span class="updating"> · 正在更新{_count(state.step)}</span>' if state.step else ""
        return f'<p class="state">{state.articles:,} 篇文章 · {state.passages:,} 段 · 全部在本机{work}</p>'
    if state.phase == "failed":
        hint = "也可以在“文章”里点“重建索引”。"
        return f'<p class="state failed" role="alert">{escape(state.message)}{hint}</p>'
    if state.phase == "opening" or state.step is None:
        return '<p class="state building">正在打开索引…</p>'
    return (
        f'<p class="state building">第一次使用，正在建立索引：{escape(state.step.stage)}{_count(state.step)}'
        f"{_bar(state.step)}</p>"
    )


def _count(step: Step) -> str:
    return f" {step.done:,}/{step.total:,}" if step.total > 1 else ""


def _bar(step: Step) -> str:
    known = f' value="{step.done}" max="{step.total}"' if step.total else ""
    return f'<progress aria-label="更新索引的进度"{known}></progress>'


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"约剩 {max(1, round(seconds))} 秒"
    return f"约剩 {round(seconds / 60)} 分钟" if seconds < 5400 else f"约剩 {seconds / 3600:.1f} 小时"


def render_work(step: Step) -> str:
    """How far the work is that is under way."""
    if step.stopping:
        return f'<div class="work"><p>正在取消：做完手上这一步就停。</p>{_bar(Step())}</div>'
    left = f"，{_left(step.seconds_left)}" if step.seconds_left is not None else ""
    return f'<div class="work"><p>{escape(step.stage)}{_count(step)}{left}</p>{_bar(step)}</div>'


def render_articles(articles: Sequence[ArticleSummary], wanted: str = "") -> str:
    """The list of articles whose title or path holds ``wanted``."""
    needle = wanted.strip().casefold()
    found = [a for a in articles if needle in a.title.casefold() or needle in a.path.casefold()]
    if not found:
        nothing = "没有标题或路径含有这些字的文章。"
        empty = "还没有文章。请在下面上传或粘贴。"
        return f'<p class="none">{nothing if articles else empty}</p>'
    rows = "".join(
        f'<li><button type="button" class="listed" data-do="article" data-article="{token(a.id)}"'
        f' title="{attribute(a.path)}"><span class="where">{escape(a.title)}</span>'
        f'<span class="size">{a.characters:,} 字 · {a.passages:,} 段</span></button>'
        f'{_remover("article", a.id, a.title)}</li>'
        for a in found[:LISTED]
    )
    rest = len(found) - LISTED
    more = f'<p class="none">还有 {rest:,} 篇，输入标题里的字可以找到。</p>' if rest > 0 else ""
    return f'<ul class="list" aria-label="文章">{rows}</ul>{more}'


def _remover(kind: str, key: str, name: str, label: str = "删除") -> str:
    """A button that deletes an article, a failed file or a whole file, as ``kind`` says, when pressed again."""
    return (
        f'<button type="button" class="remove" data-do="remove" data-{kind}="{token(key)}"'
        f' data-sure="确认{label}">'
        f'<span class="label">{label}</span><span class="sr">：{escape(name)}</span></button>'
    )


def render_removed(removal: Removal | None, restored: str = "", wrong: str = "") -> str:
    """What was deleted last, with the button that puts it back; above it what came of a click."""
    told = render_notice([wrong] if wrong else [], good=False)
    if restored:
        told += render_notice([f"已恢复{restored}。"], good=True)
    if removal is None:
        return told
    return (
        f'{told}<p class="removed" role="status"><span>已删除{escape(removal.name)}</span>'
        f'<button type="button" class="undo" data-do="undo" data-number="{removal.number}">撤销</button></p>'
    )


def render_shared(path: str, articles: int, removal: Removal | None) -> str:
    """A question before a file goes that holds more than what was to be deleted."""
    remover = _remover("whole", path, path, "删除整个文件")
    return (
        f'<p class="wrong" role="alert">文件 {escape(path)} 里共有 {articles:,} 篇文章，只能一起删除。</p>'
        f"{remover}{render_removed(removal)}"
    )


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
        f'<p class="done" role="status">索引已更新：{report.articles:,} 篇文章、{report.passages:,} 段'
        f"（{_changes(report)}），用时 {max(0.1, report.seconds):.1f} 秒。现在可以提问。</p>"
    )


def render_outcome(outcome: Outcome, number: int) -> str:
    """What came of work that has ended; ``number`` makes doing the same twice two events."""
    bad = [f"{f.path} 没有加入：{f.reason}" for f in outcome.refused[:LISTED]]
    parts = [render_notice(bad, good=False)]
    if outcome.stored:
        names = f"{'、'.join(outcome.stored[:10])}{' 等' if len(outcome.stored) > 10 else ''}"
        count = f"，共 {len(outcome.stored):,} 个文件" if len(outcome.stored) > 1 else ""
        parts.append(render_notice([f"已加入：{names}{count}。"], good=True))
    if outcome.report:
        parts.append(render_report(outcome.report))
    elif outcome.message:
        again = "文件已经存好，点“重建索引”之后就能问到。" if outcome.stored else ""
        parts.append(render_notice([outcome.message + again], good=False))
    return f'<div class="outcome" data-number="{number}">{"".join(parts)}</div>'


def render_status(status: LibraryStatus) -> str:
    """The files against the index: what it has not seen yet, and what could not be read and why."""
    return _pending(status) + render_failures(status.failed)


def _pending(status: LibraryStatus) -> str:
    kinds = (("新文件", status.new), ("有改动", status.changed), ("已不在", status.gone))
    counts = "，".join(f"{word} {len(paths):,} 个" for word, paths in kinds if paths)
    if not counts:
        return '<p class="none">文件夹里的文件和索引一致。</p>' if status.generation else ""
    named = [(word, path) for word, paths in kinds for path in paths]
    rows = "".join(f"<li>{escape(path)}<span>{word}</span></li>" for word, path in named[:LISTED])
    more = f"<li>还有 {len(named) - LISTED:,} 个</li>" if len(named) > LISTED else ""
    return (
        f'<details class="pending" open><summary>还没有编入索引：{counts}。点“重建索引”即可。</summary>'
        f"<ul>{rows}{more}</ul></details>"
    )


def render_failures(failures: Sequence[Failure]) -> str:
    """The files that could not be read, with reasons; nothing when there are none."""
    if not failures:
        return ""
    rows = "".join(
        f"<li><b>{escape(f.path)}</b><span>{escape(f.reason)}</span>"
        f'<button type="button" class="retry" data-do="retry" data-file="{token(f.path)}">再读一次'
        f'<span class="sr">：{escape(f.path)}</span></button>'
        f'{_remover("file", f.path, f.path)}</li>'
        for f in failures[:LISTED]
    )
    rest = len(failures) - LISTED
    more = f"<li>还有 {rest:,} 个</li>" if rest > 0 else ""
    return (
        f'<details class="failures" open><summary>有 {len(failures):,} 个文件没有读入</summary>'
        f"<ul>{rows}{more}</ul></details>"
    )


def render_notice(lines: Sequence[str], *, good: bool) -> str:
    """A short message under a form; one paragraph a line."""
    role = "status" if good else "alert"
    kind = "done" if good else "wrong"
    return "".join(f'<p class="{kind}" role="{role}">{escape(line)}</p>' for line in lines)
