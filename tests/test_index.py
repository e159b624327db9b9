"""The index directory: round trip, damage, failing writes, killed builds, two writers, reuse of vectors."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from askai import index as store
from askai.assistant import Assistant
from askai.encoder import load_encoder
from askai.errors import (
    AskaiError,
    IndexBusy,
    IndexDamaged,
    IndexMismatch,
    IndexMissing,
    InputError,
    UnusableIndex,
)
from askai.index import Index, build_index, load, save, writing
from askai.passages import PARAMETERS
from askai.retrieval import lexical_scores, retrieve
from askai.stores.faiss_store import FaissStore
from askai.text import fold, units
from askai.types import Article, Failure
from making import HOSTILE_TEXTS, LetterEncoder, articles, index_of

POSIX = os.name == "posix"
TEXTS = (
    "# 打印机\n\n标准版 PPR-9087 的售价是 699 元，电池加大版的售价是 829 元。\n\n## 保修\n\n整机保修一年，打印头保修两年。",
    "白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。1954年的台风毁掉了塔顶的灯室。",
    "綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜，並且要密封避光。",
)


@pytest.fixture(scope="module")
def built() -> Index:
    return index_of(articles(*TEXTS))


@pytest.fixture
def folder(built: Index, tmp_path: Path) -> Path:
    """An index folder with one generation."""
    home = tmp_path / "索引 index"
    with writing(home):
        save(built, home)
    return home


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    home = tmp_path / "corpus"
    home.mkdir()
    for number, text in enumerate(TEXTS):
        (home / f"a{number}.md").write_text(text, "utf-8")
    return home


def generation(folder: Path) -> Path:
    return folder / (folder / "CURRENT").read_text("utf-8")


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    """Change a manifest as a program would, checksums included."""
    home = generation(folder)
    manifest = json.loads((home / "manifest.json").read_text("utf-8")) | changes
    manifest["checksums"] = store._checksums(home) if "checksums" not in changes else changes["checksums"]
    manifest["checksum"] = store._manifest_digest(manifest)
    (home / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def assert_same(one: Index, other: Index) -> None:
    assert one.articles == other.articles
    assert one.ids == other.ids
    assert one.headings == other.headings
    np.testing.assert_array_equal(one.table, other.table)
    np.testing.assert_array_equal(one.digests, other.digests)
    np.testing.assert_array_equal(one.vectors.vectors(), other.vectors.vectors())
    for question in ("打印机多少钱", "灯塔是谁修建的？", "綠茶", "没有的东西zzz"):
        for mine, theirs in zip(lexical_scores(one, question), lexical_scores(other, question), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        assert [(h.row, h.passage) for h in retrieve(one, load_encoder(), question)] == [
            (h.row, h.passage) for h in retrieve(other, load_encoder(), question)
        ]


# --- round trip -------------------------------------------------------------------------------------


def test_round_trip(built: Index, folder: Path) -> None:
    opened = load(folder)
    assert opened.generation == "gen-000001"
    assert_same(opened, built)
    assert len(opened) == len(built) > 0
    for row in range(len(opened)):
        passage = opened.passage(row)
        text = opened.articles[passage.article_id].text
        assert opened.text(passage) == text[passage.start : passage.end]


def test_round_trip_of_hostile_articles(tmp_path: Path) -> None:
    chosen = [
        Article(f"号/{n}\u202e", f"{name}<b>\n{text[:20]}", f"路径 {n}.md", text, {"source": text[:30]})
        for n, (name, text) in enumerate(HOSTILE_TEXTS.items())
        if len(text) < 6000
    ]
    built = index_of(chosen)
    with writing(tmp_path):
        save(built, tmp_path)
    assert_same(load(tmp_path), built)


def test_index_of_nothing(tmp_path: Path) -> None:
    empty = index_of([])
    with writing(tmp_path):
        save(empty, tmp_path)
    opened = load(tmp_path)
    assert len(opened) == 0
    assert retrieve(opened, load_encoder(), "什么？") == []


def test_failures_with_file_names_that_are_no_text(tmp_path: Path, built: Index) -> None:
    """A name of GB18030 bytes comes from the file system with surrogates: it must not stop a build."""
    name = os.fsdecode(b"\xb2\xe2\xca\xd4.pdf")
    index = build_index(articles(*TEXTS), load_encoder(), failures=[Failure(name, "格式不支持")])
    with writing(tmp_path):
        save(index, tmp_path)
    assert load(tmp_path).manifest["failures"] == [{"path": name, "reason": "格式不支持"}]


def test_manifest_says_how_it_was_made(folder: Path) -> None:
    manifest = json.loads((generation(folder) / "manifest.json").read_text("utf-8"))
    assert manifest["format"] == store.FORMAT
    assert manifest["encoder"] == load_encoder().fingerprint
    assert manifest["passage_parameters"] == PARAMETERS
    assert manifest["articles"] == 3
    assert manifest["passages"] == len(load(folder))
    files = {p.relative_to(generation(folder)).as_posix() for p in generation(folder).rglob("*") if p.is_file()}
    assert set(manifest["checksums"]) == files - {"manifest.json"}


def test_no_file_is_a_pickle(folder: Path) -> None:
    for path in generation(folder).rglob("*.npy"):
        np.load(path, allow_pickle=False)
    assert not any(path.suffix in {".pkl", ".pickle"} for path in folder.rglob("*"))


# --- what is refused --------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    for home in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(IndexMissing, match=f"askai build --index {home}"):
            load(home)


def test_default_folder_needs_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IndexMissing, match="请先运行 askai build 建立"):
        load(Path("index"))


def refused(folder: Path) -> UnusableIndex:
    """The error of opening, which must name the folder and the command that mends it."""
    with pytest.raises(UnusableIndex) as caught:
        load(folder)
    assert f"askai build --index {folder}" in str(caught.value)
    with pytest.raises(UnusableIndex):
        Assistant.open(folder)
    return caught.value


def test_a_damaged_byte_in_every_file(folder: Path, corpus: Path) -> None:
    files = [p for p in generation(folder).rglob("*") if p.is_file()]
    assert len(files) >= 10
    for path in files:
        data = path.read_bytes()
        for place in {0, len(data) // 2, len(data) - 1}:
            damaged = bytearray(data)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            assert isinstance(refused(folder), IndexDamaged | IndexMismatch), (path.name, place)
        path.write_bytes(data)
        load(folder)
    files[0].write_bytes(b"")
    Assistant.build([corpus], folder)
    assert len(load(folder).articles) == 3


def test_any_damaged_byte_of_the_manifest(folder: Path) -> None:
    path = generation(folder) / "manifest.json"
    data = path.read_bytes()
    for place in range(0, len(data), 5):
        for flip in (1, 0x20, 0x80):
            damaged = bytearray(data)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(UnusableIndex):
                load(folder)


def test_every_file_missing_cut_or_emptied(folder: Path) -> None:
    for path in [p for p in generation(folder).rglob("*") if p.is_file()]:
        data = path.read_bytes()
        for damaged in (None, b"", data[: len(data) // 2], data + b"\n"):
            path.unlink(missing_ok=True)
            if damaged is not None:
                path.write_bytes(damaged)
            if damaged == data + b"\n" and path.name == "manifest.json":
                load(folder)  # a line end after JSON means nothing
            else:
                refused(folder)
        path.write_bytes(data)
    load(folder)


def test_missing_generation(folder: Path) -> None:
    shutil.rmtree(generation(folder))
    assert isinstance(refused(folder), IndexDamaged)


@pytest.mark.parametrize("content", ["[]", "null", '"x"', "1", "{}", '{"format": 1}', "[" * 100_000])
def test_manifest_of_another_shape(folder: Path, content: str) -> None:
    (generation(folder) / "manifest.json").write_text(content, "utf-8")
    assert isinstance(refused(folder), IndexDamaged)


@pytest.mark.parametrize("version", [0, 2, 99, "1", None])
def test_foreign_format(folder: Path, version: object) -> None:
    rewrite_manifest(folder, format=version)
    assert isinstance(refused(folder), IndexMismatch)


def test_other_passage_parameters(folder: Path) -> None:
    rewrite_manifest(folder, passage_parameters=PARAMETERS | {"target": 500})
    assert isinstance(refused(folder), IndexMismatch)


def test_counts_that_disagree(folder: Path) -> None:
    rewrite_manifest(folder, passages=len(load(folder)) + 1)
    assert isinstance(refused(folder), IndexDamaged)


def test_another_encoder(tmp_path: Path) -> None:
    index = build_index(articles(*TEXTS), LetterEncoder())
    with writing(tmp_path):
        save(index, tmp_path)
    with pytest.raises(IndexMismatch, match="letters:1") as caught:
        Assistant.open(tmp_path)
    assert f"askai build --index {tmp_path}" in str(caught.value)


class _Explosive:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["EXPLOSIVE"],)


@pytest.mark.parametrize("name", ["passages.npy", "digests.npy", "lexical/data.csc.index.npy"])
def test_nothing_is_unpickled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever writes the checksums too can still not make us run a pickle."""
    monkeypatch.setenv("EXPLOSIVE", str(tmp_path / "exploded"))
    np.save(generation(folder) / name, np.array([_Explosive()], object), allow_pickle=True)
    rewrite_manifest(folder)
    assert isinstance(refused(folder), IndexDamaged)
    (generation(folder) / name).write_bytes(pickle.dumps(_Explosive()))
    rewrite_manifest(folder)
    refused(folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"gen-", b"gen-abc", b"../../etc", b"/", b"gen-000009", b"\xff\xfe\x00", b"gen-000001/../x",
        "gen-²".encode(), "gen-٣".encode(), b"\0" * 4096, b"gen-000001 gen-000002", b"{}",
    ],
)  # fmt: skip
def test_garbage_in_current(folder: Path, corpus: Path, content: bytes) -> None:
    (folder / "CURRENT").write_bytes(content)
    refused(folder)
    assistant, _ = Assistant.build([corpus], folder)
    assert load(folder).generation == assistant.generation


# --- swapping ---------------------------------------------------------------------------------------


def test_generations_are_pruned(built: Index, folder: Path) -> None:
    for _ in range(6):
        with writing(folder):
            save(built, folder)
    left = sorted(p.name for p in folder.glob("gen-*"))
    assert left == ["gen-000005", "gen-000006", "gen-000007"]
    assert load(folder).generation == "gen-000007"
    assert not list(folder.glob("tmp-*"))


def test_leftovers_of_others_do_no_harm(built: Index, folder: Path) -> None:
    (folder / "tmp-1").mkdir()
    (folder / "tmp-1" / "half").write_text("x")
    (folder / "CURRENT.new").write_text("gen-0")
    (folder / "gen-notes").mkdir()
    (folder / "gen-²").mkdir()
    (folder / "gen-000044").mkdir()
    (folder / "README.md").write_text("about this folder")
    with writing(folder):
        assert save(built, folder) == "gen-000045"
    assert load(folder).generation == "gen-000045"
    assert not (folder / "tmp-1").exists()
    assert (folder / "README.md").exists()


def test_reader_outlives_its_generation(built: Index, folder: Path) -> None:
    opened = load(folder)
    shutil.rmtree(generation(folder))
    assert_same(opened, built)


def test_generation_pruned_while_it_is_read(
    built: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that read CURRENT before a few builds finds its generation gone, and takes the new one."""
    first = store.current(folder)
    for _ in range(4):
        with writing(folder):
            save(built, folder)
    names = iter([first])
    latest = store.current
    monkeypatch.setattr(store, "current", lambda home: next(names, None) or latest(home))
    assert load(folder).generation == "gen-000005"


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
        for name in ("fsync", "rename", "replace", "mkdir"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        yield calls


def test_every_write_failing_once(built: Index, folder: Path) -> None:
    with failing_write(0) as calls, writing(folder):
        save(built, folder)
    total = len(calls)
    assert {"open", "fsync", "rename", "replace", "mkdir"} <= set(calls)
    assert total > 20
    harmless, reasons = [], []
    for n in range(1, total + 1):
        before = {p.name for p in folder.glob("gen-*")}
        serving = store.current(folder)
        try:
            with failing_write(n) as calls, writing(folder):
                save(built, folder)
            harmless.append(calls[n - 1])
        except AskaiError as error:
            reasons.append(str(error))
            assert store.current(folder) == serving
            assert {p.name for p in folder.glob("gen-*")} == before
            assert not list(folder.glob("tmp-*"))
        load(folder)
    assert all(os.strerror(errno.ENOSPC) in reason for reason in reasons)
    # Only these may fail without harm: the holder's name, the very last sync, making folders that are there.
    assert sorted(name for name in harmless if name != "mkdir") == ["fsync", "open"]
    with writing(folder):
        save(built, folder)
    assert_same(load(folder), built)


@pytest.mark.skipif(not POSIX, reason="needs setrlimit")
def test_disk_that_fills_up_inside_a_file(built: Index, folder: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(p.stat().st_size for p in generation(folder).rglob("*") if p.is_file())
    for limit in (0, 1, 100, 1000, 3000, largest - 1):
        with writing(folder):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                with pytest.raises(AskaiError, match="写索引失败"):
                    save(built, folder)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert load(folder).generation == "gen-000001"
        assert [p.name for p in folder.iterdir() if p.is_dir()] == ["gen-000001"]


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
import numpy as np
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
    counted(np, "save")
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

        killed_at(0)
        calls = builder.stdout.readline().split()
        assert builder.stdout.readline() == "0\n"
        swap = calls.index("replace") + 1
        moments = {
            1, calls.index("save") + 1, calls.index("fsync") + 1, calls.index("rename") + 1, swap - 1, swap,
            swap + 1, len(calls) - 1,
        }  # fmt: skip
        for number, at in enumerate(sorted(moments)):
            (corpus / "new.md").write_text(f"第{number}号灯塔在东岸，塔高{number}米。", "utf-8")
            serving = store.current(folder)
            killed_at(at)
            assert builder.stdout.readline() == f"{-signal.SIGKILL}\n"
            assert (store.current(folder) == serving) == (at <= swap)
            loaded = load(folder)
            assert store.current(folder) == loaded.generation
            assert reader.ask("白石灯塔是谁修建的？").citations
            assert reader.generation == loaded.generation
            assistant, report = Assistant.build([corpus], folder)
            assert f"第{number}号灯塔" in assistant.article("new").text
            assert report.articles == 4
            assert not list(folder.glob("tmp-*"))
            assert len(list(folder.glob("gen-*"))) == store.KEPT_GENERATIONS
        builder.stdin.close()


# --- two writers ------------------------------------------------------------------------------------

_HOLDS = """
import sys
from pathlib import Path
from askai.index import writing
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


# --- incremental builds -----------------------------------------------------------------------------


def test_unchanged_passages_keep_their_vectors() -> None:
    encoder = LetterEncoder()
    old = build_index(articles(*TEXTS), encoder)
    encoder.encoded.clear()
    chosen = [*articles(*TEXTS[1:]), *articles("新来的一篇文章讲的是大运河。")]
    new = build_index(chosen, encoder, old=old)
    # The first article is gone, the others have other numbers and so other titles: sample-0 has another text.
    assert new.manifest["reused_vectors"] == len(new) - len(encoder.encoded)
    again = build_index(chosen, encoder, old=new)
    assert again.manifest["reused_vectors"] == len(new)
    np.testing.assert_array_equal(again.vectors.vectors(), new.vectors.vectors())


def test_incremental_equals_full() -> None:
    encoder = load_encoder()
    one = articles(*TEXTS)
    changed = Article(one[0].id, one[0].title, one[0].path, one[0].text.replace("699", "599"))
    added = Article("new", "大运河", "new.md", "隋炀帝在位时开凿通济渠，从洛阳通到淮河。")
    old = build_index(one, encoder)
    now = [changed, one[2], added]
    incremental, full = build_index(now, encoder, old=old), build_index(now, encoder)
    assert 0 < incremental.manifest["reused_vectors"] < len(incremental)
    assert full.manifest["reused_vectors"] == 0
    assert_same(incremental, full)
    for question in ("打印机多少钱？", "綠茶怎麼存", "通济渠从哪里到哪里"):
        assert retrieve(incremental, encoder, question) == retrieve(full, encoder, question)


def test_changed_title_or_heading_is_embedded_anew() -> None:
    encoder = LetterEncoder()
    one = articles(TEXTS[1])[0]
    old = build_index([one], encoder)
    renamed = Article(one.id, "另一个标题", one.path, one.text)
    assert build_index([renamed], encoder, old=old).manifest["reused_vectors"] == 0
    moved = Article("other-id", one.title, "elsewhere.md", one.text)
    assert build_index([moved], encoder, old=old).manifest["reused_vectors"] == len(old)


def test_vectors_of_another_model_are_not_taken() -> None:
    old = build_index(articles(*TEXTS), LetterEncoder("1"))
    new = build_index(articles(*TEXTS), LetterEncoder("2"), old=old)
    assert new.manifest["reused_vectors"] == 0


def test_same_passage_twice() -> None:
    encoder = load_encoder()
    twice = [Article("a", "题", "a.md", TEXTS[1]), Article("b", "题", "b.md", TEXTS[1])]
    old = build_index(twice[:1], encoder)
    new = build_index(twice, encoder, old=old)
    assert new.manifest["reused_vectors"] == len(new) == 2
    np.testing.assert_array_equal(new.vectors.vector(0), new.vectors.vector(1))


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    build_index(articles(*TEXTS), load_encoder(), lambda *step: told.append(step))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert len(stages) == 3
    for stage in stages:
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps[-1][0] == steps[-1][1] > 0
        assert steps == sorted(steps)


def test_exception_in_progress_leaves_the_index(folder: Path, corpus: Path) -> None:
    """A page that cancels raises from its progress callback, at any stage."""
    told: list[str] = []
    Assistant.build([corpus], folder)
    Assistant.build([corpus], folder, progress=lambda stage, *_: told.append(stage))
    serving = store.current(folder)

    def cancel(after: int) -> Callable[[str, int, int], None]:
        steps = iter(range(after))

        def progress(stage: str, done: int, total: int) -> None:
            if next(steps, None) is None:
                raise KeyboardInterrupt

        return progress

    for after in range(len(told) - 1):
        with pytest.raises(KeyboardInterrupt):
            Assistant.build([corpus], folder, progress=cancel(after))
        assert store.current(folder) == serving
        load(folder)


# --- FAISS against brute force ----------------------------------------------------------------------


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(0, 200), k=st.integers(0, 220), copies=st.booleans()
)
def test_faiss_equals_brute_force(seed: int, n: int, k: int, copies: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 24)).astype(np.float32)
    if copies and n > 4:
        vectors[n // 2 :] = vectors[: n - n // 2]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    query = rng.normal(size=24).astype(np.float32)
    query /= np.linalg.norm(query)
    found = FaissStore.build(vectors)
    rows, scores = found.search(query, k)
    exact = vectors.astype(np.float64) @ query.astype(np.float64)
    best = np.sort(exact)[::-1][:k]
    assert len(rows) == len(scores) == min(k, n)
    assert len(set(rows.tolist())) == len(rows)
    np.testing.assert_allclose(scores, best, atol=1e-5)
    np.testing.assert_allclose(exact[rows], scores, atol=1e-5)
    assert len(found) == n
    np.testing.assert_array_equal(found.vectors(), vectors)


def test_faiss_in_an_index_equals_brute_force(built: Index) -> None:
    encoder = load_encoder()
    vectors = encoder.encode_passages(
        [store.indexed_text(built.articles[p.article_id], p) for p in map(built.passage, range(len(built)))]
    )
    np.testing.assert_allclose(built.vectors.vectors(), vectors, atol=1e-6)
    for question in ("打印机多少钱？", "灯塔", "？"):
        query = encoder.encode_question(question)
        rows, scores = built.vectors.search(query, len(built))
        np.testing.assert_allclose(scores, np.sort(vectors @ query)[::-1], atol=1e-5)
        np.testing.assert_allclose((vectors @ query)[rows], scores, atol=1e-5)


def test_faiss_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "向量.faiss"
    for content in (b"", b"x", b"\0" * 1000, os.urandom(1000)):
        path.write_bytes(content)
        with pytest.raises(IndexDamaged):
            FaissStore.load(path)


def test_units_of_an_index_are_those_of_a_question(built: Index) -> None:
    """Passages and questions are cut alike: each passage is the best for its own words."""
    for row in range(len(built)):
        text = built.text(built.passage(row))
        scores = built.lexical.scores(list(units(fold(text))))
        assert int(scores.argmax()) == row
