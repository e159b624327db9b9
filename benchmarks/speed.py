"""Times that a user feels, over the CMRC pool or any data sets in its format.

``python benchmarks/speed.py DATASET [MORE …] [--questions 300]`` writes every context as a Markdown
file with its title, then times ``askai build`` of the folder, ``askai ask --batch`` on one core,
a cold ``askai ask`` over the default index, and the chat page from process start to its first
complete load. Each figure is the median of its repetitions, in milliseconds or seconds as named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from askai.corpus import load
from askai.datasets import read_dataset
from askai.encoder import load_encoder
from askai.passages import split

ASKAI = [sys.executable, "-m", "askai"]
ONE_CORE = ["taskset", "-c", "0"] if shutil.which("taskset") else []


def write_pool(files: list[Path], folder: Path) -> list[str]:
    """Write each distinct context once; return the questions of the first file."""
    seen: set[str] = set()
    questions: list[str] = []
    for number, path in enumerate(files):
        for example in read_dataset(path):
            if number == 0:
                questions.append(example.question)
            if example.context not in seen:
                seen.add(example.context)
                title = json.dumps(example.title, ensure_ascii=False)
                (folder / f"{len(seen):05d}.md").write_text(f"---\ntitle: {title}\n---\n{example.context}", "utf-8")
    return questions


def timed(command: list[str], **options: object) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter() - begun


def batch_p50(index: Path, questions: list[str], folder: Path) -> tuple[float, float]:
    """Median and 95th percentile of ``elapsed_ms``, the first ten questions left out as warm-up."""
    lines = [json.dumps({"id": str(i), "question": q}, ensure_ascii=False) for i, q in enumerate(questions)]
    batch = folder / "batch.jsonl"
    batch.write_text("\n".join(lines) + "\n", "utf-8")
    env = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    out = subprocess.run(
        [*ONE_CORE, *ASKAI, "ask", "--batch", str(batch), "--index", str(index)],
        check=True, capture_output=True, text=True, env=env,
    ).stdout
    times = sorted(json.loads(line)["elapsed_ms"] for line in out.splitlines()[10:])
    return statistics.median(times), times[int(0.95 * len(times))]


def passages_a_second(articles: Path) -> float:
    """Passages that the encoder turns into vectors in a second, cutting text into units included; one process."""
    encoder = load_encoder(None)
    texts = [
        f"{a.title}\n{a.text[p.start : p.end]}" for a in load([articles])[0] for p in split(a)
    ]
    encoder.encode_passages(texts[:64])
    begun = time.perf_counter()
    for i in range(0, len(texts), 256):
        encoder.encode_passages(texts[i : i + 256])
    return len(texts) / (time.perf_counter() - begun)


def page_seconds(corpus: Path, index: Path) -> float:
    """From process start until the page and its configuration are served."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*ASKAI, "chat", "--corpus", str(corpus), "--index", str(index), "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - begun < 60:
            try:
                for path in ("/", "/config"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read()
                return time.perf_counter() - begun
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise SystemExit("the page did not come up within a minute")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--corpus", type=Path, default=Path("corpus"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        articles, index, small = folder / "articles", folder / "index", folder / "small"
        articles.mkdir()
        questions = write_pool(options.datasets, articles)
        build = timed([*ASKAI, "build", str(articles), "--index", str(index)])
        print(f"build of {len(list(articles.iterdir()))} articles: {build:.1f} s", flush=True)
        print(f"encoding, one process: {passages_a_second(articles):.0f} passages a second", flush=True)
        p50, p95 = batch_p50(index, questions[: options.questions], folder)
        print(f"ask in a batch, one core: p50 {p50:.1f} ms, p95 {p95:.1f} ms", flush=True)
        subprocess.run([*ASKAI, "build", str(options.corpus), "--index", str(small)], check=True, stdout=subprocess.DEVNULL)
        cold = [timed([*ASKAI, "ask", "Aura 的视场角是多少？", "--index", str(small)]) for _ in range(5)]
        print(f"cold ask, default index: {statistics.median(cold):.2f} s", flush=True)
        page = [page_seconds(options.corpus, small) for _ in range(3)]
        print(f"chat page usable: {statistics.median(page):.2f} s", flush=True)


if __name__ == "__main__":
    main()
