"""One change of the index: some files read anew, some forgotten, everything else left as it is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from askai import segments
from askai.builder import Builder, KnownVectors
from askai.corpus import bytes_of, read_data, readable, unique
from askai.errors import ArticleError
from askai.folding import Held, folded, live_passages, sealed
from askai.formats.contents import Contents
from askai.generations import FORMAT, READ_ERRORS, Before, Source, damaged, publish, segmenter
from askai.passages import PARAMETERS
from askai.segments import Entry, article_digest, article_line
from askai.sources import Found, digest_of, reliable_time
from askai.types import Article, BuildReport, Encoder, Failure, Progress
from askai.writing import SEGMENTS, failing, temporary


class Update:
    """Collects a change and writes it as a new generation. To be used inside ``writing``.

    A file that keeps its place keeps its id. An article that comes out of its file as it was stays in
    the segment it is in.
    """

    def __init__(
        self,
        folder: Path,
        before: Before | None,
        encoder: Callable[[], Encoder],
        progress: Progress | None = None,
        earlier: Before | None = None,
    ) -> None:
        """``earlier`` is what serves where that is not built upon: ids are kept, changes told against it."""
        self._folder, self._before, self._encoder, self._progress = folder, before, encoder, progress
        self._begun = time.perf_counter()
        self._live = before.live() if before else {}
        served = before or earlier
        self._first = {id: entry for id, (_, _, entry) in served.live().items()} if served else {}
        self._removed = [set(use.removed) for use in before.uses] if before else []
        self._sources = {source.key: source for source in before.sources} if before else {}
        self._names = {source.key: dict(source.names) for source in (served.sources if served else ())}
        self._taken = {*self._live, *(id for names in self._names.values() for id in names.values())}
        self._fresh: dict[str, Entry] = {}
        self._builder: Builder | None = None
        self._written = folder
        self._open = ExitStack()
        self._at = (0, 0)

    # --- collecting

    def keep(self, records: Sequence[Source]) -> None:
        """Take over records of files whose articles are unchanged."""
        self._sources.update({record.key: record for record in records})

    def forget(self, key: str) -> None:
        """A file is no more: its articles are in force no longer, its id is free."""
        source = self._sources.pop(key, None)
        self._taken -= set(self._names.pop(key, {}).values())
        for id in source.articles if source else ():
            self._remove(id)

    def read(self, files: Sequence[Found]) -> None:
        """Read files that are new or changed; what cannot be read is recorded with its reason."""
        for number, file in enumerate(files):
            self._at = (number, len(files))
            self._say()
            self._replace(file, *_read(file))
        if files:
            self._at = (len(files), len(files))
            self._say()

    def failures_of(self, key: str) -> list[Failure]:
        """What of a file could not be read."""
        source = self._sources.get(key)
        return [Failure(path, reason) for path, reason in source.failures] if source else []

    def was_read(self, key: str) -> bool:
        """Whether a file gave articles."""
        return key in self._sources and self._sources[key].whole

    def prefer(self, key: str, names: Mapping[str, str]) -> None:
        """Give the articles of a file that comes back the ids they had, but for those that others have now."""
        self._names[key] = {name: id for name, id in names.items() if id not in self._taken}

    def _say(self, stage: str = "读入文章") -> None:
        """Say how far reading is; whoever listens may raise ``Cancelled``."""
        if self._progress:
            self._progress(stage, *self._at)

    def _replace(self, file: Found, digest: str, found: Contents) -> None:
        """Put what a file holds now in the place of what it held; an article keeps the id it had."""
        old = self._sources.get(file.key)
        held = {id: self._live[id][2] for id in (old.articles if old else ()) if id in self._live}
        earlier = self._names.get(file.key, {})
        others = self._taken - {*earlier.values(), *held}
        reserved = {*others, *(earlier[a.id] for a in found.articles if a.id in earlier)}
        names: dict[str, str] = {}
        for article in found.articles:
            id = earlier.get(article.id) if article.id not in names else None
            id = id or unique(article.id, reserved)
            names[article.id if article.id not in names else f"{article.id}\0{len(names)}"] = id
            self._put(replace(article, id=id), held.get(id))
        for id in held.keys() - set(names.values()):
            self._remove(id)
        whole = bool(found.articles)
        self._names[file.key] = names if whole else earlier
        self._taken = others | set(self._names[file.key].values())
        self._sources[file.key] = Source(
            file.key, readable(file.path.as_posix()), file.size,
            reliable_time(file) if digest else file.mtime_ns, digest, self._names[file.key], whole,
            tuple((f.path, f.reason) for f in found.failures),
        )  # fmt: skip

    def _remove(self, id: str) -> None:
        if id in self._live:
            number, place, _ = self._live.pop(id)
            self._removed[number].add(place)

    def _put(self, article: Article, old: Entry | None) -> None:
        digest = article_digest(article)
        if old is not None and (old.digest, old.path) == (digest, article.path):
            return
        self._remove(article.id)
        builder = self._building()
        with failing(self._folder):
            self._fresh[article.id] = builder.add(article, digest)

    def _building(self) -> Builder:
        """The builder of the segment that this change writes, begun with its first article."""
        if self._builder is None:
            homes = [self._folder / SEGMENTS / use.name for use in self._before.uses] if self._before else []
            try:
                known = KnownVectors(homes)
            except READ_ERRORS as error:
                raise damaged(homes[0], error) from error
            with failing(self._folder):
                self._written = temporary(self._folder)
                lines = self._open.enter_context((self._written / "articles.jsonl").open("wb"))
            self._builder = Builder(
                self._encoder(), lambda article: lines.write(article_line(article)), known, self._say
            )
        return self._builder

    # --- writing

    def unchanged(self) -> bool:
        """Whether there is nothing to write: every article, id and reason is as it was."""
        if self._before is None or self._builder is not None:
            return False
        old = {s.key: (s.path, s.names, s.whole, s.failures) for s in self._before.sources}
        new = {s.key: (s.path, s.names, s.whole, s.failures) for s in self._sources.values()}
        return old == new and [set(use.removed) for use in self._before.uses] == self._removed

    def close(self) -> None:
        """Let go of what is open; what was written is cleared away by ``writing``."""
        self._open.close()

    @property
    def entries(self) -> dict[str, Entry]:
        """The articles that will be in force, by id."""
        return {id: entry for id, (_, _, entry) in self._live.items()} | self._fresh

    @property
    def failures(self) -> list[Failure]:
        """The files that could not be read."""
        return [failure for key in self._sources for failure in self.failures_of(key)]

    def commit(self, roots: Sequence[str], model: str | None) -> BuildReport:
        """Write what changed as a segment, fold small segments, and make the new generation current.

        Raises ``AskaiError`` where writing fails and ``IndexDamaged`` where a segment that is to be
        folded is damaged; the generation that served still does.
        """
        encoder, dimensions = self._made_by()
        held = folded(self._folder, [*self._kept(), *self._finished(dimensions)], dimensions)
        passages = sum(live_passages(*one) for one in held)
        entries = self.entries
        manifest = {
            "format": FORMAT,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "model": model,
            "encoder": encoder,
            "dimensions": dimensions,
            "passage_parameters": PARAMETERS,
            "segmenter": segmenter(),
            "articles": len(entries),
            "passages": passages,
            "reused_vectors": passages - (self._builder.encoded if self._builder else 0),
            "corpus_digest": corpus_digest(entries.values()),
            "roots": list(roots),
            "failures": [{"path": f.path, "reason": f.reason} for f in self.failures],
            "segments": [use.to_dict() for use, _ in held],
        }
        self._step("写入索引", 0)
        records = sorted(self._sources.values(), key=lambda s: s.key)
        name = publish(self._folder, manifest, records)
        return self.report(name, manifest)

    def _step(self, stage: str, done: int) -> None:
        self._at = (done, 1)
        self._say(stage)

    def _made_by(self) -> tuple[str, int]:
        if self._before is not None:
            return self._before.manifest["encoder"], self._before.manifest["dimensions"]
        encoder = self._encoder()
        return encoder.fingerprint, encoder.dimensions

    def _kept(self) -> list[Held]:
        before = self._before
        if before is None:
            return []
        uses = [
            replace(use, removed=frozenset(gone)) for use, gone in zip(before.uses, self._removed, strict=True)
        ]
        return list(zip(uses, before.catalogues, strict=True))

    def _finished(self, dimensions: int) -> list[Held]:
        if self._builder is None:
            return []
        parts = self._builder.finish()
        self._step("整理词表", 0)
        with failing(self._folder):
            self._open.close()
            segments.write(parts, self._written, dimensions)
            self._step("整理词表", 1)
            return [sealed(self._folder, self._written)]

    def report(self, name: str, manifest: Mapping[str, Any]) -> BuildReport:
        """What changed between the generation before and the one called ``name``."""
        old, new = self._first, self.entries
        return BuildReport(
            name,
            manifest["articles"],
            manifest["passages"],
            tuple(sorted(new.keys() - old.keys())),
            tuple(sorted(id for id in new.keys() & old.keys() if new[id].digest != old[id].digest)),
            tuple(sorted(old.keys() - new.keys())),
            tuple(self.failures),
            int(manifest["reused_vectors"]),
            round(time.perf_counter() - self._begun, 3),
        )


def _read(file: Found) -> tuple[str, Contents]:
    """Digest of a file's bytes, empty where there are none to be had, and what it holds."""
    digest, path = "", readable(file.path.as_posix())
    try:
        data = bytes_of(file.path)
        digest = digest_of(data)
        return digest, read_data(data, readable(file.name), path)
    except ArticleError as error:
        return digest, Contents((), (Failure(path, str(error)),))


def corpus_digest(entries: Iterable[Entry]) -> str:
    """Digest of all articles in force: the same for the same articles, whatever their segments."""
    digest = hashlib.blake2b(digest_size=16)
    for line in sorted(f"{entry.id}\t{entry.digest}\n" for entry in entries):
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
