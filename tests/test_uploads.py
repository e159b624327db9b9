"""What people bring through the page: names made safe, nothing overwritten, nothing unreadable taken."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest
from hypothesis import given, strategies as st

from askai import corpus as reading
from askai.errors import ArticleError, Cancelled, InputError
from askai.intake import NAME_BYTES, safe_name
from askai.ui import uploads
from askai.ui.guard import is_loopback
from askai.ui.page import launch, local_only
from making_files import MADE, pdf_file


@given(st.text(max_size=300), st.sampled_from([".txt", ".md", ".MD"]))
def test_any_name_becomes_one_that_every_system_takes(stem: str, suffix: str) -> None:
    name = safe_name(stem + suffix)
    assert Path(name).name == name
    assert len(name.encode()) <= NAME_BYTES - 6
    assert not set(name) & set('<>:"|?*\\/\0\n')
    assert not name.startswith(".")
    assert Path(name).suffix in reading.SUFFIXES
    assert not Path(name).stem.endswith((" ", "."))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd.txt", "passwd.txt"),
        ("/etc/cron.d/job.md", "job.md"),
        ("C:\\Windows\\system.md", "system.md"),
        ("..\\..\\x.md", "x.md"),
        ("CON.txt", "_CON.txt"),
        ("lpt1.backup.md", "_lpt1.backup.md"),
        ("报告（终稿）.md", "报告（终稿）.md"),
        ("a\u202egnp.md", "agnp.md"),
        ("...hidden.md", "hidden.md"),
        (".md", "文章.md"),
        ("字" * 200 + ".md", "字" * 81 + ".md"),
        ("e\u0301.md", "é.md"),
    ],
)
def test_names(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


@pytest.mark.parametrize("name", ["a.exe", "a.doc", "noext", "..", "", "a.md/"])
def test_other_kinds_are_refused_by_name(name: str) -> None:
    with pytest.raises(ArticleError, match="格式不支持"):
        safe_name(name)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = uploads.store(tmp_path, "a.md", "第一篇。".encode())
    assert uploads.store(tmp_path, "a.md", "第一篇。".encode()) == first
    second = uploads.store(tmp_path, "a.md", "第二篇。".encode())
    assert (first.name, second.name) == ("a.md", "a-2.md")
    assert first.read_text("utf-8") == "第一篇。"
    assert uploads.store(tmp_path, "a.md", "第二篇。".encode()) == second


def test_a_file_there_that_cannot_be_read_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads.store(tmp_path, "a.md", "文章。".encode())

    def refused(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert uploads.store(tmp_path, "a.md", "文章。".encode()).name == "a-2.md"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.md").symlink_to(outside)
    stored = uploads.store(folder, "a.md", "文章。".encode())
    assert stored.name == "a-2.md"
    assert not outside.exists()


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / "good.txt").write_text("好文章。", "utf-8")
    (sent / "gbk.txt").write_bytes("这是一篇用国标编码写的文章，也能读。".encode("gb18030"))
    (sent / "bad.txt").write_bytes(bytes(range(256)) * 9)
    (sent / "empty.md").write_bytes(b"")
    files = sorted(sent.iterdir())
    stored, failures = uploads.store_files(tmp_path / "corpus", files)
    assert sorted(p.name for p in stored) == ["gbk.txt", "good.txt"]
    assert sorted(f.path for f in failures) == ["bad.txt", "empty.md"]
    assert not any(sent.iterdir()), "the temporary copies are taken away"


def test_an_upload_is_counted_and_can_be_called_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST", 4)
    sent = tmp_path / "sent"
    sent.mkdir()
    files = [sent / f"{n}.txt" for n in range(6)]
    for file in files:
        file.write_text(f"第{file.stem}篇文章。", "utf-8")
    seen = []

    def progress(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))
        if done >= 2:
            raise Cancelled

    stored, failures = uploads.store_files(tmp_path / "corpus", files, progress)
    assert [p.name for p in stored] == ["0.txt", "1.txt"]
    assert [(f.path, "取消" in f.reason, "最多" in f.reason) for f in failures] == [
        ("2.txt", True, False), ("3.txt", True, False), ("4.txt", False, True), ("5.txt", False, True),
    ]  # fmt: skip
    assert [done for _, done, _ in seen] == [0, 1, 2, 3]
    assert not any(sent.iterdir())


def test_every_format_is_taken_and_checked_by_its_reader(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.mkdir()
    for suffix, make in MADE.items():
        (sent / f"好{suffix}").write_bytes(make())
    (sent / "坏.docx").write_bytes(MADE[".docx"]()[:2000])
    (sent / "扫描.pdf").write_bytes(pdf_file([[]]))
    (sent / "大.md").write_bytes(b"x" * (reading.MAX_BYTES + 1))
    stored, failures = uploads.store_files(tmp_path / "corpus", sorted(sent.iterdir()))
    assert {p.suffix for p in stored} == set(MADE)
    assert {f.path for f in failures} == {"坏.docx", "扫描.pdf", "大.md"}
    assert {p.name for p in (tmp_path / "corpus").iterdir()} == {f"好{suffix}" for suffix in MADE}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", "utf-8")
    with pytest.raises(InputError, match="无法写入文章文件夹"):
        uploads.store(blocked, "a.md", "文章。".encode())


@given(
    title=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40).filter(
        lambda t: t.strip()
    )
)
def test_a_pasted_title_comes_back(tmp_path_factory: pytest.TempPathFactory, title: str) -> None:
    folder = tmp_path_factory.mktemp("paste")
    stored = uploads.store_text(folder, title, "正文：有引号\"、反斜杠\\和 --- 横线。")
    article = reading.read_article(stored, stored.stem)
    assert article.title == " ".join(title.split())
    assert article.text == "正文：有引号\"、反斜杠\\和 --- 横线。\n"


def test_a_pasted_text_without_title_is_named_by_its_first_line(tmp_path: Path) -> None:
    stored = uploads.store_text(tmp_path, " ", "\n海边的灯塔\n每 12 秒闪一次。")
    assert stored.name == "海边的灯塔.md"
    with pytest.raises(InputError, match="没有正文"):
        uploads.store_text(tmp_path, "题目", " \n ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", "127.0.0.1.example.com", ""])
def test_a_host_that_others_reach_needs_a_password(host: str, tmp_path: Path) -> None:
    assert not is_loopback(host)
    with pytest.raises(InputError, match="--auth 用户:密码"):
        launch(tmp_path / "corpus", tmp_path / "index", host, 7860)
    assert not (tmp_path / "index").exists()


def test_a_port_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="端口 70000"):
        launch(tmp_path / "corpus", tmp_path / "index", "127.0.0.1", 70000)


@pytest.mark.parametrize("address", ["http://example.invalid/a.md", "HTTPS://example.invalid/a.md", "ftp://x/a.md"])
def test_an_address_in_place_of_an_upload_is_not_fetched(address: str) -> None:
    files = gr.File()
    local_only(files)
    with pytest.raises(InputError, match="不接受网址"):
        asyncio.run(files.async_move_resource_to_block_cache(address))


_LIMITS = """
from pathlib import Path
from askai.ui.desk import Desk
from askai.ui.page import build_page
for event in build_page(Desk(Path("corpus"), Path("index"))).fns.values():
    if event.name in {"ask", "ask_offered"}:
        print(event.concurrency_limit >= 4, event.concurrency_id)
"""


def test_several_people_are_answered_at_the_same_time(tmp_path: Path) -> None:
    # In a process of its own: Gradio leaves an event loop behind.
    done = subprocess.run([sys.executable, "-c", _LIMITS], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["True ask"] * 2, done.stderr
