"""Fifty people ask on the page while articles change: what fails, and how much longer do they wait?

    python benchmarks/concurrency.py [--clients 50] [--seconds 300] [--rebuilds 20] [--think 2 6]

Starts ``askai chat`` over a copy of the corpus. Each client opens the page, asks, thinks for a random
time between the two of ``--think`` (seconds), asks on, and opens a new page after ``--turns`` questions.
First for ``--seconds`` with nothing else going on, then for as long again with ``--rebuilds`` spread
over it: an article is changed, added or removed and ``askai build`` is run, every fourth time the
button of the page is pressed instead. Every citation is compared with the stored articles of the
generations that served while its question was under way. Ends with 1 where anything failed or the
95th percentile was twice as long.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from page_client import ASKAI, Cited, PageError, Reply, Server, Tab, events_of, serving

from askai import index as store
from askai.ui.markup import plain

BEHIND_S = 2.0
"""An answer from the generation before may come for so long after the new one was written."""
TOWERS = 12
QUESTIONS = (
    "PPR-9087B 卖多少钱？", "打印机屏幕显示 E-13 是什么意思？", "谁在主导 Vibes 项目？", "Meta 花了多少钱把 Alexandr Wang 招来？",
    "奥尔特曼什么时候宣布进入红色警戒？", "Aura 眼镜的视场角有多大？", "什么是知识蒸馏？", "北投石是谁发现的？", "邗沟是哪一年开凿的？",
    "试用期内辞职要提前几天通知？", "成年人每天吃盐应该低于多少克？", "番茄果实底部发黑凹陷是什么原因？", "月球每年远离地球多少？",
    "沈若溪在图书馆工作了多少年？", "马斯克预言全球经济会扩大多少倍？", "番茄为什么要深栽？", "那黄瓜呢？", "它有什么缺点？", "他是谁？",
    "珠穆朗玛峰的海拔是多少米？", "红烧肉应该炖多长时间？", "总结一下《阳台种番茄》", "有哪些文章？", "怎么泡温泉才不会头晕", "血压多高算高血压",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its reply and the times (``time.time``) at which it was sent and answered."""

    sent: float
    done: float
    reply: Reply


@dataclass
class Record:
    """What happened in one part of the run."""

    asked: list[Asked] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def milliseconds(self, share: float) -> float:
        """The quantile of the times to the answer."""
        times = sorted(a.done - a.sent for a in self.asked)
        return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


@dataclass(frozen=True, slots=True)
class Generation:
    """What was stored from ``begun`` on (at the earliest); ``ended`` is when the next was seen."""

    name: str
    begun: float
    texts: Mapping[str, str]


class History(threading.Thread):
    """Watches the index and keeps the articles of every generation that ever served."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._segments: dict[str, store.Segment] = {}
        self.over = threading.Event()
        self.kept: list[Generation] = []
        self.seen: list[float] = []
        self.look()

    def look(self) -> None:
        """Take in the generation that serves, if it is new."""
        pointer = self._folder / "CURRENT"
        begun = pointer.stat().st_mtime
        name = pointer.read_text("utf-8").strip()
        if self.kept and name == self.kept[-1].name:
            return
        self.seen.append(time.time())
        loaded = store.load(self._folder, tuple(self._segments.values()), name)
        self._segments = {segment.name: segment for segment in loaded.segments}
        self.kept.append(Generation(name, begun, {a.path: a.text for a in loaded.articles.values()}))

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.look()

    def behind(self, asked: Asked) -> float | None:
        """By how many seconds an answer was late: 0 for one from a generation that served while it was
        under way; None where no generation holds all that it cites."""
        for n in reversed(range(len(self.kept))):
            if self.kept[n].begun > asked.done or not _holds(self.kept[n].texts, asked.reply.citations):
                continue
            ended = self.seen[n + 1] if n + 1 < len(self.kept) else float("inf")
            return max(0.0, asked.sent - ended)
        return None


def _holds(texts: Mapping[str, str], citations: tuple[Cited, ...]) -> bool:
    return all(c.path in texts and plain(texts[c.path][c.start : c.end]) == c.quote for c in citations)


class Crowd:
    """The clients: threads that ask and think, into whichever record is ``now``."""

    def __init__(self, server: Server, options: argparse.Namespace) -> None:
        self._server, self._options = server, options
        self._events = events_of(server.port)
        self._over = threading.Event()
        self.now = Record()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(options.clients)]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Let everyone finish."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        dice = random.Random(f"{self._options.seed}:{number}")
        self._over.wait(dice.uniform(0, self._options.think[1]))
        turns = itertools.cycle([dice.randint(1, self._options.turns), *[self._options.turns] * 1000])
        while not self._over.is_set():
            record = self.now
            tab = Tab(self._server.port, self._events)
            try:
                tab.open()
                for _ in range(next(turns)):
                    record = self.now
                    self._ask(tab, dice, record)
                    if self._over.wait(dice.uniform(*self._options.think)):
                        return
            except Exception as error:  # noqa: BLE001 - a client that stops would be one fewer, not an error
                record.errors.append(str(error) if isinstance(error, PageError) else repr(error))

    @staticmethod
    def _ask(tab: Tab, dice: random.Random, record: Record) -> None:
        tower = f"第{dice.randint(1, TOWERS)}号灯塔的塔高是多少米？"
        question = tower if dice.random() < 0.25 else dice.choice(QUESTIONS)
        sent = time.time()
        reply = tab.ask(question)
        asked = Asked(sent, time.time(), reply)
        if reply.trouble:
            record.errors.append(f"{question}: {reply.trouble}")
        record.asked.append(asked)
        tab.after_asking()


class Library:
    """Changes the corpus and has it built: by the command line, every fourth time by the page's button."""

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        self._folder, self._corpus, self._server = folder, folder / "corpus", server
        self._removed: list[Path] = []

    def tower(self, number: int, version: int) -> Path:
        """Write the article about one lighthouse."""
        path = self._corpus / f"灯塔-{number:02d}.md"
        height = 20 + (7 * number + version) % 60
        text = f"# 第{number}号灯塔小史（第{version}版）\n\n第{number}号灯塔建于{1850 + number}年。" + "修建时石料由船运来。" * (version % 5)
        path.write_text(f"{text}\n\n第{version}次测量以后，第{number}号灯塔的塔高是{height}米，灯室在最上面一层。\n", "utf-8")
        return path

    def change(self, number: int) -> str:
        """The ``number``-th change and its build; returns what went wrong, if anything did."""
        target = 1 + number % TOWERS
        if number % 3 == 2 and not self._removed:
            self._removed = [self._corpus / f"灯塔-{target:02d}.md"]
            self._removed[0].unlink()
        elif self._removed:
            self.tower(int(self._removed.pop().stem[-2:]), number + 1)
        else:
            self.tower(target, number + 1)
        return self._pressed() if number % 4 == 3 else self.build()

    def build(self) -> str:
        """``askai build`` as a process of its own, of ordinary priority."""
        done = subprocess.run([*ASKAI, "build"], check=False, cwd=self._folder, capture_output=True, encoding="utf-8")
        return f"askai build: {done.stderr}" if done.returncode else ""

    def _pressed(self) -> str:
        assert self._server is not None
        tab = Tab(self._server.port, events_of(self._server.port))
        try:
            report = tab.rebuild()
        except PageError as error:
            return f"rebuild on the page: {error}"
        return "" if 'class="wrong' not in report else f"rebuild on the page: {report[:300]}"


def rebuild_now_and_then(library: Library, seconds: float, rebuilds: int, record: Record) -> list[float]:
    """Spread the rebuilds over the time; returns how long each took."""
    begun = time.monotonic()
    took = []
    for number in range(rebuilds):
        time.sleep(max(0.0, begun + (number + 0.5) * seconds / rebuilds - time.monotonic()))
        started = time.monotonic()
        wrong = library.change(number)
        took.append(time.monotonic() - started)
        if wrong:
            record.errors.append(wrong)
    time.sleep(max(0.0, begun + seconds - time.monotonic()))
    return took


def check(record: Record, history: History) -> tuple[int, int, float]:
    """Compare every citation with what was stored; returns citations, late answers and the latest of them."""
    late = [0.0]
    for asked in record.asked:
        behind = history.behind(asked)
        if behind is None:
            record.errors.append(f"a citation that is not in the stored article: {asked.reply.citations}")
        elif behind > BEHIND_S:
            record.errors.append(f"an answer from a generation that was {behind:.1f} s old: {asked.reply.citations}")
        elif behind:
            late.append(behind)
    return sum(len(a.reply.citations) for a in record.asked), len(late) - 1, max(late)


def show(name: str, record: Record, history: History, cpu: float) -> None:
    """Print the figures of one part."""
    citations, late, latest = check(record, history)
    found = sum(a.reply.found for a in record.asked)
    print(
        f"{name}: {len(record.asked)} questions, {found} answered, {citations} citations checked, {len(record.errors)} errors; "
        f"p50 {record.milliseconds(0.5):.0f} ms, p95 {record.milliseconds(0.95):.0f} ms, longest {record.milliseconds(1):.0f} ms; "
        f"server {1000 * cpu / max(1, len(record.asked)):.0f} ms of processor a question"
    )
    if late:
        print(f"  {late} answers from the generation before while the new one was taken up, at most {latest:.2f} s after")
    for error, times in Counter(error[:300] for error in record.errors).most_common(10):
        print(f"  {times} × {error}")


def run(folder: Path, options: argparse.Namespace) -> int:
    """The whole run in ``folder``; returns the exit status."""
    library = Library(folder)
    for number in range(1, TOWERS + 1):
        library.tower(number, 0)
    wrong = library.build()
    if wrong:
        raise SystemExit(wrong)
    history = History(folder / "index")
    history.start()
    with serving(folder) as server:
        crowd = Crowd(server, options)
        try:
            time.sleep(options.warm_up)
            parts, cpu, took = (Record(), Record()), [server.cpu_seconds()], []
            for record, rebuilds in zip(parts, (0, options.rebuilds), strict=True):
                crowd.now = record
                took = rebuild_now_and_then(Library(folder, server), options.seconds, rebuilds, record)
                cpu.append(server.cpu_seconds())
        finally:
            crowd.leave()
            history.over.set()
            history.join()
        said = server.log.read_text("utf-8", "replace")
    still, busy = parts
    busy.errors += ["the server's log has a traceback:\n" + said[-1500:]] if "Traceback" in said else []
    show("without rebuilds", still, history, cpu[1] - cpu[0])
    show(f"with {options.rebuilds} rebuilds", busy, history, cpu[2] - cpu[1])
    print(f"generations written: {len(history.kept) - 1}; rebuilds took {min(took, default=0):.1f} to {max(took, default=0):.1f} s")
    ratio = busy.milliseconds(0.95) / max(1e-9, still.milliseconds(0.95))
    print(f"clients {options.clients}, thinking {options.think[0]:g} to {options.think[1]:g} s; p95 with rebuilds: {ratio:.2f} times that without")
    return int(bool(still.errors or busy.errors) or ratio >= 2 or len(history.kept) - 1 < options.rebuilds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rebuilds", type=int, default=20)
    parser.add_argument("--think", type=float, nargs=2, default=(2.0, 6.0), metavar=("LEAST", "MOST"))
    parser.add_argument("--turns", type=int, default=8, help="questions of a conversation")
    parser.add_argument("--warm-up", type=float, default=30.0, help="seconds that are not counted")
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent.parent / "corpus")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(options.corpus, Path(name) / "corpus")
        sys.exit(run(Path(name), options))


if __name__ == "__main__":
    main()
