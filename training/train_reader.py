"""Fine-tune the reader: ``python training/train_reader.py --shared ../shared --work WORK --minutes 45``.

Starts from ``WORK/pretrained.pt``, or from ``WORK/start.pt`` where there is none; resumes from ``WORK/reader.pt``. Each question comes with the
passage that answers it, half of them with one that looks right and does not (mined by BM25 over all
training passages, from the same article, or the right one without the sentence that answers); starts and
ends are normalised over all of them together with a "no answer" score (Clark and Gardner 2018), so that
scores compare across passages. Words of the questions are sometimes replaced by stand-ins of the lexicon,
and the question itself sometimes stands in the passages, so that overlap alone does not pay; words of both
sides are sometimes unknown, and characters of the question wrong. What is kept is a moving average of the
weights over the steps.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import bm25s
import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.passages import split  # noqa: E402
from askai.reading import MAX_PASSAGE, UNKNOWN, Vocabulary  # noqa: E402
from askai.text import fold, sentences, units  # noqa: E402
from askai.types import Article  # noqa: E402
from questions import QUESTIONS, READING_SETS, load_pairs, passage_key, read_batch, read_rows  # noqa: E402
from reader_model import Reader  # noqa: E402
from reading_steps import Asked, Step, loss_of, optimiser_of, rate_at, scores_of, set_rate, tensors  # noqa: E402
from texts import mistyped, reword  # noqa: E402

QUESTIONS_PER_STEP = 18
UNKNOWN_WORDS = 0.1
CUT_BESIDE, CUT_ALONE, SHORTEST_REST = 0.5, 0.15, 40
"""How often the wrong passage is the right one without its answer, and how often that stands alone."""
ECHOED, MISTYPED = 0.12, 0.06
"""How often the question itself stands in the passages, before or after the rest; how often a character is wrong."""
REPEATED = {"drcd_train_part": 2}
"""Sets of which each question comes more than once an epoch: this one is small, and the only Traditional one."""
AVERAGED = 0.998
"""Share of the moving average that stays at each step."""


@dataclass(frozen=True, slots=True)
class Example:
    """``passages[gold][start:end]`` answers the question; ``gold`` is -1 where none does."""

    question: str
    gold: int
    start: int
    end: int
    near: tuple[int, ...]
    """Rows of other passages of the same article."""
    held_out: bool
    times: int = 1
    """How often it comes in an epoch."""


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


def _example(rows, question: str, start: int, end: int, held_out: bool, times: int = 1) -> Example | None:
    if start < 0:
        near = tuple(r for r, _, _ in rows)
        return Example(question, -1, -1, -1, near, held_out, times)
    for row, a, b in rows:
        if a <= start and end <= b:
            near = tuple(r for r, _, _ in rows if r != row)
            return Example(question, row, start - a, end - a, near, held_out, times)
    return None


def load(shared: Path) -> Pool:
    pool, known = Pool([], [], [], []), {}
    train = shared / "data" / "train"
    written, pairs = [], load_pairs(train / "pairs.jsonl.xz")
    for folder in sorted(QUESTIONS.glob("batch-*")):
        written += [q for q in read_batch(folder, pairs) if not isinstance(q, str)]
    held_out = {q.passage_key for q in written if q.held_out}
    # Not CMRC's trial part: calibrate.py fits on it.
    for name in READING_SETS:
        for row in read_rows(train / f"{name}.jsonl.xz"):
            answer = row["answers"][0]
            text, start = answer["text"], answer["start"]
            places = [i for i in range(len(row["context"])) if row["context"].startswith(text, i)]
            if not text or not places or passage_key(row["context"]) in held_out:
                continue
            start = min(places, key=lambda i: abs(i - start))
            rows = _add_article(pool, known, row["title"], row["context"])
            example = _example(rows, row["question"], start, start + len(text), False, REPEATED.get(name, 1))
            if example:
                pool.examples.append(example)
    for q in written:
        rows = _add_article(pool, known, q.title, q.passage)
        question = f"{q.previous}{q.question}" if q.previous else q.question
        example = _example(rows, question, q.start, q.start + len(q.answer), q.held_out)
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


def draw(pool: Pool, order: list[int], rng: random.Random) -> Iterator[list[Asked]]:
    """Yield the questions of each step."""
    for begin in range(0, len(order), QUESTIONS_PER_STEP):
        step = []
        for number, i in enumerate(order[begin : begin + QUESTIONS_PER_STEP]):
            e = pool.examples[i]
            question = reword(e.question, rng)[:60] if rng.random() < 0.25 else e.question[-60:]
            if rng.random() < 0.5:
                # With a question mark or without: else it tells the kinds of questions apart.
                question = question.rstrip("？?") + rng.choice(("？", ""))
            if rng.random() < MISTYPED:
                question = mistyped(question, rng)
            others = list(e.near) if e.gold >= 0 else []
            candidates = others + pool.mined[i]
            rng.shuffle(candidates)
            first = e.gold if e.gold >= 0 else rng.choice(e.near)
            passages = [(pool.texts[first], pool.titles[first])]
            # The same number of passages in each step: few different shapes, each of which is compiled once.
            wrong = [(pool.texts[r], pool.titles[r]) for r in candidates if r != first][: number % 2]
            rest = without(pool.texts[first], e.start, e.end) if e.gold >= 0 else None
            spans = ((e.start, e.end),) if e.gold >= 0 else ()
            if rest is not None and wrong and rng.random() < CUT_BESIDE:
                wrong = [(rest, pool.titles[first])]
            elif rest is not None and not wrong and rng.random() < CUT_ALONE:
                passages, spans = [(rest, pool.titles[first])], ()
            asked = Asked(question, (*passages, *wrong), 0 if spans else -1, spans)
            step.append(echoed(asked, rng) if rng.random() < ECHOED else asked)
        yield step


def without(text: str, start: int, end: int) -> str | None:
    """The passage without the sentences that the answer stands in: about the same, yet no answer.

    None where the answer's words stand elsewhere as well, or where little is left.
    """
    pieces = sentences(text)
    rest = "".join(text[a:b] for a, b in pieces if b <= start or a >= end)
    return rest if len(rest) >= SHORTEST_REST and text[start:end] not in rest else None


def echoed(asked: Asked, rng: random.Random) -> Asked:
    """The same with the question as a line of every passage: pages repeat what they answer, and what they do not."""
    line = asked.question
    if max(len(text) for text, _ in asked.passages) + len(line) >= MAX_PASSAGE:
        return asked
    before, after = ("", f"\n{line}") if rng.random() < 0.5 else (f"{line}\n", "")
    passages = tuple((f"{before}{text}{after}", title) for text, title in asked.passages)
    spans = tuple((start + len(before), end + len(before)) for start, end in asked.spans)
    return replace(asked, passages=passages, spans=spans)


def prepared(vocabulary: Vocabulary, questions: list[Asked], chance: np.random.Generator) -> Step:
    step = tensors(vocabulary, questions)
    words = step.inputs[1]
    words[torch.from_numpy(chance.random(words.shape) < UNKNOWN_WORDS) & (words != 0)] = UNKNOWN
    return step


@torch.no_grad()
def evaluate(model: Reader, vocabulary: Vocabulary, pool: Pool, chosen: list[int]) -> dict[str, float]:
    """Exact span, character F1 and passage choice over the gold passage and two mined ones."""
    model.eval()
    exact = f1 = right = n = 0.0
    pos, neg = [], []
    for i in chosen:
        e = pool.examples[i]
        rows = ([e.gold] if e.gold >= 0 else list(e.near[:1])) + (list(e.near[:1]) if e.gold >= 0 else []) + pool.mined[i][:2]
        asked = Asked(e.question[-60:], tuple((pool.texts[r], pool.titles[r]) for r in rows), -1, ())
        inputs = tensors(vocabulary, [asked]).inputs
        start, end, _ = model(*inputs)
        offset = 2 + len(asked.question)
        best, value = (0, 0, 0), -1e9
        for k in range(len(rows)):
            s, t = start[k].numpy(), end[k].numpy()
            scores = np.triu(s[:, None] + t[None, :]) - 1e5 * (1 - np.triu(np.ones((len(s), len(s))))) - 1e5 * np.triu(np.ones((len(s), len(s))), 60)
            j = int(scores.argmax())
            if scores.flat[j] > value:
                value, best = float(scores.flat[j]), (k, j // len(s) - offset, j % len(s) + 1 - offset)
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
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has AMX or AVX-512 BF16")
    parser.add_argument("--peak", type=float, default=7e-4, help="highest learning rate")
    options = parser.parse_args()
    torch.manual_seed(2)
    torch.set_num_threads(options.threads)
    pool = load(options.shared)
    mine(pool)
    train = [i for i, e in enumerate(pool.examples) if not e.held_out for _ in range(e.times)]
    held = [i for i, e in enumerate(pool.examples) if e.held_out]
    random.Random(3).shuffle(held)
    print(len(train), "questions to train,", len(held), "held out,", len(pool.texts), "passages", flush=True)
    vocabulary = Vocabulary.load(options.work / "vocab.json")
    names = json.loads((options.work / "vocab.json").read_text("utf-8"))
    model, average = (Reader(len(names["chars"]), len(names["words"]), dropout=0.1) for _ in range(2))
    none = torch.nn.Parameter(torch.zeros(1))
    optimiser = optimiser_of(model, none, options.peak)
    checkpoint, spent, done = options.work / "reader.pt", 0.0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["newest"])
        average.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        none.data, spent, done = state["none"], state["spent"], state["step"]
    else:
        pretrained, start = options.work / "pretrained.pt", options.work / "start.pt"
        state = torch.load(pretrained if pretrained.exists() else start, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["model"])
        none.data = state["none"]
    running, saved, rng, chance = 0.0, spent, random.Random(done), np.random.default_rng(done)
    with ThreadPoolExecutor(1) as ahead:
        while spent < options.minutes:
            order = list(train)
            rng.shuffle(order)
            steps = draw(pool, order, rng)
            coming = ahead.submit(prepared, vocabulary, next(steps), chance)
            for following in steps:
                begun = time.monotonic()
                step = coming.result()
                coming = ahead.submit(prepared, vocabulary, following, chance)
                share = min(1.0, spent / options.minutes)
                set_rate(optimiser, rate_at(done, share, options.peak, 200))
                with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
                    scores = scores_of(model, step.inputs)[:3]
                loss = loss_of(scores, none, step)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                done += 1
                with torch.no_grad():
                    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
                        kept.lerp_(new, 1 - min(AVERAGED, done / (done + 10)))
                spent += (time.monotonic() - begun) / 60
                running = loss.item() if running == 0 else 0.99 * running + 0.01 * loss.item()
                if done % 100 == 0:
                    print(f"step {done} minutes {spent:.1f} loss {running:.3f}", flush=True)
                if spent - saved > 8 or spent >= options.minutes:
                    saved = spent
                    torch.save(
                        {"model": average.state_dict(), "newest": model.state_dict(),
                         "optimiser": optimiser.state_dict(), "none": none.data, "spent": spent, "step": done},
                        checkpoint,
                    )
                    print("held out", evaluate(average, vocabulary, pool, held[:250]), flush=True)
                if spent >= options.minutes:
                    break


if __name__ == "__main__":
    main()
