"""Train the static encoder that ships: ``python training/train_encoder.py --shared ../shared --out DIR``.

A bag of units (words, Han bigrams, codes, single characters) to the mean of their vectors, saved in
8 bits as a sentence-transformers ``StaticEmbedding``. A vector has two parts. The first is trained with
in-batch negatives (Henderson et al. 2017, "Efficient natural language response suggestion") under a
Matryoshka loss (Kusupati et al. 2022): it holds what texts mean. The second stays as drawn: a random
projection (Johnson and Lindenstrauss 1984) of the units weighted by their rarity (Sparck Jones 1972), which
tells texts apart by their words. Training wears that off, and a mean of trained vectors alone has lost it.

First on running text alone: a piece of a sentence, and the text around it without that sentence (the
inverse cloze task, Lee et al. 2019), from which units that no question holds get their meaning. Then on
pairs; after a third of these steps half of the batches are drawn from a few clusters of passages that the
table itself finds alike, so that negatives are hard (as in ANCE, Xiong et al. 2021, by batches). Units are
left out at random, so that no single one is relied on. More steps on the pairs learn them by heart.
``WORK/static_text.pt`` keeps what the first stage made. Training data only: see ``training/README.md``.
"""

from __future__ import annotations

import argparse
import random
import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.encoder import bag  # noqa: E402
from askai.text import sentences  # noqa: E402
from questions import NOT_USED, QUESTIONS, READING_SETS, load_pairs, passage_key, read_batch, read_rows  # noqa: E402
from texts import pieces, reword  # noqa: E402

DIMENSIONS, N_UNITS, SCALE, BATCH = 512, 60000, 20.0, 1024
SIZES = (512, 256, 128)
KEPT, DRAWN, WEIGHT, SHIPPED, SAMPLE = 256, 512, 0.7, 50000, 2000
"""Of the trained dimensions these ship, with so many as drawn; how many of the units; passages to weigh by."""
LONGEST = 300
"""Characters of a text that are looked at: passages have about 220."""
CLUSTERS, IN_BATCH = 640, 24
TEXTS = {"general": 1.0, "news": 1.0, "history": 0.5, "documentation": 0.3}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how a stage is trained; ``left_out`` are the shares of a question's and a passage's units."""

    steps: int
    rate: float
    left_out: tuple[float, float]
    clustered: bool


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
        (r["query"], r["positive"]) for r in read_rows(train / "pairs.jsonl.xz") if r["source"] not in NOT_USED
    ]
    # Not CMRC's trial part: calibrate.py fits on it, and its cosines should be those of unseen questions.
    known = load_pairs(train / "pairs.jsonl.xz")
    written = [
        q for folder in sorted(QUESTIONS.glob("batch-*")) for q in read_batch(folder, known) if not isinstance(q, str)
    ]
    held_out = {q.passage_key for q in written if q.held_out}
    for name in READING_SETS:
        for r in read_rows(train / f"{name}.jsonl.xz"):
            if passage_key(r["context"]) in held_out:
                continue
            text = around(r["context"], max(0, r["context"].find(r["answers"][0]["text"])))
            pairs.append((r["question"], r["title"] + "\n" + text))
            pairs.append((reword(r["question"], rng), r["title"] + "\n" + text))
    for q in written:
        if q.answer and not q.held_out and not q.previous:
            pairs += [(x, q.title + "\n" + q.passage) for x in (q.question, *(reword(q.question, rng) for _ in range(2)))]
    pairs = list(dict.fromkeys(pairs))
    rng.shuffle(pairs)
    return pairs


def text_pairs(shared: Path, rng: random.Random) -> list[tuple[str, str]]:
    """A piece of a sentence with the text around it, from running text."""
    pairs = []
    for name, share in TEXTS.items():
        for piece in pieces(shared / "data" / "text" / f"{name}.txt.xz", lambda: 120):
            if rng.random() < share:
                pairs.append(_inverse_cloze(piece[:500], rng))
    rng.shuffle(pairs)
    return [pair for pair in pairs if pair[0]]


def _inverse_cloze(text: str, rng: random.Random) -> tuple[str, str]:
    spans = sentences(text)
    if len(spans) < 2:
        return "", ""
    begin, end = spans[rng.randrange(len(spans))]
    # About as long as a question; one in ten keeps its sentence, so that shared words count as well.
    length = rng.randint(8, 40)
    left = rng.randint(begin, max(begin, end - length))
    rest = text if rng.random() < 0.1 else text[:begin] + text[end:]
    return text[left : min(end, left + length)], rest[:LONGEST]


def number(pairs: list[tuple[str, str]]) -> list[str]:
    """The units kept, most frequent first; the first stands for all others."""
    counts: Counter[str] = Counter()
    for pair in pairs:
        for text in pair:
            counts.update(bag(text[:LONGEST]))
    return ["[UNK]", *(unit for unit, _ in counts.most_common(N_UNITS - 1))]


def numbered(pairs: list[tuple[str, str]], vocabulary: list[str]) -> list[tuple[array, array]]:
    """Every text as an array of the numbers of its units."""
    kept = {unit: i for i, unit in enumerate(vocabulary)}
    return [
        tuple(array("I", [kept[u] for u in bag(text[:LONGEST]) if u in kept] or [0]) for text in pair) for pair in pairs
    ]


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


def rarity(bags: Sequence[tuple[array, array]]) -> Tensor:
    """How rare each unit is, the mean being 1; float (N_UNITS,)."""
    counts = np.bincount(np.concatenate([np.asarray(b) for pair in bags for b in pair]), minlength=N_UNITS)
    rare = torch.log1p(torch.from_numpy(2 * len(bags) / (counts + 1.0))).float()
    return rare / rare.mean()


def new_table(rare: Tensor, seed: int) -> torch.nn.EmbeddingBag:
    torch.manual_seed(seed)
    table = torch.nn.EmbeddingBag(N_UNITS, DIMENSIONS, mode="mean", padding_idx=0)
    torch.nn.init.normal_(table.weight, std=0.1)
    table.weight.data *= rare[:, None]
    return table


def in_two_parts(table: Tensor, rare: Tensor, passages: Sequence[array], seed: int) -> Tensor:
    """Float (SHIPPED, KEPT + DRAWN): trained dimensions, and as drawn, ``WEIGHT`` times as long in ``passages``."""
    ids, offsets = flat(passages)

    def of_length_one(part: Tensor) -> Tensor:
        part[0] = 0.0
        return part / F.embedding_bag(ids, part, offsets, mode="sum").norm(dim=1).median()

    as_drawn = torch.randn(N_UNITS, DRAWN, generator=torch.Generator().manual_seed(seed)) * rare[:, None]
    rows = torch.cat([of_length_one(table[:, :KEPT].clone()), WEIGHT * of_length_one(as_drawn)], 1)[:SHIPPED]
    # Next to nothing for a unit never seen: it moves no mean, yet a text of such units has a direction.
    rows[0, 0] = 1e-9 * rows.abs().max()
    return rows


def train(
    table: torch.nn.EmbeddingBag, bags: list[tuple[array, array]], texts: list[int], plan: Plan, seed: int
) -> None:
    """``texts`` numbers the passages: a pair with the same one is no negative."""
    # Dense gradients: on a CPU six times as fast as sparse ones at this size.
    optimiser = torch.optim.Adam(table.parameters(), lr=plan.rate, fused=True)
    steps = plan.steps
    chance = np.random.default_rng(seed)
    rng, running = random.Random(seed), 0.0
    groups: list[list[int]] = []
    due = [0.33, 0.66] if plan.clustered else []
    for step in range(steps):
        share = step / steps
        if due and share > due[0]:
            due.pop(0)
            groups = clusters(table, bags)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * max(0.02, 1 - share)
        numbers = drawn(groups if rng.random() < 0.5 else [], len(bags), rng)
        q = table(*flat(thinned([bags[i][0] for i in numbers], plan.left_out[0], chance)))
        p = table(*flat(thinned([bags[i][1] for i in numbers], plan.left_out[1], chance)))
        same = torch.tensor([texts[i] for i in numbers])
        other = (same[:, None] == same[None, :]) & ~torch.eye(len(numbers), dtype=torch.bool)
        target = torch.arange(len(numbers))
        loss = torch.zeros(())
        for size in SIZES:
            scores = SCALE * F.normalize(q[:, :size], dim=1) @ F.normalize(p[:, :size], dim=1).T
            scores = scores.masked_fill(other, -1e4)
            loss = loss + F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step} of {steps} loss {running:.3f}", flush=True)


def save(rows: Tensor, vocabulary: list[str], out: Path) -> None:
    from safetensors.numpy import save_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = Tokenizer(WordLevel({u: i for i, u in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    weights = rows.numpy()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights), Normalize()])
    model.save(str(out), safe_serialization=True)
    # The layout of model2vec, which StaticEmbedding opens: 8 bits, and what each row is multiplied by.
    scale = np.abs(weights).max(1) / 127
    whole = np.round(weights / scale[:, None]).astype(np.int8)
    save_file({"embeddings": whole, "weights": scale.astype(np.float32)}, out / "model.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--text-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--rate", type=float, default=0.003, help="highest learning rate on the pairs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs = training_pairs(options.shared, random.Random(options.seed))
    checkpoint = options.work / "static_text.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        vocabulary = state["vocabulary"]
        table = new_table(torch.ones(N_UNITS), options.seed)
        table.load_state_dict(state["table"])
    else:
        texts = text_pairs(options.shared, random.Random(options.seed))
        # Each kind counts about the same for the choice of the units.
        vocabulary = number(pairs + texts[: len(pairs)])
        bags = numbered(texts, vocabulary)
        table = new_table(rarity(bags), options.seed)
        print(len(bags), "pieces of text", len(vocabulary), "units", flush=True)
        train(table, bags, list(range(len(bags))), Plan(options.text_steps, 0.01, (0.2, 0.3), False), options.seed)
        torch.save({"vocabulary": vocabulary, "table": table.state_dict()}, checkpoint)
    bags = numbered(pairs, vocabulary)
    print(len(bags), "pairs", flush=True)
    known: dict[str, int] = {}
    passages = [known.setdefault(passage, len(known)) for _, passage in pairs]
    train(table, bags, passages, Plan(options.steps, options.rate, (0.2, 0.5), True), options.seed)
    sample = [passage for _, passage in bags[:SAMPLE]]
    rows = in_two_parts(table.weight.detach(), rarity(bags), sample, options.seed)
    save(rows, vocabulary[:SHIPPED], options.out)


if __name__ == "__main__":
    main()
