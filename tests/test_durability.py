"""Writes that fail, builds that are killed or cancelled, two writers: the last good index serves on."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from askai import generations
from askai.assistant import Assistant
from askai.errors import AskaiError, Cancelled, IndexBusy, IndexMissing, InputError
from askai.generations import current
from askai.index import load
from askai.library import Library
from askai.writing import KEPT_GENERATIONS, SEGMENTS, writing
from making import TEXTS, assert_same, index_of

POSIX = os.name == "posix"


# --- writes that fail -------------------------------------------------------------------------------


@contextmanager
def failing_write(n: int) -> Iterator[list[str]]:
    """Make the n-th call that writes fail as on a full disk; yields the calls made so far."""
    calls: list[str] = []

    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            mode = str(kwargs.get("mode") or (args[1] if len(args) > 1 else "r"))
            if name != "open" or set(mode) & set("wax+"):
                calls.append(name)
                if len(calls) == n:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        opening = counted("open", io.open)
        patch.setattr(io, "open", opening)
        patch.setattr(builtins, "open", opening)
        for name in ("fsync", "rename", "replace", "mkdir", "link"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        yield calls


def snapshot(home: Path) -> dict[str, bytes]:
    """Every file of a folder that a reader or a person would miss."""
    return {p.relative_to(home).as_posix(): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}


def _adding(corpus: Path, library: Library, number: int) -> Callable[[], object]:
    new = corpus.parent / f"new-{number}.md"
    new.write_text(f"第{number}号灯塔高{number}米。", "utf-8")
    return lambda: library.add([new])


def _building(corpus: Path, library: Library, number: int) -> Callable[[], object]:
    (corpus / "a0.md").write_text(f"{TEXTS[0]}\n第{number}版。", "utf-8")
    return library.build


def _removing(corpus: Path, library: Library, number: int) -> Callable[[], object]:
    (corpus / "a1.md").write_text(f"{TEXTS[1]}\n第{number}版。", "utf-8")
    library.build()
    return lambda: library.remove(["a1"])


def _undoing(corpus: Path, library: Library, number: int) -> Callable[[], object]:
    if not (corpus / ".trash").exists():
        library.remove(["a1"])
    return library.undo


@pytest.mark.parametrize("prepared", [_adding, _building, _removing, _undoing])
def test_every_write_failing_once(
    folder: Path, corpus: Path, prepared: Callable[[Path, Library, int], Callable[[], object]]
) -> None:
    library = Library(corpus, folder)
    library.build()
    harmless, reasons = [], []
    for n in range(1, 200):
        change = prepared(corpus, library, n)
        serving, kept = current(folder), generations.generations(folder)
        before = snapshot(corpus)
        try:
            with failing_write(n) as calls:
                change()
            if len(calls) < n:
                break
            harmless.append(calls[n - 1])
        except AskaiError as error:
            reasons.append(str(error))
            assert current(folder) == serving
            assert generations.generations(folder) == kept
            assert snapshot(corpus) == before
        assert not list(folder.glob("tmp-*"))
        assert not list(corpus.rglob(".incoming-*"))
        assert library.verify() == []
    assert len(reasons) > 10
    assert all(os.strerror(errno.ENOSPC) in reason for reason in reasons)
    # Only these may fail without harm: the holder's name, the last sync, making folders that are there,
    # the hard link, which has a second way.
    assert set(harmless) <= {"open", "fsync", "mkdir", "link"}
    assert harmless.count("open") == 1
    library.build()
    assert_same(load(folder), index_of(list(load(folder).articles.values())))


@pytest.mark.skipif(not POSIX, reason="needs setrlimit")
def test_disk_that_fills_up_inside_a_file(folder: Path, corpus: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    segments = snapshot(folder / SEGMENTS).keys()
    (corpus / "a0.md").write_text(TEXTS[0] + "改过了。", "utf-8")
    for limit in (0, 1, 100, 300, 1000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(AskaiError, match="写索引失败"):
                Library(corpus, folder).build()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert load(folder).generation == "gen-000001"
        assert [p.name for p in folder.glob("gen-*")] == ["gen-000001"]
        assert snapshot(folder / SEGMENTS).keys() == segments
        assert not list(folder.glob("tmp-*"))


@pytest.mark.skipif(not POSIX or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path, corpus: Path) -> None:
    home = tmp_path / "locked"
    home.mkdir(mode=0o500)
    with pytest.raises(AskaiError, match="locked"):
        Assistant.build([corpus], home)


def test_index_path_that_is_a_file(tmp_path: Path, corpus: Path) -> None:
    home = tmp_path / "file"
    home.write_text("x")
    for path in (home, home / "below"):
        with pytest.raises(AskaiError, match="无法写入索引文件夹"):
            Assistant.build([corpus], path)
        with pytest.raises(IndexMissing):
            Assistant.open(path)


def test_nothing_to_read_leaves_the_index(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="没有可读的文章"):
        Assistant.build([empty], folder)
    assert load(folder).generation == "gen-000001"


# --- killed builds ----------------------------------------------------------------------------------

# Warms up once, then for each number read builds in a child that kills itself at that call; prints
# how the child ended and, where it came to its end, the calls it made.
_KILLED = """
import os, signal, sys
from pathlib import Path
from askai.assistant import Assistant, default_reader
from askai.encoder import load_encoder
folder, corpus = Path(sys.argv[1]), Path(sys.argv[2])
default_reader()
load_encoder().encode_question("\u70ed\u8eab")

def build(at):
    calls = []
    def counted(module, name):
        original = getattr(module, name)
        def call(*args, **kwargs):
            calls.append(name)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)
        setattr(module, name, call)
    for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir"):
        counted(os, name)
    Assistant.build([corpus], folder)
    return calls

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(*build(int(line)), flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(not POSIX, reason="needs SIGKILL")
def test_killed_at_any_moment(folder: Path, corpus: Path) -> None:
    """kill -9 while files are written, before and after the swap and while old ones are pruned."""
    Assistant.build([corpus], folder)
    reader, _ = Assistant.build([corpus], folder)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _KILLED, str(folder), str(corpus)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as builder:  # fmt: skip
        assert builder.stdin is not None
        assert builder.stdout is not None

        def killed_at(call: int) -> None:
            assert builder.stdin is not None
            builder.stdin.write(f"{call}\n")
            builder.stdin.flush()

        (corpus / "new.md").write_text("新来的灯塔。", "utf-8")
        killed_at(0)
        calls = builder.stdout.readline().split()
        assert builder.stdout.readline() == "0\n"
        swap = calls.index("replace") + 1
        moments = {
            1, calls.index("fsync") + 1, calls.index("rename") + 1, swap - 1, swap,
            swap + 1, len(calls) - 1, len(calls) // 2,
        }  # fmt: skip
        for number, at in enumerate(sorted(moments)):
            (corpus / "new.md").write_text(f"第{number}号灯塔在东岸，塔高{number}米。", "utf-8")
            serving = current(folder)
            killed_at(at)
            assert builder.stdout.readline() == f"{-signal.SIGKILL}\n"
            assert (current(folder) == serving) == (at <= swap)
            loaded = load(folder)
            assert current(folder) == loaded.generation
            assert reader.ask("白石灯塔是谁修建的？").citations
            assert reader.generation == loaded.generation
            assistant, report = Assistant.build([corpus], folder)
            assert f"第{number}号灯塔" in assistant.article("new").text
            assert report.articles == 4
            assert Library(corpus, folder).verify() == []
            assert not list(folder.glob("tmp-*"))
            assert len(list(folder.glob("gen-*"))) <= KEPT_GENERATIONS
        builder.stdin.close()


# --- two writers ------------------------------------------------------------------------------------

_HOLDS = """
import sys
from pathlib import Path
from askai.writing import writing
with writing(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_second_writer_is_told_who_holds_the_lock(folder: Path, corpus: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "holding\n"
        opened = Assistant.open(folder)
        with pytest.raises(IndexBusy, match=f"进程 {other.pid}，"):
            Assistant.build([corpus], folder)
        with pytest.raises(IndexBusy):
            opened.rebuild([corpus])
        assert opened.ask("打印机多少钱？").citations
        other.kill()
    # A holder that died leaves its name behind, but not the lock.
    Assistant.build([corpus], folder)
    assert not (folder / "writer.txt").exists()


def test_second_writer_in_the_same_process(folder: Path) -> None:
    errors: list[BaseException] = []

    def second() -> None:
        try:
            with writing(folder):
                pass
        except AskaiError as error:
            errors.append(error)

    with writing(folder):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert [type(error) for error in errors] == [IndexBusy]
    assert f"进程 {os.getpid()}" in str(errors[0])
    with writing(folder):
        pass


@pytest.mark.parametrize("content", [None, b"", b"\xff\xff"])
def test_holder_without_a_name(folder: Path, content: bytes | None) -> None:
    with writing(folder):
        holder = folder / "writer.txt"
        holder.unlink()
        if content is not None:
            holder.write_bytes(content)
        with pytest.raises(IndexBusy, match="未知进程"), writing(folder):
            pass


def test_lock_is_released_by_an_error(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(folder):
        raise ZeroDivisionError
    with writing(folder):
        pass



@pytest.mark.parametrize("reason", [Cancelled(), KeyboardInterrupt(), ZeroDivisionError()])
def test_exception_in_progress_leaves_the_index(folder: Path, corpus: Path, reason: BaseException) -> None:
    """A page that cancels raises from its progress callback, at any stage."""
    told: list[str] = []
    (corpus / "new.md").write_text("新来的灯塔。", "utf-8")
    Library(corpus, folder).build(progress=lambda stage, *_: told.append(stage))
    (corpus / "new.md").write_text("又来的灯塔。", "utf-8")
    serving = current(folder)

    def cancel(after: int) -> Callable[[str, int, int], None]:
        steps = iter(range(after))

        def progress(stage: str, done: int, total: int) -> None:
            if next(steps, None) is None:
                raise reason

        return progress

    for after in range(len(told)):
        with pytest.raises(type(reason)):
            Library(corpus, folder).build(progress=cancel(after))
        assert current(folder) == serving
        load(folder)
        assert not list(folder.glob("tmp-*"))
    Library(corpus, folder).build()
    assert "又来" in load(folder).articles["new"].text
