"""Fit how scores are combined and become a probability: ``python training/calibrate.py --shared ../shared``.

Uses the questions of the passages held out from training, never an evaluation set. The passages
are put into pools of 16 articles, as a person's own folder would be; half of them choose the
weights fitted here, the other half are reported (the weights of the fusion had seen both). Writes
``calibration.json`` beside the reader.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai import metrics, responder, retrieval  # noqa: E402
from askai.assistant import READER  # noqa: E402
from askai.encoder import MODELS, load_encoder  # noqa: E402
from askai.index import build_index  # noqa: E402
from askai.reader import NeuralReader  # noqa: E402
from askai.responder import Calibration  # noqa: E402
from askai.types import Article, Reading  # noqa: E402
from questions import QUESTIONS, Question, load_pairs, read_batch  # noqa: E402

POOL = 16


@dataclass(frozen=True, slots=True)
class Case:
    """A question with the readings of its pool; ``start`` is -1 where nothing answers."""

    question: Question
    readings: list[Reading]
    articles: dict[str, Article]
    recalled: bool


def cases(shared: Path, reader: NeuralReader, depth: int, limit: int) -> list[Case]:
    pairs = load_pairs(shared / "data" / "train" / "pairs.jsonl.xz")
    held: dict[str, list[Question]] = {}
    for folder in sorted(QUESTIONS.glob("batch-*")):
        for q in read_batch(folder, pairs):
            if not isinstance(q, str) and q.held_out and not q.previous:
                held.setdefault(q.passage_key, []).append(q)
    keys = sorted(held)
    random.Random(5).shuffle(keys)
    encoder, found = load_encoder(None), []
    for begin in range(0, len(keys), POOL):
        chosen = keys[begin : begin + POOL]
        articles = [Article(k, held[k][0].title, "", held[k][0].passage) for k in chosen]
        index = build_index(articles, encoder)
        for key in chosen:
            for q in held[key]:
                hits = retrieval.retrieve(index, encoder, q.question)
                recalled = any(
                    h.passage.article_id == key and h.passage.start <= q.start < h.passage.end
                    for h in hits[:5]
                )
                readings = reader.read(q.question, hits[:depth], index.articles)
                found.append(Case(q, readings, dict(index.articles), recalled))
        if len(found) >= limit:
            break
    return found


def right(case: Case, candidate: responder.Candidate) -> bool:
    q = case.question
    return bool(q.answer) and (
        candidate.article_id == q.passage_key
        and candidate.start < q.start + len(q.answer)
        and q.start < candidate.end
    )


def quality(found: list[Case], calibration: Calibration) -> dict[str, float]:
    """hit@1, hit@3, exact span and recall@5 over the answerable; AUROC of the confidence over all."""
    one = three = exact = recalled = n = 0
    yes, no = [], []
    for case in found:
        ranked = responder.candidates(case.readings, case.articles, calibration)
        value = responder.confidence(ranked, calibration)
        (yes if case.question.answer else no).append(value)
        if not case.question.answer:
            continue
        n += 1
        recalled += case.recalled
        one += right(case, ranked[0]) if ranked else 0
        three += any(right(case, c) for c in ranked[:3])
        exact += bool(ranked) and ranked[0].span.text == case.question.answer
    area = metrics.auroc([*yes, *no], [True] * len(yes) + [False] * len(no))
    return {"n": n, "hit1": one / n, "hit3": three / n, "exact": exact / n, "recall5": recalled / n, "auroc": area or 0.0}


def fit(found: list[Case], answers: float, retrieved: float) -> Calibration:
    base = Calibration((0.0,) * 5, 0.5, answers, retrieved)
    rows, labels = [], []
    for case in found:
        ranked = responder.candidates(case.readings, case.articles, base)
        if ranked:
            rows.append(responder.signals(ranked)[1:])
            labels.append(right(case, ranked[0]))
    model = LogisticRegression(C=1.0, max_iter=1000).fit(np.array(rows), np.array(labels))
    weights = (float(model.intercept_[0]), *(float(w) for w in model.coef_[0]))
    return Calibration(weights, 0.5, answers, retrieved)


def reliability(found: list[Case], calibration: Calibration) -> tuple[float, list[dict[str, float]]]:
    """Expected calibration error, and its bins."""
    points = []
    for case in found:
        ranked = responder.candidates(case.readings, case.articles, calibration)
        if ranked:
            points.append((responder.confidence(ranked, calibration), right(case, ranked[0])))
    return metrics.calibration([p for p, _ in points], [r for _, r in points])


def choose_threshold(found: list[Case], calibration: Calibration) -> float:
    """The threshold with the best balanced accuracy of answering the answerable and declining the rest."""
    yes, no = [], []
    for case in found:
        ranked = responder.candidates(case.readings, case.articles, calibration)
        (yes if case.question.answer else no).append(responder.confidence(ranked, calibration))
    grid = np.arange(0.05, 0.7, 0.01)
    worth = [np.mean(np.array(yes) >= t) + np.mean(np.array(no) < t) for t in grid]
    return float(round(grid[int(np.argmax(worth))], 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--reader", type=Path, default=MODELS / READER)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--limit", type=int, default=100000)
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    found = cases(options.shared, NeuralReader(options.reader, threads=2), options.depth, options.limit)
    half = [c for c in found if int(c.question.passage_key[0], 16) % 2]
    other = [c for c in found if not int(c.question.passage_key[0], 16) % 2]
    best, weights = -1.0, (0.0, 0.0)
    for answers in (0.0, 0.5, 1.0, 2.0):
        for retrieved in (2.0, 4.0, 6.0, 9.0, 13.0, 20.0):
            q = quality(half, Calibration((0.0,) * 5, 0.5, answers, retrieved))
            if q["hit1"] + 0.5 * q["hit3"] > best:
                best, weights = q["hit1"] + 0.5 * q["hit3"], (answers, retrieved)
    calibration = fit(half, *weights)
    threshold = choose_threshold(half, calibration)
    calibration = Calibration(calibration.confidence, threshold, *weights)
    print("chosen on", {k: round(v, 3) for k, v in quality(half, calibration).items()})
    print("held apart", {k: round(v, 3) for k, v in quality(other, calibration).items()})
    error, bins = reliability(other, calibration)
    print("expected calibration error", round(error, 3))
    for each in bins:
        print(f"  confidence {each['confidence']:.2f} right {each['accuracy']:.2f} of {each['count']}")
    out = {
        "confidence": [round(w, 4) for w in calibration.confidence],
        "threshold": threshold,
        "answers_weight": weights[0],
        "retrieval_weight": weights[1],
    }
    print(out)
    if not options.dry:
        (options.reader / "calibration.json").write_text(json.dumps(out, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
