"""Turn the plain text into arrays for pre-training: one command, about five minutes on two cores.

``python training/prepare_text.py --text ../shared/data/text --out WORK``

Writes ``vocab.json`` (characters and words, most frequent first) and ``chars.npy`` / ``words.npy``
/ ``marks.npy``: for every character of the sampled paragraphs its id, the id of the segmenter's
word around it, and its place in that word (0 begin, 1 middle, 2 end, 3 single).
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from askai.text import fold, words

SHARE = {"general": 0.85, "news": 0.85, "history": 0.35, "documentation": 0.2}
SPECIAL_CHARS = ["[PAD]", "[UNK]", "[MASK]", "[SEP]", "[ASK]"]
SPECIAL_WORDS = ["[PAD]", "[UNK]", "[MASK]"]
N_CHARS, N_WORDS = 7000, 48000


def sample(folder: Path, seed: int) -> list[str]:
    rng = random.Random(seed)
    paragraphs = []
    for name, share in SHARE.items():
        with lzma.open(folder / f"{name}.txt.xz", "rt", encoding="utf-8") as lines:
            paragraphs += [line.strip() for line in lines if len(line) > 40 and rng.random() < share]
    rng.shuffle(paragraphs)
    return paragraphs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    paragraphs = [fold(p) for p in sample(options.text, options.seed)]
    char_counts: Counter[str] = Counter()
    word_counts: Counter[str] = Counter()
    for paragraph in paragraphs[:250000]:
        char_counts.update(paragraph)
        word_counts.update(w for w, _ in words(paragraph) if 2 <= len(w) <= 6 and not w.isascii())
    chars = SPECIAL_CHARS + [c for c, _ in char_counts.most_common(N_CHARS - len(SPECIAL_CHARS))]
    vocabulary = SPECIAL_WORDS + [w for w, n in word_counts.most_common(N_WORDS - len(SPECIAL_WORDS)) if n > 3]
    (options.out / "vocab.json").write_text(
        json.dumps({"chars": chars, "words": vocabulary}, ensure_ascii=False), "utf-8"
    )
    char_id = {c: i for i, c in enumerate(chars)}
    word_id = {w: i for i, w in enumerate(vocabulary)}
    c_out, w_out, m_out = [], [], []
    for paragraph in paragraphs:
        c: list[int] = [char_id.get(ch, 1) for ch in paragraph]
        w: list[int] = []
        m: list[int] = []
        for word, _ in words(paragraph):
            n = len(word)
            w += [word_id.get(word, 1)] * n
            m += [3] if n == 1 else [0] + [1] * (n - 2) + [2]
        c_out.append(np.array([*c, 3], np.uint16))
        w_out.append(np.array([*w, 1], np.uint16))
        m_out.append(np.array([*m, 3], np.uint8))
    for name, arrays in (("chars", c_out), ("words", w_out), ("marks", m_out)):
        np.save(options.out / f"{name}.npy", np.concatenate(arrays))
    print(len(paragraphs), "paragraphs", sum(map(len, c_out)), "characters", len(chars), len(vocabulary))


if __name__ == "__main__":
    main()
