"""The index folder on disk: which segments make up a generation, which generation serves, who writes.

    index/CURRENT                 name of the generation that serves
    index/gen-000007/             manifest.json, sources.json
    index/segments/seg-…/         what the generations share, see ``segments``
    index/writer.lock             held by the one process that writes; writer.txt says which

Nothing that ``CURRENT`` leads to is ever changed; the pointer is replaced in one step.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from askai.errors import IndexDamaged, IndexMismatch, IndexMissing, InputError
from askai.passages import PARAMETERS
from askai.segments import Entry, checksum, name_of, read_catalogue, to_json
from askai.writing import SEGMENTS, failing, generations, mending, pointer, sync, temporary

FORMAT = 2
READ_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError)
"""What reading files that are not as they should be may raise."""
Files = Mapping[str, Sequence[Any]]
"""File name to its size in bytes and its checksum."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the corpus as it was last read.

    ``key`` is where it really lies, ``path`` how it was named. ``mtime_ns`` is 0 where the time cannot
    be relied on. ``names`` are the ids of its articles, each with what the reader of the file calls it;
    a file that can no longer be read (not ``whole``) keeps them for when it can. ``failures`` are
    (path, reason) of the file or of parts of it.
    """

    key: str
    path: str
    size: int
    mtime_ns: int
    digest: str
    names: Mapping[str, str]
    whole: bool = True
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def articles(self) -> tuple[str, ...]:
        """Ids of the articles in force that came from this file."""
        return tuple(self.names.values()) if self.whole else ()


@dataclass(frozen=True, slots=True)
class Use:
    """A segment in a generation; ``removed`` are numbers of articles that are no longer in force."""

    name: str
    articles: int
    passages: int
    removed: frozenset[int]
    files: Files

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"name": self.name, "articles": self.articles, "passages": self.passages,
                "removed": sorted(self.removed), "files": dict(self.files)}  # fmt: skip


@cache
def segmenter() -> str:
    """Name and version of the segmenter: another one would cut questions and articles apart."""
    return f"rjieba {version('rjieba')}"


def damaged(home: Path, reason: object) -> IndexDamaged:
    """The error for a generation or segment that does not fit, with the command that mends it."""
    folder = home.parent.parent if home.parent.name == SEGMENTS else home.parent
    return IndexDamaged(f"索引 {home} 已损坏（{reason}）。请运行 {mending(folder)} 重建。")


def measured(folder: Path) -> dict[str, list[Any]]:
    """Size and checksum of every file of a folder. Raises ``OSError``."""
    return {p.name: [p.stat().st_size, checksum(p)] for p in sorted(folder.iterdir())}


def seal(folder: Path, written: Path) -> tuple[str, Files]:
    """Flush a written segment, and move it to the name that its content gives it. Raises ``OSError``."""
    files = measured(written)
    for path in (*written.iterdir(), written):
        sync(path)
    name = name_of({key: value[1] for key, value in files.items()})
    home = folder / SEGMENTS / name
    home.parent.mkdir(exist_ok=True)
    if home.exists():
        if not faults(home, files):
            return name, files
        home.rename(temporary(folder) / name)
    written.rename(home)
    sync(home.parent)
    return name, files


def faults(home: Path, files: Files, *, thoroughly: bool = True) -> list[str]:
    """Which files of a segment are not as recorded; by size alone unless ``thoroughly``."""
    wrong = []
    for name, (size, digest) in files.items():
        try:
            same = (home / name).stat().st_size == size
            if not same or (thoroughly and checksum(home / name) != digest):
                wrong.append(f"校验和不符：{name}")
        except OSError as error:
            wrong.append(f"{name}：{error.strerror or error}")
    return wrong


def current(folder: Path) -> str:
    """Name of the generation that serves. Raises ``IndexMissing``, ``IndexDamaged``."""
    try:
        name = (folder / "CURRENT").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise IndexMissing(f"{folder} 里没有索引。请先运行 {mending(folder)} 建立索引。") from error
    if not (name.startswith("gen-") and name[4:].isdecimal()):
        raise IndexDamaged(f"{folder / 'CURRENT'} 的内容不对。请运行 {mending(folder)} 重建索引。")
    return name


def _manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of everything in a manifest but the digest itself."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:32]


def _row(s: Source) -> list[Any]:
    return [s.key, s.path, s.size, s.mtime_ns, s.digest, s.names, s.whole, s.failures]


def publish(folder: Path, manifest: Mapping[str, Any], sources: Sequence[Source]) -> str:
    """Write a generation and make it the current one; returns its name. To be called inside ``writing``.

    Raises ``AskaiError`` naming the cause where writing fails; the generation that served still does.
    """
    last = max((int(name[4:]) for name in generations(folder)), default=0)
    home = folder / f"gen-{last + 1:06d}"
    with failing(folder):
        try:
            written = temporary(folder)
            (written / "sources.json").write_bytes(to_json([_row(source) for source in sources]))
            whole = dict(manifest) | {"files": measured(written)}
            whole["checksum"] = _manifest_digest(whole)
            # A file name that is no Unicode text comes out as \udcxx, which JSON reads back.
            text = json.dumps(whole, ensure_ascii=False, indent=1)
            (written / "manifest.json").write_bytes(text.encode("utf-8", "backslashreplace"))
            for path in (*written.iterdir(), written):
                sync(path)
            written.rename(home)
            sync(folder)
            point(folder, home.name)
        finally:
            # Asked of the disk: an interrupt may come between the swap and any word of it.
            if pointer(folder) != home.name:
                shutil.rmtree(home, ignore_errors=True)
    return home.name


def point(folder: Path, name: str) -> None:
    """Make a generation the one that serves, in one step. Raises ``OSError``."""
    new = folder / "CURRENT.new"
    new.write_text(name, "utf-8")
    sync(new)
    new.replace(folder / "CURRENT")
    # Without this call a power cut could bring the old one back, which is whole too.
    with suppress(OSError):
        sync(folder)


def roll_back(folder: Path, generation: str | None) -> str:
    """Make an earlier generation the current one, after a look at all its files; returns its name.

    To be called inside ``writing``. Without a name it is the one before the current. Raises
    ``InputError`` where there is no such generation, ``UnusableIndex`` where it is damaged.
    """
    kept, now = generations(folder), current(folder)
    earlier = [name for name in kept if int(name[4:]) < int(now[4:])]
    wanted = generation or (earlier[-1] if earlier else "")
    if wanted not in kept:
        named = f"没有 {wanted} 这一代索引" if wanted else "没有更早的一代索引"
        raise InputError(f"{named}可以退回。现有：{'、'.join(kept)}；正在使用：{now}。")
    for use in uses_of(read_manifest(folder, wanted)):
        wrong = faults(folder / SEGMENTS / use.name, use.files)
        if wrong:
            raise damaged(folder / wanted, f"{use.name}：{wrong[0]}")
    with failing(folder):
        point(folder, wanted)
    return wanted


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    """A generation's manifest, checked against itself and this program.

    Raises ``IndexDamaged`` or ``IndexMismatch``.
    """
    home = folder / name
    try:
        manifest = json.loads((home / "manifest.json").read_bytes())
        made_with = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(home, f"manifest.json：{error}") from error
    again = f"请运行 {mending(folder)} 重建。"
    if made_with != FORMAT:
        raise IndexMismatch(f"索引 {home} 的格式是第 {made_with} 版，本程序用第 {FORMAT} 版。{again}")
    if manifest.get("checksum") != _manifest_digest(manifest):
        raise damaged(home, "校验和不符：manifest.json")
    if manifest.get("passage_parameters") != PARAMETERS:
        raise IndexMismatch(f"索引 {home} 的切分参数与本程序不同。{again}")
    if manifest.get("segmenter") != segmenter():
        raise IndexMismatch(f"索引 {home} 由分词器 {manifest.get('segmenter')} 建立，现在的是 {segmenter()}。{again}")
    return cast(dict[str, Any], manifest)


def uses_of(manifest: Mapping[str, Any]) -> list[Use]:
    """The segments of a generation."""
    return [
        Use(u["name"], u["articles"], u["passages"], frozenset(u["removed"]), u["files"])
        for u in manifest["segments"]
    ]


def read_sources(folder: Path, name: str, manifest: Mapping[str, Any]) -> list[Source]:
    """The files that a generation was read from. Raises ``IndexDamaged``."""
    home = folder / name
    wrong = faults(home, manifest["files"])
    if wrong:
        raise damaged(home, wrong[0])
    rows = json.loads((home / "sources.json").read_bytes())
    return [
        Source(key, path, size, mtime_ns, digest, names, whole, tuple((p, r) for p, r in failures))
        for key, path, size, mtime_ns, digest, names, whole, failures in rows
    ]


@dataclass(frozen=True, slots=True)
class Before:
    """The generation that a change starts from. ``catalogues`` are those of ``uses``, in order."""

    name: str
    manifest: dict[str, Any]
    sources: tuple[Source, ...]
    uses: tuple[Use, ...]
    catalogues: tuple[Sequence[Entry], ...]

    @classmethod
    def read(cls, folder: Path, *, thoroughly: bool) -> Before:
        """Read the records of the current generation, not its texts, vectors or postings.

        ``thoroughly`` compares every segment with its checksums and leaves damaged ones out, so that
        a build reads their files again; otherwise a segment of another size raises ``IndexDamaged``,
        as does everything else that is wrong. Raises ``IndexMissing`` and ``IndexMismatch``.
        """
        name = current(folder)
        manifest = read_manifest(folder, name)
        uses, catalogues = [], []
        for use in uses_of(manifest):
            home = folder / SEGMENTS / use.name
            wrong = faults(home, use.files, thoroughly=thoroughly)
            if wrong and thoroughly:
                continue
            if wrong:
                raise damaged(home, wrong[0])
            try:
                catalogues.append(read_catalogue(home))
            except READ_ERRORS as error:
                raise damaged(home, error) from error
            uses.append(use)
        return cls(name, manifest, tuple(read_sources(folder, name, manifest)), tuple(uses), tuple(catalogues))

    def live(self) -> dict[str, tuple[int, int, Entry]]:
        """Each article in force by id: number of its segment, its number there, its entry."""
        return {
            entry.id: (number, place, entry)
            for number, (use, catalogue) in enumerate(zip(self.uses, self.catalogues, strict=True))
            for place, entry in enumerate(catalogue)
            if place not in use.removed
        }
