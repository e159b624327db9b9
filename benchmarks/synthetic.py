"""A corpus of any size out of the sentences and words of the articles that ship."""

from __future__ import annotations

import random
from pathlib import Path

from askai.corpus import read_article
from askai.text import fold, sentences, words

CORPUS = Path(__file__).parent.parent / "corpus"
PASSAGE = 225
"""Characters that come to about one passage."""


class Writer:
    """Writes texts whose vocabulary grows with their number, as that of real texts does."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        texts = [read_article(path, path.stem).text for path in sorted(CORPUS.glob("*.md"))]
        self._words = [word for text in texts for word, _ in words(fold(text)) if word.strip()]
        self._lengths = [end - start for text in texts for start, end in sentences(text) if end - start > 8]

    def sentence(self) -> str:
        length, parts = self._random.choice(self._lengths), []
        while sum(map(len, parts)) < length:
            at = self._random.randrange(len(self._words) - 4)
            parts.append("".join(self._words[at : at + self._random.randint(1, 4)]))
        return "".join(parts).replace("\n", "") + "。"

    def text(self, characters: int) -> str:
        out: list[str] = []
        size = 0
        while size < characters:
            out.append(self.sentence())
            size += len(out[-1])
            if self._random.random() < 0.1:
                out.append("\n\n")
        return "".join(out)


def write_corpus(folder: Path, passages: int, files: int) -> None:
    """About ``passages`` passages over ``files`` files, in folders of a thousand."""
    writer = Writer()
    for number in range(files):
        home = folder / f"{number // 1000:03d}"
        home.mkdir(parents=True, exist_ok=True)
        body = writer.text(passages * PASSAGE // files)
        (home / f"{number:06d}.md").write_text(f"# 文章{number}\n\n{body}\n", "utf-8")
