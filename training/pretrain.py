"""Pre-train the reader: ``python training/pretrain.py --shared ../shared --work WORK --minutes 40``.

Three things at once, all made from text alone: gaps to be found in passages (``cloze.py``), headings to
be told from those of neighbouring passages (``pairs.jsonl.xz``), and masked words to be guessed in most
of the passages (whole words, Devlin et al. 2019). Starts from ``WORK/vectors.npz``, or from
``WORK/start.pt`` where that is (``import_reader.py``); writes ``WORK/pretrained.pt`` every few minutes and
resumes from it (weights, optimiser, minutes spent).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai.reading import MASK, Vocabulary  # noqa: E402
from cloze import blocks, clozes  # noqa: E402
from questions import NOT_USED, read_rows  # noqa: E402
from reader_model import Reader  # noqa: E402
from reading_steps import Asked, Step, loss_of, optimiser_of, rate_at, scores_of, set_rate, tensors  # noqa: E402

QUESTIONS_PER_STEP, HEADINGS, PEAK = 24, 6, 1.2e-3
MASKED, FIRST_CHAR = 0.15, 5


def headings(path: Path, rng: random.Random) -> Iterator[Asked]:
    """Without end: a heading, its passage and another one of the same document or a near one."""
    rows = [(r["query"], r["positive"][:300]) for r in read_rows(path) if r["source"] not in NOT_USED]
    while True:
        i = rng.randrange(len(rows))
        other = rows[(i + rng.choice((-3, -2, -1, 1, 2, 3))) % len(rows)]
        if other[1] != rows[i][1]:
            yield Asked(rows[i][0][-60:], ((rows[i][1], ""), (other[1], "")), 0, ())


def mask(step: Step, rng: np.random.Generator) -> Tensor:
    """Hide words in three of four passages, in place; the hidden characters' ids, 0 elsewhere."""
    chars, words, marks, side, features = step.inputs
    begins = ((marks == 0) | (marks == 3)).long()
    word = begins.cumsum(1).numpy()
    chosen = torch.from_numpy(np.take_along_axis(rng.random((len(word), word.max() + 1)) < MASKED, word, 1))
    some = torch.from_numpy(rng.random((len(word), 1)) < 0.75)
    hidden = chosen & some & (side == 1) & (chars >= FIRST_CHAR) & ((step.start + step.end) == 0)
    target = torch.where(hidden, chars, 0)
    chars[hidden] = MASK
    words[hidden] = MASK
    # Rarity alone would name a frequent character.
    features[hidden] = 0.0
    return target


def begin(work: Path) -> Reader:
    """A reader whose tables are the vectors of words; where ``start.pt`` lies there, that reader."""
    names = json.loads((work / "vocab.json").read_text("utf-8"))
    model = Reader(len(names["chars"]), len(names["words"]), dropout=0.05)
    if (work / "start.pt").exists():
        model.load_state_dict(torch.load(work / "start.pt", weights_only=True)["model"])
        return model
    vectors = np.load(work / "vectors.npz")
    for table, name in ((model.char, "chars"), (model.word, "words")):
        values = torch.from_numpy(vectors[name])
        known = values.abs().sum(1) > 0
        table.weight.data[known] = values[known] * (0.1 / values[known].std())
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has AMX or AVX-512 BF16")
    parser.add_argument("--seed", type=int, default=1, help="another one for each further round: other text, other gaps")
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    model = begin(options.work)
    vocabulary = Vocabulary.load(options.work / "vocab.json")
    none = torch.nn.Parameter(torch.zeros(1))
    optimiser = optimiser_of(model, none, PEAK)
    spent, done = 0.0, 0
    checkpoint = options.work / "pretrained.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        none.data, spent, done = state["none"], state["spent"], state["step"]
    rng = random.Random(1_000_003 * options.seed + done)
    chance = np.random.default_rng([options.seed, done])
    gaps = clozes(blocks(options.shared / "data" / "text", random.Random(6 + options.seed)), rng)
    titles = headings(options.shared / "data" / "train" / "pairs.jsonl.xz", rng)

    def coming() -> tuple[Step, Tensor]:
        step = tensors(vocabulary, [*islice(gaps, QUESTIONS_PER_STEP - HEADINGS), *islice(titles, HEADINGS)])
        return step, mask(step, chance)

    running: list[float] = []
    saved = spent
    with ThreadPoolExecutor(1) as ahead:
        following = ahead.submit(coming)
        while spent < options.minutes:
            begun = time.monotonic()
            step, target = following.result()
            following = ahead.submit(coming)
            # Ends at a third of the peak: training goes on from here.
            set_rate(optimiser, rate_at(done, min(1.0, spent / options.minutes), PEAK, 300, 0.3))
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
                *scores, states = scores_of(model, step.inputs)
            asked = loss_of(tuple(scores), none, step)
            guessed = F.cross_entropy(model.masked_scores(states[target > 0]), target[target > 0])
            optimiser.zero_grad()
            (asked + 0.5 * guessed).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            done += 1
            spent += (time.monotonic() - begun) / 60
            new = [asked.item(), guessed.item()]
            running = [0.98 * a + 0.02 * b for a, b in zip(running or new, new, strict=True)]
            if done % 50 == 0:
                print(f"step {done} minutes {spent:.1f} questions {running[0]:.3f} masked {running[1]:.3f}", flush=True)
            if spent - saved > 4 or spent >= options.minutes:
                saved = spent
                torch.save(
                    {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "none": none.data,
                     "spent": spent, "step": done},
                    checkpoint,
                )


if __name__ == "__main__":
    main()
