"""The folder of articles and its index: add, change, remove, undo, roll back; equal to a full build."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from askai.assistant import Assistant
from askai.corpus import MAX_BYTES
from askai.errors import AskaiError, IndexMissing, InputError, ModelError
from askai.generations import current, uses_of
from askai.index import load
from askai.library import Library
from askai.sources import compare, scan
from askai.watching import watch
from askai.writing import writing
from making import TEXTS, assert_same, files_of, index_of

WORDS = ("灯塔", "白石", "建于", "1887年", "打印机", "售价", "699元", "绿茶", "冷藏", "GPT-5.2", "运河", "沟通", "五大水系")


@pytest.fixture
def library(corpus: Path, tmp_path: Path) -> Library:
    made = Library(corpus, tmp_path / "index")
    made.build()
    return made


def brought(library: Library, name: str, text: str) -> Path:
    """A file outside the corpus."""
    path = library.corpus.parent / "brought" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def ids(library: Library) -> list[str]:
    return list(load(library.index).ids)


# --- adding -----------------------------------------------------------------------------------------


def test_add_copies_and_answers(library: Library) -> None:
    reader = Assistant.open(library.index)
    report = library.add([brought(library, "大运河.md", "大运河沟通海河、黄河、淮河、长江、钱塘江五大水系。")])
    assert (report.added, report.articles) == (("大运河",), 4)
    assert report.reused_vectors == report.passages - 1
    assert (library.corpus / "大运河.md").exists()
    assert any(c.article_id == "大运河" for c in reader.ask("大运河沟通哪五大水系？").citations)
    assert library.status().new == ()
    assert library.build().generation == report.generation, "there is nothing left to do"


def test_add_never_overwrites(library: Library) -> None:
    before = (library.corpus / "a0.md").read_bytes()
    report = library.add([brought(library, "a0.md", "同名的另一篇文章。")])
    assert report.added == ("a0-2",)
    assert (library.corpus / "a0.md").read_bytes() == before
    # The same file again is no second article.
    assert library.add([brought(library, "a0.md", "同名的另一篇文章。")]).added == ()
    assert ids(library) == ["a0", "a0-2", "a1", "a2"]


def test_add_a_folder_with_a_bad_file(library: Library) -> None:
    brought(library, "good.md", "好文章。")
    (brought(library, "CON.txt", "名字不好。").parent / "sub").mkdir()
    (library.corpus.parent / "brought" / "sub" / "b.md").write_text("深一层。", "utf-8")
    brought(library, "bad.md", "")
    brought(library, "picture.xyz", "x")
    report = library.add([library.corpus.parent / "brought"])
    assert report.added == ("brought/_CON", "brought/good", "brought/sub/b")
    assert sorted(Path(f.path).name for f in report.failures) == ["bad.md", "picture.xyz"]
    assert not (library.corpus / "brought" / "bad.md").exists(), "what cannot be read is not taken in"
    assert library.status().failed == ()
    assert library.verify() == []


def test_add_of_a_file_that_cannot_be_read_takes_the_others(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good, bad, big = brought(library, "good.md", "好文章。"), brought(library, "bad.md", "x"), brought(library, "big.md", "")
    os.truncate(big, MAX_BYTES + 1)
    reading = os.open

    def refusing(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == bad:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return reading(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)
    report = library.add([bad, big, good])
    assert report.added == ("good",)
    assert [(Path(f.path), f.reason[:4]) for f in report.failures] == [(bad, "无法读取"), (big, "文件有 ")]
    with pytest.raises(InputError, match=r"没有可以加入的文章（.*bad\.md：无法读取（Permission denied）"):
        library.add([bad])
    assert sorted(p.name for p in library.corpus.iterdir()) == ["a0.md", "a1.md", "a2.md", "good.md"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails")
def test_add_of_a_file_whose_reading_fails_takes_the_others(library: Library) -> None:
    bad = brought(library, "good.md", "好文章。").with_name("bad.txt")
    bad.symlink_to("/proc/self/mem")
    report = library.add([bad, bad.with_name("good.md")])
    assert report.added == ("good",)
    assert [Path(f.path) for f in report.failures] == [bad]
    assert sorted(p.name for p in library.corpus.iterdir()) == ["a0.md", "a1.md", "a2.md", "good.md"]


@pytest.mark.skipif(os.name == "nt", reason="no such name there")
def test_add_makes_a_name_safe_before_it_says_the_kind(library: Library) -> None:
    assert library.add([brought(library, "空格.md ", "名字末尾有空格。")]).added == ("空格",)
    assert (library.corpus / "空格.md").exists()


def test_add_of_nothing_readable_leaves_all_as_it_was(library: Library) -> None:
    served = current(library.index)
    with pytest.raises(InputError, match=r"空.*没有改动"):
        library.add([brought(library, "bad.md", "")])
    with pytest.raises(InputError, match="找不到"):
        library.add([library.corpus / "none.md"])
    assert current(library.index) == served
    assert sorted(p.name for p in library.corpus.iterdir()) == ["a0.md", "a1.md", "a2.md"]


def test_add_of_a_file_that_lies_there(library: Library) -> None:
    (library.corpus / "here.md").write_text("已经在文件夹里的文章。", "utf-8")
    (library.corpus / "other.md").write_text("没有提到的文章。", "utf-8")
    assert library.add([library.corpus / "here.md"]).added == ("here",)
    assert [Path(p).name for p in library.status().new] == ["other.md"]


def test_add_makes_the_first_index(tmp_path: Path) -> None:
    fresh = Library(tmp_path / "corpus", tmp_path / "index")
    one = tmp_path / "one.md"
    one.write_text("第一篇文章。", "utf-8")
    assert fresh.add([one]).added == ("one",)
    assert fresh.verify() == []


def test_add_beside_other_folders_keeps_them(tmp_path: Path, library: Library) -> None:
    """An index of several folders goes on having them; the corpus joins them."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "n.md").write_text("笔记。", "utf-8")
    other = Library(tmp_path / "inbox", tmp_path / "index2")
    other.build([notes, library.corpus])
    other.add([brought(library, "x.md", "新来的。")])
    assert other.build().removed == ()
    assert ids(other) == ["a0", "a1", "a2", "n", "x"]
    assert other.build([notes]).removed == ("a0", "a1", "a2", "x")


@pytest.mark.parametrize("call", ["hardlink_to", "write", "unlink"])
@pytest.mark.parametrize("links", [True, False])
def test_ctrl_c_right_after_a_copy_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, call: str, links: bool
) -> None:
    """After the copy is written, after it appears under its name, and after its hidden name is gone."""
    from askai import intake

    new = brought(library, "new.md", "新来的文章。")

    def then_interrupted(original: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **kwargs: Any) -> Any:
            original(*args, **kwargs)
            raise KeyboardInterrupt

        return done

    def no_links(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        if not links:
            patch.setattr(Path, "hardlink_to", no_links)
        if call == "write":
            patch.setattr(intake, "_write", then_interrupted(intake._write))
        else:
            name = call if links or call == "unlink" else "replace"
            patch.setattr(Path, name, then_interrupted(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            library.add([new])
    assert sorted(p.name for p in library.corpus.iterdir()) == ["a0.md", "a1.md", "a2.md"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_corpus_that_is_a_link_to_a_folder(library: Library, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(library.corpus)
    linked = Library(link, tmp_path / "index2")
    linked.build()
    assert linked.add([brought(library, "new.md", "新来的文章。")]).added == ("new",)
    assert linked.status().new == linked.status().gone == ()
    assert linked.add([link / "a0.md"]).added == ()
    assert linked.remove(["new", "a0"]).removed == ("a0", "new")
    assert linked.undo().added == ("a0", "new")
    assert Library(library.corpus, linked.index).build().generation == current(linked.index)


def test_add_of_a_folder_that_holds_the_index_leaves_that_out(library: Library) -> None:
    brought(library, "new.md", "新来的文章。")
    report = library.add([library.corpus.parent])
    assert (report.added, report.failures) == ((f"{library.corpus.parent.name}/brought/new",), ())
    assert library.status().new == ()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_what_a_build_would_not_read_where_it_lies_is_copied(library: Library) -> None:
    """Hidden files, what is in the trash, links: the next build would drop them again."""
    (library.corpus / ".hidden.md").write_text("隐藏的文章。", "utf-8")
    (library.corpus / "link.md").symlink_to(brought(library, "there.md", "别处的文章。"))
    library.remove(["a0"])
    (thrown,) = library.corpus.glob(".trash/*/0.md")
    report = library.add([library.corpus / ".hidden.md", library.corpus / "link.md", thrown])
    assert report.added == ("0", "hidden", "link-2")
    assert library.build().generation == report.generation


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_add_does_not_write_through_a_link(library: Library, tmp_path: Path) -> None:
    """A build does not follow links below a folder, so copies behind one would be dropped again."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (library.corpus / "brought").symlink_to(outside)
    file = brought(library, "new.md", "新来的文章。")
    (file.parent / "sub").mkdir()
    (file.parent / "sub" / "deep.md").write_text("深一层。", "utf-8")
    report = library.add([file.parent, brought(library, "good.md", "好文章。")])
    assert report.added == ("good",)
    assert len(report.failures) == 3
    assert all("是链接" in failure.reason for failure in report.failures)
    assert not list(outside.iterdir())
    assert library.build().generation == report.generation


# --- ids --------------------------------------------------------------------------------------------


def test_ids_are_stable(library: Library) -> None:
    """A file keeps its id, whatever comes beside it, and however the index is built."""
    (library.corpus / "a0.txt").write_text("后来的，名字只差后缀。", "utf-8")
    (library.corpus / "a").mkdir()
    library.build()
    assert ids(library) == ["a0", "a0.txt", "a1", "a2"]
    (library.corpus / "a0.MD").write_text("再来的。", "utf-8")
    for full in (False, True):
        library.build(full=full)
        articles = load(library.index).articles
        assert articles["a0"].path.endswith("a0.md")
        assert articles["a0.txt"].path.endswith("a0.txt")
    (library.corpus / "a0.md").unlink()
    library.build()
    assert "a0" not in ids(library), "the others do not move up"
    (library.corpus / "a0.md").write_text(TEXTS[0], "utf-8")
    library.build()
    assert load(library.index).articles["a0"].path.endswith("a0.md")


def test_a_file_under_two_roots_is_one_article(library: Library) -> None:
    report = library.build([library.corpus, library.corpus / "a0.md", library.corpus / ".." / "corpus"])
    assert report.articles == 3
    assert ids(library) == ["a0", "a1", "a2"]


def test_a_file_of_several_articles(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the readers of archives and JSON Lines give them: each line an article here."""
    from askai import updating
    from askai.corpus import parse
    from askai.formats.contents import Contents
    from askai.types import Failure

    def by_line(data: bytes, id: str, path: str) -> Contents:
        lines = data.decode("utf-8").splitlines()
        return Contents(
            tuple(parse(line, id=f"{id}#{n}", path=f"{path}#{n}", stem=id) for n, line in enumerate(lines)),
            (Failure(f"{path}#9", "有一部分读不了。"),),
        )

    monkeypatch.setattr(updating, "read_data", by_line)
    many = library.corpus / "many.txt"
    many.write_text("第一座灯塔。\n第二座灯塔。\n第三座灯塔。", "utf-8")
    assert library.build().added == ("many#0", "many#1", "many#2")
    segments = {s.name for s in load(library.index).segments}
    many.write_text("第一座灯塔。\n第二座灯塔，改过。\n", "utf-8")
    report = library.build()
    assert (report.added, report.changed, report.removed) == ((), ("many#1",), ("many#2",))
    assert report.reused_vectors == report.passages - 1
    assert segments
    assert [f.path for f in library.status().failed if "many" in f.path]
    assert library.build().generation == report.generation, "a part that fails is no reason to read again"
    with pytest.raises(InputError, match=r"同一个文件 .*many\.txt"):
        library.remove(["many#0"])
    assert library.remove([str(many)]).removed == ("many#0", "many#1")
    assert library.verify() == []


def test_an_archive_comes_changes_and_goes(library: Library) -> None:
    """Members that stay the same are not read into another segment; broken ones are named, not retried."""

    def archive(**members: bytes) -> Path:
        path = brought(library, "旧报.zip", "")
        with zipfile.ZipFile(path, "w") as out:
            for name, data in members.items():
                out.writestr(f"{name}.md", data)
        return path

    path = archive(one="第一座灯塔。".encode(), two="第二座灯塔。".encode(), bad=b"")
    report = library.add([path])
    assert report.added == ("旧报.zip/one", "旧报.zip/two")
    assert [f.path.rsplit("/", 1)[1] for f in report.failures] == ["bad.md"]
    shutil.copy(archive(one="第一座灯塔。".encode(), two="第二座灯塔，改过。".encode(), three="第三座。".encode()), library.corpus)
    report = library.build()
    assert (report.added, report.changed, report.removed) == (("旧报.zip/three",), ("旧报.zip/two",), ())
    assert report.failures == ()
    assert library.verify() == []
    with pytest.raises(InputError, match="同一个文件"):
        library.remove(["旧报.zip/one"])
    assert len(library.remove([str(library.corpus / "旧报.zip")]).removed) == 3
    assert len(library.undo().added) == 3


# --- removing ---------------------------------------------------------------------------------------


def test_remove_and_undo(library: Library) -> None:
    reader = Assistant.open(library.index)
    assert any(c.article_id == "a1" for c in reader.ask("白石灯塔是谁修建的？").citations)
    report = library.remove(["a1"])
    assert (report.removed, report.articles) == (("a1",), 2)
    answer = reader.ask("白石灯塔是谁修建的？", top_k=20)
    assert all(c.article_id != "a1" for c in answer.citations)
    assert not (library.corpus / "a1.md").exists()
    assert library.status().new == library.status().gone == ()
    back = library.undo()
    assert back.added == ("a1",)
    assert (library.corpus / "a1.md").read_text("utf-8") == TEXTS[1]
    assert any(c.article_id == "a1" for c in reader.ask("白石灯塔是谁修建的？").citations)
    assert not (library.corpus / ".trash").exists()
    with pytest.raises(InputError, match="没有可以撤销的移除"):
        library.undo()


def test_removals_are_undone_last_first(library: Library) -> None:
    library.remove(["a0"])
    library.remove([str(library.corpus / "a1.md"), "a2"])
    (library.corpus / "a2.md").write_text("占了位置的文章。", "utf-8")
    library.build()
    assert ids(library) == ["a2"]
    assert library.undo().added == ("a1", "a2-2")
    assert library.undo().added == ("a0",)
    assert (library.corpus / "a2.md").read_text("utf-8") == "占了位置的文章。"
    assert library.verify() == []


def test_remove_by_title_path_and_key(library: Library) -> None:
    assert library.remove(["打印机"]).removed == ("a0",)
    assert library.remove([(library.corpus / "a1.md").as_posix()]).removed == ("a1",)
    for name in ("none", "长" * 300):
        with pytest.raises(InputError, match="没有这篇文章"):
            library.remove(["a2", name])
    assert (library.corpus / "a2.md").exists()
    for name in ("x", "y"):
        (library.corpus / f"{name}.md").write_text("# 同题\n\n文章。", "utf-8")
    library.build()
    with pytest.raises(InputError, match=r"有 2 篇文章.*编号"):
        library.remove(["同题"])


def test_undo_where_the_folder_has_become_a_file_says_so(library: Library) -> None:
    (library.corpus / "sub" / "deep").mkdir(parents=True)
    (library.corpus / "sub" / "deep" / "b.md").write_text("深一层。", "utf-8")
    library.build()
    library.remove(["sub/deep/b"])
    shutil.rmtree(library.corpus / "sub")
    (library.corpus / "sub").write_text("占了位置。", "utf-8")
    with pytest.raises(AskaiError, match=r"sub/deep/b\.md 放不回去.*sub 不是文件夹.*再撤销"):
        library.undo()
    (library.corpus / "sub").unlink()
    assert library.undo().added == ("sub/deep/b",)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_that_was_built_by_name_comes_back(library: Library) -> None:
    link = library.corpus / "link.md"
    brought(library, "there.md", "别处的文章。")
    link.symlink_to("../brought/there.md")
    library.build([library.corpus, link])
    library.remove(["link"])
    assert not link.is_symlink()
    assert library.undo().added == ("link",)
    assert link.read_text("utf-8") == "别处的文章。"


def test_what_lies_elsewhere_is_not_moved(library: Library, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "n.md").write_text("笔记。", "utf-8")
    library.build([library.corpus, notes])
    with pytest.raises(InputError, match="不在文章文件夹"):
        library.remove(["n"])
    assert (notes / "n.md").exists()
    assert "n" in ids(library)


def test_a_note_in_the_trash_cannot_lead_outside(library: Library) -> None:
    home = library.corpus / ".trash" / "20260101-000000-000000"
    home.mkdir(parents=True)
    (home / "0.md").write_text("x", "utf-8")
    for place, name in (("../outside.md", "0.md"), ("/tmp/outside.md", "0.md"), ("in.md", "../../a0.md")):
        (home / "removed.json").write_text(f'[["{place}", "{name}", {{"x": "x"}}]]', "utf-8")
        with pytest.raises(InputError, match="没有可以撤销"):
            library.undo()
    assert (library.corpus / "a0.md").exists()


@pytest.mark.parametrize("last", [False, True])
def test_removal_killed_half_way_is_mended(library: Library, last: bool) -> None:
    """The file lies in the trash, the index still has it: the next build follows, and undo works."""
    from askai import trash

    chosen = ["a0", "a1", "a2"] if last else ["a1"]
    with pytest.raises(KeyboardInterrupt), trash.thrown(library.corpus, [(f"{n}.md", {f"{n}.md": n}) for n in chosen], lambda: True):
        raise KeyboardInterrupt
    assert len(library.status().gone) == len(chosen)
    assert library.build().removed == tuple(chosen)
    assert library.undo().added == tuple(chosen)


def test_a_removal_that_fails_loses_nothing(library: Library) -> None:
    """Its folder is pruned meanwhile, or its name taken: the file comes back, or stays in the trash."""
    from askai import trash

    corpus = library.corpus

    def fails(names: list[str], meanwhile: Callable[[], object]) -> None:
        with trash.thrown(corpus, [(name, {}) for name in names], lambda: False):
            meanwhile()
            raise OSError("disk full")

    (corpus / "sub").mkdir()
    (corpus / "sub" / "b.md").write_text("深一层。", "utf-8")
    with pytest.raises(OSError, match="full"):
        fails(["sub/b.md"], (corpus / "sub").rmdir)
    assert (corpus / "sub" / "b.md").read_text("utf-8") == "深一层。"
    assert not (corpus / ".trash").exists()
    with pytest.raises(OSError, match="full"):
        fails(["a0.md", "a1.md"], lambda: (corpus / "a0.md").write_text("刚写的文章。", "utf-8"))
    assert (corpus / "a0.md").read_text("utf-8") == "刚写的文章。"
    assert (corpus / "a1.md").read_text("utf-8") == TEXTS[1]
    library.undo()
    assert (corpus / "a0-2.md").read_text("utf-8") == TEXTS[0]


def test_ctrl_c_right_after_a_move_loses_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        rename(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.remove(["a1", "a2"])
    assert sorted(p.name for p in library.corpus.iterdir()) == ["a0.md", "a1.md", "a2.md"]
    library.remove(["a1"])
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.undo()
    assert not (library.corpus / "a1.md").exists()
    assert library.undo().added == ("a1",)
    assert library.status().new == library.status().gone == ()


def test_copies_of_an_addition_that_was_killed_are_taken_in_by_the_next_build(library: Library) -> None:
    (library.corpus / "copied.md").write_text("复制到一半的文章。", "utf-8")
    (library.corpus / ".incoming-1-abc").write_text("半篇", "utf-8")
    assert library.build().added == ("copied",)


# --- status, rollback, verify -----------------------------------------------------------------------


def test_status(library: Library) -> None:
    clean = library.status()
    assert (clean.new, clean.changed, clean.gone, clean.failed) == ((), (), (), ())
    assert (clean.generation, clean.kept, clean.articles) == ("gen-000001", ("gen-000001",), 3)
    (library.corpus / "a0.md").write_text("改了。", "utf-8")
    (library.corpus / "a1.md").unlink()
    (library.corpus / "a2.md").touch()
    (library.corpus / "new.md").write_text("新的。", "utf-8")
    (library.corpus / "bad.md").write_bytes(b"\0\1\2" * 99)
    found = library.status()
    names = lambda paths: sorted(Path(p).name for p in paths)  # noqa: E731
    assert (names(found.new), names(found.changed), names(found.gone)) == (["bad.md", "new.md"], ["a0.md"], ["a1.md"])
    library.build()
    found = library.status()
    assert (found.new, found.changed, found.gone, names(f.path for f in found.failed)) == ((), (), (), ["bad.md"])
    assert "不是文本文件" in found.failed[0].reason
    # A file that failed is tried again by every build, and named as changed once it is.
    (library.corpus / "bad.md").write_text("修好了。", "utf-8")
    assert names(library.status().changed) == ["bad.md"]
    assert library.build().added == ("bad",)


def test_status_without_an_index(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.md").write_text("文章。", "utf-8")
    found = Library(tmp_path / "corpus", tmp_path / "index").status()
    assert (found.generation, len(found.new)) == ("", 1)
    assert not (tmp_path / "index").exists()


def test_rollback(library: Library) -> None:
    reader = Assistant.open(library.index)
    (library.corpus / "a1.md").write_text(TEXTS[1].replace("31", "32"), "utf-8")
    library.build()
    assert "32米" in reader.article("a1").text
    assert library.rollback() == "gen-000001"
    assert "31米" in reader.article("a1").text
    with pytest.raises(InputError, match=r"没有更早.*gen-000001、gen-000002"):
        library.rollback()
    assert library.rollback("gen-000002") == "gen-000002"
    with pytest.raises(InputError, match="没有 gen-000009"):
        library.rollback("gen-000009")
    library.rollback()
    # Adding builds upon what serves; the next build follows the files again.
    library.add([brought(library, "new.md", "新的文章。")])
    assert "31米" in reader.article("a1").text
    assert library.build().changed == ("a1",)
    assert "32米" in reader.article("a1").text
    assert library.verify() == []


def test_a_generation_that_serves_is_never_pruned(library: Library) -> None:
    library.remove(["a0"])
    library.rollback("gen-000001")
    for number in range(9):
        with writing(library.index):
            pass
        assert current(library.index) == "gen-000001"
        assert load(library.index).generation == "gen-000001", number


def test_damaged_generations_are_not_gone_back_to(library: Library) -> None:
    (library.corpus / "long.md").write_text("打印机附有电源线。" * 300, "utf-8")
    library.build(full=True)
    (library.corpus / "long.md").unlink()
    library.build(full=True)
    served = current(library.index)
    library.rollback("gen-000002")
    next(p for p in files_of(library.index) if p.name == "rows.npy").write_bytes(b"")
    library.rollback(served)
    with pytest.raises(Exception, match="已损坏"):
        library.rollback("gen-000002")
    assert current(library.index) == served


def test_verify_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        Library(tmp_path, tmp_path / "index").verify()


def test_verify_sees_what_checksums_do_not(library: Library) -> None:
    """Someone who writes good checksums over bad content is still told of it."""
    import json

    import numpy as np

    from askai.generations import measured, read_manifest
    from askai.writing import SEGMENTS
    from making import republish

    manifest = read_manifest(library.index, current(library.index))
    (use,) = uses_of(manifest)
    home = library.index / SEGMENTS / use.name

    def told() -> list[str]:
        republish(library.index, segments=[use.to_dict() | {"files": measured(home)}])
        return library.verify()

    assert told() == []
    harms: dict[str, Callable[[Any], Any]] = {
        "vectors.npy": lambda a: a * np.float32(2), "passages.npy": lambda a: a + np.array([0, 1, 0, 0], a.dtype),
        "digests.npy": lambda a: a + np.uint64(1), "counts.npy": lambda a: a + np.uint16(1),
        "units.npy": lambda a: a[::-1],
    }  # fmt: skip
    for name, harm in harms.items():
        data = (home / name).read_bytes()
        np.save(home / name, harm(np.load(home / name)))
        assert told() != [], name
        (home / name).write_bytes(data)
    for name, old, new in (("articles.jsonl", "31米", "99米"), ("catalogue.json", "打印机", "扫描机")):
        data = (home / name).read_bytes()
        (home / name).write_bytes(data.replace(old.encode(), new.encode()))
        assert told() != [], name
        (home / name).write_bytes(data)
    assert told() == []
    assert json.loads((home / "catalogue.json").read_bytes())


# --- what is read again -----------------------------------------------------------------------------


def read_files(library: Library) -> tuple[list[str], list[str]]:
    """Files that a build would read: new ones and changed ones."""
    from askai.generations import Before

    before = Before.read(library.index, thoroughly=False)
    found = compare(scan([library.corpus], library.index), {s.key: s for s in before.sources})
    return [f.name for f in found.new], [f.name for f in found.changed]


def test_only_what_changed_is_read(library: Library) -> None:
    assert read_files(library) == ([], [])
    os.utime(library.corpus / "a0.md", (1, 1))
    assert read_files(library) == ([], []), "another time, the same content"
    assert library.build().generation == "gen-000001"
    stat = (library.corpus / "a1.md").stat()
    (library.corpus / "a1.md").write_text(TEXTS[1].replace("31", "13"), "utf-8")
    os.utime(library.corpus / "a1.md", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert read_files(library) == ([], ["a1.md"]), "same size and time, so young that time says nothing"
    assert library.build().changed == ("a1",)


def test_model_of_the_index_is_remembered(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    from askai import library as operations
    from making import LetterEncoder, republish

    used: list[str | None] = []
    real = operations.encoder_of

    def encoder_of(model: str | None) -> Any:
        used.append(model)
        if model == "gone":
            raise ModelError("无法加载模型 gone。")
        return LetterEncoder() if model == "letters" else real(model)

    monkeypatch.setattr(operations, "encoder_of", encoder_of)
    Library(library.corpus, library.index, "letters").build()
    assert library.add([brought(library, "n.md", "新的。")]).added == ("n",)
    assert set(used) == {"letters"}
    republish(library.index, model="gone")
    with pytest.raises(ModelError, match="--model askai-static-zh"):
        library.build()
    Library(library.corpus, library.index, "askai-static-zh").build()
    assert library.verify() == []


# --- any sequence of changes equals a full build ----------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "旧/d", "e"])
TEXT = st.lists(st.sampled_from([*WORDS, "。", "\n\n", "# "]), min_size=1, max_size=60).map("".join).filter(
    lambda text: bool(text.strip("。\n# "))
)


class Changes(RuleBasedStateMachine):
    """Files come, change, go, come back; at every step the index equals one made from nothing."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.home = Path(tempfile.mkdtemp(prefix="askai-"))
        self.library = Library(self.home / "corpus", self.home / "index")
        self.followed = True

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    @initialize()
    def begin(self) -> None:
        (self.library.corpus / "旧").mkdir(parents=True)
        (self.library.corpus / "base.md").write_text("# 大运河\n\n" + "大运河沟通五大水系。" * 80, "utf-8")
        self.library.build()
        self.reader = Assistant.open(self.library.index)

    @rule(name=NAMES, text=TEXT)
    def write(self, name: str, text: str) -> None:
        (self.library.corpus / f"{name}.md").write_text(text, "utf-8")
        self.library.build()
        self.followed = True

    @rule(name=NAMES, text=TEXT)
    def add(self, name: str, text: str) -> None:
        path = self.home / f"{Path(name).name}.md"
        path.write_text(text, "utf-8")
        self.library.add([path])

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in ids(self.library) and (self.library.corpus / f"{name}.md").exists():
            self.library.remove([name])

    @rule()
    def undo(self) -> None:
        if (self.library.corpus / ".trash").exists():
            self.library.undo()

    @rule()
    def rollback(self) -> None:
        if len(self.library.status().kept) > 1 and current(self.library.index) != self.library.status().kept[0]:
            self.library.rollback()
            self.followed = False

    @rule(name=NAMES)
    def delete_and_build(self, name: str) -> None:
        (self.library.corpus / f"{name}.md").unlink(missing_ok=True)
        self.library.build()
        self.followed = True

    @invariant()
    def equals_a_full_build(self) -> None:
        if not (self.home / "index" / "CURRENT").exists():
            return
        # The reader's own index, put together from segments that it has in memory.
        assert self.reader.generation == current(self.library.index)
        opened = self.reader._state.index
        assert_same(opened, index_of(list(opened.articles.values())))
        assert self.library.verify() == []
        if self.followed and not self.library.status().new:
            texts = {p.read_text("utf-8").lstrip("\n") for p in self.library.corpus.rglob("*.md") if ".trash" not in p.parts}
            assert {a.text.lstrip("\n") for a in opened.articles.values()} == texts


@pytest.mark.slow
def test_any_changes_equal_a_full_build() -> None:
    run_state_machine_as_test(
        Changes,
        settings=settings(
            max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@settings(max_examples=20)
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_answers_equal_those_of_a_full_build(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """One file after the other, against all of them at once: the same answers, down to the scores."""
    home = tmp_path_factory.mktemp("答")
    (home / "corpus").mkdir()
    grown, whole = Library(home / "corpus", home / "grown"), Library(home / "corpus", home / "whole")
    for number, text in enumerate(texts):
        (home / "corpus" / f"{number}.md").write_text(text, "utf-8")
        grown.build()
    whole.build()
    one, other = Assistant.open(home / "grown"), Assistant.open(home / "whole")
    assert one.manifest["corpus_digest"] == other.manifest["corpus_digest"]
    for question in ("白石灯塔建于哪一年？", "售价多少元", "GPT-5.2"):
        mine, theirs = one.ask(question).to_dict(), other.ask(question).to_dict()
        del mine["elapsed_ms"], theirs["elapsed_ms"]
        assert mine == theirs


# --- others -----------------------------------------------------------------------------------------


def test_readers_in_other_processes_pick_up_every_change(library: Library) -> None:
    script = (
        "import sys; from pathlib import Path; from askai.assistant import Assistant\n"
        "reader = Assistant.open(Path(sys.argv[1])); print('open', flush=True)\n"
        "for line in sys.stdin: print(sorted(a.id for a in reader.articles()), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, str(library.index)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as reader:  # fmt: skip
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"

        def seen() -> str:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write("?\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert seen() == "['a0', 'a1', 'a2']"
        library.add([brought(library, "new.md", "新的。")])
        assert seen() == "['a0', 'a1', 'a2', 'new']"
        library.remove(["a0", "new"])
        assert seen() == "['a1', 'a2']"
        library.rollback()
        assert seen() == "['a0', 'a1', 'a2', 'new']"
        reader.stdin.close()


def test_watching_survives_trouble(library: Library) -> None:
    """An error is told and ends nothing; a busy index is tried again."""
    import threading

    reports: list[Any] = []
    troubles: list[str] = []
    begun, stop = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=watch,
        args=(
            library, None, lambda roots: begun.set(), reports.append,
            lambda error: troubles.append(str(error)), stop,
        ),
    )  # fmt: skip
    thread.start()

    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert condition()

    try:
        until(begun.is_set)
        time.sleep(1)
        with writing(library.index):
            (library.corpus / "while-busy.md").write_text("别人正在写。", "utf-8")
            time.sleep(2)
        until(lambda: any("while-busy" in r.added for r in reports))
        kept = library.corpus.parent / "kept"
        kept.mkdir()
        for path in list(library.corpus.glob("*.md")):
            shutil.move(path, kept / path.name)
        until(lambda: any("没有可读的文章" in t for t in troubles))
        (library.corpus / "again.md").write_text("又来了。", "utf-8")
        until(lambda: any("again" in r.added for r in reports))
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.skipif(os.name == "nt", reason="a watched folder cannot be moved there")
def test_watching_goes_on_where_a_folder_or_file_is_replaced(library: Library) -> None:
    """As checkouts and synchronisation replace folders, and editors files."""
    import threading

    alone = brought(library, "alone.md", "单独的文章，初稿。")
    reports: list[Any] = []
    stop = threading.Event()
    args = (library, [library.corpus, alone], lambda _: None, reports.append, lambda _: None, stop)
    watched = threading.Thread(target=watch, args=args)
    watched.start()

    def until(told: Callable[[Any], bool]) -> None:
        deadline = time.monotonic() + 30
        while not any(map(told, reports)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any(map(told, reports))
        time.sleep(3)
        reports.clear()

    try:
        until(lambda report: "alone" in report.added)
        for number in range(3):
            brought(library, "draft", f"单独的文章，第{number}稿。" * 9).replace(alone)
            until(lambda report: "alone" in report.changed)
        for name in ("removed", "moved"):
            if name == "moved":
                library.corpus.rename(library.corpus.with_name("old"))
            else:
                shutil.rmtree(library.corpus)
            library.corpus.mkdir()
            (library.corpus / f"{name}.md").write_text("换过的文件夹。", "utf-8")
            until(lambda report, name=name: name in report.added)
            (library.corpus / f"{name}-2.md").write_text("后来的文章。", "utf-8")
            until(lambda report, name=name: f"{name}-2" in report.added)
    finally:
        stop.set()
        watched.join(20)
    assert not watched.is_alive()


def test_watching_what_is_not_there_does_not_begin(library: Library) -> None:
    told: list[Any] = []
    with pytest.raises(InputError, match="找不到 .*nowhere"):
        watch(library, [library.corpus, library.corpus / "nowhere"], told.append, told.append, told.append)
    assert told == []


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_watching_through_a_link_does_not_follow_its_own_index(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import threading

    (tmp_path / "link").symlink_to(library.corpus)
    linked = Library(tmp_path / "link", tmp_path / "link" / "index")
    building, builds, stop = Library.build, [0], threading.Event()
    reports: list[Any] = []

    def counted(self: Library, *args: Any, **kwargs: Any) -> Any:
        builds[0] += 1
        return building(self, *args, **kwargs)

    monkeypatch.setattr(Library, "build", counted)
    args = (linked, [linked.corpus], lambda _: None, reports.append, lambda _: None, stop)
    watched = threading.Thread(target=watch, args=args)
    watched.start()
    try:
        deadline = time.monotonic() + 30
        while len(reports) < 2 and time.monotonic() < deadline:
            (library.corpus / f"new-{time.monotonic_ns()}.md").write_text("新来的文章。", "utf-8")
            time.sleep(2)
        until_now = builds[0]
        time.sleep(4)
    finally:
        stop.set()
        watched.join(20)
    assert len(reports) >= 2
    assert builds[0] <= until_now + 1
