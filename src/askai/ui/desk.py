"""The one assistant that all browser tabs share: opened or built in the background, asked, rebuilt."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from askai.assistant import Assistant
from askai.errors import AskaiError, IndexBusy, IndexMissing, UnusableIndex
from askai.types import Answer, Article, ArticleSummary, BuildReport, Failure, Progress

PATIENCE_S = 10.0
"""How long a question waits for an index that is being opened."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the index stands. ``message`` says what is wrong when ``phase`` is ``failed``."""

    phase: Literal["opening", "building", "ready", "failed"]
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    generation: str = ""
    articles: int = 0
    passages: int = 0


class Desk:
    """Serves questions as soon as there is an index; until then it says what is going on."""

    OPENING: ClassVar = State("opening")

    def __init__(self, corpus: Path, index: Path) -> None:
        self.corpus = corpus
        self._index = index
        self._assistant: Assistant | None = None
        self._state = self.OPENING
        self._settled = threading.Event()
        self._writing = threading.Lock()

    def start(self) -> None:
        """Open the index, or build it when there is none, in a thread of its own."""
        threading.Thread(target=self._prepare, name="askai-open", daemon=True).start()

    def _prepare(self) -> None:
        # What goes wrong in this thread must reach the page, or it would wait for ever.
        self._state = self.OPENING
        message = "打开索引时出了意外，详情见启动 askai 的终端。"
        try:
            self._open_or_build()
            message = ""
        except AskaiError as error:
            message = str(error)
        finally:
            if message:
                self._state = State("failed", message=message)
            self._settled.set()

    def _open_or_build(self) -> None:
        try:
            self._assistant = Assistant.open(self._index)
        except IndexMissing:
            with self._writing:
                self._assistant, _ = Assistant.build([self.corpus], self._index, progress=self._note)

    def _note(self, stage: str, done: int, total: int) -> None:
        self._state = State("building", stage, done, total)

    @property
    def ready(self) -> bool:
        """Whether questions can be answered."""
        return self._assistant is not None

    @property
    def settled(self) -> bool:
        """Whether opening or the first build has ended, well or badly."""
        return self._settled.is_set()

    @property
    def state(self) -> State:
        """Where the index stands, with its sizes when it is ready."""
        if self._assistant is None:
            return self._state
        articles = self._assistant.articles()
        return State(
            "ready",
            generation=self._assistant.generation,
            articles=len(articles),
            passages=sum(a.passages for a in articles),
        )

    def _waited(self) -> Assistant:
        self._settled.wait(PATIENCE_S)
        if self._assistant is not None:
            return self._assistant
        if self._state.phase == "failed":
            raise UnusableIndex(self._state.message)
        raise UnusableIndex("索引正在建立，建好后就能回答。进度见页面上方，请稍候再问。")

    def ask(self, question: str, previous: Sequence[Answer]) -> Answer:
        """Answer a question of a conversation. Raises ``AskaiError`` with the reason in Chinese."""
        return self._waited().ask(question, previous)

    def article(self, key: str) -> Article:
        """The article with this id."""
        return self._waited().article(key)

    def articles(self) -> list[ArticleSummary]:
        """Every article of the index; none while there is no index."""
        return self._assistant.articles() if self._assistant else []

    def failures(self) -> list[Failure]:
        """The files that the last build could not read."""
        listed = self._assistant.manifest.get("failures") if self._assistant else None
        if not isinstance(listed, list):
            return []
        return [Failure(str(f.get("path", "")), str(f.get("reason", ""))) for f in listed]

    def rebuild(self, progress: Progress) -> BuildReport:
        """Read the articles again and serve from them; the old index answers until then."""
        if not self._writing.acquire(blocking=False):
            raise IndexBusy("索引正在重建，请等这一次完成后再试。")
        try:
            if self._assistant is not None:
                return self._assistant.rebuild([self.corpus], progress)
            self._assistant, report = Assistant.build([self.corpus], self._index, progress=progress)
            return report
        finally:
            self._writing.release()
