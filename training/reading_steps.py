"""What pre-training and training of the reader share: steps of questions over passages, and their loss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from askai.reading import Vocabulary, assemble
from reader_model import Reader

# What was compiled for one shape is kept for the next step that has it; 1024 are too few.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")

ANSWERABILITY = 2.0
"""Weight of whether a passage answers, where the start of the span has one and its end one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its passages, ``(text, title)`` each.

    ``gold`` is the place of the passage that answers, -1 where none does; ``spans`` are the places in
    it that are right, none where only the passage is known.
    """

    question: str
    passages: tuple[tuple[str, str], ...]
    gold: int
    spans: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Step:
    """Network input for every passage; ``group`` says to which question each row belongs.

    ``start`` and ``end`` are 1 at the right characters, float (rows, length); ``has`` is 1 for
    passages that answer.
    """

    inputs: list[Tensor]
    group: Tensor
    start: Tensor
    end: Tensor
    has: Tensor


def tensors(vocabulary: Vocabulary, questions: Sequence[Asked]) -> Step:
    items, group = [], []
    for number, asked in enumerate(questions):
        q = vocabulary.analyse(asked.question)
        for text, title in asked.passages:
            items.append((q, vocabulary.analyse(text), title))
            group.append(number)
    b = assemble(vocabulary, items)
    start, end = (torch.zeros(b.chars.shape) for _ in range(2))
    has = torch.zeros(len(items))
    row = 0
    for asked in questions:
        if asked.gold >= 0:
            has[row + asked.gold] = 1.0
            for first, last in asked.spans:
                start[row + asked.gold, b.offset[row] + first] = 1.0
                end[row + asked.gold, b.offset[row] + last - 1] = 1.0
        row += len(asked.passages)
    inputs = [torch.from_numpy(a) for a in (b.chars, b.words, b.marks, b.side, b.features)]
    return Step(inputs, torch.tensor(group), start, end, has)


def scores_of(model: Reader, inputs: list[Tensor], parts: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What ``model(*inputs)`` gives and the characters' states, computed in parts of like length.

    A third of a batch would be padding otherwise.
    """
    lengths = (inputs[0] != 0).sum(1)
    width = inputs[0].shape[1]
    chunks = torch.argsort(lengths).chunk(parts)
    found = []
    for rows in chunks:
        n = int(lengths[rows].max())
        # Few different shapes: each is compiled once.
        n = min(width, -(-n // 16) * 16)
        part = [a[rows, :n] for a in inputs]
        x, y = model.encode(*part)
        # Scores are compared across passages: always in floats.
        with torch.autocast("cpu", enabled=False):
            x, y = x.float(), y.float()
            start, end, answers = model.heads(x, y, part[0], part[3])
        start, end = (F.pad(s, (0, width - n), value=-1e4) for s in (start, end))
        found.append((start, end, answers, F.pad(x, (0, 0, 0, width - n))))
    back = torch.argsort(torch.cat(chunks))
    start, end, answers, states = (torch.cat(each)[back] for each in zip(*found, strict=True))
    return start, end, answers, states


def loss_of(scores: tuple[Tensor, Tensor, Tensor], none: Tensor, step: Step) -> Tensor:
    """Spans normalised over all passages of a question and "none" (Clark and Gardner 2018), any right
    place counting; answerability of each passage alone, and of the right one among the question's."""
    start, end, answers = scores
    n = int(step.group.max()) + 1
    total = ANSWERABILITY * F.binary_cross_entropy_with_logits(answers, step.has)
    spanned = torch.zeros(n).index_add_(0, step.group, step.start.sum(1)) > 0
    answered = torch.zeros(n).index_add_(0, step.group, step.has) > 0
    known = spanned | ~answered
    for values, right in ((start, step.start), (end, step.end)):
        whole = _by_group(torch.logsumexp(values, 1), step.group, n, none)
        gold = _by_group(torch.logsumexp(values.masked_fill(right == 0, -1e4), 1), step.group, n, None)
        gold = torch.where(spanned, gold, none)
        total = total + ((whole - gold) * known).sum() / n
    among = _by_group(answers, step.group, n, None)
    chosen = _by_group(answers.masked_fill(step.has == 0, -1e4), step.group, n, None)
    return total + 0.5 * ((among - chosen) * answered).sum() / n


def _by_group(values: Tensor, group: Tensor, n: int, none: Tensor | None) -> Tensor:
    """Log-sum-exp of ``values`` (rows,) over the rows of each group, and ``none`` where given; (n,)."""
    square = torch.where(group[None, :] == torch.arange(n)[:, None], values[None, :], -1e4)
    if none is not None:
        square = torch.cat([square, none.expand(n, 1)], 1)
    return torch.logsumexp(square, 1)


def rate_at(step: int, share: float, peak: float, warm_up: int, floor: float = 0.02) -> float:
    """The learning rate: linear warm-up, then a cosine down to ``floor`` of the peak."""
    return peak * min(1.0, (step + 1) / warm_up) * (floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * share))))


def optimiser_of(model: Reader, none: Tensor, peak: float) -> torch.optim.AdamW:
    """AdamW; the tables, which start from vectors of words, move less."""
    tables = [model.char.weight, model.word.weight]
    held = {id(p) for p in tables}
    rest = [p for p in model.parameters() if id(p) not in held]
    return torch.optim.AdamW(
        [{"params": [*rest, none], "share": 1.0}, {"params": tables, "share": 0.3}],
        lr=peak, weight_decay=0.01, betas=(0.9, 0.98), fused=True,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
