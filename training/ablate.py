"""What each part is worth: ``python training/ablate.py --shared ../shared``.

Leaves out one leg of the search after the other, and one signal of the ranking after the other (the other
weights are fitted again), and prints what is lost. Search: the held-back questions of our own over all
passages that questions were written over, and CMRC's trial part over its contexts. Ranking: the halves of
``calibrate.py``. No evaluation set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai import retrieval  # noqa: E402
from askai.assistant import READER, default_calibration  # noqa: E402
from askai.datasets import read_dataset  # noqa: E402
from askai.encoder import MODELS, load_encoder  # noqa: E402
from askai.index import build_index  # noqa: E402
from askai.reader import NeuralReader  # noqa: E402
from askai.responder import SIGNALS  # noqa: E402
from askai.types import Article  # noqa: E402
from calibrate import Case, cases, encyclopaedic, fit_ranking, held_back, ranked_of, right  # noqa: E402
from questions import QUESTIONS, load_pairs, read_batch  # noqa: E402

Asked = tuple[str, str, int]
"""A question, the id of the article that answers, and where in it the answer begins."""
GRID = [(0.0, 0.0), (0.5, 0.0), (0.0, 1.0), (0.5, 0.5), (0.5, 1.0), (0.5, 1.5), (0.5, 2.0), (0.5, 3.0)]


def own(shared: Path) -> tuple[list[Article], list[Asked]]:
    pairs, articles, asked = load_pairs(shared / "data" / "train" / "pairs.jsonl.xz"), {}, []
    for folder in sorted(QUESTIONS.glob("batch-*")):
        for q in read_batch(folder, pairs):
            if isinstance(q, str):
                continue
            articles[q.passage_key] = Article(q.passage_key, q.title, "", q.passage)
            if q.held_out and q.answer and not q.previous:
                asked.append((q.question, q.passage_key, q.start))
    return list(articles.values()), asked


def trial(shared: Path) -> tuple[list[Article], list[Asked]]:
    rows = read_dataset(shared / "data" / "train" / "cmrc2018_trial.jsonl.xz")
    ids = {context: str(n) for n, context in enumerate(dict.fromkeys(row.context for row in rows))}
    articles = {ids[row.context]: Article(ids[row.context], row.title, "", row.context) for row in rows}
    places = [(row.question, ids[row.context], row.context.find(row.answers[0])) for row in rows]
    return list(articles.values()), [place for place in places if place[2] >= 0]


def search(name: str, articles: list[Article], asked: Sequence[Asked]) -> None:
    encoder = load_encoder(None)
    index = build_index(articles, encoder)
    shipped = retrieval.SYNONYM_WEIGHT, retrieval.DENSE_WEIGHT
    for stand_ins, dense in [*GRID, (-1.0, -1.0)]:
        retrieval.SYNONYM_WEIGHT, retrieval.DENSE_WEIGHT = stand_ins, dense
        leg: retrieval.Leg = "dense" if dense < 0 else "fused"
        ranks = []
        for question, id, start in asked:
            hits = retrieval.retrieve(index, encoder, question, 5, leg)
            holds = [h.passage.article_id == id and h.passage.start <= start < h.passage.end for h in hits]
            ranks.append(holds.index(True) if True in holds else 99)
        found = np.array(ranks)
        print(f"{name}, {len(asked)} questions, {len(index)} passages, stand-ins {stand_ins} dense {dense}: "
              f"recall@1 {np.mean(found < 1):.3f} recall@5 {np.mean(found < 5):.3f}", flush=True)
    retrieval.SYNONYM_WEIGHT, retrieval.DENSE_WEIGHT = shipped


def ranking(name: str, fitted: Sequence[Case], apart: Sequence[Case]) -> None:
    start = default_calibration()
    for without in (None, *range(len(SIGNALS))):
        calibration = fit_ranking(fitted, fit_ranking(fitted, start, without), without)
        first = [[right(c, x) for x in ranked_of(c, calibration)[:3]] for c in apart if c.question.answer]
        print(f"{name} without {'nothing' if without is None else SIGNALS[without]}: "
              f"hit@1 {np.mean([f[:1] == [True] for f in first]):.3f} hit@3 {np.mean([any(f) for f in first]):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--search-only", action="store_true")
    options = parser.parse_args()
    search("own", *own(options.shared))
    search("CMRC's trial part", *trial(options.shared))
    if options.search_only:
        return
    reader = NeuralReader(MODELS / READER, threads=2)
    found, others = cases(held_back(options.shared)[0], reader, 100000), encyclopaedic(options.shared, reader)
    parts = [[c for c in found if int(c.question.passage_key[0], 16) % 2 == part] for part in (1, 0)]
    even, odd = ([c for c in others if int(c.question.passage_key) % 2 == part] for part in (0, 1))
    fitted = [c for c in [*parts[0], *even] if c.question.answer]
    ranking("own, held apart,", fitted, parts[1])
    ranking("CMRC's trial part, held apart,", fitted, odd)


if __name__ == "__main__":
    main()
