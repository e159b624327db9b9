"""Where removed files go: ``.trash`` in the corpus, with a note of where they came from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from askai.errors import AskaiError, InputError
from askai.segments import to_json
from askai.writing import sync

FOLDER = ".trash"
NOTE = "removed.json"


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that was moved away: its place below the corpus, its name in the trash, ids of its articles."""

    place: str
    name: str
    ids: Mapping[str, str]


@contextmanager
def thrown(corpus: Path, places: Sequence[tuple[str, Mapping[str, str]]], done: Callable[[], bool]) -> Iterator[None]:
    """Files (place below the corpus, ``Source.names``) in a new folder of the trash.

    The note is on disk before the first file moves: a removal that is killed can still be undone.
    Where an error comes before it is ``done``, the files are put back; one that cannot be stays in the
    trash. Raises ``OSError``.
    """
    home = corpus / FOLDER / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")
    moved = [Moved(place, f"{n}{Path(place).suffix}", ids) for n, (place, ids) in enumerate(places)]
    moves: list[tuple[Path, Path]] = []
    try:
        home.mkdir(parents=True)
        note = home / NOTE
        note.write_bytes(to_json([[m.place, m.name, m.ids] for m in moved]))
        for path in (note, home, home.parent, corpus):
            sync(path)
        for m in moved:
            with suppress(FileNotFoundError):
                _move(corpus / m.place, home / m.name, moves)
        sync(home)
        yield
    except BaseException:
        if not done():
            _reverse(moves)
            if not any(os.path.lexists(target) for _, target in moves):
                forget(home)
        raise


def _move(source: Path, target: Path, moves: list[tuple[Path, Path]]) -> None:
    moves.append((source, target))  # first: Ctrl-C may come right after the move
    source.rename(target)


def _reverse(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move back what was moved, over nothing that has taken its place."""
    for source, target in reversed(moves):
        with suppress(OSError):
            if os.path.lexists(target) and not os.path.lexists(source):
                source.parent.mkdir(parents=True, exist_ok=True)
                target.rename(source)


def _notes(corpus: Path) -> Iterator[tuple[Path, list[Moved]]]:
    """The folders of the trash that still hold files, newest first."""
    for home in sorted((corpus / FOLDER).glob("*/"), reverse=True):
        try:
            rows = json.loads((home / NOTE).read_bytes())
            moved = [
                Moved(str(place), str(name), {str(k): str(v) for k, v in ids.items()})
                for place, name, ids in rows
            ]
        except (OSError, ValueError, TypeError, AttributeError):
            continue
        # A link may lead nowhere from here and be good again in its place.
        there = [m for m in moved if _sound(m) and os.path.lexists(home / m.name)]
        if there:
            yield home, there


def _sound(moved: Moved) -> bool:
    """Whether a note leads nowhere but from the trash into the corpus."""
    place = Path(moved.place)
    inside = not place.is_absolute() and ".." not in place.parts
    return inside and Path(moved.name).name == moved.name


def emptied(corpus: Path) -> bool:
    """Whether files were removed from this folder: an empty one is then meant to be empty."""
    return next(_notes(corpus), None) is not None


@contextmanager
def put_back(corpus: Path, done: Callable[[], bool]) -> Iterator[list[tuple[Path, Mapping[str, str]]]]:
    """The files of the last removal in their places again: their paths and what ids they had.

    Where another file has taken a place, a number is added and there are no ids. Where an error comes
    before it is ``done``, the files go back to the trash. Raises ``InputError`` where nothing was
    removed, ``AskaiError`` where a file has taken a folder's place, and ``OSError``.
    """
    home, there = next(_notes(corpus), (corpus, []))
    if not there:
        raise InputError(f"{corpus} 里没有可以撤销的移除。")
    moves: list[tuple[Path, Path]] = []
    restored: list[tuple[Path, Mapping[str, str]]] = []
    try:
        for m in there:
            target = corpus / m.place
            taken = next((p for p in target.parents if os.path.lexists(p) and not p.is_dir()), None)
            if taken:
                raise AskaiError(f"{m.place} 放不回去：{taken} 不是文件夹。请把它移到别处或改名，再撤销移除。")
            target.parent.mkdir(parents=True, exist_ok=True)
            number = 1
            while os.path.lexists(target):
                number += 1
                target = (corpus / m.place).with_stem(f"{Path(m.place).stem}-{number}")
            _move(home / m.name, target, moves)
            sync(target.parent)
            restored.append((target, m.ids if number == 1 else {}))
        yield restored
    except BaseException:
        if not done():
            _reverse(moves)
        raise
    forget(home)


def forget(home: Path) -> None:
    """Take away the folder of a removal that was undone."""
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        home.parent.rmdir()
