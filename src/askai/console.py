"""What people see in a terminal: progress, answers with numbered citations, tables."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from askai.types import (
    Answer,
    ArticleSummary,
    BuildReport,
    Citation,
    LibraryStatus,
    Progress as ReportProgress,
)

_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHOWN = 20
_MEASURES = {
    "retrieval": "检索",
    "stages": "各阶段",
    "sentences": "引文",
    "open": "答案（全库检索）",
    "open_with_declines": "答案（拒答算错）",
    "gold_context": "答案（给定原文）",
}


class _Console(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        """Every string that is printed comes through here: no caller need think of ``printable``."""
        return super().render_str(printable(text), **options)


def _console(*, to_stderr: bool = False) -> Console:
    # Text of articles is never markup, emoji codes or something to colour by guess.
    return _Console(
        file=sys.stderr if to_stderr else sys.stdout,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )


def printable(text: str) -> str:
    """Text without what steers a terminal: control codes and marks that turn the direction of writing."""
    return "".join(
        "\ufffd" if c in _DIRECTION or (unicodedata.category(c) == "Cc" and c not in "\n\t") else c
        for c in text
    )


def as_plain(value: Any) -> dict[str, Any]:
    """A dataclass as plain data for JSON."""
    return asdict(value)


def write_json(value: Any) -> None:
    """One JSON value on one line of standard output, flushed."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@contextmanager
def progress() -> Iterator[ReportProgress]:
    """A callback that shows each stage with its counts on standard error."""
    console = _console(to_stderr=True)
    if not console.is_terminal:
        yield _PlainProgress()
        return
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


class _PlainProgress:
    """Into a file or a pipe: a line at each stage's end, and with the time left every thousand."""

    def __init__(self) -> None:
        self._stage, self._begun, self._told = "", 0.0, -1

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stage, self._begun, self._told = stage, time.monotonic(), -1
        if done == self._told or not (done >= total or done % 1000 == 0 < done):
            return
        self._told = done
        left = (time.monotonic() - self._begun) * (total - done) / max(1, done)
        rest = f"，大约还要 {left:.0f} 秒" if done < total else ""
        print(f"{stage} {done}/{total}{rest}", file=sys.stderr, flush=True)


def show_answer(answer: Answer) -> None:
    """The answer, then its citations with numbers; the answering words stand out."""
    console = _console()
    if answer.understood_as != answer.question:
        console.print(Text(f"理解为：{printable(answer.understood_as)}", "dim"))
    console.print(Text(printable(answer.answer), "bold" if answer.status == "answered" else "yellow"))
    if answer.is_finding:
        console.print(Text(f"把握：{answer.first_score:.0%}", "dim"))
    if answer.status == "not_found":
        console.print(Text(f"文章里有答案的可能：{answer.confidence:.0%}", "dim"))
    for citation in answer.citations:
        console.print()
        console.print(_citation(citation))


def _citation(citation: Citation) -> Text:
    text = Text(f"[{citation.number}] ", "cyan")
    page = f"第 {citation.page} 页，" if citation.page is not None else ""
    text.append(f"《{printable(citation.title)}》", "bold")
    text.append(f" {printable(citation.path)}（{page}{citation.start}–{citation.end}）\n", "dim")
    start, end = citation.start, citation.start
    if citation.span is not None:
        start, end = citation.span.start, citation.span.end
    quote = printable(citation.quote)
    text.append("    " + quote[: start - citation.start])
    text.append(quote[start - citation.start : end - citation.start], "bold underline green")
    text.append(quote[end - citation.start :])
    return text


def show_articles(articles: Sequence[ArticleSummary]) -> None:
    """The list of articles, two lines to each: titles and paths are too wide for a table."""
    console = _console()
    for a in articles:
        line = Text(printable(a.id), "cyan")
        line.append(f"  《{printable(a.title)}》", "bold")
        line.append(f"\n    {printable(a.path)} · {a.characters} 字 · {a.passages} 段", "dim")
        console.print(line)
    console.print(f"共 {len(articles)} 篇，{sum(a.passages for a in articles)} 段。")


def show_report(report: BuildReport, index: Path) -> None:
    """What a build did; each file that failed with its reason."""
    console = _console()
    console.print(
        f"索引 {index}（{report.generation}）：{report.articles} 篇文章，{report.passages} 段，"
        f"用时 {report.seconds:.1f} 秒。"
    )
    console.print(
        f"新增 {len(report.added)} 篇，改动 {len(report.changed)} 篇，移除 {len(report.removed)} 篇；"
        f"沿用 {report.reused_vectors} 段的向量。"
    )
    if report.failures:
        console.print(f"有 {len(report.failures)} 个文件没有读入：")
    for failure in report.failures:
        console.print(f"  {failure.path}：{failure.reason}")


def show_status(status: LibraryStatus, index: Path) -> None:
    """The folder of articles against its index."""
    console = _console()
    if status.generation:
        console.print(
            f"索引 {index}（{status.generation}，建于 {status.created}）："
            f"{status.articles} 篇文章，{status.passages} 段。"
        )
    else:
        console.print(f"{index} 里还没有索引。")
    for title, paths in (("新文件", status.new), ("改过的", status.changed), ("没有了的", status.gone)):
        _show_some(console, title, paths)
    _show_some(console, "读不了的", [f"{f.path}：{f.reason}" for f in status.failed])
    if status.new or status.changed or status.gone or not status.generation:
        console.print("运行 askai build 可以更新索引。")
    else:
        console.print("索引与文件一致。")
    if len(status.kept) > 1:
        console.print(f"可以用 askai rollback 退回：{'、'.join(k for k in status.kept if k != status.generation)}。")


def _show_some(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"{title}（{len(lines)} 个）：")
    for line in lines[:_SHOWN]:
        console.print(f"  {line}")
    if len(lines) > _SHOWN:
        console.print(f"  ……另有 {len(lines) - _SHOWN} 个，用 --json 可以看到全部。")


def say(text: str) -> None:
    """One line for the person."""
    _console().print(text)


def complain(reason: object) -> None:
    """One line that says what went wrong, on standard error."""
    print(f"错误：{printable(str(reason))}", file=sys.stderr, flush=True)


def show_evaluation(report: Mapping[str, Any]) -> None:
    """The report of ``askai eval`` for reading."""
    console = _console()
    console.print(
        f"{report['dataset']}：{report['questions']} 个问题（{report['unanswerable']} 个没有答案），"
        f"{report['articles']} 篇文章，{report['passages']} 段，建索引 {report['build_seconds']:.1f} 秒。"
    )
    for key, name in _MEASURES.items():
        groups = report.get(key) or {}
        for stage, measures in groups.items() if key == "stages" else [("", groups)]:
            console.print(f"{name}{stage and f' {stage}'}：{'，'.join(map(_measure, measures.items()))}")
    declining = report["declining"]
    if declining:
        console.print(
            f"答与不答：AUROC {declining['auroc']:.3f}（给定原文 {declining['auroc_gold_context']:.3f}），"
            f"F1 {declining['f1']:.3f}，准确 {declining['precision']:.3f}，召回 {declining['recall']:.3f}"
        )
    error, times = report["calibration"], report["latency_ms"]
    console.print(f"把握的期望校准误差：{error['expected_error']:.3f}（{error['count']} 个问题）")
    for point in report["risk_coverage"]:
        asked = f"答最有把握的 {point['coverage']:.0%}（{point['count']} 个）"
        console.print(f"  {asked}：错 {point['risk']:.1%}")
    console.print(f"每问用时：p50 {times['p50']:.1f} ms，p95 {times['p95']:.1f} ms")


def _measure(item: tuple[str, Mapping[str, Any]]) -> str:
    name, measure = item
    if measure["value"] is None:
        return f"{name} —"
    counts = f"{measure['count']}/{measure['of']}" if "count" in measure else f"{measure['of']} 问"
    return f"{name} {measure['value']:.3f}（{counts}）"
