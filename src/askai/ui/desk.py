"""The one assistant that all browser tabs share, and everything that changes what it answers from."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from askai.assistant import Assistant
from askai.corpus import read_file
from askai.errors import ArticleError, AskaiError, IndexMissing, InputError, UnusableIndex
from askai.generations import Before, Source
from askai.library import Library
from askai.sources import real_place
from askai.types import Answer, Article, ArticleSummary, Failure, LibraryStatus, Mode, Progress
from askai.ui import uploads
from askai.ui.work import Job, Outcome, Step, Work

PATIENCE_S = 10.0
"""How long a question waits for an index that is being opened."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the index stands. ``message`` says what is wrong when ``phase`` is ``failed``.

    ``step`` is how far the work is that is under way, None where there is none.
    """

    phase: Literal["opening", "building", "ready", "failed"]
    step: Step | None = None
    message: str = ""
    articles: int = 0
    passages: int = 0


@dataclass(frozen=True, slots=True)
class Removal:
    """A file that was taken away through the page and can be put back; ``name`` is what to call it."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells whether a tab shows what is: it does while its mark is the desk's.

    ``job`` is the last that ended and ``working`` the one under way (0 for none); ``change`` counts
    deletions and undoings.
    """

    generation: str = ""
    job: int = 0
    working: int = 0
    change: int = 0
    settled: bool = False


class Desk:
    """Serves questions as soon as there is an index; until then it says what is going on."""

    OPENING: ClassVar = State("opening")

    def __init__(self, corpus: Path, index: Path) -> None:
        self.corpus = corpus
        self._index = index
        self._library = Library(corpus, index)
        self._assistant: Assistant | None = None
        self._message = ""
        self._settled = threading.Event()
        self._work = Work()
        self._changes = 0
        self._removals: list[Removal] = []
        self.restored = ""
        """What the last change put back, if that is what it did."""

    # --- opening

    def start(self) -> None:
        """Open the index, or build it when there is none, in a thread of its own."""
        threading.Thread(target=self._prepare, name="askai-open", daemon=True).start()

    def _prepare(self) -> None:
        # What goes wrong in this thread must reach the page, or it would wait for ever.
        self._message = "打开索引时出了意外，详情见启动 askai 的终端。"
        building = False
        try:
            self._assistant = Assistant.open(self._index)
        except IndexMissing:
            building = True
            self._work.start(self._build, self._settled.set)
        except AskaiError as error:
            self._message = str(error)
        finally:
            if not building:
                self._settled.set()

    @property
    def ready(self) -> bool:
        """Whether questions can be answered."""
        return self._assistant is not None

    @property
    def settled(self) -> bool:
        """Whether opening or the first build has ended, well or badly."""
        return self._settled.is_set()

    # --- how things stand

    @property
    def state(self) -> State:
        """Where the index stands, with its sizes when it is ready."""
        job = self._work.current
        step = job.step if job else None
        if self._assistant is not None:
            made = self._assistant.manifest
            return State("ready", step, articles=made["articles"], passages=made["passages"])
        if step is not None:
            return State("building", step)
        last = self._work.last
        message = last.outcome.message if last and last.outcome else self._message
        return State("failed", message=message) if self.settled else self.OPENING

    @property
    def mark(self) -> Mark:
        """What a tab that shows everything as it is now would have seen."""
        now, last = self._work.current, self._work.last
        return Mark(
            self._assistant.generation if self._assistant else "",
            last.number if last else 0,
            now.number if now else 0,
            self._changes,
            self.settled,
        )

    @property
    def outcome(self) -> Outcome | None:
        """What came of the last work that ended."""
        return self._work.last.outcome if self._work.last else None

    @property
    def removal(self) -> Removal | None:
        """The last removal that can be undone."""
        return self._removals[-1] if self._removals else None

    def articles(self) -> list[ArticleSummary]:
        """Every article of the index; none while there is no index."""
        return self._assistant.articles() if self._assistant else []

    def status(self) -> LibraryStatus | None:
        """The files against the index; None where one of them cannot be looked at."""
        try:
            return self._library.status(self._roots())
        except AskaiError:
            return None  # what is wrong is said by ``state``, or by the build that is asked for

    def _roots(self) -> list[Path] | None:
        """What is built: what the index was made from, and the folder that uploads go into."""
        made = self._assistant.manifest.get("roots") if self._assistant else None
        if not isinstance(made, list) or not self.corpus.exists():
            return None
        mine = real_place(self.corpus)
        if any(Path(mine).is_relative_to(root) for root in made):
            return None
        return [*map(Path, made), self.corpus]

    # --- asking

    def _waited(self) -> Assistant:
        self._settled.wait(PATIENCE_S)
        if self._assistant is not None:
            return self._assistant
        state = self.state
        if state.phase == "failed":
            raise UnusableIndex(state.message)
        raise UnusableIndex("索引正在建立，建好后就能回答。进度见页面上方，请稍候再问。")

    def ask(self, question: str, previous: Sequence[Answer], mode: Mode) -> Answer:
        """Answer a question of a conversation. Raises ``AskaiError`` with the reason in Chinese."""
        return self._waited().ask(question, previous, mode=mode)

    def article(self, key: str) -> Article:
        """The article with this id."""
        return self._waited().article(key)

    # --- long changes: each returns at once, with the job that does it

    def rebuild(self) -> Job:
        """Bring the index up to date with its files; the old one answers until then."""
        return self._work.start(self._build)

    def take_in(self, files: Sequence[Path]) -> Job:
        """Take uploaded files into the corpus and answer from them; a bad one does not stop the others."""

        def does(progress: Progress) -> Outcome:
            stored, refused = uploads.store_files(self.corpus, files, progress)
            names, wrong = tuple(dict.fromkeys(path.name for path in stored)), tuple(refused)
            if not stored:
                return Outcome(refused=wrong)
            return self._indexed(progress, names, wrong)

        return self._work.start(does)

    def take_text(self, title: str, text: str) -> Job:
        """The same for a pasted text. Raises ``AskaiError`` where it cannot be stored."""
        stored = uploads.store_text(self.corpus, title, text)
        return self._work.start(lambda progress: self._indexed(progress, (stored.name,)))

    def retry(self, path: str) -> Job:
        """Read a file again that could not be read, or in part. Raises ``InputError`` where it is none of those."""
        source = self._source(path)
        if not source.failures:
            raise InputError(f"{source.path} 已经读入了，不需要再读。")

        def does(progress: Progress) -> Outcome:
            if not Path(source.key).exists():
                return self._build(progress)
            try:
                failures = read_file(Path(source.key), Path(source.key).name).failures
            except ArticleError as error:
                return Outcome(message=f"{source.path} 还是读不出来：{error}")
            if len(failures) >= len(source.failures):
                return Outcome(message=f"{source.path} 里还是有读不出来的部分：{failures[0].reason}")
            return self._taken_up(Outcome(self._library.add([Path(source.key)], progress)))

        return self._work.start(does)

    def call_off(self, number: int) -> None:
        """Cancel this job. The index stays as it was; files that are stored already stay, too."""
        self._work.call_off(number)

    def _build(self, progress: Progress) -> Outcome:
        return self._taken_up(Outcome(self._library.build(self._roots(), progress)))

    def _indexed(
        self, progress: Progress, stored: tuple[str, ...], refused: tuple[Failure, ...] = ()
    ) -> Outcome:
        try:
            report = self._library.build(self._roots(), progress)
        except AskaiError as error:
            return Outcome(None, str(error), stored, refused)
        return self._taken_up(Outcome(report, "", stored, refused))

    def _taken_up(self, outcome: Outcome) -> Outcome:
        if self._assistant is None:
            self._assistant = Assistant.open(self._index)
            self._settled.set()
        return outcome

    # --- short changes

    def _source(self, path: str) -> Source:
        """The file of this path, or with a part of this path that could not be read."""
        for source in Before.read(self._index, thoroughly=False).sources:
            if path == source.path or any(path == part for part, _ in source.failures):
                return source
        raise InputError(f"索引里没有文件 {path}，它可能已经被删除。")

    def file_of(self, id: str) -> tuple[str, int]:
        """The file that an article came from, and how many articles came from it."""
        for source in Before.read(self._index, thoroughly=False).sources:
            if id in source.articles:
                return source.path, len(source.articles)
        raise InputError("这篇文章已经不在了，可能刚被删除。")

    def file_at(self, path: str) -> tuple[str, int]:
        """The same for the path of a failure, which may be that of a part of a file."""
        source = self._source(path)
        return source.path, len(source.articles)

    def remove(self, path: str) -> None:
        """Take a file and all its articles away; they answer no more. Raises ``AskaiError``."""
        with self._work.turn():
            source = self._source(path)
            name = f"文件 {source.path}"
            if len(source.articles) == 1:
                name = f"《{self.article(source.articles[0]).title}》"
            self._library.remove([source.key])
            self._changes += 1
            self._removals.append(Removal(self._changes, name))
            self.restored = ""

    def undo(self, number: int) -> None:
        """Put back what was removed last, if that is removal ``number``.

        Raises ``AskaiError``.
        """
        with self._work.turn():
            last = self.removal
            if last is None:
                raise InputError("没有可以撤销的删除：已经撤销过了。")
            if last.number != number:
                raise InputError(f"在它之后又删除了{last.name}。请先撤销那一次。")
            try:
                report = self._library.undo()
            except InputError:
                self._removals.clear()  # another process has put everything back
                raise
            self._removals.pop()
            # Not ``last.name``: another process may have removed something since.
            back = report.added
            self.restored = f"《{self.article(back[0]).title}》" if len(back) == 1 else last.name
            self._changes += 1
