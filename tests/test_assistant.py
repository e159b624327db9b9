"""The façade: open, build, rebuild, ask, articles; errors; threads; another process that rebuilds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from askai import assistant as facade, index as store
from askai.assistant import CITATIONS, MAX_QUESTION, Assistant
from askai.encoder import load_encoder
from askai.errors import AskaiError, IndexBusy, IndexMissing, InputError, ModelError
from askai.generations import current
from askai.index import Index
from askai.responder import NOT_FOUND
from making import HOSTILE_QUESTIONS, articles, assistant_of, check, files_of, index_of, republish

TEXTS = {
    "printer": "# 示例产品 PPR-9087\n\n标准版 PPR-9087 的售价是 699 元，电池加大版的售价是 829 元。整机保修一年，打印头保修两年。\n",
    "lighthouse": "# 白石灯塔小史\n\n白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。1954年的台风毁掉了塔顶的灯室，两年后重建。\n",
    "tea": "# 茶葉怎樣保存\n\n綠茶最好放進冰箱冷藏，溫度以攝氏五度左右為宜，並且要密封避光。普洱茶不需要冷藏，放在通風乾燥的地方就可以。\n",
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "文章"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    return folder


@pytest.fixture
def index(corpus: Path, tmp_path: Path) -> Path:
    Assistant.build([corpus], tmp_path / "索引")
    return tmp_path / "索引"


@pytest.fixture(scope="module")
def ready() -> Assistant:
    return assistant_of(articles(*TEXTS.values()))


# --- open, build, rebuild ---------------------------------------------------------------------------


def test_build_reports_what_it_did(corpus: Path, tmp_path: Path) -> None:
    (corpus / "broken.md").write_bytes(b"\x00\x01\x02" * 50)
    (corpus / "picture.png").write_bytes(b"\x89PNG")
    assistant, report = Assistant.build([corpus], tmp_path / "index")
    assert report.generation == assistant.generation == "gen-000001"
    assert (report.articles, report.passages) == (3, len(TEXTS))
    assert sorted(report.added) == sorted(TEXTS)
    assert (report.changed, report.removed, report.reused_vectors) == ((), (), 0)
    assert sorted(Path(f.path).name for f in report.failures) == ["broken.md", "picture.png"]
    assert report.seconds > 0
    assert assistant.manifest["failures"] == [{"path": f.path, "reason": f.reason} for f in report.failures]


def test_rebuild_reports_what_changed(index: Path, corpus: Path) -> None:
    assistant = Assistant.open(index)
    before = assistant.generation
    (corpus / "tea.md").unlink()
    (corpus / "lighthouse.md").write_text(TEXTS["lighthouse"].replace("31", "33"), "utf-8")
    (corpus / "new.md").write_text("大运河沟通五大水系。", "utf-8")
    report = assistant.rebuild([corpus])
    assert (report.added, report.changed, report.removed) == (("new",), ("lighthouse",), ("tea",))
    assert report.reused_vectors == 1
    assert assistant.generation == report.generation != before
    assert {a.id for a in assistant.articles()} == {"printer", "lighthouse", "new"}
    assert "33米" in assistant.article("lighthouse").text


def test_nothing_changed(index: Path, corpus: Path) -> None:
    report = Assistant.open(index).rebuild([corpus])
    assert (report.added, report.changed, report.removed) == ((), (), ())
    assert report.reused_vectors == report.passages


def test_changed_title_is_a_change_and_another_folder_is_not(index: Path, corpus: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(corpus, tmp_path / "elsewhere"))
    assistant = Assistant.open(index)
    assert assistant.rebuild([moved]).changed == ()
    (moved / "tea.md").write_text(f"---\ntitle: 另一个标题\n---\n{TEXTS['tea']}", "utf-8")
    assert assistant.rebuild([moved]).changed == ("tea",)
    assert assistant.article("tea").title == "另一个标题"


def test_deleted_article_answers_no_more(index: Path, corpus: Path) -> None:
    assistant = Assistant.open(index)
    (corpus / "lighthouse.md").unlink()
    assistant.rebuild([corpus])
    answer = assistant.ask("白石灯塔是谁修建的？", top_k=20)
    assert all(c.article_id != "lighthouse" for c in answer.citations)
    with pytest.raises(InputError, match="lighthouse"):
        assistant.article("lighthouse")


def test_opened_equals_built(corpus: Path, tmp_path: Path) -> None:
    built, _ = Assistant.build([corpus], tmp_path / "index")
    opened = Assistant.open(tmp_path / "index")
    assert opened.articles() == built.articles()
    for question in ("标准版多少钱？", "綠茶怎麼保存", "灯塔有多高？", "今天天气"):
        mine, theirs = built.ask(question).to_dict(), opened.ask(question).to_dict()
        del mine["elapsed_ms"], theirs["elapsed_ms"]
        assert mine == theirs


def test_open_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing, match="askai build"):
        Assistant.open(tmp_path / "none")


def test_build_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "none", tmp_path / "empty", tmp_path):
        with pytest.raises(InputError):
            Assistant.build([root], tmp_path / "index")
    with pytest.raises(IndexMissing):
        Assistant.open(tmp_path / "index")


def test_index_below_the_articles_is_not_read(corpus: Path) -> None:
    """As with ``askai build .``: no file of the index is an article, nor one that failed."""
    for _ in range(2):
        assistant, report = Assistant.build([corpus], corpus / "index")
        (corpus / "index" / "README.md").write_text("关于这个文件夹。", "utf-8")
        assert report.failures == ()
        assert {a.id for a in assistant.articles()} == set(TEXTS)


def test_failed_rebuild_leaves_the_answers(index: Path, corpus: Path) -> None:
    assistant = Assistant.open(index)
    for path in corpus.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="原来的索引没有改动"):
        assistant.rebuild([corpus])
    with pytest.raises(InputError, match="找不到"):
        assistant.rebuild([corpus / "none"])
    assert assistant.generation == "gen-000001"
    assert assistant.ask("灯塔有多高？").citations
    assert len(Assistant.open(index).articles()) == 3


def test_rebuild_needs_a_folder(ready: Assistant, corpus: Path) -> None:
    with pytest.raises(InputError, match=r"Assistant\.open"):
        ready.rebuild([corpus])


def test_damaged_index_is_mended_by_a_build(index: Path, corpus: Path) -> None:
    for path in files_of(index):
        if path.suffix == ".npy":
            path.write_bytes(b"")
    with pytest.raises(AskaiError, match=f"askai build --index {index}"):
        Assistant.open(index)
    assistant, report = Assistant.build([corpus], index)
    assert report.reused_vectors == 0
    assert assistant.ask("灯塔有多高？").citations


# --- asking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["", " ", "\n\t\u3000", "\0", "\x01\x02\x1b", "\x7f\x80\x9f\r\n"])
def test_empty_questions(ready: Assistant, question: str) -> None:
    with pytest.raises(InputError, match="问题是空的"):
        ready.ask(question)


def test_long_questions(ready: Assistant) -> None:
    with pytest.raises(InputError, match=f"{MAX_QUESTION + 1} 个字"):
        ready.ask("灯" * (MAX_QUESTION + 1))
    assert ready.ask("灯" * MAX_QUESTION).question == "灯" * MAX_QUESTION
    # White space at the ends is not counted.
    assert ready.ask(f"  {'灯' * MAX_QUESTION}\n").question == "灯" * MAX_QUESTION


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("灯塔\x00有\x1b多高？", "灯塔 有 多高？"),
        ("灯塔\n有多高？\r\n", "灯塔 有多高？"),
        ("灯塔\u3000有多高", "灯塔 有多高"),
        ("灯塔\ud800有多高", "灯塔?有多高"),
    ],
)
def test_control_characters(ready: Assistant, question: str, asked: str) -> None:
    answer = ready.ask(question)
    assert answer.question == asked
    assert answer.question.encode("utf-8")


@pytest.mark.parametrize("question", [q for q in HOSTILE_QUESTIONS if q.strip()])
def test_answers_can_be_written_out(ready: Assistant, question: str) -> None:
    import json

    json.dumps(ready.ask(question).to_dict(), ensure_ascii=False, allow_nan=False).encode("utf-8")


@pytest.mark.parametrize("k", [1, 2, 3, 100])
def test_top_k(ready: Assistant, k: int) -> None:
    assert len(ready.ask("售价多少元？建于哪一年？", top_k=k).citations) <= k
    assert len(ready.ask("售价多少元？建于哪一年？").citations) <= CITATIONS
    assert len(ready.ask("售价多少元？", top_k=1).citations) == 1


@pytest.mark.parametrize("k", [0, -1])
def test_top_k_below_one(ready: Assistant, k: int) -> None:
    with pytest.raises(InputError, match="至少为 1"):
        ready.ask("灯塔有多高？", top_k=k)


def test_answer_as_json(ready: Assistant) -> None:
    given = ready.ask("标准版 PPR-9087 多少钱？").to_dict()
    assert list(given) == [
        "question", "understood_as", "status", "answer", "confidence", "citations", "elapsed_ms",
    ]  # fmt: skip
    assert list(given["citations"][0]) == [
        "number", "article_id", "title", "path", "start", "end", "quote", "span", "score", "page",
    ]  # fmt: skip
    assert given["elapsed_ms"] > 0
    span = given["citations"][0]["span"]
    assert span is None or list(span) == ["start", "end", "text"]


def test_asking_again_gives_the_same(ready: Assistant) -> None:
    first = ready.ask("灯塔是谁修建的？")
    again = ready.ask("灯塔是谁修建的？")
    assert (again.answer, again.citations, again.confidence) == (first.answer, first.citations, first.confidence)


def test_empty_index_declines() -> None:
    answer = assistant_of([]).ask("灯塔有多高？")
    assert (answer.status, answer.citations, answer.confidence) == ("not_found", (), 0.0)
    assert answer.answer == NOT_FOUND


def test_conversation_is_understood_from_the_turns_before(ready: Assistant) -> None:
    first = ready.ask("白石灯塔是谁修建的？")
    second = ready.ask("那普洱茶呢？", [first])
    assert second.question == "那普洱茶呢？"
    assert "普洱茶" in second.understood_as
    assert second.understood_as != second.question
    assert ready.ask("PPR-9087 的标准版多少钱？", [first]).understood_as == "PPR-9087 的标准版多少钱？"


def test_follow_up_never_grows_past_the_limit(ready: Assistant) -> None:
    first = ready.ask("灯塔" * 400)
    assert len(ready.ask(f"它{'很' * 900}高吗", [first]).understood_as) <= MAX_QUESTION


def test_talk_is_answered_without_citations(ready: Assistant) -> None:
    for question in ("你好", "谢谢！", "再见", "你能做什么？", "有哪些文章？"):
        answer = ready.ask(question)
        assert (answer.status, answer.citations, answer.confidence) == ("answered", (), 1.0)
        assert answer.answer
    listed = ready.ask("有哪些文章？").answer
    assert all(f"《{a.title}》" in listed for a in ready.articles())


# --- summaries, articles ----------------------------------------------------------------------------


def test_summary(index: Path) -> None:
    assistant = Assistant.open(index)
    texts = {a.id: assistant.article(a.id).text for a in assistant.articles()}
    for question in ("总结一下《白石灯塔小史》", "《白石灯塔小史》讲了什么？", "概括灯塔这篇文章", "總結一下《白石燈塔小史》"):
        answer = assistant.ask(question)
        assert answer.status == "answered"
        assert {c.article_id for c in answer.citations} == {"lighthouse"}
        assert all(f"{c.quote} [{c.number}]" in answer.answer for c in answer.citations)
        check(answer, texts)
        starts = [c.start for c in answer.citations]
        assert starts == sorted(starts)


def test_summary_of_an_article_that_is_not_there_is_a_question(index: Path) -> None:
    answer = Assistant.open(index).ask("总结一下《没有这一篇》")
    assert not answer.answer.startswith("《")


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("The lighthouse was built in 1887. It is 31 metres high.", True),
        ("| 名称 | 数量 |\n|---|---|\n| 苹果 | 30 |\n", True),
        ("短。", True),
        ("打印头每周清洁一次，可以防止堵塞和断线。" * 20, True),
        ("。。。！！！", False),
    ],
)
def test_summary_of_odd_articles(text: str, cites: bool) -> None:
    """Never a summary of nothing: what has no prose is cited as it is, what has no words is no summary."""
    chosen = articles(text)
    answer = assistant_of(chosen).ask("总结一下《样文0》")
    check(answer, {a.id: a.text for a in chosen})
    assert answer.answer.startswith("《样文0》摘要") == cites
    assert bool(answer.citations) or not cites


def test_articles(index: Path) -> None:
    found = Assistant.open(index).articles()
    assert [a.id for a in found] == sorted(TEXTS)
    printer = next(a for a in found if a.id == "printer")
    assert printer.title == "示例产品 PPR-9087"
    assert printer.path.endswith("文章/printer.md")
    assert printer.characters == len(TEXTS["printer"])
    assert printer.passages == 1


def test_article_by_id_path_title(index: Path) -> None:
    assistant = Assistant.open(index)
    expected = assistant.article("tea")
    assert expected.text == TEXTS["tea"]
    for key in (expected.path, "茶葉怎樣保存", "茶叶怎样保存", "tea.md", "茶葉", "茶叶"):
        assert assistant.article(key) == expected, key
    assert assistant.article("ppr-9087").id == "printer"


@pytest.mark.parametrize("key", ["", "没有这一篇", "../corpus/tea.md", "/etc/passwd", "\0", "*", "\ud800"])
def test_article_that_is_not_there(ready: Assistant, key: str) -> None:
    with pytest.raises(InputError, match="没有这篇文章"):
        ready.article(key)


# --- threads ----------------------------------------------------------------------------------------


def in_threads(n: int, work: Callable[[int], None], until: Callable[[], None]) -> None:
    """Run ``work`` over and over in ``n`` threads while ``until`` runs; the first error is raised here."""
    errors: list[BaseException] = []
    over = threading.Event()

    def loop(number: int) -> None:
        while not over.is_set() and not errors:
            try:
                work(number)
            except BaseException as error:  # raised again in the test's own thread
                errors.append(error)

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(n)]
    for thread in threads:
        thread.start()
    try:
        until()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def test_asking_in_threads_while_rebuilding(index: Path, corpus: Path) -> None:
    """Answers come from one generation or the next, never from a mixture, and none fails."""
    assistant = Assistant.open(index)
    seen: set[str] = set()
    asked = [0]

    def work(number: int) -> None:
        question = ("白石灯塔有多高？", "标准版多少钱？", "綠茶怎麼保存？", "有哪些文章？", "总结一下《白石灯塔小史》")[number % 5]
        answer = assistant.ask(question)
        seen.add(assistant.generation)
        asked[0] += 1
        for c in answer.citations:
            heights = [h for h in range(31, 37) if f"塔高{h}米" in c.quote]
            assert c.article_id != "lighthouse" or "塔高" not in c.quote or len(heights) == 1
        assert assistant.article("lighthouse").title == "白石灯塔小史"

    def rebuild() -> None:
        for height in range(32, 37):
            (corpus / "lighthouse.md").write_text(TEXTS["lighthouse"].replace("31", str(height)), "utf-8")
            report = assistant.rebuild([corpus])
            assert assistant.generation == report.generation
            assert f"塔高{height}米" in assistant.article("lighthouse").text
            before = asked[0]
            deadline = time.monotonic() + 20
            while asked[0] < before + 8 and time.monotonic() < deadline:
                time.sleep(0.01)

    in_threads(8, work, rebuild)
    assert seen >= {f"gen-{n:06d}" for n in range(2, 7)}
    assert asked[0] >= 40


def test_hits_are_read_in_the_index_that_they_came_from(index: Path, corpus: Path) -> None:
    """Between retrieving and reading another process may take an article away."""
    assistant = Assistant.open(index)
    hits = assistant.retrieve("白石灯塔是谁修建的？")
    assert any(hit.passage.article_id == "lighthouse" for hit in hits)
    (corpus / "lighthouse.md").unlink()
    assistant.rebuild([corpus])
    assert len(assistant.read("白石灯塔是谁修建的？", hits)) == len(hits)
    (corpus / "new.md").write_text("新来的。", "utf-8")
    assistant.rebuild([corpus])
    with pytest.raises(InputError, match="重新检索"):
        assistant.read("白石灯塔是谁修建的？", hits)
    assert assistant.read("新来的？", assistant.retrieve("新来的？"))


def test_a_long_load_keeps_nobody_waiting(
    index: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question loads the new generation; others are answered from the one before meanwhile."""
    assistant = Assistant.open(index)
    begun, released = threading.Event(), threading.Event()
    load = store.load

    def slow(*given: Any) -> Index:
        begun.set()
        assert released.wait(30)
        return load(*given)

    build_elsewhere(corpus_with(corpus, "new.md", "大运河沟通五大水系。"), index)
    monkeypatch.setattr(store, "load", slow)
    loader = threading.Thread(target=lambda: assistant.generation)
    loader.start()
    assert begun.wait(30)
    time.sleep(facade.PATIENCE_SECONDS)
    asked = time.perf_counter()
    assert assistant.ask("灯塔有多高？").citations
    assert assistant.generation == "gen-000001"
    assert time.perf_counter() - asked < 5
    released.set()
    loader.join()
    assert assistant.generation == "gen-000002"


def corpus_with(corpus: Path, name: str, text: str) -> Path:
    (corpus / name).write_text(text, "utf-8")
    return corpus


def test_two_assistants_cannot_write_at_once(index: Path, corpus: Path) -> None:
    one, other = Assistant.open(index), Assistant.open(index)
    outcomes: list[str] = []

    def rebuild(assistant: Assistant) -> None:
        try:
            assistant.rebuild([corpus])
            outcomes.append("built")
        except IndexBusy:
            outcomes.append("busy")

    for _ in range(3):
        threads = [threading.Thread(target=rebuild, args=(a,)) for a in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(outcomes) == 6
    assert outcomes.count("built") >= 3
    assert one.generation == other.generation == current(index)


# --- other processes --------------------------------------------------------------------------------


def build_elsewhere(corpus: Path, index: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from askai.assistant import Assistant\n"
        "Assistant.build([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(corpus), str(index)], check=True, timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_generation_of_another_process_is_picked_up(index: Path, corpus: Path) -> None:
    assistant = Assistant.open(index)
    assert assistant.generation == "gen-000001"
    (corpus / "new.md").write_text("# 大运河\n\n大运河沟通海河、黄河、淮河、长江、钱塘江五大水系。\n", "utf-8")
    build_elsewhere(corpus, index)
    answer = assistant.ask("大运河沟通哪五大水系？", top_k=9)
    assert any(c.article_id == "new" for c in answer.citations)
    assert assistant.generation == "gen-000002"
    assert assistant.article("new").title == "大运河"


def save_bad(index: Path, kind: str) -> None:
    """Make a generation current that cannot be used."""
    if kind == "missing":
        (index / "CURRENT").write_text("gen-000009", "utf-8")
    elif kind == "garbage":
        (index / "CURRENT").write_bytes(b"\xff\xff")
    elif kind == "none":
        (index / "CURRENT").unlink()
    else:
        name = republish(index, **({"encoder": "another:model"} if kind == "foreign" else {}))
        if kind == "damaged":
            (index / name / "sources.json").write_text("", "utf-8")


@pytest.mark.parametrize("kind", ["missing", "garbage", "none", "foreign", "damaged"])
def test_bad_generation_does_not_stop_an_open_assistant(
    index: Path, corpus: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = Assistant.open(index)
    save_bad(index, kind)
    loads = [0]
    load = store.load

    def counted(*given: Any) -> Index:
        loads[0] += 1
        return load(*given)

    monkeypatch.setattr(store, "load", counted)
    for _ in range(5):
        assert assistant.ask("灯塔有多高？").citations
        assert assistant.generation == "gen-000001"
    # A bad generation is not read anew for every question.
    assert loads[0] <= 1
    with pytest.raises(AskaiError):
        Assistant.open(index)
    # The next good one is taken up.
    report = assistant.rebuild([corpus])
    assert assistant.generation == report.generation == current(index)
    assert Assistant.open(index).generation == report.generation


def test_bad_generation_is_tried_again_later(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be whole after all: a file that could not be opened for a moment, a copy under way."""
    assistant = Assistant.open(index)
    name = republish(index)
    file = index / name / "sources.json"
    data = file.read_bytes()
    file.write_bytes(b"")
    assert assistant.generation == "gen-000001"
    file.write_bytes(data)
    monkeypatch.setattr(facade, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(assistant, "_refused", (name, 0.0))
    assert assistant.generation == name
    assert len(assistant.articles()) == 3


def test_parts_can_be_handed_in() -> None:
    """A reader of one's own: here one that finds the first four characters of every passage."""
    from askai.assistant import default_calibration
    from askai.types import Article, Hit, Reading, Span

    class First:
        def read(self, question: str, hits: list[Hit], known: dict[str, Article]) -> list[Reading]:
            found = []
            for hit in hits:
                text, start = known[hit.passage.article_id].text, hit.passage.start
                found.append(Reading(hit, ((Span(start, start + 4, text[start : start + 4]), 5.0),), 5.0))
            return found

    chosen = articles("白石灯塔高31米。")
    asked = Assistant(index_of(chosen), load_encoder(), First(), default_calibration())  # type: ignore[arg-type]
    (cited,) = asked.ask("什么塔？").citations
    assert cited.quote == "白石灯塔高31米。"


def test_a_calibration_of_another_version_is_named() -> None:
    from askai.assistant import default_calibration

    with pytest.raises(ModelError, match="请重新安装 askai"):
        assistant_of(articles("白石灯塔高31米。"), replace(default_calibration(), lists=(0.0,)))
