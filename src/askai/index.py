"""The index directory: build a generation beside the old one, swap in one step, open, check.

    index/CURRENT               name of the generation that serves
    index/gen-000007/           manifest.json, articles.jsonl, headings.json, passages.npy,
                                digests.npy, vectors.faiss, lexical/
    index/writer.lock           held by the one process that writes; writer.txt says which

A generation is never changed once ``CURRENT`` names it; readers keep theirs in memory. Nothing is
unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from askai.encoder import StaticEncoder, with_characters
from askai.errors import AskaiError, IndexBusy, IndexDamaged, IndexMismatch, IndexMissing
from askai.lexical import LexicalIndex
from askai.passages import PARAMETERS, split
from askai.stores.faiss_store import FaissStore
from askai.text import fold, units
from askai.types import Article, Encoder, Failure, Floats, Passage, Progress

FORMAT = 1
KEPT_GENERATIONS = 3
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Index:
    """One generation, in memory. ``table`` is int32 (passages, 4): article, start, end, heading."""

    generation: str
    manifest: Mapping[str, Any]
    articles: Mapping[str, Article]
    ids: tuple[str, ...]
    headings: tuple[str, ...]
    table: NDArray[np.int32]
    digests: NDArray[np.uint64]
    lexical: LexicalIndex
    vectors: FaissStore

    def __len__(self) -> int:
        return len(self.table)

    def passage(self, row: int) -> Passage:
        article, start, end, heading = (int(v) for v in self.table[row])
        return Passage(self.ids[article], start, end, self.headings[heading])

    def text(self, passage: Passage) -> str:
        return self.articles[passage.article_id].text[passage.start : passage.end]


def indexed_text(article: Article, passage: Passage) -> str:
    """What is searched for a passage: the article's title, the nearest heading, the text."""
    return "\n".join((article.title, passage.heading, article.text[passage.start : passage.end]))


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _vectors(
    texts: list[str],
    bags: list[list[str]],
    digests: NDArray[np.uint64],
    encoder: Encoder,
    old: Index | None,
    progress: Progress | None,
) -> tuple[Floats, int]:
    """Vectors of all passages, taken from the old index where text and model are the same."""
    out = np.zeros((len(texts), encoder.dimensions), np.float32)
    missing = list(range(len(texts)))
    if old is not None and old.manifest["encoder"] == encoder.fingerprint and len(old):
        known = {int(d): row for row, d in enumerate(old.digests)}
        rows = [(row, known[int(d)]) for row, d in enumerate(digests) if int(d) in known]
        if rows:
            mine, theirs = np.array(rows).T
            out[mine] = old.vectors.vectors()[theirs]
            found = set(mine.tolist())
            missing = [row for row in missing if row not in found]
    for begin in range(0, len(missing), _BATCH):
        chosen = missing[begin : begin + _BATCH]
        if isinstance(encoder, StaticEncoder):
            # The units are at hand from the keyword index: cut the text only once.
            out[chosen] = encoder.encode_bags(
                [with_characters(bags[row], fold(texts[row])) for row in chosen]
            )
        else:
            out[chosen] = encoder.encode_passages([texts[row] for row in chosen])
        if progress:
            progress("计算向量", min(begin + _BATCH, len(missing)), len(missing))
    return out, len(texts) - len(missing)


def build_index(
    articles: Sequence[Article],
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    old: Index | None = None,
    failures: Sequence[Failure] = (),
    model: str | None = None,
) -> Index:
    """Articles to an index in memory; vectors of unchanged passages come from ``old``."""
    headings: dict[str, int] = {"": 0}
    rows: list[tuple[int, int, int, int]] = []
    texts: list[str] = []
    bags: list[list[str]] = []
    for number, article in enumerate(articles):
        for p in split(article):
            rows.append((number, p.start, p.end, headings.setdefault(p.heading, len(headings))))
            texts.append(indexed_text(article, p))
            bags.append(list(units(fold(texts[-1]))))
        if progress and (number % 50 == 0 or number + 1 == len(articles)):
            progress("切分文章", number + 1, len(articles))
    digests = np.array([_digest(t) for t in texts], np.uint64)
    vectors, reused = _vectors(texts, bags, digests, encoder, old, progress)
    if progress:
        progress("建立关键词索引", 0, 1)
    manifest = {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "model": model,
        "encoder": encoder.fingerprint,
        "dimensions": encoder.dimensions,
        "passage_parameters": PARAMETERS,
        "articles": len(articles),
        "passages": len(rows),
        "reused_vectors": reused,
        "failures": [{"path": f.path, "reason": f.reason} for f in failures],
    }
    lexical = LexicalIndex.build(bags)
    if progress:
        progress("建立关键词索引", 1, 1)
    return Index(
        "memory",
        manifest,
        {a.id: a for a in articles},
        tuple(a.id for a in articles),
        tuple(headings),
        np.array(rows, np.int32).reshape(-1, 4),
        digests,
        lexical,
        FaissStore.build(vectors),
    )


def mending(folder: Path) -> str:
    """The command that makes the index in ``folder`` anew."""
    return "askai build" if folder == Path("index") else f"askai build --index {folder}"


def _name_of(holder: Path) -> str:
    try:
        return holder.read_text("utf-8") or "未知进程"
    except (OSError, UnicodeDecodeError):
        return "未知进程"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the writer's lock. Raises ``IndexBusy`` with the holder's name where another has it.

    Raises ``AskaiError`` where the folder cannot be written to.
    """
    holder = folder / "writer.txt"
    lock = FileLock(folder / "writer.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise IndexBusy(f"另一个进程正在写索引 {folder}（{_name_of(holder)}）。请等它结束后再试。") from error
    except OSError as error:
        raise AskaiError(
            f"无法写入索引文件夹 {folder}（{error.strerror or error}）。请检查路径、权限和磁盘空间后再试。"
        ) from error
    try:
        # The name is a courtesy to whoever is kept waiting: a full disk is reported by ``save``.
        with suppress(OSError):
            holder.write_text(f"进程 {os.getpid()}，开始于 {time.strftime('%F %T')}", "utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _sync(path: Path) -> None:
    """Force a file or folder to disk; Windows has no such call for folders."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_files(index: Index, folder: Path) -> None:
    with (folder / "articles.jsonl").open("w", encoding="utf-8") as out:
        for id in index.ids:
            a = index.articles[id]
            row = {"id": a.id, "title": a.title, "path": a.path, "meta": dict(a.meta),
                   "pages": a.pages, "text": a.text}
            out.write(json.dumps(row, ensure_ascii=True) + "\n")
    (folder / "headings.json").write_text(json.dumps(index.headings), "utf-8")
    np.save(folder / "passages.npy", index.table, allow_pickle=False)
    np.save(folder / "digests.npy", index.digests, allow_pickle=False)
    index.vectors.save(folder / "vectors.faiss")
    (folder / "lexical").mkdir()
    index.lexical.save(folder / "lexical")


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    sums = {}
    for path in files:
        with path.open("rb") as data:
            digest = hashlib.file_digest(data, "blake2b").hexdigest()[:32]
        sums[path.relative_to(folder).as_posix()] = digest
    return sums


def _generations(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("gen-*") if p.is_dir() and p.name[4:].isdecimal())


def _manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of everything in a manifest but the digest itself."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:32]


def _write_manifest(index: Index, folder: Path) -> None:
    manifest = dict(index.manifest) | {"checksums": _checksums(folder)}
    manifest["checksum"] = _manifest_digest(manifest)
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    # A file name that is no Unicode text comes out as \udcxx, which JSON reads back.
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "backslashreplace"))


def save(index: Index, folder: Path) -> str:
    """Write a generation beside the others and make it the current one; returns its name.

    To be called inside ``writing``. Raises ``AskaiError`` naming the cause where writing fails; the
    generation that served before still does.
    """
    last = max((int(p.name[4:]) for p in _generations(folder)), default=0)
    name = f"gen-{last + 1:06d}"
    for leftover in folder.glob("tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary, home = folder / f"tmp-{os.getpid()}", folder / name
    try:
        temporary.mkdir()
        _write_files(index, temporary)
        _write_manifest(index, temporary)
        for path in (*temporary.rglob("*"), temporary):
            _sync(path)
        temporary.rename(home)
        _sync(folder)
        pointer = folder / "CURRENT.new"
        pointer.write_text(name, "utf-8")
        _sync(pointer)
        pointer.replace(folder / "CURRENT")
    except OSError as error:
        for unfinished in (temporary, home):
            shutil.rmtree(unfinished, ignore_errors=True)
        raise AskaiError(
            f"写索引失败：{error.strerror or error}。原来的索引没有改动，仍可使用；"
            f"请检查磁盘空间和权限后重新运行 {mending(folder)}。"
        ) from error
    # The new generation serves from here on. Without this call a power cut could bring the old one
    # back, which is whole too.
    with suppress(OSError):
        _sync(folder)
    for old in _generations(folder)[:-KEPT_GENERATIONS]:
        shutil.rmtree(old, ignore_errors=True)
    return name


def current(folder: Path) -> str:
    """Name of the generation that serves. Raises ``IndexMissing``."""
    try:
        name = (folder / "CURRENT").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise IndexMissing(f"{folder} 里没有索引。请先运行 {mending(folder)} 建立索引。") from error
    if not (name.startswith("gen-") and name[4:].isdecimal()):
        raise IndexDamaged(f"{folder / 'CURRENT'} 的内容不对。请运行 {mending(folder)} 重建索引。")
    return name


def _damaged(folder: Path, reason: object) -> IndexDamaged:
    return IndexDamaged(f"索引 {folder} 已损坏（{reason}）。请运行 {mending(folder.parent)} 重建。")


def _check(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, f"manifest.json：{error}") from error
    mend = mending(folder.parent)
    if version != FORMAT:
        raise IndexMismatch(f"索引 {folder} 的格式是第 {version} 版，本程序用第 {FORMAT} 版。请运行 {mend} 重建。")
    expected = manifest.get("checksums")
    if not isinstance(expected, dict) or manifest.get("checksum") != _manifest_digest(manifest):
        raise _damaged(folder, "校验和不符：manifest.json")
    if manifest.get("passage_parameters") != PARAMETERS:
        raise IndexMismatch(f"索引 {folder} 的切分参数与本程序不同。请运行 {mend} 重建。")
    try:
        actual = _checksums(folder)
    except OSError as error:
        raise _damaged(folder, error) from error
    wrong = sorted(k for k in expected.keys() | actual.keys() if expected.get(k) != actual.get(k))
    if wrong:
        raise _damaged(folder, f"校验和不符：{', '.join(wrong)}")
    return cast(dict[str, Any], manifest)


def _read_articles(path: Path) -> list[Article]:
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Article(r["id"], r["title"], r["path"], r["text"], r["meta"], tuple(r["pages"])) for r in rows]


def load(folder: Path, generation: str | None = None) -> Index:
    """Read the current generation into memory, checked.

    Raises ``IndexMissing``, ``IndexDamaged`` or ``IndexMismatch``.
    """
    name = generation or current(folder)
    try:
        return _load(folder / name)
    except IndexDamaged:
        # Writers may have gone on and pruned this generation while it was being read.
        if generation is None and current(folder) != name:
            return load(folder)
        raise


def _load(home: Path) -> Index:
    manifest = _check(home)
    try:
        articles = _read_articles(home / "articles.jsonl")
        headings = tuple(json.loads((home / "headings.json").read_text("utf-8")))
        table = np.load(home / "passages.npy", allow_pickle=False)
        digests = np.load(home / "digests.npy", allow_pickle=False)
        vectors = FaissStore.load(home / "vectors.faiss")
        lexical = LexicalIndex.load(home / "lexical", len(table))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(home, error) from error
    except IndexDamaged as error:
        raise _damaged(home, error.__cause__) from error
    if not len(table) == len(digests) == len(vectors) == manifest["passages"]:
        raise _damaged(home, "各文件的条数不一致")
    return Index(
        home.name,
        manifest,
        {a.id: a for a in articles},
        tuple(a.id for a in articles),
        headings,
        table,
        digests,
        lexical,
        vectors,
    )
