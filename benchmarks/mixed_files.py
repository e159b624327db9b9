"""Two thousand files of every format, one in twenty of them broken: which are indexed, which are named?

    python benchmarks/mixed_files.py [--files 2000] [--broken 0.05] [--keep FOLDER]

Every good file holds a sentence of its own; each is asked for in the articles of the finished index.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from askai.assistant import Assistant
from making_files import (
    docx_file,
    epub_file,
    html_file,
    json_file,
    pdf_file,
    pptx_file,
    xlsx_file,
    zip_file,
)

MAKERS: Mapping[str, Callable[[str], bytes]] = {
    ".txt": lambda s: s.encode("gb18030"),
    ".md": lambda s: f"# 标题\n\n{s}\n".encode(),
    ".html": lambda s: html_file(body=s),
    ".pdf": lambda s: pdf_file([[s], ["第二页在这里。"]]),
    ".docx": lambda s: docx_file(body=s),
    ".pptx": lambda s: pptx_file(body=s),
    ".xlsx": lambda s: xlsx_file((("名称", "说明"), ("灯塔", s))),
    ".csv": lambda s: f"名称,说明\n灯塔,{s}\n".encode(),
    ".epub": lambda s: epub_file(chapters=(s, "第二章。")),
    ".json": lambda s: json_file({"title": "标题", "content": s}),
    ".jsonl": lambda s: json_file({"title": "标题", "content": s})[1:-1],
    ".zip": lambda s: zip_file({"文章.md": s}),
}
DAMAGED = {".pdf", ".docx", ".pptx", ".xlsx", ".epub", ".zip", ".json", ".jsonl"}


def _broken(data: bytes, suffix: str, dice: random.Random) -> bytes:
    kind = dice.choice(("empty", "noise", "cut"))
    if kind == "empty":
        return b""
    if kind == "noise" or suffix not in DAMAGED:
        return b"\x00\x01" + dice.randbytes(2000)
    return data[: len(data) // 2]


def make(folder: Path, count: int, share: float, dice: random.Random) -> tuple[dict[str, str], set[str]]:
    """The good files with their sentences, and the names of the broken ones."""
    bad = set(dice.sample(range(count), round(count * share)))
    good: dict[str, str] = {}
    broken: set[str] = set()
    for n in range(count):
        suffix = list(MAKERS)[n % len(MAKERS)]
        path = folder / f"{n % 20:02d}" / f"文章{n:05d}{suffix}"
        path.parent.mkdir(exist_ok=True, parents=True)
        sentence = f"第{n}号灯塔的代号是HB{n:05d}，建于{1800 + n % 200}年。"
        data = MAKERS[suffix](sentence)
        if n in bad:
            data = _broken(data, suffix, dice)
            broken.add(path.as_posix())
        else:
            good[path.as_posix()] = sentence
        path.write_bytes(data)
    return good, broken


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=2000)
    options.add_argument("--broken", type=float, default=0.05)
    options.add_argument("--seed", type=int, default=4)
    options.add_argument("--keep", type=Path, help="make the files here and leave them")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary) / "corpus"
        good, broken = make(folder, chosen.files, chosen.broken, random.Random(chosen.seed))
        begun = time.perf_counter()
        assistant, report = Assistant.build([folder], Path(temporary) / "index")
        seconds = time.perf_counter() - begun
        texts: dict[str, str] = {}
        for summary in assistant.articles():
            article = assistant.article(summary.id)
            home = next((p for p in (article.path, article.path.rsplit("/", 1)[0]) if p in good), article.path)
            texts[home] = texts.get(home, "") + article.text
    found = [path for path, sentence in good.items() if sentence in texts.get(path, "")]
    named = {failure.path for failure in report.failures if failure.reason.endswith("。")}
    print(f"files {chosen.files}: good {len(good)}, broken {len(broken)}")
    print(f"good ones indexed with their sentence: {len(found)} of {len(good)}")
    print(f"broken ones listed with a reason: {len(broken & named)} of {len(broken)}; others listed: {len(named - broken)}")
    print(f"build: {seconds:.1f} s, {report.articles} articles, {report.passages} passages")
    for reason, times in Counter(failure.reason for failure in report.failures).most_common():
        print(f"  {times:4d} × {reason[:100]}")
    for path in sorted(set(good) - set(found))[:10]:
        print("missing", path)
    sys.exit(len(found) != len(good) or not broken <= named)


if __name__ == "__main__":
    main()
