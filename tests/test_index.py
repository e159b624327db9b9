"""The index directory: round trip, damage, failing writes, killed builds, two writers, reuse of vectors."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from askai import generations, index as store, library as operations
from askai.assistant import Assistant
from askai.builder import indexed_text
from askai.encoder import load_encoder
from askai.errors import (
    IndexDamaged,
    IndexMismatch,
    IndexMissing,
    UnusableIndex,
)
from askai.folding import to_fold
from askai.generations import current, uses_of
from askai.index import Index, Segment, build_index, compose, load
from askai.library import Library
from askai.passages import PARAMETERS
from askai.retrieval import retrieve
from askai.segments import article_line, read_articles, to_json
from askai.stores.faiss_store import FaissStore
from askai.text import fold, units
from askai.types import Article
from askai.writing import KEPT_GENERATIONS, SEGMENTS, writing
from making import HOSTILE_TEXTS, TEXTS, LetterEncoder, articles, assert_same, files_of, index_of, republish

POSIX = os.name == "posix"

@pytest.fixture(scope="module")
def built() -> Index:
    return index_of(articles(*TEXTS))


# --- round trip -------------------------------------------------------------------------------------


def test_round_trip(folder: Path, corpus: Path) -> None:
    opened = load(folder)
    assert opened.generation == "gen-000001"
    assert_same(opened, index_of(list(opened.articles.values())))
    assert len(opened) > 0
    for row in range(len(opened)):
        passage = opened.passage(row)
        text = opened.articles[passage.article_id].text
        assert opened.text(passage) == text[passage.start : passage.end]


def test_round_trip_of_hostile_articles(tmp_path: Path) -> None:
    """Through a segment's file and back, halves of characters, line separators and all."""
    chosen = [
        Article(f"号/{n}\u202e", f"{name}<b>\n{text[:20]}", f"路径 {n}.md", text, {"source": text[:30]}, (0, n))
        for n, (name, text) in enumerate(HOSTILE_TEXTS.items())
    ]
    chosen.append(Article("halves", "\ud83d", "x", "\ud83d\ude00 two halves \udcff are not one", {"\udc00": "\ud800"}))
    (tmp_path / "articles.jsonl").write_bytes(b"".join(map(article_line, chosen)))
    assert list(read_articles(tmp_path)) == chosen
    assert json.loads(to_json([a.text for a in chosen])) == [a.text for a in chosen]


def test_hostile_corpus_on_disk_equals_one_in_memory(tmp_path: Path) -> None:
    home = tmp_path / "corpus"
    home.mkdir()
    for n, text in enumerate(HOSTILE_TEXTS.values()):
        (home / f"{n}.txt").write_bytes(text.encode("utf-8", "replace"))
    Library(home, tmp_path / "index").build()
    opened = load(tmp_path / "index")
    assert len(opened.articles) > 20
    assert_same(opened, index_of(list(opened.articles.values())))


def test_index_of_nothing(corpus: Path, tmp_path: Path) -> None:
    library = Library(corpus, tmp_path / "index")
    library.build()
    report = library.remove([f"a{n}" for n in range(3)])
    assert (report.articles, report.passages) == (0, 0)
    opened = load(tmp_path / "index")
    assert len(opened) == 0
    assert retrieve(opened, load_encoder(), "什么？") == []
    assert library.verify() == []
    assert len(index_of([])) == 0


def test_failures_with_file_names_that_are_no_text(corpus: Path, tmp_path: Path) -> None:
    """A name of GB18030 bytes comes from the file system with surrogates: it must not stop a build."""
    name = os.fsdecode(b"\xb2\xe2\xca\xd4.pdq")
    try:
        (corpus / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    report = Library(corpus, tmp_path / "index").build()
    assert [Path(f.path).name for f in report.failures] == ["测试.pdq"]
    assert load(tmp_path / "index").manifest["failures"][0]["path"].endswith("测试.pdq")
    assert Library(corpus, tmp_path / "index").build().generation == report.generation


def test_manifest_says_how_it_was_made(folder: Path) -> None:
    manifest = json.loads((folder / current(folder) / "manifest.json").read_text("utf-8"))
    assert manifest["format"] == generations.FORMAT
    assert manifest["encoder"] == load_encoder().fingerprint
    assert manifest["passage_parameters"] == PARAMETERS
    assert manifest["segmenter"].startswith("rjieba ")
    assert manifest["articles"] == 3
    assert manifest["passages"] == len(load(folder))
    (use,) = uses_of(manifest)
    assert set(use.files) == {p.name for p in (folder / SEGMENTS / use.name).iterdir()}


def test_no_file_is_a_pickle(folder: Path) -> None:
    for path in folder.rglob("*.npy"):
        np.load(path, allow_pickle=False)
    assert not any(path.suffix in {".pkl", ".pickle"} for path in folder.rglob("*"))


def test_stray_files_do_no_harm(folder: Path) -> None:
    """What a file manager or a backup leaves behind is no damage."""
    for home in (folder, folder / current(folder), folder / SEGMENTS, next((folder / SEGMENTS).iterdir())):
        (home / ".DS_Store").write_bytes(b"\0\1")
        (home / "Thumbs.db").write_bytes(b"x")
    load(folder)
    assert Library(folder.parent / "corpus", folder).verify() == []


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
    assert Library(folder, folder).verify() != []
    return caught.value


def test_a_damaged_byte_in_every_file(folder: Path, corpus: Path) -> None:
    files = files_of(folder)
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


def test_damage_anywhere_is_mended_by_a_build(folder: Path, corpus: Path) -> None:
    """Whatever file it is in; undamaged segments are kept."""
    Library(corpus, folder).add([_extra(corpus.parent)])
    for number in range(len(files_of(folder))):
        path = files_of(folder)[number]
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        report = Library(corpus, folder).build()
        assert (report.articles, report.failures, report.removed) == (4, (), ())
        assert Library(corpus, folder).verify() == [], path.name
        assert len(load(folder).articles) == 4


def _extra(home: Path) -> Path:
    path = home / "new.md"
    path.write_text("大运河沟通五大水系。" * 3, "utf-8")
    return path


def test_any_damaged_byte_of_the_manifest(folder: Path) -> None:
    path = folder / current(folder) / "manifest.json"
    data = path.read_bytes()
    for place in range(0, len(data), 11):
        for flip in (1, 0x20, 0x80):
            damaged = bytearray(data)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(UnusableIndex):
                load(folder)


def test_every_file_missing_cut_or_emptied(folder: Path) -> None:
    for path in files_of(folder):
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
    shutil.rmtree(folder / current(folder))
    assert isinstance(refused(folder), IndexDamaged)


@pytest.mark.parametrize("content", ["[]", "null", '"x"', "1", "{}", '{"format": 2}', "[" * 100_000])
def test_manifest_of_another_shape(folder: Path, corpus: Path, content: str) -> None:
    (folder / current(folder) / "manifest.json").write_text(content, "utf-8")
    assert isinstance(refused(folder), IndexDamaged)
    assert Library(corpus, folder).build().articles == 3


@pytest.mark.parametrize("version", [0, 1, 99, "1", None])
def test_foreign_format(folder: Path, corpus: Path, version: object) -> None:
    republish(folder, format=version)
    assert isinstance(refused(folder), IndexMismatch)
    assert Library(corpus, folder).build().articles == 3
    load(folder)


def test_index_of_the_first_format_is_built_anew(tmp_path: Path, corpus: Path) -> None:
    """What a first version left behind: one generation with all in it, and no segments."""
    home = tmp_path / "old"
    (home / "gen-000003" / "lexical").mkdir(parents=True)
    (home / "gen-000003" / "manifest.json").write_text('{"format": 1, "checksums": {}}', "utf-8")
    (home / "CURRENT").write_text("gen-000003", "utf-8")
    assert isinstance(refused(home), IndexMismatch)
    assert Library(corpus, home).build().generation == "gen-000004"
    assert Library(corpus, home).verify() == []


@pytest.mark.parametrize("change", [{"passage_parameters": PARAMETERS | {"target": 500}}, {"segmenter": "jieba 1"}])
def test_other_ways_of_cutting(folder: Path, change: dict[str, Any]) -> None:
    republish(folder, **change)
    assert isinstance(refused(folder), IndexMismatch)


@pytest.mark.parametrize("change", [{"passages": 99}, {"articles": 2}, {"dimensions": 3}])
def test_counts_that_disagree(folder: Path, change: dict[str, Any]) -> None:
    republish(folder, **change)
    assert isinstance(refused(folder), IndexDamaged)


def with_encoder(monkeypatch: pytest.MonkeyPatch, encoder: LetterEncoder) -> LetterEncoder:
    monkeypatch.setattr(operations, "encoder_of", lambda model: encoder)
    return encoder


def test_another_encoder(tmp_path: Path, corpus: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_encoder(patch, LetterEncoder())
        Library(corpus, tmp_path / "index").build()
    with pytest.raises(IndexMismatch, match="letters:1") as caught:
        Assistant.open(tmp_path / "index")
    assert f"askai build --index {tmp_path}" in str(caught.value)
    report = Library(corpus, tmp_path / "index").build()
    assert (report.reused_vectors, report.added, report.changed) == (0, (), ())
    assert Assistant.open(tmp_path / "index").ask("灯塔有多高？").citations


class _Explosive:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["EXPLOSIVE"],)


@pytest.mark.parametrize("name", ["passages.npy", "digests.npy", "vectors.npy", "rows.npy"])
def test_nothing_is_unpickled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever writes the checksums too can still not make us run a pickle."""
    monkeypatch.setenv("EXPLOSIVE", str(tmp_path / "exploded"))
    manifest = generations.read_manifest(folder, current(folder))
    (use,) = uses_of(manifest)
    home = folder / SEGMENTS / use.name
    for content in (None, pickle.dumps(_Explosive())):
        if content is None:
            np.save(home / name, np.array([_Explosive()], object), allow_pickle=True)
        else:
            (home / name).write_bytes(content)
        files = generations.measured(home)
        republish(folder, segments=[use.to_dict() | {"files": files}])
        assert isinstance(refused(folder), IndexDamaged)
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
    with pytest.raises(UnusableIndex, match=f"askai build --index {folder}"):
        load(folder)
    assistant, _ = Assistant.build([corpus], folder)
    assert load(folder).generation == assistant.generation


# --- swapping ---------------------------------------------------------------------------------------


def test_generations_and_their_segments_are_pruned(folder: Path, corpus: Path) -> None:
    for number in range(KEPT_GENERATIONS + 3):
        (corpus / "new.md").write_text(f"第{number}号灯塔。", "utf-8")
        Library(corpus, folder).build()
    left = generations.generations(folder)
    assert left == [f"gen-{n:06d}" for n in range(5, 10)]
    used = {u.name for name in left for u in uses_of(generations.read_manifest(folder, name))}
    assert {p.name for p in (folder / SEGMENTS).iterdir()} == used
    assert load(folder).generation == "gen-000009"
    assert not list(folder.glob("tmp-*"))


def test_leftovers_of_others_do_no_harm(folder: Path, corpus: Path) -> None:
    (folder / "tmp-1").mkdir()
    (folder / "tmp-1" / "half").write_text("x")
    (folder / "CURRENT.new").write_text("gen-0")
    (folder / "gen-notes").mkdir()
    (folder / "gen-²").mkdir()
    (folder / "gen-000044").mkdir()
    (folder / SEGMENTS / "seg-orphan").mkdir()
    (folder / SEGMENTS / "notes").mkdir()
    (folder / "README.md").write_text("about this folder")
    (corpus / "new.md").write_text("新来的。", "utf-8")
    assert Library(corpus, folder).build().generation == "gen-000045"
    assert load(folder).generation == "gen-000045"
    assert not (folder / "tmp-1").exists()
    assert not (folder / SEGMENTS / "seg-orphan").exists()
    assert (folder / SEGMENTS / "notes").exists()
    assert (folder / "README.md").exists()


def test_segments_are_kept_while_a_generation_cannot_be_read(folder: Path, corpus: Path) -> None:
    """It might be whole after all: what it needs is not known, so nothing is thrown away."""
    (folder / "gen-000044").mkdir()
    (folder / "gen-000044" / "manifest.json").write_text("{", "utf-8")
    orphan = folder / SEGMENTS / "seg-orphan"
    orphan.mkdir()
    with writing(folder):
        pass
    assert orphan.exists()


def test_reader_outlives_its_generation(folder: Path) -> None:
    opened = load(folder)
    kept = index_of(list(opened.articles.values()))
    shutil.rmtree(folder)
    assert_same(opened, kept)


def test_generation_pruned_while_it_is_read(
    folder: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that read CURRENT before a few builds finds its generation gone, and takes the new one."""
    first = current(folder)
    for number in range(KEPT_GENERATIONS + 1):
        (corpus / "new.md").write_text(f"第{number}号灯塔。", "utf-8")
        Library(corpus, folder).build()
    names = iter([first])
    monkeypatch.setattr(store, "current", lambda home: next(names, None) or current(home))
    assert load(folder).generation == current(folder)


def test_segments_in_memory_are_not_read_again(folder: Path, corpus: Path) -> None:
    (corpus / "long.md").write_text("打印机附有电源线，灯塔没有。" * 200, "utf-8")
    Library(corpus, folder).build()
    opened = load(folder)
    (corpus / "new.md").write_text("新来的灯塔。", "utf-8")
    Library(corpus, folder).build()
    again = load(folder, opened.segments)
    assert again.segments[0] is opened.segments[0]
    assert len(again.segments) == 2
    assert_same(again, load(folder))


# --- segments ---------------------------------------------------------------------------------------


def in_segments(chosen: list[Article], cuts: list[int], removed: list[Article]) -> Index:
    """The same articles over several segments, others in between them out of force."""
    held: list[tuple[Segment, frozenset[int]]] = []
    edges = sorted({0, len(chosen), *cuts})
    for first, last in itertools.pairwise(edges):
        part = [*chosen[first:last], *removed]
        segment = build_index(part, load_encoder()).segments[0]
        places = [n for n, a in enumerate(segment.articles) if a in removed]
        held.append((segment, frozenset(places)))
    manifest = {"dimensions": load_encoder().dimensions, "encoder": load_encoder().fingerprint}
    return compose("memory", manifest, held)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 4), max_size=3), st.booleans(), st.permutations(range(5)))
def test_segments_make_one_index(cuts: list[int], with_removed: bool, order: list[int]) -> None:
    every = articles(*TEXTS, TEXTS[1], "塔高三十一米。" * 60)
    gone = [Article("gone", "打印机", "g.md", TEXTS[0] + "多少钱？")] if with_removed else []
    many = in_segments([every[n] for n in order], cuts, gone)
    assert_same(many, index_of(every))
    _, scores = many.vectors.search(load_encoder().encode_question("灯塔"), 4)
    np.testing.assert_allclose(scores, np.sort(many.vectors.vectors() @ load_encoder().encode_question("灯塔"))[::-1][:4], atol=1e-5)
    for row in range(len(many)):
        np.testing.assert_array_equal(many.vectors.vector(row), many.vectors.vectors()[row])


@pytest.mark.parametrize(
    ("live", "dead", "expected"),
    [
        ([], [], []),
        ([100], [0], []),
        ([70], [30], [0]),
        ([1000, 100], [0, 0], []),
        ([1000, 150, 100], [0, 0, 0], [0, 1, 2]),
        ([100_000, 1], [0, 0], []),
        ([100_000, 1], [21_000, 0], []),
        ([100_000, 1], [26_000, 0], [0, 1]),
        ([100_000, 1, 1, 1], [0, 0, 0, 0], []),
        ([100_000, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 2, 3, 4]),
        ([100_000, 70, 70, 70, 5, 90], [0] * 6, [1, 2, 3, 4, 5]),
        ([100_000, 5000, 70, 70, 70, 70], [0] * 6, [2, 3, 4, 5]),
    ],
)
def test_what_is_folded(live: list[int], dead: list[int], expected: list[int]) -> None:
    assert to_fold(live, dead) == expected


def test_many_small_changes_leave_few_segments_and_the_large_one_alone() -> None:
    live, written = [100_000], 0
    for _ in range(2000):
        live.append(3)
        due = to_fold(live, [0] * len(live))
        assert 0 not in due
        if due:
            merged = sum(live[n] for n in due)
            written += merged
            live = [size for n, size in enumerate(live) if n not in due] + [merged]
        assert len(live) <= 25
    assert written < 2000 * 3 * 8, "each passage is written a few times over"


# --- vectors ----------------------------------------------------------------------------------------


def test_unchanged_passages_keep_their_vectors(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = with_encoder(monkeypatch, LetterEncoder())
    library = Library(corpus, tmp_path / "index")
    library.build()
    old = load(tmp_path / "index").vectors.vectors()
    encoder.encoded.clear()
    # Another passage at the end of a long article, another place for a file: only the new words are encoded.
    (corpus / "a0.md").rename(corpus / "moved.md")
    (corpus / "a1.md").write_text(TEXTS[1] + "\n\n# 附件\n\n" + "打印机附有电源线。" * 40, "utf-8")
    report = library.build()
    assert 0 < len(encoder.encoded) < report.passages
    assert report.reused_vectors == report.passages - len(encoder.encoded)
    assert not any("售价" in text for text in encoder.encoded)
    encoder.encoded.clear()
    assert library.build().reused_vectors == report.passages
    assert encoder.encoded == []
    library.build(full=True)
    assert len(encoder.encoded) == report.passages
    assert len(old) < report.passages


def test_changed_title_is_embedded_anew(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = with_encoder(monkeypatch, LetterEncoder())
    library = Library(corpus, tmp_path / "index")
    library.build()
    encoder.encoded.clear()
    (corpus / "a1.md").write_text(f"---\ntitle: 另一个标题\n---\n{TEXTS[1]}", "utf-8")
    assert library.build().changed == ("a1",)
    assert len(encoder.encoded) == 1


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
        [indexed_text(built.articles[p.article_id], p) for p in map(built.passage, range(len(built)))]
    )
    np.testing.assert_allclose(built.vectors.vectors(), vectors, atol=1e-6)
    for question in ("打印机多少钱？", "灯塔", "？"):
        query = encoder.encode_question(question)
        rows, scores = built.vectors.search(query, len(built))
        np.testing.assert_allclose(scores, np.sort(vectors @ query)[::-1], atol=1e-5)
        np.testing.assert_allclose((vectors @ query)[rows], scores, atol=1e-5)


def test_units_of_an_index_are_those_of_a_question(built: Index) -> None:
    """Passages and questions are cut alike: each passage is the best for its own words."""
    for row in range(len(built)):
        text = built.text(built.passage(row))
        scores = built.lexical.scores(list(units(fold(text))))
        assert int(scores.argmax()) == row
