"""``askai verify``: everything that can be said of an index without asking it a question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from askai.builder import indexed_text, text_digest
from askai.errors import IndexDamaged, IndexMismatch
from askai.generations import READ_ERRORS, Use, current, faults, read_manifest, read_sources, uses_of
from askai.passages import split
from askai.segments import Parts, article_digest, read, read_articles
from askai.types import Passage
from askai.updating import corpus_digest
from askai.writing import SEGMENTS


def problems(folder: Path) -> list[str]:
    """What is wrong with the generation that serves, in Chinese. Raises ``IndexMissing``.

    Checks checksums, counts and offsets; that passages are those that the article is cut into, each
    with the digest of its text; that vectors are finite and of unit length; that the words of each
    passage are counted; and that files and articles of the generation belong together.
    """
    name = ""
    try:
        name = current(folder)
        return list(_problems(folder, name))
    except (IndexDamaged, IndexMismatch) as error:
        if name and current(folder) != name:
            return problems(folder)  # a writer went on and took this generation away
        return [str(error)]


def _problems(folder: Path, name: str) -> Iterator[str]:
    manifest = read_manifest(folder, name)
    sources = read_sources(folder, name, manifest)
    entries = {}
    passages = 0
    for use in uses_of(manifest):
        home = folder / SEGMENTS / use.name
        wrong = faults(home, use.files)
        yield from (f"{use.name}：{fault}" for fault in wrong)
        try:
            parts = read(home, lazily=True)
            yield from (f"{use.name}：{fault}" for fault in _faults_of(home, use, parts, manifest["dimensions"]))
        except READ_ERRORS as error:
            yield f"{use.name}：读不出来（{error}）"
            continue
        for number, entry in enumerate(parts.catalogue):
            if number not in use.removed:
                passages += entry.passages
                if entry.id in entries:
                    yield f"文章 {entry.id} 出现了两次"
                entries[entry.id] = entry
    if (manifest["articles"], manifest["passages"]) != (len(entries), passages):
        yield f"清单记有 {manifest['articles']} 篇 {manifest['passages']} 段，实有 {len(entries)} 篇 {passages} 段"
    if manifest["corpus_digest"] != corpus_digest(entries.values()):
        yield "全部文章的校验和与清单不符"
    held = [id for source in sources for id in source.articles]
    if sorted(held) != sorted(entries):
        yield "文件记录与文章不符"


def _faults_of(home: Path, use: Use, parts: Parts, dimensions: int) -> Iterator[str]:
    if (len(parts.catalogue), len(parts.table)) != (use.articles, use.passages):
        yield "条数与清单不符"
    vectors = parts.vectors[0]
    for begin in range(0, len(vectors), 1 << 14):
        block = np.asarray(vectors[begin : begin + (1 << 14)])
        lengths = np.linalg.norm(block, axis=1)
        # A passage without any known unit has a vector of zeros.
        if block.shape[1] != dimensions or not np.isfinite(block).all():
            yield "向量里有不是数的值，或长度不对"
        elif np.any((np.abs(lengths - 1) > 1e-3) & (lengths > 1e-6)):
            yield "有的向量不是单位长度"
    yield from parts.postings.faults()
    yield from _faults_of_texts(home, parts)


def _faults_of_texts(home: Path, parts: Parts) -> Iterator[str]:
    rows = np.searchsorted(parts.table[:, 0], np.arange(len(parts.catalogue) + 1))
    if np.any(np.diff(parts.table[:, 0]) < 0):
        yield "段落没有按文章排列"
        return
    number = -1
    for number, article in enumerate(read_articles(home)):
        entry = parts.catalogue[number]
        mine = slice(int(rows[number]), int(rows[number + 1]))
        recorded = [
            Passage(article.id, int(start), int(end), parts.headings[int(heading)])
            for _, start, end, heading in parts.table[mine]
        ]
        if (entry.id, entry.title, entry.path) != (article.id, article.title, article.path):
            yield f"目录与文章不符：{article.id}"
        if entry.digest != article_digest(article):
            yield f"文章的校验和不符：{article.id}"
        if any(not 0 <= p.start < p.end <= len(article.text) for p in recorded):
            yield f"段落超出了文章：{article.id}"
        elif recorded != split(article) or entry.passages != len(recorded):
            yield f"段落与文章的切分不符：{article.id}"
        elif [text_digest(indexed_text(article, p)) for p in recorded] != parts.digests[mine].tolist():
            yield f"段落的文字与校验和不符：{article.id}"
    if number + 1 != len(parts.catalogue):
        yield f"目录有 {len(parts.catalogue)} 篇，文章有 {number + 1} 篇"
