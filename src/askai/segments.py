"""Segments: folders that hold some articles and all that is searched of them, written once.

    articles.jsonl   the articles, one JSON object a line
    catalogue.json   of each article: id, title, path, characters, passages, digest
    headings.json    the headings
    passages.npy     int32 (passages, 4): article, start, end, heading
    digests.npy      uint64 (passages,): what text each vector was made from
    vectors.npy      float32 (passages, dimensions), rows of unit length
    units.npy starts.npy rows.npy counts.npy lengths.npy   see ``lexical.Postings``

A writer adds one article without reading the segments that are there but for their catalogues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from askai.lexical import Array, Postings, merge as merge_postings
from askai.types import Article, Floats

_POSTINGS = tuple(field.name for field in fields(Postings))


@dataclass(frozen=True, slots=True)
class Entry:
    """An article without its text; ``digest`` is of all that makes it another one but its path."""

    id: str
    title: str
    path: str
    characters: int
    passages: int
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """All of a segment but the articles themselves; ``vectors`` are blocks of rows, in order."""

    catalogue: Sequence[Entry]
    headings: Sequence[str]
    table: Array
    digests: Array
    vectors: Sequence[Floats]
    postings: Postings


def to_json(value: Any) -> bytes:
    """JSON that gives every string back as it was, halves of characters too, when ``json.loads`` reads it."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def article_digest(article: Article) -> str:
    """Digest of an article's title, text, meta data and pages: what makes it another one."""
    content = [article.title, dict(article.meta), article.pages, article.text]
    data = json.dumps(content, sort_keys=True).encode()
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def article_line(article: Article) -> bytes:
    """An article as one line of ``articles.jsonl``."""
    row = {"id": article.id, "title": article.title, "path": article.path, "meta": dict(article.meta),
           "pages": article.pages, "text": article.text}  # fmt: skip
    return to_json(row) + b"\n"


def _save(path: Path, blocks: Sequence[Array], shape: tuple[int, ...]) -> None:
    """Write blocks of rows as one NumPy file, one after the other: they are never joined in memory."""
    kind = blocks[0].dtype if blocks else np.dtype(np.float32)
    with path.open("wb") as out:
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        for block in blocks:
            out.write(np.ascontiguousarray(block).data)


def write(parts: Parts, folder: Path, dimensions: int) -> None:
    """Write all files of a segment but ``articles.jsonl``. Raises ``OSError``."""
    rows = [[e.id, e.title, e.path, e.characters, e.passages, e.digest] for e in parts.catalogue]
    (folder / "catalogue.json").write_bytes(to_json(rows))
    (folder / "headings.json").write_bytes(to_json(list(parts.headings)))
    _save(folder / "vectors.npy", parts.vectors, (len(parts.table), dimensions))
    arrays = {"passages": parts.table, "digests": parts.digests} | {
        name: getattr(parts.postings, name) for name in _POSTINGS
    }
    for name, array in arrays.items():
        _save(folder / f"{name}.npy", [array], array.shape)


def checksum(path: Path) -> str:
    """First 32 hex digits of a file's BLAKE2b digest."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "blake2b").hexdigest()[:32]


def name_of(files: Mapping[str, str]) -> str:
    """The name that a segment's content gives it."""
    digest = hashlib.blake2b(json.dumps(files, sort_keys=True).encode(), digest_size=10).hexdigest()
    return f"seg-{digest}"


def load_array(folder: Path, name: str, *, lazily: bool = False) -> Array:
    path = folder / f"{name}.npy"
    loaded = np.load(path, allow_pickle=False, mmap_mode="r" if lazily and path.stat().st_size else None)
    if not isinstance(loaded, np.ndarray):
        raise ValueError(f"{path.name}：不是数组")
    return loaded


def read_catalogue(folder: Path) -> list[Entry]:
    """The articles of a segment without their texts. Raises ``OSError``, ``ValueError``, ``TypeError``."""
    return [Entry(*row) for row in json.loads((folder / "catalogue.json").read_bytes())]


def read_articles(folder: Path) -> Iterator[Article]:
    """The articles of a segment, one at a time. Raises ``OSError``, ``ValueError``, ``KeyError``."""
    with (folder / "articles.jsonl").open("rb") as lines:
        for line in lines:
            r = json.loads(line)
            yield Article(r["id"], r["title"], r["path"], r["text"], r["meta"], tuple(r["pages"]))


def read(folder: Path, *, lazily: bool = False) -> Parts:
    """All of a segment but its articles, in memory or (``lazily``) as read from disk when used.

    Raises ``OSError``, ``ValueError`` or ``TypeError`` where files do not hold what they should.
    """
    arrays = {name: load_array(folder, name, lazily=lazily) for name in _POSTINGS}
    table, digests, vectors = (
        load_array(folder, name, lazily=lazily and name == "vectors") for name in ("passages", "digests", "vectors")
    )
    catalogue = read_catalogue(folder)
    headings = [str(h) for h in json.loads((folder / "headings.json").read_bytes())]
    size = len(table)
    if not size == len(digests) == len(vectors) == len(arrays["lengths"]) or table.shape != (size, 4):
        raise ValueError("各文件的条数不一致")
    if size and (table.min() < 0 or (table.max(0)[[0, 3]] >= (len(catalogue), len(headings))).any()):
        raise ValueError("段落表超出了范围")
    return Parts(catalogue, headings, table, digests, [vectors], Postings(**arrays))


def merge(sources: Sequence[tuple[Path, frozenset[int]]], folder: Path, dimensions: int) -> None:
    """Write the articles of several segments as one, those in the sets (article numbers) left out.

    Raises what ``read`` raises. The segments' vectors and postings are read as they are copied.
    """
    parts = [read(source, lazily=True) for source, _ in sources]
    catalogue: list[Entry] = []
    headings: dict[str, int] = {"": 0}
    tables: list[Array] = []
    lives: list[Array] = []
    with (folder / "articles.jsonl").open("wb") as out:
        for part, (source, removed) in zip(parts, sources, strict=True):
            renumbered = np.full(len(part.catalogue) or 1, -1, np.int32)
            with (source / "articles.jsonl").open("rb") as lines:
                for number, (entry, line) in enumerate(zip(part.catalogue, lines, strict=True)):
                    if number not in removed:
                        renumbered[number] = len(catalogue)
                        catalogue.append(entry)
                        out.write(line)
            places = np.array([headings.setdefault(h, len(headings)) for h in part.headings] or [0], np.int32)
            live = renumbered[part.table[:, 0]] >= 0
            table = part.table[live]
            table[:, 0], table[:, 3] = renumbered[table[:, 0]], places[table[:, 3]]
            tables.append(table)
            lives.append(live)
    ends = np.cumsum([int(live.sum()) for live in lives])
    postings = []
    for part, live, end in zip(parts, lives, ends.tolist(), strict=True):
        place = np.where(live, np.cumsum(live) - 1 + end - int(live.sum()), -1).astype(np.int32)
        postings.append((part.postings, place))
    merged = Parts(
        catalogue,
        list(headings),
        np.concatenate(tables),
        np.concatenate([part.digests[live] for part, live in zip(parts, lives, strict=True)]),
        [block for part, live in zip(parts, lives, strict=True) for block in _blocks(part.vectors[0], live)],
        merge_postings(postings, int(ends[-1])),
    )
    write(merged, folder, dimensions)


def _blocks(vectors: Floats, live: Array) -> Iterator[Floats]:
    for begin in range(0, len(live), 1 << 14):
        chosen = slice(begin, begin + (1 << 14))
        yield vectors[chosen][live[chosen]]
