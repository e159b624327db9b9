"""Fine-tune the reader: ``python training/train_reader.py --shared ../shared --work WORK --minutes 70``.

Starts from ``WORK/pretrained.pt``, resumes from ``WORK/reader.pt`` (which ``import_reader.py`` can make). Each question comes with the
passage that answers it and with others that look right and do not (mined by BM25 over all training
passages, or from the same article); starts and ends are normalised over all of them together with
a "no answer" score (Clark and Gardner 2018), so that scores compare across passages. Words of the
questions are sometimes replaced by stand-ins of the lexicon, so that overlap alone does not pay.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import bm25s
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.passages import split  # noqa: E402
from askai.reading import Vocabulary, assemble  # noqa: E402
from askai.synonyms import lexicon  # noqa: E402
from askai.text import fold, units  # noqa: E402
from askai.types import Article  # noqa: E402
from questions import QUESTIONS, load_pairs, read_batch  # noqa: E402
from reader_model import Reader  # noqa: E402

QUESTIONS_PER_STEP = 18


@dataclass(frozen=True, slots=True)
class Example:
    """``passages[gold][start:end]`` answers the question; ``gold`` is -1 where none does."""

    question: str
    gold: int
    start: int
    end: int
    near: tuple[int, ...]
    """Rows of other passages of the same article."""
    own: bool
    held_out: bool


@dataclass(slots=True)
class Pool:
    titles: list[str]
    texts: list[str]
    examples: list[Example]
    mined: list[list[int]]


def _add_article(pool: Pool, known: dict[str, list[tuple[int, int, int]]], title: str, text: str):
    """Rows and offsets ``(row, start, end)`` of an article's passages, added once."""
    if text not in known:
        known[text] = []
        for p in split(Article("", title, "", text)):
            known[text].append((len(pool.texts), p.start, p.end))
            pool.titles.append(title)
            pool.texts.append(text[p.start : p.end])
    return known[text]


def _example(rows, question: str, start: int, end: int, own: bool, held_out: bool) -> Example | None:
    if start < 0:
        near = tuple(r for r, _, _ in rows)
        return Example(question, -1, -1, -1, near, own, held_out)
    for row, a, b in rows:
        if a <= start and end <= b:
            near = tuple(r for r, _, _ in rows if r != row)
            return Example(question, row, start - a, end - a, near, own, held_out)
    return None


def load(shared: Path) -> Pool:
    pool, known = Pool([], [], [], []), {}
    train = shared / "data" / "train"
    for name in ("cmrc2018_train", "cmrc2018_trial", "drcd_train_part"):
        with lzma.open(train / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                answer = row["answers"][0]
                text, start = answer["text"], answer["start"]
                places = [i for i in range(len(row["context"])) if row["context"].startswith(text, i)]
                if not text or not places:
                    continue
                start = min(places, key=lambda i: abs(i - start))
                rows = _add_article(pool, known, row["title"], row["context"])
                example = _example(rows, row["question"], start, start + len(text), False, False)
                if example:
                    pool.examples.append(example)
    pairs = load_pairs(train / "pairs.jsonl.xz")
    for folder in sorted(QUESTIONS.glob("batch-*")):
        for q in read_batch(folder, pairs):
            if isinstance(q, str):
                continue
            rows = _add_article(pool, known, q.title, q.passage)
            question = f"{q.previous}{q.question}" if q.previous else q.question
            end = q.start + len(q.answer)
            example = _example(rows, question, q.start, end, True, q.held_out)
            if example:
                pool.examples.append(example)
    return pool


def mine(pool: Pool, k: int = 12) -> None:
    """For each question, rows of the passages that BM25 ranks highest and that do not answer."""
    index = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    vocabulary: dict[str, int] = {}
    ids = [
        [vocabulary.setdefault(u, len(vocabulary)) for u in units(fold(f"{t}\n{x}"))]
        for t, x in zip(pool.titles, pool.texts, strict=True)
    ]
    index.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    for example in pool.examples:
        bag = [u for u in units(fold(example.question)) if u in vocabulary]
        if not bag:
            pool.mined.append([])
            continue
        scores = index.get_scores(bag)
        best = np.argpartition(-scores, k)[:k]
        answer = pool.texts[example.gold][example.start : example.end] if example.gold >= 0 else "\0"
        pool.mined.append([int(r) for r in best if r != example.gold and answer not in pool.texts[r]])


def reword(question: str, rng: random.Random) -> str:
    """Replace some of the question's words by their stand-ins."""
    folded, out, last = fold(question), [], 0
    for start, end, numbers in lexicon().find(folded):
        if start < last or end - start < 2 or rng.random() > 0.5:
            continue
        words = [w for n in sorted(numbers) for w in lexicon().groups[n]]
        out += [folded[last:start], rng.choice(words)]
        last = end
    return "".join([*out, folded[last:]])[:60]


def draw(pool: Pool, order: list[int], rng: random.Random, negatives: int) -> Iterator[list]:
    """Yield steps: for each question its rows, the place of the gold row, start and end."""
    for begin in range(0, len(order), QUESTIONS_PER_STEP):
        step = []
        for i in order[begin : begin + QUESTIONS_PER_STEP]:
            e = pool.examples[i]
            question = reword(e.question, rng) if rng.random() < 0.25 else e.question[-60:]
            if rng.random() < 0.5:
                # With a question mark or without: else it tells the kinds of questions apart.
                question = question.rstrip("？?") + rng.choice(("？", ""))
            others = list(e.near) if e.gold >= 0 else []
            candidates = others + pool.mined[i]
            rng.shuffle(candidates)
            rows = [e.gold] if e.gold >= 0 else [rng.choice(e.near)]
            rows += [r for r in candidates if r not in rows][:negatives]
            step.append((question, rows, e.gold, e.start, e.end))
        yield step


def tensors(vocabulary: Vocabulary, pool: Pool, step: list) -> tuple:
    items, groups, starts, ends, has = [], [], [], [], []
    for number, (question, rows, gold, start, end) in enumerate(step):
        q = vocabulary.analyse(question)
        for row in rows:
            items.append((q, vocabulary.analyse(pool.texts[row]), pool.titles[row]))
            groups.append(number)
            here = row == gold
            starts.append(start + 2 + len(q.text) if here else -1)
            ends.append(end - 1 + 2 + len(q.text) if here else -1)
            has.append(float(here))
    b = assemble(vocabulary, items)
    arrays = [torch.from_numpy(a) for a in (b.chars, b.words, b.marks, b.side, b.features)]
    return arrays, torch.tensor(groups), torch.tensor(starts), torch.tensor(ends), torch.tensor(has)


def scores_of(model: Reader, arrays: list[Tensor], parts: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """What ``model(*arrays)`` gives, computed in parts of like length: a third of a batch is padding."""
    lengths = (arrays[0] != 0).sum(1)
    width = int(lengths.max())
    chunks = torch.argsort(lengths).chunk(parts)
    found = []
    for rows in chunks:
        n = int(lengths[rows].max())
        start, end, answers = model(*[a[rows, :n] for a in arrays])
        found.append((*(F.pad(x.float(), (0, width - n), value=-1e4) for x in (start, end)), answers.float()))
    back = torch.argsort(torch.cat(chunks))
    start, end, answers = (torch.cat(each)[back] for each in zip(*found, strict=True))
    return start, end, answers


def loss_of(model: Reader, none: Tensor, batch: tuple) -> Tensor:
    arrays, groups, starts, ends, has = batch
    with torch.autocast("cpu", torch.bfloat16):
        start, end, answers = scores_of(model, arrays)
    total = F.binary_cross_entropy_with_logits(answers, has)
    n = int(groups.max()) + 1
    for scores, gold in ((start, starts), (end, ends)):
        each = torch.logsumexp(scores, 1)
        for number in range(n):
            mine_ = groups == number
            whole = torch.logsumexp(torch.cat([each[mine_], none]), 0)
            row = int(torch.nonzero(mine_ & (gold >= 0)).flatten()[0]) if (mine_ & (gold >= 0)).any() else -1
            right = scores[row, gold[row]] if row >= 0 else none[0]
            total = total + (whole - right) / n
    return total


@torch.no_grad()
def evaluate(model: Reader, vocabulary: Vocabulary, pool: Pool, chosen: list[int]) -> dict[str, float]:
    """Exact span, character F1 and passage choice over the gold passage and two mined ones."""
    model.eval()
    exact = f1 = right = n = 0.0
    pos, neg = [], []
    for i in chosen:
        e = pool.examples[i]
        rows = ([e.gold] if e.gold >= 0 else list(e.near[:1])) + (list(e.near[:1]) if e.gold >= 0 else []) + pool.mined[i][:2]
        q = vocabulary.analyse(e.question[-60:])
        b = assemble(vocabulary, [(q, vocabulary.analyse(pool.texts[r]), pool.titles[r]) for r in rows])
        start, end, answers = model(*[torch.from_numpy(a) for a in (b.chars, b.words, b.marks, b.side, b.features)])
        best, value = (0, 0, 0), -1e9
        for k in range(len(rows)):
            s, t = start[k].numpy(), end[k].numpy()
            scores = np.triu(s[:, None] + t[None, :]) - 1e5 * (1 - np.triu(np.ones((len(s), len(s))))) - 1e5 * np.triu(np.ones((len(s), len(s))), 60)
            j = int(scores.argmax())
            if scores.flat[j] > value:
                value, best = float(scores.flat[j]), (k, j // len(s) - b.offset[k], j % len(s) + 1 - b.offset[k])
        (pos if e.gold >= 0 else neg).append(value)
        if e.gold < 0:
            continue
        n += 1
        guess = pool.texts[rows[best[0]]][best[1] : best[2]]
        gold = pool.texts[e.gold][e.start : e.end]
        right += best[0] == 0
        exact += guess == gold
        common = sum(min(guess.count(c), gold.count(c)) for c in set(guess))
        f1 += 2 * common / max(1, len(guess) + len(gold))
    model.train()
    auc = float(np.mean([np.mean(np.array(pos) > v) for v in neg])) if neg and pos else 0.0
    return {"exact": exact / n, "f1": f1 / n, "passage": right / n, "auroc": auc, "n": n}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=70)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", type=float, default=8e-4, help="highest learning rate")
    parser.add_argument("--negatives", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(2)
    torch.set_num_threads(options.threads)
    pool = load(options.shared)
    mine(pool)
    train = [i for i, e in enumerate(pool.examples) if not e.held_out]
    held = [i for i, e in enumerate(pool.examples) if e.held_out]
    random.Random(3).shuffle(held)
    print(len(train), "questions to train,", len(held), "held out,", len(pool.texts), "passages", flush=True)
    vocabulary = Vocabulary.load(options.work / "vocab.json")
    names = json.loads((options.work / "vocab.json").read_text("utf-8"))
    model = Reader(len(names["chars"]), len(names["words"]), dropout=0.1)
    none = torch.nn.Parameter(torch.zeros(1))
    parameters = [p for n, p in model.named_parameters() if not n.startswith("mlm")]
    optimiser = torch.optim.AdamW([*parameters, none], lr=options.peak, weight_decay=0.01, fused=True)
    checkpoint, spent, step = options.work / "reader.pt", 0.0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        if "optimiser" in state:
            optimiser.load_state_dict(state["optimiser"])
        none.data, spent, step = state["none"], state["spent"], state["step"]
    else:
        model.load_state_dict(torch.load(options.work / "pretrained.pt", weights_only=True)["model"])
    running, saved, rng = 0.0, spent, random.Random(step)
    with ThreadPoolExecutor(1) as ahead:
        while spent < options.minutes:
            # Every question of our own in each round, and most of the encyclopaedic ones.
            order = [i for i in train if pool.examples[i].own or rng.random() < 0.8]
            rng.shuffle(order)
            steps = draw(pool, order, rng, options.negatives)
            coming = ahead.submit(tensors, vocabulary, pool, next(steps))
            for following in steps:
                begun = time.monotonic()
                batch = coming.result()
                coming = ahead.submit(tensors, vocabulary, pool, following)
                share = min(1.0, spent / options.minutes)
                rate = options.peak * min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
                for group in optimiser.param_groups:
                    group["lr"] = rate
                loss = loss_of(model, none, batch)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                step += 1
                spent += (time.monotonic() - begun) / 60
                running = loss.item() if running == 0 else 0.99 * running + 0.01 * loss.item()
                if step % 100 == 0:
                    print(f"step {step} minutes {spent:.1f} loss {running:.3f}", flush=True)
                if spent - saved > 6 or spent >= options.minutes:
                    saved = spent
                    print("held out", evaluate(model, vocabulary, pool, held[:250]), flush=True)
                    torch.save(
                        {"model": model.state_dict(), "optimiser": optimiser.state_dict(),
                         "none": none.data, "spent": spent, "step": step},
                        checkpoint,
                    )
                if spent >= options.minutes:
                    break


if __name__ == "__main__":
    main()
