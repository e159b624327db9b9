"""Train the static encoder that ships: ``python training/train_encoder.py --shared ../shared --out DIR``.

A bag of units (words, Han bigrams, codes, single characters) to the mean of their vectors, trained
with in-batch negatives (Henderson et al. 2017, "Efficient natural language response suggestion")
under a Matryoshka loss (Kusupati et al. 2022), and saved as a sentence-transformers
``StaticEmbedding``. Minutes on two cores. Training data only: see ``training/README.md``.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import sys
import time
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.encoder import bag  # noqa: E402
from askai.text import sentences  # noqa: E402
from questions import QUESTIONS, load_pairs, read_batch  # noqa: E402

DIMENSIONS, N_UNITS, SCALE, BATCH = 256, 60000, 20.0, 1024


def rows(path: Path) -> list[dict]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def around(context: str, start: int, width: int = 220) -> str:
    """A stretch of whole sentences of about ``width`` characters around an offset."""
    spans = sentences(context)
    i = next((k for k, (_, end) in enumerate(spans) if end > start), 0)
    left = right = i
    while spans[right][1] - spans[left][0] < width and (left > 0 or right + 1 < len(spans)):
        if left > 0:
            left -= 1
        if right + 1 < len(spans):
            right += 1
    return context[spans[left][0] : spans[right][1]]


def training_pairs(shared: Path, rng: random.Random) -> list[tuple[str, str]]:
    train = shared / "data" / "train"
    pairs = [(r["query"], r["positive"]) for r in rows(train / "pairs.jsonl.xz")]
    for name in ("cmrc2018_train", "cmrc2018_trial", "drcd_train_part"):
        for r in rows(train / f"{name}.jsonl.xz"):
            text = around(r["context"], max(0, r["context"].find(r["answers"][0]["text"])))
            pairs += [(r["question"], r["title"] + "\n" + text)] * 3
    known = load_pairs(train / "pairs.jsonl.xz")
    for folder in sorted(QUESTIONS.glob("batch-*")):
        for q in read_batch(folder, known):
            if not isinstance(q, str) and q.answer and not q.held_out and not q.previous:
                pairs += [(q.question, q.title + "\n" + q.passage)] * 4
    for name, share in (("news", 0.35), ("general", 0.06), ("history", 0.2)):
        with lzma.open(shared / "data" / "text" / f"{name}.txt.xz", "rt", encoding="utf-8") as lines:
            for line in lines:
                if len(line) < 120 or rng.random() > share:
                    continue
                spans = sentences(line.strip())
                if len(spans) >= 3:
                    begin, end = spans[rng.randrange(len(spans))]
                    keep = rng.random() < 0.1
                    rest = line if keep else line[:begin] + line[end:]
                    pairs.append((line[begin:end], rest[:400]))
    rng.shuffle(pairs)
    return pairs


def number(pairs: list[tuple[str, str]]) -> tuple[list[str], list[tuple[array, array]]]:
    """The units kept, most frequent first, and every text as an array of their numbers."""
    seen: dict[str, int] = {}
    counts: Counter[int] = Counter()
    first: list[tuple[array, array]] = []
    for pair in pairs:
        both = tuple(array("I", [seen.setdefault(u, len(seen)) for u in bag(text[:400])]) for text in pair)
        for ids in both:
            counts.update(set(ids))
        first.append(both)
    kept = {unit: i + 1 for i, (unit, _) in enumerate(counts.most_common(N_UNITS - 1))}
    names = list(seen)
    vocabulary = ["[UNK]", *(names[unit] for unit in kept)]
    bags = [tuple(array("I", [kept[u] for u in ids if u in kept] or [0]) for ids in both) for both in first]
    return vocabulary, bags


def flat(bags: list[array]) -> tuple[Tensor, Tensor]:
    offsets = np.cumsum([0] + [len(b) for b in bags[:-1]])
    return torch.from_numpy(np.concatenate(bags).astype(np.int64)), torch.from_numpy(offsets)


def train(bags: list[tuple[array, array]], minutes: float, seed: int) -> torch.nn.EmbeddingBag:
    torch.manual_seed(seed)
    table = torch.nn.EmbeddingBag(N_UNITS, DIMENSIONS, mode="mean", sparse=True, padding_idx=0)
    torch.nn.init.normal_(table.weight, std=0.1)
    optimiser = torch.optim.SparseAdam(table.parameters(), lr=0.01)
    rng, begun, step, running = random.Random(seed), time.monotonic(), 0, 0.0
    while (share := (time.monotonic() - begun) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 0.01 * max(0.02, 1 - share)
        batch = rng.sample(bags, BATCH)
        q = table(*flat([b[0] for b in batch]))
        p = table(*flat([b[1] for b in batch]))
        loss = torch.zeros(())
        for size in (DIMENSIONS, DIMENSIONS // 2):
            scores = SCALE * F.normalize(q[:, :size], dim=1) @ F.normalize(p[:, :size], dim=1).T
            target = torch.arange(BATCH)
            loss = loss + F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step} share {share:.2f} loss {running:.3f}", flush=True)
    return table


def save(table: torch.nn.EmbeddingBag, vocabulary: list[str], out: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = Tokenizer(WordLevel({u: i for i, u in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    # Next to nothing for a unit never seen: it moves no mean, yet a text of such units has a direction.
    table.weight.data[0] = 0.0
    table.weight.data[0, 0] = 1e-3
    weights = table.weight.detach().half().float().numpy()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights), Normalize()])
    model.half().save(str(out), safe_serialization=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs = training_pairs(options.shared, random.Random(options.seed))
    vocabulary, bags = number(pairs)
    print(len(bags), "pairs", len(vocabulary), "units", flush=True)
    save(train(bags, options.minutes, options.seed), vocabulary, options.out)


if __name__ == "__main__":
    main()
