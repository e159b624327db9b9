"""An index in memory: the segments of one generation, searched as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from askai.builder import Builder
from askai.errors import IndexDamaged, InputError
from askai.generations import READ_ERRORS, Use, current, damaged, faults, read_manifest, uses_of
from askai.lexical import Array, LexicalIndex, Postings
from askai.segments import Parts, read, read_articles
from askai.stores.faiss_store import FaissStore, SegmentedStore
from askai.text import fold
from askai.types import Article, ArticleSummary, Encoder, Floats, Passage, Progress
from askai.writing import SEGMENTS


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A segment in memory, shared by all generations that use it."""

    name: str
    articles: tuple[Article, ...]
    headings: tuple[str, ...]
    table: Array
    digests: Array
    postings: Postings
    vectors: FaissStore


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """One generation, in memory. Rows are passages in force, by article id and then by place.

    ``ids`` are in order; ``table`` is int32 (passages, 4): article (its place in ``ids``), start,
    end, heading.
    """

    generation: str
    manifest: Mapping[str, Any]
    articles: Mapping[str, Article]
    ids: tuple[str, ...]
    headings: tuple[str, ...]
    table: Array
    digests: Array
    lexical: LexicalIndex
    vectors: SegmentedStore
    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return len(self.table)

    def passage(self, row: int) -> Passage:
        article, start, end, heading = (int(v) for v in self.table[row])
        return Passage(self.ids[article], start, end, self.headings[heading])

    def text(self, passage: Passage) -> str:
        return self.articles[passage.article_id].text[passage.start : passage.end]


def compose(
    generation: str, manifest: Mapping[str, Any], held: Sequence[tuple[Segment, frozenset[int]]]
) -> Index:
    """Several segments, articles of the numbers beside each left out, as one index.

    The same articles give the same rows, headings aside, in whatever segments they lie.
    """
    articles = {
        article.id: article
        for segment, removed in held
        for number, article in enumerate(segment.articles)
        if number not in removed
    }
    ids = tuple(sorted(articles))
    place_of = {id: place for place, id in enumerate(ids)}
    headings: dict[str, int] = {"": 0}
    tables = []
    for segment, removed in held:
        numbers = np.array(
            [-1 if n in removed else place_of[a.id] for n, a in enumerate(segment.articles)] or [-1], np.int32
        )
        names = np.array([headings.setdefault(h, len(headings)) for h in segment.headings] or [0], np.int32)
        table = segment.table.copy()
        table[:, 0], table[:, 3] = numbers[table[:, 0]], names[table[:, 3]]
        tables.append(table)
    table = np.concatenate([np.empty((0, 4), np.int32), *tables])
    # Those out of force come first and are cut off; a stable sort keeps the passages of an article in order.
    order = np.argsort(table[:, 0], kind="stable")[int((table[:, 0] < 0).sum()) :]
    rows = np.full(len(table), -1, np.int32)
    rows[order] = np.arange(len(order), dtype=np.int32)
    places = np.split(rows, np.cumsum([len(t) for t in tables])[:-1]) if tables else []
    digests = np.concatenate([np.empty(0, np.uint64), *(segment.digests for segment, _ in held)])
    segments = [segment for segment, _ in held]
    return Index(
        generation,
        manifest,
        {id: articles[id] for id in ids},
        ids,
        tuple(headings),
        table[order],
        digests[order],
        LexicalIndex([(s.postings, p) for s, p in zip(segments, places, strict=True)], len(order)),
        SegmentedStore(
            [(s.vectors, p) for s, p in zip(segments, places, strict=True)],
            len(order),
            int(manifest["dimensions"]),
        ),
        tuple(segments),
    )


def build_index(articles: Sequence[Article], encoder: Encoder, progress: Progress | None = None) -> Index:
    """Articles to an index in memory, which no file holds. Ids must differ."""
    kept: list[Article] = []
    builder = Builder(encoder, kept.append)
    for number, article in enumerate(articles):
        if progress and number % 50 == 0:
            progress("读入文章", number, len(articles))
        builder.add(article)
    parts = builder.finish()
    if progress:
        progress("读入文章", len(articles), len(articles))
    manifest = {
        "encoder": encoder.fingerprint,
        "dimensions": encoder.dimensions,
        "articles": len(articles),
        "passages": len(parts.table),
    }
    return compose("memory", manifest, [(_segment("memory", parts, kept, encoder.dimensions), frozenset())])


def _segment(name: str, parts: Parts, articles: Sequence[Article], dimensions: int) -> Segment:
    blocks = [np.empty((0, dimensions), np.float32), *parts.vectors]
    vectors: Floats = parts.vectors[0] if len(parts.vectors) == 1 else np.concatenate(blocks)
    return Segment(
        name, tuple(articles), tuple(parts.headings), parts.table, parts.digests, parts.postings,
        FaissStore.build(vectors),
    )  # fmt: skip


def load(folder: Path, known: Sequence[Segment] = (), generation: str | None = None) -> Index:
    """Read the current generation into memory, checked; segments that are ``known`` are taken over.

    Raises ``IndexMissing``, ``IndexDamaged`` or ``IndexMismatch``.
    """
    name = generation or current(folder)
    try:
        return _load(folder, name, {segment.name: segment for segment in known})
    except IndexDamaged:
        # Writers may have gone on and pruned this generation while it was being read.
        if generation is None and current(folder) != name:
            return load(folder, known)
        raise


def _load(folder: Path, name: str, known: Mapping[str, Segment]) -> Index:
    manifest = read_manifest(folder, name)
    wrong = faults(folder / name, manifest["files"])
    if wrong:
        raise damaged(folder / name, wrong[0])
    uses = uses_of(manifest)
    held = [(known.get(use.name) or _read(folder, use, manifest["dimensions"]), use.removed) for use in uses]
    index = compose(name, manifest, held)
    if (len(index), len(index.ids)) != (manifest["passages"], manifest["articles"]):
        raise damaged(folder / name, "条数不一致")
    return index


def _read(folder: Path, use: Use, dimensions: int) -> Segment:
    home = folder / SEGMENTS / use.name
    wrong = faults(home, use.files)
    if wrong:
        raise damaged(home, "；".join(wrong))
    try:
        parts, articles = read(home), list(read_articles(home))
        segment = _segment(use.name, parts, articles, dimensions)
    except READ_ERRORS as error:
        raise damaged(home, error) from error
    sizes = len(articles), len(parts.table), segment.vectors.dimensions
    if sizes != (use.articles, use.passages, dimensions):
        raise damaged(home, "各文件的条数不一致")
    return segment


def summaries(index: Index) -> list[ArticleSummary]:
    """Every article of an index, by id."""
    counts = np.bincount(index.table[:, 0], minlength=len(index.ids)).tolist()
    return [
        ArticleSummary(id, a.title, a.path, len(a.text), n)
        for (id, a), n in zip(index.articles.items(), counts, strict=True)
    ]


def find_article(index: Index, key: str) -> Article:
    """The article with this id, path or title, or part of a title. Raises ``InputError``."""
    found = index.articles.get(key)
    if found is not None:
        return found
    folded = fold(key)
    for match in (
        lambda a: a.path == key or fold(a.title) == folded or a.id == key.rsplit(".", 1)[0],
        lambda a: len(key) >= 2 and folded in fold(a.title),
    ):
        candidates = [a for a in index.articles.values() if match(a)]
        if candidates:
            return candidates[0]
    raise InputError(f"没有这篇文章：{key}。运行 askai articles 可以看到所有文章的编号和标题。")
