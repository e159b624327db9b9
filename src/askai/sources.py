"""The files of a corpus: what lies below its folders, and which of it an index has not seen yet."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from askai import corpus
from askai.errors import ArticleError, InputError
from askai.generations import Before, Source
from askai.text import fold
from askai.types import Failure

_RELIABLE_NS = 2_000_000_000
"""A file may be written again within one tick of its clock (two seconds on FAT) and look the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a root: where it really lies, its path below the root, its size and time."""

    path: Path
    key: str
    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Differences:
    """Files against an index. ``same`` are its records of what has not changed, ``failed`` of what
    could not be read and has not changed since; ``gone`` are records of files that are no more."""

    new: tuple[Found, ...]
    changed: tuple[Found, ...]
    gone: tuple[Source, ...]
    failed: tuple[Found, ...]
    same: tuple[Source, ...]
    touched: int


def real_place(path: Path) -> str:
    """Where a path really lies; a link to a file is not followed, as none is below a folder."""
    folder = os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for a title that is too long for a name)
    return str(path.resolve() if folder else path.parent.resolve() / path.name)


def real_places(roots: Sequence[Path]) -> list[str]:
    return [real_place(root) for root in roots]


def root_of(path: Path, roots: Sequence[Path]) -> Path | None:
    """The root for which ``scan`` finds a file; None where there is none, though it may lie below one."""
    key = Path(real_place(path))
    for root in roots:
        real = Path(real_place(root))
        below = key.is_relative_to(real) and not path.is_symlink() and not corpus.hidden(key.relative_to(real))
        if key == real or below:
            return root
    return None


def each_file(paths: Sequence[Path], index: Path) -> Iterator[tuple[Path, str]]:
    """Every file below the paths but those of the index folder, with its name from the given path's own on.

    Raises ``InputError`` where a path does not exist.
    """
    ours = index.resolve()
    for path in paths:
        for file, name in corpus.find_files([path]):
            if not Path(real_place(file)).is_relative_to(ours):
                yield file, name if path.is_file() else f"{path.resolve().name}/{name}"


def scan(roots: Sequence[Path], index: Path) -> list[Found]:
    """Every file below the roots, each once, but those of the index folder.

    Raises ``InputError`` where a root does not exist.
    """
    found: dict[str, Found] = {}
    ours = index.resolve()
    for root in roots:
        below, real = (root.parent, root.parent.resolve()) if root.is_file() else (root, root.resolve())
        for path, name in corpus.find_files([root]):
            place = real / path.relative_to(below)
            if not place.is_relative_to(ours) and str(place) not in found:
                looked_at = look(path, str(place), name)
                if looked_at is not None:
                    found[looked_at.key] = looked_at
    return list(found.values())


def look(path: Path, key: str, name: str) -> Found | None:
    """A file as it is now; None where it is no more."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return Found(path, key, name, -1, 0)  # reading it will tell why
    return Found(path, key, name, status.st_size, status.st_mtime_ns)


def digest_of(data: bytes) -> str:
    """Digest of a file's bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def reliable_time(found: Found) -> int:
    """The file's time, or 0 where it is so young that a later change might not show in it."""
    return found.mtime_ns if abs(time.time_ns() - found.mtime_ns) > _RELIABLE_NS else 0


def compare(found: Iterable[Found], known: Mapping[str, Source]) -> Differences:
    """What changed since the records were made: by size and time, and by content where these differ."""
    new: list[Found] = []
    changed: list[Found] = []
    failed: list[Found] = []
    same: list[Source] = []
    seen: set[str] = set()
    touched = 0
    for file in found:
        seen.add(file.key)
        record = known.get(file.key)
        if record is None:
            new.append(file)
        elif (file.size, file.mtime_ns) == (record.size, record.mtime_ns):
            if record.whole:
                same.append(record)
            else:
                failed.append(file)
        elif file.size != record.size or not _same_content(file, record.digest):
            changed.append(file)
        elif not record.whole:
            failed.append(file)
        else:
            touched += 1
            same.append(replace(record, mtime_ns=reliable_time(file)))
    gone = tuple(record for key, record in known.items() if key not in seen)
    return Differences(tuple(new), tuple(changed), gone, tuple(failed), tuple(same), touched)


def _same_content(file: Found, digest: str) -> bool:
    try:
        return bool(digest) and digest_of(corpus.bytes_of(file.path)) == digest
    except ArticleError:
        return False


def source_of(key: str, before: Before) -> Source:
    """The file of the article with this id, path or title. Raises ``InputError``."""
    holder = {id: source for source in before.sources for id in source.articles}
    real = real_place(Path(key)) if "\0" not in key else key
    for source in before.sources:
        if key in (source.path, source.key) or (real == source.key and source.articles):
            return source
    live = before.live()
    folded = fold(key)
    matches = [key] if key in live else [id for id, (_, _, e) in live.items() if fold(e.title) == folded]
    if not matches:
        raise InputError(f"没有这篇文章：{key}。运行 askai articles 可以看到所有文章的编号和标题。")
    if len(matches) > 1:
        raise InputError(f"有 {len(matches)} 篇文章叫 {key}，请改用编号：{'、'.join(matches[:5])}。")
    source = holder[matches[0]]
    if len(source.articles) > 1:
        raise InputError(
            f"{key} 和另外 {len(source.articles) - 1} 篇文章在同一个文件 {source.path} 里。"
            f"要一起移除，请给出这个文件的路径；否则请修改文件后运行 askai build。"
        )
    return source


def reasons(failures: Sequence[Failure]) -> str:
    """The first few failures in brackets; nothing where there are none."""
    found = "；".join(f"{f.path}：{f.reason}" for f in failures[:5])
    return f"（{found}）" if found else ""


def nothing_read(roots: Sequence[Path], failures: Sequence[Failure]) -> InputError:
    """The error where folders hold no article."""
    where = "、".join(str(root) for root in roots)
    return InputError(
        f"{where} 里没有可读的文章{reasons(failures)}。"
        f"请放入文章（{corpus.SHOWN}）后再试；原来的索引没有改动。"
    )
