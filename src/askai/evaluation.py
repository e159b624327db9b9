"""``askai eval``: retrieval, cited sentences, answers, declining, confidence and speed on a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from askai import responder
from askai.assistant import Assistant, default_calibration, default_reader
from askai.datasets import Example, pool, read_dataset
from askai.encoder import load_encoder
from askai.errors import InputError
from askai.evidence import wanted
from askai.index import Index, build_index
from askai.metrics import (
    auroc,
    calibration,
    character_f1,
    exact_match,
    first_rank,
    percentiles,
    risk_coverage,
)
from askai.responder import Calibration, Candidate
from askai.retrieval import hits_at, promising
from askai.types import Answer, Article, Encoder, Hit, Mode, Progress, Reader, Reading

STAGES = ("bm25", "dense", "fused", "reranked")
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question. ``prediction`` is the answer as if nothing were ever declined.

    ``confidence`` is the probability that there is an answer, ``first`` that the first excerpt is one, and
    ``gold_confidence`` is the first of them with the context given.
    """

    example: Example
    answered: bool
    confidence: float
    first: float
    prediction: str
    sentence: int | None
    ranks: Mapping[str, int | None]
    gold_prediction: str
    gold_confidence: float
    milliseconds: float


class RememberingReader:
    """Reads each passage once for a question: the same ones are read open, given and reranked."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._question = ""
        self._known: dict[int, Reading] = {}

    def read(
        self, question: str, hits: Sequence[Hit], articles: Mapping[str, Article]
    ) -> list[Reading]:
        """As ``Reader.read``; only the readings of the latest question are kept."""
        if question != self._question:
            self._question, self._known = question, {}
        new = [hit for hit in hits if hit.row not in self._known]
        for reading in self._reader.read(question, new, articles) if new else ():
            self._known[reading.hit.row] = reading
        return [replace(self._known[hit.row], hit=hit) for hit in hits]


class Evaluator:
    """Asks the questions of a set over a pool of contexts, each an article.

    The assistant inside never declines, so that one reply shows both what was found and how sure it
    was; whether it would have declined follows from its confidence.
    """

    def __init__(self, index: Index, encoder: Encoder, assistant: Assistant, calibration: Calibration) -> None:
        self._index = index
        self._encoder = encoder
        self._assistant = assistant
        self._calibration = calibration
        self._rows: dict[str, list[int]] = {}
        for row in range(len(index)):
            context = index.articles[index.passage(row).article_id].text
            self._rows.setdefault(context, []).append(row)

    @classmethod
    def build(
        cls, examples: Sequence[Example], model: str | None = None, progress: Progress | None = None
    ) -> Evaluator:
        """Index the contexts of the examples in memory."""
        encoder = load_encoder(model)
        index = build_index(pool(examples), encoder, progress)
        ours = default_calibration()
        reader = RememberingReader(default_reader())
        assistant = Assistant(index, encoder, reader, replace(ours, thresholds=dict.fromkeys(ours.thresholds, 0.0)))
        return cls(index, encoder, assistant, ours)

    @property
    def sizes(self) -> tuple[int, int]:
        """Articles and passages in the pool."""
        return len(self._index.articles), len(self._index)

    def has_passage(self, example: Example) -> bool:
        """Whether one passage of the question's context holds a whole gold answer."""
        rows = self._rows.get(example.context, ())
        return any(self._holds(row, example) for row in rows)

    def outcome(self, example: Example, stages: bool = False) -> Outcome:
        """Ask one question, open and with its context given."""
        begun = time.perf_counter()
        answer = self._assistant.ask(example.question)
        milliseconds = (time.perf_counter() - begun) * 1000
        hits = self._assistant.retrieve(example.question)
        given = self._given(example)
        ranked = self._ranked(example.question, given)
        return Outcome(
            example,
            answer.confidence >= self._calibration.thresholds[Mode.BALANCED],
            answer.confidence,
            answer.first_score,
            _words(answer),
            first_rank([_holds(c.quote, example.answers) for c in answer.citations]),
            {stage: first_rank(rank) for stage, rank in self._relevance(example, hits, stages)},
            ranked[0].span.text if ranked else "",
            responder.confidence(ranked, self._calibration),
            milliseconds,
        )

    def _holds(self, row: int, example: Example) -> bool:
        passage = self._index.passage(row)
        article = self._index.articles[passage.article_id]
        return article.text == example.context and _holds(
            article.text[passage.start : passage.end], example.answers
        )

    def _relevance(
        self, example: Example, hits: Sequence[Hit], stages: bool
    ) -> Iterator[tuple[str, list[bool]]]:
        orders: dict[str, Sequence[Hit]] = {"reranked": self._reranked(example.question, hits)}
        if stages:
            orders["bm25"] = self._assistant.retrieve(example.question, leg="bm25")
            orders["dense"] = self._assistant.retrieve(example.question, leg="dense")
            orders["fused"] = hits
        for stage, order in orders.items():
            yield stage, [self._holds(hit.row, example) for hit in order]

    def _reranked(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """The passages that are read, in the order of their best answers, then the others."""
        readings = self._assistant.read(question, promising(hits))
        order = dict.fromkeys(c.hit.row for c in self._ranked(question, readings))
        known = {hit.row: hit for hit in hits}
        rest = [hit for hit in hits if hit.row not in order]
        return [*(known[row] for row in order), *rest]

    def _ranked(self, question: str, readings: Sequence[Reading]) -> list[Candidate]:
        asked = wanted(question, self._index.lexical.idf)
        return responder.candidates(readings, self._index.articles, asked, self._calibration)

    def _given(self, example: Example) -> list[Reading]:
        """Readings of the question's own context, with its scores in the whole pool."""
        rows = self._rows.get(example.context, ())
        own = hits_at(self._index, self._encoder, example.question, rows)
        return self._assistant.read(example.question, own)


def _holds(text: str, answers: Sequence[str]) -> bool:
    return any(answer in text for answer in answers)


def _words(answer: Answer) -> str:
    """The words that the reply leads with; none where it found no passage at all."""
    return answer.answer if answer.status == "answered" else ""


def evaluate(
    dataset: Path,
    distractors: Sequence[Path] = (),
    *,
    limit: int | None = None,
    stages: bool = False,
    model: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure on a data set; the report is plain data, ready for JSON.

    Every measure stands with its count: of how many, how many. Raises ``InputError`` for a file
    that is no data set.
    """
    begun = time.perf_counter()
    own = read_dataset(dataset)
    everything = chain(own, *(read_dataset(path) for path in distractors))
    asked = [example for example in own if example.question.strip()][:limit]
    if not asked:
        raise InputError(f"数据集 {dataset} 里没有问题。请检查字段 question 或 query_text。")
    read = time.perf_counter()
    evaluator = Evaluator.build(list(everything), model, progress)
    built = time.perf_counter()
    outcomes = []
    for number, example in enumerate(asked, 1):
        outcomes.append(evaluator.outcome(example, stages))
        if progress and (number % 10 == 0 or number == len(asked)):
            progress("评测问题", number, len(asked))
    answerable = [example for example in asked if example.answers]
    articles, passages = evaluator.sizes
    return {
        "dataset": str(dataset),
        "distractors": [str(path) for path in distractors],
        "questions": len(asked),
        "answerable": len(answerable),
        "unanswerable": len(asked) - len(answerable),
        "articles": articles,
        "passages": passages,
        "read_seconds": read - begun,
        "build_seconds": built - read,
        "answer_in_one_passage": _share(evaluator.has_passage(example) for example in answerable),
        **summarise(outcomes),
    }


def summarise(outcomes: Sequence[Outcome]) -> Report:
    """All measures over the outcomes.

    Recall, sentences and answers are measured over the answerable questions; a reply is right, for
    calibration and risk, when its first excerpt holds a gold answer, and is as sure as that excerpt.
    """
    answerable = [outcome for outcome in outcomes if outcome.example.answers]
    right = [outcome.sentence == 1 for outcome in outcomes]
    sure = [outcome.first for outcome in outcomes]
    error, bins = calibration(sure, right)
    times = [outcome.milliseconds for outcome in outcomes]
    p50, p95 = percentiles(times, 50, 95)
    report: Report = {"retrieval": _retrieval(answerable, "reranked")}
    if outcomes and len(outcomes[0].ranks) > 1:
        report["stages"] = {stage: _retrieval(answerable, stage) for stage in STAGES}
    return report | {
        "sentences": {
            f"hit@{k}": _share(o.sentence is not None and o.sentence <= k for o in answerable)
            for k in (1, 3)
        },
        "open": _answers(answerable, lambda o: o.prediction),
        "open_with_declines": _answers(answerable, lambda o: o.prediction if o.answered else ""),
        "gold_context": _answers(answerable, lambda o: o.gold_prediction),
        "declining": _declining(outcomes),
        "calibration": {"expected_error": error, "count": len(outcomes), "bins": bins},
        "risk_coverage": risk_coverage(sure, right),
        "latency_ms": {"p50": p50, "p95": p95, "count": len(times)},
    }


def _share(flags: Iterator[bool]) -> Report:
    values = list(flags)
    return _mean([float(flag) for flag in values]) | {"count": sum(values), "of": len(values)}


def _mean(values: Sequence[float]) -> Report:
    return {"value": sum(values) / len(values) if values else None, "of": len(values)}


def _retrieval(outcomes: Sequence[Outcome], stage: str) -> Report:
    ranks = [outcome.ranks[stage] for outcome in outcomes]
    report = {f"recall@{k}": _share(r is not None and r <= k for r in ranks) for k in (1, 5, 20)}
    return report | {"mrr@10": _mean([1 / r if r is not None and r <= 10 else 0.0 for r in ranks])}


def _answers(outcomes: Sequence[Outcome], prediction: Callable[[Outcome], str]) -> Report:
    pairs = [(prediction(outcome), outcome.example.answers) for outcome in outcomes]
    return {
        "exact": _share(exact_match(text, golds) for text, golds in pairs),
        "f1": _mean([character_f1(text, golds) for text, golds in pairs]),
    }


def _declining(outcomes: Sequence[Outcome]) -> Report | None:
    """Answering against declining; None where every question has an answer, or none has."""
    labels = [bool(outcome.example.answers) for outcome in outcomes]
    area = auroc([outcome.confidence for outcome in outcomes], labels)
    if area is None:
        return None
    answered = [outcome.answered for outcome in outcomes]
    both = sum(a and b for a, b in zip(answered, labels, strict=True))
    precision = both / sum(answered) if any(answered) else 0.0
    recall = both / sum(labels)
    return {
        "auroc": area,
        "auroc_gold_context": auroc([outcome.gold_confidence for outcome in outcomes], labels),
        "f1": 2 * precision * recall / (precision + recall) if both else 0.0,
        "precision": precision,
        "recall": recall,
        "answered": {"answerable": both, "unanswerable": sum(answered) - both},
        "declined": {
            "answerable": sum(labels) - both,
            "unanswerable": len(labels) - sum(labels) - sum(answered) + both,
        },
    }
