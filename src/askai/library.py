"""A folder of articles and its index, kept in step: add, remove, undo, build, roll back, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from askai import corpus as reading, trash
from askai.encoder import DEFAULT, load_encoder
from askai.errors import ArticleError, IndexMissing, InputError, ModelError, UnusableIndex
from askai.generations import Before, roll_back
from askai.intake import place, safe_folder, safe_name
from askai.sources import (
    Found,
    compare,
    each_file,
    look,
    nothing_read,
    real_place,
    real_places,
    reasons,
    root_of,
    scan,
    source_of,
)
from askai.types import BuildReport, Encoder, Failure, LibraryStatus, Progress
from askai.updating import Update
from askai.verifying import problems
from askai.writing import failing, generations, pointer, writing

_MANY_TOUCHED = 100
"""Files with a new time and the old content after which the new times are worth a generation."""


@cache
def encoder_of(model: str | None) -> Encoder:
    """The encoder of a model's name or path, loaded once."""
    return load_encoder(model)


class Library:
    """Every change is a new generation of the index, swapped in as a whole, or nothing at all.

    All that writes raises ``IndexBusy`` while another process writes, ``AskaiError`` where writing
    fails, and ``Cancelled`` where a progress callback raised it; the old index then serves on.
    """

    def __init__(self, corpus: Path, index: Path, model: str | None = None) -> None:
        """``model`` is the encoder's name or path; None for the one that the index remembers."""
        self.corpus, self.index = corpus, index
        self._model = self._using = model

    # --- building

    def build(
        self, roots: Sequence[Path] | None = None, progress: Progress | None = None, *, full: bool = False
    ) -> BuildReport:
        """Bring the index up to date with its files: what is new or changed is read, the rest is kept.

        Without ``roots`` those of the last build are taken, or the corpus. ``full`` reads everything
        anew; ids are kept all the same. A segment that is damaged is made again. Raises ``InputError``
        where nothing can be read.
        """
        with self._change(progress, thoroughly=True, full=full) as (update, before):
            places = list(roots) if roots else self._roots(before)
            if progress:
                progress("查看文件", 0, 1)
            found = scan(places, self.index)
            if progress:
                progress("查看文件", 1, 1)
            touched = self._bring_up(update, before, found)
            if not update.entries and not any(map(trash.emptied, places)):
                raise nothing_read(places, update.failures)
            if touched >= _MANY_TOUCHED:
                return update.commit(real_places(places), self._model_of(before))
            return self._committed(update, before, places)

    def _bring_up(self, update: Update, before: Before | None, found: Sequence[Found]) -> int:
        """Forget, keep and read what has to be; returns how many files have but a new time."""
        if before is None:
            update.read(found)
            return 0
        live = before.live()
        whole = {s.key: s for s in before.sources if live.keys() >= set(s.articles)}
        differences = compare(found, whole)
        for key in {s.key for s in before.sources} - {file.key for file in found}:
            update.forget(key)
        update.keep(differences.same)
        due = {file.key for file in (*differences.new, *differences.changed, *differences.failed)}
        update.read([file for file in found if file.key in due])
        return differences.touched

    @contextmanager
    def _change(
        self, progress: Progress | None, *, thoroughly: bool, full: bool = False
    ) -> Iterator[tuple[Update, Before | None]]:
        """An update under the writer's lock, with what it builds upon: None where that is nothing."""
        with writing(self.index):
            there = self._before(thoroughly=thoroughly)
            self._using = self._model or (there.manifest.get("model") if there else None)
            fits = there is not None and there.manifest["encoder"] == self._encoder().fingerprint
            before = there if fits and not full else None
            with closing(Update(self.index, before, self._encoder, progress, there)) as update:
                yield update, before

    def _before(self, *, thoroughly: bool) -> Before | None:
        try:
            return Before.read(self.index, thoroughly=thoroughly)
        except UnusableIndex:
            return None

    def _encoder(self) -> Encoder:
        try:
            return encoder_of(self._using)
        except ModelError as error:
            raise ModelError(f"{error} 要换回自带的模型，请用 --model {DEFAULT}。") from error

    def _model_of(self, before: Before | None) -> str | None:
        return self._using if before is None else before.manifest.get("model")

    def places(self, roots: Sequence[Path] | None = None) -> list[Path]:
        """The folders and files that are built: those given, those of the last build, or the corpus."""
        return list(roots) if roots else self._roots(self._before(thoroughly=False))

    def _roots(self, before: Before | None) -> list[Path]:
        if before is None or not before.manifest.get("roots"):
            return [self.corpus]
        return [self.corpus if real_place(self.corpus) == name else Path(name) for name in before.manifest["roots"]]

    def _moved(self, before: Before, places: Sequence[Path]) -> bool:
        return list(before.manifest.get("roots", ())) != real_places(places)

    # --- adding and removing

    def add(self, paths: Sequence[Path], progress: Progress | None = None) -> BuildReport:
        """Copy files, and the files of folders, into the corpus, and answer from them.

        Nothing is overwritten; a file that builds find below the corpus is read where it is. The
        report's failures are those of these files, which are not taken in. Raises ``InputError``
        where none of them can be read.
        """
        with self._change(progress, thoroughly=False) as (update, before), self._undoing() as undo:
            roots = self._roots(before)
            if not any(Path(real_place(self.corpus)).is_relative_to(real_place(root)) for root in roots):
                roots.append(self.corpus)
            files, failures = self._taken_in(paths, roots, undo)
            if before is None and self.corpus.exists():
                mine = {file.key for file in files}
                update.read([file for file in scan(roots, self.index) if file.key not in mine])
            update.read(files)
            for file in files:
                failures += update.failures_of(file.key)
                if file.path in undo and not update.was_read(file.key):
                    file.path.unlink(missing_ok=True)
                    update.forget(file.key)
            if not any(update.was_read(file.key) for file in files):
                raise InputError(f"没有可以加入的文章{reasons(failures)}。原来的索引没有改动。")
            report = self._committed(update, before, roots)
        return replace(report, failures=tuple(failures))

    def _taken_in(
        self, paths: Sequence[Path], roots: Sequence[Path], undo: list[Path]
    ) -> tuple[list[Found], list[Failure]]:
        """The files to read, copied into the corpus where they lie elsewhere; new copies go into ``undo``."""
        files: dict[str, Found] = {}
        failures: list[Failure] = []
        for source, name in each_file(paths, self.index):
            root = root_of(source, roots)
            try:
                file = source if root else self._copied(source, name, undo)
            except ArticleError as error:
                failures.append(Failure(reading.readable(source.as_posix()), str(error)))
                continue
            key = real_place(file)
            found = look(file, key, Path(key).relative_to(real_place(root or self.corpus)).as_posix())
            if found is not None:
                files[key] = found
        return list(files.values()), failures

    def _copied(self, source: Path, name: str, undo: list[Path]) -> Path:
        *folders, last = Path(name).parts
        home = self.corpus.joinpath(*map(safe_folder, folders))
        link = next((p for p in [home, *home.parents][: len(folders)] if p.is_symlink()), None)
        if link:
            raise ArticleError(f"要放进的文件夹 {link} 是链接，不会读它里面的文章。请把链接换成真的文件夹后再放入。")
        safe = safe_name(last)
        return place(home, safe, reading.bytes_of(source, safe), undo)

    def remove(self, keys: Sequence[str]) -> BuildReport:
        """Move the files of articles (by id, path or title) into the corpus's trash; they answer no more.

        Raises ``InputError`` where an article is not there, lies outside the corpus or shares its file
        with others, and ``UnusableIndex`` where there is no index.
        """
        with writing(self.index):
            before = Before.read(self.index, thoroughly=False)
            chosen = list({source.key: source for source in (source_of(key, before) for key in keys)}.values())
            corpus = Path(real_place(self.corpus))
            for source in chosen:
                if not Path(source.key).is_relative_to(corpus):
                    raise InputError(
                        f"{source.path} 不在文章文件夹 {self.corpus} 里，askai 不会移动它。"
                        "请自行移走，然后运行 askai build。"
                    )
            places = [(Path(s.key).relative_to(corpus).as_posix(), s.names) for s in chosen]
            done = self._swapped()
            with (
                closing(Update(self.index, before, self._encoder)) as update,
                failing(self.index),
                trash.thrown(self.corpus, places, done),
            ):
                for source in chosen:
                    update.forget(source.key)
                return self._committed(update, before, self._roots(before))

    def undo(self, progress: Progress | None = None) -> BuildReport:
        """Put the files of the last removal back and answer from them again.

        Raises ``InputError`` where nothing was removed.
        """
        with (
            self._change(progress, thoroughly=False) as (update, before),
            failing(self.index),
            trash.put_back(self.corpus, self._swapped()) as restored,
        ):
            files = []
            for path, names in restored:
                key = real_place(path)
                found = look(path, key, Path(key).relative_to(real_place(self.corpus)).as_posix())
                if found is not None:
                    files.append(found)
                    update.prefer(key, names)
            update.read(files if before else scan([self.corpus], self.index))
            return self._committed(update, before, self._roots(before))

    def _committed(self, update: Update, before: Before | None, roots: Sequence[Path]) -> BuildReport:
        if before is not None and update.unchanged() and not self._moved(before, roots):
            return update.report(before.name, before.manifest | {"reused_vectors": before.manifest["passages"]})
        return update.commit(real_places(roots), self._model_of(before))

    def _swapped(self) -> Callable[[], bool]:
        """Whether another generation serves than when this was called."""
        served = pointer(self.index)
        return lambda: pointer(self.index) != served

    @contextmanager
    def _undoing(self) -> Iterator[list[Path]]:
        """New files of the corpus are taken away again where no generation came to serve them."""
        copied: list[Path] = []
        done = self._swapped()
        try:
            yield copied
        except BaseException:
            for path in () if done() else copied:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise

    # --- looking

    def status(self, roots: Sequence[Path] | None = None) -> LibraryStatus:
        """What the index has not seen yet, and what it could not read. Raises ``InputError``."""
        before: Before | None = None
        with suppress(IndexMissing):
            before = Before.read(self.index, thoroughly=False)
        places = list(roots) if roots else self._roots(before)
        records = {s.key: s for s in before.sources} if before else {}
        differences = compare(scan(places, self.index), records)
        manifest = before.manifest if before else {}
        unchanged = [*differences.same, *(records[file.key] for file in differences.failed)]
        new, changed = (
            tuple(reading.readable(file.path.as_posix()) for file in files)
            for files in (differences.new, differences.changed)
        )
        return LibraryStatus(
            generation=before.name if before else "",
            kept=tuple(generations(self.index)),
            created=str(manifest.get("created", "")),
            articles=int(manifest.get("articles", 0)),
            passages=int(manifest.get("passages", 0)),
            new=new,
            changed=changed,
            gone=tuple(source.path for source in differences.gone),
            failed=tuple(Failure(*failure) for source in unchanged for failure in source.failures),
        )

    def rollback(self, generation: str | None = None) -> str:
        """Serve an earlier generation again, the one before the current without a name; returns its name.

        The files of the corpus stay as they are: the next build follows them again. Raises
        ``InputError`` where there is no such generation, ``UnusableIndex`` where it is damaged.
        """
        with writing(self.index):
            return roll_back(self.index, generation)

    def verify(self) -> list[str]:
        """What is wrong with the generation that serves, in Chinese; nothing where all is well.

        Raises ``IndexMissing``.
        """
        return problems(self.index)
