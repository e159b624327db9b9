"""The reader that ships: a small network over question and passage, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from askai.errors import ModelError
from askai.reading import MAX_PASSAGE, MAX_QUESTION, Batch, Vocabulary, assemble
from askai.types import Article, Floats, Hit, Reading, Span

_LONGEST_SPAN = 80
_SPANS = 6


class NeuralReader:
    """Finds answer spans in passages; scores are comparable across the passages of a question.

    Raises ``ModelError`` where the model's files are missing or damaged.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Processors without VNNI else add up 8-bit products in 16 bits and cut off what is too large: scores were
        # off by up to 2.6. Exact sums take 7 % longer there, and make every machine answer alike.
        options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self._vocabulary = Vocabulary.load(folder / "vocab.json")
            self._session = onnxruntime.InferenceSession(
                (folder / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except _load_errors() as error:
            raise ModelError(f"阅读模型 {folder} 缺文件或已损坏（{error}）。请重新安装 askai。") from error

    def read(
        self, question: str, hits: Sequence[Hit], articles: Mapping[str, Article]
    ) -> list[Reading]:
        """One reading for each hit, in the order of the hits; offsets are into the articles."""
        asked = self._vocabulary.analyse(question[-MAX_QUESTION:])
        readings: dict[int, Reading] = {}
        order = sorted(range(len(hits)), key=lambda i: hits[i].passage.end - hits[i].passage.start)
        for begin in range(0, len(order), 4):
            # Passages of like length go together: padding costs as much as text.
            chosen = order[begin : begin + 4]
            items = []
            for i in chosen:
                p = hits[i].passage
                article = articles[p.article_id]
                text = article.text[p.start : min(p.end, p.start + MAX_PASSAGE)]
                items.append((asked, self._vocabulary.analyse(text), f"{article.title} {p.heading}"))
            batch = assemble(self._vocabulary, items)
            start, end, answers = self._run(batch)
            for row, i in enumerate(chosen):
                offset, length = batch.offset[row], len(items[row][1].text)
                spans = _best_spans(
                    start[row, offset : offset + length], end[row, offset : offset + length]
                )
                readings[i] = _reading(hits[i], articles, spans, float(answers[row]))
        return [readings[i] for i in range(len(hits))]

    def _run(self, batch: Batch) -> tuple[Floats, Floats, Floats]:
        outputs = self._session.run(
            None,
            {
                "chars": batch.chars,
                "words": batch.words,
                "marks": batch.marks,
                "side": batch.side,
                "features": batch.features,
            },
        )
        return cast(tuple[Floats, Floats, Floats], tuple(outputs))


def _load_errors() -> tuple[type[Exception], ...]:
    """What a missing or damaged file can raise; ONNX Runtime's classes share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    plain = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
    return (
        *plain, state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoModel,
    )


def _best_spans(start: Floats, end: Floats) -> list[tuple[int, int, float]]:
    """The best non-overlapping spans ``(start, end, score)``, start and end chosen together."""
    n = len(start)
    scores = start[:, None] + end[None, :]
    places = np.arange(n)
    length = places[None, :] - places[:, None]
    scores = np.where((length >= 0) & (length < _LONGEST_SPAN), scores, -np.inf)
    spans: list[tuple[int, int, float]] = []
    while len(spans) < _SPANS and np.isfinite(scores).any():
        i, j = divmod(int(scores.argmax()), n)
        spans.append((i, j + 1, float(scores[i, j])))
        # Nothing that touches the chosen span may be chosen again.
        scores[: j + 1, i:] = -np.inf
    return spans


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Take white space, stops and Markdown's emphasis marks off a span's ends."""
    drop = "，。；、：,;:*_`#>"
    while start < end and (text[start] in drop or text[start].isspace()):
        start += 1
    while end > start and (text[end - 1] in drop or text[end - 1].isspace()):
        end -= 1
    return start, end


def _reading(
    hit: Hit, articles: Mapping[str, Article], spans: list[tuple[int, int, float]], answers: float
) -> Reading:
    text = articles[hit.passage.article_id].text
    found = []
    for i, j, score in spans:
        start, end = _trim(text, hit.passage.start + i, hit.passage.start + j)
        if start < end:
            found.append((Span(start, end, text[start:end]), score))
    return Reading(hit, tuple(found), answers)
