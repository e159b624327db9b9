"""Long work behind the page: in a thread of its own, one at a time, counted, called off on demand."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from askai.errors import AskaiError, Cancelled, IndexBusy
from askai.types import BuildReport, Failure, Progress

PATIENCE_S = 3.0
"""How long a short change waits for the work that is under way."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a job is: ``done`` of ``total`` in a stage that has taken ``seconds`` so far."""

    stage: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    stopping: bool = False

    @property
    def seconds_left(self) -> float | None:
        """What the rest of the stage will take at this pace; None while that is a mere guess."""
        if self.done < 1 or self.total <= self.done or self.seconds < 1.5:
            return None
        return self.seconds / self.done * (self.total - self.done)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. ``stored`` and ``refused`` are the files that somebody brought.

    ``report`` is None where the index was not written; ``message`` then says why, in Chinese.
    """

    report: BuildReport | None = None
    message: str = ""
    stored: tuple[str, ...] = ()
    refused: tuple[Failure, ...] = ()


class Job:
    """One piece of work. Whoever does it calls ``note``, which raises ``Cancelled`` once it is called off."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome: Outcome | None = None
        self._step = Step("等待前一项完成")
        self._begun = time.monotonic()
        self._called_off = threading.Event()
        self._ended = threading.Event()

    def note(self, stage: str, done: int, total: int) -> None:
        """A ``Progress``."""
        if self._called_off.is_set():
            raise Cancelled
        if stage != self._step.stage:
            self._begun = time.monotonic()
        self._step = Step(stage, done, total)

    @property
    def step(self) -> Step:
        """How far it is at this moment."""
        now = self._step
        seconds = time.monotonic() - self._begun
        return Step(now.stage, now.done, now.total, seconds, self._called_off.is_set())

    def call_off(self) -> None:
        """Ask for it to end; it does at its next step."""
        self._called_off.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended, after at most so many seconds."""
        return self._ended.wait(seconds)

    def end(self, outcome: Outcome) -> None:
        """Keep what came of it and let those who wait go on."""
        self.outcome = outcome
        self._ended.set()


class Work:
    """All jobs of a desk. They take turns with each other and with short changes."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._pending: list[Job] = []
        self.last: Job | None = None

    def start(self, does: Callable[[Progress], Outcome], then: Callable[[], object] = lambda: None) -> Job:
        """Do it in a thread as soon as it is its turn; ``then`` is called when it has ended, well or badly."""
        job = Job(next(self._numbers))
        self._pending.append(job)
        threading.Thread(target=self._run, args=(job, does, then), name="askai-work", daemon=True).start()
        return job

    def _run(self, job: Job, does: Callable[[Progress], Outcome], then: Callable[[], object]) -> None:
        # What goes wrong in this thread must reach the page, or it would wait for ever.
        outcome = Outcome(message="更新索引时出了意外，详情见启动 askai 的终端。原来的索引没有改动。")
        try:
            with self._turn:
                outcome = does(job.note)
        except AskaiError as error:
            outcome = Outcome(message=str(error))
        finally:
            self.last = job
            self._pending.remove(job)
            job.end(outcome)
            then()

    @property
    def current(self) -> Job | None:
        """The job that is under way, the first of those that wait included."""
        return next(iter(list(self._pending)), None)

    def call_off(self, number: int) -> None:
        """Call off the job of this number, should it still be there."""
        for job in list(self._pending):
            if job.number == number:
                job.call_off()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """For a short change. Raises ``IndexBusy`` where a job takes too long to wait for."""
        if not self._turn.acquire(timeout=PATIENCE_S):
            raise IndexBusy("索引正在更新。请等它完成，或在“文章”里点“取消”，然后再试。")
        try:
            yield
        finally:
            self._turn.release()
