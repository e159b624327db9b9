"""Measures of retrieval, answers and confidence. Pure functions over numbers and strings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import cast

import numpy as np
from numpy.typing import NDArray

# The marks that CMRC 2018's official scorer leaves out of a comparison.
_MARKS = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_HAN = "\u4e00-\u9fa5"
_TOKEN = re.compile(rf"[{_HAN}]|(?:(?![{_HAN}])\w)+(?:[.,'](?:(?![{_HAN}])\w)+)*|\S")


def _normal(text: str) -> str:
    return text.lower().strip().translate(_MARKS)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_normal(text))


def exact_match(prediction: str, golds: Sequence[str]) -> bool:
    """Whether the prediction is one of the golds, by the rules of CMRC 2018 (Cui et al. 2019).

    Lower case, punctuation left out.
    """
    return any(_normal(prediction) == _normal(gold) for gold in golds)


def character_f1(prediction: str, golds: Sequence[str]) -> float:
    """The best F1 against the golds, by the rules of CMRC 2018 (Cui et al. 2019).

    A token is a Chinese character or a run of Latin letters and digits; what both sides share is
    the longest run of tokens without a gap that stands in both.
    """
    predicted = _tokens(prediction)
    best = 0.0
    for gold in golds:
        expected = _tokens(gold)
        matcher = SequenceMatcher(None, expected, predicted, autojunk=False)
        common = matcher.find_longest_match().size
        if common:
            best = max(best, 2 * common / (len(predicted) + len(expected)))
    return best


def first_rank(relevant: Sequence[bool]) -> int | None:
    """Rank, from 1, of the first relevant hit."""
    return next((rank for rank, is_relevant in enumerate(relevant, 1) if is_relevant), None)


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Chance that a positive scores above a negative, ties counting half (Mann-Whitney).

    None where one of the two classes is missing.
    """
    values, positive = np.asarray(scores, np.float64), np.asarray(labels, bool)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def calibration(
    confidences: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> tuple[float, list[dict[str, float]]]:
    """Expected calibration error over bins of equal width (Guo et al. 2017), and the bins."""
    values, right = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    which = np.clip((values * bins).astype(int), 0, bins - 1)
    error, table = 0.0, []
    for number in range(bins):
        inside = which == number
        count = int(inside.sum())
        if not count:
            continue
        confidence, accuracy = float(values[inside].mean()), float(right[inside].mean())
        error += count / len(values) * abs(confidence - accuracy)
        table.append({"confidence": confidence, "accuracy": accuracy, "count": count})
    return error, table


def risk_coverage(
    confidences: Sequence[float], correct: Sequence[bool], points: int = 10
) -> list[dict[str, float]]:
    """Share of wrong answers among the most confident 10 %, 20 % … of the questions.

    El-Yaniv and Wiener 2010; ``confidence`` is the lowest one that is still answered.
    """
    order = np.argsort(-np.asarray(confidences, np.float64), kind="stable")
    wrong = np.cumsum(~np.asarray(correct, bool)[order])
    table = []
    for point in range(1, points + 1):
        taken = max(1, round(len(order) * point / points))
        table.append(
            {
                "coverage": taken / len(order),
                "risk": float(wrong[taken - 1]) / taken,
                "confidence": float(confidences[order[taken - 1]]),
                "count": taken,
            }
        )
    return table


def percentiles(values: Sequence[float], *wanted: float) -> list[float]:
    """Linear interpolation between the two nearest values, as numpy does."""
    found: NDArray[np.float64] = np.percentile(np.asarray(values, np.float64), wanted)
    return cast(list[float], found.tolist())
