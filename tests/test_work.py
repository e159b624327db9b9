"""Work behind the page: one job at a time, called off without a trace; what a reload brings back."""

from __future__ import annotations

import threading

import pytest

from askai.errors import Cancelled, IndexBusy, InputError
from askai.types import Mode, Progress
from askai.ui import visits, work
from askai.ui.render import Trouble
from askai.ui.visits import Visit, Visits
from askai.ui.work import Outcome, Work


def test_jobs_take_turns_and_waiting_ones_can_be_called_off() -> None:
    doing, began, go = Work(), threading.Event(), threading.Event()
    ended: list[str] = []

    def first(progress: Progress) -> Outcome:
        progress("读入文章", 1, 2)
        began.set()
        go.wait(30)
        return Outcome(message="第一项")

    def second(progress: Progress) -> Outcome:
        progress("读入文章", 0, 2)
        return Outcome(message="第二项")

    one = doing.start(first, lambda: ended.append("第一项"))
    assert began.wait(30)
    two, three = doing.start(second), doing.start(second)
    assert doing.current is one
    assert (one.step.stage, one.step.done, one.step.total) == ("读入文章", 1, 2)
    assert "等待" in two.step.stage
    doing.call_off(three.number)
    assert not two.wait(0.05)
    go.set()
    assert one.wait(30)
    assert two.wait(30)
    assert three.wait(30)
    assert [job.outcome.message for job in (one, two) if job.outcome] == ["第一项", "第二项"]
    assert three.outcome is not None
    assert "已取消" in three.outcome.message
    assert ended == ["第一项"]
    assert doing.current is None


def test_a_job_that_is_called_off_ends_at_its_next_step() -> None:
    doing, going = Work(), threading.Event()

    def endless(progress: Progress) -> Outcome:
        step = 0
        while True:
            progress("读入文章", step, 10**9)
            step += 1
            going.set()

    job = doing.start(endless)
    assert going.wait(30)
    doing.call_off(job.number + 1)
    assert not job.wait(0.05)
    doing.call_off(job.number)
    assert job.wait(30)
    assert job.outcome == Outcome(message=str(Cancelled()))
    assert doing.last is job


def test_what_goes_wrong_reaches_the_page() -> None:
    doing = Work()

    def refused(progress: Progress) -> Outcome:
        raise InputError("没有文章。")

    job = doing.start(refused)
    assert job.wait(30)
    assert job.outcome == Outcome(message="没有文章。")


def test_a_fault_ends_its_job_too_and_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    doing = Work()
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda caught: printed.append(caught.exc_type))

    def faulty(progress: Progress) -> Outcome:
        raise ZeroDivisionError

    job = doing.start(faulty)
    assert job.wait(30)
    assert job.outcome is not None
    assert "意外" in job.outcome.message
    assert doing.current is None
    for thread in threading.enumerate():
        if thread.name == "askai-work":
            thread.join(30)
    assert printed == [ZeroDivisionError]


def test_a_short_change_does_not_wait_for_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "PATIENCE_S", 0.05)
    doing, began, go = Work(), threading.Event(), threading.Event()

    def long(progress: Progress) -> Outcome:
        began.set()
        go.wait(30)
        return Outcome()

    job = doing.start(long)
    assert began.wait(30)
    with pytest.raises(IndexBusy, match="取消"), doing.turn():
        pytest.fail("the turn was not free")
    go.set()
    assert job.wait(30)
    with doing.turn():
        assert doing.current is None


def test_a_visit_is_kept_under_a_name_that_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "VISITS", 2)
    kept = Visits()
    visit = Visit((Trouble("问", "答不了"),), Mode.STRICT)
    for name in ("", "short", "x" * 32, "a" * 33):
        kept.keep(name, visit)
        assert kept.of(name) == Visit()
    names = [f"{n:032x}" for n in range(3)]
    kept.keep(names[0], visit)
    kept.keep(names[1], visit)
    kept.keep(names[0], visit)
    kept.keep(names[2], visit)
    assert [kept.of(name) == visit for name in names] == [True, False, True]
