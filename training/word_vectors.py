"""Vectors of words and characters to start the reader from: ``python training/word_vectors.py --work WORK``.

Skip-gram with negative sampling (Mikolov et al. 2013) over what ``prepare_text.py`` wrote. Words of
two characters and more are units of their own; all else, and every eighth paragraph as a whole, is
taken by characters. Writes ``WORK/vectors.npz``: ``chars`` and ``words``, float32 (vocabulary, 128),
zero for what was not seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from gensim.models import Word2Vec

DIMENSIONS = 128
FIRST_CHAR, FIRST_WORD = 5, 3
SEPARATOR = 3


def write_units(work: Path, target: Path) -> None:
    """A line a paragraph, units named ``c<id>`` and ``w<id>``."""
    chars, words, marks = (np.load(work / f"{n}.npy", mmap_mode="r") for n in ("chars", "words", "marks"))
    ends = np.flatnonzero(chars == SEPARATOR)
    begin = 0
    with target.open("w", encoding="ascii") as out:
        for number, end in enumerate(ends.tolist()):
            c, w, m = chars[begin:end].tolist(), words[begin:end].tolist(), marks[begin:end].tolist()
            begin = end + 1
            if number % 8 == 0:
                out.write(" ".join(f"c{x}" for x in c if x >= FIRST_CHAR) + "\n")
            units = []
            for x, y, mark in zip(c, w, m, strict=True):
                if y >= FIRST_WORD:
                    if mark == 0:
                        units.append(f"w{y}")
                elif x >= FIRST_CHAR:
                    units.append(f"c{x}")
            # gensim cuts lines at 10,000 units; paragraphs are far shorter.
            out.write(" ".join(units) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    units = options.work / "units.txt"
    write_units(options.work, units)
    model = Word2Vec(
        corpus_file=str(units), vector_size=DIMENSIONS, window=5, min_count=4, sg=1, negative=5, sample=1e-4,
        epochs=options.rounds, workers=options.threads, seed=4,
    )
    vocabulary = json.loads((options.work / "vocab.json").read_text("utf-8"))
    found = {}
    for letter, name in (("c", "chars"), ("w", "words")):
        table = np.zeros((len(vocabulary[name]), DIMENSIONS), np.float32)
        for unit, row in model.wv.key_to_index.items():
            if unit[0] == letter:
                table[int(unit[1:])] = model.wv.vectors[row]
        found[name] = table
        print(name, int((table != 0).any(1).sum()), "of", len(table), flush=True)
    np.savez(options.work / "vectors.npz", **found)
    for word in ("发售", "开卖", "价格", "推迟", "医生"):
        unit = f"w{vocabulary['words'].index(word)}" if word in vocabulary["words"] else ""
        if unit in model.wv:
            near = [vocabulary["words"][int(u[1:])] for u, _ in model.wv.most_similar(unit, topn=12) if u[0] == "w"]
            print(word, *near, flush=True)


if __name__ == "__main__":
    main()
