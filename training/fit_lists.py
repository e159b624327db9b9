"""Fit when a question is answered by a whole list: ``python training/fit_lists.py``.

Reads ``training/data/lists``: articles of our own with lists of many forms, and questions that ask for
one, that ask for one that is not there, or that ask for one thing in or beside a list. The weights of
``lists.SIGNALS`` (logistic regression: is this the list?) are fitted on one half of the articles
and reported on the other, both ways: what is answered with and without lists. What is written to ``calibration.json``
is fitted on all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from askai import lists, retrieval  # noqa: E402
from askai.assistant import READER, Assistant, default_calibration, default_reader  # noqa: E402
from askai.encoder import MODELS, load_encoder  # noqa: E402
from askai.evidence import wanted  # noqa: E402
from askai.index import Index, build_index  # noqa: E402
from askai.lists import Listed  # noqa: E402
from askai.responder import Calibration, candidates  # noqa: E402
from askai.types import Answer, Article, Encoder  # noqa: E402

DATA = HERE / "data" / "lists"


@dataclass(frozen=True, slots=True)
class Case:
    """A question; ``first`` and ``last`` are offsets into its article of what a right list reaches over."""

    question: str
    article: str
    kind: str
    first: int
    last: int
    items: tuple[str, ...]


def load() -> tuple[list[Article], list[Case]]:
    rows = [json.loads(line) for line in (DATA / "articles.jsonl").read_text("utf-8").splitlines()]
    articles = [Article(row["id"], row["title"], "", row["text"]) for row in rows]
    texts = {a.id: a.text for a in articles}
    cases = []
    for row in map(json.loads, (DATA / "questions.jsonl").read_text("utf-8").splitlines()):
        text = texts[row["article"]]
        first = text.index(row["first"]) if row["first"] else -1
        last = text.index(row["last"]) + len(row["last"]) if row["last"] else -1
        cases.append(Case(row["question"], row["article"], row["kind"], first, last, tuple(row["items"])))
    return articles, cases


def covers(case: Case, article: str, start: int, end: int) -> bool:
    """Whether a stretch of an article holds the list asked for, give or take an item's mark or a stop."""
    return case.kind == "list" and article == case.article and start <= case.first + 4 and case.last - 4 <= end


def found(index: Index, encoder: Encoder, case: Case) -> list[Listed]:
    asked = wanted(case.question, index.lexical.idf)
    if not lists.possible(case.question, asked):
        return []
    hits = retrieval.retrieve(index, encoder, case.question)
    reader = default_reader()
    readings = reader.read(case.question, retrieval.promising(hits), index.articles)
    ranked = candidates(readings, index.articles, asked, default_calibration())
    near = hits[: retrieval.EXAMINED]
    return lists.find(case.question, asked, near, ranked, index.articles, encoder, reader)


def fit(pairs: list[tuple[Case, Listed]]) -> tuple[float, ...]:
    rows = np.array([x.signals for _, x in pairs])
    right = [covers(c, x.article_id, x.listing.start, x.listing.end) for c, x in pairs]
    model = LogisticRegression(C=1.0, max_iter=1000).fit(rows, right)
    return (round(float(model.intercept_[0]), 4), *(round(float(w), 4) for w in model.coef_[0]))


def report(name: str, cases: list[Case], assistant: Assistant) -> None:
    counts: Counter[str] = Counter()
    for case in cases:
        answer: Answer = assistant.ask(case.question)
        counts[case.kind] += 1
        answered = answer.status == "answered"
        counts[f"{case.kind}: answered"] += answered
        if not answer.citations or not answered:
            continue
        c = answer.citations[0]
        counts[f"{case.kind}: whole list first"] += covers(case, c.article_id, c.start, c.end)
        right = c.article_id == case.article and case.first - 4 < c.end and c.start < case.last
        counts[f"{case.kind}: an item first"] += right and case.kind != "none"
        counts["other: its words lead"] += case.kind == "other" and case.items[0] in answer.answer
    print(name, dict(sorted(counts.items())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    articles, cases = load()
    encoder = load_encoder(None)
    index = build_index(articles, encoder)
    half = [c for c in cases if int(c.article[1:]) % 2]
    apart = [c for c in cases if not int(c.article[1:]) % 2]
    asked = Counter((c.kind, lists.possible(c.question, wanted(c.question, index.lexical.idf))) for c in cases)
    print("a list is looked for:", {f"{kind} {looked}": n for (kind, looked), n in sorted(asked.items())})
    ours = default_calibration()
    never = (-30.0, *[0.0] * len(lists.SIGNALS))
    known = {c: found(index, encoder, c) for c in cases}
    for name, fitted, reported in (("even", half, apart), ("odd", apart, half)):
        weights = fit([(c, x) for c in fitted for x in known[c]])
        for how, chosen in (("without lists", never), ("with lists", weights)):
            calibration: Calibration = replace(ours, lists=chosen)
            assistant = Assistant(index, encoder, default_reader(), calibration)
            report(f"{name} articles, {how}:", reported, assistant)
    weights = fit([(c, x) for c in cases for x in known[c]])
    print("fitted on all:", dict(zip(("bias", *lists.SIGNALS), weights, strict=True)))
    if not options.dry:
        path = MODELS / READER / "calibration.json"
        out = json.loads(path.read_text("utf-8")) | {"lists": weights}
        path.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
