"""Train the static encoder that ships: ``python training/train_encoder.py --shared ../shared --out DIR``.

A bag of units (words, Han bigrams, codes, single characters) to the mean of their vectors, trained
with in-batch negatives (Henderson et al. 2017, "Efficient natural language response suggestion")
under a Matryoshka loss (Kusupati et al. 2022), and saved as a sentence-transformers
``StaticEmbedding``. Units are left out at random, so that no single one is relied on. After a third
of the steps half of the batches are drawn from a few clusters of passages that the table itself finds
alike, so that negatives are hard (as in ANCE, Xiong et al. 2021, by batches). Ten minutes on one core:
more steps learn the pairs by heart. Training data only: see ``training/README.md``.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.encoder import bag  # noqa: E402
from askai.synonyms import lexicon  # noqa: E402
from askai.text import fold, sentences  # noqa: E402
from questions import QUESTIONS, load_pairs, read_batch  # noqa: E402

DIMENSIONS, N_UNITS, SCALE, BATCH = 256, 60000, 20.0, 1024
CLUSTERS, IN_BATCH = 640, 24
RATE, LEFT_OUT_OF_QUESTIONS, LEFT_OUT_OF_PASSAGES = 0.005, 0.2, 0.5
# Text of third parties, and a set some questions of which stand in an evaluation set.
NOT_USED = frozenset({"xwlb", "classical_modern", "crud_news", "dureader2_demo"})


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
    pairs = [
        (r["query"], r["positive"]) for r in rows(train / "pairs.jsonl.xz") if r["source"] not in NOT_USED
    ]
    # Not CMRC's trial part: calibrate.py fits on it, and its cosines should be those of unseen questions.
    for name in ("cmrc2018_train", "drcd_train_part"):
        for r in rows(train / f"{name}.jsonl.xz"):
            text = around(r["context"], max(0, r["context"].find(r["answers"][0]["text"])))
            pairs.append((r["question"], r["title"] + "\n" + text))
            pairs.append((reword(r["question"], rng), r["title"] + "\n" + text))
    known = load_pairs(train / "pairs.jsonl.xz")
    for folder in sorted(QUESTIONS.glob("batch-*")):
        for q in read_batch(folder, known):
            if not isinstance(q, str) and q.answer and not q.held_out and not q.previous:
                pairs += [(x, q.title + "\n" + q.passage) for x in (q.question, *(reword(q.question, rng) for _ in range(2)))]
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
    pairs = list(dict.fromkeys(pairs))
    rng.shuffle(pairs)
    return pairs


def reword(question: str, rng: random.Random) -> str:
    """Replace half of the words that have stand-ins in the lexicon."""
    folded, out, last = fold(question), [], 0
    for start, end, numbers in lexicon().find(folded):
        if start >= last and end - start > 1 and rng.random() < 0.5:
            words = [w for n in sorted(numbers) for w in lexicon().groups[n]]
            out += [folded[last:start], rng.choice(words)]
            last = end
    return "".join([*out, folded[last:]])


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


def flat(bags: Sequence[array | np.ndarray]) -> tuple[Tensor, Tensor]:
    offsets = np.cumsum([0] + [len(b) for b in bags[:-1]])
    return torch.from_numpy(np.concatenate(bags).astype(np.int64)), torch.from_numpy(offsets)


def thinned(bags: list[array], share: float, rng: np.random.Generator) -> list[np.ndarray]:
    """The bags without about ``share`` of their units, never empty."""
    found = []
    for bag_ in bags:
        ids = np.asarray(bag_)
        kept = ids[rng.random(len(ids)) >= share]
        found.append(kept if len(kept) else ids)
    return found


def clusters(table: torch.nn.EmbeddingBag, bags: list[tuple[array, array]]) -> list[list[int]]:
    """Pairs whose passages are alike: k-means over the vectors of the passages."""
    import faiss

    with torch.no_grad():
        parts = [
            F.normalize(table(*flat([b[1] for b in bags[i : i + 8192]])), dim=1) for i in range(0, len(bags), 8192)
        ]
    vectors = torch.cat(parts).numpy()
    means = faiss.Kmeans(DIMENSIONS, CLUSTERS, niter=8, seed=3, spherical=True, max_points_per_centroid=64)
    means.train(vectors)
    _, nearest = means.index.search(vectors, 1)
    groups: list[list[int]] = [[] for _ in range(CLUSTERS)]
    for i, group in enumerate(nearest[:, 0].tolist()):
        groups[group].append(i)
    return [group for group in groups if len(group) > 1]


def drawn(groups: list[list[int]], n: int, rng: random.Random) -> list[int]:
    """Numbers of a batch's pairs: of a few clusters, or of all where there are none yet."""
    if not groups:
        return rng.sample(range(n), BATCH)
    chosen = rng.choices(groups, [len(g) for g in groups], k=IN_BATCH)
    return list(dict.fromkeys(rng.choice(g) for g in chosen for _ in range(BATCH // IN_BATCH)))


def train(
    bags: list[tuple[array, array]], texts: list[int], steps: int, seed: int
) -> torch.nn.EmbeddingBag:
    """``texts`` numbers the passages: a pair with the same one is no negative."""
    torch.manual_seed(seed)
    # Dense gradients: on a CPU six times as fast as sparse ones at this size.
    table = torch.nn.EmbeddingBag(N_UNITS, DIMENSIONS, mode="mean", padding_idx=0)
    torch.nn.init.normal_(table.weight, std=0.1)
    optimiser = torch.optim.Adam(table.parameters(), lr=RATE, fused=True)
    chance = np.random.default_rng(seed)
    rng, running = random.Random(seed), 0.0
    groups: list[list[int]] = []
    due = [0.33, 0.66]
    for step in range(steps):
        share = step / steps
        if due and share > due[0]:
            due.pop(0)
            groups = clusters(table, bags)
        for group in optimiser.param_groups:
            group["lr"] = RATE * max(0.02, 1 - share)
        numbers = drawn(groups if rng.random() < 0.5 else [], len(bags), rng)
        q = table(*flat(thinned([bags[i][0] for i in numbers], LEFT_OUT_OF_QUESTIONS, chance)))
        p = table(*flat(thinned([bags[i][1] for i in numbers], LEFT_OUT_OF_PASSAGES, chance)))
        same = torch.tensor([texts[i] for i in numbers])
        other = (same[:, None] == same[None, :]) & ~torch.eye(len(numbers), dtype=torch.bool)
        target = torch.arange(len(numbers))
        loss = torch.zeros(())
        for size in (DIMENSIONS, DIMENSIONS // 2):
            scores = SCALE * F.normalize(q[:, :size], dim=1) @ F.normalize(p[:, :size], dim=1).T
            scores = scores.masked_fill(other, -1e4)
            loss = loss + F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step} of {steps} loss {running:.3f}", flush=True)
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
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs = training_pairs(options.shared, random.Random(options.seed))
    vocabulary, bags = number(pairs)
    print(len(bags), "pairs", len(vocabulary), "units", flush=True)
    known: dict[str, int] = {}
    texts = [known.setdefault(passage, len(known)) for _, passage in pairs]
    save(train(bags, texts, options.steps, options.seed), vocabulary, options.out)


if __name__ == "__main__":
    main()
