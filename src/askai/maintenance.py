"""The commands that keep a folder of articles and its index in step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from askai.errors import Cancelled
from askai.options import DEFAULT_CORPUS, DEFAULT_INDEX, CorpusOption, IndexOption, JsonOption, ModelOption

if TYPE_CHECKING:
    from askai.types import BuildReport, Progress

PathsArgument = Annotated[list[Path] | None, typer.Argument(help="文章或文件夹，默认是上次建索引时的，或 corpus/。")]


def register(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for command in (build, add, remove, undo, watch, status, rollback, verify):
        app.command()(command)


@contextmanager
def _cancellable(index: Path) -> Iterator[Progress]:
    """Progress of long work that Ctrl-C ends: nothing has changed, unless it was over already."""
    from askai import console
    from askai.writing import pointer

    served = pointer(index)
    try:
        with console.progress() as report_progress:
            yield report_progress
    except KeyboardInterrupt:
        if pointer(index) == served:
            raise Cancelled from None
        raise


def _show(report: BuildReport, index: Path, *, as_json: bool) -> None:
    from askai import console

    if as_json:
        console.write_json(console.as_plain(report))
    else:
        console.show_report(report, index)


def build(
    paths: PathsArgument = None,
    index: IndexOption = DEFAULT_INDEX,
    model: ModelOption = None,
    full: Annotated[bool, typer.Option("--full", help="全部重新读入，不沿用原来的索引。")] = False,
    as_json: JsonOption = False,
) -> None:
    """读入新的和改过的文章，更新索引（默认把 corpus/ 建到 index/）。"""
    from askai.library import Library

    with _cancellable(index) as progress:
        report = Library(DEFAULT_CORPUS, index, model).build(paths, progress, full=full)
    _show(report, index, as_json=as_json)


def add(
    paths: Annotated[list[Path], typer.Argument(help="要加入的文章或文件夹。")],
    corpus: CorpusOption = DEFAULT_CORPUS,
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
) -> None:
    """把文章复制到文章文件夹，并加入索引。"""
    from askai.library import Library

    with _cancellable(index) as progress:
        report = Library(corpus, index).add(paths, progress)
    _show(report, index, as_json=as_json)


def remove(
    articles: Annotated[list[str], typer.Argument(help="文章的编号、路径或标题。")],
    corpus: CorpusOption = DEFAULT_CORPUS,
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
) -> None:
    """移除文章：文件移到文章文件夹的 .trash 里，索引不再用它回答。"""
    from askai.library import Library

    with _cancellable(index):
        report = Library(corpus, index).remove(articles)
    _show(report, index, as_json=as_json)


def undo(
    corpus: CorpusOption = DEFAULT_CORPUS, index: IndexOption = DEFAULT_INDEX, as_json: JsonOption = False
) -> None:
    """撤销上一次移除：文件放回原处，重新加入索引。"""
    from askai.library import Library

    with _cancellable(index) as progress:
        report = Library(corpus, index).undo(progress)
    _show(report, index, as_json=as_json)


def watch(
    paths: PathsArgument = None, corpus: CorpusOption = DEFAULT_CORPUS, index: IndexOption = DEFAULT_INDEX
) -> None:
    """守着文章文件夹：一有改动就更新索引，按 Ctrl-C 结束。"""
    from askai import console
    from askai.library import Library
    from askai.watching import watch as keep_watching

    with suppress(KeyboardInterrupt):
        keep_watching(
            Library(corpus, index), paths,
            lambda roots: console.say(f"正在守着 {'、'.join(map(str, roots))}，按 Ctrl-C 结束。"),
            lambda report: console.show_report(report, index), console.complain,
        )  # fmt: skip
    console.say("已停止。")


def status(
    paths: PathsArgument = None,
    corpus: CorpusOption = DEFAULT_CORPUS,
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
) -> None:
    """比较文章文件夹和索引：新的、改过的、没有了的、读不了的文件。"""
    from askai import console
    from askai.library import Library

    found = Library(corpus, index).status(paths)
    if as_json:
        console.write_json(console.as_plain(found))
    else:
        console.show_status(found, index)


def rollback(
    generation: Annotated[str | None, typer.Argument(help="退回到哪一代，默认上一代。")] = None,
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """退回到较早的一代索引；文章文件不动，下次 askai build 会重新按文件更新。"""
    from askai import console
    from askai.library import Library

    console.say(f"现在使用 {Library(DEFAULT_CORPUS, index).rollback(generation)}。文章文件没有改动。")


def verify(index: IndexOption = DEFAULT_INDEX, as_json: JsonOption = False) -> None:
    """检查索引：校验和、条数、位置，以及每一段是否与文章一字不差。"""
    from askai import console
    from askai.library import Library
    from askai.writing import mending

    found = Library(DEFAULT_CORPUS, index).verify()
    if as_json:
        console.write_json(found)
    elif found:
        for problem in found:
            console.say(problem)
        console.complain(f"索引 {index} 有 {len(found)} 处问题。请运行 {mending(index)} 重建。")
    else:
        console.say(f"索引 {index} 完好。")
    if found:
        raise typer.Exit(1)
