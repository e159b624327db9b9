"""Files to articles: which files are read, what they are called. What cannot be read is named with its reason."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from askai.errors import ArticleError, InputError
from askai.formats.contents import Contents, Source
from askai.formats.extractor import default_extractor
from askai.formats.kinds import (
    BY_SUFFIX,
    LARGEST,
    PLAIN,
    SHOWN,
    SUFFIXES,
    UNSUPPORTED,
    checked,
    kind_of,
    too_big,
)
from askai.formats.plain import decode, parse
from askai.types import Article, Failure

__all__ = [
    "BY_SUFFIX", "LARGEST", "MAX_BYTES", "SHOWN", "SUFFIXES", "UNSUPPORTED", "bytes_of", "decode", "existing",
    "find_files", "hidden", "load", "parse", "read_articles", "read_data", "read_file", "readable", "unique",
]

MAX_BYTES = PLAIN.limit
"""Size of a text file at the most; ``kind_of(name).limit`` has those of the other kinds."""

_PART = re.compile(r"(.*?)(#\d+)?", re.DOTALL)


def bytes_of(path: Path, name: str = "") -> bytes:
    """A file's bytes, as many as its kind may have by ``name`` (its own where none is given).

    Never waits: a pipe or a device is refused, not read. Raises ``ArticleError``.
    """
    limit = kind_of(name or path.name).limit
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise ArticleError("不是普通文件（而是文件夹、管道或设备），没有读。请放入文件本身。")
            if found.st_size > limit:
                raise too_big(found.st_size, limit)
            return file.read(limit + 1)
    except OSError as error:
        raise ArticleError(f"无法读取（{error.strerror}）。请检查文件是否存在、是否有权限。") from error


def read_data(data: bytes, id: str, path: str) -> Contents:
    """The articles in the bytes of one file, by the suffix of ``path``; and what could not be read.

    Text is read here, everything else in a child process. Raises ``ArticleError`` with the reason
    in Chinese where there is nothing to be had at all.
    """
    named = kind_of(path)
    kind = checked(data, named)
    source = Source(id, path, Path(path).stem)
    if kind is PLAIN:
        return Contents((parse(decode(data), id=id, path=path, stem=source.stem),))
    contents = default_extractor().read(named, data, source)
    if not contents.articles:
        reasons = "；".join(f"{f.path.removeprefix(path)}：{f.reason}" for f in contents.failures[:3])
        raise ArticleError(f"里面没有能读的文章（{reasons}）。" if reasons else "里面没有能读的文章。请核对后再放入。")
    return contents


def read_file(path: Path, id: str) -> Contents:
    """The articles of one file, and the parts of it that could not be read.

    One article has the ``id``; the several of a list have ``id#3``, those of an archive
    ``id/name``. Raises ``ArticleError`` with the reason in Chinese.
    """
    return read_data(bytes_of(path), id, readable(path.as_posix()))


def read_articles(path: Path, id: str) -> list[Article]:
    """All articles of one file, as ``read_file`` names them. Raises ``ArticleError``."""
    return list(read_file(path, id).articles)


def read_article(path: Path, id: str) -> Article:
    """The first article of a file. Raises ``ArticleError``."""
    return read_articles(path, id)[0]


def readable(name: str) -> str:
    """A file name as text that can be shown: one that is no UTF-8 is taken for GB18030."""
    raw = os.fsencode(name)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "replace")


def find_files(roots: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield ``(file, id)`` below the roots: readable suffixes, not hidden, links not followed.

    Raises ``InputError`` where a root does not exist.
    """
    for root in roots:
        if existing(root).is_file():
            yield root, root.name
            continue
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if not hidden(relative) and path.is_file() and not path.is_symlink():
                yield path, relative.as_posix()


def existing(root: Path) -> Path:
    """The root itself. Raises ``InputError`` where it is not there."""
    if not root.exists():
        raise InputError(f"找不到 {root}。请检查路径，或先建好文件夹并放入文章（{SHOWN}）。")
    return root


def hidden(relative: Path) -> bool:
    """Whether a path below a root is one that is not read."""
    return any(part.startswith(".") for part in relative.parts)


def unique(id: str, taken: set[str]) -> str:
    """An article's id less the suffix of its file, or with what tells it from those in ``taken``."""
    match = _PART.fullmatch(id)
    name, part = (match.group(1), match.group(2) or "") if match else (id, "")
    stem = re.sub(r"(?<=[^/])\.[^./]+$", "", name)
    candidates = chain((stem + part, id), (f"{name}~{n}{part}" for n in count(2)))
    found = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(found)
    return found


def load(roots: Sequence[Path], index: Path | None = None) -> tuple[list[Article], list[Failure]]:
    """Read every article below the roots; a bad file is reported and does not stop the others.

    What lies in the ``index`` folder is ours and no article, should it be below a root.
    """
    articles: list[Article] = []
    failures: list[Failure] = []
    taken: set[str] = set()
    ours = index.resolve() if index else None
    for path, id in find_files(roots):
        if ours and path.resolve().is_relative_to(ours):
            continue
        try:
            contents = read_file(path, readable(id))
        except ArticleError as error:
            failures.append(Failure(readable(path.as_posix()), str(error)))
            continue
        articles += [replace(a, id=unique(a.id, taken)) for a in contents.articles]
        failures += contents.failures
    return articles, failures
