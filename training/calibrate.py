"""Fit how scores are combined and become probabilities: ``python training/calibrate.py --shared ../shared``.

Uses the questions of the passages held out from training, never an evaluation set. The passages
are put into pools of 16 articles, as a person's own folder would be. To the questions that were
written without an answer come two more kinds: questions with a name or number changed into one
that the pool does not hold, and questions of another pool. The ranking is fitted also on questions over all passages at
once, where more looks right. Half of the passages choose the weights,
the other half are reported (the weights of the fusion had seen both). Writes ``calibration.json``
beside the reader.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai import metrics, retrieval  # noqa: E402
from askai.assistant import READER, default_calibration  # noqa: E402
from askai.datasets import read_dataset  # noqa: E402
from askai.encoder import MODELS, load_encoder  # noqa: E402
from askai.evidence import Wanted, wanted  # noqa: E402
from askai.index import Index, build_index  # noqa: E402
from askai.reader import NeuralReader  # noqa: E402
from askai.responder import (  # noqa: E402
    EVIDENCE,
    SIGNALS,
    Calibration,
    Candidate,
    candidates,
    confidence,
    evidence_of,
    probabilities,
)
from askai.text import fold  # noqa: E402
from askai.types import Article, Encoder, Mode, Reading  # noqa: E402
from questions import QUESTIONS, Question, load_pairs, read_batch  # noqa: E402

POOL, STRANGERS = 16, 12
_NUMBER = re.compile(r"\d+")
_LETTERS = re.compile(r"[A-Za-z]{2,}")


Kind = Literal["answerable", "written", "altered", "stranger"]


@dataclass(frozen=True, slots=True)
class Case:
    """A question with the readings of its pool. ``kind`` says why nothing answers, if so."""

    question: Question
    kind: Kind
    asked: Wanted
    readings: list[Reading]
    articles: dict[str, Article]
    rank: int | None
    """Of the first passage that holds the answer, by the search."""


def altered(question: str, texts: str) -> str | None:
    """The question about another number or name, one that the texts do not hold."""
    numbers = _NUMBER.findall(question)
    if numbers:
        other = str(int(numbers[-1]) + 3)
        changed = other.join(question.rsplit(numbers[-1], 1))
        return None if other in texts else changed
    letters = _LETTERS.findall(question)
    if letters and fold(letters[-1]) in texts:
        return question.replace(letters[-1], f"{letters[-1]}-7")
    return None


def held_back(shared: Path) -> tuple[dict[str, list[Question]], dict[str, Article]]:
    """Questions of each passage that is held back, and all passages, by their keys."""
    pairs = load_pairs(shared / "data" / "train" / "pairs.jsonl.xz")
    held: dict[str, list[Question]] = {}
    articles: dict[str, Article] = {}
    for folder in sorted(QUESTIONS.glob("batch-*")):
        for q in read_batch(folder, pairs):
            if isinstance(q, str):
                continue
            articles[q.passage_key] = Article(q.passage_key, q.title, "", q.passage)
            if q.held_out and not q.previous:
                held.setdefault(q.passage_key, []).append(q)
    return held, articles


def asked_of(held: dict[str, list[Question]], keys: Sequence[str]) -> tuple[list[Question], list[Question]]:
    """Questions of passages with an answer, and without: not those that another of the passages answers."""
    answerable = [q for key in keys for q in held[key] if q.answer]
    known = {q.question for q in answerable}
    return answerable, [q for key in keys for q in held[key] if not q.answer and q.question not in known]


def asked_in(index: Index, encoder: Encoder, reader: NeuralReader, q: Question, kind: Kind) -> Case:
    """A question asked over the articles of an index."""
    hits = retrieval.retrieve(index, encoder, q.question)
    holds = [h.passage.article_id == q.passage_key and h.passage.start <= q.start < h.passage.end for h in hits]
    readings = reader.read(q.question, retrieval.promising(hits), index.articles)
    want = wanted(q.question, index.lexical.idf)
    return Case(q, kind, want, readings, index.articles, metrics.first_rank(holds))


def crowded(
    held: dict[str, list[Question]], articles: dict[str, Article], reader: NeuralReader, questions: int = 600
) -> list[Case]:
    """Questions over all passages at once, half as many without an answer as with one."""
    encoder, found = load_encoder(None), []
    index = build_index(list(articles.values()), encoder)
    answerable, written = asked_of(held, sorted(held))
    for chosen, kind, limit in ((answerable, "answerable", questions), (written, "written", questions // 2)):
        random.Random(9).shuffle(chosen)
        for q in chosen[:limit]:
            found.append(asked_in(index, encoder, reader, q, kind))
    return found


def cases(held: dict[str, list[Question]], reader: NeuralReader, limit: int) -> list[Case]:
    keys = sorted(held)
    random.Random(5).shuffle(keys)
    pools = [keys[begin : begin + POOL] for begin in range(0, len(keys), POOL)]
    encoder, found = load_encoder(None), []
    for number, chosen in enumerate(pools):
        articles = {k: Article(k, held[k][0].title, "", held[k][0].passage) for k in chosen}
        index = build_index(list(articles.values()), encoder)
        texts = fold("\n".join(a.text for a in articles.values()))
        answerable, written = asked_of(held, chosen)
        asked: list[tuple[Question, Kind]] = [(q, "answerable") for q in answerable]
        asked += [(q, "written") for q in written]
        for q in answerable:
            changed = altered(q.question, texts)
            if changed:
                asked.append((replace(q, question=changed, answer="", start=-1), "altered"))
        others = [q for k in pools[number - 1] for q in held[k] if q.answer]
        for q in random.Random(number).sample(others, min(STRANGERS, len(others))):
            asked.append((replace(q, answer="", start=-1), "stranger"))
        for q, kind in asked:
            found.append(asked_in(index, encoder, reader, q, kind))
        if len(found) >= limit:
            break
    return found


def encyclopaedic(shared: Path, reader: NeuralReader, questions: int = 320) -> list[Case]:
    """Questions of CMRC's trial part, and those with a name or number also about another one.

    Our own questions share few words with their passages and hardly ever hold a name; without these
    the weights would suit no other kind.
    """
    rows = read_dataset(shared / "data" / "train" / "cmrc2018_trial.jsonl.xz")
    contexts = list(dict.fromkeys((row.title, row.context) for row in rows))
    keys = {context: str(i) for i, (_, context) in enumerate(contexts)}
    articles = {str(i): Article(str(i), title, "", context) for i, (title, context) in enumerate(contexts)}
    encoder, found = load_encoder(None), []
    index = build_index(list(articles.values()), encoder)
    texts = fold("\n".join(a.text for a in articles.values()))
    random.Random(7).shuffle(rows)
    for number, row in enumerate(rows):
        start = row.context.find(row.answers[0])
        changed = altered(row.question, texts)
        for question, answer in ((row.question, row.answers[0]), (changed or "", "")):
            want = wanted(question, index.lexical.idf)
            if not question or start < 0 or not (want.names if not answer else number < questions):
                continue
            q = Question("", keys[row.context], row.title, row.context, question, "", answer, start if answer else -1)
            found.append(asked_in(index, encoder, reader, q, "answerable" if answer else "altered"))
    return found


def right(case: Case, candidate: Candidate) -> bool:
    q = case.question
    return bool(q.answer) and (
        candidate.article_id == q.passage_key
        and candidate.start < q.start + len(q.answer)
        and q.start < candidate.end
    )


def ranked_of(case: Case, calibration: Calibration) -> list[Candidate]:
    return candidates(case.readings, case.articles, case.asked, calibration)


def fit_ranking(found: Sequence[Case], start: Calibration, without: int | None = None) -> Calibration:
    """Weights of the signals: logistic regression over differences of right and wrong candidates.

    ``without`` numbers a signal that gets no weight.
    """
    rows: list[NDArray[np.float64]] = []
    for case in found:
        ranked = ranked_of(case, start)
        good = [np.array(c.signals) for c in ranked if right(case, c)]
        bad = [np.array(c.signals) for c in ranked if not right(case, c)][:8]
        rows += [g - b for g in good[:1] for b in bad]
    x = np.array(rows)
    if without is not None:
        x[:, without] = 0.0
    model = LogisticRegression(C=0.5, fit_intercept=False, max_iter=2000)
    model.fit(np.concatenate([x, -x]), np.array([1] * len(x) + [0] * len(x)))
    return replace(start, ranking=tuple(float(w) for w in model.coef_[0]))


def fit_confidence(found: Sequence[Case], ranking: Calibration) -> Calibration:
    """Weights of the evidence: logistic regression, is there an answer?

    Those without one weigh together what those with one do, each kind of them the same.
    """
    known = [(case, ranked[0]) for case in found if (ranked := ranked_of(case, ranking))]
    counts = Counter(case.kind for case, _ in known)
    share = counts["answerable"] / (len(counts) - 1)
    x = np.array([evidence_of(best)[1:] for _, best in known])
    weights_of = [1.0 if case.kind == "answerable" else share / counts[case.kind] for case, _ in known]
    scale = x.std(0) + 1e-6
    labels = [case.kind == "answerable" for case, _ in known]
    model = LogisticRegression(C=1.0, max_iter=2000).fit(x / scale, labels, weights_of)
    weights = (float(model.intercept_[0]), *(float(w) for w in model.coef_[0] / scale))
    return replace(ranking, confidence=weights)


def fit_shares(answerable: Sequence[Case], calibration: Calibration) -> Calibration:
    """``sharpness`` and ``elsewhere`` under which what is right was likeliest, given that there is an answer.

    A case without candidates says nothing of either: its answer is elsewhere for certain.
    """
    behind, good = [], []
    for case in answerable:
        ranked = ranked_of(case, calibration)
        behind.append(np.array([c.score - ranked[0].score for c in ranked]))
        good.append(np.array([right(case, c) for c in ranked], bool))

    def surprise(logs: NDArray[np.float64]) -> float:
        """Mean negative log likelihood."""
        total, (sharpness, elsewhere) = 0.0, np.exp(logs)
        for gap, flags in zip(behind, good, strict=True):
            weights = np.exp(sharpness * gap)
            total -= np.log((weights[flags].sum() if flags.any() else elsewhere) / (weights.sum() + elsewhere))
        return total / len(behind)

    sharpness, elsewhere = np.exp(minimize(surprise, np.log([1.0, 0.1]), method="Nelder-Mead").x)
    return replace(calibration, sharpness=float(sharpness), elsewhere=float(elsewhere))


def choose_thresholds(found: Sequence[Case], calibration: Calibration) -> Calibration:
    """Balanced: the most right answers less half of the wrong ones; of thresholds within one in a hundred of
    the best, which differ by chance, the middle one. Strict answers one in ten of what has no answer; lenient
    answers 19 in 20 of what has one."""
    yes, no, judged = [], [], []
    for case in found:
        ranked = ranked_of(case, calibration)
        value = confidence(ranked, calibration)
        (yes if case.question.answer else no).append(value)
        judged.append((value, bool(ranked) and right(case, ranked[0])))
    grid = np.arange(0.02, 0.9, 0.01)
    worth = np.array([sum(1.0 if good else -1 / 2 for value, good in judged if value >= t) for t in grid])
    balanced = float(np.median(grid[worth >= 0.99 * worth.max()]))
    strict, lenient = float(np.quantile(no, 0.9)), float(np.quantile(yes, 0.05))
    chosen = {Mode.STRICT: max(strict, balanced), Mode.BALANCED: balanced, Mode.LENIENT: min(lenient, balanced)}
    return replace(calibration, thresholds={k: round(v, 3) for k, v in chosen.items()})


def first_of(found: Sequence[Case], calibration: Calibration) -> tuple[list[float], list[bool]]:
    """The probability of each question's first candidate, and whether it is right; 0 and wrong without one.

    Before excerpts that say the same are counted as one, as an answer does.
    """
    ranked = [ranked_of(case, calibration) for case in found]
    values = [probabilities(r, calibration)[0] if r else 0.0 for r in ranked]
    return values, [bool(r) and right(case, r[0]) for case, r in zip(found, ranked, strict=True)]


def report(name: str, found: Sequence[Case], calibration: Calibration) -> None:
    answerable = [c for c in found if c.question.answer]
    hits = {1: 0, 3: 0}
    for case in answerable:
        flags = [right(case, c) for c in ranked_of(case, calibration)[:3]]
        hits[1] += flags[:1] == [True]
        hits[3] += any(flags)
    exact = sum(r[0].span.text == c.question.answer for c in answerable if (r := ranked_of(c, calibration)))
    recalled = sum(c.rank is not None and c.rank <= 5 for c in answerable)
    reranked = 0
    for case in answerable:
        order = list(dict.fromkeys(c.hit.row for c in ranked_of(case, calibration)))[:5]
        places = {r.hit.row: r.hit.passage for r in case.readings}
        q = case.question
        reranked += any(
            places[row].article_id == q.passage_key and places[row].start <= q.start < places[row].end for row in order
        )
    n = len(answerable)
    read = np.mean([len(c.readings) for c in answerable])
    print(f"{name}: {n} answerable, {read:.2f} passages read; hit@1 {hits[1] / n:.3f} hit@3 {hits[3] / n:.3f} "
          f"exact {exact / n:.3f} recall@5 searched {recalled / n:.3f} reranked {reranked / n:.3f}")
    sure = {id(c): confidence(ranked_of(c, calibration), calibration) for c in found}
    for kind in ("written", "altered", "stranger"):
        no = [c for c in found if c.kind == kind]
        if not no:
            continue
        area = metrics.auroc([sure[id(c)] for c in [*answerable, *no]], [True] * n + [False] * len(no))
        shares = {m: np.mean([sure[id(c)] >= t for c in no]) for m, t in calibration.thresholds.items()}
        print(f"  {kind}: {len(no)}, AUROC {area or 0:.3f}, answered", {m.value: round(float(s), 3) for m, s in shares.items()})
    for mode, threshold in calibration.thresholds.items():
        taken = [c for c in found if sure[id(c)] >= threshold]
        good = sum(right(c, ranked_of(c, calibration)[0]) for c in taken)
        share = np.mean([sure[id(c)] >= threshold for c in answerable])
        print(f"  {mode.value} {threshold}: answers {share:.3f} of the answerable; first excerpt right in {good}/{len(taken)}")
    there, _ = metrics.calibration([sure[id(c)] for c in found], [bool(c.question.answer) for c in found])
    values, flags = first_of(found, calibration)
    error, bins = metrics.calibration(values, flags)
    area = metrics.auroc(values, flags)
    print(f"  first excerpt right or wrong: AUROC {area or 0:.3f}, expected calibration error {error:.3f}; of the confidence {there:.3f}")
    for b in bins:
        print(f"    probability {b['confidence']:.2f} right {b['accuracy']:.2f} of {b['count']}")
    for p in metrics.risk_coverage(values, flags):
        print(f"    coverage {p['coverage']:.1f} wrong {p['risk']:.3f} probability {p['confidence']:.2f}")


def plot(found: Sequence[Case], calibration: Calibration, target: Path) -> None:
    """Reliability and risk against coverage, side by side."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "askai"
    from matplotlib import pyplot

    values, flags = first_of(found, calibration)
    error, bins = metrics.calibration(values, flags)
    curve = metrics.risk_coverage(values, flags, 20)
    figure, (left, middle) = pyplot.subplots(1, 2, figsize=(9, 4))
    left.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    left.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o-", color="teal")
    left.set(xlabel="probability of the first excerpt", ylabel="first excerpt right", title=f"Reliability (ECE {error:.3f})", xlim=(0, 1), ylim=(0, 1))
    middle.plot([p["coverage"] for p in curve], [p["risk"] for p in curve], "o-", color="teal")
    sure = np.array([confidence(ranked_of(c, calibration), calibration) for c in found])
    for name, threshold in zip(("strict", "balanced", "lenient"), calibration.thresholds.values(), strict=True):
        taken = sure >= threshold
        share, risk = float(taken.mean()), 1.0 - float(np.array(flags)[taken].mean())
        middle.plot([share], [risk], "s", color="0.4")
        middle.annotate(f"{name} {threshold:.2f} ", (share, risk), ha="right", va="bottom", fontsize=8, color="0.3")
    middle.set(xlabel="questions answered", ylabel="of these, first excerpt wrong", title="Risk and coverage", xlim=(0, 1), ylim=(0, 1))
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def second_excerpts(found: Sequence[Case], calibration: Calibration) -> None:
    """How often a later excerpt is right, by how far its score is behind the first one's."""
    bins: dict[int, list[bool]] = {}
    for case in found:
        ranked = ranked_of(case, calibration)[:3]
        for c in ranked[1:]:
            bins.setdefault(min(6, int(ranked[0].score - c.score)), []).append(right(case, c))
    for gap, flags in sorted(bins.items()):
        print(f"  later excerpt {gap} to {gap + 1} behind: right {np.mean(flags):.3f} of {len(flags)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--reader", type=Path, default=MODELS / READER)
    parser.add_argument("--limit", type=int, default=100000)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--keep-ranking", action="store_true", help="fit the probabilities only")
    parser.add_argument("--shipped", action="store_true", help="report what ships, fit and write nothing")
    parser.add_argument("--plot", type=Path, help="an SVG of the held-apart half")
    options = parser.parse_args()
    reader = NeuralReader(options.reader, threads=2)
    held, articles = held_back(options.shared)
    found = cases(held, reader, options.limit)
    crowd = crowded(held, articles, reader)
    half = [c for c in found if int(c.question.passage_key[0], 16) % 2]
    other = [c for c in found if not int(c.question.passage_key[0], 16) % 2]
    n = len(SIGNALS)
    start = Calibration((1.0, 0.5, 9.0, *[0.0] * (n - 3)), (0.0,) * (len(EVIDENCE) + 1), 1.0, 0.1, default_calibration().lists, {Mode.BALANCED: 0.5})
    others = encyclopaedic(options.shared, reader)
    even, odd = ([c for c in others if int(c.question.passage_key) % 2 == part] for part in (0, 1))
    part, rest = ([c for c in crowd if int(c.question.passage_key[0], 16) % 2 == n] for n in (1, 0))
    answerable = [c for c in [*half, *even, *part] if c.question.answer]
    calibration = default_calibration()
    if not (options.shipped or options.keep_ranking):
        calibration = fit_ranking(answerable, fit_ranking(answerable, start))
    if not options.shipped:
        calibration = fit_shares(answerable, fit_confidence([*half, *even], calibration))
        calibration = choose_thresholds(half, calibration)
    report("chosen on", half, calibration)
    report("held apart", other, calibration)
    second_excerpts(other, calibration)
    if options.plot:
        plot(other, calibration, options.plot)
    report("over all passages at once, held apart", rest, calibration)
    report("CMRC's trial part, held apart", odd, calibration)
    out = {
        "ranking": [round(w, 4) for w in calibration.ranking],
        "confidence": [round(w, 4) for w in calibration.confidence],
        "sharpness": round(calibration.sharpness, 4),
        "elsewhere": round(calibration.elsewhere, 4),
        "lists": list(calibration.lists),
        "thresholds": dict(calibration.thresholds),
    }
    print(json.dumps(out, ensure_ascii=False))
    if not (options.dry or options.shipped):
        (options.reader / "calibration.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
