"""Pre-train the reader's body as a masked language model over characters (whole words masked).

``python training/pretrain.py --work WORK --minutes 45``

Reads what ``prepare_text.py`` wrote; writes ``WORK/pretrained.pt`` every few minutes and resumes
from it (weights, optimiser, minutes spent). The learning rate follows the share of the minutes spent.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from reader_model import Reader

LENGTH, BATCH, MASKED, PEAK = 176, 56, 0.18, 1.6e-3


def batch_of(arrays: tuple[np.ndarray, ...], rng: np.random.Generator) -> list[torch.Tensor]:
    chars, words, marks = arrays
    starts = rng.integers(0, len(chars) - LENGTH, BATCH)
    rows = starts[:, None] + np.arange(LENGTH)
    c, w, m = (a[rows].astype(np.int64) for a in (chars, words, marks))
    begins = (m == 0) | (m == 3)
    word_index = begins.cumsum(1)
    chosen = rng.random((BATCH, LENGTH + 1)) < MASKED
    mask = np.take_along_axis(chosen, word_index, 1) & (c > 4)
    target = np.where(mask, c, 0)
    c = np.where(mask, 2, c)
    w = np.where(mask, 2, w)
    return [torch.from_numpy(a) for a in (c, w, m, target)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    vocabulary = json.loads((options.work / "vocab.json").read_text("utf-8"))
    arrays = tuple(np.load(options.work / f"{n}.npy", mmap_mode="r") for n in ("chars", "words", "marks"))
    model = Reader(len(vocabulary["chars"]), len(vocabulary["words"]), dropout=0.0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    spent, step = 0.0, 0
    checkpoint = options.work / "pretrained.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        spent, step = state["spent"], state["step"]
    rng = np.random.default_rng(step + 1)
    running, saved = 0.0, spent
    while spent < options.minutes:
        begun = time.monotonic()
        share = spent / options.minutes
        rate = PEAK * min(1.0, (step + 1) / 300) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        c, w, m, target = batch_of(arrays, rng)
        side = torch.zeros_like(c)
        side[:, LENGTH // 8 :] = 1
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.encode(c, w, m, side, None)
            scores = model.masked_scores(hidden[target > 0])
        loss = F.cross_entropy(scores.float(), target[target > 0])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        spent += (time.monotonic() - begun) / 60
        running = loss.item() if running == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step} minutes {spent:.1f} loss {running:.3f} rate {rate:.5f}", flush=True)
        if spent - saved > 4 or spent >= options.minutes:
            saved = spent
            torch.save(
                {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "spent": spent, "step": step},
                checkpoint,
            )


if __name__ == "__main__":
    main()
