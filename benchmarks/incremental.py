"""Seconds from ``askai add`` and ``askai remove`` to the answer of a program that is running.

``python benchmarks/incremental.py [--passages 100000] [--files 20000] [--times 5]`` builds a corpus,
opens an ``Assistant`` over it, and then, again and again: starts ``askai add`` of one new article in a
new process and asks until it is cited, starts ``askai remove`` and asks until it is not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthetic import write_corpus

from askai.assistant import Assistant

ASKAI = [sys.executable, "-m", "askai"]


def seconds_until(reader: Assistant, question: str, id: str, *, cited: bool, command: list[str]) -> tuple[float, float]:
    """From the start of the command to the first answer that (no longer) cites; and its slowest question."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    slowest = 0.0
    while True:
        asked = time.perf_counter()
        answer = reader.ask(question)
        slowest = max(slowest, time.perf_counter() - asked)
        if any(c.article_id == id for c in answer.citations) == cited:
            break
        if time.perf_counter() - begun > 120:
            raise SystemExit("the change never came")
        time.sleep(0.02)
    taken = time.perf_counter() - begun
    if child.wait():
        raise SystemExit("the command failed")
    return taken, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the corpus and its index here, for another run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        corpus, index = folder / "corpus", folder / "index"
        where = ["--corpus", str(corpus), "--index", str(index)]
        if not (index / "CURRENT").exists():
            write_corpus(corpus, options.passages, options.files)
            begun = time.perf_counter()
            subprocess.run([*ASKAI, "build", str(corpus), "--index", str(index)], check=True, stdout=subprocess.DEVNULL)
            print(f"build: {time.perf_counter() - begun:.0f} s", flush=True)
        begun = time.perf_counter()
        subprocess.run([*ASKAI, "build", "--index", str(index)], check=True, stdout=subprocess.DEVNULL)
        print(f"build with nothing new: {time.perf_counter() - begun:.2f} s", flush=True)
        begun = time.perf_counter()
        reader = Assistant.open(index)
        print(f"open: {time.perf_counter() - begun:.2f} s, {len(reader._state.index)} passages", flush=True)
        added, removed = [], []
        for number in range(options.times):
            id = f"bench-{os.getpid()}-{number}"
            path = Path(name) / f"{id}.md"
            path.write_text(f"# 第{number}号观测站\n\n第{number}号观测站的站长叫钱雨桐{number}。\n", "utf-8")
            question = f"第{number}号观测站的站长叫什么？"
            added.append(seconds_until(reader, question, id, cited=True, command=[*ASKAI, "add", str(path), *where]))
            removed.append(seconds_until(reader, question, id, cited=False, command=[*ASKAI, "remove", id, *where]))
        for what, times in (("add", added), ("remove", removed)):
            taken = [t for t, _ in times]
            print(
                f"{what}, to the answer of a running assistant: median {statistics.median(taken):.2f} s, "
                f"worst {max(taken):.2f} s; slowest question meanwhile {max(s for _, s in times):.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
