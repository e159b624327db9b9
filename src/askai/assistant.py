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
from typing import Any

from askai import conversation, index as store, lists, responder, retrieval
from askai.encoder import MODELS
from askai.errors import IndexMismatch, InputError, ModelError, UnusableIndex
from askai.evidence import wanted, wants_list
from askai.generations import current
from askai.index import Index, find_article, summaries
from askai.library import Library, encoder_of
from askai.reader import NeuralReader
from askai.responder import Calibration
from askai.summary import summarise
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
from askai.writing import mending

READER = "askai-reader-zh"
MAX_QUESTION = 1000
CITATIONS = 3
RETRY_SECONDS = 10.0
PATIENCE_SECONDS = 0.3
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
            float(loaded["sharpness"]),
            float(loaded["elsewhere"]),
            tuple(loaded["lists"]),
            {Mode(name): value for name, value in loaded["thresholds"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"校准文件 {path} 缺失或已损坏（{error}）。请重新安装 askai。") from error


@dataclass(frozen=True, slots=True)
class _State:
    """What a question is answered from; replaced as a whole when the index changes."""

    index: Index
    encoder: Encoder


def _holds(index: Index, hits: Sequence[Hit]) -> bool:
    """Whether the passages of these hits can be looked up in the index."""
    passages = [hit.passage for hit in hits]
    return all(p.article_id in index.articles and p.end <= len(index.articles[p.article_id].text) for p in passages)


class Assistant:
    """Answers questions from the articles of an index.

    ``__init__`` takes ready parts; ``open`` and ``build`` are what programs call. A new generation
    written by any process is picked up by the next question. Raises ``ModelError`` for a calibration with other
    weights than the program has signals.
    """

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        reader: Reader,
        calibration: Calibration,
        folder: Path | None = None,
    ) -> None:
        weights = len(calibration.ranking), len(calibration.confidence), len(calibration.lists)
        if weights != (len(responder.SIGNALS), len(responder.EVIDENCE) + 1, len(lists.SIGNALS) + 1):
            raise ModelError(f"校准文件的权重个数 {weights} 与程序不符。请重新安装 askai。")
        self._state = self._before = _State(index, encoder)
        self._reader = reader
        self._calibration = calibration
        self._folder = folder
        self._refreshing = threading.Lock()
        self._loading_since = 0.0
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
        report = Library(Path("corpus"), index, model).build(articles, progress)
        return cls.open(index), report

    def rebuild(self, articles: Sequence[Path], progress: Progress | None = None) -> BuildReport:
        """Bring the index up to date with these files and serve it; questions go on meanwhile."""
        if self._folder is None:
            raise InputError("这个助手没有索引文件夹，无法重建。请用 Assistant.open 打开一个索引。")
        report = Library(Path("corpus"), self._folder).build(articles, progress)
        self._refresh(patience=None)
        return report

    @property
    def generation(self) -> str:
        """Name of the generation that serves; changes when the index did."""
        self._refresh()
        return self._state.index.generation

    @property
    def manifest(self) -> dict[str, Any]:
        """How the index was made, with the failures of its build."""
        return dict(self._state.index.manifest)

    def articles(self) -> list[ArticleSummary]:
        """Every article of the index, in order."""
        self._refresh()
        return summaries(self._state.index)

    def article(self, key: str) -> Article:
        """The article with this id, path or title. Raises ``InputError`` where there is none."""
        self._refresh()
        return find_article(self._state.index, key)

    def retrieve(self, question: str, k: int = 50, leg: retrieval.Leg = "fused") -> list[Hit]:
        """The ``k`` best passages, best first."""
        self._refresh()
        state = self._state
        return retrieval.retrieve(state.index, state.encoder, question, k, leg)

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        """The reader's findings in each hit. Raises ``InputError`` for hits of an index long gone.

        Hits that were retrieved just before the index changed are read in the one they came from.
        """
        for state in (self._state, self._before):
            if _holds(state.index, hits):
                return self._reader.read(question, hits, state.index.articles)
        raise InputError("索引已经更新，这些段落不在其中了。请重新检索。")

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
            text = conversation.small_talk(kind, summaries(state.index))
            return _timed(Answer(question, question, "answered", text, 1.0, (), 0.0), begun)
        answers = [
            self._answer(state, question, understood[:MAX_QUESTION], top_k or CITATIONS, mode)
            for understood in conversation.interpretations(question, previous)
        ]
        # Of several readings of a follow-up, the one that the articles answer best; the first on a tie.
        return _timed(max(answers, key=_worth), begun)

    def _answer(self, state: _State, question: str, understood: str, k: int, mode: Mode) -> Answer:
        articles = state.index.articles
        hits = retrieval.retrieve(state.index, state.encoder, understood)
        readings = self._reader.read(understood, retrieval.promising(hits), articles)
        asked = wanted(understood, state.index.lexical.idf)
        ranked = responder.candidates(readings, articles, asked, self._calibration)
        sure = round(responder.confidence(ranked, self._calibration), 4)
        threshold = self._calibration.thresholds[mode]
        answered = sure >= threshold and bool(ranked)
        citations = responder.citations_of(ranked, articles, k, self._calibration, answered=answered)
        opening = ranked[0] if ranked and lists.announces(ranked[0], articles) else None
        if opening or lists.possible(understood, asked):
            near = hits[: retrieval.EXAMINED]
            found = lists.find(understood, asked, near, ranked, articles, state.encoder, self._reader)
            first = citations[0].score if citations else 0.0
            likely, listed = lists.best(found, self._calibration.lists, opening, first)
            other = first * (lists.HANDICAP if wants_list(understood) else 1.0)
            either = max(sure, round(likely, 4))
            if listed and likely >= max(other, lists.LEAST) and either >= threshold:
                article, listing = articles[listed.article_id], listed.listing
                citations = lists.citations_with(article, listing, likely, citations, k)
                return Answer(question, understood, "answered", lists.names(listing), either, citations, 0.0)
        if answered:
            text = responder.leading_words(understood, citations)
            return Answer(question, understood, "answered", text, sure, citations, 0.0)
        text = responder.not_found_text(citations)
        return Answer(question, understood, "not_found", text, sure, citations, 0.0)

    def _summary(self, state: _State, question: str, title: str) -> Answer | None:
        """A summary of the article that is meant; None where no article fits or it has no words."""
        try:
            article = find_article(state.index, title)
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

    def _refresh(self, patience: float | None = PATIENCE_SECONDS) -> None:
        """Take up a generation that another process has made current; keep the old one if it is bad.

        One question loads it. Others wait for it a moment, since most changes are small, and are then
        answered from the generation that served; without ``patience`` they wait to the end.
        """
        if self._folder is None or not self._has_news(self._folder):
            return
        now = time.monotonic()
        waits = -1.0 if patience is None else max(0.0, (self._loading_since or now) + patience - now)
        if not self._refreshing.acquire(timeout=waits):
            return
        try:
            self._loading_since = time.monotonic()
            self._take_up(self._folder)
        finally:
            self._loading_since = 0.0
            self._refreshing.release()

    def _take_up(self, folder: Path) -> None:
        name = ""
        try:
            name = current(folder)
            if self._is_news(name):
                loaded = store.load(folder, self._state.index.segments)
                self._before, self._state = self._state, _State(loaded, _matching_encoder(loaded, folder))
        except (UnusableIndex, ModelError):
            # The last good index goes on serving; opening anew reports what is wrong. Reading
            # the bad one again for every question would only make them slow.
            self._refused = (name, time.monotonic() + RETRY_SECONDS)

    def _has_news(self, folder: Path) -> bool:
        try:
            return self._is_news(current(folder))
        except UnusableIndex:
            return False

    def _is_news(self, generation: str) -> bool:
        refused, until = self._refused
        waits = generation == refused and time.monotonic() < until
        return generation != self._state.index.generation and not waits


def _worth(answer: Answer) -> tuple[bool, float]:
    """What one reading of a question is preferred to another by; of readings that nothing answers, the plain one."""
    answered = answer.status == "answered"
    return answered, answer.first_score if answered else float(answer.understood_as == answer.question)


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
    encoder = encoder_of(index.manifest.get("model"))
    if encoder.fingerprint != index.manifest["encoder"]:
        raise IndexMismatch(
            f"索引由模型 {index.manifest['encoder']} 建立，现在的模型是 {encoder.fingerprint}。"
            f"请运行 {mending(folder)} 重建索引。"
        )
    return encoder
