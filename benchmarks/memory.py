"""Peak memory of a build, and the same for the same passages in ten times as many files.

``python benchmarks/memory.py [--passages 100000] [--files 2000]`` writes the corpora, builds each in
a process of its own by ``askai build``, and prints the largest resident set that this process had.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from synthetic import write_corpus


def peak_of_build(corpus: Path, index: Path) -> tuple[float, float]:
    """Peak resident memory in MB and seconds of one cold build."""
    begun = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "askai", "build", str(corpus), "--index", str(index)], os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit("the build failed")
    scale = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * scale / 1e6, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=2_000)
    options = parser.parse_args()
    for files in (options.files, options.files * 10):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_corpus(folder / "corpus", options.passages, files)
            peak, seconds = peak_of_build(folder / "corpus", folder / "index")
            generation = folder / "index" / (folder / "index" / "CURRENT").read_text("utf-8")
            passages = json.loads((generation / "manifest.json").read_bytes())["passages"]
            print(f"{passages} passages in {files} files: peak {peak:.0f} MB, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
