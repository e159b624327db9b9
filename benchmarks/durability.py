"""``kill -9`` at a random moment of a build, add, remove or undo, again and again, while a reader asks.

``python benchmarks/durability.py [--times 200] [--articles 40] [--seed 1]``. Each time a process begins
one operation and is killed after a random part of the time that the operation takes. Then the index
must be whole (``verify``), must be either what served before or what the operation makes, and the next
build must succeed and agree with the files. All the while another process asks a question whose
article never changes, and counts questions that fail or do not cite it.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from synthetic import Writer

from askai.corpus import read_article
from askai.encoder import load_encoder
from askai.errors import AskaiError
from askai.generations import Before
from askai.library import Library

_READER = """
import sys, threading
from pathlib import Path
from askai.assistant import Assistant
reader = Assistant.open(Path(sys.argv[1]))
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
print("open", flush=True)
asked = failed = 0
seen = set()
while not stop.is_set():
    asked += 1
    try:
        answer = reader.ask("白石灯塔是谁主持修建的？")
        seen.add(reader.generation)
        if not any(c.article_id == "lighthouse" and "周怀远" in c.quote for c in answer.citations):
            failed += 1
    except Exception as error:
        failed += 1
        print(type(error).__name__, error, file=sys.stderr, flush=True)
print(asked, failed, len(seen), flush=True)
"""


class Trial:
    """A corpus, its index, and the operations that are killed."""

    def __init__(self, home: Path, articles: int, seed: int) -> None:
        self.home, self.random, self.writer = home, random.Random(seed), Writer(seed)
        self.library = Library(home / "corpus", home / "index")
        self.library.corpus.mkdir()
        lighthouse = "# 白石灯塔小史\n\n白石灯塔建于1887年，由匠人周怀远主持修建，塔高31米。\n"
        (self.library.corpus / "lighthouse.md").write_text(lighthouse, "utf-8")
        for number in range(articles):
            self.write(f"a{number}")
        self.library.build()
        self.durations: dict[str, float] = {}

    def write(self, name: str) -> Path:
        path = self.library.corpus / f"{name}.md"
        path.write_text(f"# {name}\n\n{self.writer.text(self.random.randint(200, 4000))}", "utf-8")
        return path

    def names(self) -> list[str]:
        return sorted(p.stem for p in self.library.corpus.glob("a*.md"))

    def prepare(self, kind: str, number: int) -> Callable[[], object]:
        """Make ready what the operation needs; returns the operation."""
        if kind == "add":
            path = self.home / f"added-{number}.md"
            path.write_text(f"# 加入{number}\n\n{self.writer.text(1500)}", "utf-8")
            return lambda: self.library.add([path])
        if kind == "remove":
            self.library.build()
            name = self.random.choice(self.names())
            return lambda: self.library.remove([name])
        if kind == "undo":
            self.library.build()
            self.library.remove([self.random.choice(self.names())])
            return self.library.undo
        for _ in range(self.random.randint(1, 4)):
            self.write(self.random.choice([*self.names(), f"a{number + 1000}"]))
        return self.library.build

    def killed(self, operation: Callable[[], object], after: float | None) -> bool:
        """Whether the operation had not ended when it was killed; without a time it is let go on."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                operation()
                code = 0
            finally:
                os._exit(code)
        if after is not None:
            time.sleep(after)
            os.kill(child, signal.SIGKILL)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    def digest(self) -> tuple[str, str]:
        before = Before.read(self.library.index, thoroughly=True)
        return before.name, str(before.manifest["corpus_digest"])

    def agrees(self) -> bool:
        """Whether the articles of the index are the files of the corpus."""
        live = Before.read(self.library.index, thoroughly=True).live()
        files = {
            path.relative_to(self.library.corpus).with_suffix("").as_posix(): path
            for path in self.library.corpus.glob("*.md")
        }
        return live.keys() == files.keys() and all(
            live[id][2].characters == len(read_article(path, id).text) for id, path in files.items()
        )


def one(trial: Trial, kind: str, number: int, counts: Counter[str]) -> None:
    operation = trial.prepare(kind, number)
    if kind not in trial.durations:
        begun = time.perf_counter()
        trial.killed(operation, after=None)
        trial.durations[kind] = time.perf_counter() - begun
        operation = trial.prepare(kind, number + 10_000)
    name, digest = trial.digest()
    if trial.killed(operation, trial.random.uniform(0, 1.3 * trial.durations[kind])):
        counts["killed before the end"] += 1
    now, other = trial.digest()
    counts["damaged indexes"] += bool(trial.library.verify())
    counts["swapped before the kill"] += now != name
    # Either generation, whole: the one before unchanged, or the next with another corpus.
    counts["wrong generations"] += (now == name) != (other == digest)
    try:
        trial.library.build()
        counts["failed later builds"] += not trial.agrees() or bool(trial.library.verify())
    except AskaiError as error:
        print(error, file=sys.stderr)
        counts["failed later builds"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--articles", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    load_encoder().encode_question("热身")
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), options.articles, options.seed)
        with subprocess.Popen(
            [sys.executable, "-c", _READER, str(trial.library.index)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as reader:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdout.readline()
            for number in range(options.times):
                one(trial, trial.random.choice(["build", "add", "remove", "undo"]), number, counts)
            reader.stdin.close()
            asked, failed, seen = map(int, reader.stdout.readline().split())
        left = list(trial.library.index.glob("tmp-*"))
    print(f"{options.times} times kill -9: {counts['killed before the end']} hit an operation at work, "
          f"{counts['swapped before the kill']} after its swap")
    print(f"questions asked meanwhile: {asked}, over {seen} generations; failed questions: {failed}")
    for what in ("wrong generations", "damaged indexes", "failed later builds"):
        print(f"{what}: {counts[what]}")
    print(f"folders left behind: {len(left)}")


if __name__ == "__main__":
    main()
