"""The façade: open or build an index, ask, rebuild. One object serves many questions at once."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from askai import conversation, corpus, index as store, responder, retrieval
from askai.encoder import MODELS, load_encoder
from askai.errors import IndexMismatch, InputError, ModelError, UnusableIndex
from askai.evidence import wanted
from askai.index import Index
from askai.reader import NeuralReader
from askai.responder import Calibration
from askai.summary import summarise
from askai.text import fold
from askai.types import (
    Answer,
    Article,
    ArticleSummary,
    BuildReport,
    Citation,
    Encoder,
    Hit,
    Mode,
    Progress,
    Reader,
    Reading,
)

READER = "askai-reader-zh"
MAX_QUESTION = 1000
CITATIONS = 3
RETRY_SECONDS = 10.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@cache
def default_reader() -> NeuralReader:
    """The reader that ships, loaded once."""
    return NeuralReader(MODELS / READER)


@cache
def default_calibration() -> Calibration:
    """The calibration that ships with the reader."""
    path = MODELS / READER / "calibration.json"
    try:
        loaded = json.loads(path.read_text("utf-8"))
        return Calibration(
            tuple(loaded["ranking"]),
            tuple(loaded["confidence"]),
            {Mode(name): value for name, value in loaded["thresholds"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"校准文件 {path} 缺失或已损坏（{error}）。请重新安装 askai。") from error


@cache
def _encoder(model: str | None) -> Encoder:
    return load_encoder(model)


@dataclass(slots=True)
class _State:
    """What a question is answered from; replaced as a whole when the index changes."""

    index: Index
    encoder: Encoder


class Assistant:
    """Answers questions from the articles of an index.

    ``__init__`` takes ready parts; ``open`` and ``build`` are what programs call. A new generation
    written by any process is picked up by the next question.
    """

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        reader: Reader,
        calibration: Calibration,
        folder: Path | None = None,
    ) -> None:
        self._state = _State(index, encoder)
        self._reader = reader
        self._calibration = calibration
        self._folder = folder
        self._refreshing = threading.Lock()
        self._refused = ("", 0.0)

    @classmethod
    def open(cls, index: Path = Path("index")) -> Assistant:
        """Open an index. Raises ``IndexMissing``, ``IndexDamaged`` or ``IndexMismatch``."""
        loaded = store.load(index)
        encoder = _matching_encoder(loaded, index)
        return cls(loaded, encoder, default_reader(), default_calibration(), index)

    @classmethod
    def build(
        cls,
        articles: Sequence[Path],
        index: Path = Path("index"),
        model: str | None = None,
        progress: Progress | None = None,
    ) -> tuple[Assistant, BuildReport]:
        """Read files and folders, write a new generation under ``index`` and open it.

        Raises ``InputError`` where nothing can be read, ``IndexBusy`` while another process writes.
        """
        built, report = _build(articles, index, model, progress)
        return cls(built, _encoder(model), default_reader(), default_calibration(), index), report

    def rebuild(self, articles: Sequence[Path], progress: Progress | None = None) -> BuildReport:
        """Build a new generation with the same model and serve it; questions go on meanwhile."""
        if self._folder is None:
            raise InputError("这个助手没有索引文件夹，无法重建。请用 Assistant.open 打开一个索引。")
        model = self._state.index.manifest.get("model")
        built, report = _build(articles, self._folder, model, progress)
        self._state = _State(built, _encoder(model))
        return report

    @property
    def generation(self) -> str:
        """Name of the generation that serves; changes when the index did."""
        self._refresh()
        return self._state.index.generation

    @property
    def manifest(self) -> dict[str, object]:
        """How the index was made, with the failures of its build."""
        return dict(self._state.index.manifest)

    def articles(self) -> list[ArticleSummary]:
        """Every article of the index, in order."""
        self._refresh()
        return _summaries(self._state.index)

    def article(self, key: str) -> Article:
        """The article with this id, path or title. Raises ``InputError`` where there is none."""
        self._refresh()
        return _find_article(self._state.index, key)

    def retrieve(self, question: str, k: int = 50, leg: retrieval.Leg = "fused") -> list[Hit]:
        """The ``k`` best passages, best first."""
        state = self._state
        return retrieval.retrieve(state.index, state.encoder, question, k, leg)

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        """The reader's findings in each hit."""
        return self._reader.read(question, hits, self._state.index.articles)

    def ask(
        self,
        question: str,
        previous: Sequence[Answer] = (),
        top_k: int | None = None,
        mode: Mode = Mode.BALANCED,
    ) -> Answer:
        """Answer a question, given the answers of the conversation so far (oldest first).

        ``top_k`` is the number of excerpts cited at the most; ``mode`` says how sure an answer must
        be. Raises ``InputError`` for an empty or overlong question.
        """
        begun = time.perf_counter()
        question = _checked(question)
        if top_k is not None and top_k < 1:
            raise InputError("引文条数至少为 1。")
        self._refresh()
        state = self._state
        kind, title = conversation.kind_of(question)
        if kind == "summary":
            answer = self._summary(state, question, title)
            if answer is not None:
                return _timed(answer, begun)
        elif kind != "question":
            text = conversation.small_talk(kind, _summaries(state.index))
            return _timed(Answer(question, question, "answered", text, 1.0, (), 0.0), begun)
        answers = [
            self._answer(state, question, understood[:MAX_QUESTION], top_k or CITATIONS, mode)
            for understood in conversation.interpretations(question, previous)
        ]
        # Of several readings of a follow-up, the one that the articles answer best; the first on a tie.
        return _timed(max(answers, key=lambda a: a.confidence), begun)

    def _answer(self, state: _State, question: str, understood: str, k: int, mode: Mode) -> Answer:
        articles = state.index.articles
        hits = retrieval.retrieve(state.index, state.encoder, understood)
        readings = self._reader.read(understood, retrieval.promising(hits), articles)
        asked = wanted(understood, state.index.lexical.idf)
        ranked = responder.candidates(readings, articles, asked, self._calibration)
        sure = responder.confidence(ranked, self._calibration)
        answered = sure >= self._calibration.thresholds[mode] and bool(ranked)
        citations = responder.citations_of(ranked, articles, k, answered=answered)
        if answered:
            text = responder.leading_words(understood, citations)
            return Answer(question, understood, "answered", text, round(sure, 4), citations, 0.0)
        text = responder.not_found_text(citations)
        return Answer(question, understood, "not_found", text, round(sure, 4), citations, 0.0)

    def _summary(self, state: _State, question: str, title: str) -> Answer | None:
        """A summary of the article that is meant; None where no article fits or it has no words."""
        try:
            article = _find_article(state.index, title)
        except InputError:
            return None
        spans = summarise(article, state.encoder)
        if not spans:
            return None
        citations: tuple[Citation, ...] = tuple(
            responder.cite(article, number, a, b, None, 1.0) for number, (a, b) in enumerate(spans, 1)
        )
        text = f"《{article.title}》摘要（原文摘句）：\n" + "\n".join(
            f"{c.quote} [{c.number}]" for c in citations
        )
        return Answer(question, question, "answered", text, 1.0, citations, 0.0)

    def _refresh(self) -> None:
        """Take up a generation that another process has made current; keep the old one if it is bad."""
        if self._folder is None:
            return
        try:
            if not self._is_news(store.current(self._folder)):
                return
        except UnusableIndex:
            return
        with self._refreshing:
            name = ""
            try:
                name = store.current(self._folder)
                if self._is_news(name):
                    loaded = store.load(self._folder)
                    self._state = _State(loaded, _matching_encoder(loaded, self._folder))
            except (UnusableIndex, ModelError):
                # The last good index goes on serving; opening anew reports what is wrong. Reading
                # the bad one again for every question would only make them slow.
                self._refused = (name, time.monotonic() + RETRY_SECONDS)

    def _is_news(self, generation: str) -> bool:
        refused, until = self._refused
        waits = generation == refused and time.monotonic() < until
        return generation != self._state.index.generation and not waits


def _timed(answer: Answer, begun: float) -> Answer:
    return replace(answer, elapsed_ms=round((time.perf_counter() - begun) * 1000, 2))


def _checked(question: str) -> str:
    # Control characters are no words; half of a character (JSON can spell one) cannot be written out.
    text = " ".join(_CONTROL.sub(" ", question).encode("utf-8", "replace").decode().split())
    if not text:
        raise InputError("问题是空的。请输入想问的内容。")
    if len(text) > MAX_QUESTION:
        raise InputError(f"问题有 {len(text)} 个字，超过 {MAX_QUESTION} 字的上限。请说得短一些。")
    return text


def _matching_encoder(index: Index, folder: Path) -> Encoder:
    encoder = _encoder(index.manifest.get("model"))
    if encoder.fingerprint != index.manifest["encoder"]:
        raise IndexMismatch(
            f"索引由模型 {index.manifest['encoder']} 建立，现在的模型是 {encoder.fingerprint}。"
            f"请运行 {store.mending(folder)} 重建索引。"
        )
    return encoder


def _build(
    roots: Sequence[Path], folder: Path, model: str | None, progress: Progress | None
) -> tuple[Index, BuildReport]:
    begun = time.perf_counter()
    encoder = _encoder(model)
    with store.writing(folder):
        if progress:
            progress("读取文章", 0, 1)
        articles, failures = corpus.load(roots, folder)
        if not articles:
            reasons = "；".join(f"{f.path}：{f.reason}" for f in failures[:5])
            where = "、".join(str(r) for r in roots)
            raise InputError(
                f"{where} 里没有可读的文章{f'（{reasons}）' if reasons else ''}。"
                "请放入 .txt 或 .md 文章后再试；原来的索引没有改动。"
            )
        try:
            old = store.load(folder)
        except UnusableIndex:
            old = None
        built = store.build_index(articles, encoder, progress, old=old, failures=failures, model=model)
        if progress:
            progress("写入索引", 0, 1)
        built = replace(built, generation=store.save(built, folder))
        if progress:
            progress("写入索引", 1, 1)
    before = {} if old is None else old.articles
    report = BuildReport(
        built.generation,
        len(articles),
        len(built),
        tuple(a.id for a in articles if a.id not in before),
        tuple(a.id for a in articles if a.id in before and _content(before[a.id]) != _content(a)),
        tuple(id for id in before if id not in built.articles),
        tuple(failures),
        int(built.manifest["reused_vectors"]),
        round(time.perf_counter() - begun, 3),
    )
    return built, report


def _content(article: Article) -> tuple[str, str, dict[str, str]]:
    """What makes an article another one; where the file lies does not."""
    return article.title, article.text, dict(article.meta)


def _summaries(index: Index) -> list[ArticleSummary]:
    counts = [0] * len(index.ids)
    for row in index.table:
        counts[int(row[0])] += 1
    return [
        ArticleSummary(id, a.title, a.path, len(a.text), n)
        for (id, a), n in zip(index.articles.items(), counts, strict=True)
    ]


def _find_article(index: Index, key: str) -> Article:
    found = index.articles.get(key)
    if found is not None:
        return found
    folded = fold(key)
    for match in (
        lambda a: a.path == key or fold(a.title) == folded or a.id == key.rsplit(".", 1)[0],
        lambda a: len(key) >= 2 and folded in fold(a.title),
    ):
        candidates = [a for a in index.articles.values() if match(a)]
        if candidates:
            return candidates[0]
    raise InputError(f"没有这篇文章：{key}。运行 askai articles 可以看到所有文章的编号和标题。")
