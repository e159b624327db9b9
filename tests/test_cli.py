"""The command line as people run it: its contract, its errors in Chinese, no network, no torch."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from askai.assistant import Assistant, default_calibration, default_reader
from askai.batches import answer_lines
from askai.cli import _on_bug as on_bug, run as run_words
from askai.console import printable
from askai.encoder import load_encoder
from askai.errors import InputError
from askai.index import build_index
from askai.types import Answer, Article, Mode
from conftest import HOSTILE, ROOT, Run, clean_environment
from making import files_of

FIELDS = {
    "id", "question", "understood_as", "status", "answer", "confidence", "citations", "elapsed_ms",
}
CITATION = {"number", "article_id", "title", "path", "start", "end", "quote", "span", "score", "page"}
QUESTION = "星河三号耳机的售价是多少？"


def lines_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.decode("utf-8").splitlines()]


def in_chinese(error: bytes) -> str:
    """The reason on standard error: Chinese, and no trace of Python."""
    text = error.decode("utf-8")
    assert re.search(r"错误：.*[\u4e00-\u9fff].*。", text, re.DOTALL), text
    assert "Traceback" not in text
    return text


def check_answer(record: dict[str, Any], assistant: Assistant) -> None:
    """One object of the contract, every quote verbatim."""
    assert set(record) == FIELDS
    assert record["status"] in {"answered", "not_found"}
    assert 0 <= record["confidence"] <= 1
    assert record["elapsed_ms"] > 0
    assert [c["number"] for c in record["citations"]] == list(range(1, len(record["citations"]) + 1))
    for citation in record["citations"]:
        assert set(citation) == CITATION
        text = assistant.article(citation["article_id"]).text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        if citation["span"] is not None:
            span = citation["span"]
            assert set(span) == {"start", "end", "text"}
            assert citation["start"] <= span["start"] < span["end"] <= citation["end"]
            assert text[span["start"] : span["end"]] == span["text"]


# --- build


def test_build_reports_in_json_and_shows_progress(askai: Run, corpus_dir: Path, tmp_path: Path) -> None:
    extra = tmp_path / "更多"
    extra.mkdir()
    (extra / "空.md").touch()
    done = askai("build", corpus_dir, extra, "--index", "库", "--json")
    assert done.returncode == 0, done.stderr.decode()
    (report,) = lines_of(done.stdout)
    assert report["articles"] == 5
    assert report["passages"] >= 5
    assert len(report["added"]) == 5
    (failure,) = report["failures"]
    assert failure["path"].endswith("空.md")
    assert "空" in failure["reason"]
    assert re.search(r"读入文章 6/6", done.stderr.decode())
    again = askai("build", corpus_dir, "--index", "库", "--json")
    (second,) = lines_of(again.stdout)
    assert second["reused_vectors"] == second["passages"]
    assert second["added"] == second["changed"] == second["removed"] == []


def test_build_takes_corpus_and_index_of_the_folder(askai: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.md").write_text("# 灯塔\n灯塔高31米。", "utf-8")
    done = askai("build")
    assert done.returncode == 0, done.stderr.decode()
    assert "1 篇文章" in done.stdout.decode()
    assert lines_of(askai("ask", "灯塔多高？", "--json").stdout)[0]["citations"][0]["quote"] == "灯塔高31米。"


def test_a_build_of_nothing_readable_fails(askai: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "空.md").touch()
    done = askai("build")
    assert done.returncode == 1
    assert "空.md" in in_chinese(done.stderr)
    assert "nowhere" in in_chinese(askai("build", "nowhere").stderr)


def test_an_unknown_model_is_named_and_not_looked_for_outside(askai: Run, corpus_dir: Path) -> None:
    done = askai("build", corpus_dir, "--model", "no-such/model")
    assert done.returncode == 1
    assert "no-such/model" in in_chinese(done.stderr)


# --- add, remove, undo, status, rollback, verify, watch


@pytest.fixture
def library(askai: Run, tmp_path: Path) -> Path:
    """A folder with corpus/ and index/ in it, as people have them."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "lighthouse.md").write_text("# 白石灯塔\n\n白石灯塔高31米。", "utf-8")
    assert askai("build").returncode == 0
    return tmp_path


def quotes(askai: Run, question: str) -> str:
    return "".join(c["quote"] for c in lines_of(askai("ask", question, "--json").stdout)[0]["citations"])


def test_an_article_comes_and_goes(askai: Run, library: Path) -> None:
    (library / "大桥.txt").write_text("蓝河大桥长八百米，建于1999年。", "utf-8")
    added = askai("add", "大桥.txt", "--json")
    assert added.returncode == 0, added.stderr.decode()
    assert lines_of(added.stdout)[0]["added"] == ["大桥"]
    assert (library / "corpus" / "大桥.txt").exists()
    assert "八百米" in quotes(askai, "蓝河大桥有多长？")
    removed = askai("remove", "大桥")
    assert removed.returncode == 0
    assert "移除 1 篇" in removed.stdout.decode()
    assert not (library / "corpus" / "大桥.txt").exists()
    assert "八百米" not in quotes(askai, "蓝河大桥有多长？")
    assert askai("undo").returncode == 0
    assert "八百米" in quotes(askai, "蓝河大桥有多长？")
    again = askai("undo")
    assert again.returncode == 1
    assert "没有可以撤销的移除" in in_chinese(again.stderr)
    assert "没有这篇文章" in in_chinese(askai("remove", "不存在").stderr)
    assert "没有可以加入的文章" in in_chinese(askai("add", "index/CURRENT").stderr)


def test_status_says_what_the_index_has_not_seen(askai: Run, library: Path) -> None:
    assert "索引与文件一致" in askai("status").stdout.decode()
    (library / "corpus" / "new.md").write_text("新的文章。", "utf-8")
    (library / "corpus" / "empty.md").touch()
    askai("build")
    (library / "corpus" / "lighthouse.md").unlink()
    (library / "corpus" / "new.md").write_text("改过的文章。", "utf-8")
    (library / "corpus" / "newer.md").write_text("更新的文章。", "utf-8")
    (record,) = lines_of(askai("status", "--json").stdout)
    names = {key: [Path(p).name for p in record[key]] for key in ("new", "changed", "gone")}
    assert names == {"new": ["newer.md"], "changed": ["new.md"], "gone": ["lighthouse.md"]}
    assert [Path(f["path"]).name for f in record["failed"]] == ["empty.md"]
    assert record["kept"] == ["gen-000001", "gen-000002"]
    text = askai("status").stdout.decode()
    assert all(name in text for name in ("newer.md", "empty.md", "空", "askai rollback"))


def test_rollback_and_verify(askai: Run, library: Path) -> None:
    (library / "corpus" / "lighthouse.md").write_text("# 白石灯塔\n\n白石灯塔高99米。", "utf-8")
    askai("build")
    assert "99米" in quotes(askai, "白石灯塔有多高？")
    assert "gen-000001" in askai("rollback").stdout.decode()
    assert "31米" in quotes(askai, "白石灯塔有多高？")
    assert "没有更早" in in_chinese(askai("rollback").stderr)
    assert askai("rollback", "gen-000002").returncode == 0
    assert "完好" in askai("verify").stdout.decode()
    path = next(p for p in files_of(library / "index") if p.name == "vectors.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    bad = askai("verify", "--json")
    assert bad.returncode == 1
    assert any("vectors.npy" in problem for problem in json.loads(bad.stdout))
    assert "askai build" in in_chinese(askai("verify").stderr)
    assert askai("build").returncode == 0
    assert askai("verify").returncode == 0


def _heeds_interrupts() -> None:
    # A shell that runs the tests in the background has its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_watch_follows_the_folder(library: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "askai", "watch"], cwd=library, env=clean_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_heeds_interrupts,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert "正在守着" in process.stdout.readline().decode()
        time.sleep(1.5)
        (library / "corpus" / "bad.md").write_bytes(b"")
        (library / "corpus" / "new.md").write_text("蓝河大桥长八百米。", "utf-8")
        assert "2 篇文章" in process.stdout.readline().decode()
        assert "新增 1 篇" in process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=30)
        assert process.returncode == 0, error.decode()
        assert "已停止" in out.decode()


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_interrupted_build_changes_nothing(library: Path) -> None:
    served = (library / "index" / "CURRENT").read_text("utf-8")
    for number in range(3000):
        (library / "corpus" / f"{number}.md").write_text(f"第{number}号灯塔高{number}米。" * 20, "utf-8")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "askai", "build"], cwd=library, env=clean_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_heeds_interrupts,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        while "读入文章" not in line:
            line = process.stderr.readline().decode()
        assert "大约还要" in line
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "已取消，原来的索引没有改动" in in_chinese(error)
    assert (library / "index" / "CURRENT").read_text("utf-8") == served
    assert not list((library / "index").glob("tmp-*"))


# --- ask


def test_ask_json_is_the_contract(askai: Run, index_dir: Path, assistant: Assistant) -> None:
    done = askai("ask", QUESTION, "--index", index_dir, "--json", "--top-k", "2")
    assert done.returncode == 0, done.stderr.decode()
    (record,) = lines_of(done.stdout)
    check_answer(record, assistant)
    assert (record["id"], record["question"]) == (None, QUESTION)
    assert 1 <= len(record["citations"]) <= 2
    assert "\\u" not in done.stdout.decode(), "Chinese is written as it is"


def test_not_found_is_no_failure(askai: Run, index_dir: Path) -> None:
    done = askai("ask", "qwxzk vjpf 9931？", "--index", index_dir, "--json")
    assert done.returncode == 0
    assert lines_of(done.stdout)[0]["status"] in {"answered", "not_found"}


def test_ask_for_people_has_numbered_citations(askai: Run, index_dir: Path) -> None:
    done = askai("ask", QUESTION, "--index", index_dir)
    text = done.stdout.decode("utf-8")
    assert done.returncode == 0
    assert re.search(r"^\[1\] 《.+》", text, re.MULTILINE)
    assert "\x1b" not in text, "no colours into a pipe"
    (answer,) = lines_of(askai("ask", QUESTION, "--index", index_dir, "--json").stdout)
    assert f"把握：{answer['citations'][0]['score']:.0%}" in text
    declined = askai("ask", "珠穆朗玛峰的海拔是多少米？", "--index", index_dir, "--mode", "严格").stdout.decode("utf-8")
    assert "把握" not in declined
    assert re.search(r"^文章里有答案的可能：\d+%$", declined, re.MULTILINE)


def test_hostile_articles_cannot_steer_the_terminal(askai: Run, index_dir: Path) -> None:
    done = askai("ask", "机房的温度是多少度？", "--index", index_dir, env={"FORCE_COLOR": "1"})
    text = done.stdout.decode("utf-8")
    assert "温度" in text
    assert "\x1b[31m红色" not in text
    assert "\x07" not in text
    shown = printable(HOSTILE)
    assert len(shown) == len(HOSTILE), "or the highlight would move"
    assert shown.count("\ufffd") == sum(map(HOSTILE.count, "\x1b\x07\u202e\u202c")) == 5
    assert "👩‍👩‍👧‍👦" in shown


STEERING = "a\x1b[31mred\x1b]0;title\x07\u202e.txt"


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_hostile_names_cannot_steer_the_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    home, index = tmp_path / STEERING[:-4], f"库{STEERING}"
    home.mkdir()
    (home / STEERING).touch()
    archive = tmp_path / "corpus" / "旧报.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(STEERING, b"")

    def said(*words: str, code: int = 0) -> str:
        assert run_words(words) == code
        out, error = capfd.readouterr()
        assert not set(out + error) & set("\x1b\x07\u202e"), words
        return out + error

    assert "red" in said("build", home.name, code=1)
    assert "red" in said("build", code=1)
    (home / "good.md").write_text("好文章。", "utf-8")
    assert "red" in said("build", home.name, "corpus", "--index", index)
    assert "red" in said("status", "--index", index)
    for words in ("verify", "show red", "remove red", "rollback red", "add red", "watch red", "ask --batch red"):
        named = [STEERING if word == "red" else word for word in words.split()]
        assert "red" in said(*named, "--index", index, code=0 if words == "verify" else 1)
    assert "red" in said(STEERING, code=2)


def test_a_bug_is_shown_without_what_steers_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    on_bug(ZeroDivisionError, ZeroDivisionError(STEERING), None)
    error = capfd.readouterr().err
    assert "ZeroDivisionError" in error
    assert not set(error) & set("\x1b\x07\u202e")


def test_output_is_utf8_whatever_the_locale(askai: Run, index_dir: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = askai("ask", QUESTION, "--index", index_dir.parent / "索引", "--json", env=env)
    # Under this locale Python cannot even name the folder; from within it, everything works.
    if done.returncode:
        done = subprocess.run(
            [sys.executable, "-m", "askai", "ask", QUESTION, "--index", ".", "--json"],
            capture_output=True, cwd=index_dir, env=clean_environment() | env, timeout=120,
        )
    assert done.returncode == 0, done.stderr.decode()
    assert lines_of(done.stdout)[0]["question"] == QUESTION
    missing = askai("ask", QUESTION, env=env)
    assert missing.returncode == 1
    assert "askai build" in in_chinese(missing.stderr)


# --- ask --batch

BATCH = [
    {"id": "一", "question": QUESTION},
    {"id": 2, "question": "白石灯塔建于哪一年？"},
    {"question": "绿茶怎么保存？"},
    {"id": "turns", "turns": ["白石灯塔是谁主持修建的？", "它有多高？"]},
    {"id": None, "question": "你好"},
]


def batch(*records: Any) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def test_a_batch_is_answered_in_order(
    askai: Run, index_dir: Path, tmp_path: Path, assistant: Assistant
) -> None:
    path = tmp_path / "问题.jsonl"
    path.write_bytes("\ufeff".encode() + batch(*BATCH).replace(b"\n", b"\r\n") + b"\n  \n")
    done = askai("ask", "--batch", path, "--index", index_dir)
    assert done.returncode == 0, done.stderr.decode()
    records = lines_of(done.stdout)
    assert [r["id"] for r in records] == ["一", 2, None, "turns", None]
    assert [r["question"] for r in records] == [
        QUESTION, "白石灯塔建于哪一年？", "绿茶怎么保存？", "它有多高？", "你好",
    ]
    for record in records:
        check_answer(record, assistant)


def test_turns_are_a_conversation(index_dir: Path, assistant: Assistant) -> None:
    written: list[dict[str, Any]] = []
    answer_lines(assistant, [batch(BATCH[3])], None, Mode.BALANCED, written.append)
    first = assistant.ask("白石灯塔是谁主持修建的？")
    follow = assistant.ask("它有多高？", [first])
    assert written[0]["understood_as"] == follow.understood_as
    assert written[0]["understood_as"] != "它有多高？"
    assert written[0]["citations"] == follow.to_dict()["citations"]


BAD_LINES = [
    (b"not json\n", "JSON"),
    (b'{"id": 1}\n', "question"),
    (b'{"id": 1, "question": "x", "turns": ["x"]}\n', "question"),
    (b'{"turns": []}\n', "turns"),
    (b'{"turns": ["x", 3]}\n', "turns"),
    (b'{"question": 5}\n', "turns"),
    (b'["x"]\n', "question"),
    (b"null\n", "question"),
    (b'{"question": "\xff"}\n', "UTF-8"),
    (b'{"question": "\\ud800"}\n', "UTF-8"),
    (b'{"question": "  "}\n', "空"),
    (b'{"question": "' + "长".encode() * 3000 + b'"}\n', "上限"),
    (b"[" * 100_000 + b"\n", "JSON"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_is_named_after_those_before_it(assistant: Assistant, line: bytes, reason: str) -> None:
    written: list[dict[str, Any]] = []
    with pytest.raises(InputError, match="第 3 行") as error:
        answer_lines(assistant, [batch(BATCH[0]), b"\n", line, batch(BATCH[1])], None, Mode.BALANCED, written.append)
    assert reason in str(error.value)
    assert [r["id"] for r in written] == ["一"]


def test_a_bad_line_ends_a_batch_with_1(askai: Run, index_dir: Path) -> None:
    stdin = batch(BATCH[0], BATCH[1]) + b'{"id": 3, "question"\n' + batch(BATCH[2])
    done = askai("ask", "--batch", "-", "--index", index_dir, stdin=stdin)
    assert done.returncode == 1
    assert "第 3 行" in in_chinese(done.stderr)
    assert [r["id"] for r in lines_of(done.stdout)] == ["一", 2]
    assert "nowhere.jsonl" in in_chinese(askai("ask", "--batch", "nowhere.jsonl").stderr)


def test_each_answer_is_flushed_before_the_next_question(index_dir: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "askai", "ask", "--batch", "-", "--index", str(index_dir)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, env=clean_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for record in BATCH[:2]:
            process.stdin.write(batch(record))
            process.stdin.flush()
            # Were the answer kept back, this would wait for ever: the input stays open.
            assert json.loads(process.stdout.readline())["question"] == record["question"]
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_interrupt_and_a_reader_that_leaves_are_quiet(index_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "askai", "ask", "--batch", "-", "--index", str(index_dir)]
    options: dict[str, Any] = {"cwd": tmp_path, "env": clean_environment(), "stderr": subprocess.PIPE}
    options["preexec_fn"] = None if os.name == "nt" else _heeds_interrupts
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(batch(BATCH[0]))
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "已中断" in in_chinese(error)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        _, error = process.communicate(batch(*BATCH), timeout=60)
        assert process.returncode == 1
        assert error == b""


# --- articles, show


def test_articles_lists_every_article(askai: Run, index_dir: Path, assistant: Assistant) -> None:
    (found,) = lines_of(askai("articles", "--index", index_dir, "--json").stdout)
    assert {a["title"] for a in found} >= {"星河三号耳机的发布", "白石灯塔小史", "茶葉怎樣保存"}
    for article in found:
        assert set(article) == {"id", "title", "path", "characters", "passages"}
        assert article["characters"] == len(assistant.article(article["id"]).text)
        assert article["passages"] >= 1
    text = askai("articles", "--index", index_dir).stdout.decode()
    assert all(a["id"] in text and printable(a["title"]) in text for a in found)
    assert "共 5 篇" in text


def test_show_writes_the_text_exactly(askai: Run, index_dir: Path, assistant: Assistant) -> None:
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "FORCE_COLOR": "1"}
    done = askai("show", "hostile", "--index", index_dir, env=env)
    assert done.returncode == 0
    assert done.stdout == assistant.article("hostile").text.encode("utf-8")
    assert "\x1b[31m红色" in done.stdout.decode(), "the stored text, whatever it holds"
    assert done.stdout.decode() == HOSTILE


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 7), (3, 9), (5, None), (None, 4), (40, 10_000), (None, None)]
)
def test_show_of_a_part_is_a_slice(
    capfdbinary: pytest.CaptureFixture[bytes], index_dir: Path, assistant: Assistant,
    start: int | None, end: int | None,
) -> None:
    text = assistant.article("headphones").text
    options = [
        *([] if start is None else ["--start", str(start)]), *([] if end is None else ["--end", str(end)])
    ]
    assert run_words(["show", "星河三号耳机的发布", "--index", str(index_dir), *options]) == 0
    assert capfdbinary.readouterr().out == text[start:end].encode("utf-8")


def test_show_of_a_citation_gives_its_quote(
    capfdbinary: pytest.CaptureFixture[bytes], index_dir: Path, assistant: Assistant
) -> None:
    for citation in assistant.ask(QUESTION).citations:
        part = ["--start", str(citation.start), "--end", str(citation.end)]
        for key in (citation.article_id, citation.title, citation.path):
            assert run_words(["show", key, "--index", str(index_dir), *part]) == 0
            assert capfdbinary.readouterr().out.decode() == citation.quote


# --- chat


def test_chat_hands_its_options_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr("askai.ui.page.launch", lambda *given: calls.append(given))
    assert run_words(["chat"]) == 0
    assert run_words(
        ["chat", "--corpus", "文", "--index", "库", "--host", "0.0.0.0", "--port", "0", "--auth", "用户:a:b"]
    ) == 0
    assert calls == [
        (Path("corpus"), Path("index"), "127.0.0.1", 7860, None),
        (Path("文"), Path("库"), "0.0.0.0", 0, ("用户", "a:b")),
    ]


# --- exit codes and errors

USAGE = [
    ["frobnicate"], ["ask"], ["ask", "甲？", "乙？"], ["ask", "甲？", "--batch", "x"], ["ask", "甲？", "--top-k", "0"],
    ["ask", "甲？", "--top-k", "many"], ["ask", "甲？", "--unknown"], ["ask", "甲？", "--index"], ["show"],
    ["show", "a", "--start", "-1"], ["show", "a", "--start", "5", "--end", "4"], ["show", "a", "--end", "x"],
    ["chat", "--port", "70000"], ["chat", "--port", "http"], ["chat", "--auth", "nobody"], ["eval"],
    ["eval", "a.json", "b.json"], ["eval", "a.json", "--limit", "0"], ["articles", "extra"], ["build", "--json=1"],
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_wrong_usage_is_2_with_a_chinese_line(capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert run_words(words) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert "--help" in in_chinese(error.encode())
    assert not re.search(r"Usage|Invalid|Error|Missing|No such|Input should", error)


FAILURES = [
    ["ask", "甲？"], ["ask", ""], ["ask", "--batch", "nowhere.jsonl"], ["ask", "--batch", "."], ["articles"],
    ["show", "a"], ["build", "nowhere"], ["eval", "nowhere.json"], ["eval", "."],
]


@pytest.mark.parametrize("words", FAILURES, ids=" ".join)
def test_failures_are_1_with_the_reason_in_chinese(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_words(words) == 1
    out, error = capfd.readouterr()
    assert out == ""
    in_chinese(error.encode())


def test_failures_with_an_index(capfd: pytest.CaptureFixture[str], index_dir: Path) -> None:
    for words in (["ask", ""], ["ask", "长" * 2000], ["show", "没有这篇"], ["show", "headphones", "--start", "99999"]):
        assert run_words([*words, "--index", str(index_dir)]) == 1
        out, error = capfd.readouterr()
        assert out == ""
        in_chinese(error.encode())


def test_a_damaged_index_says_what_to_do(
    askai: Run, corpus_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "库"
    Assistant.build([corpus_dir], folder)
    articles = next(path for path in files_of(folder) if path.name == "articles.jsonl")
    articles.write_text("{}", "utf-8")
    done = askai("ask", QUESTION, "--index", folder, "--json")
    assert done.returncode == 1
    assert done.stdout == b""
    assert "askai build" in in_chinese(done.stderr)


def test_help_is_quick_and_names_every_command(askai: Run) -> None:
    begun = time.perf_counter()
    done = askai("--help")
    assert time.perf_counter() - begun < 5, "it imports nothing heavy; the bound is for a busy machine"
    assert done.returncode == 0
    for command in (
        "build", "add", "remove", "undo", "watch", "status", "rollback", "verify", "ask", "chat", "articles",
        "show", "eval",
    ):  # fmt: skip
        assert command in done.stdout.decode()
        assert askai(command, "--help").returncode == 0


def test_eval_reports_with_counts(askai: Run, tmp_path: Path) -> None:
    rows = [
        {"id": 1, "title": "灯塔", "question": "灯塔建于哪一年？", "context": "灯塔建于1887年。", "answers": ["1887年"]},
        {"id": 2, "title": "灯塔", "question": "谁画了它？", "context": "灯塔建于1887年。", "answers": []},
    ]
    (tmp_path / "set.jsonl").write_bytes(batch(*rows))
    for name, text in (("a", "绿茶要冷藏。"), ("b", "耳机售价一千元。")):
        (tmp_path / f"{name}.jsonl").write_bytes(batch({"title": name, "context": text}))
    done = askai("eval", "set.jsonl", "--distractors", "a.jsonl", "b.jsonl", "--json", "--stages")
    assert done.returncode == 0, done.stderr.decode()
    (report,) = lines_of(done.stdout)
    assert (report["questions"], report["articles"]) == (2, 3)
    assert report["retrieval"]["recall@1"] == {"value": 1.0, "count": 1, "of": 1}
    assert "评测问题 2/2" in done.stderr.decode()
    text = askai("eval", "set.jsonl", "--limit", "1").stdout.decode()
    assert "recall@1 1.000（1/1）" in text
    assert "p50" in text


# --- what must never happen

WATCHED = """
import socket, sys
outside = []
def local(address):
    host = address[0] if isinstance(address, tuple) else address
    return host in ("127.0.0.1", "::1", "localhost", None, "") or not isinstance(address, tuple)
def watch(owner, name, of):
    real = getattr(owner, name)
    def watched(*words, **options):
        if not local(of(words)):
            outside.append((name, of(words)))
            raise OSError("the network is off")
        return real(*words, **options)
    setattr(owner, name, watched)
class Socket(socket.socket):
    pass
for name in ("connect", "connect_ex"):
    watch(Socket, name, lambda words: words[1])
watch(Socket, "sendto", lambda words: words[-1])
socket.socket = Socket
watch(socket, "getaddrinfo", lambda words: (words[0],))
watch(socket, "gethostbyname", lambda words: (words[0],))
watch(socket, "create_connection", lambda words: words[0])
"""

CONTROL = WATCHED + """
import urllib.request, http.client
for attempt in (lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=1),
                lambda: http.client.HTTPConnection("example.invalid").connect(),
                lambda: socket.socket().connect(("192.0.2.1", 80)),
                lambda: socket.socket().connect_ex(("192.0.2.1", 80)),
                lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
                lambda: socket.getaddrinfo("huggingface.co", 443)):
    seen = len(outside)
    try:
        attempt()
    except OSError:
        pass
    assert len(outside) == seen + 1, outside
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
socket.create_connection(server.getsockname()).close()
print("watched")
"""

EVERYTHING = WATCHED + """
from askai.cli import run
assert run(["build", sys.argv[1], "--index", "库"]) == 0
assert run(["ask", sys.argv[2], "--index", "库", "--json"]) == 0
assert run(["ask", "总结一下《白石灯塔小史》", "--index", "库"]) == 0
assert run(["articles", "--index", "库"]) == 0
assert run(["build", sys.argv[1], "--index", "库2", "--model", "no-such/model"]) == 1
assert not outside, outside
print("nothing left")
"""


def python(code: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, encoding="utf-8", cwd=cwd,
        env=clean_environment() | {"PYTHONIOENCODING": "utf-8"}, timeout=180,
    )


def test_the_network_watch_sees_every_way_out(tmp_path: Path) -> None:
    done = python(CONTROL, cwd=tmp_path)
    assert done.stdout == "watched\n", done.stderr


def test_building_and_asking_reach_for_nothing_outside(tmp_path: Path, corpus_dir: Path) -> None:
    done = python(EVERYTHING, str(corpus_dir), QUESTION, cwd=tmp_path)
    assert done.stdout.endswith("nothing left\n"), done.stderr


HEAVY = """
import sys
from askai.cli import run
assert run(sys.argv[1:]) == 0
heavy = {"torch", "sentence_transformers", "transformers", "gradio", "pandas", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("words", [["ask", QUESTION, "--json"], ["articles"], ["show", "tea"]], ids=lambda w: w[0])
def test_heavy_libraries_are_not_imported(index_dir: Path, tmp_path: Path, words: list[str]) -> None:
    done = python(HEAVY, *words, "--index", str(index_dir), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_of_the_engine(tmp_path: Path) -> None:
    code = "import sys, askai.cli; print(sorted({'numpy', 'faiss', 'opencc', 'bm25s'} & set(sys.modules)))"
    assert python(code, cwd=tmp_path).stdout == "[]\n"


# --- every quote is verbatim

HOSTILE_PIECES = (
    "<script>alert('答案')</script>", "[链接](javascript:alert(1))", "\x1b[31m红\x1b[0m", "\u202e倒写\u202c", "零宽\u200b空格", "👩‍👩‍👧‍👦",
    "é组合", "\U00020000扩展区", "İ", "㎡", "\u2028", "\x85", "&lt;实体&gt;", "**粗体**", "| 表 | 格 |\n|---|---|\n", "```\n代码\n```\n",
    "灯塔建于1887年。", "灯塔高31米！", "售价￥1,299。", "问：灯塔在哪里？\n", "答：在海边。\n", "# 灯塔\n", "- 灯塔\n", "长" * 400,
    "灯塔是谁修的？", "“灯塔。”", "\n\n", " ", "\t", "。。。",
)
ARTICLES = st.lists(
    st.lists(st.one_of(st.sampled_from(HOSTILE_PIECES), st.text(max_size=10)), min_size=1, max_size=25)
    .map("".join),
    min_size=1, max_size=3,
)
ASKED = st.one_of(
    st.sampled_from(["灯塔建于哪一年？", "灯塔有多高？", "售价多少", "<script>", "有哪些灯塔？", "总结一下《灯塔》", "\x1b[31m"]),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["\x1b", "\0 \x7f", "\x85"]),
)


@settings(max_examples=60)
@given(ARTICLES, ASKED)
def test_every_quote_is_in_its_article_where_it_says(texts: list[str], question: str) -> None:
    articles = [Article(f"a{n}", f"灯塔{n}", f"a{n}.md", text) for n, text in enumerate(texts)]
    encoder = load_encoder()
    assistant = Assistant(
        build_index(articles, encoder), encoder, default_reader(), default_calibration()
    )
    if all(char.isspace() or unicodedata.category(char) == "Cc" for char in question):
        with pytest.raises(InputError, match="问题是空的"):
            assistant.ask(question)
        return
    answer: Answer = assistant.ask(question)
    by_id = {article.id: article for article in articles}
    shown: list[tuple[str, int, int]] = []
    for citation in answer.citations:
        text = by_id[citation.article_id].text
        assert 0 <= citation.start < citation.end <= len(text)
        assert text[citation.start : citation.end] == citation.quote
        if citation.span is not None:
            assert text[citation.span.start : citation.span.end] == citation.span.text
            assert citation.start <= citation.span.start < citation.span.end <= citation.end
        shown.append((citation.article_id, citation.start, citation.end))
    assert not [
        (one, other) for i, one in enumerate(shown) for other in shown[:i]
        if one[0] == other[0] and one[1] < other[2] and other[1] < one[2]
    ], "one sentence is never cited twice"
    json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False).encode("utf-8")


def test_hostile_text_is_cited_at_all(assistant: Assistant) -> None:
    """Or the property above would hold of nothing."""
    cited = assistant.ask("密码箱的编号是什么？", top_k=10).citations
    hostile = [c for c in cited if c.article_id == "hostile"]
    assert hostile
    assert all(HOSTILE[c.start : c.end] == c.quote for c in hostile)


def test_the_sources_name_no_network_client() -> None:
    """The engine's own code opens no connection; what the libraries do is watched above."""
    clients = re.compile(r"^\s*(?:import|from) (?:socket|http|urllib(?!\.parse)|requests|httpx|aiohttp)\b", re.MULTILINE)
    engine = [p for p in (ROOT / "src" / "askai").rglob("*.py") if "ui" not in p.parts]
    assert len(engine) > 10
    assert not [path.name for path in engine if clients.search(path.read_text("utf-8"))]
    assert socket.socket.__module__ == "socket", "the watch is confined to its process"
